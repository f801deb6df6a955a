//! Web pages in headless Chromium, as people use them: with their certificates in its store, and the real forms. What a browser does
//! is written in `scripts/browser`; what came of it is looked at here.

use std::{fs, path::PathBuf, process::Command};

use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    x509::{X509, X509ReqBuilder},
};
use platform::pki::{Issued, KeyKind, Template, Usage};
use serde_json::{Value, json};
use tests::{
    TestServer,
    browser::{PASSWORD, home, home_with, pkcs12, tour},
    native::{self, Repository},
    pki::ClientFiles,
    process::{Finished, built_programs},
    publisher::{Publisher, hashes, sign},
    revocation::authority,
    server::Builder,
};

/// How many repositories bob may see: more than one page of them.
const OPEN: usize = 53;
const GUN: &str = "reg.example/open/app00";
/// What [`Publisher::publish_first`] signs.
const TAG: &str = "v1";
/// How many other sites there are: on plain HTTP, on this server's host name, and there with HTTPS.
const SITES: usize = 3;
const SECRET: &str = "reg.example/secret/app";

fn builder() -> Builder {
    TestServer::builder().administered_by(
        "alice",
        &[
            json!({"name": "renewing", "effect": "allow", "principals": ["bob"], "actions": ["bundle"]}),
            json!({"name": "readers", "effect": "allow", "principals": ["bob", "alice2"], "actions": ["pull"],
                   "guns": ["reg.example/open/**"]}),
            json!({"name": "keep", "effect": "deny", "principals": ["*"], "actions": ["delete"], "guns": ["reg.example/open/**"],
                   "unless": ["group:admins", "alice"]}),
        ],
    )
}

/// A server that issues certificates to its clients, by a CA of its own.
fn issuing() -> TestServer {
    let prepared = builder()
        .set("client_cas", json!({"own": "ca/ca.pem"}))
        .set("issuing", json!({"ca": "ca", "days": 30, "groups": []}))
        .prepare();
    let ca = prepared.path().join("ca");
    let mut command = Command::new(built_programs().join("countersign-server"));
    command.args(["ca", "init", "--name", "Own CA", "--dir"]).arg(ca);
    Finished::run(&mut command, "").ok();
    prepared.start()
}

/// A request for a certificate of a new key.
fn request() -> (String, PKey<Private>) {
    let key = KeyKind::P256.generate().unwrap();
    let mut builder = X509ReqBuilder::new().unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (String::from_utf8(builder.build().to_pem().unwrap()).unwrap(), key)
}

/// Names that do harm in a page where they are not escaped.
const HOSTILE: &str = "reg.example/\u{202e}<script>alert(1)</script>&'x";
const HOSTILE_TAG: &str = "\"><img src=x onerror=alert(1)>\u{202e}\u{200b}";

fn publish_hostile(server: &TestServer, alice: &ClientFiles) {
    let alice = server.client_with(alice);
    let in_path: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let publisher = Publisher::new(&alice, &in_path, HOSTILE);
    let mut targets = Publisher::targets(1);
    targets["targets"] = json!({HOSTILE_TAG: hashes(b"x")});
    targets["targets"][HOSTILE_TAG]["custom"] = json!({"a": "<script>alert(2)</script>"});
    let targets = sign(&targets, &[&publisher.targets]);
    let files: [(&str, &[u8]); 2] = [("root", &publisher.root_file(1)), ("targets", &targets)];
    alice.publish(&in_path, &files).ok();
}

fn publish(server: &TestServer, alice: &ClientFiles, gun: &str) {
    let alice = server.client_with(alice);
    Publisher::new(&alice, gun, gun).publish_first(&alice, gun);
}

/// A certificate from a CA of another name than this server's.
fn of_another_ca(server: &TestServer) -> ClientFiles {
    let ca = Issued::self_signed(&Template::new("Elsewhere CA", Usage::Authority, 1)).unwrap();
    let issued = ca.issue(&Template::new("mallory", Usage::Client, 1)).unwrap();
    let file = |name: &str, pem: Vec<u8>| {
        let path = server.path().join(name);
        fs::write(&path, pem).unwrap();
        path
    };
    ClientFiles {
        ca: server.pki().ca(),
        certificate: file("elsewhere.pem", issued.certificate_pem().unwrap()),
        key: file("elsewhere-key.pem", issued.key_pem().unwrap()),
    }
}

/// What was changed, oldest first: action, and on whom or what.
fn recorded(server: &TestServer, alice: &ClientFiles) -> Vec<(String, String)> {
    let lines = server.client_with(alice).get("/audit.jsonl").ok().text();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut records: Vec<(String, String)> = lines
        .lines()
        .map(|line| {
            let record = serde_json::from_str::<Value>(line).unwrap()["record"].clone();
            assert_eq!(record["principal"], "alice", "{record}");
            (text(&record["action"]), text(&record["subject"]))
        })
        .filter(|(action, _)| action != "publish")
        .collect();
    records.reverse();
    records
}

#[test]
fn an_administrator_looks_at_everything_and_changes_who_has_access_and_back() {
    let server = builder().start();
    let alice = server.pki().user("alice");
    for number in 0..OPEN {
        publish(&server, &alice, &format!("reg.example/open/app{number:02}"));
    }
    publish(&server, &alice, SECRET);
    publish_hostile(&server, &alice);
    let employee = server.pki().user("employee-4711");
    let setup = json!({
        "home": home(&server, "alice", Some(&alice)),
        "gun": GUN, "tag": TAG,
        "count": OPEN + 2,
        "hostile": {"gun": HOSTILE, "tag": HOSTILE_TAG},
        "pem": fs::read_to_string(&employee.certificate).unwrap(),
    });
    tour(&server, "administrator", setup);
    let did: Vec<(String, String)> = recorded(&server, &alice);
    let did: Vec<(&str, &str)> = did
        .iter()
        .map(|(action, subject)| (&**action, &**subject))
        .collect();
    assert_eq!(
        did,
        [
            ("account.add", "carol"),
            ("account.key.add", "carol"),
            ("account.key.change", "carol"),
            ("account.disable", "carol"),
            ("account.enable", "carol"),
            ("account.key.remove", "carol"),
            ("account.remove", "carol"),
            ("deny.add", "principal dave"),
            ("deny.remove", "principal dave"),
            ("account.add", "early"),
            ("account.remove", "early"),
            ("account.add", "plain"),
            ("account.remove", "plain"),
        ]
    );
    // Everything is as it was.
    let client = server.client_with(&alice);
    assert_eq!(client.get("/api/v0/accounts").ok().json()["accounts"], json!([]));
    assert_eq!(client.get("/api/v0/denials").ok().json()["denials"], json!([]));
    server.command_line("audit verify").ok();
}

#[test]
fn a_repository_of_tuf_1_0_is_looked_at_in_every_page_scheme_and_width() {
    let server = builder().set("tuf", json!({"enabled": true})).start();
    let alice = server.pki().user("alice");
    let repository = Repository::new("reg.example/open/tuf", server.client_with(&alice));
    let (owner, other) = (native::Key::new(), native::Key::new());
    let (mut root, _) = repository.make(&owner, &[("some/file.txt", b"one"), ("other.bin", b"two")]);
    root.version = root.version.next().unwrap();
    root.root = native::all_of(&[&owner, &other]);
    repository
        .send("sign", &[&owner.sign(&root.draft().unwrap())])
        .ok();
    let setup = json!({
        "home": home(&server, "alice", Some(&alice)),
        "name": "reg.example/open/tuf",
        "target": "some/file.txt",
    });
    tour(&server, "tuf", setup);
}

#[test]
fn a_reader_sees_what_it_may_pull_and_is_offered_no_more() {
    let server = issuing();
    let alice = server.pki().user("alice");
    for gun in [GUN, "reg.example/open/app01", SECRET] {
        publish(&server, &alice, gun);
    }
    let bob = server.pki().user("bob");
    let (request, key) = request();
    let certificate = server.path().join("issued.pem");
    let path = |name: &str| server.path().join(name);
    let made = json!({"p12": path("made.p12"), "pem": path("made.pem"), "password": path("made.password")});
    let setup = json!({
        "home": home(&server, "bob", Some(&bob)),
        "gun": GUN,
        "tag": TAG,
        "secret": SECRET,
        "request": request,
        "issued": certificate,
        "made": made,
    });
    tour(&server, "reader", setup);
    arrives_with_what_its_browser_made(&server, &made);
    // What the page showed is a certificate of his, beside its key.
    let files = ClientFiles {
        ca: server.pki().ca(),
        certificate,
        key: server.path().join("issued.key"),
    };
    fs::write(&files.key, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let known = server.client_with(&files).get("/basic_info").ok().json();
    assert_eq!(known["User"]["name"], "bob", "{known}");
}

/// OpenSSL, NSS and Chromium read the file that a page made, and its certificate and key are good for programs too.
fn arrives_with_what_its_browser_made(server: &TestServer, made: &Value) {
    let file = |name: &str| PathBuf::from(made[name].as_str().unwrap());
    let password = fs::read_to_string(file("password")).unwrap();
    assert_eq!(password.len(), 23, "{password}");
    let openssl = |password: &str| {
        let mut command = Command::new("openssl");
        command
            .args(["pkcs12", "-info", "-noout", "-in"])
            .arg(file("p12"));
        Finished::run(command.args(["-passin", &format!("pass:{password}")]), "")
    };
    let told = openssl(&password).ok();
    for what in ["MAC: sha256", "PBES2, PBKDF2, AES-256-CBC", "Shrouded Keybag"] {
        assert!(told.stderr.contains(what), "{told}");
    }
    assert_ne!(openssl("password").code, 0);

    let pem = fs::read(file("pem")).unwrap();
    let certificate = X509::from_pem(&pem).unwrap();
    let files = ClientFiles {
        ca: server.pki().ca(),
        certificate: file("pem"),
        key: file("pem"),
    };
    let known = server.client_with(&files).get("/basic_info").ok().json();
    assert_eq!(known["User"]["name"], "bob", "{known}");
    let home = home_with(server, "renewed", Some((&file("p12"), &password)));
    let serial = certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap();
    let setup = json!({"home": home, "name": "bob", "serial": serial.to_string()});
    tour(server, "arrival", setup);
}

#[test]
fn who_comes_without_a_good_certificate_is_told_how_to_get_in() {
    let prepared = builder()
        .set("revocation.crl.files", json!(["list.pem"]))
        .prepare();
    let authority = authority(&prepared);
    let list = |name: &str| {
        let path = prepared.path().join(name);
        fs::write(&path, authority.list()).unwrap();
        path
    };
    let current = list("list.pem");
    let alice2 = prepared.pki().user("alice2");
    authority.revoke(&alice2);
    let next = list("next.pem");
    let server = prepared.start();
    let alice = server.pki().user("alice");
    publish(&server, &alice, GUN);
    let (expired, stranger) = (server.pki().expired(), server.pki().stranger("mallory"));
    let foreign = of_another_ca(&server);
    let setup = json!({
        "gun": GUN, "tag": TAG,
        "homes": {
            "alice": home(&server, "alice", Some(&alice)),
            "alice2": home(&server, "alice2", Some(&alice2)),
            "nobody": home(&server, "nobody", None),
            "expired": home(&server, "expired", Some(&expired)),
            "stranger": home(&server, "stranger", Some(&stranger)),
            "foreign": home(&server, "foreign", Some(&foreign)),
        },
        "files": {
            "expired": pkcs12("expired", &expired),
            "stranger": pkcs12("stranger", &stranger),
        },
        "password": PASSWORD,
        "list": {"current": current, "next": next},
    });
    tour(&server, "strangers", setup);
}

#[test]
fn a_page_of_another_site_changes_nothing_with_somebodys_certificate() {
    let server = issuing();
    let alice = server.pki().user("alice");
    publish(&server, &alice, GUN);
    let setup = json!({
        "home": home(&server, "alice", Some(&alice)),
        "gun": GUN, "tag": TAG,
        "certificate": server.path().join("pki/server.pem"),
        "key": server.path().join("pki/server-key.pem"),
    });
    let client = server.client_with(&alice);
    let key = || {
        client
            .get(&format!("/v2/{GUN}/_trust/tuf/snapshot.key"))
            .ok()
            .body
    };
    let before = key();
    tour(&server, "elsewhere", setup);
    // The one change is that of the server's own page.
    let did = recorded(&server, &alice);
    assert_eq!(did, [("deny.add".to_owned(), "principal victim".to_owned())]);
    assert_eq!(client.get("/api/v0/accounts").ok().json()["accounts"], json!([]));
    assert_eq!(key(), before);
    // The browser did come as alice, and that is why it was refused.
    let decisions = fs::read_to_string(server.path().join("audit.json")).unwrap();
    let decisions: Vec<Value> = decisions
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let count = |action: &str| {
        let of_page = |decision: &&Value| {
            decision["action"] == action
                && decision["user_agent"]
                    .as_str()
                    .is_some_and(|agent| agent.starts_with("Mozilla"))
        };
        let (refused, allowed): (Vec<&Value>, Vec<&Value>) = decisions
            .iter()
            .filter(of_page)
            .partition(|decision| decision["decision"] == "denied");
        for decision in &refused {
            let reason = decision["reason"].as_str().unwrap();
            assert!(reason.contains("for a page of another site"), "{decision}");
            assert_eq!(decision["principal"], "alice", "{decision}");
        }
        (refused.len(), allowed.len())
    };
    assert_eq!(count("change-access"), (2 * SITES, 1));
    assert_eq!(count("rotate-key"), (2 * SITES, 0));
    assert_eq!(count("read-key"), (SITES, 0));
    assert_eq!(count("change-denials"), (SITES, 0));
    assert_eq!(count("reload"), (2 * SITES, 0));
    assert_eq!(count("bundle"), (SITES, 0));
}
