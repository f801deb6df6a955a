//! What is read of a manifest: which images an index holds, and what kind of artifact something is.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use tuf::Checksum;

/// The largest manifest that registries take, in bytes.
pub const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;
/// Indexes of several images.
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
/// Everything that an image can be asked for as.
pub const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// The types of manifests and configurations of images, which programs run. Nothing with one of them is another artifact.
const OF_IMAGES: [&str; 8] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.container.image.v1+json",
];
/// The configuration of an artifact that has none; `artifactType` then says what it is.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    media_type: Option<String>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// The images that an index holds; none if it is no index.
pub(super) fn held(manifest: &[u8]) -> Vec<Checksum> {
    let Ok(index) = serde_json::from_slice::<Index>(manifest) else {
        return Vec::new();
    };
    if index
        .media_type
        .is_some_and(|kind| !INDEXES.contains(&kind.as_str()))
    {
        return Vec::new();
    }
    let held = index.manifests.iter();
    held.filter_map(|held| Checksum::parse(held.digest.strip_prefix("sha256:")?).ok())
        .collect()
}

/// What an artifact is, by its manifest: the type of its configuration, or `artifactType` if it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactType(String);

impl ArtifactType {
    /// The type that a manifest of this content type states; `None` for an image, and for a manifest that programs read
    /// in different ways: one may see an artifact in it, and another an image.
    pub fn of(content_type: &str, manifest: &[u8]) -> Option<Self> {
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let stated = serde_json::from_slice::<Stated>(manifest).ok()?;
        let kind = match (stated.config, stated.artifact) {
            (Some(config), artifact) if config == EMPTY => artifact?,
            (Some(config), _) => config,
            (None, _) => content_type.to_owned(),
        };
        (!Self::is_of_images(&kind)).then_some(Self(kind))
    }

    /// Whether this type is one that images have.
    pub fn is_of_images(kind: &str) -> bool {
        OF_IMAGES.contains(&kind)
    }

    /// Its media type.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a manifest states about what it is. Names that differ in case only, and names that come twice, are refused:
/// Go's programs take the last of them, whatever its case.
struct Stated {
    config: Option<String>,
    artifact: Option<String>,
}

impl<'de> Deserialize<'de> for Stated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut stated = Self {
            config: None,
            artifact: None,
        };
        deserializer.deserialize_map(StatedVisitor(&mut stated))?;
        Ok(stated)
    }
}

struct StatedVisitor<'a>(&'a mut Stated);

impl<'de> Visitor<'de> for StatedVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some(name) = entries.next_key::<String>()? {
            match names.note(&name)? {
                "config" => self.0.config = entries.next_value::<Config>()?.0,
                "artifactType" => self.0.artifact = Some(entries.next_value()?),
                "manifests" => return Err(serde::de::Error::custom("an index")),
                _ => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The media type of a configuration.
struct Config(Option<String>);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ConfigVisitor).map(Self)
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a descriptor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Option<String>, A::Error> {
        let (mut names, mut kind) = (Names::default(), None);
        while let Some(name) = entries.next_key::<String>()? {
            match names.note(&name)? {
                "mediaType" => kind = Some(entries.next_value()?),
                _ => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(kind)
    }
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    /// Notes a name; one that some readers take for `config` or the like, and others do not, is refused.
    fn note<'a, E: serde::de::Error>(&mut self, name: &'a str) -> Result<&'a str, E> {
        // Not only ASCII letters have another case: Go folds K (Kelvin sign) to k, and ſ to s.
        let folded = name.to_lowercase().replace('ſ', "s");
        let known = ["config", "artifactType", "manifests", "mediaType"];
        let disguised = known
            .iter()
            .any(|known| known.to_lowercase() == folded && *known != name);
        if disguised || !self.0.insert(folded) {
            return Err(E::custom("a name that not everybody reads alike"));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

    fn kind(manifest: &str) -> Option<String> {
        ArtifactType::of(OCI, manifest.as_bytes()).map(|kind| kind.0)
    }

    #[test]
    fn artifacts_are_told_from_images() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            kind(r#"{"config":{"mediaType":"application/vnd.x"}}"#),
            some("application/vnd.x")
        );
        let empty = r#"{"artifactType":"application/spdx+json","config":{"mediaType":"application/vnd.oci.empty.v1+json"}}"#;
        assert_eq!(kind(empty), some("application/spdx+json"));
        let image = r#"{"artifactType":"application/vnd.x","config":{"mediaType":"application/vnd.oci.image.config.v1+json"}}"#;
        assert_eq!(kind(image), None);
        assert_eq!(kind("{}"), None);
        assert_eq!(kind("nonsense"), None);
    }

    #[test]
    fn what_programs_read_in_different_ways_is_no_artifact() {
        for disguised in [
            r#"{"config":{"mediaType":"application/vnd.x"},"Config":{"mediaType":"i"}}"#,
            r#"{"config":{"mediaType":"application/vnd.x"},"config":{"mediaType":"i"}}"#,
            r#"{"config":{"mediaType":"application/vnd.x","MediaType":"i"}}"#,
            r#"{"CONFIG":{"mediaType":"application/vnd.x"}}"#,
            r#"{"config":{"mediaType":"application/vnd.x"},"manifests":[]}"#,
            "{\"config\":{\"mediaType\":\"application/vnd.x\"},\"manife\u{17f}ts\":[]}",
        ] {
            assert_eq!(kind(disguised), None, "{disguised}");
        }
    }

    #[test]
    fn only_an_index_holds_images() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let index = |kind: &str| {
            format!(r#"{{{kind}"manifests":[{{"digest":"{digest}"}},{{"digest":"sha512:x"}}]}}"#)
        };
        assert_eq!(held(index("").as_bytes()).len(), 1);
        assert_eq!(
            held(index(r#""mediaType":"application/vnd.oci.image.index.v1+json","#).as_bytes()).len(),
            1
        );
        assert_eq!(
            held(index(&format!(r#""mediaType":"{OCI}","#)).as_bytes()).len(),
            0
        );
        assert_eq!(held(b"{}").len(), 0);
        assert_eq!(held(b"not JSON").len(), 0);
    }
}
