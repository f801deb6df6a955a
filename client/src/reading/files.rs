//! Reads a repository file by file, from the timestamp on, everything else by the checksum that leads to it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use reqwest::StatusCode;
use tuf::{Checksum, Gun, RoleName};
use verifier::Documents;

use super::{Known, Reading};
use crate::failure::ReadError;
use crate::server::{Access, Server};

/// The largest timestamp that clients read, in bytes.
const TIMESTAMP_LIMIT: u64 = 1 << 20;
/// The largest other document that clients read, in bytes, and all of them together.
const TOTAL_LIMIT: u64 = 100 << 20;
/// How many roots and how many delegations are read of a repository.
const MAX_DOCUMENTS: usize = 1_000;
/// How often a repository is read from the beginning that was published to in the meantime.
const ATTEMPTS: usize = 4;

/// One reading of a repository.
struct Files<'a> {
    server: &'a Server,
    gun: &'a Gun,
    /// How many bytes may still be read.
    left: u64,
}

/// Why a reading ended.
enum Stop {
    Error(ReadError),
    /// A document is not there that was there a moment ago, by what named it: somebody published, or deleted.
    Vanished(String),
}

impl From<ReadError> for Stop {
    fn from(cause: ReadError) -> Self {
        Self::Error(cause)
    }
}

impl Server {
    /// Reads a repository file by file.
    pub(super) async fn read_files(&self, gun: &Gun, known: Option<&Known>) -> Result<Reading, ReadError> {
        let mut vanished = String::new();
        for _ in 0..ATTEMPTS {
            let mut files = Files {
                server: self,
                gun,
                left: TOTAL_LIMIT,
            };
            match files.read(known).await {
                Ok(read) => return Ok(read),
                Err(Stop::Error(cause)) => return Err(cause),
                Err(Stop::Vanished(what)) => vanished = what,
            }
        }
        Err(ReadError::Malformed {
            server: self.label().to_owned(),
            what: format!("it does not have {vanished}, which its own documents name"),
        })
    }
}

impl Files<'_> {
    async fn read(&mut self, known: Option<&Known>) -> Result<Reading, Stop> {
        let timestamp = self.get("timestamp.json", TIMESTAMP_LIMIT).await?;
        let timestamp = timestamp.ok_or_else(|| ReadError::NoTrustData {
            server: self.server.label().to_owned(),
            gun: self.gun.to_string(),
        })?;
        if known.is_some_and(|known| known.documents.timestamp == timestamp) {
            return Ok(Reading::Unchanged);
        }
        let named = tuf::named_snapshot(&timestamp).map_err(|cause| self.malformed("timestamp", &cause))?;
        let snapshot = self.named(&RoleName::Snapshot, &named).await?;
        let roots = self.roots(&snapshot, known).await?;
        let targets = self.targets(&snapshot).await?;
        Ok(Reading::Documents(Known {
            documents: Documents {
                roots,
                timestamp,
                snapshot,
                targets,
            },
            etag: None,
        }))
    }

    /// The roots from the first, or the oldest that there is, to the newest. Those that are known are not read again.
    async fn roots(&mut self, snapshot: &Bytes, known: Option<&Known>) -> Result<Vec<Bytes>, Stop> {
        let role = RoleName::Root;
        let checksum = self.listed(snapshot, &role)?;
        let checksum = checksum.ok_or_else(|| self.nonsense("its snapshot names no root".into()))?;
        let known = known.map_or(&[][..], |known| &known.documents.roots);
        if known.last().is_some_and(|root| Checksum::of(root) == checksum) {
            return Ok(known.to_vec());
        }
        let newest = self.named(&role, &checksum).await?;
        let version_of = |root: &Bytes| tuf::stated_version(root, &role).map(|version| version.get());
        let mut version = version_of(&newest).map_err(|cause| self.malformed("root", &cause))?;
        // What is known leads to the newest root only if it ends below that one. Otherwise the verifier is to see all that
        // the server has.
        let ends = known.last().and_then(|root| version_of(root).ok());
        let known = if ends.is_some_and(|end| end < version) {
            known
        } else {
            &[]
        };
        let ends = ends.filter(|_| !known.is_empty()).unwrap_or(0);
        let mut found = VecDeque::from([newest]);
        while version - 1 > ends {
            version -= 1;
            if found.len() >= MAX_DOCUMENTS {
                return Err(self
                    .nonsense(format!("it has more than {MAX_DOCUMENTS} new roots"))
                    .into());
            }
            let file = format!("{version}.root.json");
            match self.get(&file, TOTAL_LIMIT).await? {
                Some(root) => found.push_front(root),
                // Servers may have deleted the oldest. Where something is known it has to lead on.
                None if ends == 0 => break,
                None => return Err(Stop::Vanished(file)),
            }
        }
        Ok(known.iter().cloned().chain(found).collect())
    }

    /// Targets, and each delegation that can be reached from it and was published.
    async fn targets(&mut self, snapshot: &Bytes) -> Result<BTreeMap<String, Bytes>, Stop> {
        let checksum = self.listed(snapshot, &RoleName::Targets)?;
        let checksum = checksum.ok_or_else(|| self.nonsense("its snapshot names no targets".into()))?;
        let mut found = BTreeMap::new();
        let mut waiting = VecDeque::from([(RoleName::Targets, checksum)]);
        while let Some((role, checksum)) = waiting.pop_front() {
            if found.contains_key(role.as_str()) {
                continue;
            }
            if found.len() >= MAX_DOCUMENTS {
                return Err(self
                    .nonsense(format!("it has more than {MAX_DOCUMENTS} delegations"))
                    .into());
            }
            let document = self.named(&role, &checksum).await?;
            let declared = tuf::delegated_roles(&role, &document);
            // What cannot be read is for the verifier to refuse, or to leave out.
            for child in declared.unwrap_or_default() {
                if let Some(checksum) = self.listed(snapshot, &child)? {
                    waiting.push_back((child, checksum));
                }
            }
            found.insert(role.as_str().to_owned(), document);
        }
        Ok(found)
    }

    fn listed(&self, snapshot: &Bytes, role: &RoleName) -> Result<Option<Checksum>, ReadError> {
        tuf::named_in_snapshot(snapshot, role).map_err(|cause| self.malformed("snapshot", &cause))
    }

    /// A document that another one names by its checksum.
    async fn named(&mut self, role: &RoleName, checksum: &Checksum) -> Result<Bytes, Stop> {
        let file = format!("{role}.{checksum}.json", role = role.as_str());
        let Some(bytes) = self.get(&file, TOTAL_LIMIT).await? else {
            return Err(Stop::Vanished(file));
        };
        if Checksum::of(&bytes) != *checksum {
            return Err(self
                .nonsense(format!("{file} does not have this checksum"))
                .into());
        }
        Ok(bytes)
    }

    /// A file; `None` if there is none.
    async fn get(&mut self, file: &str, limit: u64) -> Result<Option<Bytes>, ReadError> {
        let segments = ["tuf"].into_iter().chain(file.split('/'));
        let address = self.server.address(self.gun, segments);
        let limit = limit.min(self.left);
        let answer = self
            .server
            .exchange(self.gun, Access::Pull, file, limit, |client| {
                client.get(address.clone())
            })
            .await?;
        match answer.status {
            StatusCode::OK => {
                self.left = self.left.saturating_sub(answer.body.len() as u64);
                Ok(Some(answer.body))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.server.unexpected(&answer)),
        }
    }

    fn malformed(&self, what: &str, cause: &tuf::MetadataError) -> ReadError {
        self.nonsense(format!("its {what} cannot be read: {cause}"))
    }

    fn nonsense(&self, what: String) -> ReadError {
        ReadError::Malformed {
            server: self.server.label().to_owned(),
            what,
        }
    }
}
