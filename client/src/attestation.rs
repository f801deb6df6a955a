//! Has a trust server record that an image is attested to programs that read other signatures (`docs/attest.md`).

use reqwest::{StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tuf::{Checksum, Gun};

use crate::failure::ReadError;
use crate::server::{Access, Server};

/// The largest answer, in bytes.
const ANSWER_LIMIT: u64 = 1 << 16;
/// The code with which a server that has the route says that it has no such repository.
const NO_REPOSITORY: &str = "NO_SUCH_REPOSITORY";

/// What is about to be attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation<'a> {
    /// The repository.
    pub gun: &'a Gun,
    /// The signed tag.
    pub tag: &'a str,
    /// What it is signed with.
    pub digest: Checksum,
    /// The image that the signature names, where the tag is signed with the digest of an index that holds it.
    pub manifest: Option<Checksum>,
    /// `cosign` or `simple-signing`.
    pub kind: &'static str,
    /// The key that signs: the SHA-256 of its SubjectPublicKeyInfo in lower case hexadecimal, or an OpenPGP fingerprint.
    pub key: &'a str,
    /// The version of the root that the verdict rests on.
    pub root_version: i32,
    /// The version of its timestamp.
    pub timestamp_version: i32,
    /// What is signed.
    pub payload: Checksum,
}

/// Where the record is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AttestationRecord {
    /// The chain.
    pub chain: String,
    /// The record's number in it.
    pub sequence: i32,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

/// Why nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttestationError {
    /// The server is of another kind.
    #[error(
        "{server} keeps no records of attestations, and what nobody records is not attested: that takes a Countersign server \
         which knows /api/v0/attestations"
    )]
    NoSuchServer {
        /// The server that was asked.
        server: String,
    },
    /// It refused, or could not be asked.
    #[error(transparent)]
    Refused(#[from] ReadError),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    gun: &'a str,
    tag: &'a str,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    kind: &'a str,
    key: &'a str,
    root_version: i32,
    timestamp_version: i32,
    #[serde(rename = "payloadSHA256")]
    payload: String,
}

impl Server {
    /// Has an attestation recorded. The record is on the server's disk when this returns.
    ///
    /// # Errors
    /// When the server does not know of attestations, refuses, says that it is not so, or cannot be reached.
    pub async fn record_attestation(
        &self,
        attestation: &Attestation<'_>,
    ) -> Result<AttestationRecord, AttestationError> {
        let address = self.interface_address(["attestations"]);
        let body = Body {
            gun: attestation.gun.as_str(),
            tag: attestation.tag,
            digest: format!("sha256:{}", attestation.digest),
            manifest: attestation.manifest.map(|manifest| format!("sha256:{manifest}")),
            kind: attestation.kind,
            key: attestation.key,
            root_version: attestation.root_version,
            timestamp_version: attestation.timestamp_version,
            payload: attestation.payload.as_hex(),
        };
        let malformed = |what: String| ReadError::Malformed {
            server: self.label().to_owned(),
            what,
        };
        let body = serde_json::to_string(&body).map_err(|cause| malformed(cause.to_string()))?;
        let answer = self
            .exchange(
                attestation.gun,
                Access::Pull,
                "the answer",
                ANSWER_LIMIT,
                |client| {
                    let request = client.post(address.clone()).body(body.clone());
                    request.header(CONTENT_TYPE, "application/json")
                },
            )
            .await?;
        let of_another_kind = || AttestationError::NoSuchServer {
            server: self.label().to_owned(),
        };
        match answer.status {
            StatusCode::CREATED => serde_json::from_slice(&answer.body).map_err(|cause| {
                malformed(format!("its record of the attestation cannot be read: {cause}")).into()
            }),
            // Any other success means that nothing was recorded.
            status if status.is_success() => Err(of_another_kind()),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Err(of_another_kind()),
            status if status.is_client_error() => match self.rejection(&answer) {
                ReadError::Rejected { code, .. }
                    if status == StatusCode::NOT_FOUND && code != NO_REPOSITORY =>
                {
                    Err(of_another_kind())
                }
                refused => Err(refused.into()),
            },
            _ => Err(self.unexpected(&answer).into()),
        }
    }
}
