//! `countersign tuf signers`.

use clap::{Args, ValueEnum};
use tuf_native::authoring::RootContent;
use tuf_native::{PublicKey, Role, Signers};

use super::delegate::follow_up;
use super::session::{Work, WorkOptions, in_days};
use crate::commands::{Failure, Outcome};

/// Whose signers are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Changed {
    /// Root itself.
    Root,
    /// Targets.
    Targets,
}

/// Who signs from now on.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The role. Those of delegated roles are changed with `countersign tuf delegate`.
    #[arg(value_enum, value_name = "ROLE")]
    role: Changed,
    /// A key that signs it too: the file of a public key or certificate, or the ID of a private key at hand.
    #[arg(long, value_name = "FILE|ID")]
    add: Vec<String>,
    /// The ID of a key that no longer signs it, as `countersign tuf status` shows it.
    #[arg(long, value_name = "ID")]
    remove: Vec<String>,
    /// How many must sign.
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<u32>,
    /// In how many days the new root ends.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    root_days: u32,
    /// In how many days targets ends, if it has to be signed again.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let name = &work.session.name;
    let trusted = work.session.begun().await?;
    let root = trusted.root.as_ref();
    let content = root.map(|root| RootContent::following(root, in_days(options.root_days)));
    let Some(mut content) = content.transpose()?.flatten() else {
        return Err(Failure(format!("{name} has no root")));
    };
    content.use_online_keys(&work.session.server.native_keys(name).await?);
    let before = match options.role {
        Changed::Root => &content.root,
        Changed::Targets => &content.targets,
    };
    let after = changed(&work, options, before)?;
    let mut drafts = Vec::new();
    match options.role {
        Changed::Root => content.root = after,
        Changed::Targets => {
            drafts.extend(follow_up(&work, &trusted, &Role::Targets, &after, options.days)?);
            content.targets = after;
        }
    }
    drafts.insert(0, content.draft()?);
    work.submit(&trusted, drafts).await?;
    Ok(Outcome::Done)
}

fn changed(work: &Work, options: &Options, before: &Signers) -> Result<Signers, Failure> {
    let mut keys: Vec<PublicKey> = before.keys().to_vec();
    for id in &options.remove {
        let count = keys.len();
        keys.retain(|key| key.id().as_str() != id);
        if keys.len() == count {
            return Err(Failure(format!("no key {id} signs it")));
        }
    }
    for text in &options.add {
        let key = work.public_key(text)?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(Signers::new(
        keys,
        options.threshold.unwrap_or(before.threshold()),
    ))
}
