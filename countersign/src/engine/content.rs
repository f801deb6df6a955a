//! Whether what the engine has locally is what was signed under the name that a client uses.

use std::future::Future;

use thiserror::Error;
use verifier::{ImageReference, Verdict};

use super::local::{Engine, EngineError, LocalContainer, LocalImage};
use crate::line;

/// What is known of the engine's images and containers.
pub trait Containers {
    /// The image that the engine finds by a name or ID; `None` if there is none.
    fn image(&self, name: &str) -> impl Future<Output = Result<Option<LocalImage>, EngineError>> + Send;
    /// The container that it finds by a name or ID; `None` if there is none.
    fn container(&self, id: &str)
    -> impl Future<Output = Result<Option<LocalContainer>, EngineError>> + Send;
    /// The image of a service before its last change; `None` if there is none.
    fn previous_image(
        &self,
        service: &str,
    ) -> impl Future<Output = Result<Option<String>, EngineError>> + Send;
}

impl Containers for Engine {
    async fn image(&self, name: &str) -> Result<Option<LocalImage>, EngineError> {
        self.image(name).await
    }

    async fn container(&self, id: &str) -> Result<Option<LocalContainer>, EngineError> {
        self.container(id).await
    }

    async fn previous_image(&self, service: &str) -> Result<Option<String>, EngineError> {
        self.previous_image(service).await
    }
}

/// Why a container is not made or started.
#[derive(Debug, Error)]
pub enum ContentError {
    /// The engine does not say what it has.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The image is not signed as the policy demands.
    #[error("{0}")]
    Denied(String),
    /// The name is signed, but the engine has other content under it.
    #[error(
        "denied: {image}: other_content: {digest} is signed under this name, and the engine has other content under it: \
         docker pull {image}"
    )]
    OtherContent {
        /// The name.
        image: String,
        /// The signed digest.
        digest: String,
    },
    /// The image came into the engine past every registry.
    #[error(
        "denied: {image}: no_registry_digest: it was built, loaded, imported, committed or tagged here, so no signature \
         can be compared with it: push it, sign it and pull it"
    )]
    NoRegistryDigest {
        /// The image as it was written.
        image: String,
    },
}

/// An image that is about to run: the name by which it is asked for, and what the engine has.
pub struct Subject<'a> {
    /// The image as it was written.
    pub written: &'a str,
    /// What the engine has under it.
    pub local: LocalImage,
}

/// Judges the images of a container that is to be made. What the engine does not have yet, it does not make a
/// container of.
///
/// # Errors
/// When one of them must not run.
pub async fn judge_create<F: Future<Output = Verdict>>(
    engine: &impl Containers,
    images: impl Iterator<Item = &str>,
    decide: impl Fn(String) -> F,
) -> Result<(), ContentError> {
    for written in images {
        if let Some(local) = engine.image(written).await? {
            judge(&Subject { written, local }, &decide).await?;
        }
    }
    Ok(())
}

/// Judges the images of a container that is to be started: what they were called when it was made, and what it has.
///
/// # Errors
/// When one of them must not run.
pub async fn judge_start<F: Future<Output = Verdict>>(
    engine: &impl Containers,
    id: &str,
    decide: impl Fn(String) -> F,
) -> Result<(), ContentError> {
    let Some(container) = engine.container(id).await? else {
        return Ok(());
    };
    let Some(local) = engine.image(&container.image_id).await? else {
        // Its image was removed by force: nothing tells any more what it is.
        let image = container.image;
        return Err(ContentError::NoRegistryDigest { image });
    };
    let written = container.image.as_str();
    let subject = Subject { written, local };
    match judge(&subject, &decide).await {
        // The name may stand for newer content by now. What the container has runs as long as it is signed itself: whoever
        // may start it could make another one of its digest.
        Err(moved @ ContentError::OtherContent { .. }) => {
            if !is_signed_itself(&subject, &decide).await {
                return Err(moved);
            }
        }
        judged => judged?,
    }
    judge_create(engine, container.mounts.iter().map(String::as_str), decide).await
}

/// Whether a digest of the repository whose name was written is allowed.
async fn is_signed_itself<F: Future<Output = Verdict>>(
    subject: &Subject<'_>,
    decide: &impl Fn(String) -> F,
) -> bool {
    let Ok(written) = ImageReference::parse(subject.written) else {
        return false;
    };
    // Who writes a digest means that one.
    if written.digest().is_some() {
        return false;
    }
    for digest in digests(&subject.local) {
        if digest.name() == written.name() && decide(digest.to_string()).await.permits() {
            return true;
        }
    }
    false
}

/// `NAME@DIGEST` of each repository that an image came from.
fn digests(local: &LocalImage) -> Vec<ImageReference> {
    let texts = local.repo_digests.iter().flatten();
    texts
        .filter_map(|text| ImageReference::parse(text).ok())
        .filter(|reference| reference.digest().is_some())
        .collect()
}

async fn judge<F: Future<Output = Verdict>>(
    subject: &Subject<'_>,
    decide: &impl Fn(String) -> F,
) -> Result<(), ContentError> {
    let digests = digests(&subject.local);
    let image = subject.written.to_owned();
    let by_name = ImageReference::parse(subject.written)
        .ok()
        .filter(|_| !is_id(subject.written));
    if let Some(reference) = by_name
        && (digests.iter().any(|one| one.name() == reference.name()) || !is_prefix_of_id(subject))
    {
        let verdict = decide(image.clone()).await;
        if !verdict.permits() {
            return Err(ContentError::Denied(line::of(&verdict)));
        }
        // In audit mode, what is denied runs, whatever the engine has.
        if !verdict.allow {
            return Ok(());
        }
        let mut of_name = digests.iter().filter(|one| one.name() == reference.name());
        return match &verdict.digest {
            // A rule lets the repository in without signatures. Local content that never came from there is not of it.
            None => of_name
                .next()
                .map(|_| ())
                .ok_or(ContentError::NoRegistryDigest { image }),
            Some(signed) if of_name.any(|one| one.digest() == Some(signed)) => Ok(()),
            Some(signed) => Err(ContentError::OtherContent {
                image,
                digest: format!("sha256:{signed}"),
            }),
        };
    }
    // By an ID: it is enough that one of the repositories that it came from signs it.
    let mut first = None;
    for reference in &digests {
        let verdict = decide(reference.to_string()).await;
        if verdict.permits() {
            return Ok(());
        }
        first.get_or_insert(line::of(&verdict));
    }
    Err(first.map_or(ContentError::NoRegistryDigest { image }, ContentError::Denied))
}

/// Whether the engine takes the text for an image's ID, whatever names there are.
fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    (digits.len() == 64 || digits.len() < text.len()) && is_hexadecimal(digits)
}

/// Whether the text can be the beginning of this image's ID.
fn is_prefix_of_id(subject: &Subject<'_>) -> bool {
    let id = subject
        .local
        .id
        .strip_prefix("sha256:")
        .unwrap_or(&subject.local.id);
    is_hexadecimal(subject.written) && id.starts_with(subject.written)
}

fn is_hexadecimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex};

    use tuf::Checksum;
    use verifier::{Denial, Mode, Reason};

    use super::*;

    const APP: &str = "reg.example/app";

    /// An engine with images, by name or ID, and one container.
    #[derive(Default)]
    struct Fake {
        images: BTreeMap<String, LocalImage>,
        container: Option<LocalContainer>,
    }

    impl Containers for Fake {
        async fn image(&self, name: &str) -> Result<Option<LocalImage>, EngineError> {
            Ok(self.images.get(name).cloned())
        }

        async fn container(&self, _: &str) -> Result<Option<LocalContainer>, EngineError> {
            Ok(self.container.clone())
        }

        async fn previous_image(&self, _: &str) -> Result<Option<String>, EngineError> {
            Ok(None)
        }
    }

    fn digest(of: u8) -> String {
        format!("{of:02x}").repeat(32)
    }

    /// An image of a repository, whose ID is of ones.
    fn pulled(digests: &[u8]) -> LocalImage {
        LocalImage {
            id: format!("sha256:{}", digest(0x11)),
            repo_digests: Some(
                digests
                    .iter()
                    .map(|of| format!("{APP}@sha256:{}", digest(*of)))
                    .collect(),
            ),
        }
    }

    /// Signed are the tag 1 with the digest 0xaa, and by digest what is listed.
    fn deciding(digests: &[u8], image: &str) -> Verdict {
        let mut verdict = Verdict::denied(image, &Denial::new(Reason::TagNotSigned, String::new()));
        let by_digest = digests
            .iter()
            .find(|of| image == format!("{APP}@sha256:{}", digest(**of)));
        let signed = by_digest
            .copied()
            .or((image == format!("{APP}:1")).then_some(0xaa));
        if let Some(of) = signed {
            verdict.allow = true;
            verdict.reason = None;
            verdict.digest = Some(Checksum::from_bytes([of; 32]));
        }
        verdict
    }

    fn ready<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn started(written: &str, has: LocalImage, signed: &[u8]) -> Result<(), ContentError> {
        let engine = Fake {
            images: [(has.id.clone(), has.clone())].into(),
            container: Some(LocalContainer {
                image: written.to_owned(),
                image_id: has.id,
                mounts: vec![],
            }),
        };
        ready(judge_start(&engine, "x", |image| async move {
            deciding(signed, &image)
        }))
    }

    fn created(written: &str, has: LocalImage, signed: &[u8]) -> Result<(), ContentError> {
        let engine = Fake {
            images: [(written.to_owned(), has)].into(),
            container: None,
        };
        ready(judge_create(&engine, [written].into_iter(), |image| async move {
            deciding(signed, &image)
        }))
    }

    #[test]
    fn a_container_goes_on_with_what_its_tag_named_before_as_long_as_that_is_signed() {
        let tag = format!("{APP}:1");
        assert!(started(&tag, pulled(&[0xaa]), &[]).is_ok());
        assert!(started(&tag, pulled(&[0xbb]), &[0xbb]).is_ok());
        let moved = started(&tag, pulled(&[0xbb]), &[]);
        assert!(
            matches!(moved, Err(ContentError::OtherContent { .. })),
            "{moved:?}"
        );
        let elsewhere = LocalImage {
            repo_digests: Some(vec![format!("evil.example/app@sha256:{}", digest(0xaa))]),
            ..pulled(&[])
        };
        assert!(matches!(
            started(&tag, elsewhere, &[0xaa]),
            Err(ContentError::OtherContent { .. })
        ));
        // A new one is made of what the tag names now.
        let moved = created(&tag, pulled(&[0xbb]), &[0xbb]);
        assert!(
            matches!(moved, Err(ContentError::OtherContent { .. })),
            "{moved:?}"
        );
    }

    #[test]
    fn an_image_by_its_id_needs_one_repository_that_signs_it() {
        for id in [
            format!("sha256:{}", digest(0x11)),
            digest(0x11),
            "1111".to_owned(),
        ] {
            assert!(created(&id, pulled(&[0xcc, 0xbb]), &[0xbb]).is_ok(), "{id}");
            let unsigned = created(&id, pulled(&[0xcc]), &[0xbb]);
            assert!(matches!(unsigned, Err(ContentError::Denied(_))), "{unsigned:?}");
            let made_here = created(&id, pulled(&[]), &[0xbb]);
            assert!(
                matches!(made_here, Err(ContentError::NoRegistryDigest { .. })),
                "{made_here:?}"
            );
        }
    }

    #[test]
    fn audit_lets_what_is_denied_run_and_every_mount_is_judged() {
        let engine = Fake {
            images: [("a".to_owned(), pulled(&[])), ("b".to_owned(), pulled(&[]))].into(),
            container: None,
        };
        let asked = Mutex::new(vec![]);
        let audit = |image: String| {
            asked.lock().unwrap().push(image.clone());
            async move {
                Verdict {
                    mode: Mode::Audit,
                    ..deciding(&[], &image)
                }
            }
        };
        ready(judge_create(&engine, ["a", "b", "absent"].into_iter(), audit)).unwrap();
        assert_eq!(*asked.lock().unwrap(), ["a", "b"]);
    }
}
