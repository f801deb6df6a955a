//! `countersign tuf status`.

use chrono::Utc;
use clap::Args;
use client::{ReadError, keys::KeyStore};
use tuf_native::{PublicKey, Role, Signers, Trusted};

use super::session::{Work, WorkOptions, tell_waiting};
use crate::commands::{Failure, Outcome};

/// Of what.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let session = &work.session;
    let trusted = session.stored().await?;
    if trusted.root.is_none() {
        platform::complain!("{} was not begun yet", session.name);
    }
    show(&work, &trusted)?;
    match session.server.native_waiting(&session.name).await {
        Ok(waiting) => waiting.iter().for_each(tell_waiting),
        // What waits is shown to those who may publish.
        Err(ReadError::Forbidden { .. }) => {}
        Err(cause) => return Err(cause.into()),
    }
    Ok(Outcome::Done)
}

fn show(work: &Work, trusted: &Trusted) -> Result<(), Failure> {
    let files = trusted.root.iter().chain(&trusted.targets);
    for file in files.chain(&trusted.snapshot).chain(&trusted.timestamp) {
        let role = file.role();
        let end = if file.expires() <= Utc::now() {
            "expired at"
        } else {
            "ends at"
        };
        let by = signers(trusted, role);
        let threshold = by.map_or_else(String::new, |by| {
            format!(", {} of {} keys sign", by.threshold(), by.keys().len())
        });
        platform::say!(
            "{role} {} {end} {}{threshold}",
            file.version(),
            file.expires().format("%Y-%m-%dT%H:%M:%SZ")
        );
        for key in by.into_iter().flat_map(Signers::keys) {
            let whose = if is_held(work, key)? { " (at hand)" } else { "" };
            let whose = if matches!(role, Role::Snapshot | Role::Timestamp) {
                " (the server's)"
            } else {
                whose
            };
            platform::say!("  {} {}{whose}", key.scheme().key_type(), key.id());
        }
    }
    Ok(())
}

/// Who signs a role.
fn signers<'a>(trusted: &'a Trusted, role: &Role) -> Option<&'a Signers> {
    let of_root = trusted.root.as_ref().and_then(|root| root.root_signers(role));
    of_root.or_else(|| {
        let mut delegations = trusted.targets.iter().flat_map(|file| file.delegations());
        delegations
            .find(|(name, _)| *name == role)
            .map(|(_, signers)| signers)
    })
}

fn is_held(work: &Work, key: &PublicKey) -> Result<bool, Failure> {
    let held = work.keys.list()?;
    let kept = key.to_notary();
    Ok(kept.is_some_and(|kept| held.iter().any(|key| key.id == *kept.id())))
}
