//! `countersign tuf renew`.

use clap::Args;
use client::keys::KeyStore;
use tuf_native::authoring::{RootContent, TargetsContent};
use tuf_native::{Draft, Role, Trusted};

use super::session::{Work, WorkOptions, in_days, role};
use crate::commands::{Failure, Outcome};

/// Which roles are signed again.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The roles: root, targets, or delegated ones. If absent, every one that a key at hand may sign.
    #[arg(value_name = "ROLE")]
    roles: Vec<String>,
    /// In how many days targets and delegated roles end.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
    /// In how many days the root ends.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    root_days: u32,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let trusted = work.session.begun().await?;
    let named = options
        .roles
        .iter()
        .map(|name| role(name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut drafts = Vec::new();
    for file in trusted.root.iter().chain(&trusted.targets) {
        if !named.is_empty() && !named.contains(file.role()) {
            continue;
        }
        let draft = renewed(&work, &trusted, file.role(), options).await?;
        if !named.is_empty() || is_ours(&work, &trusted, &draft)? {
            drafts.push(draft);
        }
    }
    let missing = named
        .iter()
        .find(|role| !drafts.iter().any(|draft| draft.role() == *role));
    if let Some(role) = missing {
        return Err(Failure(format!(
            "{} has no role {role} that its owners sign",
            work.session.name
        )));
    }
    if drafts.is_empty() {
        return Err(Failure(format!(
            "no key at hand may sign a role of {}",
            work.session.name
        )));
    }
    work.submit(&trusted, drafts).await?;
    Ok(Outcome::Done)
}

async fn renewed(work: &Work, trusted: &Trusted, role: &Role, options: &Options) -> Result<Draft, Failure> {
    let session = &work.session;
    let absent = || Failure(format!("{} has no role {role}", session.name));
    if *role == Role::Root {
        let root = trusted.root.as_ref().ok_or_else(absent)?;
        let mut content = RootContent::following(root, in_days(options.root_days))?.ok_or_else(absent)?;
        content.use_online_keys(&session.server.native_keys(&session.name).await?);
        return Ok(content.draft()?);
    }
    let stored = trusted.file(role).ok_or_else(absent)?;
    Ok(TargetsContent::following(stored, in_days(options.days))?.draft()?)
}

/// Whether a key at hand may sign a draft.
fn is_ours(work: &Work, trusted: &Trusted, draft: &Draft) -> Result<bool, Failure> {
    let held = work.keys.list()?;
    let ours = |key: &tuf_native::PublicKey| {
        let kept = key.to_notary();
        kept.is_some_and(|kept| held.iter().any(|key| key.id == *kept.id()))
    };
    Ok(draft.may_sign(trusted, &[]).iter().any(ours))
}
