//! `countersign tuf migrate`: the way out of a Notary repository. Its owners sign the same content again, with the same keys.

use std::{sync::Arc, time::Duration};

use clap::Args;
use client::{
    keys::Keys,
    native::{Beginning, NativeRepository},
};
use tuf::{CurrentDocuments, VerifiedRoot, VerifiedTargets};
use tuf_native::{
    Draft, KeyId, RepositoryName, Trusted,
    migrate::{Proposal, propose},
};

use super::changes;
use super::session::{Session, Work};
use crate::commands::{
    Failure, Outcome,
    signing::{NotarySession, RepositoryOptions, is_confirmed, repository},
};

/// What is migrated.
#[derive(Debug, Args)]
pub struct Options {
    /// The Notary repository, such as registry.example/team/app.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The name of the TUF 1.0 repository; that of the Notary repository if absent.
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Sign without asking whether what is shown is right.
    #[arg(long)]
    yes: bool,
    /// Go on, and sign what changes in the Notary repository, until this is stopped.
    #[arg(long)]
    follow: bool,
    /// With --follow: how many seconds lie between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Have the server sign in place of the owners: refused, with the reason.
    #[arg(long, hide = true)]
    server_signed: bool,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// Why nobody but the owners signs what they said. `docs/tuf.md` says the same.
const NOT_SERVER_SIGNED: &str = "\
a server does not sign targets by itself and call that a migration. Nobody would have signed them: whoever reads such a repository \
learns nothing but that the server said so, and who takes over the server signs any content. Let the owners of the keys sign, which \
is what this command does without --server-signed; or hand out the roots of the Notary repository with `countersign tuf roots`; or say \
in your own name what you saw, with `countersign tuf mirror`";

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    if options.server_signed {
        return Err(Failure(NOT_SERVER_SIGNED.into()));
    }
    let image = repository(&options.repository)?;
    let (mut asked, mut followed) = (options.yes, false);
    loop {
        // Settings are read again, so that a certificate that was renewed meanwhile is used.
        let done = match options.options.open(&image) {
            Ok(source) => step(options, source, &mut asked).await,
            Err(cause) => Err(cause),
        };
        match done {
            Ok(()) if !options.follow => return Ok(Outcome::Done),
            Ok(()) => followed = true,
            // What went well before may go well again.
            Err(Failure(cause)) if followed => platform::complain!("countersign: {cause}"),
            Err(cause) => return Err(cause),
        }
        tokio::time::sleep(Duration::from_secs(options.every)).await;
    }
}

/// Brings the TUF 1.0 repository into step once.
async fn step(options: &Options, source: NotarySession, asked: &mut bool) -> Result<(), Failure> {
    let (root, targets) = read(&source).await?;
    let text = options.to.as_deref().unwrap_or(source.gun.as_str());
    let name = RepositoryName::parse(text)
        .map_err(|cause| Failure(format!("{text}: {cause}; say another with --to NAME")))?;
    let NotarySession { server, keys, .. } = source;
    let work = work(options, name, server, keys, &root)?;
    let stored = work.session.stored().await?;
    let online = work.session.server.native_keys(&work.session.name).await?;
    let proposal = propose(&work.session.name, &root, &targets, &online, &stored)?;
    let drafts = drafts(&proposal)?;
    if drafts.is_empty() {
        if !options.follow {
            platform::complain!("{} says the same already", work.session.name);
        }
        return Ok(());
    }
    show(&proposal, &drafts, &stored)?;
    if !*asked && !is_confirmed("sign this? Answer `yes`", "say --yes to sign what was shown")? {
        return Err(Failure("nothing was signed".into()));
    }
    *asked = true;
    work.submit(&stored, drafts).await
}

/// What the Notary repository says, as a reader verifies it.
pub(super) async fn read(source: &NotarySession) -> Result<(VerifiedRoot, VerifiedTargets), Failure> {
    let (_, documents) = source.read().await?;
    let gun = &source.gun;
    let root = documents.roots.last();
    let root = root.ok_or_else(|| Failure(format!("{gun} has no root")))?;
    let root = VerifiedRoot::read(gun, root).map_err(|cause| Failure(format!("{gun}: {cause}")))?;
    let targets = root.verify(&CurrentDocuments {
        root: root.bytes().clone(),
        timestamp: documents.timestamp.clone(),
        snapshot: documents.snapshot.clone(),
        targets: documents.targets.clone(),
    });
    let targets = targets.map_err(|cause| Failure(format!("{gun}: {cause}")))?;
    Ok((root, targets))
}

/// The TUF 1.0 repository. Trust in it begins with a root that the keys of the Notary root signed.
fn work(
    options: &Options,
    name: RepositoryName,
    server: Arc<client::Server>,
    keys: Keys,
    root: &VerifiedRoot,
) -> Result<Work, Failure> {
    let state = options.options.trust.state()?;
    let known = NativeRepository::is_known(&server, &name, &state)?;
    let bare = root.signers().iter().filter_map(tuf::PublicKey::bare);
    let ids: Vec<KeyId> = bare.map(|key| key.id().clone()).collect();
    let beginning = (!known).then_some(Beginning::RootKeys(ids));
    Ok(Work {
        session: Session::new(name, server, state, beginning),
        keys,
    })
}

fn drafts(proposal: &Proposal) -> Result<Vec<Draft>, Failure> {
    let mut drafts = Vec::new();
    if let Some(root) = &proposal.root {
        drafts.push(root.draft()?);
    }
    for file in &proposal.targets {
        drafts.push(file.draft()?);
    }
    Ok(drafts)
}

fn show(proposal: &Proposal, drafts: &[Draft], stored: &Trusted) -> Result<(), Failure> {
    for draft in drafts {
        platform::complain!("{} {}", draft.role(), draft.version());
        for line in changes::of(draft, stored)? {
            platform::complain!("  {line}");
        }
    }
    platform::complain!("what the Notary repository says and this does not:");
    for loss in &proposal.losses {
        platform::complain!("  {loss}");
    }
    Ok(())
}
