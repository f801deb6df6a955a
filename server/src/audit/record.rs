//! The shape of audit records: JSON objects on one line, with keys in this order. Unknown values are left out.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who did something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The principal's name; `anonymous` for a client without one, a name in parentheses for this program's own work.
    pub principal: String,
    /// How the identity was shown, with the method names of `/basic_info`.
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
    /// The ID of the operating-system user that ran a command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub os_uid: Option<u32>,
    /// The client's certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cert: Option<Certificate>,
}

/// A client's certificate. Hashes and the serial number are in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The subject's distinguished name.
    pub subject: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The serial number.
    pub serial: String,
    /// The start of its validity.
    pub not_before: DateTime<Utc>,
    /// The end of its validity.
    pub not_after: DateTime<Utc>,
    /// The SHA-256 of the certificate.
    #[serde(rename = "x5t_s256", skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// The SHA-256 of its public key (SubjectPublicKeyInfo).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spki_sha256: Option<String>,
    /// The alternative names, each prefixed with its type.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub san: Vec<String>,
}

impl Certificate {
    /// A certificate that was refused, of which only the claimed contents are known.
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

/// A change as it is stored in the table. It contains its chain and sequence number, so that it cannot be moved
/// elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// The chain it belongs to.
    pub chain: String,
    /// Its number in the chain, from 1.
    pub sequence: i32,
    /// When it was made.
    pub ts: DateTime<Utc>,
    /// The ID of the request that asked for it.
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
    /// The action, such as `publish`, `delete`, `account.add`.
    pub action: String,
    /// The repository.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gun: Option<String>,
    /// The account, or the entry of the deny list.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// The new state, in words or JSON.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The ID of the entry in the changefeed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change_id: Option<i32>,
    /// The documents that were stored.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub documents: Vec<StoredDocument>,
    /// Documents that were set aside for those stored, because the current keys do not verify them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub set_aside: Vec<StoredDocument>,
}

/// Where the table holds the record of a change. In a sink, it later proves that the row existed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The chain.
    pub chain: String,
    /// The number in the chain.
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
    /// The request's ID, which is also in its response and in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The connection on which the request arrived.
    #[serde(flatten)]
    pub connection: Connection,
    /// The principal that asked, if known.
    #[serde(flatten)]
    pub who: Option<Who>,
    /// The number of certificates from the client's to the CA's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_len: Option<usize>,
    /// The certificate's revocation status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// What the client asked for.
    #[serde(flatten)]
    pub asked: Asked,
    /// `allowed` or `denied`. An allowed request can still fail: see `http_status`.
    pub decision: &'static str,
    /// The rule of the policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_rule: Option<String>,
    /// Why the request was denied or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The status code of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// From the head of the request to the head of the response, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// The client's User-Agent header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The generation of configuration and files that decided about it.
    pub config_generation: u64,
    /// The table row of the change that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Place>,
}

/// The connection of a request.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Connection {
    /// The listener's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The peer's address of the TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_addr: Option<String>,
    /// Whether the peer is a trusted proxy.
    pub via_proxy: bool,
    /// The TLS version, such as `TLSv1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<&'static str>,
    /// The cipher suite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// The server name that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
}

/// What a source of revocation information said.
#[derive(Debug, Clone, Serialize)]
pub struct Revocation {
    /// The source.
    pub source: &'static str,
    /// `good`, or `unknown` where the configuration tolerates that.
    pub status: &'static str,
    /// When the source will have newer information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_update: Option<DateTime<Utc>>,
    /// Why the status is unknown, where the configuration tolerates that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_open_used: Option<String>,
}

/// What a client asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Asked {
    /// The action, such as `pull`, `push`, `delete`; `connect` for a handshake.
    pub action: &'static str,
    /// The repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gun: Option<String>,
    /// The role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The requested version, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The requested checksum, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The requested image, if any: its tag or digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The documents that were stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<StoredDocument>,
    /// The service that a token was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What the token was to grant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// What it grants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<String>,
}
