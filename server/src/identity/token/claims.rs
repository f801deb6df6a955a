//! The claims of a token.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;

/// How far the clocks of the token service and this server may be apart, in seconds.
const LEEWAY: i64 = 60;
/// The longest subject accepted, in characters: every record of its holder's actions contains it.
const SUBJECT_LIMIT: usize = 255;

/// One action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `repository` or `registry`.
    pub kind: String,
    /// The resource's name, such as a GUN.
    pub name: String,
    /// `pull`, `push`, or `*` for everything.
    pub action: String,
}

impl Access {
    /// An action on a repository.
    pub fn repository(gun: &str, action: &str) -> Self {
        Self {
            kind: "repository".into(),
            name: gun.into(),
            action: action.into(),
        }
    }

    /// Everything on the catalog of repositories.
    pub fn catalog() -> Self {
        Self {
            kind: "registry".into(),
            name: "catalog".into(),
            action: "*".into(),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.kind, self.name, self.action)
    }
}

/// The claims that this server uses; others are ignored.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// The SHA-256 of the certificate that its holder has to present, in base64url (RFC 8705 section 3.1).
    pub(super) bound_to: Option<String>,
    audience: String,
    expires: i64,
    not_before: i64,
    access: Vec<Access>,
}

impl Claims {
    pub(super) fn parse(claims: &Value) -> Result<Self, String> {
        claims.as_object().ok_or("the token's claims are not an object")?;
        let grants = match &claims["access"] {
            Value::Null => Vec::new(),
            Value::Array(grants) => grants.iter().map(grant).collect::<Result<Vec<_>, _>>()?,
            _ => return Err("the token's access is not a list".into()),
        };
        let subject = text(claims, "sub")?;
        if subject.chars().count() > SUBJECT_LIMIT || subject.chars().any(char::is_control) {
            return Err(format!(
                "sub in the token is longer than {SUBJECT_LIMIT} characters, or contains control characters"
            ));
        }
        Ok(Self {
            subject,
            issuer: text(claims, "iss")?,
            bound_to: confirmation(&claims["cnf"])?,
            audience: text(claims, "aud")?,
            expires: seconds(claims, "exp")?,
            not_before: seconds(claims, "nbf")?,
            access: grants.into_iter().flatten().collect(),
        })
    }

    pub(super) fn check(&self, issuer: &str, service: &str, now: DateTime<Utc>) -> Result<(), String> {
        let now = now.timestamp();
        if self.issuer != issuer {
            Err(format!(
                "the token was issued by {:?}, not by {issuer:?}",
                self.issuer
            ))
        } else if self.audience != service {
            Err(format!(
                "the token is for {:?}, not for {service:?}",
                self.audience
            ))
        } else if now > self.expires.saturating_add(LEEWAY) {
            Err("the token has expired".into())
        } else if now < self.not_before.saturating_sub(LEEWAY) {
            Err("the token is not valid yet".into())
        } else {
            Ok(())
        }
    }

    /// Whether the token grants the required access; `*` grants every action on its resource.
    pub(super) fn grants(&self, required: &Access) -> bool {
        self.access.iter().any(|granted| {
            granted.kind == required.kind
                && granted.name == required.name
                && (granted.action == required.action || granted.action == "*")
        })
    }
}

fn grant(grant: &Value) -> Result<Vec<Access>, String> {
    grant
        .as_object()
        .ok_or("an entry of the token's access is not an object")?;
    let (kind, name) = (text(grant, "type")?, text(grant, "name")?);
    let actions = match &grant["actions"] {
        Value::Null => return Ok(Vec::new()),
        Value::Array(actions) => actions,
        _ => return Err("the actions in the token's access are not a list".into()),
    };
    let access = |action: &Value| {
        let action = action
            .as_str()
            .ok_or("an action in the token's access is not a string")?
            .to_owned();
        Ok(Access {
            kind: kind.clone(),
            name: name.clone(),
            action,
        })
    };
    actions.iter().map(access).collect()
}

/// The certificate in a confirmation (RFC 7800). A token that is bound to anything else cannot be checked here.
fn confirmation(confirmation: &Value) -> Result<Option<String>, String> {
    match confirmation {
        Value::Null => Ok(None),
        bound => match &bound["x5t#S256"] {
            Value::String(digest) => Ok(Some(digest.clone())),
            _ => Err("the token is bound to something else than a client certificate (cnf)".to_owned()),
        },
    }
}

fn text(object: &Value, key: &str) -> Result<String, String> {
    match &object[key] {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(format!("{key} in the token is not a string")),
    }
}

/// Seconds since 1970; 0 if absent.
fn seconds(claims: &Value, key: &str) -> Result<i64, String> {
    match &claims[key] {
        Value::Null => Ok(0),
        number => number
            .as_i64()
            .ok_or_else(|| format!("{key} in the token is not a whole number")),
    }
}
