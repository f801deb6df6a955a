//! What is asked of a subject.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use ::tests::Engine;

use crate::{
    clients::{Fixed, Mixer, Newcomer, Reader, Writer},
    fault::{Fault, Result},
    filling,
    load::{Load, Plan, drive},
    measurement::{Measurement, Watch},
    repository::Repository,
    signer::Connections,
    subject::{DatabaseServers, Kind, Subject},
};

/// How many connections readers keep.
const READERS: usize = 16;
/// How many clients make new connections, or publish.
const FEW: usize = 8;
/// The tags of the repositories in the mix.
const TAGS: usize = 10;

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Workload {
    /// `/v2/` over kept connections.
    Greeting,
    /// The current timestamp.
    Timestamp,
    /// The current targets.
    Targets,
    /// The first root.
    ByVersion,
    /// The targets by their checksum.
    ByChecksum,
    /// A new connection for one read.
    NewConnection,
    /// A new version of targets with so many tags.
    Publish(usize),
    /// 95 % reads of current documents, 5 % publishes.
    Mixed,
    /// Signatures, for so many callers of the signer.
    Sign(usize),
    /// New keys, for so many callers of the signer.
    CreateKey(usize),
    /// The same for 8 callers, of a signer that holds so many keys already.
    CreateKeyAmong(usize),
}

/// How many keys the signer holds that is asked for new ones; in rising order, because they stay.
pub const KEYS: [usize; 3] = [0, 100_000, 500_000];

/// All of them, in the order in which they are measured.
pub const WORKLOADS: [Workload; 19] = [
    Workload::Greeting,
    Workload::Timestamp,
    Workload::Targets,
    Workload::ByVersion,
    Workload::ByChecksum,
    Workload::NewConnection,
    Workload::Publish(10),
    Workload::Publish(1000),
    Workload::Publish(10_000),
    Workload::Mixed,
    Workload::Sign(1),
    Workload::Sign(8),
    Workload::Sign(32),
    Workload::CreateKey(1),
    Workload::CreateKey(8),
    Workload::CreateKey(32),
    Workload::CreateKeyAmong(KEYS[0]),
    Workload::CreateKeyAmong(KEYS[1]),
    Workload::CreateKeyAmong(KEYS[2]),
];

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greeting => formatter.write_str("v2"),
            Self::Timestamp => formatter.write_str("timestamp"),
            Self::Targets => formatter.write_str("targets"),
            Self::ByVersion => formatter.write_str("by-version"),
            Self::ByChecksum => formatter.write_str("by-checksum"),
            Self::NewConnection => formatter.write_str("new-connection"),
            Self::Publish(tags) => write!(formatter, "publish-{tags}"),
            Self::Mixed => formatter.write_str("mixed"),
            Self::Sign(callers) => write!(formatter, "sign-{callers}"),
            Self::CreateKey(callers) => write!(formatter, "create-key-{callers}"),
            Self::CreateKeyAmong(keys) => write!(formatter, "create-key-among-{keys}"),
        }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let known = WORKLOADS.iter().find(|workload| workload.to_string() == name);
        let numbered = || {
            let (kind, number) = name.rsplit_once('-')?;
            let number: usize = number.parse().ok().filter(|number| *number > 0)?;
            match kind {
                "publish" => Some(Self::Publish(number)),
                "sign" => Some(Self::Sign(number)),
                "create-key" => Some(Self::CreateKey(number)),
                "create-key-among" => Some(Self::CreateKeyAmong(number)),
                _ => None,
            }
        };
        known.copied().or_else(numbered).ok_or_else(|| {
            let names = WORKLOADS.map(|workload| workload.to_string()).join(", ");
            format!("there is no workload {name:?}: {names}")
        })
    }
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// The time before anything is counted.
    pub warm_up: Duration,
    /// The time that is measured.
    pub measured: Duration,
    /// The threads of the load generator.
    pub threads: usize,
    /// The connections of readers, instead of the usual number.
    pub connections: Option<usize>,
}

impl Amount {
    /// So many seconds, of which some more are not counted.
    pub fn of(seconds: f64) -> Self {
        let measured = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1));
        Self {
            warm_up: (measured / 4).min(Duration::from_secs(1)),
            measured,
            threads: 2,
            connections: None,
        }
    }

    /// For so many clients.
    pub fn plan(&self, clients: usize) -> Plan {
        Plan {
            clients,
            threads: self.threads,
            warm_up: self.warm_up,
            measured: self.measured,
        }
    }
}

/// What a workload needs on a subject: made once, used in each round.
pub struct Prepared {
    workload: Workload,
    repositories: Arc<[Arc<Repository>]>,
}

impl Workload {
    /// Whether there is such a thing on this subject.
    pub fn is_for(self, kind: Kind) -> bool {
        match self {
            Self::Greeting | Self::NewConnection => true,
            Self::CreateKeyAmong(_) => {
                matches!(
                    kind,
                    Kind::Notary(_) | Kind::Ours(Engine::Postgres) | Kind::Other(Engine::Postgres)
                )
            }
            _ => !matches!(kind, Kind::Floor | Kind::Framework),
        }
    }

    /// Whether it only reads.
    pub fn reads(self) -> bool {
        !matches!(
            self,
            Self::Publish(_) | Self::Mixed | Self::Sign(_) | Self::CreateKey(_) | Self::CreateKeyAmong(_)
        )
    }

    /// What it is, for readers of the results.
    pub fn explained(self) -> String {
        let kept = |what: &str| format!("{what}, {READERS} kept connections");
        match self {
            Self::Greeting => kept("`/v2/`"),
            Self::Timestamp => kept("the current timestamp"),
            Self::Targets => kept("the current targets (10 tags)"),
            Self::ByVersion => kept("`1.root.json`"),
            Self::ByChecksum => kept("the targets by their checksum"),
            Self::NewConnection => format!("a new connection and one read of the timestamp, {FEW} at a time"),
            Self::Publish(tags) => {
                format!("new targets with {tags} tags, {FEW} writers on as many repositories")
            }
            Self::Mixed => {
                format!(
                    "95 % reads of timestamps and targets, 5 % publishes, {READERS} clients and repositories"
                )
            }
            Self::Sign(callers) => format!("signatures of timestamps, {callers} callers of the signer"),
            Self::CreateKey(callers) => format!("new keys, {callers} callers of the signer"),
            Self::CreateKeyAmong(keys) => format!("new keys, {FEW} callers of a signer with {keys} keys"),
        }
    }

    /// Publishes the repositories that writers need.
    ///
    /// # Errors
    /// When the server refuses them.
    pub fn prepare(self, subject: &Subject) -> Result<Prepared> {
        let (count, tags) = match self {
            Self::Publish(tags) => (FEW, tags),
            Self::Mixed => (READERS, TAGS),
            _ => (0, 0),
        };
        if let Self::CreateKeyAmong(keys) = self {
            filling::keys(subject, keys)?;
        }
        let client = subject.client();
        let repositories = (0..count)
            .map(|number| {
                let gun = format!("bench.test/{self}/{number}");
                Repository::create(&client, &gun, tags).map(Arc::new)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Prepared {
            workload: self,
            repositories: repositories.into(),
        })
    }

    /// The request of a reader, and what must be answered.
    fn fixed(self, subject: &Subject) -> Result<Fixed> {
        let Some(held) = subject.reading().filter(|_| self != Self::Greeting) else {
            return Ok(Fixed::new("/v2/", &subject.greeting()?));
        };
        let (path, body) = match self {
            Self::Targets => (&held.targets.0, &held.targets.1),
            Self::ByVersion => (&held.root.0, &held.root.1),
            Self::ByChecksum => (&held.targets_by_checksum, &held.targets.1),
            _ => (&held.timestamp.0, &held.timestamp.1),
        };
        Ok(Fixed::new(path, body))
    }
}

impl Prepared {
    /// Runs the load once. What was published is read back and verified.
    ///
    /// # Errors
    /// When it cannot run at all, or what is read back is wrong. Failures of single requests are in the measurement.
    pub fn run(&self, subject: &Subject, servers: &DatabaseServers, amount: Amount) -> Result<Measurement> {
        let readers = amount.connections.unwrap_or(READERS);
        let watch = Watch::begin(subject, servers)?;
        let cpu = || watch.cpu();
        let target = subject.target()?;
        let (load, cpu) = match self.workload {
            Workload::NewConnection => {
                let fixed = self.workload.fixed(subject)?;
                let make = async |_| {
                    Ok(Newcomer {
                        target: target.clone(),
                        fixed: fixed.clone(),
                    })
                };
                drive(amount.plan(amount.connections.unwrap_or(FEW)), make, cpu)
            }
            Workload::Publish(_) => {
                let make = async |number: usize| {
                    Writer::new(target.clone(), Arc::clone(&self.repositories[number])).await
                };
                drive(amount.plan(self.repositories.len()), make, cpu)
            }
            Workload::Mixed => {
                let make =
                    async |number| Mixer::new(target.clone(), Arc::clone(&self.repositories), number).await;
                drive(amount.plan(self.repositories.len()), make, cpu)
            }
            Workload::Sign(callers) => {
                let connections = connections(subject)?;
                drive(amount.plan(callers), async |_| connections.asker().await, cpu)
            }
            Workload::CreateKey(_) | Workload::CreateKeyAmong(_) => {
                let callers = match self.workload {
                    Workload::CreateKey(callers) => callers,
                    _ => FEW,
                };
                let connections = connections(subject)?;
                drive(amount.plan(callers), async |_| connections.maker().await, cpu)
            }
            _ => {
                let fixed = self.workload.fixed(subject)?;
                let make = async |_| Reader::new(target.clone(), fixed.clone()).await;
                drive(amount.plan(readers), make, cpu)
            }
        }?;
        let measurement = watch.end(&self.workload.to_string(), &load, cpu)?;
        self.verify(subject, &load)?;
        Ok(measurement)
    }

    fn verify(&self, subject: &Subject, load: &Load) -> Result<()> {
        // After a failed publish it is not known which version is the newest.
        if load.failures == 0 {
            let client = subject.client();
            for repository in self.repositories.iter() {
                repository.read_back(&client)?;
            }
        }
        Ok(())
    }
}

fn connections(subject: &Subject) -> Result<Connections> {
    let (port, files) = subject
        .signer()
        .ok_or_else(|| Fault::new("the bare acceptor has no signer"))?;
    Ok(Connections::new(port, &files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_found_by_its_name() {
        for workload in WORKLOADS {
            assert_eq!(workload.to_string().parse(), Ok(workload));
        }
        assert_eq!("publish-7".parse(), Ok(Workload::Publish(7)));
        assert!("publish-0".parse::<Workload>().is_err());
    }
}
