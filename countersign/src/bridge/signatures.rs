//! The manifest in which cosign keeps the signatures of an image: each a layer whose content is what is signed, with the
//! signature in an annotation. Layers of others stay as they are.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use tuf::Checksum;

use super::payload::digest;
use crate::strict_json::{self, Names};

/// The media type of the manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a layer.
const LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation with a signature, in Base64.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// How many signatures of one image are looked at. Each is a question to the registry.
const MOST: usize = 200;

/// The signatures of one image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signatures {
    manifest: Value,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    /// What is signed.
    pub(super) payload: Checksum,
    /// The length of that, in bytes.
    pub(super) size: u64,
    /// The signature.
    pub(super) bytes: Vec<u8>,
}

/// A manifest with its configuration, to be stored.
pub(super) struct Written {
    pub(super) manifest: Bytes,
    pub(super) config: Bytes,
}

impl Signatures {
    /// Of an image that has none.
    pub(super) fn none() -> Self {
        Self {
            manifest: json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": []}),
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is not one of signatures, or has too many; in words.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let manifest = strict_json::parse(bytes, Names::Exact)
            .map_err(|cause| format!("what is kept as its signatures cannot be read: {cause}"))?;
        let is_manifest = manifest["schemaVersion"] == 2
            && manifest.get("mediaType").is_none_or(|kind| kind == MANIFEST)
            && manifest["config"].is_object();
        let layers = manifest["layers"].as_array().filter(|_| is_manifest);
        let layers =
            layers.ok_or("what is kept as its signatures is not an OCI manifest, and is left as it is")?;
        if layers.len() > MOST {
            return Err(format!(
                "it has {} signatures, and at most {MOST} are looked at; remove those that nobody needs",
                layers.len()
            ));
        }
        Ok(Self { manifest })
    }

    fn layers(&self) -> &[Value] {
        self.manifest["layers"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Those that could be read.
    pub(super) fn all(&self) -> Vec<Signature> {
        self.layers().iter().filter_map(Signature::of).collect()
    }

    /// The same with one more, in place of these.
    pub(super) fn replacing(&self, former: &[Signature], with: &Signature) -> Self {
        let stays = |layer: &&Value| {
            Signature::of(layer).is_none_or(|found| !former.contains(&found) && found != *with)
        };
        let mut layers: Vec<Value> = self.layers().iter().filter(stays).cloned().collect();
        layers.push(json!({
            "mediaType": LAYER,
            "digest": digest(&with.payload),
            "size": with.size,
            "annotations": {SIGNATURE: STANDARD.encode(&with.bytes)},
        }));
        let mut manifest = self.manifest.clone();
        manifest["layers"] = layers.into();
        Self { manifest }
    }

    /// The manifest, with a configuration that fits its layers: readers compare how many there are.
    pub(super) fn write(&self) -> Written {
        let layers: Vec<&Value> = self.layers().iter().map(|layer| &layer["digest"]).collect();
        let epoch = "0001-01-01T00:00:00Z";
        let config = json!({
            "architecture": "", "config": {}, "created": epoch, "history": [{"created": epoch}], "os": "",
            "rootfs": {"type": "layers", "diff_ids": layers},
        });
        let config = Bytes::from(config.to_string());
        let mut manifest = self.manifest.clone();
        manifest["config"] = json!({
            "mediaType": CONFIG, "digest": digest(&Checksum::of(&config)), "size": config.len(),
        });
        Written {
            manifest: Bytes::from(manifest.to_string()),
            config,
        }
    }
}

impl Signature {
    fn of(layer: &Value) -> Option<Self> {
        if layer["mediaType"] != LAYER {
            return None;
        }
        let payload = layer["digest"].as_str()?.strip_prefix("sha256:")?;
        let signature = layer["annotations"][SIGNATURE].as_str()?;
        Some(Self {
            payload: Checksum::parse(payload).ok()?,
            size: layer["size"].as_u64()?,
            bytes: STANDARD.decode(signature).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(content: &str) -> Signature {
        Signature {
            payload: Checksum::of(content.as_bytes()),
            size: content.len() as u64,
            bytes: content.as_bytes().to_vec(),
        }
    }

    #[test]
    fn signatures_of_others_stay_whatever_is_written_with_them() {
        let theirs = json!({
            "mediaType": LAYER, "digest": digest(&Checksum::of(b"theirs")), "size": 6,
            "annotations": {SIGNATURE: "dGhlaXJz", "dev.sigstore.cosign/certificate": "x"}, "urls": ["x"],
        });
        let strange = json!({"mediaType": "application/x", "digest": "sha512:00", "size": 1});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": [theirs, strange],
            "annotations": {"a": "b"}, "subject": {"digest": "sha256:00"},
        });
        let before = Signatures::read(manifest.to_string().as_bytes()).unwrap();
        assert_eq!(before.all().len(), 1);
        let (first, second) = (signature("first"), signature("second"));
        let once = before.replacing(&[], &first);
        assert_eq!(once.replacing(&[], &first), once);
        let twice = once.replacing(std::slice::from_ref(&first), &second);
        let written = twice.write();
        let read = Signatures::read(&written.manifest).unwrap();
        assert_eq!(read.layers()[..2], [theirs, strange]);
        assert_eq!(read.all()[1..], [second]);
        assert_eq!(read.manifest["annotations"], json!({"a": "b"}));
        let config: Value = serde_json::from_slice(&written.config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
        assert_eq!(
            read.manifest["config"]["digest"],
            digest(&Checksum::of(&written.config))
        );
    }

    #[test]
    fn what_is_no_manifest_of_signatures_is_not_written_over() {
        for other in [
            "",
            "{}",
            "[]",
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
            r#"{"schemaVersion":2,"config":{},"layers":{}}"#,
            r#"{"schemaVersion":2,"config":{},"layers":[],"layers":[]}"#,
        ] {
            assert!(Signatures::read(other.as_bytes()).is_err(), "{other}");
        }
        let many = json!({"schemaVersion": 2, "config": {}, "layers": vec![json!({}); MOST + 1]});
        assert!(Signatures::read(many.to_string().as_bytes()).is_err());
    }
}
