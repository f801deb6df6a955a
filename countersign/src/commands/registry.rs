//! The registry of an image, and what it has for a tag or digest.

use bytes::Bytes;
use client::{Connection, ReadError, Server, is_this_machine, publish::Target};
use serde_json::Value;
use tuf::{Checksum, Gun};
use verifier::ImageReference;

use crate::{commands::Failure, decider::TrustSettings};

/// A registry that was reached, and the manifest for which it was asked.
pub(super) struct Reached {
    /// The registry.
    pub(super) server: Server,
    /// The name of the repository there, without a host.
    pub(super) name: Gun,
    /// The manifest.
    pub(super) content: Bytes,
    /// The SHA-256 of that.
    pub(super) sha256: Checksum,
}

/// Asks the registry of an image for the manifest of the digest, or else of the tag. What is signed is the SHA-256 of what
/// it gave, whatever it calls it.
pub(super) async fn manifest(
    image: &ImageReference,
    tag: &str,
    digest: Option<&Checksum>,
    settings: &TrustSettings,
    insecure: Option<&str>,
) -> Result<Target, Failure> {
    let found = reach(image, tag, digest, settings, insecure).await?;
    Ok(Target {
        sha256: found.sha256,
        length: found.content.len() as u64,
        custom: None,
    })
}

/// Reaches the registry of an image, and asks it for the manifest of the digest, or else of the tag. Plain HTTP is for
/// registries on this machine, as for Docker, and for `insecure`, where only a digest is taken, because anybody on the way
/// can answer.
pub(super) async fn reach(
    image: &ImageReference,
    tag: &str,
    digest: Option<&Checksum>,
    settings: &TrustSettings,
    insecure: Option<&str>,
) -> Result<Reached, Failure> {
    let host = image.host();
    if let Some(named) = insecure {
        if named != host {
            return Err(Failure(format!(
                "--insecure-registry {named} is not the registry of {image}, which is {host}"
            )));
        }
        if digest.is_none() && !is_this_machine(host) {
            return Err(Failure(format!(
                "over plain HTTP anybody on the way could say what {image} is: name the digest, with --digest sha256:..."
            )));
        }
        let connection = settings.discovery.plain_registry(host)?;
        return Ok(ask(&connection, image, tag, digest).await?);
    }
    let connection = settings.discovery.registry(&settings.given, host)?;
    let found = ask(&connection, image, tag, digest).await;
    if !(is_this_machine(host) && matches!(found, Err(Refusal::Unreachable(_)))) {
        return Ok(found?);
    }
    let plain = ask(&settings.discovery.plain_registry(host)?, image, tag, digest).await;
    match plain {
        // What was wrong with TLS says more.
        Err(Refusal::Unreachable(_)) => Ok(found?),
        answered => Ok(answered?),
    }
}

/// Why a registry gave nothing.
enum Refusal {
    /// It did not answer as a registry does.
    Unreachable(Failure),
    /// It answered.
    Answered(Failure),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (Refusal::Unreachable(failure) | Refusal::Answered(failure)) = refusal;
        failure
    }
}

async fn ask(
    connection: &Connection,
    image: &ImageReference,
    tag: &str,
    digest: Option<&Checksum>,
) -> Result<Reached, Refusal> {
    let answered = |sentence: String| Refusal::Answered(Failure(sentence));
    let registry = Server::new(connection).map_err(|cause| answered(cause.to_string()))?;
    let path = image.name().strip_prefix(image.host()).unwrap_or_default();
    let name = Gun::parse(path.trim_start_matches('/')).map_err(|cause| answered(cause.to_string()))?;
    let reference = digest.map_or_else(|| tag.to_owned(), |digest| format!("sha256:{digest}"));
    let content = registry.manifest(&name, &reference).await.map_err(|cause| {
        match (&cause, &connection.unused_login) {
            (ReadError::Unauthorized { .. } | ReadError::Forbidden { .. }, Some(unused)) => {
                answered(format!("{cause}; {unused}"))
            }
            _ if cause.is_silence() => Refusal::Unreachable(Failure(cause.to_string())),
            _ => answered(cause.to_string()),
        }
    })?;
    let content = content.ok_or_else(|| {
        answered(format!(
            "the registry {} has no {reference} in {name}: push the image before it is signed",
            registry.label()
        ))
    })?;
    let found = Checksum::of(&content);
    if digest.is_some_and(|digest| *digest != found) {
        return Err(answered(format!(
            "the registry {} gave something else for {reference}: its digest is sha256:{found}",
            registry.label()
        )));
    }
    must_be_manifest(&content).map_err(|reason| answered(format!("{}: {reason}", registry.label())))?;
    Ok(Reached {
        server: registry,
        name,
        content,
        sha256: found,
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
