//! Whole configurations, with certificates made for the occasion.

use std::path::PathBuf;

use platform::database::{Location, Options};
use platform::pki::{Issued, Template, Usage};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::passphrase::Alias;

struct Fixture {
    directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let issued = Issued::self_signed(&Template::new("signer", Usage::ServerAndClient, 1)).unwrap();
        std::fs::write(
            directory.path().join("signer.crt"),
            issued.certificate_pem().unwrap(),
        )
        .unwrap();
        std::fs::write(directory.path().join("signer.key"), issued.key_pem().unwrap()).unwrap();
        Self { directory }
    }

    fn read(&self, tree: Value) -> Result<Config, RefusedConfig> {
        self.read_with(tree, &[])
    }

    fn read_with(&self, tree: Value, environment: &'static [(&str, &str)]) -> Result<Config, RefusedConfig> {
        let directory: PathBuf = self.directory.path().into();
        let settings = Settings::new(tree, directory, move |key| {
            environment
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| (*value).to_owned())
        });
        Config::read(&settings, false)
    }

    fn refusal(&self, tree: Value) -> String {
        self.read(tree).unwrap_err().to_string()
    }
}

fn notary_file() -> Value {
    json!({
        "server": {
            "grpc_addr": "127.0.0.1:7899",
            "tls_cert_file": "./signer.crt",
            "tls_key_file": "signer.key",
            "client_ca_file": "signer.crt"
        },
        "logging": {"level": "debug"},
        "storage": {"backend": "sqlite3", "db_url": "signer.db", "default_alias": "timestamp_1"}
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut tree = notary_file();
    let (section, key) = pointer.trim_start_matches('/').split_once('/').unwrap();
    tree[section][key] = value;
    tree
}

#[test]
fn a_notary_file_is_accepted_unchanged() {
    let fixture = Fixture::new();
    let config = fixture.read(notary_file()).unwrap();
    assert_eq!(config.transport.addresses, ["127.0.0.1:7899".parse().unwrap()]);
    assert!(config.transport.clients_verified());
    assert_eq!(
        config.storage,
        Storage::Database {
            location: Location::Sqlite(fixture.directory.path().join("signer.db")),
            options: Options::default(),
            default_alias: Alias::new("timestamp_1").unwrap(),
        }
    );
    assert_eq!(config.policy, SigningPolicy::Metadata);
}

#[test]
fn without_client_cas_clients_are_not_verified() {
    let config = Fixture::new()
        .read(with("/server/client_ca_file", Value::Null))
        .unwrap();
    assert!(!config.transport.clients_verified());
}

#[test]
fn the_outer_alias_of_old_files_is_used_when_there_is_no_inner_one() {
    let fixture = Fixture::new();
    let mut tree = with("/storage/default_alias", Value::Null);
    tree["default_alias"] = json!("outer");
    let Storage::Database { default_alias, .. } = fixture.read(tree.clone()).unwrap().storage else {
        panic!()
    };
    assert_eq!(default_alias.as_str(), "outer");
    let config = fixture
        .read_with(tree, &[("storage.default_alias", "inner")])
        .unwrap();
    let Storage::Database { default_alias, .. } = config.storage else {
        panic!()
    };
    assert_eq!(default_alias.as_str(), "inner");
}

#[test]
fn refusals_name_the_key_and_what_is_allowed() {
    let fixture = Fixture::new();
    let cases = [
        (
            with("/storage/backend", json!("rethinkdb")),
            "storage.backend: \"rethinkdb\"",
            "allowed: sqlite3, postgres, mysql, memory",
        ),
        (
            with("/storage/backend", json!("SQLite3")),
            "storage.backend: \"SQLite3\"",
            "allowed: sqlite3, postgres, mysql, memory",
        ),
        (
            with("/storage/backend", Value::Null),
            "storage.backend",
            "allowed: sqlite3, postgres, mysql, memory",
        ),
        (
            with("/storage/db_url", Value::Null),
            "storage.db_url",
            "the SQLite file",
        ),
        (
            with("/storage/db_url", json!("postgres://x/y")),
            "storage.db_url: \"(not shown)\"",
            "SQLite file",
        ),
        (
            with("/storage/default_alias", Value::Null),
            "storage.default_alias",
            "passphrase",
        ),
        (
            with("/storage/default_alias", json!("a".repeat(51))),
            "storage.default_alias",
            "1 to 50",
        ),
        (
            with("/server/tls_cert_file", Value::Null),
            "server.tls_cert_file",
            "PEM",
        ),
        (
            with("/server/tls_key_file", Value::Null),
            "server.tls_key_file",
            "PEM",
        ),
        (with("/server/tls_cert_file", json!("none.crt")), "none.crt", ""),
        (
            with("/server/client_ca_file", json!("signer.key")),
            "signer.key",
            "",
        ),
        (
            with("/server/grpc_addr", Value::Null),
            "server.grpc_addr",
            "host:port",
        ),
        (
            with("/server/grpc_addr", json!("nowhere")),
            "server.grpc_addr: \"nowhere\"",
            "host:port",
        ),
        (
            with("/signing/policy", json!("all")),
            "signing.policy: \"all\"",
            "allowed: metadata, any",
        ),
    ];
    for (tree, key, allowed) in cases {
        let message = fixture.refusal(tree);
        assert!(
            message.contains(key) && message.contains(allowed) && !message.contains('\n'),
            "{message}"
        );
    }
}

#[test]
fn the_first_complaint_is_about_tls_then_address_then_storage() {
    let fixture = Fixture::new();
    assert!(fixture.refusal(json!({})).contains("server.tls_cert_file"));
    let mut tree = notary_file();
    tree["storage"] = Value::Null;
    tree["server"]["grpc_addr"] = Value::Null;
    assert!(fixture.refusal(tree).contains("server.grpc_addr"));
}

#[test]
fn an_allow_list_needs_verified_clients() {
    let fixture = Fixture::new();
    let mut tree = with("/server/allowed_clients", json!(["notary-server"]));
    assert!(fixture.read(tree.clone()).is_ok());
    tree["server"]["client_ca_file"] = Value::Null;
    assert!(fixture.refusal(tree).contains("server.client_ca_file"));
}

#[test]
fn memory_needs_no_alias() {
    let mut tree = notary_file();
    tree["storage"] = json!({"backend": "memory"});
    assert_eq!(Fixture::new().read(tree).unwrap().storage, Storage::Memory);
}

#[test]
fn misspelt_security_keys_are_refused_and_other_unknown_keys_are_warnings() {
    let refused = Fixture::new().refusal(with("/server/alowed_clients", json!("x")));
    assert_eq!(
        refused,
        "unknown key server.alowed_clients; did you mean server.allowed_clients?"
    );
    let config = Fixture::new().read(with("/server/grpc_adr", json!("x"))).unwrap();
    let expected = "unknown key server.grpc_adr; did you mean server.grpc_addr?";
    assert!(
        config.remarks.iter().any(|remark| remark == expected),
        "{:?}",
        config.remarks
    );
}

#[test]
fn levels_are_named_as_in_notary() {
    let level = |value: &str| {
        log_level(&Settings::new(
            json!({"logging": {"level": value}}),
            PathBuf::new(),
            |_| None,
        ))
    };
    assert_eq!(level("WARNING").unwrap(), Level::Warn);
    assert!(
        level("loud")
            .unwrap_err()
            .to_string()
            .contains("logging.level: \"loud\"")
    );
    assert_eq!(
        log_level(&Settings::new(json!({}), PathBuf::new(), |_| None)).unwrap(),
        Level::Info
    );
}
