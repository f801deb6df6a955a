//! PostgreSQL and MariaDB from Debian's packages, in directories of their own.
//!
//! One server of each kind serves a whole test process, with a fresh database for each test. It ends with
//! the process, however that ends: a shell waits for the end of its input.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    pki::ClientFiles,
    process::{Finished, free_port, installed_program, wait_until},
};

/// The password of the account that tests use.
pub const PASSWORD: &str = "a/password?with@signs";
/// The account that shows a certificate, where there is TLS.
pub const CERTIFIED: &str = "certified";
/// Runs a database server until the input ends; then ends it, and removes a directory if one is named.
const KEEPER: &str = r#"
remove=$1; signal=$2; shift 2
"$@" & server=$!
read -r how
if [ "$how" = kill ]; then
    kill -KILL "$server" $(cat "/proc/$server/task/$server/children")
else
    kill -s "$signal" "$server"
fi
wait "$server"
[ -z "$remove" ] || rm -rf "$remove"
"#;

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

/// A database server.
pub struct DatabaseServer {
    engine: Engine,
    directory: PathBuf,
    port: u16,
    keeper: Option<Child>,
    options: Vec<String>,
    own: Option<TempDir>,
}

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

    /// A program as an account that may run a database server.
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

impl DatabaseServer {
    /// A server of one test, which may stop it.
    pub fn start(engine: Engine) -> Self {
        let own = TempDir::new().unwrap();
        let mut server = Self::prepare(engine, own.path().to_path_buf());
        server.own = Some(own);
        server.resume();
        server.make_account();
        server
    }

    /// A server of one test that speaks TLS only, with the certificate of `files`. It asks [`CERTIFIED`] for a
    /// certificate of the same CA instead of a password.
    pub fn start_with_tls(engine: Engine, files: &ClientFiles) -> Self {
        let own = TempDir::new().unwrap();
        let mut server = Self::prepare(engine, own.path().to_path_buf());
        server.own = Some(own);
        server.demand_tls(files);
        server.resume();
        server.make_account();
        server.run(&match engine {
            Engine::Postgres => format!("CREATE ROLE {CERTIFIED} LOGIN IN ROLE tester;"),
            _ => format!(
                "CREATE USER {CERTIFIED}@'%' REQUIRE SUBJECT '/CN={CERTIFIED}'; GRANT ALL ON *.* TO {CERTIFIED}@'%';"
            ),
        });
        server
    }

    fn start_shared(engine: Engine) -> Self {
        let mut server = Self::prepare(engine, TempDir::new().unwrap().keep());
        server.resume();
        server.make_account();
        server
    }

    fn prepare(engine: Engine, directory: PathBuf) -> Self {
        engine.give(&directory);
        let data = directory.join("data");
        let mut make = match engine {
            Engine::Sqlite => panic!("SQLite has no server"),
            Engine::Postgres => {
                let mut make = engine.command(&engine.program("initdb"));
                make.args([
                    "--no-sync",
                    "--auth-local=trust",
                    "--auth-host=scram-sha-256",
                    "--username=postgres",
                    "--encoding=UTF8",
                ]);
                make.args(["--locale=C", "--pgdata"]).arg(&data);
                make
            }
            Engine::Mysql => {
                let mut make = engine.command(&engine.program("mariadb-install-db"));
                make.arg("--no-defaults")
                    .arg("--auth-root-authentication-method=normal");
                make.arg("--skip-test-db")
                    .arg(format!("--datadir={}", data.display()));
                make
            }
        };
        let output = make.current_dir(&directory).output().unwrap();
        assert!(output.status.success(), "{make:?}: {output:?}");
        Self {
            engine,
            directory,
            port: free_port(),
            keeper: None,
            options: Vec::new(),
            own: None,
        }
    }

    /// Lets nobody in without TLS, and [`CERTIFIED`] without a certificate of `files`' CA.
    fn demand_tls(&mut self, files: &ClientFiles) {
        let options = match self.engine {
            Engine::Postgres => {
                let clients = format!(
                    "local all all trust\nhostssl all {CERTIFIED} 127.0.0.1/32 cert\n\
                     hostssl all all 127.0.0.1/32 scram-sha-256\n"
                );
                fs::write(self.directory.join("data/pg_hba.conf"), clients).unwrap();
                [
                    "-cssl=on",
                    "-cssl_ca_file=",
                    "-cssl_cert_file=",
                    "-cssl_key_file=",
                ]
            }
            _ => [
                "--require-secure-transport=ON",
                "--ssl-ca=",
                "--ssl-cert=",
                "--ssl-key=",
            ],
        };
        self.options.push(options[0].to_owned());
        let files = [&files.ca, &files.certificate, &files.key];
        for (option, file) in options[1..].iter().zip(files) {
            let own = self.directory.join(file.file_name().unwrap());
            fs::copy(file, &own).unwrap();
            self.engine.give(&own);
            self.options.push(format!("{option}{}", own.display()));
        }
    }

    /// Starts the server, also after [`DatabaseServer::stop`], and waits until it answers.
    pub fn resume(&mut self) {
        let data = self.directory.join("data");
        let port = self.port.to_string();
        let (signal, mut command) = if self.engine == Engine::Postgres {
            let mut command = self.engine.command(&self.engine.program("postgres"));
            command.arg("-D").arg(&data).arg("-k").arg(&self.directory);
            command.args([
                "-p",
                &port,
                "-h",
                "127.0.0.1",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=300",
            ]);
            ("INT", command)
        } else {
            let mut command = self.engine.command(&self.engine.program("mariadbd"));
            command
                .arg("--no-defaults")
                .arg(format!("--datadir={}", data.display()));
            command
                .arg(format!("--socket={}", self.socket().display()))
                .arg(format!("--port={port}"));
            command.args(["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=2"]);
            command.args(["--max-connections=300", "--innodb-buffer-pool-size=64M"]);
            ("TERM", command)
        };
        command.args(&self.options);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))
            .unwrap();
        let remove = if self.own.is_some() {
            Path::new("")
        } else {
            &self.directory
        };
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(remove).arg(signal);
        keeper.arg(command.get_program()).args(command.get_args());
        keeper.current_dir(&self.directory).stdin(Stdio::piped());
        keeper.stdout(log.try_clone().unwrap()).stderr(log);
        self.keeper = Some(keeper.spawn().unwrap());
        wait_until("the database server answers", || {
            self.client(None)
                .stdin(Stdio::null())
                .output()
                .unwrap()
                .status
                .success()
        });
    }

    /// Stops the server; its port stays its own.
    pub fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }

    /// Kills the server and all of its processes (SIGKILL); its port stays its own.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let mut input = keeper.stdin.take().unwrap();
            std::io::Write::write_all(&mut input, b"kill\n").unwrap();
            drop(input);
            keeper.wait().unwrap();
        }
    }

    /// Fresh databases.
    pub fn databases(&self) -> Databases {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let databases = Databases {
            engine: self.engine,
            directory: self.directory.clone(),
            port: self.port,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
        };
        for whose in [Whose::Server, Whose::Signer] {
            let name = databases.name(whose);
            let more = match self.engine {
                Engine::Postgres => format!("CREATE DATABASE {name} OWNER tester;"),
                // What Notary's own setup makes.
                _ => format!("CREATE DATABASE {name} CHARACTER SET utf8;"),
            };
            self.run(&more);
        }
        databases
    }

    fn make_account(&self) {
        self.run(&match self.engine {
            Engine::Postgres => format!("CREATE ROLE tester LOGIN PASSWORD '{PASSWORD}';"),
            _ => format!(
                "CREATE USER tester@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO tester@'%' WITH GRANT OPTION;"
            ),
        });
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    fn client(&self, database: Option<&str>) -> Command {
        client(self.engine, &self.directory, self.port, database)
    }

    fn run(&self, sql: &str) {
        feed(self.client(None), sql);
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        self.stop();
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
            // Dumps name this schema alone; what they make belongs to the account of the tests.
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
        // Comments have the time in them, and the newest versions of pg_dump a word of chance.
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
        // Lines that only the maker's account, or its version of psql, could run.
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
            let mut command = Command::new(installed_program("psql", "postgresql-client"));
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
