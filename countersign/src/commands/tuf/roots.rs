//! `countersign tuf roots`: an operator vouches for the roots of Notary repositories, so that trust in them need not begin with
//! what a server shows first.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use clap::Args;
use client::{ReadError, Server, reading::Reading};
use futures_util::{StreamExt, stream};
use openssl::x509::X509;
use tuf::{Gun, PublicKey, VerifiedRoot};
use tuf_native::authoring::{Target, TargetsContent};
use tuf_native::roots::{self, TrustRoots};
use tuf_native::{
    Checksum, Trusted,
    statement::{self, Statement},
};

use super::add::following;
use super::session::{Work, WorkOptions, role};
use crate::commands::{Failure, Outcome, signing::is_confirmed, signing::repository};

/// How many repositories are read at a time.
const TOGETHER: usize = 8;

/// For which roots the operator vouches.
#[derive(Debug, Args)]
pub struct Options {
    /// The operator's TUF 1.0 repository, which `countersign tuf init` made.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The Notary repositories whose roots are vouched for, such as registry.example/team/app.
    #[arg(value_name = "GUN", required_unless_present_any = ["all", "replace", "remove"])]
    guns: Vec<String>,
    /// Every Notary repository of the server that may be read.
    #[arg(long, conflicts_with = "guns")]
    all: bool,
    /// Vouch for the roots of this repository although they are not those that were vouched for: it was made anew, and its
    /// owner confirms the new root key.
    #[arg(long, value_name = "GUN")]
    replace: Vec<String>,
    /// No longer vouch for any root of this repository.
    #[arg(long, value_name = "GUN")]
    remove: Vec<String>,
    /// Sign without asking whether what is shown is right.
    #[arg(long)]
    yes: bool,
    /// The role that lists the roots.
    #[arg(long, value_name = "ROLE", default_value = "targets")]
    role: String,
    /// In how many days the role ends.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
    #[command(flatten)]
    options: WorkOptions,
}

/// What the command line asks for.
struct Asked {
    guns: BTreeSet<Gun>,
    replace: BTreeSet<Gun>,
    remove: BTreeSet<Gun>,
}

/// What is about to be vouched for.
struct Change {
    content: TargetsContent,
    /// New targets, with their content.
    added: Vec<(String, Bytes)>,
    changed: bool,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let mut asked = Asked::of(options)?;
    let trusted = work.session.begun().await?;
    check_use(&work, &trusted, options, &asked)?;
    if options.all {
        let listed = work
            .session
            .server
            .notary_repositories(&work.session.name)
            .await?;
        let listed = listed.ok_or_else(|| {
            Failure(format!(
                "{} lists no repositories: name those that are meant",
                work.session.server.label()
            ))
        })?;
        platform::complain!(
            "{} lists {} repositories",
            work.session.server.label(),
            listed.len()
        );
        asked
            .guns
            .extend(listed.into_iter().filter(|gun| !asked.remove.contains(gun)));
    }
    let mut change = Change {
        content: following(&work.session, &trusted, &options.role, options.days)?,
        added: Vec::new(),
        changed: false,
    };
    for gun in &asked.remove {
        change.remove(gun, &work, &options.role)?;
    }
    let refused = vouch(&work, &asked, &mut change).await?;
    for cause in &refused {
        platform::complain!("not vouched for: {cause}");
    }
    // Of what was named nothing is signed unless all of it can be.
    if !refused.is_empty() && !options.all {
        return Err(Failure("nothing was signed".into()));
    }
    let outcome = if refused.is_empty() {
        Outcome::Done
    } else {
        Outcome::Denied
    };
    if !refused.is_empty() {
        platform::complain!(
            "{} of {} repositories are not vouched for",
            refused.len(),
            asked.guns.len()
        );
    }
    if !change.changed {
        platform::complain!("{} vouches for the same already", work.session.name);
        return Ok(outcome);
    }
    let question = "vouch for this? Compare new root keys with what the owners say. Answer `yes`";
    if !options.yes && !is_confirmed(question, "say --yes to vouch for what was shown")? {
        return Err(Failure("nothing was signed".into()));
    }
    // Before anything is stored: a name may be refused.
    let draft = change.content.draft()?;
    store(&work, change.added).await?;
    work.submit(&trusted, vec![draft]).await?;
    Ok(outcome)
}

impl Asked {
    fn of(options: &Options) -> Result<Self, Failure> {
        let read = |texts: &[String]| {
            texts
                .iter()
                .map(|text| gun(text))
                .collect::<Result<BTreeSet<Gun>, _>>()
        };
        let (mut guns, replace, remove) = (
            read(&options.guns)?,
            read(&options.replace)?,
            // What is no longer there need not have a name that an image can have.
            options
                .remove
                .iter()
                .map(|text| gun(text).or_else(|_| Ok(Gun::parse(text)?)))
                .collect::<Result<BTreeSet<Gun>, Failure>>()?,
        );
        guns.extend(replace.iter().cloned());
        let asked = Self {
            guns,
            replace,
            remove,
        };
        if let Some(both) = asked.guns.intersection(&asked.remove).next() {
            return Err(Failure(format!(
                "{both} cannot be vouched for and removed at once"
            )));
        }
        Ok(asked)
    }
}

impl Change {
    fn roots(&self) -> TrustRoots {
        let targets = self.content.targets.iter();
        TrustRoots::among(targets.map(|(name, target)| listed(name, target)))
    }

    /// Takes all roots of a repository out, and says so.
    fn remove(&mut self, gun: &Gun, work: &Work, role: &str) -> Result<(), Failure> {
        let versions: Vec<_> = self.roots().versions(gun).collect();
        if versions.is_empty() {
            let name = &work.session.name;
            return Err(Failure(format!("{role} of {name} vouches for no root of {gun}")));
        }
        for version in versions {
            let name = roots::name(gun, version);
            self.content.targets.remove(&name);
            platform::complain!("no longer {name}");
        }
        self.changed = true;
        Ok(())
    }

    /// Adds the roots of a repository that are new, and shows them.
    fn add(
        &mut self,
        gun: &Gun,
        chain: &[VerifiedRoot],
        known: &TrustRoots,
        replace: bool,
    ) -> Result<(), Failure> {
        let new = match known.new_roots(gun, chain) {
            Err(_) if replace => {
                for version in known.versions(gun) {
                    let name = roots::name(gun, version);
                    self.content.targets.remove(&name);
                    platform::complain!("no longer {name}");
                }
                chain
            }
            found => found?,
        };
        for root in new {
            let (name, target) = roots::target(gun, root);
            show(&name, root, &target);
            self.added.push((name.clone(), root.bytes().clone()));
            self.content.targets.insert(name, target);
            self.changed = true;
        }
        Ok(())
    }
}

/// Adds what is new of every repository. Why some are not vouched for, a sentence each.
async fn vouch(work: &Work, asked: &Asked, change: &mut Change) -> Result<Vec<String>, Failure> {
    let known = change.roots();
    let mut refused = Vec::new();
    let read = stream::iter(asked.guns.iter().cloned()).map(|gun| async {
        let chain = chain(work, &gun).await;
        (gun, chain)
    });
    let mut read = read.buffered(TOGETHER);
    while let Some((gun, chain)) = read.next().await {
        let added = match chain {
            Ok(chain) => change.add(&gun, &chain, &known, asked.replace.contains(&gun)),
            Err(cause) => Err(cause),
        };
        if let Err(Failure(cause)) = added {
            // A list names what may be seen and perhaps not read.
            refused.push(if cause.contains(gun.as_str()) {
                cause
            } else {
                format!("{gun}: {cause}")
            });
        }
    }
    Ok(refused)
}

/// All roots of a Notary repository, each verified to follow from the one before.
async fn chain(work: &Work, gun: &Gun) -> Result<Vec<VerifiedRoot>, Failure> {
    let server: &Arc<Server> = &work.session.server;
    let documents = match server.read(gun, None).await? {
        Reading::Documents(known) => known.documents,
        Reading::Unchanged => {
            return Err(ReadError::Malformed {
                server: server.label().to_owned(),
                what: format!("it says that {gun} is unchanged although nothing was known"),
            }
            .into());
        }
    };
    Ok(roots::chain(gun, &documents.roots)?)
}

/// Stores the content of roots at the server, as far as that keeps any. Those who verify with `countersign` need none: they
/// compare the roots of Notary repositories with what is signed.
async fn store(work: &Work, added: Vec<(String, Bytes)>) -> Result<(), Failure> {
    let session = &work.session;
    for (index, (name, content)) in added.iter().enumerate() {
        let hash = Checksum::of(content).as_hex();
        let sent = session
            .server
            .native_put_target(&session.name, name, &hash, content.clone());
        let reason = match sent.await {
            Ok(true) => continue,
            Ok(false) => "it keeps no content of targets".to_owned(),
            Err(ReadError::Rejected { sentence, .. }) => sentence,
            Err(cause) => return Err(cause.into()),
        };
        platform::complain!(
            "note: the server does not store the content of {} of these roots, from {name} on: {reason}",
            added.len() - index
        );
        break;
    }
    Ok(())
}

/// Refuses a repository whose targets would then mean two things.
fn check_use(work: &Work, trusted: &Trusted, options: &Options, asked: &Asked) -> Result<(), Failure> {
    let name = &work.session.name;
    let own = role(&options.role)?;
    for file in &trusted.targets {
        let content = TargetsContent::following(file, file.expires())?;
        if content
            .targets
            .values()
            .any(|target| Statement::of_custom(&target.custom).is_some())
        {
            return Err(Failure(format!(
                "{name} is an attested mirror: make another repository for trust roots, with `countersign tuf init`"
            )));
        }
        if *file.role() == own {
            continue;
        }
        let others = TrustRoots::among(content.targets.iter().map(|(name, target)| listed(name, target)));
        if let Some(gun) = asked.guns.iter().find(|gun| others.newest(gun).is_some()) {
            return Err(Failure(format!(
                "{} of {name} lists the roots of {gun}: say --role {}",
                file.role(),
                file.role()
            )));
        }
    }
    Ok(())
}

fn listed<'a>(name: &'a str, target: &'a Target) -> (&'a str, Checksum, Option<&'a serde_json::Value>) {
    (name, target.sha256, target.custom.get(statement::MEMBER))
}

/// The repository of an image, as its trust data is called.
fn gun(text: &str) -> Result<Gun, Failure> {
    Ok(repository(text)?.gun().clone())
}

fn show(name: &str, root: &VerifiedRoot, target: &Target) {
    platform::complain!(
        "{name}: {} bytes, SHA-256 {}, ends at {}",
        target.length,
        target.sha256,
        root.usable_until().format("%Y-%m-%dT%H:%M:%SZ")
    );
    for key in root.declared() {
        let id = key
            .bare()
            .map_or_else(|| key.id().to_string(), |bare| bare.id().to_string());
        platform::complain!("  root key {id}{}", subject(&key));
    }
    if root.threshold() > 1 {
        platform::complain!("  {} of them must sign", root.threshold());
    }
}

/// Whose certificate a key has, in words.
fn subject(key: &PublicKey) -> String {
    let certificate = X509::from_pem(key.public()).ok();
    certificate.map_or_else(String::new, |certificate| {
        format!(
            ", certificate of {}",
            platform::x509::name_text(certificate.subject_name())
        )
    })
}
