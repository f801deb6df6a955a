//! `countersign tuf delegate`.

use clap::Args;
use tuf_native::authoring::{Delegate, DelegatedPaths, TargetsContent};
use tuf_native::{Draft, Role, Signers, Trusted};

use super::add::following;
use super::session::{Work, WorkOptions, in_days, role};
use crate::commands::{Failure, Outcome};

/// Who is trusted with what.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The role that is delegated to.
    #[arg(value_name = "ROLE")]
    role: String,
    /// A key that signs it: the file of a public key or certificate, or the ID of a private key at hand.
    #[arg(long, value_name = "FILE|ID")]
    signer: Vec<String>,
    /// How many of them must sign.
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<u32>,
    /// A path that it is trusted with, or a pattern with * and ?, neither of which stands for a slash.
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["hash_prefix", "everything"])]
    path: Vec<String>,
    /// The beginning of the SHA-256 of the paths that it is trusted with, in hexadecimal.
    #[arg(long, value_name = "HEX", conflicts_with = "everything")]
    hash_prefix: Vec<String>,
    /// Trust it with every path.
    #[arg(long)]
    everything: bool,
    /// Clients look no further for a target of these paths.
    #[arg(long)]
    terminating: bool,
    /// The role that delegates.
    #[arg(long, value_name = "ROLE", default_value = "targets")]
    from: String,
    /// No longer delegate to it.
    #[arg(long, conflicts_with_all = ["signer", "threshold", "path", "hash_prefix", "everything", "terminating"])]
    remove: bool,
    /// In how many days the role that delegates, and a new role, ends.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let delegated = role(&options.role)?;
    let trusted = work.session.begun().await?;
    let mut content = following(&work.session, &trusted, &options.from, options.days)?;
    if options.remove {
        if !content.undelegate(&delegated) {
            return Err(Failure(format!(
                "{} does not delegate to {delegated}",
                options.from
            )));
        }
        work.submit(&trusted, vec![content.draft()?]).await?;
        return Ok(Outcome::Done);
    }
    let before = content.delegations.iter().find(|known| known.role == delegated);
    let delegate = changed(&work, options, delegated.clone(), before.cloned())?;
    content.delegate(delegate.clone());
    let mut drafts = vec![content.draft()?];
    drafts.extend(follow_up(
        &work,
        &trusted,
        &delegated,
        &delegate.signers,
        options.days,
    )?);
    work.submit(&trusted, drafts).await?;
    Ok(Outcome::Done)
}

/// The delegation as it was, with what the command line says.
fn changed(
    work: &Work,
    options: &Options,
    role: Role,
    before: Option<Delegate>,
) -> Result<Delegate, Failure> {
    let paths = if options.everything {
        Some(DelegatedPaths::everything())
    } else if !options.hash_prefix.is_empty() {
        Some(DelegatedPaths::HashPrefixes(options.hash_prefix.clone()))
    } else if options.path.is_empty() {
        None
    } else {
        Some(DelegatedPaths::Patterns(options.path.clone()))
    };
    let paths = paths.or_else(|| before.as_ref().map(|before| before.paths.clone()));
    let paths = paths.ok_or_else(|| {
        Failure(format!(
            "say what {role} is trusted with: --path PATTERN, --hash-prefix HEX or --everything"
        ))
    })?;
    let threshold = before.as_ref().map_or(1, |before| before.signers.threshold());
    let threshold = options.threshold.unwrap_or(threshold);
    let signers = match (&before, options.signer.is_empty()) {
        (_, false) => work.signers(&options.signer, threshold)?,
        (Some(before), true) => Signers::new(before.signers.keys().to_vec(), threshold),
        (None, true) => {
            return Err(Failure(format!(
                "say who signs {role}: --signer with the file of a public key, or an ID"
            )));
        }
    };
    Ok(Delegate {
        terminating: options.terminating || before.is_some_and(|before| before.terminating),
        role,
        signers,
        paths,
    })
}

/// The file of a role that has to be published together with a change of its signers: its first version, or its next if too
/// few of the new keys signed the stored one.
pub(super) fn follow_up(
    work: &Work,
    trusted: &Trusted,
    role: &Role,
    signers: &Signers,
    days: u32,
) -> Result<Option<Draft>, Failure> {
    let Some(stored) = trusted.file(role) else {
        let first = TargetsContent::first(&work.session.name, role.clone(), in_days(days));
        return Ok(Some(first.draft()?));
    };
    if stored.is_signed_by(signers) {
        return Ok(None);
    }
    Ok(Some(TargetsContent::following(stored, in_days(days))?.draft()?))
}
