//! `countersign tuf mirror`: an attested mirror. The operator says what was seen signed, and nobody else is said to have signed it.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;
use client::native::{Beginning, read_root};
use tuf_native::authoring::TargetsContent;
use tuf_native::roots::TrustRoots;
use tuf_native::{
    RepositoryName, Trusted,
    mirror::Source,
    statement::{self, Statement},
};

use super::session::{Session, Work};
use super::{add::following, changes, migrate};
use crate::commands::{
    Failure, Outcome,
    signing::{NotarySession, RepositoryOptions, is_confirmed, repository},
};

/// What is mirrored.
#[derive(Debug, Args)]
pub struct Options {
    /// The Notary repository, such as registry.example/team/app.
    #[arg(value_name = "GUN")]
    gun: String,
    /// The operator's TUF 1.0 repository, which `countersign tuf init` made. Its targets are called GUN/TAG.
    #[arg(long, value_name = "REPOSITORY")]
    repository: String,
    /// The file of a root of that repository with which trust in it begins, if it was never verified here.
    #[arg(long, value_name = "FILE")]
    tuf_root: Option<PathBuf>,
    /// Sign without asking whether what is shown is right.
    #[arg(long)]
    yes: bool,
    /// The role that lists the mirrored tags.
    #[arg(long, value_name = "ROLE", default_value = "targets")]
    role: String,
    /// In how many days the role ends, if the sources do not end before.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
    #[command(flatten)]
    options: RepositoryOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let source = options.options.open(&repository(&options.gun)?)?;
    let gun = source.gun.clone();
    let text = &options.repository;
    let name = RepositoryName::parse(text).map_err(|cause| Failure(format!("{text}: {cause}")))?;
    if *name.gun() == gun {
        return Err(Failure(format!(
            "{name} is the TUF 1.0 repository of {gun} itself: what is there is taken for its owners' word. Name a repository of your \
             own with --repository, or have the owners sign with `countersign tuf migrate`"
        )));
    }
    let (root, targets) = migrate::read(&source).await?;
    let now = Utc::now();
    let seen = Source::of(&gun, &root, &targets, now)?;
    let work = work(options, name, source)?;
    let trusted = work.session.begun().await?;
    check_use(&work, &trusted)?;
    let mut content = following(&work.session, &trusted, &options.role, options.days)?;
    let stored = trusted.file(&content.role);
    let stored_end = stored.map_or(now, |stored| stored.expires());
    let changed = seen.mirror_into(&mut content, stored_end, now)?;
    for reason in &seen.left_out {
        platform::complain!("left out: {reason}");
    }
    if content.end() <= now {
        return Err(ended(&work, &content, now));
    }
    if !changed {
        platform::complain!(
            "{} says the same already, as an attested mirror",
            work.session.name
        );
        return Ok(Outcome::Done);
    }
    let draft = content.draft()?;
    platform::complain!(
        "attested mirror of {gun}, {} tags. A reader of {} may conclude: {SEEN}",
        seen.len(),
        work.session.name
    );
    for line in changes::of(&draft, &trusted)? {
        platform::complain!("  {line}");
    }
    if !options.yes && !is_confirmed("sign this? Answer `yes`", "say --yes to sign what was shown")? {
        return Err(Failure("nothing was signed".into()));
    }
    work.submit(&trusted, vec![draft]).await?;
    Ok(Outcome::Done)
}

/// What a reader of an attested mirror may conclude.
const SEEN: &str = "the operator saw a valid statement then, and nothing more";

/// What is told of a target that is of an attested mirror; `None` for others.
pub(super) fn told(custom: Option<&serde_json::Value>) -> Option<String> {
    let said = Statement::of(custom?)?;
    Some(format!(
        "attested mirror: the operator saw it in {} version {} of {} at {}, and says nothing more",
        said.role,
        said.version,
        said.gun,
        said.verified_at.format("%Y-%m-%dT%H:%M:%SZ")
    ))
}

/// The operator's repository.
fn work(options: &Options, name: RepositoryName, source: NotarySession) -> Result<Work, Failure> {
    let state = options.options.trust.state()?;
    let beginning = match &options.tuf_root {
        Some(file) => Some(Beginning::Root(read_root(file)?)),
        None => None,
    };
    Ok(Work {
        session: Session::new(name, source.server, state, beginning),
        keys: source.keys,
    })
}

/// Refuses a repository whose targets would then mean two things.
fn check_use(work: &Work, trusted: &Trusted) -> Result<(), Failure> {
    for file in &trusted.targets {
        let content = TargetsContent::following(file, file.expires())?;
        let targets = content.targets.iter();
        let listed = targets
            .map(|(name, target)| (name.as_str(), target.sha256, target.custom.get(statement::MEMBER)));
        if !TrustRoots::among(listed).is_empty() {
            return Err(Failure(format!(
                "{} has trust roots: make another repository for an attested mirror, with `countersign tuf init`",
                work.session.name
            )));
        }
    }
    Ok(())
}

/// Something else that is mirrored there has ended.
fn ended(work: &Work, content: &TargetsContent, now: DateTime<Utc>) -> Failure {
    let said = content.targets.values().map(|target| &target.custom);
    let statements = said.filter_map(Statement::of_custom);
    let first = statements
        .filter(|statement| statement.expires <= now)
        .min_by_key(|statement| statement.expires);
    let gun = first.map(|statement| statement.gun).unwrap_or_default();
    let name = &work.session.name;
    Failure(format!(
        "what {name} says of {gun} has ended with its source: mirror {gun} again, or take its targets out with `countersign tuf remove \
         {name} TARGET`"
    ))
}
