//! The external data that Gatekeeper asks for: `ProviderRequest` and `ProviderResponse` of
//! `externaldata.gatekeeper.sh/v1beta1` (and `v1alpha1`, which has the same members).

use serde_json::{Value, json};
use thiserror::Error;
use verifier::Verdict;

use crate::{
    line,
    strict_json::{self, Names},
};

/// The versions of the interface.
const VERSIONS: [&str; 2] = [
    "externaldata.gatekeeper.sh/v1beta1",
    "externaldata.gatekeeper.sh/v1alpha1",
];

/// The body is no request; answered with status 400.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// No JSON, or JSON that readers read differently.
    #[error("the body is not JSON that can be judged: {0}")]
    Json(#[from] serde_json::Error),
    /// Another kind of request.
    #[error("the body is not a ProviderRequest of {} with a list of keys", VERSIONS[0])]
    NotARequest,
}

/// A question of Gatekeeper: each key is an image.
#[derive(Debug)]
pub struct ProviderRequest {
    version: String,
    /// The images, as written.
    pub images: Vec<String>,
}

impl ProviderRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is no request.
    pub fn parse(body: &[u8]) -> Result<Self, ProviderError> {
        let request = strict_json::parse(body, Names::Exact)?;
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let version = text("apiVersion").to_owned();
        if !VERSIONS.contains(&version.as_str()) || text("kind") != "ProviderRequest" {
            return Err(ProviderError::NotARequest);
        }
        let keys = request.pointer("/request/keys").and_then(Value::as_array);
        let keys = keys.ok_or(ProviderError::NotARequest)?.iter();
        let images: Option<Vec<String>> = keys.map(|key| Some(key.as_str()?.to_owned())).collect();
        Ok(Self {
            version,
            images: images.ok_or(ProviderError::NotARequest)?,
        })
    }

    /// The body of the answer: the pinned image of each that may run, and the denial of each that may not. One verdict
    /// for each of the images, in the same order.
    pub fn answer(&self, verdicts: &[Verdict]) -> Value {
        let judged = self.images.iter().zip(verdicts);
        let items: Vec<Value> = judged
            .map(|(image, verdict)| match verdict.permits() {
                true => {
                    json!({"key": image, "value": verdict.pinned.as_deref().unwrap_or(image), "error": ""})
                }
                false => json!({"key": image, "value": "", "error": line::of(verdict)}),
            })
            .collect();
        let complete = items.len() == self.images.len();
        let error = if complete {
            ""
        } else {
            "the gate has not judged every image"
        };
        json!({
            "apiVersion": self.version,
            "kind": "ProviderResponse",
            // A mutation that is applied again writes the same digest.
            "response": {"idempotent": true, "items": items, "systemError": error},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_images_and_anything_else_is_refused() {
        let text = br#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["a","b"]}}"#;
        assert_eq!(ProviderRequest::parse(text).unwrap().images, ["a", "b"]);
        for text in [
            r#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":[1]}}"#,
            r#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest"}"#,
            r#"{"apiVersion":"v1","kind":"ProviderRequest","request":{"keys":["a"]}}"#,
            "[]",
        ] {
            assert!(ProviderRequest::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
