//! `countersign tuf sign` and `countersign tuf withdraw`.

use chrono::Utc;
use clap::Args;
use client::native;
use tuf_native::{Draft, Limits, Trusted, ready};

use super::session::{Work, WorkOptions, role, tell_waiting};
use super::{changes, publish};
use crate::commands::{Failure, Outcome, signing::is_confirmed};

/// What is signed.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The roles; everything that waits if absent.
    #[arg(value_name = "ROLE")]
    roles: Vec<String>,
    /// Sign without asking whether what is shown is right.
    #[arg(long)]
    yes: bool,
    /// Leave publishing to somebody else, even if enough have signed.
    #[arg(long)]
    no_publish: bool,
    #[command(flatten)]
    options: WorkOptions,
}

/// What is withdrawn.
#[derive(Debug, Args)]
pub struct WithdrawOptions {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The roles.
    #[arg(value_name = "ROLE", required = true)]
    roles: Vec<String>,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let session = &work.session;
    let trusted = session.stored().await?;
    let waiting = drafts(&work).await?;
    if trusted.root.is_none() {
        session.check_first(&waiting)?;
    }
    let named = options
        .roles
        .iter()
        .map(|name| role(name))
        .collect::<Result<Vec<_>, _>>()?;
    let online = session.server.native_keys(&session.name).await?;
    // How far versions may jump is for the server to say.
    let limits = Limits {
        max_version_jump: u32::MAX,
        ..Limits::default()
    };
    let mut signed = Vec::new();
    for draft in &waiting {
        if !named.is_empty() && !named.contains(draft.role()) {
            continue;
        }
        draft.check_repository(&session.name)?;
        draft.check(&trusted, &waiting, &online, &limits, Utc::now())?;
        show(draft, &trusted)?;
        signed.push(draft);
    }
    if signed.is_empty() {
        return Err(Failure(format!(
            "nothing of {} waits for a signature",
            session.name
        )));
    }
    let question = "sign this? Answer `yes`";
    if !options.yes && !is_confirmed(question, "say --yes to sign what was shown")? {
        return Err(Failure("nothing was signed".into()));
    }
    let mut added = Vec::new();
    for draft in signed {
        let (draft, by) = native::sign(&work.keys, draft, &draft.may_sign(&trusted, &waiting))?;
        for key in &by {
            platform::say!("signed {} {} with {key}", draft.role(), draft.version());
        }
        if !by.is_empty() {
            added.push(draft);
        }
    }
    if added.is_empty() {
        return Err(Failure(format!(
            "no key at hand may still sign what waits: see `countersign tuf status {}`",
            session.name
        )));
    }
    for waiting in session.server.native_sign(&session.name, &added).await? {
        tell_waiting(&waiting);
    }
    if !options.no_publish {
        let files = ready(&trusted, &drafts(&work).await?);
        if !files.is_empty() {
            publish::together(session, &files).await?;
        }
    }
    Ok(Outcome::Done)
}

pub(super) async fn withdraw(options: &WithdrawOptions) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    for name in &options.roles {
        let role = role(name)?;
        work.session
            .server
            .native_withdraw(&work.session.name, &role)
            .await?;
        platform::say!("withdrawn {role}");
    }
    Ok(Outcome::Done)
}

/// Everything that waits.
pub(super) async fn drafts(work: &Work) -> Result<Vec<Draft>, Failure> {
    let session = &work.session;
    let mut drafts = Vec::new();
    for waiting in session.server.native_waiting(&session.name).await? {
        let role = role(&waiting.role)?;
        drafts.extend(session.server.native_draft(&session.name, &role).await?);
    }
    Ok(drafts)
}

fn show(draft: &Draft, trusted: &Trusted) -> Result<(), Failure> {
    platform::complain!("{} {}", draft.role(), draft.version());
    for line in changes::of(draft, trusted)? {
        platform::complain!("  {line}");
    }
    Ok(())
}
