//! Image references as people write them.
//!
//! The grammar is that of distribution's references: `[host[:port]/]path[:tag][@digest]`. Docker's short names are
//! completed: `alpine` is `docker.io/library/alpine`.

use std::fmt;

use thiserror::Error;
use tuf::{Checksum, Gun, GunError};

/// The registry of names without a host.
const DEFAULT_HOST: &str = "docker.io";

/// Another name of the default registry.
const LEGACY_HOST: &str = "index.docker.io";

/// Longest name, in bytes (distribution's limit).
const MAX_NAME: usize = 255;

/// Longest tag, in bytes (distribution's limit).
const MAX_TAG: usize = 128;

/// The tag of references that have neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// An image as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    written_name: String,
    gun: Gun,
    /// The name by which patterns match.
    matched: String,
    tag: Option<String>,
    digest: Option<Checksum>,
}

/// Why a text is not an image reference that can be judged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// It is empty.
    #[error("an image reference must not be empty")]
    Empty,
    /// The name breaks the grammar.
    #[error(
        "{0:?} is not an image name: it is made of lower case letters, digits and single separators (. _ - or two _) in \
         components between slashes, after an optional host"
    )]
    Name(String),
    /// The name is that of image IDs.
    #[error("{0:?} is the ID of an image and not its name: IDs are not signed, write the name")]
    ImageId(String),
    /// The name is too long.
    #[error("an image name has at most {MAX_NAME} characters, this one has {0}")]
    TooLong(usize),
    /// The tag breaks the grammar.
    #[error(
        "{0:?} is not a tag: it is made of at most {MAX_TAG} letters, digits, and, after the first, . and -"
    )]
    Tag(String),
    /// The digest is not a SHA-256.
    #[error(
        "{0:?} is not a digest that can be judged: trust data names images by SHA-256, so it is sha256: and 64 lower case \
         hexadecimal digits"
    )]
    Digest(String),
    /// The name is not one that a trust server knows.
    #[error(transparent)]
    Gun(#[from] GunError),
}

impl ImageReference {
    /// Reads a reference.
    ///
    /// # Errors
    /// See [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(read_digest(digest)?)),
            None => (text, None),
        };
        // A colon after the last slash begins a tag; before it, it belongs to the host.
        let path = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(path..).and_then(|last| last.find(':')) {
            Some(colon) => {
                let (name, tag) = rest.split_at(path + colon);
                (name, Some(read_tag(tag.get(1..).unwrap_or_default())?))
            }
            None => (rest, None),
        };
        let is_id =
            |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        // Engines take both for an ID before they look for a name.
        if is_id(name) || name == "sha256" && tag.as_deref().is_some_and(is_id) {
            return Err(ReferenceError::ImageId(rest.to_owned()));
        }
        let (host, path) = split_host(name);
        let invalid = || ReferenceError::Name(name.to_owned());
        if !is_host(host) || !path.split('/').all(is_component) {
            return Err(invalid());
        }
        let completed = format!("{host}/{path}");
        let completed = match path.split_once('/') {
            None if host == DEFAULT_HOST => format!("{host}/library/{path}"),
            _ => completed,
        };
        if completed.len() > MAX_NAME {
            return Err(ReferenceError::TooLong(completed.len()));
        }
        Ok(Self {
            written_name: name.to_owned(),
            matched: matched_name(&completed),
            gun: Gun::parse(&completed)?,
            tag,
            digest,
        })
    }

    /// The completed name: that of the repository.
    pub fn name(&self) -> &str {
        self.gun.as_str()
    }

    /// The name as written.
    pub fn written_name(&self) -> &str {
        &self.written_name
    }

    /// The repository of its trust data.
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// The host of its registry, with the port if one is written.
    pub fn host(&self) -> &str {
        self.name().split_once('/').map_or("", |(host, _)| host)
    }

    /// The tag as written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest as written.
    pub fn digest(&self) -> Option<&Checksum> {
        self.digest.as_ref()
    }

    /// The tag that is meant: the one written, `latest` if there is neither tag nor digest, and `None` for a digest alone.
    pub fn effective_tag(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag),
            (None, None) => Some(DEFAULT_TAG),
            (None, Some(_)) => None,
        }
    }

    /// The name by which patterns match: hosts are the same in any case, and with the default port of HTTPS or without.
    pub(crate) fn matched_name(&self) -> &str {
        &self.matched
    }

    /// The reference with this digest: the name as written, the [effective tag](Self::effective_tag) if it is to be kept,
    /// and `@sha256:...`.
    pub fn pinned(&self, digest: &Checksum, keep_tag: bool) -> String {
        match self.effective_tag().filter(|_| keep_tag) {
            Some(tag) => format!("{}:{tag}@sha256:{digest}", self.written_name),
            None => format!("{}@sha256:{digest}", self.written_name),
        }
    }
}

/// The reference as written.
impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written_name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@sha256:{digest}")?;
        }
        Ok(())
    }
}

/// A completed name, or the pattern of some, with the host as it is compared.
pub(crate) fn matched_name(name: &str) -> String {
    let (host, path) = match name.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (name, None),
    };
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host);
    let host = if host == LEGACY_HOST { DEFAULT_HOST } else { host };
    match path {
        Some(path) => format!("{host}/{path}"),
        None => host.to_owned(),
    }
}

/// The host and the rest of a name. The first component is a host if it could not be that of a path.
fn split_host(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (if first == LEGACY_HOST { DEFAULT_HOST } else { first }, rest)
        }
        _ => (DEFAULT_HOST, name),
    }
}

fn is_host(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let is_address = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Runs of lower case letters and digits, with one dot, one or two underscores, or any number of hyphens between them.
fn is_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().copied().is_some_and(alphanumeric) || !bytes.last().copied().is_some_and(alphanumeric) {
        return false;
    }
    let mut separators = bytes.split(|&b| alphanumeric(b)).filter(|run| !run.is_empty());
    separators.all(|run| run == b"." || run == b"_" || run == b"__" || run.iter().all(|&b| b == b'-'))
}

fn read_tag(text: &str) -> Result<String, ReferenceError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = text.bytes();
    let valid = text.len() <= MAX_TAG
        && bytes.next().is_some_and(word)
        && bytes.all(|b| word(b) || b == b'.' || b == b'-');
    if valid {
        Ok(text.to_owned())
    } else {
        Err(ReferenceError::Tag(text.to_owned()))
    }
}

fn read_digest(text: &str) -> Result<Checksum, ReferenceError> {
    let wrong = || ReferenceError::Digest(text.to_owned());
    let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?;
    // Engines and registries compare digests as texts, so only one case is one.
    if digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(wrong());
    }
    Checksum::parse(digits).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn parse(text: &str) -> ImageReference {
        ImageReference::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    #[test]
    fn short_names_are_completed_and_written_ones_kept() {
        for (text, name, written, tag) in [
            ("alpine", "docker.io/library/alpine", "alpine", Some("latest")),
            ("alpine:3", "docker.io/library/alpine", "alpine", Some("3")),
            ("acme/app", "docker.io/acme/app", "acme/app", Some("latest")),
            (
                "docker.io/alpine",
                "docker.io/library/alpine",
                "docker.io/alpine",
                Some("latest"),
            ),
            (
                "index.docker.io/a/b",
                "docker.io/a/b",
                "index.docker.io/a/b",
                Some("latest"),
            ),
            ("localhost/a", "localhost/a", "localhost/a", Some("latest")),
            ("reg:5000/a/b:c", "reg:5000/a/b", "reg:5000/a/b", Some("c")),
            ("Reg.Example/a", "Reg.Example/a", "Reg.Example/a", Some("latest")),
            (
                "[fe80::1]:5000/a:b",
                "[fe80::1]:5000/a",
                "[fe80::1]:5000/a",
                Some("b"),
            ),
        ] {
            let image = parse(text);
            assert_eq!((image.name(), image.written_name()), (name, written), "{text}");
            assert_eq!(image.effective_tag(), tag, "{text}");
            assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn hosts_match_in_any_case_and_with_the_default_port() {
        for text in ["reg.example/a", "REG.example/a", "reg.example:443/a"] {
            assert_eq!(parse(text).matched_name(), "reg.example/a");
        }
        assert_eq!(parse("reg.example:4430/a").matched_name(), "reg.example:4430/a");
    }

    #[test]
    fn a_digest_replaces_the_default_tag_and_stays_beside_a_written_one() {
        let alone = parse(&format!("a/b@sha256:{DIGEST}"));
        assert_eq!((alone.tag(), alone.effective_tag()), (None, None));
        assert_eq!(alone.digest().unwrap().as_hex(), DIGEST);
        let both = parse(&format!("a/b:c@sha256:{DIGEST}"));
        assert_eq!(both.effective_tag(), Some("c"));
        let digest = *both.digest().unwrap();
        assert_eq!(both.pinned(&digest, true), format!("a/b:c@sha256:{DIGEST}"));
        assert_eq!(both.pinned(&digest, false), format!("a/b@sha256:{DIGEST}"));
        assert_eq!(alone.pinned(&digest, true), format!("a/b@sha256:{DIGEST}"));
        assert_eq!(
            parse("a").pinned(&digest, true),
            format!("a:latest@sha256:{DIGEST}")
        );
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "a".repeat(256);
        for text in [
            "",
            ":",
            "@",
            "a:",
            "a@",
            "/a",
            "a/",
            "a//b",
            "A",
            "Foo/bar",
            "a b",
            "a\n",
            "a..b",
            "a___b",
            "a.-b",
            "-a",
            "a-",
            "reg.example/A",
            "reg.example:/a",
            "reg.example:x/a",
            "-reg.example/a",
            "reg..example/a",
            "a:b:c",
            "a:.b",
            "a:b/c:d",
            "https://reg.example/a",
            "a@md5:00",
            "a@sha512:00",
            &format!("a@sha256:{}", DIGEST.to_uppercase()),
            &format!("a@sha256:{DIGEST}@sha256:{DIGEST}"),
            &format!("sha256:{DIGEST}"),
            &format!("a@sha256:{}", &DIGEST[1..]),
            DIGEST,
            &long,
            &format!("a:{}", "b".repeat(129)),
            "[::1/a",
            "ä/b",
        ] {
            assert!(ImageReference::parse(text).is_err(), "{text}");
        }
    }
}
