//! `countersign sign`.

use std::path::PathBuf;

use clap::Args;
use client::{
    keys::Place,
    publish::{Change, PublishError, Target},
};
use tuf::{Checksum, RoleName};
use verifier::{Documents, ImageReference, Reason, Repository};

use super::{
    delegations::{self, Delegation},
    init::{self, Beginning},
    key_options::PlaceOptions,
    session::{self, RELEASES, RepositoryOptions, Session},
};
use crate::commands::{Failure, Outcome, block_on, registry};

/// The largest manifest, in bytes: what registries accept.
pub(super) const MANIFEST_LIMIT: u64 = 4 << 20;

/// What is signed, as whom.
#[derive(Debug, Args)]
pub struct Options {
    /// The image with its tag, perhaps with its digest.
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The digest of the manifest, with --size or --from-registry.
    #[arg(long, value_name = "sha256:...", conflicts_with = "from_file")]
    digest: Option<String>,
    /// The length of the manifest in bytes.
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["from_file", "from_registry"])]
    size: Option<u64>,
    /// The manifest itself, of an image or of an index for several platforms: its digest and length are signed.
    #[arg(long, value_name = "FILE", conflicts_with = "from_registry")]
    from_file: Option<PathBuf>,
    /// Ask the registry for the manifest of the digest, or else of the tag: then whatever the registry shows is signed.
    #[arg(long)]
    from_registry: bool,
    /// Ask this registry, which is that of the image, over plain HTTP. Registries on localhost need no such word.
    #[arg(long, value_name = "HOST")]
    insecure_registry: Option<String>,
    /// Sign as this signer: in targets/NAME, and in targets/releases if that is there. Without this and --role the keys at
    /// hand decide.
    #[arg(long = "as", value_name = "NAME", conflicts_with = "role")]
    signer: Option<String>,
    /// Sign in these roles and no other: `targets`, or the full name of a delegation.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// Begin the repository if it has no trust data yet.
    #[arg(long)]
    init: bool,
    #[command(flatten)]
    place: PlaceOptions,
    #[command(flatten)]
    repository: RepositoryOptions,
}

/// Signs an image, and prints it with its digest.
///
/// # Errors
/// When it cannot be signed.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let (image, tag) = session::tagged(&options.image)?;
    let given = options.given(&image)?;
    if options.place.place() == Place::Token && !options.init {
        return Err(Failure(
            "--in-token is about the keys of a new repository, and goes with --init; keys that are in the token already are \
             found there"
                .into(),
        ));
    }
    let session = options
        .repository
        .open(&image)?
        .keeping_in(options.place.place())?;
    let roles = block_on(async {
        let target = match given {
            Given::Target(target) => target,
            Given::Registry(digest) => {
                let settings = options.repository.trust.settings()?;
                let insecure = options.insecure_registry.as_deref();
                registry::manifest(&image, &tag, digest.as_ref(), &settings, insecure).await?
            }
        };
        let roles = publish(options, &session, &tag, &target).await?;
        Ok::<_, Failure>((roles, target))
    })?;
    let (roles, target) = roles?;
    platform::complain!("signed {} in {}", image, names(&roles));
    platform::say!("{}", image.pinned(&target.sha256, true));
    Ok(Outcome::Done)
}

/// What the command line says about the manifest.
enum Given {
    Target(Target),
    /// The registry is asked, perhaps for this digest.
    Registry(Option<Checksum>),
}

impl Options {
    fn given(&self, image: &ImageReference) -> Result<Given, Failure> {
        if self.insecure_registry.is_some() && !self.from_registry {
            return Err(Failure(
                "--insecure-registry is for --from-registry: without that no registry is asked".into(),
            ));
        }
        let written = image.digest().copied();
        let digest = match &self.digest {
            Some(text) => Some(digest(text)?),
            None => written,
        };
        if let (Some(one), Some(other)) = (written, digest)
            && one != other
        {
            return Err(Failure(format!(
                "the image is written with the digest sha256:{one}, and --digest says sha256:{other}"
            )));
        }
        let target = |sha256, length| {
            Given::Target(Target {
                sha256,
                length,
                custom: None,
            })
        };
        if let Some(file) = &self.from_file {
            let content = read_manifest(file)?;
            let found = Checksum::of(&content);
            if digest.is_some_and(|digest| digest != found) {
                return Err(Failure(format!(
                    "{}: this is not the manifest that the image is written with: its digest is sha256:{found}",
                    file.display()
                )));
            }
            return Ok(target(found, content.len() as u64));
        }
        if self.from_registry {
            return Ok(Given::Registry(digest));
        }
        match (digest, self.size) {
            (Some(digest), Some(size)) => Ok(target(digest, size)),
            (Some(_), None) => Err(Failure(
                "the length of the manifest is signed with its digest: say --size BYTES, or --from-registry to ask for it"
                    .into(),
            )),
            (None, _) => Err(Failure(
                "nothing says what is to be signed: give --digest sha256:... with --size BYTES, the manifest with --from-file \
                 FILE, or ask the registry with --from-registry"
                    .into(),
            )),
        }
    }

    /// The roles that were asked for, or those that the keys at hand are for.
    fn roles(
        &self,
        session: &Session,
        repository: &Repository,
        documents: &Documents,
    ) -> Result<Vec<RoleName>, Failure> {
        let declared = delegations::of(repository, documents)?;
        let signable = session.editor().signable_roles(repository, documents)?;
        choose(self.signer.as_deref(), &self.role, &declared, &signable, session)
    }
}

async fn publish(
    options: &Options,
    session: &Session,
    tag: &str,
    target: &Target,
) -> Result<Vec<RoleName>, Failure> {
    let add = |roles: &[RoleName]| -> Vec<Change> {
        let change = |role: &RoleName| Change::AddTarget {
            role: role.clone(),
            name: tag.to_owned(),
            target: target.clone(),
        };
        roles.iter().map(change).collect()
    };
    let begin = async || {
        let (roles, mut changes) = init::first_roles(session, options.signer.as_deref(), &options.role)?;
        changes.extend(add(&roles));
        init::begin(session, Beginning::with(&changes)).await?;
        Ok(roles)
    };
    if options.init && !session.is_anchored() {
        return begin().await;
    }
    let editor = session.editor();
    let (repository, documents) = match editor.read(&session.gun, session.anchor()?).await {
        Ok(read) => read,
        Err(PublishError::Denied(denial)) if options.init && denial.reason == Reason::NoTrustData => {
            return begin().await;
        }
        Err(cause) => return Err(session.explained(cause)),
    };
    let roles = options.roles(session, &repository, &documents)?;
    let published = editor
        .publish(&session.gun, session.anchor()?, &add(&roles))
        .await;
    published.map_err(|cause| session.explained(cause))?;
    Ok(roles)
}

/// Chooses roles as docker does, except that it never signs as several people at once without being told.
pub(super) fn choose(
    signer: Option<&str>,
    roles: &[String],
    declared: &[Delegation],
    signable: &[RoleName],
    session: &Session,
) -> Result<Vec<RoleName>, Failure> {
    let gun = &session.gun;
    if !roles.is_empty() {
        let mut chosen = Vec::new();
        for text in roles {
            let role = session::role(text)?;
            delegations::must_have(declared, &role, gun)?;
            if !chosen.contains(&role) {
                chosen.push(role);
            }
        }
        return Ok(chosen);
    }
    let releases = RoleName::Delegation(session::releases()?);
    let is_released = declared.iter().any(|known| known.role.as_str() == RELEASES);
    let with_releases = |role: RoleName| {
        let mut chosen = vec![role];
        if signable.contains(&releases) {
            chosen.push(releases.clone());
        } else if is_released {
            platform::complain!(
                "note: no key at hand may sign {RELEASES}, so docker does not take this image for released"
            );
        }
        chosen
    };
    if let Some(name) = signer {
        let role = RoleName::Delegation(session::signer(name)?);
        delegations::must_have(declared, &role, gun)?;
        return Ok(with_releases(role));
    }
    let first_level = declared
        .iter()
        .filter(|known| known.role.parent() == RoleName::Targets);
    let people: Vec<RoleName> = first_level
        .map(|known| RoleName::Delegation(known.role.clone()))
        .filter(|role| *role != releases)
        .collect();
    if people.is_empty() && !is_released {
        return Ok(vec![RoleName::Targets]);
    }
    let mine: Vec<RoleName> = people
        .iter()
        .filter(|role| signable.contains(role))
        .cloned()
        .collect();
    match mine.as_slice() {
        [role] => Ok(with_releases(role.clone())),
        [] => {
            let owner = if signable.contains(&RoleName::Targets) {
                "; the key of `targets` is, and signs there with --role targets, where those who look for signers or \
                 released images do not look"
            } else {
                ""
            };
            Err(Failure(format!(
                "{gun} is signed by {}, and no key of theirs is at hand{owner}; import one with `countersign key import \
                 FILE --role NAME`",
                names(&people)
            )))
        }
        several => Err(Failure(format!(
            "the keys at hand are those of {}; say with --as NAME who signs",
            names(several)
        ))),
    }
}

/// Names of roles, for people.
pub(super) fn names(roles: &[RoleName]) -> String {
    let names: Vec<&str> = roles.iter().map(RoleName::as_str).collect();
    if names.is_empty() {
        return "nobody".to_owned();
    }
    names.join(" and ")
}

fn digest(text: &str) -> Result<Checksum, Failure> {
    // The grammar of digests is that of references.
    let image = ImageReference::parse(&format!("image@{text}"));
    let digest = image.as_ref().ok().and_then(ImageReference::digest).copied();
    digest.ok_or_else(|| {
        Failure(format!(
            "--digest {text:?} has to be sha256: and 64 lower case hexadecimal digits"
        ))
    })
}

fn read_manifest(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    let failed = |reason: String| Failure(format!("{}: {reason}", file.display()));
    let length = std::fs::metadata(file)
        .map_err(|cause| failed(platform::reason::of_io(&cause)))?
        .len();
    if length > MANIFEST_LIMIT {
        return Err(failed(format!(
            "it has {length} bytes, and no manifest has more than {MANIFEST_LIMIT}"
        )));
    }
    let content = platform::files::read(file).map_err(|cause| failed(platform::reason::of_io(&cause)))?;
    registry::must_be_manifest(&content).map_err(failed)?;
    Ok(content)
}
