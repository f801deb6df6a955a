//! `mirror`: copies repositories from another Notary v1 server over its API.

use std::{collections::VecDeque, path::PathBuf};

use platform::progress::Progress;
use tuf::{Document, Gun, MetadataError, RoleName, Version};

use super::{
    Destination, MoveError, configuration, gun,
    login::Credentials,
    remote::{Remote, Tls},
};
use crate::clock::Clock;
use crate::store::{ImportError, Stored};

/// The largest timestamp, in bytes, that clients accept.
const TIMESTAMP_LIMIT: u64 = 1 << 20;
/// The largest other document, in bytes, that clients accept.
const DOCUMENT_LIMIT: u64 = 100 << 20;
/// The most roots and the most delegations of one repository. Without a limit the other server would decide how long
/// this takes.
const COUNT_LIMIT: usize = 10_000;

/// The options of `mirror`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The configuration file of the server that receives the repositories.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The address of the other server.
    #[arg(long, value_name = "URL")]
    from: String,
    /// The CA of the other server's certificate, instead of the system's CAs.
    #[arg(long, value_name = "FILE")]
    tlscacert: Option<PathBuf>,
    /// The client certificate for the other server.
    #[arg(long, value_name = "FILE", requires = "tlskey")]
    tlscert: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "tlscert")]
    tlskey: Option<PathBuf>,
    /// The name of an environment variable that contains a bearer token for it.
    #[arg(long, value_name = "NAME", conflicts_with = "user_env")]
    token_env: Option<String>,
    /// The name of an environment variable that contains NAME:PASSWORD for its token service.
    #[arg(long, value_name = "NAME")]
    user_env: Option<String>,
    /// The repositories.
    #[arg(value_name = "GUN", required = true)]
    guns: Vec<String>,
}

/// Reads all current documents and roots of each repository, and imports them like those of a file.
///
/// # Errors
/// When a repository was refused, or a server or the database cannot be used. Repositories before that are stored.
pub fn run(options: &Options) -> Result<(), MoveError> {
    let guns: Vec<Gun> = options
        .guns
        .iter()
        .map(|text| gun(text))
        .collect::<Result<_, _>>()?;
    let credentials =
        Credentials::from_environment(options.token_env.as_deref(), options.user_env.as_deref());
    let tls = Tls {
        ca: options.tlscacert.clone(),
        identity: options.tlscert.clone().zip(options.tlskey.clone()),
    };
    let remote = credentials.and_then(|credentials| Remote::new(&options.from, &tls, credentials));
    let mut remote = remote.map_err(MoveError::Remote)?;
    let mut destination = Destination::open(configuration(&options.config)?)?;
    let mut progress = Progress::new("repositories mirrored", Some(guns.len() as u64));
    for gun in &guns {
        let known = destination.store.newest_timestamp(gun)?;
        let outcome = match read(&mut remote, gun, known.as_ref()) {
            Ok(documents) => {
                let now = Clock::System.now();
                let stored = documents.into_iter().map(|document| {
                    Ok(Stored {
                        document,
                        stored_at: Some(now),
                    })
                });
                destination.import(gun, stored, now)
            }
            Err(reason) => Err(ImportError::Unreadable(reason)),
        };
        destination.tell(gun, outcome)?;
        progress.step();
    }
    if destination.holds_any() {
        platform::say!(
            "The publishers have to give this server keys of its own, in the order that \
         docs/moving-repositories.md describes: notary key rotate GUN timestamp -r"
        );
    }
    destination.end()
}

/// Reads all current documents and all roots, in the order in which to store them; also the timestamp that is `known`
/// here, if the other server has or had it too.
fn read(remote: &mut Remote, gun: &Gun, known: Option<&Document>) -> Result<Vec<Document>, String> {
    remote.begin();
    let mut source = Source { remote, gun };
    let timestamp = source.get(RoleName::Timestamp, "timestamp", TIMESTAMP_LIMIT)?;
    let timestamp = timestamp.ok_or("the other server does not have this repository")?;
    let checksum = tuf::named_snapshot(&timestamp.bytes).map_err(|e| unusable(&RoleName::Timestamp, &e))?;
    let snapshot = source.get(
        RoleName::Snapshot,
        &format!("snapshot.{checksum}"),
        DOCUMENT_LIMIT,
    )?;
    let snapshot = snapshot.ok_or("the other server does not have the snapshot that its timestamp names")?;
    let mut documents = source.roots(&snapshot)?;
    documents.extend(source.targets(&snapshot)?);
    documents.push(snapshot);
    if let Some(known) = known.filter(|known| **known != timestamp) {
        let file = format!("{}.timestamp", known.version);
        documents.extend(source.get(RoleName::Timestamp, &file, TIMESTAMP_LIMIT)?);
    }
    documents.push(timestamp);
    Ok(documents)
}

struct Source<'a> {
    remote: &'a mut Remote,
    gun: &'a Gun,
}

impl Source<'_> {
    fn get(&mut self, role: RoleName, file: &str, limit: u64) -> Result<Option<Document>, String> {
        let Some(bytes) = self.remote.get(self.gun, &format!("{file}.json"), limit)? else {
            return Ok(None);
        };
        let version = tuf::stated_version(&bytes, &role).map_err(|e| unusable(&role, &e))?;
        Ok(Some(Document::new(role, version, bytes)))
    }

    /// The document of this role that the snapshot names, if any and if it exists.
    fn named(&mut self, snapshot: &Document, role: &RoleName) -> Result<Option<Document>, String> {
        let checksum = tuf::named_in_snapshot(&snapshot.bytes, role);
        match checksum.map_err(|e| unusable(&RoleName::Snapshot, &e))? {
            Some(checksum) => self.get(role.clone(), &format!("{role}.{checksum}"), DOCUMENT_LIMIT),
            None => Ok(None),
        }
    }

    /// Every root up to the one that the snapshot names. The audit decides which of them must exist.
    fn roots(&mut self, snapshot: &Document) -> Result<Vec<Document>, String> {
        let current = self.named(snapshot, &RoleName::Root)?;
        let current = current.ok_or("the other server does not have the root that its snapshot names")?;
        if usize::try_from(current.version.get()).is_ok_and(|count| count > COUNT_LIMIT) {
            return Err(format!("it has more than {COUNT_LIMIT} roots"));
        }
        let earlier = std::iter::successors(Some(Version::FIRST), |version| version.next());
        let mut roots = Vec::new();
        for version in earlier.take_while(|version| *version < current.version) {
            roots.extend(self.get(RoleName::Root, &format!("{version}.root"), DOCUMENT_LIMIT)?);
        }
        roots.push(current);
        Ok(roots)
    }

    /// Targets and every delegation that was published, parents first.
    fn targets(&mut self, snapshot: &Document) -> Result<Vec<Document>, String> {
        let mut found: Vec<Document> = Vec::new();
        let mut wanted = VecDeque::from([RoleName::Targets]);
        while let Some(role) = wanted.pop_front() {
            let Some(document) = self.named(snapshot, &role)? else {
                continue;
            };
            if found.len() >= COUNT_LIMIT {
                return Err(format!("it has more than {COUNT_LIMIT} delegations"));
            }
            match tuf::delegated_roles(&role, &document.bytes) {
                // A role may be declared twice.
                Ok(children) => {
                    for child in children {
                        if !wanted.contains(&child) {
                            wanted.push_back(child);
                        }
                    }
                }
                Err(reason) if role == RoleName::Targets => return Err(unusable(&role, &reason)),
                // Clients ignore an invalid delegation as well.
                Err(_) => {}
            }
            found.push(document);
        }
        Ok(found)
    }
}

fn unusable(role: &RoleName, reason: &MetadataError) -> String {
    format!("the {role} of the other server cannot be used: {reason}")
}
