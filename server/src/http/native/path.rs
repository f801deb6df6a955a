//! Paths of TUF 1.0 repositories: `/tuf/v1/{repository}/{kind}/{what}`.

/// What a repository's name never has as a segment, because it ends the name in a path.
const KINDS: [&str; 5] = ["metadata", "targets", "sign", "keys", "export"];

/// Splits a decoded path at the first segment that is one of the kinds: the repository's name, the kind, and what follows
/// it without the slash; `None` if there is no such segment or no name before it.
pub fn split(path: &str) -> Option<(&str, &str, &str)> {
    let rest = path.strip_prefix("/tuf/v1/")?;
    let mut begin: usize = 0;
    for segment in rest.split('/') {
        if KINDS.contains(&segment) {
            let name = rest.get(..begin.checked_sub(1)?)?;
            let after = rest.get(begin + segment.len()..)?;
            let below = after.strip_prefix('/').unwrap_or(after);
            return Some((name, segment, below));
        }
        begin += segment.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_name_ends_at_the_first_segment_that_no_name_has() {
        for (path, expected) in [
            (
                "/tuf/v1/a/b/metadata/1.root.json",
                Some(("a/b", "metadata", "1.root.json")),
            ),
            (
                "/tuf/v1/a/targets/metadata/x",
                Some(("a", "targets", "metadata/x")),
            ),
            ("/tuf/v1/a/keys", Some(("a", "keys", ""))),
            ("/tuf/v1/a/sign/", Some(("a", "sign", ""))),
            ("/tuf/v1/metadatas/sign", Some(("metadatas", "sign", ""))),
            ("/tuf/v1/metadata/1.root.json", None),
            ("/tuf/v1/a/b", None),
            ("/v2/a/metadata/x", None),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }
}
