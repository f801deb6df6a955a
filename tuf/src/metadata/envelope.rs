//! The parts that every document has: a signed part with type, version and expiry, and signatures over it.

use std::sync::OnceLock;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::MetadataError;
use super::fields::Fields;
use crate::canonical::canonical;
use crate::json::{self, Json, Tree};
use crate::role::RoleName;
use crate::time;
use crate::version::{Version, VersionError};

/// How a document begins whose signed part is written first, as clients write it.
const BEGINNING: &[u8] = br#"{"signed":"#;

/// The most signatures of a document. There is a limit because each may cost a verification.
const MAX_SIGNATURES: usize = 1_000;

/// A document as far as it can be read without knowing its role.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    document: Tree,
    message: OnceLock<Bytes>,
    type_name: String,
    expires: DateTime<Utc>,
    version: i64,
    signatures: Vec<RawSignature>,
}

/// A signature as written: the key ID may be any text and the method unknown.
#[derive(Debug, Clone)]
pub(crate) struct RawSignature {
    pub(crate) key_id: String,
    pub(crate) method: String,
    pub(crate) bytes: Vec<u8>,
}

impl Envelope {
    /// Reads a document. Missing fields get their zero value; unknown ones are kept, because they are signed too.
    pub(crate) fn parse(bytes: &Bytes) -> Result<Self, MetadataError> {
        let document = json::parse(bytes)?;
        let fields = Fields::of(document.top(), "document")?;
        let (mut type_name, mut version, mut expires) = (String::new(), 0, time::zero());
        if let Some(signed) = fields.object("signed", "document.signed")? {
            type_name = signed.string("_type")?.to_owned();
            version = signed.integer("version")?;
            if signed.raw("expires").is_some() {
                let text = signed.plain_string("expires")?;
                expires = time::parse(text).ok_or_else(|| signed.wrong("expires", "an RFC 3339 time"))?;
            }
        }
        let listed = fields.list("signatures")?;
        if listed.len() > MAX_SIGNATURES {
            return Err(fields.wrong("signatures", "a list of at most 1000 signatures"));
        }
        let signatures = listed
            .into_iter()
            .map(RawSignature::read)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            document,
            message: OnceLock::new(),
            type_name,
            expires,
            version,
            signatures,
        })
    }

    /// The same for bytes that are not shared, which are copied.
    pub(crate) fn parse_slice(bytes: &[u8]) -> Result<Self, MetadataError> {
        Self::parse(&Bytes::copy_from_slice(bytes))
    }

    /// Frees what was read beyond the fields that every document has, and the message that is signed.
    pub(crate) fn forget_values(&mut self) {
        self.message();
        self.document = Tree::default();
    }

    /// The signed part; `null` if there is none.
    fn signed_part(&self) -> Json<'_> {
        match self.document.top() {
            Json::Object(members) => members.field("signed").unwrap_or(Json::Null),
            _ => Json::Null,
        }
    }

    /// The signed part, to be read as a document of a role.
    pub(crate) fn signed(&self, role: &RoleName) -> Result<Fields<'_>, MetadataError> {
        match self.signed_part() {
            Json::Null => Err(MetadataError::structure(role, "the signed part is missing")),
            signed => Fields::of(signed, "document.signed"),
        }
    }

    /// The message that the signatures are made over.
    pub(crate) fn message(&self) -> &Bytes {
        self.message.get_or_init(|| {
            let text = self.document.text();
            let signed = if text.starts_with(BEGINNING) {
                text.slice(BEGINNING.len()..)
            } else {
                text.clone()
            };
            canonical(self.signed_part(), &signed)
        })
    }

    pub(crate) fn signatures(&self) -> &[RawSignature] {
        &self.signatures
    }

    /// The version as written, which need not be a valid one.
    pub(crate) fn version_number(&self) -> i64 {
        self.version
    }

    pub(crate) fn expires(&self) -> DateTime<Utc> {
        self.expires
    }

    /// Checks the type, then the version. `too_small` is the reference's wording for this type.
    pub(crate) fn check_type(
        &self,
        role: &RoleName,
        type_name: &str,
        too_small: &str,
    ) -> Result<(), MetadataError> {
        if self.type_name != type_name {
            let problem = format!("expected type {type_name}, not {}", self.type_name);
            return Err(MetadataError::structure(role, problem));
        }
        match Version::new(self.version) {
            Err(VersionError::TooSmall) => Err(MetadataError::structure(role, too_small)),
            _ => Ok(()),
        }
    }

    /// The version, if it is one that can be stored.
    pub(crate) fn version(&self, role: &RoleName) -> Result<Version, MetadataError> {
        Version::new(self.version).map_err(|e| match e {
            VersionError::TooSmall => MetadataError::structure(role, e.to_string()),
            VersionError::TooLarge => MetadataError::VersionTooLarge {
                role: role.clone(),
                version: self.version,
            },
        })
    }

    /// Checks that the document has not expired. There is no leeway.
    pub(crate) fn check_expiry(&self, role: &RoleName, now: DateTime<Utc>) -> Result<(), MetadataError> {
        if self.expires < now {
            return Err(MetadataError::Expired {
                role: role.clone(),
                at: self.expires,
            });
        }
        Ok(())
    }
}

impl RawSignature {
    fn read(element: Json<'_>) -> Result<Self, MetadataError> {
        let fields = Fields::of(element, "document.signatures")?;
        Ok(Self {
            key_id: fields.string("keyid")?.to_owned(),
            method: fields.string("method")?.to_owned(),
            bytes: fields.bytes("sig")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Envelope::parse_slice(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn missing_fields_and_null_are_zero_values() {
        for text in [
            "{}",
            r#"{"signed":null,"signatures":null}"#,
            r#"{"signed":{},"signatures":[{}]}"#,
        ] {
            let envelope = Envelope::parse_slice(text.as_bytes()).unwrap();
            assert_eq!(envelope.version_number(), 0);
            assert_eq!(envelope.expires(), time::zero());
        }
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused() {
        for (text, expected) in [
            ("[]", "json: document is not an object"),
            ("null", "json: document is not an object"),
            ("7", "json: document is not an object"),
            (r#"{"signed":[]}"#, "json: document.signed is not an object"),
            (
                r#"{"signed":{"_type":1}}"#,
                "json: document.signed._type is not a string",
            ),
            (
                r#"{"signed":{"version":"8"}}"#,
                "json: document.signed.version is not an integer",
            ),
            (
                r#"{"signed":{"expires":"tomorrow"}}"#,
                "json: document.signed.expires is not an RFC 3339 time",
            ),
            (
                r#"{"signed":{"expires":5}}"#,
                "json: document.signed.expires is not a string",
            ),
            (
                r#"{"signed":{"expires":"2035\u002d01-01T00:00:00Z"}}"#,
                "json: document.signed.expires is not a string without escapes",
            ),
            (r#"{"signatures":{}}"#, "json: document.signatures is not a list"),
            (
                r#"{"signatures":[1]}"#,
                "json: document.signatures is not an object",
            ),
            (
                r#"{"signatures":[null]}"#,
                "json: document.signatures is not an object",
            ),
            (
                r#"{"signatures":[{"sig":"-_-_"}]}"#,
                "json: document.signatures.sig is not base64",
            ),
            (
                r#"{"signatures":[{"sig":"YQ"}]}"#,
                "json: document.signatures.sig is not base64",
            ),
            (
                r#"{"signatures":[{"keyid":1}]}"#,
                "json: document.signatures.keyid is not a string",
            ),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
    }

    #[test]
    fn the_number_of_signatures_is_limited() {
        let text = |count| format!(r#"{{"signatures":[{}]}}"#, vec!["{}"; count].join(","));
        assert!(Envelope::parse_slice(text(MAX_SIGNATURES).as_bytes()).is_ok());
        let refused = error(&text(MAX_SIGNATURES + 1));
        assert_eq!(
            refused,
            "json: document.signatures is not a list of at most 1000 signatures"
        );
    }

    #[test]
    fn a_member_that_some_readers_take_for_another_is_refused() {
        for (text, member) in [
            (r#"{"SIGNED":{}}"#, "SIGNED"),
            (r#"{"signed":{},"Signed":{}}"#, "Signed"),
            (r#"{"\u017figned":{}}"#, "\u{17f}igned"),
            (r#"{"signed":{"Version":3}}"#, "Version"),
            (r#"{"signed":{"_TYPE":"Root"}}"#, "_TYPE"),
            (r#"{"signed":{"Delegations":{}}}"#, "Delegations"),
            (r#"{"signatures":[{"\u212aeyid":"a"}]}"#, "\u{212a}eyid"),
            (r#"{"signatures":[{"KeyID":"a"}]}"#, "KeyID"),
            // This program does not use the member, but a reader that does may take either of the two.
            (r#"{"signed":{"note":1,"Note":2}}"#, "note"),
        ] {
            match Envelope::parse_slice(text.as_bytes()) {
                Err(MetadataError::Lookalike { member: found, .. }) => assert_eq!(found, member, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(Envelope::parse_slice(br#"{"signed":{"x-Signed":1,"note":2,"notes":3}}"#).is_ok());
    }
}
