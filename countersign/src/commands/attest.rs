//! `countersign attest`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use clap::{ArgGroup, Args};
use client::{
    Attestation, AttestationError, Server,
    keys::{KeyStore, SigningKey},
};
use serde_json::Value;
use tuf::{Checksum, KeyId};
use verifier::{ImageReference, Verdict};

use super::{
    Failure, Outcome, block_on, registry,
    signing::KeyOptions,
    trust::{PolicyOptions, TrustOptions},
    verify::of_denial,
};
use crate::{
    bridge::{
        Attested, BridgeKey, Fingerprint, Gpg, Lookaside, Place, Recorder, Statement, Unattested, cosign,
        simple,
    },
    decider::{Asked, Decider},
    line,
};

/// How the private keys of cosign's own files begin, which only cosign opens.
const OF_COSIGN: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];
/// How many images of an index are attested.
const MOST: usize = 100;

/// Which images, to whom, and with which key.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("kind").required(true).args(["cosign", "simple_signing"]))]
pub struct Options {
    #[command(flatten)]
    policy: PolicyOptions,
    #[command(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    keys: KeyOptions,
    /// Attest as cosign does, with the key of --bridge-key: beside the image in its registry, or in --out.
    #[arg(long, requires = "bridge_key", conflicts_with = "gpg_key")]
    cosign: bool,
    /// Attest by simple signing, with the key of --gpg-key, in the lookaside directory of --out.
    #[arg(long, requires_all = ["gpg_key", "out"], conflicts_with = "bridge_key")]
    simple_signing: bool,
    /// The private key of the bridge: a file in PEM or DER, or the ID of a key that `countersign key list` shows. ECDSA on
    /// P-256, or RSA; none that signs metadata of the repository.
    #[arg(long, value_name = "FILE|ID")]
    bridge_key: Option<String>,
    /// The whole fingerprint of the bridge's OpenPGP key, which gpg has. Its passphrase is asked for by gpg's agent, or is that
    /// of --passphrase-file.
    #[arg(long, value_name = "FINGERPRINT")]
    gpg_key: Option<String>,
    /// Where the signatures are kept: with --cosign an OCI image layout for each repository, in place of the registry; with
    /// --simple-signing the files that `lookaside` names.
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Of an index for several platforms, attest each image in it as well: podman and skopeo look for signatures of the image
    /// that they run. The registry is asked for the index.
    #[arg(long)]
    recursive: bool,
    /// Ask this registry, which is that of the image, over plain HTTP. Registries on localhost need no such word.
    #[arg(long, value_name = "HOST")]
    insecure_registry: Option<String>,
    /// How long to wait for trust servers.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Refused: what no server records is not attested.
    #[arg(long, value_name = "FILE", hide = true)]
    from_bundle: Vec<PathBuf>,
    /// The images, as they are written in a deployment.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// What signs.
enum Bridge {
    Cosign(BridgeKey),
    SimpleSigning(Gpg, Lookaside),
}

/// An image that may be attested.
struct Subject {
    image: ImageReference,
    pinned: String,
    statement: Statement,
    server: Arc<Server>,
}

/// Attests the images if all of them are signed as the policy demands, and prints a line for each.
///
/// # Errors
/// When something cannot be used, or an image that is signed could not be attested.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    if !options.from_bundle.is_empty() {
        return Err(Failure(
            "--from-bundle: an image is attested only if its trust server records that, and with a bundle no server is asked; \
             run this where the server can be reached"
                .into(),
        ));
    }
    // What needs no server may ask for a passphrase, or be misspelt.
    let bridge = options.bridge()?;
    let decider = options
        .policy
        .decider(&options.trust, TimeDelta::zero())?
        .by_what_is_signed_now();
    // Connections belong to the runtime on which they were made.
    block_on(options.verify_and_attest(&decider, &bridge))?
}

/// An image with its server, if the key of the bridge is none of the repository's.
async fn subject(
    decider: &Decider,
    bridge: &Bridge,
    verdict: &Verdict,
    statement: Statement,
    asked: &Asked,
) -> Result<Subject, Failure> {
    let image = ImageReference::parse(&verdict.image)?;
    let server = decider
        .server(&image)
        .map_err(|denial| Failure(denial.sentence))?;
    if let Bridge::Cosign(key) = bridge {
        let documents = decider.documents_of(&image, asked).await.ok_or_else(|| {
            Failure(format!(
                "the documents of {} are not kept any more; run this again",
                image.gun()
            ))
        })?;
        key.check_apart_from(image.gun(), &documents)?;
    }
    Ok(Subject {
        pinned: verdict.pinned.clone().unwrap_or_default(),
        image,
        statement,
        server,
    })
}

impl Options {
    async fn verify_and_attest(&self, decider: &Decider, bridge: &Bridge) -> Result<Outcome, Failure> {
        let asked = Asked::by("attest");
        let mut known = BTreeSet::new();
        let images: Vec<&str> = self.images.iter().map(String::as_str).collect();
        let images: Vec<&str> = images.into_iter().filter(|image| known.insert(*image)).collect();
        let deadline = Duration::from_secs(self.timeout);
        let verdicts = decider.decide_all(&images, &asked, deadline).await;
        let mut statements = Vec::new();
        let mut outcome = Outcome::Done;
        for verdict in &verdicts {
            match Statement::of(verdict) {
                Ok(statement) => statements.push((verdict, statement)),
                Err(Unattested::Denied(_)) => {
                    platform::say!("{}", line::of(verdict));
                    outcome = outcome.max(of_denial(verdict));
                }
                Err(unchecked) => {
                    platform::complain!("{unchecked}");
                    outcome = outcome.max(Outcome::Denied);
                }
            }
        }
        if outcome != Outcome::Done {
            platform::complain!(
                "nothing is attested, because not every image was verified to be signed as the policy demands"
            );
            return Ok(outcome);
        }
        let mut subjects = Vec::new();
        for (verdict, statement) in statements {
            subjects.push(subject(decider, bridge, verdict, statement, &asked).await?);
        }
        for subject in &subjects {
            self.attest(bridge, subject).await?;
        }
        Ok(Outcome::Done)
    }

    fn bridge(&self) -> Result<Bridge, Failure> {
        if let (true, Some(text)) = (self.cosign, &self.bridge_key) {
            return Ok(Bridge::Cosign(BridgeKey::new(self.key(text)?)?));
        }
        let text = self.gpg_key.as_deref().unwrap_or_default();
        let fingerprint = Fingerprint::parse(text).ok_or_else(|| {
            Failure(format!(
                "--gpg-key {text:?} has to be the whole fingerprint of a key, 40 or 64 hexadecimal digits without spaces, as \
                 `gpg --list-keys` shows it: anything shorter can be that of another key too"
            ))
        })?;
        let gpg = Gpg::new(fingerprint, self.keys.passphrase_file().map(Path::to_owned));
        let directory = self.out.clone().unwrap_or_default();
        Ok(Bridge::SimpleSigning(gpg, Lookaside::new(directory)))
    }

    /// The key in a file, or of an ID.
    fn key(&self, text: &str) -> Result<Box<dyn SigningKey>, Failure> {
        let keys = self.keys.open()?;
        let path = Path::new(text);
        if let (false, Ok(id)) = (path.exists(), KeyId::parse(text)) {
            return Ok(keys.open(&id)?);
        }
        let begins = std::fs::read(path).unwrap_or_default();
        let begins = String::from_utf8_lossy(&begins);
        if OF_COSIGN.iter().any(|label| begins.contains(label)) {
            return Err(Failure(format!(
                "{text}: this file is encrypted in a way that only cosign opens; make a key in PKCS#8, whose public key cosign reads \
                 all the same: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -out bridge.key"
            )));
        }
        Ok(Box::new(keys.directory().read_file(path, "bridge")?))
    }

    async fn attest(&self, bridge: &Bridge, subject: &Subject) -> Result<(), Failure> {
        let recorder = AtServer(Arc::clone(&subject.server));
        let reached = match self.recursive || self.cosign && self.out.is_none() {
            true => Some(self.registry(subject).await?),
            false => None,
        };
        let mut statements = vec![subject.statement.clone()];
        if let Some(reached) = &reached {
            let images = images_of(&reached.content).map_err(|reason| {
                Failure(format!(
                    "the index sha256:{} of {}: {reason}",
                    reached.sha256, subject.image
                ))
            })?;
            if self.recursive {
                let of_image = |image: &Checksum| subject.statement.of_image_in_index(*image);
                statements.extend(images.iter().map(of_image));
            } else if !images.is_empty() {
                platform::complain!(
                    "note: {} is an index, and the images in it are attested only with --recursive; podman and skopeo look for \
                     signatures of these",
                    subject.image
                );
            }
        }
        let place = match (bridge, &self.out) {
            (Bridge::SimpleSigning(..), _) => None,
            (Bridge::Cosign(_), Some(directory)) => Some(Place::layout(directory, subject.image.gun())?),
            (Bridge::Cosign(_), None) => {
                reached.map(|reached| Place::Registry(Box::new(reached.server), reached.name))
            }
        };
        for statement in &statements {
            let attested = match (bridge, &place) {
                (Bridge::Cosign(key), Some(place)) => {
                    cosign::attest(place, key, statement, &recorder).await?
                }
                (Bridge::SimpleSigning(gpg, lookaside), _) => {
                    simple::attest(lookaside, gpg, statement, &recorder).await?
                }
                (Bridge::Cosign(_), None) => continue,
            };
            let image = format!("{} (sha256:{})", statement.reference, statement.manifest);
            match attested {
                Attested::Now => platform::complain!("attested {image}"),
                Attested::Already => platform::complain!("{image} is attested already"),
            }
        }
        platform::say!("{}", subject.pinned);
        Ok(())
    }

    /// The registry, which has the manifest of the digest that is signed.
    async fn registry(&self, subject: &Subject) -> Result<registry::Reached, Failure> {
        let settings = self.trust.settings()?;
        let insecure = self.insecure_registry.as_deref();
        let statement = &subject.statement;
        let digest = Some(&statement.digest);
        registry::reach(&subject.image, &statement.tag, digest, &settings, insecure).await
    }
}

/// The images in an index; none if it is an image itself.
fn images_of(manifest: &[u8]) -> Result<Vec<Checksum>, String> {
    let manifest: Value =
        serde_json::from_slice(manifest).map_err(|cause| format!("it cannot be read: {cause}"))?;
    let Some(entries) = manifest["manifests"].as_array() else {
        return Ok(Vec::new());
    };
    if entries.len() > MOST {
        return Err(format!(
            "it has {} images, and at most {MOST} are attested",
            entries.len()
        ));
    }
    let mut found: Vec<Checksum> = Vec::new();
    for entry in entries {
        let digest = entry["digest"].as_str().unwrap_or_default();
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        let checksum = Checksum::parse(hex).map_err(|_| format!("{digest:?} is not a SHA-256"))?;
        if !found.contains(&checksum) {
            found.push(checksum);
        }
    }
    Ok(found)
}

/// The trust server of an image, which records what is attested.
struct AtServer(Arc<Server>);

impl Recorder for AtServer {
    async fn record(
        &self,
        statement: &Statement,
        kind: &'static str,
        key: &str,
        payload: Checksum,
    ) -> Result<(), AttestationError> {
        let attestation = Attestation {
            gun: &statement.gun,
            tag: &statement.tag,
            digest: statement.digest,
            manifest: Some(statement.manifest).filter(|manifest| *manifest != statement.digest),
            kind,
            key,
            root_version: statement.basis.root.version,
            timestamp_version: statement.basis.timestamp.version,
            payload,
        };
        let record = self.0.record_attestation(&attestation).await?;
        platform::complain!(
            "{} recorded it as {} of {}",
            self.0.label(),
            record.sequence,
            record.chain
        );
        Ok(())
    }
}
