//! Databases that speak TLS only: which certificates the programs trust, and the messages when they do not.

use std::{path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;
use tests::{
    DatabaseServer, Databases, Engine, Finished, TestPki, TestServer, Whose,
    database::{CERTIFIED, PASSWORD},
    process::built_programs,
    server::Builder,
};

/// The name in the database server's certificate, and another one that resolves to it.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A database server, and who may log in to it.
struct World {
    pki: TestPki,
    databases: Databases,
    _database: DatabaseServer,
    _directory: TempDir,
}

impl World {
    fn start(engine: Engine) -> Self {
        let directory = TempDir::new().unwrap();
        let pki = TestPki::new(directory.path());
        let database = DatabaseServer::start_with_tls(engine, &pki.daemon_called(NAMES[0]));
        Self {
            databases: database.databases(),
            pki,
            _database: database,
            _directory: directory,
        }
    }

    fn builder(&self, login: (&str, &str), host: &str, parameters: &str) -> Builder {
        let url = |whose| json!(self.databases.url_with(whose, login, host, parameters));
        TestServer::builder()
            .databases(self.databases.clone())
            .set("storage.db_url", url(Whose::Server))
            .set_signer("storage.db_url", url(Whose::Signer))
    }

    /// The output of a command that only connects.
    fn try_out(&self, login: (&str, &str), host: &str, parameters: &str) -> Finished {
        let prepared = self.builder(login, host, parameters).prepare();
        let mut command = Command::new(built_programs().join("countersign-server"));
        command.args(["migrate", "status", "--config"]);
        let finished = Finished::run(command.arg(prepared.path().join("server.json")), "");
        finished.does_not_say(PASSWORD).does_not_say("a%2Fpassword")
    }

    /// A file of a CA that did not issue the server's certificate.
    fn strange_ca(&self) -> String {
        self.pki.stranger("somebody");
        shown(&self.pki.stranger_ca())
    }

    /// Server and signer on the databases, for everything that a publisher needs.
    fn publish(&self, login: (&str, &str), host: &str, parameters: &str) {
        let server = self.builder(login, host, parameters).start();
        let alice = server.notary("alice");
        alice.run(["init", "reg/app", "-p"]).ok();
        alice.add_and_publish("reg/app", "v1", "one");
        assert_eq!(server.notary("bob").targets("reg/app"), ["v1"]);
        alice.run(["delete", "reg/app", "--remote"]).ok();
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

const LOGIN: (&str, &str) = ("tester", PASSWORD);

#[test]
fn postgresql_is_verified_as_far_as_sslmode_says() {
    let world = World::start(Engine::Postgres);
    let (ca, strange) = (shown(&world.pki.ca()), world.strange_ca());
    let [called, otherwise] = NAMES;
    let with = |mode: &str, ca: &str| format!("sslmode={mode}&sslrootcert={ca}");
    for (host, parameters) in [
        (otherwise, "sslmode=require".to_owned()),
        (otherwise, String::new()),
        (otherwise, with("verify-ca", &ca)),
        (called, with("verify-full", &ca)),
    ] {
        world.try_out(LOGIN, host, &parameters).ok();
    }
    for (host, parameters, reason) in [
        (
            otherwise,
            "sslmode=disable".to_owned(),
            "refuses the connection: no pg_hba.conf entry",
        ),
        (
            otherwise,
            with("verify-ca", &strange),
            "certificate verify failed",
        ),
        (called, with("verify-full", &strange), "certificate verify failed"),
        (
            otherwise,
            with("verify-full", &ca),
            "does not match host name \"127.0.0.1\"",
        ),
        (
            called,
            with("verify-full", "/nowhere.pem"),
            "the CA file of the database /nowhere.pem: No such file",
        ),
        // Which a CA file makes stricter: libpq's rule.
        (otherwise, with("require", &strange), "certificate verify failed"),
    ] {
        let refused = world.try_out(LOGIN, host, &parameters).fails();
        refused.says(reason);
    }
    world.publish(LOGIN, called, &with("verify-full", &ca));
}

#[test]
fn postgresql_takes_a_client_certificate_for_a_password() {
    let world = World::start(Engine::Postgres);
    let with = |name: &str| {
        let files = world.pki.user(name);
        let (ca, certificate, key) = (shown(&files.ca), shown(&files.certificate), shown(&files.key));
        format!("sslmode=verify-full&sslrootcert={ca}&sslcert={certificate}&sslkey={key}")
    };
    let login = (CERTIFIED, "");
    world.publish(login, NAMES[0], &with(CERTIFIED));
    let other = world.try_out(login, NAMES[0], &with("somebody")).fails();
    other.says("certificate authentication failed for user \"certified\"");
    let none = format!("sslmode=verify-ca&sslrootcert={}", shown(&world.pki.ca()));
    let none = world.try_out(login, NAMES[0], &none).fails();
    none.says("connection requires a valid client certificate");
}

#[test]
fn mariadb_is_verified_against_the_ca_that_is_named() {
    let world = World::start(Engine::Mysql);
    let (ca, strange) = (shown(&world.pki.ca()), world.strange_ca());
    for parameters in [
        "tls=true",
        "tls=custom",
        "tls=skip-verify",
        "ssl-mode=verify_ca",
        "",
    ] {
        let parameters = format!("{parameters}&ssl-ca={ca}");
        world.try_out(LOGIN, NAMES[1], &parameters).ok();
        let parameters = parameters.replace(&ca, &strange);
        let refused = world.try_out(LOGIN, NAMES[1], &parameters).fails();
        refused.says("does not answer").says("certificate");
    }
    let open = world.try_out(LOGIN, NAMES[1], "tls=false").fails();
    open.says("Access denied");
    let unverified = world.try_out(LOGIN, NAMES[1], "tls=true").fails();
    unverified.says("TLS needs the CA of the database server");
    world.publish(LOGIN, NAMES[0], &format!("tls=true&ssl-ca={ca}"));
}

#[test]
fn mariadb_takes_a_client_certificate_for_a_password() {
    let world = World::start(Engine::Mysql);
    let with = |name: &str| {
        let files = world.pki.user(name);
        let (ca, certificate, key) = (shown(&files.ca), shown(&files.certificate), shown(&files.key));
        format!("tls=true&ssl-ca={ca}&ssl-cert={certificate}&ssl-key={key}")
    };
    let login = (CERTIFIED, "");
    world.publish(login, NAMES[1], &with(CERTIFIED));
    let other = world.try_out(login, NAMES[1], &with("somebody")).fails();
    other.says("Access denied for user 'certified'");
}

#[test]
fn mariadb_without_tls_is_refused_where_tls_is_asked_for() {
    let databases = Engine::Mysql.databases();
    let directory = TempDir::new().unwrap();
    let ca = shown(&TestPki::new(directory.path()).ca());
    let url = databases.url_with(Whose::Server, LOGIN, NAMES[1], &format!("tls=true&ssl-ca={ca}"));
    let prepared = TestServer::builder()
        .databases(databases)
        .set("storage.db_url", json!(url))
        .prepare();
    let mut command = Command::new(built_programs().join("countersign-server"));
    command.args(["migrate", "status", "--config"]);
    let refused = Finished::run(command.arg(prepared.path().join("server.json")), "");
    refused.fails().says("TLS").does_not_say(PASSWORD);
}

/// The database clients bring the system's OpenSSL into the process. Where ours is built in, neither may take the
/// functions of the other for its own; `make test-release` runs this file with such programs.
#[test]
fn the_programs_offer_nothing_of_openssl_to_the_database_clients() {
    for name in ["countersign-server", "countersign-signer"] {
        let mut list = Command::new("nm");
        list.args(["--dynamic", "--format=posix"])
            .arg(built_programs().join(name));
        let symbols = Finished::run(&mut list, "").ok().stdout;
        let of_kind = |wanted: fn(&str) -> bool| -> Vec<&str> {
            let fields = symbols.lines().filter_map(|line| {
                let mut fields = line.split_whitespace();
                // A symbol's version stands behind it.
                let symbol = fields.next()?.split('@').next()?;
                Some((symbol, fields.next()?))
            });
            fields
                .filter(|(_, kind)| wanted(kind))
                .map(|(symbol, _)| symbol)
                .collect()
        };
        let imported = of_kind(|kind| kind == "U");
        for client in ["PQconnectdb", "mysql_real_connect"] {
            assert!(
                imported.contains(&client),
                "{name} does not load {client} from a library"
            );
        }
        let prefixes = [
            "SSL", "TLS_", "EVP_", "X509_", "CRYPTO_", "OPENSSL_", "ERR_", "BIO_", "OSSL_",
        ];
        let exported = of_kind(|kind| kind != "U" && kind != "w" && kind != "v");
        let of_openssl: Vec<&&str> = exported
            .iter()
            .filter(|symbol| prefixes.iter().any(|prefix| symbol.starts_with(prefix)))
            .collect();
        assert!(of_openssl.is_empty(), "{name} exports {of_openssl:?}");
    }
}
