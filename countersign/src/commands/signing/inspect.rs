//! `countersign inspect`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde::Serialize;
use tuf::RoleName;
use verifier::{Documents, Repository};

use super::{
    delegations::{self, Delegation, bare_id},
    session::{self, RepositoryOptions},
};
use crate::commands::{Failure, Outcome, block_on};

/// What is shown.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository, or an image with its tag: then only that tag is shown, with status 1 if it is not signed.
    #[arg(value_name = "REPOSITORY|IMAGE")]
    name: String,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    repository: RepositoryOptions,
}

/// A repository, for people and programs. The names of its fields are part of the interface.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    server: String,
    /// Sorted by tag.
    tags: Vec<Tag>,
    signers: Vec<Signer>,
    root: Document,
    timestamp: Document,
    snapshot: Document,
    targets: Document,
    delegations: BTreeMap<String, Document>,
    /// Delegations whose documents readers do not accept, each with the reason.
    left_out: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Tag {
    tag: String,
    /// More than one if roles disagree; none if a role names the tag without one.
    digests: BTreeSet<String>,
    /// The roles that name it.
    roles: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Named {
    role: String,
    digest: Option<String>,
    expires: String,
}

#[derive(Debug, Serialize)]
struct Signer {
    name: String,
    role: String,
    keys: Vec<String>,
    threshold: u64,
    paths: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Document {
    version: i32,
    expires: String,
    /// The IDs of the bare keys that may sign it.
    keys: Vec<String>,
}

/// Shows the trust data of a repository.
///
/// # Errors
/// When it cannot be read, or does not verify.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let image = session::parse(&options.name)?;
    let session = options.repository.open(&image)?;
    let (repository, documents) = block_on(session.read())??;
    let mut shown = Shown::of(&repository, &documents, session.server.label())?;
    if let Some(tag) = image.tag() {
        shown.tags.retain(|known| known.tag == tag);
    }
    if options.json {
        platform::say!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        shown.print();
    }
    match image.tag() {
        Some(_) if shown.tags.is_empty() => {
            platform::complain!("{image} is not signed");
            Ok(Outcome::Denied)
        }
        _ => Ok(Outcome::Done),
    }
}

impl Shown {
    fn of(repository: &Repository, documents: &Documents, server: &str) -> Result<Self, Failure> {
        let evidence = repository.evidence(None);
        let declared = delegations::of(repository, documents)?;
        let root = documents.roots.last().cloned().unwrap_or_default();
        let document = |role: RoleName, version, expires| -> Result<Document, Failure> {
            let keys = tuf::role_keys(&root, &role)?;
            Ok(Document {
                version,
                expires: moment(expires),
                keys: keys.iter().map(bare_id).collect(),
            })
        };
        let mut delegations = BTreeMap::new();
        for known in &declared {
            if let Some(role) = repository.role(known.role.as_str()) {
                let shown = Document {
                    version: role.version(),
                    expires: moment(role.expires()),
                    keys: known.keys.iter().map(bare_id).collect(),
                };
                delegations.insert(role.name().to_owned(), shown);
            }
        }
        Ok(Self {
            name: repository.gun().to_string(),
            server: server.to_owned(),
            tags: tags(repository),
            signers: declared.iter().map(Signer::of).collect(),
            root: document(RoleName::Root, evidence.root.version, evidence.root.expires)?,
            timestamp: document(
                RoleName::Timestamp,
                evidence.timestamp.version,
                evidence.timestamp.expires,
            )?,
            snapshot: document(
                RoleName::Snapshot,
                evidence.snapshot.version,
                evidence.snapshot.expires,
            )?,
            targets: document(
                RoleName::Targets,
                evidence.targets.version,
                evidence.targets.expires,
            )?,
            delegations,
            left_out: evidence.left_out,
        })
    }

    fn print(&self) {
        platform::say!("{}", self.name);
        platform::say!("  server: {}", self.server);
        if self.tags.is_empty() {
            platform::say!("  no tag");
        }
        for tag in &self.tags {
            for role in &tag.roles {
                let digest = role.digest.as_deref().unwrap_or("(no SHA-256)");
                platform::say!("  {}  {digest}  {}", tag.tag, role.role);
            }
            if tag.digests.len() > 1 {
                platform::say!("  {}  the roles disagree", tag.tag);
            }
        }
        for signer in &self.signers {
            let needed = match signer.threshold {
                0 | 1 => String::new(),
                more => format!(" ({more} of them must sign)"),
            };
            platform::say!(
                "  {} is signed by {}{needed}",
                signer.role,
                signer.keys.join(" or ")
            );
        }
        let base = [
            ("root", &self.root),
            ("targets", &self.targets),
            ("snapshot", &self.snapshot),
            ("timestamp", &self.timestamp),
        ];
        let delegations = self
            .delegations
            .iter()
            .map(|(role, shown)| (role.as_str(), shown));
        for (role, shown) in base.into_iter().chain(delegations) {
            platform::say!("  {role}: version {}, until {}", shown.version, shown.expires);
            if !role.contains('/') {
                platform::say!("    keys: {}", shown.keys.join(", "));
            }
        }
        for reason in &self.left_out {
            platform::say!("  left out: {reason}");
        }
    }
}

impl Signer {
    fn of(known: &Delegation) -> Self {
        let role = known.role.as_str();
        Self {
            name: role.strip_prefix("targets/").unwrap_or(role).to_owned(),
            role: role.to_owned(),
            keys: known.keys.iter().map(bare_id).collect(),
            threshold: known.threshold,
            paths: known.paths.clone(),
        }
    }
}

fn tags(repository: &Repository) -> Vec<Tag> {
    let mut found: BTreeMap<&str, Vec<Named>> = BTreeMap::new();
    for role in repository.roles() {
        for (tag, digest) in role.tags() {
            found.entry(tag).or_default().push(Named {
                role: role.name().to_owned(),
                digest: digest.map(|digest| format!("sha256:{digest}")),
                expires: moment(role.expires()),
            });
        }
    }
    let tag = |(tag, roles): (&str, Vec<Named>)| Tag {
        tag: tag.to_owned(),
        digests: roles.iter().filter_map(|role| role.digest.clone()).collect(),
        roles,
    };
    found.into_iter().map(tag).collect()
}

fn moment(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}
