//! What a path of a registry names, as the distribution specification writes it. Only what is read here is ever asked
//! of the registry: the path is written anew from its parts.

use std::sync::LazyLock;

use regex::Regex;

/// The longest name of a repository, in bytes; it has to be a file name in registries.
const NAME_LIMIT: usize = 255;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The list of repositories.
    Catalog,
    /// A manifest of a repository.
    Manifest(String, Reference),
    /// A blob of a repository, by its digest.
    Blob(String, String),
    /// The uploads of a repository; a new one is started here.
    Uploads(String),
    /// An upload that was started.
    Upload(String, String),
    /// The tags of a repository.
    Tags(String),
    /// What refers to a manifest, by its digest.
    Referrers(String, String),
}

/// What names a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A tag.
    Tag(String),
    /// A digest, with its algorithm.
    Digest(String),
}

impl Reference {
    /// As it stands in paths.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(text) | Self::Digest(text) => text,
        }
    }
}

const COMPONENT: &str = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*";
const TAG: &str = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}";
const DIGEST: &str = "[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]{16,256}";
const UPLOAD: &str = "[A-Za-z0-9][A-Za-z0-9._=~-]{0,511}";

static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("{COMPONENT}(?:/{COMPONENT})*")));
static PATHS: LazyLock<[Regex; 6]> = LazyLock::new(|| {
    let name = format!("/v2/(?P<name>{COMPONENT}(?:/{COMPONENT})*)");
    [
        pattern(&format!(
            "{name}/manifests/(?:(?P<digest>{DIGEST})|(?P<tag>{TAG}))"
        )),
        pattern(&format!("{name}/blobs/(?P<digest>{DIGEST})")),
        pattern(&format!("{name}/blobs/uploads/?")),
        pattern(&format!("{name}/blobs/uploads/(?P<upload>{UPLOAD})")),
        pattern(&format!("{name}/tags/list")),
        pattern(&format!("{name}/referrers/(?P<digest>{DIGEST})")),
    ]
});

fn pattern(text: &str) -> Regex {
    Regex::new(&format!("^(?:{text})$")).expect("the patterns are constants")
}

impl Resource {
    /// What a path names, exactly as it was sent; `None` if it names nothing that a registry has.
    pub fn parse(path: &str) -> Option<Self> {
        if path == "/v2/_catalog" {
            return Some(Self::Catalog);
        }
        let (kind, found) = PATHS
            .iter()
            .enumerate()
            .find_map(|(kind, pattern)| Some((kind, pattern.captures(path)?)))?;
        let part = |part: &str| found.name(part).map(|part| part.as_str().to_owned());
        let name = part("name").filter(|name| name.len() <= NAME_LIMIT)?;
        Some(match kind {
            0 => Self::Manifest(
                name,
                match part("digest") {
                    Some(digest) => Reference::Digest(digest),
                    None => Reference::Tag(part("tag")?),
                },
            ),
            1 => Self::Blob(name, part("digest")?),
            2 => Self::Uploads(name),
            3 => Self::Upload(name, part("upload")?),
            4 => Self::Tags(name),
            _ => Self::Referrers(name, part("digest")?),
        })
    }

    /// Whether a text is the name of a repository.
    pub fn is_name(text: &str) -> bool {
        text.len() <= NAME_LIMIT && NAME.is_match(text)
    }

    /// The repository.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Catalog => None,
            Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _) => Some(name),
        }
    }

    /// The path to ask the registry for.
    pub fn path(&self) -> String {
        match self {
            Self::Catalog => "/v2/_catalog".to_owned(),
            Self::Manifest(name, reference) => format!("/v2/{name}/manifests/{}", reference.as_str()),
            Self::Blob(name, digest) => format!("/v2/{name}/blobs/{digest}"),
            Self::Uploads(name) => format!("/v2/{name}/blobs/uploads/"),
            Self::Upload(name, upload) => format!("/v2/{name}/blobs/uploads/{upload}"),
            Self::Tags(name) => format!("/v2/{name}/tags/list"),
            Self::Referrers(name, digest) => format!("/v2/{name}/referrers/{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn every_path_of_the_specification_is_read_and_written_alike() {
        for path in [
            "/v2/_catalog".to_owned(),
            "/v2/app/manifests/latest".to_owned(),
            "/v2/a/b-c/d__e/f.g/manifests/V1.0_x-y".to_owned(),
            format!("/v2/team/app/manifests/{DIGEST}"),
            format!("/v2/team/app/blobs/{DIGEST}"),
            "/v2/team/app/blobs/uploads/".to_owned(),
            "/v2/team/app/blobs/uploads/7f0c6d9e-2a".to_owned(),
            "/v2/team/app/tags/list".to_owned(),
            format!("/v2/team/app/referrers/{DIGEST}"),
            "/v2/a/manifests/blobs/tags/list".to_owned(),
        ] {
            let resource = Resource::parse(&path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(resource.path(), path);
        }
        let named = Resource::parse("/v2/a/manifests/manifests/latest").unwrap();
        assert_eq!(named.name(), Some("a/manifests"));
    }

    #[test]
    fn what_a_registry_might_read_otherwise_is_not_read_at_all() {
        let long = "a".repeat(256);
        for path in [
            "/v2/",
            "/v2/app",
            "/v2/App/manifests/x",
            "/v2/a//b/manifests/x",
            "/v2/a/../b/manifests/x",
            "/v2/a/./manifests/x",
            "/v2/a%2fb/manifests/x",
            "/v2/a/manifests/x%00",
            "/v2/a/manifests/x/",
            "/v2/a/manifests/",
            "/v2/a/manifests/..",
            "/v2/a/manifests/x\n",
            "/v2/_trust/manifests/x",
            "/v2/a/_trust/manifests/x",
            "/v2/a/blobs/sha256",
            "/v2/a/blobs/uploads/../x",
            "/v2/a/blobs/uploads/.x",
            "/v2/a/tags/list/",
            "/v2/_catalog/",
            "/v2/a\\b/manifests/x",
            "v2/a/manifests/x",
            "//v2/a/manifests/x",
            &format!("/v2/{long}/manifests/x"),
        ] {
            assert_eq!(Resource::parse(path), None, "{path}");
        }
    }
}
