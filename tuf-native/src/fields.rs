//! Reads members of a signed value, each with a refusal that names its place.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Map, Value};
use tuf::{KeyId, Version};
use unicode_normalization::is_nfc;

use crate::refusal::Refusal;
use crate::role::Role;

const EXPIRES: &str = "%Y-%m-%dT%H:%M:%SZ";

/// An object in the file of a role.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) role: &'a Role,
    place: &'a str,
    members: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(role: &'a Role, place: &'a str, members: &'a Map<String, Value>) -> Self {
        Self { role, place, members }
    }

    /// Takes a value for an object.
    pub(crate) fn of(role: &'a Role, place: &'a str, value: &'a Value) -> Result<Self, Refusal> {
        match value {
            Value::Object(members) => Ok(Self { role, place, members }),
            _ => Err(refuse(role, place, "must be an object")),
        }
    }

    pub(crate) fn refuse(&self, member: &str, problem: impl Into<String>) -> Refusal {
        let place = match (self.place, member) {
            ("", member) => member.to_owned(),
            (place, "") => place.to_owned(),
            (place, member) => format!("{place}.{member}"),
        };
        refuse(self.role, &place, problem)
    }

    /// Refuses members that are not among these.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.members.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(self.refuse(
                name,
                "clients read this member otherwise or not at all: leave it out",
            )),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        let text = self.get(name).and_then(Value::as_str);
        text.ok_or_else(|| self.refuse(name, "must be a string"))
    }

    pub(crate) fn object(&self, name: &str) -> Result<&'a Map<String, Value>, Refusal> {
        let object = self.get(name).and_then(Value::as_object);
        object.ok_or_else(|| self.refuse(name, "must be an object"))
    }

    pub(crate) fn array(&self, name: &str) -> Result<&'a Vec<Value>, Refusal> {
        let array = self.get(name).and_then(Value::as_array);
        array.ok_or_else(|| self.refuse(name, "must be an array"))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, Refusal> {
        let value = self.get(name).and_then(Value::as_bool);
        value.ok_or_else(|| self.refuse(name, "must be true or false"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, Refusal> {
        let number = self.get(name).and_then(Value::as_u64);
        number.ok_or_else(|| self.refuse(name, "must be an integer of 0 or more"))
    }

    pub(crate) fn version(&self, name: &str) -> Result<Version, Refusal> {
        let number = self.number(name)?;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        Version::new(number).map_err(|e| self.refuse(name, e.to_string()))
    }

    pub(crate) fn threshold(&self) -> Result<u32, Refusal> {
        let number = u32::try_from(self.number("threshold")?).unwrap_or(0);
        if number == 0 {
            return Err(self.refuse("threshold", "must be at least 1"));
        }
        Ok(number)
    }

    pub(crate) fn key_ids(&self) -> Result<Vec<KeyId>, Refusal> {
        let mut ids = Vec::new();
        for value in self.array("keyids")? {
            let id = value.as_str().and_then(|text| KeyId::parse(text).ok());
            let id =
                id.ok_or_else(|| self.refuse("keyids", "each must be 64 lower case hexadecimal digits"))?;
            if ids.contains(&id) {
                return Err(self.refuse(
                    "keyids",
                    format!("key {id} is there twice: leave out one of them"),
                ));
            }
            ids.push(id);
        }
        Ok(ids)
    }

    pub(crate) fn expires(&self) -> Result<DateTime<Utc>, Refusal> {
        let text = self.text("expires")?;
        let read = NaiveDateTime::parse_from_str(text, EXPIRES).map(|time| time.and_utc());
        match read {
            // Other spellings are written otherwise; a leap second is a fraction to the library, and another time to tough.
            Ok(time)
                if text.len() == 20 && write_time(time) == text && time.timestamp_subsec_nanos() == 0 =>
            {
                Ok(time)
            }
            _ => Err(self.refuse("expires", "must be written as YYYY-MM-DDTHH:MM:SSZ")),
        }
    }

    /// A hexadecimal hash of this many bytes.
    pub(crate) fn hash(&self, name: &str, length: usize) -> Result<&'a str, Refusal> {
        let text = self.text(name)?;
        if is_lower_hex(text) && text.len() == 2 * length {
            Ok(text)
        } else {
            let problem = format!("must be {} lower case hexadecimal digits", 2 * length);
            Err(self.refuse(name, problem))
        }
    }
}

/// A time as TUF 1.0 writes it, without fractions of seconds.
pub(crate) fn write_time(time: DateTime<Utc>) -> String {
    time.format(EXPIRES).to_string()
}

pub(crate) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(crate) fn refuse(role: &Role, place: &str, problem: impl Into<String>) -> Refusal {
    Refusal::Profile {
        role: role.clone(),
        place: place.to_owned(),
        problem: problem.into(),
    }
}

/// What is wrong with a relative path of targets, for clients that normalise or store it; `None` if nothing is.
pub(crate) fn path_problem(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        Some("must not be empty")
    } else if path.len() > 1024 {
        Some("must have at most 1024 bytes")
    } else if path.chars().any(char::is_control) {
        Some("must not contain control characters")
    } else if path.contains('\\') {
        Some("must not contain a backslash: separate directories with /")
    } else if !is_nfc(path) {
        Some("must be in Unicode's form NFC")
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("must be relative, without empty parts, . and ..")
    } else {
        None
    }
}
