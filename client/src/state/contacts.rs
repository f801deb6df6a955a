//! When a server was last asked about a repository, by whom, and what it said.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use verifier::{Denial, Reason};

const FORMAT: u32 = 1;
/// How many of those who asked are remembered.
const MAX_ASKERS: usize = 16;
/// How far a clock may have been ahead when a contact was noted.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// The last contact of each of those who asked. Nobody gets from here what only somebody else may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contacts {
    format: u32,
    by: BTreeMap<String, LastContact>,
}

/// The last time that a server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastContact {
    /// When.
    pub at: DateTime<Utc>,
    /// What was wrong with its answer, if anything was. It stands until the server answers again.
    pub denied: Option<StoredDenial>,
}

/// A denial as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredDenial {
    code: String,
    sentence: String,
}

impl Default for Contacts {
    fn default() -> Self {
        Self {
            format: FORMAT,
            by: BTreeMap::new(),
        }
    }
}

impl Contacts {
    /// The last contact of one who asks. One that lies in the future is none: the clock was put back.
    pub fn of(&self, who: &str, now: DateTime<Utc>) -> Option<&LastContact> {
        self.by
            .get(who)
            .filter(|contact| contact.at <= now + CLOCK_TOLERANCE)
    }

    /// Notes a contact; the oldest are forgotten.
    pub fn note(&mut self, who: &str, contact: LastContact) {
        self.by.insert(who.to_owned(), contact);
        while self.by.len() > MAX_ASKERS {
            let oldest = self.by.iter().min_by_key(|(_, contact)| contact.at);
            let Some(oldest) = oldest.map(|(who, _)| who.clone()) else {
                break;
            };
            self.by.remove(&oldest);
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Texts and dates can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        let contacts: Self = serde_json::from_slice(text).ok()?;
        (contacts.format == FORMAT).then_some(contacts)
    }
}

impl From<&Denial> for StoredDenial {
    fn from(denial: &Denial) -> Self {
        Self {
            code: denial.reason.code().to_owned(),
            sentence: denial.sentence.clone(),
        }
    }
}

impl From<&StoredDenial> for Denial {
    fn from(stored: &StoredDenial) -> Self {
        let known = Reason::ALL.iter().find(|reason| reason.code() == stored.code);
        Self::new(
            known.copied().unwrap_or(Reason::InvalidState),
            stored.sentence.clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_contact_of_somebody_else_or_one_in_the_future() {
        let now = Utc::now();
        let mut contacts = Contacts::default();
        let at = |at| LastContact { at, denied: None };
        contacts.note("alice", at(now));
        contacts.note("carol", at(now + TimeDelta::hours(1)));
        assert!(contacts.of("alice", now).is_some());
        assert!(contacts.of("bob", now).is_none());
        assert!(contacts.of("carol", now).is_none());
        let read = Contacts::decode(&contacts.encode());
        assert_eq!(read.as_ref(), Some(&contacts));
        for number in 0..100 {
            contacts.note(&number.to_string(), at(now + TimeDelta::seconds(number)));
        }
        assert!(contacts.by.len() <= MAX_ASKERS && contacts.of("99", now + TimeDelta::hours(1)).is_some());
    }

    #[test]
    fn a_denial_keeps_its_reason() {
        for reason in Reason::ALL {
            let denial = Denial::new(*reason, "why");
            assert_eq!(Denial::from(&StoredDenial::from(&denial)), denial);
        }
        let unknown = StoredDenial {
            code: "from_the_future".into(),
            sentence: "why".into(),
        };
        assert_eq!(Denial::from(&unknown).reason, Reason::InvalidState);
    }
}
