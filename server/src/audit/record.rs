//! The shape of audit records: JSON objects of one line, with keys in this order; what is unknown is left out.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who did something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The principal's name; `anonymous` for nobody, in parentheses for this program's own work.
    pub principal: String,
    /// How it was shown, by the names of `/basic_info`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auth_method: Option<String>,
    /// The principal's groups.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub groups: Vec<String>,
    /// The identity rule that gave the name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity_rule: Option<String>,
    /// The client's address and port.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub real_addr: Option<String>,
    /// The number of the operating system's user that ran a command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub os_uid: Option<u32>,
    /// The client's certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cert: Option<Certificate>,
}

/// A client's certificate. Hashes and the serial number are in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its number among the issuer's.
    pub serial: String,
    /// From when it is valid.
    pub not_before: DateTime<Utc>,
    /// Until when it is valid.
    pub not_after: DateTime<Utc>,
    /// Its SHA-256.
    #[serde(rename = "x5t_s256", skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// The SHA-256 of its key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spki_sha256: Option<String>,
    /// The alternative names, each with its kind before it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub san: Vec<String>,
}

impl Certificate {
    /// One that is refused, of which only what it claims is known.
    pub fn refused(certificate: &platform::tls::ClientCertificate) -> Self {
        Self {
            subject: certificate.subject(),
            issuer: certificate.issuer(),
            serial: certificate.serial(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            sha256: None,
            spki_sha256: None,
            san: Vec::new(),
        }
    }
}

/// A document that was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDocument {
    /// Its role.
    pub role: String,
    /// Its version.
    pub version: i32,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

/// A change, as it stands in the table. It names its own place, so that it cannot be moved to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// The chain it belongs to.
    pub chain: String,
    /// Its place in the chain, from 1.
    pub sequence: i32,
    /// When it was made.
    pub ts: DateTime<Utc>,
    /// The request that asked for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// Who made it.
    #[serde(flatten)]
    pub who: Who,
    /// What was changed.
    #[serde(flatten)]
    pub change: Change,
}

/// What was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Such as `publish`, `delete`, `account.add`.
    pub action: String,
    /// The repository.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gun: Option<String>,
    /// The account, or whoever must not get in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// How it is now, in words or JSON.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The place in the changefeed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change_id: Option<i32>,
    /// The documents stored.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub documents: Vec<StoredDocument>,
    /// Documents that made room for those stored: the keys in force do not verify them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub set_aside: Vec<StoredDocument>,
}

/// Where the table holds the record of a change: in a sink, it proves later that the row was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The chain.
    pub chain: String,
    /// The place in the chain.
    pub sequence: i32,
    /// The row's hash.
    pub hash: String,
}

/// A decision about a request, or a failed handshake, as it goes to the sinks.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    /// When it was made.
    pub ts: DateTime<Utc>,
    /// `request` or `handshake`.
    pub kind: &'static str,
    /// The request's name, also in its answer and in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The connection it came over.
    #[serde(flatten)]
    pub connection: Connection,
    /// Who asked, if it is known.
    #[serde(flatten)]
    pub who: Option<Who>,
    /// The number of certificates from the client's to the CA's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_len: Option<usize>,
    /// What was found out about the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// What was asked for.
    #[serde(flatten)]
    pub asked: Asked,
    /// `allowed` or `denied`. What is allowed can fail all the same: see `http_status`.
    pub decision: &'static str,
    /// The rule of the policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_rule: Option<String>,
    /// Why it was denied, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// From the head of the request to the head of the answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The generation of configuration and files that decided.
    pub config_generation: u64,
    /// The row of what was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Place>,
}

/// The connection of a request.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Connection {
    /// The listener's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The other end of the TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_addr: Option<String>,
    /// Whether the other end is a trusted proxy.
    pub via_proxy: bool,
    /// Such as `TLSv1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<&'static str>,
    /// The cipher suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// The name that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
}

/// What a source of withdrawn certificates said.
#[derive(Debug, Clone, Serialize)]
pub struct Revocation {
    /// Where the knowledge is from.
    pub source: &'static str,
    /// `good`, or `unknown` where that is forgiven.
    pub status: &'static str,
    /// When the source says anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_update: Option<DateTime<Utc>>,
    /// Why nothing is known, where that is forgiven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_open_used: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Asked {
    /// Such as `pull`, `push`, `delete`; `connect` for a handshake.
    pub action: &'static str,
    /// The repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gun: Option<String>,
    /// The role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The version asked for, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The checksum asked for, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The documents stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<StoredDocument>,
}
