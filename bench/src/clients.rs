//! The clients of the load generator: each asks for one kind of thing and checks every answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use openssl::sha::sha256;

use crate::{
    fault::{Fault, Result},
    filling::Expected,
    http::{Connection, Target, get, publish},
    load::Client,
    repository::{Repository, path_of},
};

/// In the mix one of this many requests is a publish.
const PUBLISHES: usize = 20;

/// A connection that is made when needed and given up when it failed.
struct Kept {
    target: Target,
    connection: Option<Connection>,
}

impl Kept {
    async fn open(target: Target) -> Result<Self> {
        let connection = Some(target.connect().await?);
        Ok(Self { target, connection })
    }

    /// Asks, has `check` judge the answer, and returns the time it took to come.
    async fn ask(&mut self, request: &[u8], check: impl FnOnce(&[u8]) -> Result<()>) -> Result<Duration> {
        let begun = Instant::now();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.target.connect().await?,
        };
        let answer = connection.ask(request).await?;
        let took = begun.elapsed();
        let closes = answer.closes;
        check(answer.ok()?)?;
        if !closes {
            self.connection = Some(connection);
        }
        Ok(took)
    }
}

fn same(body: &[u8], expected: &[u8]) -> Result<()> {
    if body == expected {
        return Ok(());
    }
    Err(Fault::new(format!(
        "a body of {} bytes that is not the expected one of {}",
        body.len(),
        expected.len()
    )))
}

/// One document, which does not change, and its request.
#[derive(Clone)]
pub struct Fixed {
    request: Arc<[u8]>,
    body: Arc<[u8]>,
}

impl Fixed {
    /// What is at `path` is `body`.
    pub fn new(path: &str, body: &[u8]) -> Self {
        Self {
            request: get(path).into(),
            body: body.into(),
        }
    }
}

/// Reads the same again and again over one connection.
pub struct Reader {
    kept: Kept,
    fixed: Fixed,
}

impl Reader {
    /// A reader that is connected.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn new(target: Target, fixed: Fixed) -> Result<Self> {
        let kept = Kept::open(target).await?;
        Ok(Self { kept, fixed })
    }
}

impl Client for Reader {
    async fn step(&mut self) -> Result<Duration> {
        let body = &self.fixed.body;
        self.kept
            .ask(&self.fixed.request, |found| same(found, body))
            .await
    }
}

/// Makes a new connection for each request, as the stock clients do.
pub struct Newcomer {
    /// Whom it asks.
    pub target: Target,
    /// What it reads.
    pub fixed: Fixed,
}

impl Client for Newcomer {
    async fn step(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let mut connection = self.target.connect().await?;
        let answer = connection.ask(&self.fixed.request).await?;
        let took = begun.elapsed();
        same(answer.ok()?, &self.fixed.body)?;
        Ok(took)
    }
}

/// Publishes one version after the other of a repository of its own.
pub struct Writer {
    kept: Kept,
    repository: Arc<Repository>,
    until: Option<i64>,
}

impl Writer {
    /// A writer that is connected.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn new(target: Target, repository: Arc<Repository>) -> Result<Self> {
        let kept = Kept::open(target).await?;
        Ok(Self {
            kept,
            repository,
            until: None,
        })
    }

    /// One that ends with this version.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn until(target: Target, repository: Arc<Repository>, version: i64) -> Result<Self> {
        let writer = Self::new(target, repository).await?;
        Ok(Self {
            until: Some(version),
            ..writer
        })
    }
}

impl Client for Writer {
    async fn step(&mut self) -> Result<Duration> {
        let (version, targets) = self.repository.next();
        let request = publish(self.repository.gun(), &[("targets", &targets)]);
        let outcome = self.kept.ask(&request, |_| Ok(())).await;
        match outcome {
            Ok(took) => {
                self.repository.answered(version, targets);
                Ok(took)
            }
            Err(cause) => {
                self.repository.failed();
                Err(cause)
            }
        }
    }

    fn is_done(&self) -> bool {
        self.until
            .is_some_and(|version| self.repository.acknowledged() >= version)
    }
}

/// Reads each of its share of documents once.
pub struct Crawler {
    kept: Kept,
    expected: Arc<[Expected]>,
    next: usize,
    step: usize,
}

impl Crawler {
    /// The crawler of this number, of so many that share the documents.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn new(target: Target, expected: Arc<[Expected]>, number: usize, of: usize) -> Result<Self> {
        let kept = Kept::open(target).await?;
        Ok(Self {
            kept,
            expected,
            next: number,
            step: of,
        })
    }
}

impl Client for Crawler {
    async fn step(&mut self) -> Result<Duration> {
        let Some((path, checksum)) = self.expected.get(self.next) else {
            return Ok(Duration::ZERO);
        };
        self.next += self.step;
        let check = |body: &[u8]| {
            if sha256(body) == *checksum {
                Ok(())
            } else {
                Err(Fault::new(format!("{path} is another document")))
            }
        };
        self.kept.ask(&get(path), check).await
    }

    fn is_done(&self) -> bool {
        self.next >= self.expected.len()
    }
}

/// Reads current timestamps and targets of all repositories, and now and then publishes to its own.
pub struct Mixer {
    writer: Writer,
    repositories: Arc<[Arc<Repository>]>,
    number: usize,
    turn: usize,
}

impl Mixer {
    /// The client with this number; the repository with its number is its own.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn new(target: Target, repositories: Arc<[Arc<Repository>]>, number: usize) -> Result<Self> {
        let own = repositories.get(number);
        let own = own.ok_or_else(|| Fault::new("each client of the mix needs a repository of its own"))?;
        Ok(Self {
            writer: Writer::new(target, Arc::clone(own)).await?,
            repositories,
            number,
            // So that they do not all publish at once.
            turn: number,
        })
    }
}

impl Client for Mixer {
    async fn step(&mut self) -> Result<Duration> {
        self.turn += 1;
        if self.turn.is_multiple_of(PUBLISHES) {
            return self.writer.step().await;
        }
        let repository = &self.repositories[(self.number + self.turn) % self.repositories.len()];
        let file = ["timestamp.json", "targets.json"][self.turn % 2];
        let request = get(&path_of(repository.gun(), file));
        // A reader sees everything that was acknowledged before it asked, and nothing that was never published.
        let oldest = repository.acknowledged();
        self.writer
            .kept
            .ask(&request, |body| {
                let version = stated(body)?;
                if (oldest..=repository.sent()).contains(&version) {
                    return Ok(());
                }
                Err(Fault::new(format!(
                    "{file} of version {version}, although {oldest} had been acknowledged and {} not been sent",
                    repository.sent() + 1
                )))
            })
            .await
    }
}

/// The version that a document states, found without parsing all of it.
fn stated(document: &[u8]) -> Result<i64> {
    const NAME: &[u8] = b"\"version\":";
    let missing = || Fault::new("a document without a version");
    let at = document.windows(NAME.len()).rposition(|window| window == NAME);
    let rest = &document[at.ok_or_else(missing)? + NAME.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Ok(std::str::from_utf8(&rest[..digits])?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_wherever_signatures_stand() {
        assert_eq!(
            stated(br#"{"signed":{"version":12},"signatures":[]}"#).unwrap(),
            12
        );
        assert_eq!(
            stated(br#"{"signatures":[],"signed":{"a":1,"version":7}}"#).unwrap(),
            7
        );
        assert!(stated(b"{}").is_err());
    }
}
