//! PostgreSQL and MariaDB from Debian's packages, in directories of their own.
//!
//! One server of each kind serves a whole test process, with a fresh database for each test. It ends with
//! the process, however that ends: a shell waits for the end of its input.

mod cluster;
mod server;

use std::{
    fs,
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

use crate::process::{Finished, installed_program};

pub use cluster::Cluster;
pub use server::DatabaseServer;

/// The password of the account that tests use.
pub const PASSWORD: &str = "a/password?with@signs";
/// The account that shows a certificate, where there is TLS.
pub const CERTIFIED: &str = "certified";
/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Mysql,
}

/// All of them.
pub const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mysql];
/// Those that Notary's programs know too.
pub const SERVED: [Engine; 2] = [Engine::Postgres, Engine::Mysql];

/// The fresh databases of one test: one for the trust server, one for the signer.
#[derive(Debug, Clone)]
pub struct Databases {
    engine: Engine,
    directory: PathBuf,
    port: u16,
    number: u32,
}

/// Which of a test's databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The trust server's.
    Server,
    /// The signer's.
    Signer,
}

impl Engine {
    /// Fresh databases on the server that all tests of this process share.
    pub fn databases(self) -> Databases {
        static POSTGRES: OnceLock<DatabaseServer> = OnceLock::new();
        static MYSQL: OnceLock<DatabaseServer> = OnceLock::new();
        let shared = match self {
            Self::Sqlite => panic!("SQLite has no server"),
            Self::Postgres => &POSTGRES,
            Self::Mysql => &MYSQL,
        };
        shared
            .get_or_init(|| DatabaseServer::start_shared(self))
            .databases()
    }

    /// The name in Notary's configuration, which is also that in the fixtures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite3",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    fn account(self) -> &'static str {
        if self == Self::Postgres {
            "postgres"
        } else {
            "mysql"
        }
    }

    /// A command that runs a program under an account that may run a database server.
    fn command(self, program: &Path) -> Command {
        if !rustix::process::geteuid().is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        let account = self.account();
        command.args([
            &format!("--reuid={account}"),
            &format!("--regid={account}"),
            "--clear-groups",
        ]);
        command.arg(program);
        command
    }

    /// Makes a file or directory the server's.
    fn give(self, path: &Path) {
        if rustix::process::geteuid().is_root() {
            let id = |flag: &str| {
                let output = Command::new("id").args([flag, self.account()]).output().unwrap();
                String::from_utf8(output.stdout)
                    .unwrap()
                    .trim()
                    .parse::<u32>()
                    .unwrap()
            };
            chown(path, Some(id("-u")), Some(id("-g"))).unwrap();
        }
    }

    fn program(self, name: &str) -> PathBuf {
        match self {
            Self::Postgres => {
                let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
                let mut found: Vec<PathBuf> = versions
                    .map(|version| version.unwrap().path().join("bin").join(name))
                    .filter(|program| program.exists())
                    .collect();
                found.sort();
                found
                    .pop()
                    .unwrap_or_else(|| panic!("{name} is not installed: apt-get install postgresql"))
            }
            _ => installed_program(name, "mariadb-server"),
        }
    }
}

impl Databases {
    /// The kind.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The port of their server, on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name of one.
    pub fn name(&self, whose: Whose) -> String {
        match whose {
            Whose::Server => format!("server_{}", self.number),
            Whose::Signer => format!("signer_{}", self.number),
        }
    }

    /// The same databases through another server that has them too.
    #[must_use]
    pub fn through(&self, server: &DatabaseServer) -> Self {
        Self {
            directory: server.directory().to_path_buf(),
            port: server.port(),
            ..self.clone()
        }
    }

    /// The address in the form that Notary's programs take too.
    pub fn url(&self, whose: Whose) -> String {
        self.url_as(whose, "tester", PASSWORD)
    }

    /// The address for another account.
    pub fn url_as(&self, whose: Whose, user: &str, password: &str) -> String {
        let parameters = match self.engine {
            Engine::Postgres => "sslmode=disable",
            _ => "parseTime=true",
        };
        self.url_with(whose, (user, password), "127.0.0.1", parameters)
    }

    /// The address for another account, under a name of this machine, with these parameters.
    pub fn url_with(
        &self,
        whose: Whose,
        (user, password): (&str, &str),
        host: &str,
        parameters: &str,
    ) -> String {
        let (port, name) = (self.port, self.name(whose));
        match self.engine {
            Engine::Postgres => {
                let password: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
                format!("postgres://{user}:{password}@{host}:{port}/{name}?{parameters}")
            }
            _ => format!("{user}:{password}@tcp({host}:{port})/{name}?{parameters}"),
        }
    }

    /// The `storage` section for it.
    pub fn storage(&self, whose: Whose) -> Value {
        let mut storage = json!({"backend": self.engine.name(), "db_url": self.url(whose)});
        if whose == Whose::Signer {
            storage["default_alias"] = json!("timestamp_1");
        }
        storage
    }

    /// Runs statements, such as a dump, as the owner of the tables.
    #[track_caller]
    pub fn run(&self, whose: Whose, sql: &str) -> String {
        let mut client = client(self.engine, &self.directory, self.port, Some(&self.name(whose)));
        if self.engine == Engine::Postgres {
            // Dumps name this schema only; the account of the tests must own the tables.
            client.env("PGUSER", "tester");
        }
        feed(client, sql)
    }

    /// The rows of a table, or of all, as statements that store them elsewhere.
    pub fn dump(&self, whose: Whose, table: Option<&str>) -> String {
        let mut command = match self.engine {
            Engine::Postgres => {
                let mut command = Command::new(installed_program("pg_dump", "postgresql-client"));
                command.args(["--data-only", "--inserts", "-U", "postgres", "-h"]);
                command.arg(&self.directory).args(["-p", &self.port.to_string()]);
                command.args(table.map(|table| format!("--table={table}")));
                command.arg(self.name(whose));
                command
            }
            _ => {
                let mut command = Command::new(installed_program("mariadb-dump", "mariadb-client"));
                command.args(["--no-defaults", "--user=root", "--no-create-info", "--hex-blob"]);
                command.arg(format!("--socket={}", self.directory.join("socket").display()));
                command.arg(self.name(whose)).args(table);
                command
            }
        };
        let dump = Finished::run(&mut command, "").ok().stdout;
        // Comments contain the time, and the newest versions of pg_dump write a random word.
        let lines = dump
            .lines()
            .filter(|line| !line.starts_with("--") && !line.starts_with('\\'));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Runs statements as the administrator.
    pub fn administer(&self, sql: &str) {
        feed(client(self.engine, &self.directory, self.port, None), sql);
    }

    /// Loads a dump of the fixtures.
    pub fn load(&self, whose: Whose, file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fixtures/databases")
            .join(file);
        let dump = fs::read_to_string(path).unwrap();
        // Leave out lines that need the account or the version of psql with which the dump was made.
        let usable = |line: &&str| {
            !line.contains("OWNER TO postgres")
                && !line.starts_with("\\restrict")
                && !line.starts_with("\\unrestrict")
        };
        let dump: Vec<&str> = dump.lines().filter(usable).collect();
        self.run(whose, &dump.join("\n"));
    }
}

/// The engine's own client program, on standard input.
fn client(engine: Engine, directory: &Path, port: u16, database: Option<&str>) -> Command {
    match engine {
        Engine::Postgres => {
            let mut command = Command::new(engine.program("psql"));
            command
                .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"])
                .arg(directory);
            command.args(["-p", &port.to_string(), "-d", database.unwrap_or("postgres")]);
            command.env("PGUSER", "postgres");
            command
        }
        _ => {
            let mut command = Command::new(installed_program("mariadb", "mariadb-client"));
            command.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"]);
            command.arg(format!("--socket={}", directory.join("socket").display()));
            command.args(database);
            command
        }
    }
}

#[track_caller]
fn feed(mut client: Command, sql: &str) -> String {
    let mut running = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    running.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
