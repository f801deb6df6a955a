//! One log line for each decision: who asked for what, and whether it was granted. Never content, never key material.

use tonic::Code;

/// The longest text of a caller in a line, in characters: the limit of the database's columns.
const TEXT_LIMIT: usize = 255;

/// The caller, as its connection and its verified certificate describe it. Fields that they do not give are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'a> {
    /// IP address and port.
    pub address: &'a str,
    /// The certificate's common name, if it has exactly one.
    pub common_name: &'a str,
    /// The certificate's subject as one line (RFC 4514).
    pub subject: &'a str,
    /// The certificate's serial number in upper-case hex.
    pub serial: &'a str,
}

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
pub fn granted(caller: Caller<'_>, request: &Request<'_>) {
    tracing::info!(
        audit = true,
        outcome = "granted",
        action = request.action,
        key.id = shortened(request.key_id),
        repo.gun = shortened(request.gun),
        role.name = shortened(request.role),
        metadata.version = request.version,
        peer.address = caller.address,
        peer.cn = caller.common_name,
        peer.subject = caller.subject,
        peer.serial = caller.serial,
        "{} granted",
        request.action
    );
}

/// The caller did not get it, for this reason.
pub fn refused(caller: Caller<'_>, request: &Request<'_>, code: Code, reason: &str) {
    tracing::warn!(
        audit = true,
        outcome = "refused",
        action = request.action,
        reason,
        code = ?code,
        key.id = shortened(request.key_id),
        repo.gun = shortened(request.gun),
        role.name = shortened(request.role),
        peer.address = caller.address,
        peer.cn = caller.common_name,
        peer.subject = caller.subject,
        peer.serial = caller.serial,
        "{} refused",
        request.action
    );
}

/// A caller may send megabytes in place of a name.
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
