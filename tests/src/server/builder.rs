//! Configures and starts the servers of a test.

use std::{fs, net::IpAddr, path::Path, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    database::{Databases, Engine, Whose},
    namespace::{self, Namespace, Place},
    pki::TestPki,
    process::free_port,
};

use super::{
    Programs, TestServer, Turns,
    daemons::{start_server, start_signer},
};

/// The environment variable with the engine for tests that do not choose one themselves.
const ENGINE: &str = "COUNTERSIGN_TEST_ENGINE";

/// Configures the servers of a test.
pub struct Builder {
    changes: Vec<(&'static str, Value)>,
    signer_changes: Vec<(&'static str, Value)>,
    with_signer: bool,
    place: Place,
    days_ago: u32,
    descriptors: Option<u32>,
    databases: Option<Databases>,
    programs: Programs,
    signer_programs: Option<Programs>,
    pki: Option<TestPki>,
    turns: bool,
    tells_its_url: bool,
}

impl Builder {
    pub(super) fn new() -> Self {
        let builder = Self {
            changes: Vec::new(),
            signer_changes: Vec::new(),
            with_signer: true,
            place: Place::Here,
            databases: None,
            programs: Programs::Ours,
            signer_programs: None,
            pki: None,
            days_ago: 0,
            descriptors: None,
            turns: false,
            tells_its_url: false,
        };
        match std::env::var(ENGINE).ok().as_deref() {
            None | Some("" | "sqlite3") => builder,
            Some("postgres") => builder.database(Engine::Postgres),
            Some("mysql") => builder.database(Engine::Mysql),
            Some(other) => panic!("{ENGINE}={other}: sqlite3, postgres or mysql"),
        }
    }

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

    /// The server asks for certificates, knows accounts by their keys and everybody else by the common name, and lets `admin` and
    /// the group `admins` do everything; `rules` say what others may do. Decisions are in `audit.json`.
    pub fn administered_by(self, admin: &str, rules: &[Value]) -> Self {
        let admins = json!({"name": "admins", "effect": "allow", "principals": [admin, "group:admins"], "actions": ["*"]});
        let policy: Vec<&Value> = std::iter::once(&admins).chain(rules).collect();
        self.requests_certificates()
            .signs_locally()
            .set("audit", json!({"sinks": ["file:audit.json"]}))
            .set(
                "identity",
                json!([{"name": "accounts", "preset": "registered-key"}, {"name": "names", "preset": "cn"}]),
            )
            .set("policy", json!(policy))
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
    pub fn database(mut self, engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                for changes in [&mut self.changes, &mut self.signer_changes] {
                    changes.retain(|(key, _)| *key != "storage");
                }
                self.databases = None;
                self
            }
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

    /// Notary's programs, on a database as they create it, with keys that they stored.
    pub fn of_notary(self, engine: Engine) -> Self {
        self.of_notary_on(engine.databases())
    }

    /// The same, on these databases, which are empty still.
    pub fn of_notary_on(self, databases: Databases) -> Self {
        let engine = databases.engine().name();
        databases.load(Whose::Server, &format!("server-{engine}-schema.sql"));
        databases.load(Whose::Signer, &format!("signer-{engine}.sql"));
        self.databases(databases).programs(Programs::Notarys)
    }

    /// Starts the programs of `programs` first.
    #[must_use]
    pub fn programs(mut self, programs: Programs) -> Self {
        self.programs = programs;
        self
    }

    /// Starts the signer of `programs` first, whatever the server is.
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

    /// Has the CA of a server that is not started.
    #[must_use]
    pub fn with_pki_of(mut self, other: &Prepared) -> Self {
        self.pki = Some(other.pki.clone());
        self
    }

    /// Runs the daemons in a namespace, where the server is `trust.test`.
    #[must_use]
    pub fn inside(mut self, namespace: &Arc<Namespace>) -> Self {
        self.place = Place::Inside(namespace.clone());
        self
    }

    /// Starts Notary's programs on the same databases too, and distributes connections of clients to both servers in
    /// turn.
    #[must_use]
    pub fn by_turns_with_notarys(mut self) -> Self {
        self.turns = true;
        self
    }

    /// Sets `server.external_url`, for clients that ask how to be set up.
    #[must_use]
    pub fn tells_its_url(mut self) -> Self {
        self.tells_its_url = true;
        self
    }

    /// Sets the trust server's clock back by this many days.
    #[must_use]
    pub fn days_ago(mut self, days: u32) -> Self {
        self.days_ago = days;
        self
    }

    /// Limits the files and connections that the trust server may have open.
    #[must_use]
    pub fn descriptors(mut self, count: u32) -> Self {
        self.descriptors = Some(count);
        self
    }

    /// Writes the files without starting anything; for tests of what happens at start.
    pub fn prepare(self) -> Prepared {
        if let (Place::Inside(namespace), Some(databases)) = (&self.place, &self.databases) {
            namespace.let_in(databases.port());
        }
        let directory = TempDir::new().unwrap();
        let files = directory.path().join("pki");
        let pki = self
            .pki
            .map_or_else(|| TestPki::new(&files), |pki| pki.copied_to(&files));
        let (port, signer_port) = (free_port(), free_port());
        pki.daemon("server", &[namespace::TRUST_NAME], &[namespace::ADDRESS]);
        pki.daemon("signer", &[], &[]);
        let mut config = server_config(self.place.address(), port, signer_port);
        if self.tells_its_url {
            set(&mut config, "server.external_url", json!(self.place.url(port)));
        }
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
            descriptors: self.descriptors,
            turns: self.turns,
        }
    }

    /// Starts the daemons and waits until they listen.
    pub fn start(self) -> TestServer {
        self.prepare().start()
    }
}

/// Configurations whose programs are not running yet.
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
    descriptors: Option<u32>,
    turns: bool,
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
            descriptors,
            turns,
        } = self;
        let signer =
            with_signer.then(|| start_signer(signer_programs, &place, directory.path(), signer_port));
        let server = start_server(programs, &place, directory.path(), port, days_ago, descriptors);
        let mut started = TestServer {
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
            descriptors,
            turns: None,
            directory,
        };
        if turns {
            started.turns = Some(Box::new(Turns::start(&started)));
        }
        started
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
