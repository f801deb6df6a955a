//! Changes through the interface: accounts, their keys, the deny list, reloads and renewals. Each is made and undone from
//! outside, refused to others, and recorded; the last administrator stays.

use std::{fs, sync::Barrier, thread};

use openssl::x509::X509;
use serde_json::{Value, json};
use tests::{Client, ClientFiles, Engine, TestServer, http::Response, publisher::Publisher};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const ACCOUNTS: &str = "/api/v0/accounts";
const DENIALS: &str = "/api/v0/denials";
const GUN: &str = "reg/team/app";

/// `root` is an administrator by name, and so are the members of the group `admins`.
fn builder() -> tests::server::Builder {
    let people = json!({"name": "people", "effect": "allow", "principals": ["*"], "actions": ["pull", "push", "init"]});
    TestServer::builder().administered_by("root", &[people])
}

#[track_caller]
fn send(client: &Client, method: &str, path: &str, body: &Value) -> Response {
    client.request(method, path, &[JSON], body.to_string().as_bytes())
}

#[track_caller]
fn answers(response: &Response, status: u16) -> Value {
    assert_eq!(response.status, status, "{}", response.text());
    if response.body.is_empty() {
        Value::Null
    } else {
        response.json()
    }
}

fn public_key(files: &ClientFiles) -> String {
    let certificate = X509::from_pem(&fs::read(&files.certificate).unwrap()).unwrap();
    String::from_utf8(certificate.public_key().unwrap().public_key_to_pem().unwrap()).unwrap()
}

fn text(path: &std::path::Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Whom the server takes a client for.
#[track_caller]
fn name(client: &Client) -> String {
    let info = client.get("/basic_info").ok().json();
    info["User"]["name"].as_str().unwrap().to_owned()
}

/// The records of the table, as objects.
fn records(server: &TestServer) -> Vec<Value> {
    // The client of MySQL escapes what it prints.
    let hex = match server.engine() {
        Engine::Postgres => "encode(convert_to(record, 'UTF8'), 'hex')",
        Engine::Sqlite | Engine::Mysql => "hex(record)",
    };
    let rows = server.rows(&[hex], "audit_log ORDER BY id");
    rows.iter()
        .map(|row| serde_json::from_slice(&hex::decode(&row[0]).unwrap()).unwrap())
        .collect()
}

#[test]
fn accounts_and_their_keys_are_made_and_unmade_and_each_change_is_recorded_with_its_author() {
    let server = builder().start();
    let root = server.client("root");
    let files = server.pki().user("employee-4711");
    let employee = server.client_with(&files);
    assert_eq!(name(&employee), "employee-4711");

    let wanted = json!({"name": "alice", "fullName": "Alice A.", "groups": ["ops", "dev"]});
    let made = answers(&send(&root, "POST", ACCOUNTS, &wanted), 201);
    assert_eq!(made["groups"], json!(["dev", "ops"]));
    assert_eq!(
        (&made["isActive"], &made["isAdmin"]),
        (&json!(true), &json!(false))
    );
    let again = answers(&send(&root, "POST", ACCOUNTS, &wanted), 200);
    assert_eq!(again["id"], made["id"]);

    let keys = format!("{ACCOUNTS}/alice/publicKeys");
    let key = json!({"label": "laptop", "publicKey": public_key(&files),
        "certificates": [{"label": "2026", "cert": text(&files.certificate)}], "note": "held offline"});
    let added = answers(&send(&root, "POST", &keys, &key), 201);
    assert_eq!(
        (&added["label"], &added["note"]),
        (&json!("laptop"), &json!("held offline"))
    );
    assert_eq!(added["accountID"], made["id"]);
    assert_eq!(name(&employee), "alice");
    answers(&send(&root, "POST", &keys, &key), 200);
    let listed = root.get(&keys).ok().json();
    assert_eq!(listed, json!({"accountPublicKeys": [added], "nextPageStart": ""}));
    assert_eq!(root.get("/api/v0/accountPublicKeys").ok().json(), listed);

    let one = format!("{keys}/{}", added["id"].as_str().unwrap());
    let noted = answers(&send(&root, "PATCH", &one, &json!({"note": "in the safe"})), 200);
    assert_eq!(
        (&noted["label"], &noted["note"]),
        (&json!("laptop"), &json!("in the safe"))
    );
    let noted = answers(&send(&root, "PATCH", &one, &json!({"note": null})), 200);
    assert_eq!(noted["note"], "");

    // By its ID, as clients that know it do.
    let by_id = format!("{ACCOUNTS}/{}", made["id"].as_str().unwrap());
    let off = json!({"isActive": false, "reason": "has left"});
    let disabled = answers(&send(&root, "PATCH", &by_id, &off), 200);
    assert_eq!(
        (&disabled["isActive"], &disabled["disabledReason"]),
        (&json!(false), &json!("has left"))
    );
    let refused = employee.get("/v2/").refuses(401, "UNAUTHORIZED");
    assert_eq!(refused["detail"]["reason"], "account_disabled");
    let again = answers(
        &send(&root, "PATCH", &by_id, &json!({"isActive": false, "reason": "x"})),
        200,
    );
    assert_eq!(again["disabledReason"], "has left");
    let on = answers(&send(&root, "PATCH", &by_id, &json!({"isActive": true})), 200);
    assert_eq!(
        (&on["isActive"], &on["disabledReason"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(name(&employee), "alice");

    answers(&root.delete(&one), 204);
    root.delete(&one).refuses(404, "NO_SUCH_KEY");
    assert_eq!(name(&employee), "employee-4711");
    answers(&root.delete(&format!("{ACCOUNTS}/alice")), 204);
    root.delete(&format!("{ACCOUNTS}/alice"))
        .refuses(404, "NO_SUCH_ACCOUNT");
    assert_eq!(
        root.get(ACCOUNTS).ok().json(),
        json!({"accounts": [], "nextPageStart": ""})
    );

    let records = records(&server);
    let actions: Vec<&str> = records
        .iter()
        .map(|record| record["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "account.add",
            "account.key.add",
            "account.key.change",
            "account.key.change",
            "account.disable",
            "account.enable",
            "account.key.remove",
            "account.remove"
        ]
    );
    for record in &records {
        assert_eq!(
            (&record["principal"], &record["subject"]),
            (&json!("root"), &json!("alice")),
            "{record}"
        );
        assert_eq!(record["cert"]["subject"], "CN=root", "{record}");
        assert!(record["request_id"].is_string(), "{record}");
    }
    assert!(records[1]["detail"].as_str().unwrap().ends_with(": held offline"));
    assert_eq!(records[4]["detail"], "has left");
    server.command_line("audit verify").ok();
    let decisions = text(&server.path().join("audit.json"));
    assert!(
        decisions.contains(r#""action":"change-accounts""#) && decisions.contains("account alice disabled")
    );
}

#[test]
fn a_denial_holds_from_the_next_request_on_until_it_is_undone() {
    let server = builder().start();
    let root = server.client("root");
    let files = server.pki().user("alice");
    let alice = server.client_with(&files);
    let mut open = alice.open();
    open.get("/v2/").ok();
    let certificate = text(&files.certificate);
    for (wanted, kind) in [
        (
            json!({"principal": "alice", "reason": "lost laptop"}),
            "principal",
        ),
        (
            json!({"certificate": certificate, "reason": "lost laptop"}),
            "certificate",
        ),
        (
            json!({"certificate": certificate, "everyCertificateOfKey": true, "reason": "lost laptop"}),
            "key",
        ),
    ] {
        let made = answers(&send(&root, "POST", DENIALS, &wanted), 201);
        assert_eq!(
            (&made["kind"], &made["reason"]),
            (&json!(kind), &json!("lost laptop")),
            "{made}"
        );
        open.get("/v2/").refuses(401, "UNAUTHORIZED");
        let mut again = wanted.clone();
        again["reason"] = json!("another");
        let same = answers(&send(&root, "POST", DENIALS, &again), 200);
        assert_eq!(same["reason"], "lost laptop");
        let listed = root.get(DENIALS).ok().json();
        assert_eq!(listed["denials"].as_array().unwrap().len(), 1);
        assert_eq!(listed["denials"][0]["id"], made["id"]);
        let undo = format!("{DENIALS}/{}?reason=found", made["id"].as_str().unwrap());
        answers(&root.delete(&undo), 204);
        root.delete(&undo).refuses(404, "NO_SUCH_DENIAL");
        open = alice.open();
        open.get("/v2/").ok();
    }
    let records = records(&server);
    let told: Vec<(&str, &str)> = records
        .iter()
        .map(|record| {
            (
                record["action"].as_str().unwrap(),
                record["detail"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("deny.add", "lost laptop"), ("deny.remove", "found")].repeat(3)
    );
    assert!(records.iter().all(|record| record["principal"] == "root"));
    server.command_line("audit verify").ok();
    // Who is not known yet may be misspelt.
    let unknown = answers(&send(&root, "POST", DENIALS, &json!({"principal": "alcie"})), 201);
    assert!(
        unknown["warning"]
            .as_str()
            .unwrap()
            .contains("no account is called alcie"),
        "{unknown}"
    );
}

#[test]
fn lists_come_in_pages() {
    let server = builder().start();
    let root = server.client("root");
    let names = ["a", "ä", "B", "b/c", "spiffe://acme/x"];
    for name in names {
        answers(&send(&root, "POST", ACCOUNTS, &json!({"name": name})), 201);
        answers(&send(&root, "POST", DENIALS, &json!({"principal": name})), 201);
        let files = server.pki().user("x");
        let key = json!({"publicKey": public_key(&files)});
        let id = root.get("/api/v0/accounts?pageSize=1000").ok().json()["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|account| account["name"] == name)
            .unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        answers(
            &send(&root, "POST", &format!("{ACCOUNTS}/{id}/publicKeys"), &key),
            201,
        );
    }
    for (path, member, key) in [
        (ACCOUNTS, "accounts", "name"),
        (DENIALS, "denials", "subject"),
        ("/api/v0/accountPublicKeys", "accountPublicKeys", "accountName"),
    ] {
        let (mut start, mut seen) = (String::new(), Vec::new());
        for _ in 0..names.len() {
            let encoded = percent_encoded(&start);
            let page = root
                .get(&format!("{path}?pageSize=2&pageStart={encoded}"))
                .ok()
                .json();
            seen.extend(page[member].as_array().unwrap().iter().map(|entry| {
                entry[key]
                    .as_str()
                    .unwrap()
                    .trim_start_matches("principal ")
                    .to_owned()
            }));
            start = page["nextPageStart"].as_str().unwrap().to_owned();
            if start.is_empty() {
                break;
            }
        }
        seen.sort();
        let mut expected: Vec<String> = names.iter().map(ToString::to_string).collect();
        expected.sort();
        assert_eq!(seen, expected, "{path}");
    }
    for wrong in ["pageSize=0", "pageSize=1001", "pageSize=x"] {
        root.get(&format!("{ACCOUNTS}?{wrong}"))
            .refuses(400, "INVALID_PARAMETERS");
    }
    root.get(&format!("{DENIALS}?pageStart=x"))
        .refuses(400, "INVALID_PARAMETERS");
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Every route of this suite, with a body that would change something.
fn routes() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("GET", ACCOUNTS, Value::Null),
        ("GET", "/api/v0/accounts/carol", Value::Null),
        ("GET", "/api/v0/accounts/nobody", Value::Null),
        ("GET", "/api/v0/accounts/carol/publicKeys", Value::Null),
        ("GET", "/api/v0/accountPublicKeys", Value::Null),
        ("GET", DENIALS, Value::Null),
        ("POST", ACCOUNTS, json!({"name": "mallory", "isAdmin": true})),
        ("PATCH", "/api/v0/accounts/carol", json!({"isActive": false})),
        ("DELETE", "/api/v0/accounts/carol", Value::Null),
        (
            "POST",
            "/api/v0/accounts/carol/publicKeys",
            json!({"publicKey": "x"}),
        ),
        (
            "PATCH",
            "/api/v0/accounts/carol/publicKeys/ab",
            json!({"note": "x"}),
        ),
        ("DELETE", "/api/v0/accounts/carol/publicKeys/ab", Value::Null),
        ("POST", DENIALS, json!({"principal": "carol"})),
        ("DELETE", "/api/v0/denials/x", Value::Null),
        ("POST", "/api/v0/admin/reload", Value::Null),
        ("POST", "/api/v0/repositories/reg/team/app/renewals", Value::Null),
    ]
}

#[test]
fn others_may_neither_see_nor_change_anything_of_it() {
    let server = builder().start();
    answers(
        &send(
            &server.client("root"),
            "POST",
            ACCOUNTS,
            &json!({"name": "carol"}),
        ),
        201,
    );
    let before = records(&server);
    let nobody = server.client_without_certificate();
    for (method, path, body) in routes() {
        for bob in [
            server.client("bob"),
            server.client("carol"),
            server.client("Root"),
        ] {
            send(&bob, method, path, &body).refuses(403, "NOT_AUTHORIZED");
        }
        send(&nobody, method, path, &body).refuses(401, "NOT_AUTHENTICATED");
    }
    assert_eq!(records(&server), before);
    let decisions = text(&server.path().join("audit.json"));
    assert!(decisions.contains(r#""principal":"bob""#) && decisions.contains(r#""decision":"denied""#));
}

#[test]
fn pages_of_other_sites_change_nothing_with_an_administrators_certificate() {
    let server = builder().start();
    let root = server.client("root");
    let before = records(&server);
    for (method, path, body) in routes().into_iter().filter(|(method, ..)| *method != "GET") {
        for foreign in [
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "https://evil.example"),
        ] {
            let refused = root.request(method, path, &[JSON, foreign], body.to_string().as_bytes());
            refused.refuses(403, "CROSS_SITE");
        }
        // What a form can send without being asked.
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ] {
            if body.is_null() {
                continue;
            }
            let refused = root.request(
                method,
                path,
                &[("Content-Type", kind)],
                body.to_string().as_bytes(),
            );
            assert!(
                [404, 415].contains(&refused.status),
                "{method} {path}: {}",
                refused.text()
            );
        }
    }
    assert_eq!(records(&server), before);
}

#[test]
fn without_a_policy_and_on_trial_nobody_may_lock_out_others() {
    let server = TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .start();
    for (method, path, body) in routes() {
        let refused = send(&server.client("root"), method, path, &body).refuses(403, "NOT_AUTHORIZED");
        assert!(
            refused["message"].as_str().unwrap().contains("without a policy"),
            "{refused}"
        );
    }
    // A policy on trial carries out what it denies; not this.
    let server = builder().set("access", json!({"mode": "audit"})).start();
    send(
        &server.client("bob"),
        "POST",
        DENIALS,
        &json!({"principal": "root"}),
    )
    .refuses(403, "NOT_AUTHORIZED");
    answers(
        &send(
            &server.client("root"),
            "POST",
            DENIALS,
            &json!({"principal": "bob"}),
        ),
        201,
    );
}

#[test]
fn whoever_would_lock_themselves_out_has_to_say_that_they_mean_it() {
    let server = builder().start();
    let root_files = server.pki().user("root");
    let root = server.client_with(&root_files);
    let own = text(&root_files.certificate);
    answers(&send(&root, "POST", ACCOUNTS, &json!({"name": "nothing"})), 201);
    let nothing = "/api/v0/accounts/nothing/publicKeys";
    let denials = [
        json!({"principal": "root"}),
        json!({"certificate": own}),
        json!({"certificate": own, "everyCertificateOfKey": true}),
        // The CA that issued it.
        json!({"certificate": text(&server.pki().ca()), "everyCertificateOfKey": true}),
    ];
    for wanted in &denials {
        let refused = send(&root, "POST", DENIALS, wanted).refuses(409, "LOCKS_OUT");
        assert!(
            refused["message"]
                .as_str()
                .unwrap()
                .contains("no other administrator is known"),
            "{refused}"
        );
        assert!(
            refused["detail"]["hint"]
                .as_str()
                .unwrap()
                .contains("confirm=lock-out")
        );
    }
    // With this key root would be an account without rights.
    let key = json!({"publicKey": public_key(&root_files)});
    send(&root, "POST", nothing, &key).refuses(409, "LOCKS_OUT");
    send(&root, "POST", &format!("{DENIALS}?confirm=yes"), &denials[0]).refuses(400, "INVALID_PARAMETERS");
    assert_eq!(root.get(DENIALS).ok().json()["denials"], json!([]));

    // An administrator by account.
    let files = server.pki().user("employee");
    let admin = server.client_with(&files);
    answers(
        &send(&root, "POST", ACCOUNTS, &json!({"name": "ann", "isAdmin": true})),
        201,
    );
    answers(
        &send(
            &root,
            "POST",
            "/api/v0/accounts/ann/publicKeys",
            &json!({"publicKey": public_key(&files)}),
        ),
        201,
    );
    assert_eq!(name(&admin), "ann");
    let key = admin.get("/api/v0/accounts/ann/publicKeys").ok().json()["accountPublicKeys"][0]["id"].clone();
    let key = format!("/api/v0/accounts/ann/publicKeys/{}", key.as_str().unwrap());
    for refused in [
        send(
            &admin,
            "PATCH",
            "/api/v0/accounts/ann",
            &json!({"isActive": false}),
        ),
        send(
            &admin,
            "POST",
            ACCOUNTS,
            &json!({"name": "ann", "isAdmin": false}),
        ),
        admin.delete("/api/v0/accounts/ann"),
        admin.delete(&key),
    ] {
        let refused = refused.refuses(409, "LOCKS_OUT");
        let message = refused["message"].as_str().unwrap();
        assert!(
            message.contains("administrators that are known beside are root"),
            "{message}"
        );
    }
    // Of her own groups she may change others.
    answers(
        &send(
            &admin,
            "POST",
            ACCOUNTS,
            &json!({"name": "ann", "isAdmin": true, "groups": ["x"]}),
        ),
        200,
    );
    let off = send(
        &admin,
        "PATCH",
        "/api/v0/accounts/ann?confirm=lock-out",
        &json!({"isActive": false}),
    );
    answers(&off, 200);
    admin.get(ACCOUNTS).refuses(401, "NOT_AUTHENTICATED");
    // Root is now the last, and may go if that is meant.
    send(&root, "POST", DENIALS, &denials[0]).refuses(409, "LOCKS_OUT");
    answers(
        &send(&root, "POST", &format!("{DENIALS}?confirm=lock-out"), &denials[0]),
        201,
    );
    root.get(DENIALS).refuses(401, "NOT_AUTHENTICATED");
}

#[test]
fn of_administrators_who_lock_out_each_other_at_once_one_stays() {
    let server = builder()
        .set(
            "policy",
            json!([{"name": "admins", "effect": "allow", "principals": ["group:admins"], "actions": ["*"]}]),
        )
        .start();
    let names = ["ann", "ben", "cleo", "dan"];
    for name in names {
        server.command_line(&format!("account add {name} --admin")).ok();
        let files = server.pki().user(name);
        let key = server.run_server_program(
            "account",
            [
                "key",
                "add",
                name,
                "--cert",
                files.certificate.to_str().unwrap(),
                "--config",
                server.path().join("server.json").to_str().unwrap(),
            ],
        );
        key.ok();
        // Each round has one more who may be locked out.
        fs::create_dir_all(server.path().join("kept")).unwrap();
        fs::copy(&files.certificate, server.path().join(format!("kept/{name}.pem"))).unwrap();
        fs::copy(&files.key, server.path().join(format!("kept/{name}.key"))).unwrap();
    }
    let client = |name: &str| {
        server.client_with(&ClientFiles {
            certificate: server.path().join(format!("kept/{name}.pem")),
            key: server.path().join(format!("kept/{name}.key")),
            ca: server.pki().ca(),
        })
    };
    // Each denies or disables all others at the same moment, by two ways that take different locks.
    let start = Barrier::new(names.len());
    thread::scope(|scope| {
        for (position, name) in names.into_iter().enumerate() {
            let (client, start) = (client(name), &start);
            scope.spawn(move || {
                start.wait();
                for other in names.into_iter().filter(|other| *other != name) {
                    let outcome = if position % 2 == 0 {
                        send(&client, "POST", DENIALS, &json!({"principal": other}))
                    } else {
                        send(
                            &client,
                            "PATCH",
                            &format!("{ACCOUNTS}/{other}"),
                            &json!({"isActive": false}),
                        )
                    };
                    assert!(
                        [200, 201, 401, 403].contains(&outcome.status),
                        "{}",
                        outcome.text()
                    );
                }
            });
        }
    });
    let left: Vec<&str> = names
        .into_iter()
        .filter(|name| client(name).get(ACCOUNTS).status == 200)
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn bodies_are_read_strictly_and_what_is_wrong_changes_nothing() {
    let server = builder().start();
    let root = server.client("root");
    answers(&send(&root, "POST", ACCOUNTS, &json!({"name": "alice"})), 201);
    answers(&send(&root, "POST", ACCOUNTS, &json!({"name": "bob"})), 201);
    let files = server.pki().user("alice");
    let (key, other) = (public_key(&files), public_key(&server.pki().user("other")));
    answers(
        &send(
            &root,
            "POST",
            "/api/v0/accounts/bob/publicKeys",
            &json!({"publicKey": other}),
        ),
        201,
    );
    let before = records(&server);
    let certificate = text(&files.certificate);
    let long = "x".repeat(256);
    for (path, body, why) in [
        (
            ACCOUNTS,
            r#"{"name":"x","admin":true}"#.to_owned(),
            "unknown field",
        ),
        (
            ACCOUNTS,
            r#"{"name":"x","name":"y"}"#.to_owned(),
            "duplicate field",
        ),
        (
            ACCOUNTS,
            r#"{"name":"x","na\u006de":"y"}"#.to_owned(),
            "duplicate field",
        ),
        (ACCOUNTS, r#"{"name":"x"} {}"#.to_owned(), "trailing"),
        (ACCOUNTS, r#"{"groups":[]}"#.to_owned(), "missing field"),
        (ACCOUNTS, r#"["x",null,true,[]]"#.to_owned(), "JSON object"),
        (ACCOUNTS, String::new(), "JSON object"),
        (ACCOUNTS, json!({"name": "anonymous"}).to_string(), "reserved"),
        (ACCOUNTS, json!({"name": "a\u{200b}"}).to_string(), ""),
        (ACCOUNTS, json!({"name": long}).to_string(), ""),
        (
            ACCOUNTS,
            json!({"name": "x", "fullName": long}).to_string(),
            "255",
        ),
        (
            ACCOUNTS,
            json!({"name": "x", "fullName": "a\nb"}).to_string(),
            "control character",
        ),
        (ACCOUNTS, json!({"name": "x", "groups": ["a\nb"]}).to_string(), ""),
        (DENIALS, json!({}).to_string(), "exactly one"),
        (
            DENIALS,
            json!({"principal": "a", "spkiSHA256": "b"}).to_string(),
            "exactly one",
        ),
        (DENIALS, json!({"serial": "1"}).to_string(), "exactly one"),
        (DENIALS, json!({"serial": "0", "issuer": "CN=x"}).to_string(), ""),
        (DENIALS, json!({"spkiSHA256": "b"}).to_string(), "64 hex digits"),
        (DENIALS, json!({"certificate": "b"}).to_string(), "certificate"),
        (
            DENIALS,
            json!({"principal": "a", "everyCertificateOfKey": true}).to_string(),
            "belongs to certificate",
        ),
        (DENIALS, json!({"principal": ""}).to_string(), "empty"),
        (
            DENIALS,
            json!({"principal": "a", "reason": long}).to_string(),
            "255",
        ),
        (
            "/api/v0/accounts/alice/publicKeys",
            json!({}).to_string(),
            "publicKey is missing",
        ),
        (
            "/api/v0/accounts/alice/publicKeys",
            json!({"publicKey": certificate}).to_string(),
            "no public key",
        ),
        (
            "/api/v0/accounts/alice/publicKeys",
            json!({"publicKey": other, "certificates": [{"cert": certificate}]}).to_string(),
            "not one of this public key",
        ),
        (
            "/api/v0/accounts/alice/publicKeys",
            json!({"publicKey": key, "certificates": [{"cert": certificate}, {"cert": certificate}]})
                .to_string(),
            "one is stored",
        ),
        (
            "/api/v0/accounts/alice/publicKeys",
            json!({"publicKey": key, "note": long}).to_string(),
            "255",
        ),
    ] {
        let refused = root.request("POST", path, &[JSON], body.as_bytes());
        assert_eq!(refused.status, 400, "{path} {body}: {}", refused.text());
        let message = refused.error()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(why), "{path} {body}: {message}");
    }
    send(
        &root,
        "POST",
        "/api/v0/accounts/alice/publicKeys",
        &json!({"publicKey": other}),
    )
    .refuses(409, "KEY_OF_OTHER_ACCOUNT");
    send(
        &root,
        "POST",
        "/api/v0/accounts/nobody/publicKeys",
        &json!({"publicKey": key}),
    )
    .refuses(404, "NO_SUCH_ACCOUNT");
    let large = vec![b' '; 70_000];
    root.request("POST", ACCOUNTS, &[JSON], &large)
        .refuses(413, "TOO_LARGE");
    root.request("POST", ACCOUNTS, &[], b"{}")
        .refuses(415, "UNSUPPORTED_MEDIA_TYPE");
    let other_method = root.request("PUT", ACCOUNTS, &[JSON], b"{}");
    assert_eq!(other_method.header("allow"), Some("GET, POST"));
    other_method.refuses(405, "NOT_ALLOWED");
    assert_eq!(records(&server), before);
}

#[test]
fn a_reload_is_done_when_it_is_answered_and_a_refused_one_says_why() {
    let server = builder().set("reload", json!({"watch": false})).start();
    let root = server.client("root");
    let first = answers(&send(&root, "POST", "/api/v0/admin/reload", &Value::Null), 200);
    assert_eq!(first["generation"], 2);
    server.configure(
        "policy",
        json!([{"name": "bob-only", "effect": "allow", "principals": ["root", "bob"], "actions": ["admin"]}]),
    );
    server.client("bob").get(DENIALS).refuses(403, "NOT_AUTHORIZED");
    answers(&send(&root, "POST", "/api/v0/admin/reload", &Value::Null), 200);
    server.client("bob").get(DENIALS).ok();
    server.configure("policy", json!([{"effect": "alow"}]));
    let refused = send(&root, "POST", "/api/v0/admin/reload", &Value::Null).refuses(409, "RELOAD_REFUSED");
    assert!(
        refused["message"].as_str().unwrap().contains("policy"),
        "{refused}"
    );
    server.client("bob").get(DENIALS).ok();
    let decisions = text(&server.path().join("audit.json"));
    assert!(decisions.contains(r#""action":"reload""#) && decisions.contains("generation 3 taken up"));
}

#[test]
fn a_renewal_can_be_asked_for_and_its_record_leads_to_who_asked() {
    let server = builder().set("refresh", json!({"interval": "1h"})).start();
    let root = server.client("root");
    Publisher::new(&root, GUN, GUN).publish_first(&root, GUN);
    let renew = "/api/v0/repositories/reg/team/app/renewals";
    let outcome = answers(&send(&root, "POST", renew, &Value::Null), 200);
    assert_eq!(outcome, json!({"gun": GUN, "outcome": "not_needed"}));
    root.request("POST", "/api/v0/repositories/reg/team/none/renewals", &[], &[])
        .refuses(404, "NO_SUCH_REPOSITORY");
}
