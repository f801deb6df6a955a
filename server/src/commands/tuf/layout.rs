//! A repository as an OCI image layout (OCI image specification 1.1): one manifest, whose layers are the files.

use std::{fs, io, path::Path};

use serde_json::{Value, json};

use super::Exported;

/// What the manifest is: no image to be run.
const ARTIFACT: &str = "application/vnd.countersign.tuf.repository.v1";
/// The type of layers that are metadata.
const METADATA: &str = "application/vnd.tuf.metadata+json";
/// The type of layers that are target files.
const TARGET: &str = "application/vnd.tuf.target";
/// The type of an empty configuration, for what is no image.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The name of the manifest in the layout.
const TAG: &str = "latest";

/// Writes the layout into a directory that is made for it.
pub(super) fn write(directory: &Path, files: &[Exported]) -> io::Result<()> {
    fs::create_dir(directory)?;
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let blob = |kind: &str, bytes: &[u8]| -> io::Result<Value> {
        let digest = hex::encode(openssl::sha::sha256(bytes));
        fs::write(blobs.join(&digest), bytes)?;
        Ok(json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()}))
    };
    let mut layers = Vec::new();
    for file in files {
        let kind = if file.path.starts_with("metadata/") {
            METADATA
        } else {
            TARGET
        };
        let mut layer = blob(kind, &file.bytes)?;
        layer["annotations"] = json!({"org.opencontainers.image.title": file.path});
        layers.push(layer);
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": blob(EMPTY, b"{}")?,
        "layers": layers,
    });
    let mut entry = blob(MANIFEST, manifest.to_string().as_bytes())?;
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": TAG});
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    fs::write(directory.join("index.json"), index.to_string())?;
    fs::write(
        directory.join("oci-layout"),
        json!({"imageLayoutVersion": "1.0.0"}).to_string(),
    )
}
