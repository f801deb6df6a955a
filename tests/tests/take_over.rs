//! A database made by Notary's programs is used as it is, and they go on with it afterwards.

use tests::{Engine, Programs, SERVED, TestServer, Whose, flows::sorted, publisher::Publisher};

const GUN: &str = "example.com/alice/app";

fn fixture(engine: Engine, name: &str) -> Vec<u8> {
    let path = format!(
        "{}/../fixtures/databases/{}-{name}",
        env!("CARGO_MANIFEST_DIR"),
        engine.name()
    );
    std::fs::read(path).unwrap()
}

#[test]
fn repositories_and_keys_of_notary_are_used_and_given_back() {
    for engine in SERVED {
        let mut server = TestServer::builder().of_notary(engine).start();
        let alice = server.notary("alice");
        alice.run(["init", GUN, "-p"]).ok();
        alice.run(["key", "rotate", GUN, "snapshot", "-r"]).ok();
        alice.add_and_publish(GUN, "by-notary", "one");

        server.change_programs(Programs::Ours);
        server.notary("bob").run(["list", GUN]).ok().says("by-notary");
        let before = server
            .client("bob")
            .get(&format!("/v2/{GUN}/_trust/tuf/root.json"))
            .ok()
            .body;
        // Timestamp and snapshot are signed with the keys that Notary's signer made and sealed.
        alice.add_and_publish(GUN, "by-countersign", "two");
        let after = server
            .client("bob")
            .get(&format!("/v2/{GUN}/_trust/tuf/root.json"))
            .ok()
            .body;
        assert_eq!(before, after, "{engine:?}: publishing did not need other keys");
        alice.run(["init", "example.com/alice/ours", "-p"]).ok();
        let keys = server.databases().run(
            Whose::Signer,
            "SELECT COUNT(*) FROM private_keys WHERE last_used IS NOT NULL;",
        );
        assert!(keys.trim().parse::<u32>().unwrap() >= 4, "{engine:?}: {keys}");

        server.change_programs(Programs::Notarys);
        for (gun, target) in [(GUN, "by-notary-again"), ("example.com/alice/ours", "too")] {
            alice.add_and_publish(gun, target, "three");
            server.notary("carol").run(["list", gun]).ok().says(target);
        }
        let feed = server.databases().run(
            Whose::Server,
            &format!("SELECT version FROM changefeed WHERE gun = '{GUN}' ORDER BY id;"),
        );
        let versions: Vec<&str> = feed.split_whitespace().collect();
        let expected: Vec<String> = (1..=versions.len()).map(|version| version.to_string()).collect();
        assert_eq!(versions, expected, "{engine:?}: every version once, in order");
        alice.run(["delete", GUN, "--remote"]).ok();
    }
}

#[test]
fn a_dump_of_notary_is_served_byte_for_byte() {
    for engine in SERVED {
        let databases = engine.databases();
        databases.load(Whose::Server, &format!("server-{}-sample.sql", engine.name()));
        databases.load(Whose::Signer, &format!("signer-{}.sql", engine.name()));
        let rows = databases.run(Whose::Server, "SELECT COUNT(*) FROM tuf_files;");
        let server = TestServer::builder().databases(databases.clone()).start();
        let client = server.client("alice");
        let gun = "example.com/acme/kept";
        let timestamp = client.get(&format!("/v2/{gun}/_trust/tuf/timestamp.json")).ok();
        assert_eq!(
            timestamp.body,
            fixture(engine, "expected-timestamp.json"),
            "{engine:?}"
        );
        for role in ["root", "snapshot", "targets", "targets/releases"] {
            client.get(&format!("/v2/{gun}/_trust/tuf/{role}.json")).ok();
        }
        let snapshot = client
            .get(&format!("/v2/{gun}/_trust/tuf/snapshot.json"))
            .ok()
            .body;
        let checksum = hex::encode(openssl::sha::sha256(&snapshot));
        client
            .get(&format!("/v2/{gun}/_trust/tuf/snapshot.{checksum}.json"))
            .ok();
        let feed = client
            .get(&format!("/v2/{gun}/_trust/changefeed?records=100"))
            .ok()
            .json();
        for record in feed["records"].as_array().unwrap() {
            assert_eq!(record["SHA256"].as_str().unwrap().len(), 64, "{record}");
        }
        assert_eq!(
            databases.run(Whose::Server, "SELECT COUNT(*) FROM tuf_files;"),
            rows,
            "{engine:?}"
        );
    }
}

/// What the first of Notary's MySQL migrations made, with one document that later ones would have completed.
const FIRST_MYSQL_SERVER: &str = "
    CREATE TABLE tuf_files (id int(11) NOT NULL AUTO_INCREMENT, created_at timestamp NULL DEFAULT NULL,
        updated_at timestamp NULL DEFAULT NULL, deleted_at timestamp NULL DEFAULT NULL, gun varchar(255) NOT NULL,
        role varchar(255) NOT NULL, version int(11) NOT NULL, data longblob NOT NULL, PRIMARY KEY (id),
        UNIQUE KEY gun (gun, role, version)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
    CREATE TABLE timestamp_keys (gun varchar(255) NOT NULL, PRIMARY KEY (gun)) ENGINE=InnoDB DEFAULT CHARSET=utf8;
    INSERT INTO tuf_files (created_at, gun, role, version, data)
        VALUES ('2016-01-02 03:04:05', 'old', 'timestamp', 7, 'what was stored');";
const FIRST_POSTGRES_SERVER: &str = "
    CREATE TABLE tuf_files (id serial PRIMARY KEY, created_at timestamp NULL, updated_at timestamp NULL,
        deleted_at timestamp NULL, gun varchar(255) NOT NULL, role varchar(255) NOT NULL, version integer NOT NULL,
        data bytea NOT NULL, sha256 char(64) DEFAULT NULL, UNIQUE (gun, role, version));
    CREATE INDEX tuf_files_sha256_idx ON tuf_files (sha256);
    INSERT INTO tuf_files (created_at, gun, role, version, data)
        VALUES ('2016-01-02 03:04:05', 'old', 'timestamp', 7, 'what was stored');";
/// The signer's table before it knew GUNs and roles.
const FIRST_MYSQL_SIGNER: &str = "
    CREATE TABLE private_keys (id int(11) NOT NULL AUTO_INCREMENT, created_at timestamp NULL DEFAULT NULL,
        updated_at timestamp NULL DEFAULT NULL, deleted_at timestamp NULL DEFAULT NULL, key_id varchar(255) NOT NULL,
        encryption_alg varchar(255) NOT NULL, keywrap_alg varchar(255) NOT NULL, algorithm varchar(50) NOT NULL,
        passphrase_alias varchar(50) NOT NULL, public blob NOT NULL, private blob NOT NULL, PRIMARY KEY (id),
        UNIQUE KEY key_id (key_id), UNIQUE KEY key_id_2 (key_id, algorithm)) ENGINE=InnoDB DEFAULT CHARSET=utf8;";

#[test]
fn the_oldest_schemas_are_completed() {
    for engine in SERVED {
        let databases = engine.databases();
        let first = match engine {
            Engine::Postgres => FIRST_POSTGRES_SERVER,
            _ => FIRST_MYSQL_SERVER,
        };
        databases.run(Whose::Server, first);
        if engine == Engine::Mysql {
            databases.run(Whose::Signer, FIRST_MYSQL_SIGNER);
        }
        let server = TestServer::builder().databases(databases.clone()).start();
        let checksum = hex::encode(openssl::sha::sha256(b"what was stored"));
        let client = server.client("alice");
        let path = format!("/v2/old/_trust/tuf/timestamp.{checksum}.json");
        assert_eq!(client.get(&path).ok().body, b"what was stored", "{engine:?}");
        let record = &client.get("/v2/old/_trust/changefeed?records=1").ok().json()["records"][0];
        assert_eq!(record["Version"], 7, "{engine:?}");
        assert!(
            record["CreatedAt"]
                .as_str()
                .unwrap()
                .starts_with("2016-01-02T03:04:05"),
            "{record}"
        );
        let notary = server.notary("alice");
        notary.run(["init", GUN, "-p"]).ok();
        notary.run(["list", GUN]).ok();
    }
}

fn root(server: &TestServer, gun: &str) -> Vec<u8> {
    let path = format!("/v2/{gun}/_trust/tuf/root.json");
    server.client("reader").get(&path).ok().body
}

#[test]
fn names_that_look_alike_are_different_in_tables_that_notary_made() {
    for engine in SERVED {
        let mut server = TestServer::builder().of_notary(engine).start();
        let alice = server.notary("alice");
        alice.run(["init", "Reg/App", "-p"]).ok();
        alice.add_and_publish("Reg/App", "Upper", "one");

        server.change_programs(Programs::Ours);
        for (gun, target) in [("reg/app", "lower"), ("REG/APP", "CAPITALS")] {
            alice.run(["init", gun, "-p"]).ok();
            alice.run(["key", "rotate", gun, "snapshot", "-r"]).ok();
            alice.add_and_publish(gun, target, "two");
        }
        let client = server.client("alice");
        let (path, name) = ("reg/app%20", "reg/app ");
        Publisher::new(&client, path, name).publish_first(&client, path);
        let blank = root(&server, path);
        let all = [
            ("Reg/App", "Upper"),
            ("reg/app", "lower"),
            ("REG/APP", "CAPITALS"),
        ];
        for programs in [Programs::Ours, Programs::Notarys] {
            server.change_programs(programs);
            let reader = server.notary("bob").elsewhere(&format!("{programs:?}"));
            for (gun, target) in all {
                assert_eq!(
                    reader.targets(gun),
                    [target],
                    "{engine:?}: {gun} from {programs:?}"
                );
            }
            assert_eq!(root(&server, path), blank, "{engine:?}: {programs:?}");
            assert_ne!(root(&server, "reg/app"), blank, "{engine:?}: {programs:?}");
        }
        // Still with Notary's programs.
        alice.add_and_publish("reg/app", "lower-again", "three");
        alice.run(["delete", "Reg/App", "--remote"]).ok();
        let reader = server.notary("carol");
        assert_eq!(sorted(reader.targets("reg/app")), ["lower", "lower-again"]);
        reader.run(["list", "Reg/App"]).fails();
        assert_eq!(reader.targets("REG/APP"), ["CAPITALS"]);
    }
}
