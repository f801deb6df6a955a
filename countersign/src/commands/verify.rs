//! `countersign verify`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::TimeDelta;
use clap::Args;
use client::Bundles;
use verifier::{Mode, Reason, Verdict};

use super::{
    Failure, Outcome, block_on,
    trust::{PolicyOptions, TrustOptions},
};
use crate::{
    decider::{Asked, Decider},
    line,
    manifests::ManifestFiles,
};

/// Which images, and what is printed.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    policy: PolicyOptions,
    #[command(flatten)]
    trust: TrustOptions,
    /// Print each verdict with its evidence as one line of JSON.
    #[arg(long, conflicts_with = "explain")]
    json: bool,
    /// Show below each image what the verdict rests on: documents, keys, and when they end.
    #[arg(long, conflicts_with = "write")]
    explain: bool,
    /// The namespace that the policy looks at.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// How long to wait for trust servers.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Judge the images that YAML files name: a file, a directory with all below it, or - for standard input. Objects of
    /// Kubernetes, the output of Helm and Compose files are understood.
    #[arg(long, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    /// Write the digests of signed images into the files of --manifests; standard input goes to standard output. Nothing
    /// is written if an image is denied.
    #[arg(long, requires = "manifests")]
    write: bool,
    /// Write the documents that the verdicts rest on into this file, for --from-bundle elsewhere. Nothing is written if an
    /// image is denied.
    #[arg(long, value_name = "FILE", conflicts_with = "from_bundle")]
    bundle: Option<PathBuf>,
    /// Ask no server, and decide by the documents in this file alone: one that --bundle wrote, or the answer of a server's
    /// _trust/bundle. Give it several times for several files. What says how servers are reached is not looked at; their
    /// addresses still name the state that nothing may go back behind.
    #[arg(long, value_name = "FILE")]
    from_bundle: Vec<PathBuf>,
    /// The images, as they are written in a deployment.
    #[arg(required_unless_present = "manifests", value_name = "IMAGE")]
    images: Vec<String>,
}

/// Judges the images, and prints a line for each.
///
/// # Errors
/// When the policy, or something else that the command line names, cannot be used.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let decider = options.decider()?;
    let mut asked = Asked::by("verify");
    asked.context.namespace.clone_from(&options.namespace);
    let files = ManifestFiles::read(&options.manifests).map_err(Failure)?;
    let images: Vec<&str> = options
        .images
        .iter()
        .map(String::as_str)
        .chain(files.images())
        .collect();
    // An image that several files name is judged and told once.
    let mut known = BTreeSet::new();
    let images: Vec<&str> = images.into_iter().filter(|image| known.insert(*image)).collect();
    let deadline = Duration::from_secs(options.timeout);
    let verdicts = block_on(decider.decide_all(&images, &asked, deadline))?;
    for verdict in &verdicts {
        // Standard output may be a rewritten manifest.
        let text = match options.json {
            true => serde_json::to_string(verdict)?,
            false => line::of(verdict),
        };
        match options.write {
            true => platform::complain!("{text}"),
            false => platform::say!("{text}"),
        }
        if options.explain {
            explain(verdict);
        }
    }
    if images.is_empty() {
        platform::complain!("no image is named there");
        return Ok(Outcome::Done);
    }
    let outcome = verdicts.iter().map(outcome).max().unwrap_or(Outcome::Undecided);
    if let Some(file) = &options.bundle {
        if outcome == Outcome::Done {
            options.write_bundle(file, &decider, &images, &verdicts, &asked)?;
        } else {
            platform::complain!(
                "{} is not written, because not every image is allowed",
                file.display()
            );
        }
    }
    if options.write && outcome == Outcome::Done {
        let pinned = verdicts.iter().filter(|verdict| verdict.allow);
        let pinned = pinned.filter_map(|verdict| Some((verdict.image.clone(), verdict.pinned.clone()?)));
        files.write(&pinned.collect()).map_err(Failure)?;
    }
    Ok(outcome)
}

impl Options {
    /// What decides: the servers' answers, or the files.
    fn decider(&self) -> Result<Decider, Failure> {
        if !self.from_bundle.is_empty() {
            let bundles = Bundles::read(&self.from_bundle)?;
            return self.policy.offline(&self.trust, bundles);
        }
        if let Some(file) = &self.bundle {
            Bundles::check_place(file)?;
        }
        self.policy.decider(&self.trust, TimeDelta::zero())
    }

    /// Writes what the verdicts rest on, if they are the same by that alone.
    fn write_bundle(
        &self,
        file: &Path,
        decider: &Decider,
        images: &[&str],
        verdicts: &[Verdict],
        asked: &Asked,
    ) -> Result<(), Failure> {
        let bundles = decider.documents(images, asked);
        let offline = self.policy.offline(&self.trust, bundles.clone())?;
        let again = block_on(offline.decide_all(images, asked, Duration::MAX))?;
        for (verdict, again) in verdicts.iter().zip(&again) {
            if verdict.allow && (!again.allow || again.digest != verdict.digest) {
                return Err(Failure(format!(
                    "{} is not written: by these documents alone the verdict would be `{}`; if somebody has published \
                     meanwhile, run this again",
                    file.display(),
                    line::of(again)
                )));
            }
        }
        Ok(bundles.write(file)?)
    }
}

fn outcome(verdict: &Verdict) -> Outcome {
    if verdict.permits() {
        return Outcome::Done;
    }
    of_denial(verdict)
}

/// Whether a denied image is not signed as demanded, or that could not be decided.
pub(super) fn of_denial(verdict: &Verdict) -> Outcome {
    match verdict.reason {
        Some(
            Reason::ServerUnreachable
            | Reason::ServerError
            | Reason::AccessDenied
            | Reason::NotInBundle
            | Reason::TooStale
            | Reason::InvalidState
            | Reason::InvalidReference,
        )
        | None => Outcome::Undecided,
        Some(_) => Outcome::Denied,
    }
}

/// The tree of what a verdict rests on.
fn explain(verdict: &Verdict) {
    let rule = verdict.rule.as_deref().unwrap_or("(none)");
    let mode = match verdict.mode {
        Mode::Enforce => "",
        Mode::Audit => ", audit only",
    };
    platform::say!("  rule: {rule}{mode}");
    if !verdict.sentence.is_empty() && verdict.allow {
        platform::say!("  {}", verdict.sentence);
    }
    let Some(evidence) = &verdict.evidence else {
        platform::say!("  nothing was verified");
        return;
    };
    let document = |indent: usize, name: &str, document: &verifier::DocumentEvidence| {
        let pad = " ".repeat(indent);
        platform::say!(
            "{pad}{name}: version {}, until {}",
            document.version,
            document
                .expires
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        );
        for key in &document.key_ids {
            platform::say!("{pad}  signed by {key}");
        }
    };
    platform::say!("  repository: {}", evidence.gun);
    document(4, "root", &evidence.root);
    document(6, "timestamp", &evidence.timestamp);
    document(6, "snapshot", &evidence.snapshot);
    document(6, "targets", &evidence.targets);
    for role in &evidence.roles {
        document(8, &role.role, &role.document);
        let digest = role.digest.as_deref().unwrap_or("no digest");
        platform::say!("          names {} = {digest}", role.tag);
        if !role.signers.is_empty() {
            platform::say!("          signers of the policy: {}", role.signers.join(", "));
        }
    }
    for role in &evidence.left_out {
        platform::say!("        left out: {role}");
    }
}
