//! A trust server with its signer, as an operator would run them.

mod builder;
mod daemons;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    alternator::Alternator,
    database::{Databases, Engine},
    http::Client,
    namespace::Place,
    notary::Notary,
    pki::{ClientFiles, TestPki},
    process::{Daemon, Stop, free_port},
};
use daemons::{start_server, start_signer};

pub use builder::{Builder, Prepared, set};
pub use daemons::{PASSPHRASE, Programs};

/// How long a test waits at the most until the log is written.
const FOR_THE_LOG: Duration = Duration::from_secs(2);

/// Counts the times that a log was read, so that each finds its own mark.
static MARKERS: AtomicU64 = AtomicU64::new(0);

/// A running trust server and signer; both end with it.
pub struct TestServer {
    server: Daemon,
    signer: Option<Daemon>,
    pki: TestPki,
    port: u16,
    signer_port: u16,
    place: Place,
    databases: Option<Databases>,
    programs: Programs,
    signer_programs: Programs,
    days_ago: u32,
    descriptors: Option<u32>,
    turns: Option<Box<Turns>>,
    // The last field, so that the daemons have ended, and their logs were read, before it is removed.
    directory: TempDir,
}

/// Notary's programs beside ours, and the one address of both servers.
pub(crate) struct Turns {
    notarys: TestServer,
    alternator: Alternator,
}

impl Turns {
    fn start(ours: &TestServer) -> Self {
        let mut builder = TestServer::builder().beside(ours).programs(Programs::Notarys);
        if let Place::Inside(namespace) = &ours.place {
            builder = builder.inside(namespace);
        }
        let notarys = builder.start();
        let address = ours.place.address();
        let servers = [ours.port, notarys.port].map(|port| SocketAddr::new(address, port));
        let listener = ours.place.listen(address, free_port());
        Self {
            notarys,
            alternator: Alternator::start(listener, ours.place.clone(), servers.to_vec()),
        }
    }
}

impl TestServer {
    /// A server with SQLite, a remote signer, and client certificates required, unless told otherwise.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The usual server.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port that clients connect to: its own, unless two servers take turns.
    pub fn entry(&self) -> u16 {
        self.turns
            .as_ref()
            .map_or(self.port, |turns| turns.alternator.port())
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The URL that clients are given.
    pub fn url(&self) -> String {
        self.place.url(self.entry())
    }

    /// Notary's server beside ours.
    pub fn notarys(&self) -> &TestServer {
        &self.turns.as_ref().unwrap().notarys
    }

    /// How many connections each of the two servers has received.
    pub fn served(&self) -> Vec<usize> {
        self.turns.as_ref().unwrap().alternator.served()
    }

    /// The test's directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The CA of servers and clients.
    pub fn pki(&self) -> &TestPki {
        &self.pki
    }

    /// A bare HTTP client with `name`'s certificate.
    pub fn client(&self, name: &str) -> Client {
        Client::new(self.entry(), &self.pki.user(name), true)
    }

    /// A bare HTTP client with these files.
    pub fn client_with(&self, files: &ClientFiles) -> Client {
        Client::new(self.entry(), files, true)
    }

    /// A bare HTTP client without a certificate.
    pub fn client_without_certificate(&self) -> Client {
        Client::new(self.entry(), &self.pki.user("nobody"), false)
    }

    /// The notary CLI as `name`, with a trust directory of its own.
    pub fn notary(&self, name: &str) -> Notary {
        Notary::new(
            &self.url(),
            &self.pki.user(name),
            &self.path().join(format!("trust-{name}")),
        )
        .at(self.place.clone())
    }

    /// What the server has logged. A thread of its own writes the log, so this first asks for something of which the
    /// log tells, and waits until it is there; what the server logged before stands before it.
    pub fn log(&self) -> String {
        let marker = format!("read-the-log-{}", MARKERS.fetch_add(1, Ordering::Relaxed));
        let asked = || -> std::io::Result<String> {
            let mut connection = self.place.connect(self.port)?;
            let from = connection.local_addr()?.to_string();
            // To a listener with TLS this is a failed handshake, which it logs with the address.
            let request = format!("GET /_notary_server/health HTTP/1.0\r\nX-Request-Id: {marker}\r\n\r\n");
            connection.write_all(request.as_bytes())?;
            connection.set_read_timeout(Some(FOR_THE_LOG))?;
            let _ = connection.read_to_end(&mut Vec::new());
            Ok(from)
        };
        if let Ok(from) = asked() {
            let end = Instant::now() + FOR_THE_LOG;
            while Instant::now() < end {
                let log = self.server.log();
                if log.contains(&marker) || log.contains(&from) {
                    return log;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.server.log()
    }

    /// The path of the server's database.
    pub fn database(&self) -> PathBuf {
        self.path().join("metadata.db")
    }

    /// Which kind of database it is on.
    pub fn engine(&self) -> Engine {
        self.databases.as_ref().map_or(Engine::Sqlite, Databases::engine)
    }

    /// Stops the trust server; returns its exit code, if it ended by itself.
    pub fn stop_server(&mut self, how: Stop) -> Option<i32> {
        self.server.stop(how)
    }

    /// Starts the trust server again after a stop.
    pub fn start_server(&mut self) {
        self.server = start_server(
            self.programs,
            &self.place,
            self.directory.path(),
            self.port,
            self.days_ago,
            self.descriptors,
        );
    }

    /// Starts the trust server again, with the right time from now on.
    pub fn return_to_the_present(&mut self) {
        self.days_ago = 0;
        self.restart_server(Stop::Politely);
    }

    /// Stops the trust server and starts it again.
    pub fn restart_server(&mut self, how: Stop) {
        self.server.stop(how);
        self.start_server();
    }

    /// The databases, unless they are files.
    pub fn databases(&self) -> &Databases {
        self.databases.as_ref().unwrap()
    }

    /// Stops both programs and goes on with those of `programs`, on the same files and databases.
    pub fn change_programs(&mut self, programs: Programs) {
        self.server.stop(Stop::Politely);
        if self.signer.is_some() {
            self.stop_signer(Stop::Politely);
        }
        self.programs = programs;
        self.signer_programs = programs;
        if self.signer.is_some() {
            self.start_signer();
        }
        self.start_server();
    }

    /// Stops the signer.
    pub fn stop_signer(&mut self, how: Stop) -> Option<i32> {
        self.signer.as_mut().unwrap().stop(how)
    }

    /// Starts the signer again after a stop.
    pub fn start_signer(&mut self) {
        self.signer = Some(start_signer(
            self.signer_programs,
            &self.place,
            self.directory.path(),
            self.signer_port,
        ));
    }

    /// Stops the signer and starts it again.
    pub fn restart_signer(&mut self, how: Stop) {
        self.stop_signer(how);
        self.start_signer();
    }

    /// The signer's process id.
    pub fn signer_id(&self) -> u32 {
        self.signer.as_ref().unwrap().id()
    }

    /// The port that the signer listens on.
    pub fn signer_port(&self) -> u16 {
        self.signer_port
    }

    /// The number of bytes in the receive buffers of the signer's connections.
    pub fn waits_at_the_signer(&self) -> u64 {
        let port = format!(":{:04X}", self.signer_port);
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let queues = sockets.lines().skip(1).filter_map(|socket| {
            let fields: Vec<&str> = socket.split_whitespace().collect();
            let (_, received) = fields[4].split_once(':')?;
            // State 01 is an established connection.
            (fields[1].ends_with(&port) && fields[3] == "01").then_some(received)
        });
        queues.map(|queue| u64::from_str_radix(queue, 16).unwrap()).sum()
    }

    /// The server's process id.
    pub fn server_id(&self) -> u32 {
        self.server.id()
    }
}
