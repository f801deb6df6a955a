//! The clients of a signer.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use platform::tls::ClientTls;
use signing::{KeyAlgorithm, SignerClient};
use tests::ClientFiles;
use tuf::{Gun, PublicKey, RoleName};

use crate::{fault::Result, load::Client};

/// Makes names of GUNs that were not used before.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The connections to a signer: one for each thread, as a trust server has one.
pub struct Connections {
    port: u16,
    tls: ClientTls,
    of_threads: Mutex<HashMap<ThreadId, SignerClient>>,
}

impl Connections {
    /// To the signer on this port, with the files of a server.
    pub fn new(port: u16, files: &ClientFiles) -> Self {
        Self {
            port,
            tls: ClientTls {
                ca: Some(files.ca.clone()),
                identity: Some((files.certificate.clone(), files.key.clone())),
            },
            of_threads: Mutex::default(),
        }
    }

    fn of_this_thread(&self) -> Result<SignerClient> {
        let mut all = self.of_threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = all.get(&thread::current().id()) {
            return Ok(client.clone());
        }
        let client = SignerClient::new("localhost", self.port, self.tls.connector()?)?;
        all.insert(thread::current().id(), client.clone());
        Ok(client)
    }

    /// A caller of `CreateKey`.
    ///
    /// # Errors
    /// When there can be no connection.
    pub async fn maker(&self) -> Result<Maker> {
        let client = self.of_this_thread()?;
        Ok(Maker { client })
    }

    /// A caller of `Sign`, with a key of its own.
    ///
    /// # Errors
    /// When there is no connection or no key.
    pub async fn asker(&self) -> Result<Asker> {
        let client = self.of_this_thread()?;
        let gun = new_gun()?;
        let key = client
            .create_key(&gun, &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
            .await?;
        Ok(Asker {
            client,
            gun,
            key,
            version: 0,
        })
    }
}

fn new_gun() -> Result<Gun> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Ok(Gun::parse(&format!(
        "bench.test/key-{}-{number}",
        std::process::id()
    ))?)
}

/// Has a key made for a new GUN each time.
pub struct Maker {
    client: SignerClient,
}

impl Client for Maker {
    async fn step(&mut self) -> Result<Duration> {
        let gun = new_gun()?;
        let begun = Instant::now();
        self.client
            .create_key(&gun, &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
            .await?;
        Ok(begun.elapsed())
    }
}

/// Has timestamps of rising versions signed; the client verifies each signature.
pub struct Asker {
    client: SignerClient,
    gun: Gun,
    key: PublicKey,
    version: u64,
}

impl Client for Asker {
    async fn step(&mut self) -> Result<Duration> {
        self.version += 1;
        let message = timestamp(self.version);
        let begun = Instant::now();
        self.client
            .sign(Some(&self.gun), &self.key, message.as_bytes(), None)
            .await?;
        Ok(begun.elapsed())
    }
}

/// The signed part of a timestamp.
fn timestamp(version: u64) -> String {
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    format!(
        r#"{{"_type":"Timestamp","expires":"2040-01-01T00:00:00Z","meta":{{"snapshot":{{"hashes":{{"sha256":"{hash}"}},"length":1000}}}},"version":{version}}}"#
    )
}
