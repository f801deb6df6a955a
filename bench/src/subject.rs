//! What is measured: the bare acceptor, Notary's programs, ours.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    Client, ClientFiles, DatabaseServer, Databases, Engine, Programs, TestPki, TestServer, Whose,
    process::{Daemon, free_port},
    server::Prepared,
};

use crate::{
    acceptor,
    fault::{Fault, Result},
    http::Target,
    processes,
    repository::{Held, Repository},
};

/// Options of PostgreSQL: as safe as it is by default, with statements counted.
const POSTGRES: [&str; 5] = [
    "-cfsync=on",
    "-cshared_preload_libraries=pg_stat_statements",
    "-cpg_stat_statements.track_utility=on",
    "-cpg_stat_statements.save=off",
    "-cshared_buffers=256MB",
];
/// Options of MariaDB: as safe as it is by default.
const MARIADB: [&str; 2] = [
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=256M",
];
/// The tags of the repository that is read.
const TAGS: usize = 10;

/// How long a server is left alone before its memory is read.
const IDLE: Duration = Duration::from_millis(500);

/// Who is measured, on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The least that an answer over mutual TLS costs.
    Floor,
    /// The HTTP framework of our server alone.
    Framework,
    /// Notary's programs.
    Notary(Engine),
    /// Our programs.
    Ours(Engine),
    /// Our programs as they were built elsewhere, to compare two builds.
    Other(Engine),
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor => formatter.write_str("bare acceptor"),
            Self::Framework => formatter.write_str("bare actix-web"),
            Self::Notary(engine) => write!(formatter, "Notary, {}", called(*engine)),
            Self::Ours(engine) => write!(formatter, "ours, {}", called(*engine)),
            Self::Other(engine) => write!(formatter, "other build, {}", called(*engine)),
        }
    }
}

/// The name of an engine in tables.
pub fn called(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
        Engine::Mysql => "MariaDB",
    }
}

/// The database servers, each started when first needed.
#[derive(Default)]
pub struct DatabaseServers {
    postgres: Option<DatabaseServer>,
    mysql: Option<DatabaseServer>,
}

impl DatabaseServers {
    fn server(&mut self, engine: Engine) -> Option<&DatabaseServer> {
        let (slot, options): (_, &[&str]) = match engine {
            Engine::Sqlite => return None,
            Engine::Postgres => (&mut self.postgres, &POSTGRES),
            Engine::Mysql => (&mut self.mysql, &MARIADB),
        };
        if slot.is_none() {
            let server = DatabaseServer::start_with(engine, options);
            if engine == Engine::Postgres {
                server.ask("CREATE EXTENSION pg_stat_statements;");
            }
            *slot = Some(server);
        }
        slot.as_ref()
    }

    /// The server of an engine, if it is running.
    pub fn running(&self, engine: Engine) -> Option<&DatabaseServer> {
        match engine {
            Engine::Sqlite => None,
            Engine::Postgres => self.postgres.as_ref(),
            Engine::Mysql => self.mysql.as_ref(),
        }
    }
}

/// How the programs are started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where our programs are.
    pub programs: PathBuf,
    /// Where another build of them is.
    pub other: Option<PathBuf>,
    /// The level at which all programs log.
    pub log_level: String,
    /// Dotted keys of our server's configuration, and their values.
    pub settings: Vec<(&'static str, Value)>,
}

/// What is special about a server that is started to see how cost grows.
#[derive(Default)]
pub struct Special {
    /// Dotted keys of its configuration.
    pub settings: Vec<(&'static str, Value)>,
    /// Writes files that its start needs.
    pub file: Option<fn(&Prepared) -> Result<()>>,
}

enum Running {
    Floor {
        _daemon: Daemon,
        id: u32,
    },
    Server {
        server: Box<TestServer>,
        databases: Option<Databases>,
    },
}

/// Something that is running and waits to be measured.
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    running: Running,
    files: ClientFiles,
    port: u16,
    reading: Option<Held>,
    started: [u64; 2],
    _directory: TempDir,
}

impl Subject {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started, or does not serve what it is given.
    pub fn start(kind: Kind, setup: &Setup, databases: &mut DatabaseServers) -> Result<Self> {
        match kind {
            Kind::Floor => Self::start_floor(kind, "acceptor"),
            Kind::Framework => Self::start_floor(kind, "framework"),
            Kind::Notary(engine) => Self::start_server(
                kind,
                engine,
                Programs::Notarys,
                setup,
                databases,
                &Special::default(),
            ),
            Kind::Ours(engine) => Self::start_ours(engine, setup, databases, &Special::default()),
            Kind::Other(engine) => {
                let other = setup.other.as_ref();
                let other = other.ok_or_else(|| Fault::new("no other build was named"))?;
                let programs = Programs::BuiltInto(kept(other));
                Self::start_server(kind, engine, programs, setup, databases, &Special::default())
            }
        }
    }

    /// Starts our programs with what is special.
    ///
    /// # Errors
    /// When they cannot be started, or do not serve what they are given.
    pub fn start_ours(
        engine: Engine,
        setup: &Setup,
        databases: &mut DatabaseServers,
        special: &Special,
    ) -> Result<Self> {
        let programs = Programs::BuiltInto(kept(&setup.programs));
        Self::start_server(Kind::Ours(engine), engine, programs, setup, databases, special)
    }

    fn start_floor(kind: Kind, command_name: &str) -> Result<Self> {
        let directory = TempDir::new()?;
        let pki = TestPki::new(directory.path());
        let (files, port) = (pki.daemon("floor", &[], &[]), free_port());
        let mut command = Command::new(std::env::current_exe()?);
        command.args([command_name, "--port", &port.to_string()]);
        command.arg("--certificate").arg(&files.certificate);
        command.arg("--key").arg(&files.key).arg("--ca").arg(&files.ca);
        let mut daemon = Daemon::spawn(&mut command, &directory.path().join("log"));
        daemon.wait_for("it listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let mut subject = Self {
            kind,
            running: Running::Floor {
                id: daemon.id(),
                _daemon: daemon,
            },
            files: pki.user("reader"),
            port,
            reading: None,
            started: [0; 2],
            _directory: directory,
        };
        subject.started = subject.memory();
        Ok(subject)
    }

    fn start_server(
        kind: Kind,
        engine: Engine,
        programs: Programs,
        setup: &Setup,
        servers: &mut DatabaseServers,
        special: &Special,
    ) -> Result<Self> {
        let databases = servers.server(engine).map(DatabaseServer::databases);
        let builder = TestServer::builder().database(Engine::Sqlite);
        let builder = match (&databases, programs) {
            (Some(databases), Programs::Notarys) => builder.of_notary_on(databases.clone()),
            (Some(databases), _) => builder.databases(databases.clone()),
            (None, _) => builder,
        };
        let mut builder = builder
            .programs(programs)
            .set("logging.level", json!(setup.log_level))
            .set_signer("logging.level", json!(setup.log_level));
        if !matches!(kind, Kind::Notary(_)) {
            for (key, value) in &setup.settings {
                builder = builder.set(key, value.clone());
            }
        }
        for (key, value) in &special.settings {
            builder = builder.set(key, value.clone());
        }
        let prepared = builder.prepare();
        if let Some(file) = &special.file {
            file(&prepared)?;
        }
        let server = prepared.start();
        let files = server.pki().user("reader");
        let mut subject = Self {
            kind,
            port: server.port(),
            running: Running::Server {
                server: Box::new(server),
                databases,
            },
            files,
            reading: None,
            started: [0; 2],
            _directory: TempDir::new()?,
        };
        thread::sleep(IDLE);
        subject.started = subject.memory();
        let client = subject.client();
        let repository = Repository::create(&client, "bench.test/read", TAGS)?;
        subject.reading = Some(repository.read_back(&client)?);
        Ok(subject)
    }

    /// For the load generator.
    ///
    /// # Errors
    /// When the client's files cannot be used.
    pub fn target(&self) -> Result<Target> {
        Target::new(self.port, &self.files)
    }

    /// For everything that is not measured.
    pub fn client(&self) -> Client {
        Client::new(self.port, &self.files, true)
    }

    /// The requests that can be made of it, and the bodies that they must have for an answer: `/v2/` and the documents
    /// of one repository.
    pub fn reading(&self) -> Option<&Held> {
        self.reading.as_ref()
    }

    /// The body of `/v2/`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn greeting(&self) -> Result<Vec<u8>> {
        if matches!(self.kind, Kind::Floor | Kind::Framework) {
            return Ok(acceptor::BODY.as_bytes().to_vec());
        }
        Ok(self.client().try_request("GET", "/v2/", &[], &[])?.body)
    }

    /// Its processes: the server, and the signer if there is one.
    pub fn processes(&self) -> (u32, Option<u32>) {
        match &self.running {
            Running::Floor { id, .. } => (*id, None),
            Running::Server { server, .. } => (server.server_id(), Some(server.signer_id())),
        }
    }

    /// The server itself; the bare acceptor is none.
    ///
    /// # Errors
    /// For the bare acceptor.
    pub fn server(&mut self) -> Result<&mut TestServer> {
        match &mut self.running {
            Running::Server { server, .. } => Ok(server),
            Running::Floor { .. } => Err(Fault::new("the bare acceptor is no trust server")),
        }
    }

    /// The memory of server and signer now.
    pub fn memory(&self) -> [u64; 2] {
        let (server, signer) = self.processes();
        [Some(server), signer].map(|process| process.map_or(0, processes::memory))
    }

    /// Their memory after the start, before anybody asked anything.
    pub fn started(&self) -> [u64; 2] {
        self.started
    }

    /// The port of its signer, and the files of the server, whom the signer knows.
    pub fn signer(&self) -> Option<(u16, ClientFiles)> {
        match &self.running {
            Running::Floor { .. } => None,
            Running::Server { server, .. } => {
                Some((server.signer_port(), server.pki().daemon("bench", &[], &[])))
            }
        }
    }

    /// The engine of its databases.
    pub fn engine(&self) -> Option<Engine> {
        match self.kind {
            Kind::Floor | Kind::Framework => None,
            Kind::Notary(engine) | Kind::Ours(engine) | Kind::Other(engine) => Some(engine),
        }
    }

    /// The names of its databases.
    pub fn databases(&self) -> Option<[String; 2]> {
        match &self.running {
            Running::Server {
                databases: Some(databases),
                ..
            } => Some([Whose::Server, Whose::Signer].map(|whose| databases.name(whose))),
            _ => None,
        }
    }

    /// The databases themselves, where they are on a server.
    pub fn stored(&self) -> Option<&Databases> {
        match &self.running {
            Running::Server { databases, .. } => databases.as_ref(),
            Running::Floor { .. } => None,
        }
    }
}

/// A path for as long as the program runs: the library of the tests copies what it is given.
fn kept(path: &Path) -> &'static Path {
    Box::leak(path.to_path_buf().into_boxed_path())
}
