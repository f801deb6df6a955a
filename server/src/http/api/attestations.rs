//! `POST /api/v0/attestations`: the record that an image is attested to programs that read other signatures than ours.
//! Whoever attests asks for it before the signature is made, and the server records nothing that it knows to be wrong.

use actix_web::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tuf::{Checksum, CurrentDocuments, Gun, RoleName, VerifiedTargets, Version, verified_targets};
use utoipa::ToSchema;

use super::{
    changing::{ChangeFault, answer, read},
    openapi::Errors,
};
use crate::{
    access::{Identified, Pull, SingleRight},
    audit::record::Change,
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    store::{Committed, Store, StoreError, Wanted, documents_of},
};

/// The longest tag, in characters (distribution's limit).
const TAG_LIMIT: usize = 128;
/// The roles that a root declares keys for.
const ROOT_ROLES: [RoleName; 4] = [
    RoleName::Root,
    RoleName::Targets,
    RoleName::Snapshot,
    RoleName::Timestamp,
];

/// An image that is about to be attested.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WantedAttestation {
    /// The repository.
    gun: String,
    /// The tag that is signed.
    tag: String,
    /// What it is signed with: `sha256:` and the digest in hex.
    digest: String,
    /// Of an index for several platforms: the image in it that the signature names, as `sha256:` and the digest in hex.
    manifest: Option<String>,
    kind: SignatureKind,
    /// The key that signs. For cosign the SHA-256 of the public key (SubjectPublicKeyInfo) in hex, for simple signing the
    /// fingerprint of the OpenPGP key in hex.
    key: String,
    /// The version of the root that the image was verified from.
    root_version: i32,
    /// The version of the timestamp that it was verified with.
    timestamp_version: i32,
    /// The SHA-256 of what is signed, in hex.
    #[serde(rename = "payloadSHA256")]
    payload_sha256: String,
}

/// The kind of signature.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum SignatureKind {
    Cosign,
    SimpleSigning,
}

/// The record of an attestation.
#[derive(Serialize, ToSchema)]
pub struct AttestationRecord {
    /// The chain of the repository.
    chain: String,
    /// The record's number in it.
    sequence: i32,
    /// The record's hash, in hex.
    hash: String,
}

/// An attestation whose texts are what they have to be.
struct Claim {
    gun: Gun,
    tag: String,
    digest: Checksum,
    manifest: Option<Checksum>,
    kind: SignatureKind,
    key: String,
    root: Version,
    timestamp: Version,
    payload: Checksum,
}

/// Records that an image is about to be attested to programs that read other signatures. Whoever attests signs only after
/// that.
#[utoipa::path(post, path = "/api/v0/attestations", tag = "repositories",
    request_body = WantedAttestation,
    responses((status = 201, description = "Recorded", body = AttestationRecord),
              (status = 400, description = "A value is malformed", body = Errors),
              (status = 403, description = "The policy does not allow the caller both attest and pull for this repository", body = Errors),
              (status = 404, description = "No such repository", body = Errors),
              (status = 409, description = "It is not so (UNTRUE): the tag is not signed with this digest, the versions were never this server's, or the key is one of the repository's own. Or the server keeps no records (NO_RECORDS)", body = Errors)))]
pub async fn attest(exchange: &mut Exchange<'_>, caller: Identified) -> Result<Outcome, ApiError> {
    let wanted: WantedAttestation = read(exchange).await?;
    let claim = Claim::read(&wanted).map_err(ChangeFault::Wrong)?;
    // Without it the answer would tell what the repository holds.
    let access = exchange.access();
    access.check(caller.principal(), &Pull::RIGHT, Some(&claim.gun))?;
    let grant = access.authorize_attest(caller.principal().clone(), claim.gun.clone())?;
    let (state, now) = (exchange.state, exchange.state.clock.now());
    let change = claim.change();
    let remark = format!("{} {}", claim.gun, change.detail.as_deref().unwrap_or_default());
    let (gun, actor) = (claim.gun.clone(), grant.principal().actor());
    let recorded = state.with_store(move |store| {
        if !store.has(&claim.gun)? {
            return Ok(Err(ApiError::NotFound));
        }
        if let Err(reason) = claim.check(store, now)? {
            return Ok(Err(ChangeFault::Untrue(reason).into()));
        }
        Ok::<_, StoreError>(Ok(store.record_change(&gun, &actor, change, now)?))
    });
    let place = recorded.await??.ok_or(ChangeFault::NoRecords)?;
    let record = AttestationRecord {
        chain: place.chain.clone(),
        sequence: place.sequence,
        hash: place.hash.clone(),
    };
    let committed = Committed {
        documents: Vec::new(),
        place: Some(place),
        newest: None,
    };
    let answered = answer(StatusCode::CREATED, &record, remark.clone())?;
    Ok(Outcome::changed(answered.response, committed)
        .remarked(Some(remark))
        .by_rule(grant.rule()))
}

impl Claim {
    fn read(wanted: &WantedAttestation) -> Result<Self, String> {
        let gun = Gun::parse(&wanted.gun).map_err(|cause| format!("gun: {cause}"))?;
        let is_tag = (1..=TAG_LIMIT).contains(&wanted.tag.chars().count())
            && wanted.tag.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if !is_tag {
            return Err(format!(
                "tag: at most {TAG_LIMIT} characters, none of them a space"
            ));
        }
        let manifest = wanted.manifest.as_deref();
        Ok(Self {
            gun,
            tag: wanted.tag.clone(),
            digest: digest("digest", &wanted.digest)?,
            manifest: manifest.map(|text| digest("manifest", text)).transpose()?,
            kind: wanted.kind,
            key: key(wanted.kind, &wanted.key)?,
            root: version("rootVersion", wanted.root_version)?,
            timestamp: version("timestampVersion", wanted.timestamp_version)?,
            payload: hash("payloadSHA256", &wanted.payload_sha256)?,
        })
    }

    /// What the record says.
    fn change(&self) -> Change {
        let of = match &self.manifest {
            Some(manifest) => format!("sha256:{manifest} in the index sha256:{}", self.digest),
            None => format!("sha256:{}", self.digest),
        };
        let (kind, key) = match self.kind {
            SignatureKind::Cosign => ("cosign", format!("key sha256:{}", self.key)),
            SignatureKind::SimpleSigning => ("simple-signing", format!("OpenPGP key {}", self.key)),
        };
        Change {
            action: "attest".to_owned(),
            gun: Some(self.gun.to_string()),
            subject: Some(self.tag.clone()),
            detail: Some(format!(
                "{kind}: {of} by {key}; root {}, timestamp {}, payload sha256:{}",
                self.root, self.timestamp, self.payload
            )),
            ..Change::default()
        }
    }

    /// Whether it is so, by what is stored now; the reason if it is not.
    fn check(&self, store: &Store, now: DateTime<Utc>) -> Result<Result<(), String>, StoreError> {
        for (role, version) in [(RoleName::Root, self.root), (RoleName::Timestamp, self.timestamp)] {
            if store.version(&self.gun, &role, version)?.is_none() {
                return Ok(Err(format!(
                    "{} has no {role} of version {version} here",
                    self.gun
                )));
            }
        }
        let Some(bundle) = store.document(&self.gun, &Wanted::Bundle)?.document else {
            return Ok(Err(format!("{} has no metadata that could be read", self.gun)));
        };
        let verified = documents_of(&bundle.document.bytes).and_then(|documents| {
            let verified = verified_targets(&self.gun, &documents).map_err(|cause| cause.to_string())?;
            Ok((documents, verified))
        });
        Ok(match verified {
            Ok((documents, verified)) => self
                .named(&verified, now)
                .and_then(|()| self.is_of_its_own(&documents, &verified)),
            Err(reason) => Err(format!("the metadata of {} does not verify: {reason}", self.gun)),
        })
    }

    /// Whether some role signs the tag with the digest.
    fn named(&self, verified: &VerifiedTargets, now: DateTime<Utc>) -> Result<(), String> {
        if verified.usable_until <= now {
            return Err(format!(
                "the metadata of {} expired at {}",
                self.gun, verified.usable_until
            ));
        }
        let live = verified.roles.iter().filter(|role| role.expires > now);
        let named = live
            .flat_map(|role| &role.targets)
            .any(|target| target.name == self.tag && target.sha256 == Some(self.digest));
        if named {
            return Ok(());
        }
        Err(format!(
            "no role of {} signs the tag {} with sha256:{}",
            self.gun, self.tag, self.digest
        ))
    }

    /// Whether the key is none of the repository's. An OpenPGP key is never compared: its fingerprint is not that of a key alone.
    fn is_of_its_own(&self, documents: &CurrentDocuments, verified: &VerifiedTargets) -> Result<(), String> {
        let of_root = ROOT_ROLES
            .iter()
            .flat_map(|role| tuf::role_keys(&documents.root, role).unwrap_or_default());
        let accepted = verified.roles.iter().flat_map(|role| &role.document.declared);
        let left_out = verified.left_out.iter().flat_map(|role| &role.declared);
        let mut keys = of_root.chain(accepted.cloned()).chain(left_out.cloned());
        let is_known = keys.any(|key| key.spki_sha256().map(hex::encode).as_deref() == Some(&self.key));
        if is_known {
            return Err(format!(
                "the key sha256:{} signs metadata of {}; whoever believes an attestation has to believe a key that is for \
                 nothing else",
                self.key, self.gun
            ));
        }
        Ok(())
    }
}

fn digest(name: &str, text: &str) -> Result<Checksum, String> {
    let wrong = || format!("{name}: sha256: and 64 lower case hexadecimal digits");
    hash(name, text.strip_prefix("sha256:").ok_or_else(wrong)?).map_err(|_| wrong())
}

fn hash(name: &str, text: &str) -> Result<Checksum, String> {
    let found = Checksum::parse(text).ok().filter(|_| is_lower_hex(text, &[64]));
    found.ok_or_else(|| format!("{name}: 64 lower case hexadecimal digits"))
}

fn version(name: &str, number: i32) -> Result<Version, String> {
    Version::new(i64::from(number)).map_err(|cause| format!("{name}: {cause}"))
}

/// The name of a key as it is recorded: OpenPGP fingerprints in upper case, as their programs print them.
fn key(kind: SignatureKind, text: &str) -> Result<String, String> {
    match kind {
        SignatureKind::Cosign if is_lower_hex(text, &[64]) => Ok(text.to_owned()),
        SignatureKind::Cosign => Err(
            "key: the SHA-256 of the public key (SubjectPublicKeyInfo), as 64 lower case hexadecimal digits"
                .to_owned(),
        ),
        SignatureKind::SimpleSigning if is_lower_hex(&text.to_ascii_lowercase(), &[40, 64]) => {
            Ok(text.to_ascii_uppercase())
        }
        SignatureKind::SimpleSigning => {
            Err("key: the whole fingerprint of the OpenPGP key, as 40 or 64 hexadecimal digits".to_owned())
        }
    }
}

fn is_lower_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
