//! `countersign tuf init`.

use clap::Args;
use client::keys::KeyStore;
use tuf_native::authoring::{RootContent, TargetsContent};
use tuf_native::{PublicKey, Role, Signers};

use super::session::{Work, WorkOptions, in_days};
use crate::commands::{Failure, Outcome};

/// Which repository, and whose.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository, such as example.com/tools.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// A key that signs roots: the file of a public key or certificate, or the ID of a private key at hand. If absent, the only
    /// root key at hand, or a new one.
    #[arg(long, value_name = "FILE|ID")]
    root_signer: Vec<String>,
    /// How many of them must sign.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    root_threshold: u32,
    /// A key that signs targets: as --root-signer. A new one is made if absent.
    #[arg(long, value_name = "FILE|ID")]
    signer: Vec<String>,
    /// How many of them must sign.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    threshold: u32,
    /// In how many days the root ends.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    root_days: u32,
    /// In how many days targets ends.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let name = &work.session.name;
    let trusted = work.session.stored().await?;
    if trusted.root.is_some() {
        return Err(Failure(format!(
            "{name} was begun already: see `countersign tuf status {name}`"
        )));
    }
    let online = work.session.server.native_keys(name).await?;
    let root = if options.root_signer.is_empty() {
        Signers::new(vec![root_key(&work)?], options.root_threshold)
    } else {
        work.signers(&options.root_signer, options.root_threshold)?
    };
    let targets = if options.signer.is_empty() {
        let made = work.keys.generate("targets", Some(name.gun()))?;
        Signers::new(vec![PublicKey::from_notary(&made)?], options.threshold)
    } else {
        work.signers(&options.signer, options.threshold)?
    };
    let root = RootContent::first(name, root, targets, &online, in_days(options.root_days));
    let targets = TargetsContent::first(name, Role::Targets, in_days(options.days));
    work.submit(&trusted, vec![root.draft()?, targets.draft()?])
        .await?;
    platform::complain!(
        "hand root version 1 to those who verify: they begin with --root FILE. Keep a copy of the root keys: nobody can make \
         other ones for this repository"
    );
    Ok(Outcome::Done)
}

/// The only root key at hand, or a new one.
fn root_key(work: &Work) -> Result<PublicKey, Failure> {
    let mut found = work.keys.list()?;
    found.retain(|key| key.role == "root");
    let made = match found.as_slice() {
        [] => work.keys.generate("root", None)?,
        [one] => work.keys.open(&one.id)?.public().clone(),
        several => {
            let ids: Vec<&str> = several.iter().map(|key| key.id.as_str()).collect();
            return Err(Failure(format!(
                "there are several root keys: say with --root-signer ID which one signs the root: {}",
                ids.join(" or ")
            )));
        }
    };
    Ok(PublicKey::from_notary(&made)?)
}
