//! A request of the engine to its authorization plugin, and the answer.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use thiserror::Error;

use crate::strict_json::{self, Names};

/// The request cannot be read; it is denied.
#[derive(Debug, Error)]
pub enum AuthorizationError {
    /// No JSON, or JSON that readers read differently.
    #[error("the engine's request is not JSON that can be judged: {0}")]
    Json(#[from] serde_json::Error),
    /// A member is missing or not what it should be.
    #[error("the engine's request has no usable {0}")]
    Member(&'static str),
}

/// What a client of the engine wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The name in the client's certificate, where clients come over TLS; the engine has verified it.
    pub user: Option<String>,
    /// The method of the client's request.
    pub method: String,
    /// Path and query of the client's request.
    pub uri: String,
    /// The body, if the engine shows it: it hides what is not `application/json` or larger than 1 MiB.
    pub body: Option<Vec<u8>>,
    /// The length that the client's `Content-Length` states.
    pub content_length: Option<u64>,
    /// What the client says the body is. The engine shows the last of several such headers, and reads the first.
    pub content_type: Option<String>,
}

impl Authorization {
    /// Reads the body of `/AuthZPlugin.AuthZReq`.
    ///
    /// # Errors
    /// When it cannot be read without doubt.
    pub fn parse(body: &[u8]) -> Result<Self, AuthorizationError> {
        let request = strict_json::parse(body, Names::AnyCase)?;
        let text = |name: &'static str| match request.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(AuthorizationError::Member(name)),
        };
        let body = match text("requestbody")? {
            None => None,
            Some(encoded) => {
                let decoded = STANDARD.decode(encoded);
                Some(decoded.map_err(|_| AuthorizationError::Member("requestbody"))?)
            }
        };
        let headers = request.get("requestheaders").and_then(Value::as_object);
        let header = |wanted: &str| {
            let mut found = headers.into_iter().flatten();
            found.find_map(|(name, value)| (name == wanted).then(|| value.as_str()).flatten())
        };
        Ok(Self {
            user: text("user")?,
            method: text("requestmethod")?.ok_or(AuthorizationError::Member("requestmethod"))?,
            uri: text("requesturi")?.ok_or(AuthorizationError::Member("requesturi"))?,
            body,
            content_length: header("content-length").and_then(|length| length.trim().parse().ok()),
            content_type: header("content-type").map(str::to_owned),
        })
    }

    /// Whether there may be a form in the body, whose parameters go before those of the query. The engine shows no such
    /// body, and neither whether it comes in chunks.
    pub fn may_hide_a_form(&self) -> bool {
        self.body.is_none() && self.content_type.is_some() && self.content_length != Some(0)
    }

    /// The body, which has to be there and complete.
    ///
    /// # Errors
    /// With the reason why it is not, as a sentence.
    pub fn visible_body(&self) -> Result<&[u8], String> {
        const HIDDEN: &str = "the engine does not show the request's body: send it as application/json, in one piece of \
                              less than 1 MB";
        let body = self.body.as_deref().ok_or(HIDDEN)?;
        match self.content_length {
            Some(length) if u64::try_from(body.len()) != Ok(length) => Err(HIDDEN.to_owned()),
            _ => Ok(body),
        }
    }
}

/// The plugin's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The request may go on.
    Allow,
    /// It may not; the client sees the sentence, after the plugin's name.
    Deny(String),
}

impl Answer {
    /// The body of the answer.
    pub fn body(&self) -> Value {
        match self {
            Self::Allow => json!({"Allow": true}),
            Self::Deny(sentence) => json!({"Allow": false, "Msg": sentence}),
        }
    }
}
