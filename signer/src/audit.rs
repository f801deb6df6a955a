//! One log line for each decision: who asked for what, and what became of it. Never content, never
//! key material.

use tonic::Code;

use crate::grpc::Peer;

/// The longest text of a caller in a line, in characters; the database holds no longer ones.
const TEXT_LIMIT: usize = 255;

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
        key.id = shortened(request.key_id),
        repo.gun = shortened(request.gun),
        role.name = shortened(request.role),
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
        key.id = shortened(request.key_id),
        repo.gun = shortened(request.gun),
        role.name = shortened(request.role),
        peer.address = peer.address(),
        peer.cn = peer.common_name(),
        peer.subject = peer.subject(),
        peer.serial = peer.serial(),
        "{} refused",
        request.action
    );
}

/// A caller may send megabytes where a name belongs.
fn shortened(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(TEXT_LIMIT)
        .map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("gun"), "gun");
        let cut = shortened(&"日".repeat(1000)).to_owned();
        assert_eq!(cut, "日".repeat(255));
    }
}
