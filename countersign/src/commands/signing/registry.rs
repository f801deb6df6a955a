//! What a registry has for a tag or digest.

use client::{Server, publish::Target};
use serde_json::Value;
use tuf::{Checksum, Gun};
use verifier::ImageReference;

use crate::{commands::Failure, decider::TrustSettings};

/// Asks the registry of an image for the manifest of the digest, or else of the tag. What is signed is the SHA-256 of what
/// it gave, whatever it calls it.
pub(super) async fn manifest(
    image: &ImageReference,
    tag: &str,
    digest: Option<&Checksum>,
    settings: &TrustSettings,
) -> Result<Target, Failure> {
    let connection = settings.discovery.registry(&settings.given, image.host())?;
    let registry = Server::new(&connection)?;
    let path = image.name().strip_prefix(image.host()).unwrap_or_default();
    let name = Gun::parse(path.trim_start_matches('/'))?;
    let reference = digest.map_or_else(|| tag.to_owned(), |digest| format!("sha256:{digest}"));
    let content = registry.manifest(&name, &reference).await?;
    let content = content.ok_or_else(|| {
        Failure(format!(
            "the registry {} has no {reference} in {name}: push the image before it is signed",
            registry.label()
        ))
    })?;
    let found = Checksum::of(&content);
    if digest.is_some_and(|digest| *digest != found) {
        return Err(Failure(format!(
            "the registry {} gave something else for {reference}: its digest is sha256:{found}",
            registry.label()
        )));
    }
    must_be_manifest(&content).map_err(|reason| Failure(format!("{}: {reason}", registry.label())))?;
    Ok(Target {
        sha256: found,
        length: content.len() as u64,
        custom: None,
    })
}

/// Checks that something is a manifest that engines know by the SHA-256 of its bytes.
pub(super) fn must_be_manifest(content: &[u8]) -> Result<(), String> {
    let manifest: Value = serde_json::from_slice(content)
        .map_err(|cause| format!("this is not the JSON of a manifest: {cause}"))?;
    match manifest["schemaVersion"].as_u64() {
        Some(2) => Ok(()),
        Some(1) => Err("this is a manifest of the first kind, whose digest is not that of its bytes; push the image with \
                        a newer program"
            .into()),
        _ => Err("this is not a manifest of an image or index: its schemaVersion is not 2".into()),
    }
}
