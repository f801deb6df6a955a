//! The audit's table: it has every change with its actor, and `audit verify` finds every manipulation of the table.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
};

use serde_json::{Value, json};
use tests::{ENGINES, Engine, Finished, TestServer, Whose, process::wait_until, publisher::Publisher};

fn sink(server: &TestServer) -> PathBuf {
    server.path().join("audit.json")
}

/// How many records in a file name a row of the table.
fn changes_in(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap_or_default();
    // The last line may be on its way.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let records = whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    records
        .filter(|record| record["kind"] == "request" && record["table"].is_object())
        .count()
}

fn audit(server: &TestServer, line: &str) -> Finished {
    server.command_line(&format!("audit {line}"))
}

fn changes(server: &TestServer, filter: &str) -> Vec<Value> {
    let listed = audit(server, &format!("list --json {filter}")).ok();
    let lines = listed.stdout.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A server on which every kind of change was made.
fn changed(engine: Engine) -> TestServer {
    let server = TestServer::builder()
        .database(engine)
        .set("audit", json!({"sinks": ["file:audit.json"]}))
        .start();
    let alice = server.client("alice");
    for gun in ["reg/app", "reg/other"] {
        let publisher = Publisher::new(&alice, gun, gun);
        publisher.publish_first(&alice, gun);
        alice
            .publish(gun, &[("targets", &publisher.targets_file(2))])
            .ok();
        alice
            .publish(gun, &[("targets", &publisher.targets_file(3))])
            .ok();
    }
    alice
        .request("POST", "/v2/reg/app/_trust/tuf/timestamp.key", &[], &[])
        .ok();
    alice.delete("/v2/reg/other/_trust/tuf/").ok();
    let certificate = server.pki().user("dave").certificate;
    server.command_line("account add dave --group ops").ok();
    server.command_line("account add dave --group ops").ok();
    server
        .command_line(&format!("account key add dave --cert {}", certificate.display()))
        .ok();
    server.command_line("account disable dave").ok();
    server.command_line("account enable dave").ok();
    server.command_line("account remove dave").ok();
    server
        .command_line("deny add --principal mallory --reason left")
        .ok();
    server
        .command_line("deny add --principal mallory")
        .ok()
        .says("already");
    server.command_line("deny remove --principal mallory").ok();
    server
}

#[test]
fn on_every_engine_every_change_is_in_the_table_with_its_actor() {
    for engine in ENGINES {
        let server = changed(engine);
        let actions = |filter: &str| -> Vec<String> {
            let records = changes(&server, filter).into_iter();
            records
                .map(|record| record["action"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            actions("--gun reg/app"),
            ["publish", "publish", "publish", "rotate-key"]
        );
        assert_eq!(
            actions("--gun reg/other"),
            ["publish", "publish", "publish", "delete"]
        );
        assert_eq!(
            actions("--principal (account)"),
            [
                "account.add",
                "account.key.add",
                "account.disable",
                "account.enable",
                "account.remove"
            ]
        );
        assert_eq!(actions("--principal (deny)"), ["deny.add", "deny.remove"]);
        assert_eq!(actions("").len(), 15);
        assert_eq!(actions("--since 2999-01-01"), Vec::<String>::new());
        assert_eq!(actions("--since 2000-01-01").len(), 15);
        let publish = &changes(&server, "--gun reg/app")[1];
        assert_eq!(publish["principal"], "alice");
        assert!(publish["cert"]["subject"].as_str().unwrap().contains("alice"));
        assert!(publish["request_id"].is_string() && publish["change_id"].is_number());
        let roles: Vec<&str> = publish["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|document| document["role"].as_str().unwrap())
            .collect();
        assert_eq!(roles.len(), 3, "{roles:?}");
        assert!(changes(&server, "--principal (account)")[0]["os_uid"].is_number());
        audit(&server, "list --gun reg/other")
            .ok()
            .says("alice  delete  reg/other")
            .says("targets 2");
        audit(&server, "verify")
            .ok()
            .says("15 records in 4 chains: whole");
        let file = sink(&server);
        wait_until("the sink has the eight changes", || changes_in(&file) == 8);
        audit(&server, &format!("verify --against {}", file.display()))
            .ok()
            .says("names ");
    }
}

#[test]
fn on_every_engine_every_manipulation_of_the_table_is_found() {
    let app = format!("gun:{}", hex::encode(openssl::sha::sha256(b"reg/app")));
    let other = format!("gun:{}", hex::encode(openssl::sha::sha256(b"reg/other")));
    for engine in ENGINES {
        let server = changed(engine);
        let file = sink(&server);
        let against = format!("verify --against {}", file.display());
        wait_until("the sink has the eight changes", || changes_in(&file) == 8);
        let kept = "CREATE TABLE kept AS SELECT * FROM audit_log";
        server.execute(Whose::Server, kept);
        let at = |chain: &str, sequence: u32| format!("WHERE chain = '{chain}' AND sequence = {sequence}");
        let first = at(&app, 1);
        let cases = [
            (
                format!("UPDATE audit_log SET record = replace(record, 'alice', 'mallo') {first}"),
                "verify",
                "reg/app, record 1): its record, its hash or the previous row was altered",
            ),
            (
                format!("UPDATE audit_log SET hash = '{}' {}", "0".repeat(64), at(&app, 2)),
                "verify",
                "reg/app, record 2): its record, its hash or the previous row was altered",
            ),
            (
                format!("DELETE FROM audit_log {first}"),
                "verify",
                "reg/app, record 2): record 1 is missing before it",
            ),
            (
                format!("DELETE FROM audit_log {}", at("accounts", 3)),
                "verify",
                "accounts, record 4): record 3 is missing before it",
            ),
            (
                format!(
                    "UPDATE audit_log SET sequence = 99 {}; UPDATE audit_log SET sequence = 2 {}; \
                     UPDATE audit_log SET sequence = 3 {}",
                    at(&app, 2),
                    at(&app, 3),
                    at(&app, 99)
                ),
                "verify",
                "reg/app, record 2): its record, its hash or the previous row was altered",
            ),
            (
                format!(
                    "DELETE FROM audit_log WHERE chain = '{app}'; \
                     UPDATE audit_log SET chain = '{app}' WHERE chain = '{other}'"
                ),
                "verify",
                "it belongs to another place in the chains",
            ),
            // The ends of chains, which only the changefeed or a sink knows of.
            (
                format!("DELETE FROM audit_log {}", at(&other, 4)),
                "verify",
                "of reg/other has no record",
            ),
            (
                format!("DELETE FROM audit_log WHERE chain = '{other}'"),
                "verify",
                "of reg/other has no record",
            ),
            (
                format!("DELETE FROM audit_log {}", at(&app, 4)),
                against.as_str(),
                "reg/app, record 4: was written, but is missing now",
            ),
        ];
        for (tampering, question, finding) in cases {
            server.execute(Whose::Server, &tampering);
            audit(&server, question).fails().says(finding).says("broken: ");
            server.execute(
                Whose::Server,
                "DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM kept",
            );
        }
        audit(&server, &against).ok();
        // What is missing beside the table, or does not fit it.
        let cases = [
            (
                "DELETE FROM audit_log".to_owned(),
                "of reg/app has no record: it was removed, or audit.table was off (it names alice)",
            ),
            (
                format!("DELETE FROM audit_log WHERE chain = '{app}'"),
                "of reg/app has no record",
            ),
            (
                "DELETE FROM tuf_files WHERE role = 'targets' AND version = 2 AND gun = 'reg/app'".to_owned(),
                "targets version 2 of reg/app is missing, or differs from its record",
            ),
            (
                format!(
                    "UPDATE tuf_files SET sha256 = '{}' WHERE role = 'root' AND gun = 'reg/app'",
                    "0".repeat(64)
                ),
                "root version 1 of reg/app is missing, or differs from its record",
            ),
            (
                "UPDATE tuf_files SET role = 'targets/x' WHERE role = 'targets' AND version = 3".to_owned(),
                "of reg/app is missing, or differs from its record",
            ),
            (
                "DELETE FROM changefeed WHERE id = 3".to_owned(),
                "change 3, which a record names, is not in the changefeed",
            ),
            (
                "UPDATE change_actors SET principal = 'mallory' WHERE change_id = 2".to_owned(),
                "names mallory, but its record names alice",
            ),
            (
                "DELETE FROM change_actors WHERE change_id = 2".to_owned(),
                "names no principal, but its record names alice",
            ),
            (
                "DELETE FROM denials".to_owned(),
                "the denial of principal eve is gone, and no record says who removed it",
            ),
            (
                "DELETE FROM audit_log WHERE chain = 'denials'".to_owned(),
                "the denial of principal eve has no record",
            ),
            (
                "DELETE FROM audit_log WHERE chain = 'accounts'".to_owned(),
                "the account frank has no record",
            ),
        ];
        server.command_line("deny add --principal eve").ok();
        server.command_line("account add frank").ok();
        audit(&server, "verify").ok();
        let tables = ["audit_log", "tuf_files", "changefeed", "change_actors", "denials"];
        server.execute(Whose::Server, "DROP TABLE kept");
        for table in tables {
            let keep = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
            server.execute(Whose::Server, &keep);
        }
        for (tampering, finding) in &cases {
            server.execute(Whose::Server, tampering);
            audit(&server, "verify").fails().says(finding).says("broken: ");
            // Actors refer to changes.
            for table in ["change_actors", "audit_log", "tuf_files", "changefeed", "denials"] {
                server.execute(Whose::Server, &format!("DELETE FROM {table}"));
            }
            for table in tables {
                let back = format!("INSERT INTO {table} SELECT * FROM kept_{table}");
                server.execute(Whose::Server, &back);
            }
            audit(&server, "verify").ok();
        }
        // Everything that could tell of it in the database is gone; the sink has it.
        server.execute(
            Whose::Server,
            "DELETE FROM change_actors; DELETE FROM audit_log; DELETE FROM changefeed; DELETE FROM tuf_files; \
             DELETE FROM accounts; DELETE FROM denials",
        );
        audit(&server, "verify")
            .fails()
            .says("reg/app, record 1: was written, but is missing now");
        for table in ["audit_log", "tuf_files", "changefeed", "change_actors", "denials"] {
            let back = format!("INSERT INTO {table} SELECT * FROM kept_{table}");
            server.execute(Whose::Server, &back);
        }
        server.command_line("account add frank").ok();
        // A chain made anew from its beginning fits in itself.
        server.execute(
            Whose::Server,
            &format!("DELETE FROM audit_log WHERE chain = '{app}'"),
        );
        server
            .client("mallory")
            .request("POST", "/v2/reg/app/_trust/tuf/timestamp.key", &[], &[])
            .ok();
        audit(&server, &against)
            .fails()
            .says("reg/app, record 1): differs from what was written");
    }
}

#[test]
fn the_ends_of_chains_that_the_command_line_adds_to_are_in_the_sink() {
    let server = TestServer::builder()
        .signs_locally()
        .set("audit", json!({"sinks": ["file:audit.json"]}))
        .start();
    server.command_line("account add dave").ok();
    server.command_line("account add erin").ok();
    server.command_line("deny add --principal mallory").ok();
    let file = sink(&server);
    let against = format!("verify --against {}", file.display());
    let told = |chain: &str, sequence: u32| {
        let text = fs::read_to_string(&file).unwrap();
        text.contains(&format!("\"chain\":\"{chain}\",\"sequence\":{sequence},"))
    };
    wait_until("both ends are told", || told("accounts", 2) && told("denials", 1));
    audit(&server, &against).ok();
    for (chain, sequence) in [("accounts", 2), ("denials", 1)] {
        let row = format!("DELETE FROM audit_log WHERE chain = '{chain}' AND sequence = {sequence}");
        server.execute(Whose::Server, &row);
        // The list itself has an entry that nobody made any more.
        audit(&server, "verify").fails().says("has no record");
        audit(&server, &against).fails().says(&format!(
            "{chain}, record {sequence}: was written, but is missing now"
        ));
    }
}

#[test]
fn on_every_engine_many_publishers_at_once_make_whole_chains() {
    const PUBLISHERS: usize = 8;
    for engine in ENGINES {
        let first = TestServer::builder().database(engine).start();
        let second = (engine != Engine::Sqlite).then(|| {
            let second = TestServer::builder().beside(&first);
            second.start()
        });
        let alice = first.client("alice");
        let publisher = Publisher::new(&alice, "reg/shared", "reg/shared");
        publisher.publish_first(&alice, "reg/shared");
        let together = Barrier::new(PUBLISHERS);
        let published: usize = thread::scope(|scope| {
            let running: Vec<_> = (0..PUBLISHERS)
                .map(|number| {
                    let server = second.as_ref().filter(|_| number % 2 == 1).unwrap_or(&first);
                    let (publisher, together) = (&publisher, &together);
                    scope.spawn(move || {
                        let client = server.client(&format!("publisher-{number}"));
                        let own = format!("reg/own-{number}");
                        let mine = Publisher::new(&client, &own, &own);
                        together.wait();
                        mine.publish_first(&client, &own);
                        // All but one come too late.
                        let raced = client.publish("reg/shared", &[("targets", &publisher.targets_file(2))]);
                        1 + usize::from(raced.status == 200)
                    })
                })
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(published, PUBLISHERS + 1);
        audit(&first, "verify").ok().says(&format!(
            "{} records in {} chains: whole",
            PUBLISHERS + 2,
            PUBLISHERS + 1
        ));
    }
}

#[test]
fn changes_work_without_the_table() {
    let server = TestServer::builder()
        .signs_locally()
        .set("audit", json!({"table": false}))
        .start();
    let alice = server.client("alice");
    Publisher::new(&alice, "reg/app", "reg/app").publish_first(&alice, "reg/app");
    server.command_line("account add dave").ok();
    assert!(changes(&server, "").is_empty());
    audit(&server, "verify").ok().says("0 records in 0 chains: whole");
}

#[test]
fn the_changefeed_names_actors_to_authorized_readers() {
    let server = TestServer::builder()
        .signs_locally()
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["alice"], "actions": ["pull", "push", "init"]},
                {"effect": "allow", "principals": ["bob"], "actions": ["pull"]},
                {"effect": "allow", "principals": ["carol"], "actions": ["changefeed"]},
            ]),
        )
        .start();
    let (alice, bob, carol) = (
        server.client("alice"),
        server.client("bob"),
        server.client("carol"),
    );
    for gun in ["reg/app", "reg/other"] {
        Publisher::new(&alice, gun, gun).publish_first(&alice, gun);
    }
    let of_app = "/v2/reg/app/_trust/changefeed?records=10";
    let of_all = "/v2/_trust/changefeed?records=10";
    for path in [of_app, of_all] {
        let plain = carol.get(path).ok();
        let mut with_actors = carol.get(&format!("{path}&actor=true")).ok().json();
        for record in with_actors["records"].as_array_mut().unwrap() {
            let actor = record.as_object_mut().unwrap().remove("actor").unwrap();
            assert_eq!(actor["principal"], "alice");
            assert!(actor["subject"].as_str().unwrap().contains("alice"), "{actor}");
            assert!(actor["serial"].is_string() && actor["issuer"].is_string());
        }
        assert_eq!(
            with_actors.to_string(),
            plain.text(),
            "but for the actors they are the same"
        );
        assert_eq!(
            carol.get(&format!("{path}&actor=false")).ok().text(),
            plain.text()
        );
    }
    bob.get(of_app).ok();
    bob.get(&format!("{of_app}&actor=true")).refuses(403, "DENIED");
}
