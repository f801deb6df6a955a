//! A trust server with its signer, as an operator would run them.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    database::{Databases, Engine, Whose},
    docker::{self, Namespace, Place},
    http::Client,
    notary::Notary,
    pki::{ClientFiles, TestPki},
    process::{Daemon, Stop, built_programs, fake_time_library, free_port, installed_program},
};

/// Names the engine that tests run on which do not choose one themselves.
const ENGINE: &str = "COUNTERSIGN_TEST_ENGINE";
/// The signer's passphrase in every test: that of the captured databases.
pub const PASSPHRASE: (&str, &str) = ("NOTARY_SIGNER_TIMESTAMP_1", "testpassword");

/// Decides what the servers of a test are like.
pub struct Builder {
    changes: Vec<(&'static str, Value)>,
    signer_changes: Vec<(&'static str, Value)>,
    with_signer: bool,
    place: Place,
    days_ago: u32,
    databases: Option<Databases>,
    programs: Programs,
    signer_programs: Option<Programs>,
    pki: Option<TestPki>,
}

/// Whose programs run. They take the same configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// The ones under test.
    Ours,
    /// Notary's, from Debian.
    Notarys,
}

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
    // Last, so that the daemons are gone, and their logs read, before it is removed.
    directory: TempDir,
}

impl TestServer {
    /// A server with SQLite, a remote signer, and client certificates required, unless told otherwise.
    pub fn builder() -> Builder {
        let builder = Builder {
            changes: Vec::new(),
            signer_changes: Vec::new(),
            with_signer: true,
            place: Place::Here,
            databases: None,
            programs: Programs::Ours,
            signer_programs: None,
            pki: None,
            days_ago: 0,
        };
        match std::env::var(ENGINE).ok().as_deref() {
            None | Some("" | "sqlite3") => builder,
            Some("postgres") => builder.database(Engine::Postgres),
            Some("mysql") => builder.database(Engine::Mysql),
            Some(other) => panic!("{ENGINE}={other}: sqlite3, postgres or mysql"),
        }
    }

    /// The usual server.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        match self.place {
            Place::Here => format!("https://localhost:{}", self.port),
            Place::Inside(_) => format!("https://{}:{}", docker::TRUST_NAME, self.port),
        }
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
        Client::new(self.port, &self.pki.user(name), true)
    }

    /// A bare HTTP client with these files.
    pub fn client_with(&self, files: &ClientFiles) -> Client {
        Client::new(self.port, files, true)
    }

    /// A bare HTTP client without a certificate.
    pub fn client_without_certificate(&self) -> Client {
        Client::new(self.port, &self.pki.user("nobody"), false)
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

    /// What the server has logged.
    pub fn log(&self) -> String {
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

    /// The server's process id.
    pub fn server_id(&self) -> u32 {
        self.server.id()
    }
}

impl Builder {
    /// Sets a dotted key of the server's configuration; `null` removes it.
    #[must_use]
    pub fn set(mut self, key: &'static str, value: Value) -> Self {
        self.changes.push((key, value));
        self
    }

    /// Sets a dotted key of the signer's configuration.
    #[must_use]
    pub fn set_signer(mut self, key: &'static str, value: Value) -> Self {
        self.signer_changes.push((key, value));
        self
    }

    /// Answers clients without a good certificate with a reason instead of an alert.
    #[must_use]
    pub fn requests_certificates(self) -> Self {
        self.set("tls.client_auth", json!("request"))
    }

    /// Signs in the server's own process.
    #[must_use]
    pub fn signs_locally(mut self) -> Self {
        self.with_signer = false;
        self.set("trust_service", json!({"type": "local"}))
    }

    /// Keeps metadata and keys in fresh databases of this kind.
    #[must_use]
    pub fn database(self, engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => self,
            served => self.databases(served.databases()),
        }
    }

    /// Keeps metadata and keys in these databases, perhaps beside another server.
    #[must_use]
    pub fn databases(mut self, databases: Databases) -> Self {
        self.changes.push(("storage", databases.storage(Whose::Server)));
        self.signer_changes
            .push(("storage", databases.storage(Whose::Signer)));
        self.databases = Some(databases);
        self
    }

    /// Begins with the programs of `programs`.
    #[must_use]
    pub fn programs(mut self, programs: Programs) -> Self {
        self.programs = programs;
        self
    }

    /// Begins with a signer of `programs`, whatever the server is.
    #[must_use]
    pub fn signer_programs(mut self, programs: Programs) -> Self {
        self.signer_programs = Some(programs);
        self
    }

    /// Shares the databases of another server, and its CA.
    #[must_use]
    pub fn beside(mut self, other: &TestServer) -> Self {
        self.pki = Some(other.pki.clone());
        self.databases(other.databases().clone())
    }

    /// Runs the daemons in a namespace, where the server is `trust.test`.
    #[must_use]
    pub fn inside(mut self, namespace: &Arc<Namespace>) -> Self {
        self.place = Place::Inside(namespace.clone());
        self
    }

    /// Lets the trust server believe that it is so many days ago.
    #[must_use]
    pub fn days_ago(mut self, days: u32) -> Self {
        self.days_ago = days;
        self
    }

    /// Writes the files without starting anything; for tests of what happens at start.
    pub fn prepare(self) -> Prepared {
        let directory = TempDir::new().unwrap();
        let files = directory.path().join("pki");
        let pki = self
            .pki
            .map_or_else(|| TestPki::new(&files), |pki| pki.copied_to(&files));
        let (port, signer_port) = (free_port(), free_port());
        pki.daemon("server", &[docker::TRUST_NAME], &[docker::ADDRESS]);
        pki.daemon("signer", &[], &[]);
        let mut config = server_config(address_in(&self.place), port, signer_port);
        for (key, value) in self.changes {
            set(&mut config, key, value);
        }
        fs::write(directory.path().join("server.json"), config.to_string()).unwrap();
        let mut config = signer_config(signer_port);
        for (key, value) in self.signer_changes {
            set(&mut config, key, value);
        }
        fs::write(directory.path().join("signer.json"), config.to_string()).unwrap();
        Prepared {
            directory,
            pki,
            port,
            signer_port,
            with_signer: self.with_signer,
            place: self.place,
            databases: self.databases,
            programs: self.programs,
            signer_programs: self.signer_programs.unwrap_or(self.programs),
            days_ago: self.days_ago,
        }
    }

    /// Starts the daemons and waits until they listen.
    pub fn start(self) -> TestServer {
        self.prepare().start()
    }
}

/// Configurations that nothing runs with yet.
pub struct Prepared {
    directory: TempDir,
    pki: TestPki,
    port: u16,
    signer_port: u16,
    with_signer: bool,
    place: Place,
    databases: Option<Databases>,
    programs: Programs,
    signer_programs: Programs,
    days_ago: u32,
}

impl Prepared {
    /// The test's directory, with `server.json` and `signer.json`.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The CA of servers and clients.
    pub fn pki(&self) -> &TestPki {
        &self.pki
    }

    /// The port that the server is to listen on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port that the signer is to listen on.
    pub fn signer_port(&self) -> u16 {
        self.signer_port
    }

    /// Starts the daemons and waits until they listen.
    pub fn start(self) -> TestServer {
        let Self {
            directory,
            pki,
            port,
            signer_port,
            with_signer,
            place,
            databases,
            programs,
            signer_programs,
            days_ago,
        } = self;
        let signer =
            with_signer.then(|| start_signer(signer_programs, &place, directory.path(), signer_port));
        let server = start_server(programs, &place, directory.path(), port, days_ago);
        TestServer {
            server,
            signer,
            pki,
            port,
            signer_port,
            place,
            databases,
            programs,
            signer_programs,
            days_ago,
            directory,
        }
    }
}

impl Programs {
    fn program(self, name: &str) -> PathBuf {
        match self {
            Self::Ours => built_programs().join(format!("countersign-{name}")),
            Self::Notarys => installed_program(&format!("notary-{name}"), "notary"),
        }
    }
}

fn address_in(place: &Place) -> IpAddr {
    match place {
        Place::Here => Ipv4Addr::LOCALHOST.into(),
        Place::Inside(_) => docker::ADDRESS,
    }
}

fn server_config(address: IpAddr, port: u16, signer_port: u16) -> Value {
    json!({
        "server": {
            "http_addr": format!("{address}:{port}"),
            "tls_cert_file": "pki/server.pem",
            "tls_key_file": "pki/server-key.pem",
            "client_ca_file": "pki/ca.pem",
        },
        "trust_service": {
            "type": "remote",
            "hostname": "localhost",
            "port": signer_port.to_string(),
            "key_algorithm": "ecdsa",
            "tls_ca_file": "pki/ca.pem",
            "tls_client_cert": "pki/server.pem",
            "tls_client_key": "pki/server-key.pem",
        },
        "storage": {"backend": "sqlite3", "db_url": "metadata.db"},
        "logging": {"level": "debug"},
    })
}

fn signer_config(port: u16) -> Value {
    json!({
        "server": {
            "grpc_addr": format!("127.0.0.1:{port}"),
            "tls_cert_file": "pki/signer.pem",
            "tls_key_file": "pki/signer-key.pem",
            "client_ca_file": "pki/ca.pem",
        },
        "storage": {"backend": "sqlite3", "db_url": "keys.db", "default_alias": "timestamp_1"},
        "logging": {"level": "debug"},
    })
}

/// Sets a dotted key of a configuration.
pub fn set(config: &mut Value, key: &str, value: Value) {
    let mut node = config;
    for step in key.split('.') {
        node = &mut node[step];
    }
    *node = value;
}

fn start_server(programs: Programs, place: &Place, directory: &Path, port: u16, days_ago: u32) -> Daemon {
    let mut command = place.command(&programs.program("server"));
    command.arg("-config").arg(directory.join("server.json"));
    if days_ago > 0 {
        // Not through the program of the same name: that would be the one to be stopped.
        command
            .env("LD_PRELOAD", fake_time_library())
            .env("FAKETIME", format!("-{days_ago}d"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    let mut daemon = Daemon::spawn(&mut command, &directory.join("server.log"));
    daemon.wait_for("the server listens", || place.reachable(address_in(place), port));
    daemon
}

fn start_signer(programs: Programs, place: &Place, directory: &Path, port: u16) -> Daemon {
    let mut command = place.command(&programs.program("signer"));
    command
        .arg("-config")
        .arg(directory.join("signer.json"))
        .env(PASSPHRASE.0, PASSPHRASE.1);
    let mut daemon = Daemon::spawn(&mut command, &directory.join("signer.log"));
    daemon.wait_for("the signer listens", || {
        place.reachable(Ipv4Addr::LOCALHOST.into(), port)
    });
    daemon
}
