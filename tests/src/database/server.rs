//! A database server, started, stopped and killed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

use super::{CERTIFIED, Databases, Engine, PASSWORD, Whose, client, feed};
use crate::{
    pki::ClientFiles,
    process::{Finished, free_port, wait_until},
};

/// Runs a database server until the input ends; then ends it, and removes a directory if one is named.
/// One that is told to kill it leaves the directory, since the server may be started again.
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
[ "$how" = kill ] || [ -z "$remove" ] || rm -rf "$remove"
"#;

/// A database server.
pub struct DatabaseServer {
    engine: Engine,
    directory: PathBuf,
    port: u16,
    keeper: Option<Child>,
    options: Vec<String>,
    own: Option<TempDir>,
    /// The signal that ends it, if not the usual one.
    ends_by: Option<&'static str>,
}

impl DatabaseServer {
    /// A server of one test, which may stop it.
    pub fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[])
    }

    /// The same with more options, which count more than those that make tests fast.
    pub fn start_with(engine: Engine, options: &[&str]) -> Self {
        let own = TempDir::new().unwrap();
        let mut server = Self::prepare(engine, own.path().to_path_buf());
        server.own = Some(own);
        server.options = options.iter().map(|option| (*option).to_owned()).collect();
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

    /// A node of a cluster, which is not started. Its files are those of another one that has not been started either.
    pub(super) fn node(like: Option<&Self>, options: impl FnOnce(u16) -> Vec<String>) -> Self {
        let directory = TempDir::new().unwrap().keep();
        let mut server = match like {
            None => Self::prepare(Engine::Mysql, directory),
            Some(like) => {
                let mut copy = Command::new("cp");
                copy.arg("-a").arg(like.directory.join("data")).arg(&directory);
                Finished::run(&mut copy, "").ok();
                Engine::Mysql.give(&directory);
                Self::over(Engine::Mysql, directory)
            }
        };
        server.options = options(server.port);
        // A node that is stopped politely waits for others that are being stopped.
        server.ends_by = Some("KILL");
        server
    }

    /// Starts a node, which has the state of the cluster at this position.
    pub(super) fn launch_at(&mut self, position: &str) {
        self.options.push(format!("--wsrep-start-position={position}"));
        self.launch();
        self.options.pop();
    }

    /// The position that a node has after it was killed.
    pub(super) fn recovered(&self) -> String {
        let output = self.command().arg("--wsrep-recover").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let position = told
            .lines()
            .find_map(|line| line.split_once("Recovered position: "));
        position.unwrap_or_else(|| panic!("{told}")).1.trim().to_owned()
    }

    pub(super) fn options(&mut self) -> &mut Vec<String> {
        &mut self.options
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn start_shared(engine: Engine) -> Self {
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
                // At its start MariaDB removes temporary tables, also those of others that share the directory.
                make.arg("--skip-test-db")
                    .arg(format!("--tmpdir={}", directory.display()))
                    .arg(format!("--datadir={}", data.display()));
                make
            }
        };
        let output = make.current_dir(&directory).output().unwrap();
        assert!(output.status.success(), "{make:?}: {output:?}");
        Self::over(engine, directory)
    }

    fn over(engine: Engine, directory: PathBuf) -> Self {
        Self {
            engine,
            directory,
            port: free_port(),
            keeper: None,
            options: Vec::new(),
            own: None,
            ends_by: None,
        }
    }

    /// Demands TLS of all accounts, and a certificate of `files`' CA from [`CERTIFIED`].
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
        self.launch();
        wait_until("the database server answers", || self.answers());
    }

    /// Whether it lets its administrator in.
    pub(super) fn answers(&self) -> bool {
        let mut client = self.client(None);
        client.stdin(Stdio::null()).output().unwrap().status.success()
    }

    /// The command that runs the server.
    fn command(&self) -> Command {
        let data = self.directory.join("data");
        let port = self.port.to_string();
        let mut command = if self.engine == Engine::Postgres {
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
            command
        } else {
            let mut command = self.engine.command(&self.engine.program("mariadbd"));
            command
                .arg("--no-defaults")
                .arg(format!("--tmpdir={}", self.directory.display()))
                .arg(format!("--datadir={}", data.display()));
            command
                .arg(format!("--socket={}", self.socket().display()))
                .arg(format!("--port={port}"));
            command.args(["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=2"]);
            command.args(["--max-connections=300", "--innodb-buffer-pool-size=64M"]);
            command
        };
        command.args(&self.options);
        command.current_dir(&self.directory);
        command
    }

    /// Starts the server, and does not wait.
    pub(super) fn launch(&mut self) {
        let command = self.command();
        let signal = match self.engine {
            Engine::Postgres => "INT",
            _ => "TERM",
        };
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
        keeper
            .args(["-c", KEEPER, "sh"])
            .arg(remove)
            .arg(self.ends_by.unwrap_or(signal));
        keeper.arg(command.get_program()).args(command.get_args());
        keeper.current_dir(&self.directory).stdin(Stdio::piped());
        keeper.stdout(log.try_clone().unwrap()).stderr(log);
        self.keeper = Some(keeper.spawn().unwrap());
    }

    /// The ids of its processes.
    pub fn processes(&self) -> Vec<u32> {
        let children = |process: u32| -> Vec<u32> {
            let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
            let list = list.unwrap_or_default();
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect()
        };
        let mut found = self
            .keeper
            .as_ref()
            .map_or(Vec::new(), |keeper| children(keeper.id()));
        let mut next = 0;
        while let Some(process) = found.get(next) {
            found.extend(children(*process));
            next += 1;
        }
        found
    }

    /// What the server answers its administrator.
    pub fn ask(&self, sql: &str) -> String {
        feed(self.client(None), sql)
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
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
                // As Notary's own setup creates it.
                _ => format!("CREATE DATABASE {name} CHARACTER SET utf8;"),
            };
            self.run(&more);
        }
        databases
    }

    pub(super) fn make_account(&self) {
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
