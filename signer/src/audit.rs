//! One log line for each decision: who asked for what, and what became of it. Never content, never
//! key material.

use tonic::Code;

use crate::grpc::Peer;

/// What a caller asked for.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// The method, such as `CreateKey`.
    pub action: &'static str,
    /// The key, if the caller named one or was given one.
    pub key_id: &'a str,
    /// The GUN the key is for, as far as known.
    pub gun: &'a str,
    /// The role the key is for, as far as known.
    pub role: &'a str,
    /// The version of the metadata signed.
    pub version: Option<i64>,
}

/// The caller got what it asked for.
pub fn granted(peer: &Peer, request: &Request<'_>) {
    tracing::info!(
        audit = true,
        outcome = "granted",
        action = request.action,
        key.id = request.key_id,
        repo.gun = request.gun,
        role.name = request.role,
        metadata.version = request.version,
        peer.address = peer.address(),
        peer.cn = peer.common_name(),
        peer.subject = peer.subject(),
        peer.serial = peer.serial(),
        "{} granted",
        request.action
    );
}

/// The caller did not get it, for this reason.
pub fn refused(peer: &Peer, request: &Request<'_>, code: Code, reason: &dyn std::fmt::Display) {
    tracing::warn!(
        audit = true,
        outcome = "refused",
        action = request.action,
        reason = %reason,
        code = ?code,
        key.id = request.key_id,
        repo.gun = request.gun,
        role.name = request.role,
        peer.address = peer.address(),
        peer.cn = peer.common_name(),
        peer.subject = peer.subject(),
        peer.serial = peer.serial(),
        "{} refused",
        request.action
    );
}
