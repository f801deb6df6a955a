//! The interface beside the Notary contract, used with curl as people and scripts do.

use std::{fs, path::Path, process::Command};

use openssl::x509::X509;
use serde_json::{Value, json};
use tests::{ClientFiles, Finished, Stop, TestServer, process::wait_until, publisher::Publisher};

/// curl as in the documentation: with certificate and key, or without.
struct Curl<'a> {
    server: &'a TestServer,
    who: Option<ClientFiles>,
}

impl Curl<'_> {
    /// Status, headers (lower case, a line each) and body.
    fn get(&self, path: &str, more: &[&str]) -> (u16, String, String) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--http1.1", "--cacert"])
            .arg(self.server.pki().ca());
        if let Some(files) = &self.who {
            curl.arg("--cert")
                .arg(&files.certificate)
                .arg("--key")
                .arg(&files.key);
        }
        curl.args(more).arg(format!("{}{path}", self.server.url()));
        let output = Finished::run(&mut curl, "").ok().output();
        let (head, body) = output.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    fn json(&self, path: &str) -> Value {
        let (status, _, body) = self.get(path, &["-H", "accept:application/json"]);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn refused(&self, path: &str, status: u16, code: &str, more: &[&str]) -> Value {
        let (found, _, body) = self.get(path, more);
        let parsed: Value = serde_json::from_str(&body).unwrap();
        let error = parsed["errors"][0].clone();
        assert_eq!(
            (found, error["code"].as_str()),
            (status, Some(code)),
            "{path}: {body}"
        );
        assert!(body.len() <= 1024, "{body}");
        error
    }
}

fn as_user<'a>(server: &'a TestServer, name: &str) -> Curl<'a> {
    Curl {
        server,
        who: Some(server.pki().user(name)),
    }
}

fn as_nobody(server: &TestServer) -> Curl<'_> {
    Curl { server, who: None }
}

fn publish(server: &TestServer, gun: &str) {
    let client = server.client("alice");
    Publisher::new(&client, gun, gun).publish_first(&client, gun);
}

#[test]
fn the_ca_is_for_everybody_and_makes_the_server_trusted() {
    let server = TestServer::builder().requests_certificates().start();
    let nobody = as_nobody(&server);
    let (status, head, pem) = nobody.get("/ca", &[]);
    assert_eq!(
        (status, head.contains("content-type: application/x-pem-file")),
        (200, true),
        "{head}"
    );
    assert_eq!(pem.as_bytes(), fs::read(server.pki().ca()).unwrap());
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    assert_eq!(
        nobody
            .get("/ca", &["-H", &format!("If-None-Match: {}", etag.trim())])
            .0,
        304
    );
    let der = server
        .client_without_certificate()
        .get("/ca?format=der")
        .ok()
        .body;
    assert_eq!(X509::from_der(&der).unwrap().to_pem().unwrap(), pem.as_bytes());
    nobody.refused("/ca?format=xml", 400, "INVALID_PARAMETERS", &[]);
    let downloaded = server.path().join("downloaded.crt");
    fs::write(&downloaded, pem).unwrap();
    let mut verified = Command::new("curl");
    verified
        .args(["--silent", "--show-error", "--fail", "--cacert"])
        .arg(&downloaded);
    Finished::run(verified.arg(format!("{}/ca", server.url())), "").ok();
    // Whoever downloaded it without being able to verify the server can compare.
    let shown = Finished::run(
        Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(&downloaded),
        "",
    );
    let fingerprint = shown.ok().output().trim().split_once('=').unwrap().1.to_owned();
    assert!(server.log().contains(&fingerprint), "{fingerprint}");
}

#[test]
fn basic_info_says_who_the_caller_is_and_by_which_certificate() {
    let server = TestServer::builder().requests_certificates().start();
    let info = as_user(&server, "alice").json("/basic_info");
    let user = &info["User"];
    assert_eq!(info["AuthnMethod"], "TLSClientCertificate");
    assert_eq!(user["name"], "alice");
    for (key, expected) in [("isOrg", false), ("isActive", true), ("isImported", true)] {
        assert_eq!(user[key], expected, "{key}");
    }
    assert_eq!(user["fullName"], "");
    assert_eq!(user["id"].as_str().unwrap().len(), 36);
    assert_eq!(info["IsAdmin"], user["isAdmin"]);
    assert!(info["CurrentVersion"].is_string());
    let certificate = &info["ClientCertificate"];
    assert_eq!(certificate["subject"], "CN=alice");
    assert_eq!(certificate["issuer"], "CN=Test CA");
    assert_eq!(certificate["mappedBy"], "default");
    assert_eq!(certificate["revocation"]["status"], "unchecked");
    let pem = fs::read(server.path().join("pki/alice.pem")).unwrap();
    let digest = X509::from_pem(&pem)
        .unwrap()
        .digest(openssl::hash::MessageDigest::sha256())
        .unwrap();
    let expected = openssl::base64::encode_block(&digest)
        .replace('+', "-")
        .replace('/', "_");
    assert_eq!(certificate["x5t#S256"], expected.trim_end_matches('='));
    let error = as_nobody(&server).refused("/basic_info", 401, "NOT_AUTHENTICATED", &[]);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("The client is not authenticated")
    );
    assert_eq!(error["detail"]["reason"], "no_certificate");
}

#[test]
fn a_pkcs12_file_is_as_good_as_certificate_and_key() {
    let server = TestServer::builder().requests_certificates().start();
    let files = server.pki().user("alice");
    let bundle = server.path().join("alice.p12");
    let mut export = Command::new("openssl");
    export
        .args(["pkcs12", "-export", "-passout", "pass:secret", "-out"])
        .arg(&bundle);
    export
        .arg("-inkey")
        .arg(&files.key)
        .arg("-in")
        .arg(&files.certificate);
    Finished::run(&mut export, "").ok();
    let named = format!("{}:secret", bundle.display());
    let with = ["--cert-type", "P12", "--cert", named.as_str()];
    let (status, _, body) = as_nobody(&server).get("/basic_info", &with);
    assert_eq!(status, 200);
    assert!(body.contains("\"name\":\"alice\""), "{body}");
    assert_eq!(
        as_nobody(&server)
            .get("/api/v0/repositories?pageSize=10&count=false", &with)
            .0,
        200
    );
}

#[test]
fn repositories_are_listed_page_by_page() {
    let server = TestServer::builder().requests_certificates().start();
    let guns = [
        "app",
        "reg.example:5000/org/a",
        "reg.example:5000/org/b",
        "reg.example:5000/org/team/c",
        "x/y",
    ];
    for gun in guns {
        publish(&server, gun);
    }
    let alice = as_user(&server, "alice");
    let all = alice.json("/api/v0/repositories");
    let records = all["repositories"].as_array().unwrap();
    let listed: Vec<&str> = records
        .iter()
        .map(|record| record["gun"].as_str().unwrap())
        .collect();
    assert_eq!(listed, guns);
    for key in [
        "id",
        "namespace",
        "namespaceType",
        "name",
        "shortDescription",
        "visibility",
        "scanOnPush",
        "immutableTags",
        "enableManifestLists",
        "pulls",
        "pushes",
        "tagLimit",
    ] {
        assert!(!records[0][key].is_null(), "{key}");
    }
    assert_eq!(
        (&records[3]["namespace"], &records[3]["name"]),
        (&json!("org/team"), &json!("c"))
    );
    assert_eq!(
        (&records[0]["signed"], &records[0]["pushes"]),
        (&json!(true), &json!(1))
    );
    // Page after page, as clients do that were written for Docker Trusted Registry; also with a slash.
    let (mut seen, mut start) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v0/repositories/?pageSize=2&count=true&pageStart={start}");
        let (status, head, body) = alice.get(&path, &[]);
        assert_eq!(status, 200, "{body}");
        assert!(head.contains("x-resource-count: 5"), "{head}");
        let page: Value = serde_json::from_str(&body).unwrap();
        for record in page["repositories"].as_array().unwrap() {
            seen.push(record["gun"].as_str().unwrap().to_owned());
        }
        let Some(next) = server_header(&head, "x-next-page-start") else {
            break;
        };
        // Header names were put in lower case, so were values: take the ID from the whole list.
        let next = records
            .iter()
            .find(|r| r["id"].as_str().unwrap().to_lowercase() == next)
            .unwrap();
        start = next["id"].as_str().unwrap().to_owned();
    }
    assert_eq!(seen, guns);
    assert!(server_header(&alice.get("/api/v0/repositories", &[]).1, "x-resource-count").is_none());
    for wrong in [
        "pageSize=0",
        "pageSize=x",
        "pageSize=100000",
        "pageStart=%21",
        "count=maybe",
    ] {
        alice.refused(
            &format!("/api/v0/repositories?{wrong}"),
            400,
            "INVALID_PARAMETERS",
            &[],
        );
    }
    alice.refused("/api/v0/repositories", 405, "NOT_ALLOWED", &["-X", "POST"]);
    alice.refused(
        "/api/v0/repositories",
        406,
        "NOT_ACCEPTABLE",
        &["-H", "accept: text/html"],
    );
    as_nobody(&server).refused("/api/v0/repositories", 401, "NOT_AUTHENTICATED", &[]);
}

fn server_header(head: &str, name: &str) -> Option<String> {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")))?;
    Some(line.trim().to_owned()).filter(|value| !value.is_empty())
}

#[test]
fn a_repository_shows_who_signed_which_digest_and_until_when() {
    let server = TestServer::builder().requests_certificates().start();
    publish(&server, "reg.example/org/app");
    let alice = as_user(&server, "alice");
    for path in ["org/app", "reg.example/org/app"] {
        let one = alice.json(&format!("/api/v0/repositories/{path}"));
        assert_eq!(one["gun"], "reg.example/org/app");
        let tags = alice.json(&format!("/api/v0/repositories/{path}/tags"));
        let tag = &tags[0];
        assert_eq!(
            (&tag["name"], &tag["inNotary"], &tag["hashMismatch"]),
            (&json!("v1"), &json!(true), &json!(false))
        );
        assert_eq!(tag["signatures"][0]["role"], "targets");
        assert_eq!(
            tag["signatures"][0]["signers"][0]["keyId"]
                .as_str()
                .unwrap()
                .len(),
            64
        );
        assert!(tag["digest"].as_str().unwrap().starts_with("sha256:"));
        assert!(tag["signatures"][0]["expires"].as_str().unwrap() > "2026");
    }
    let namespace = alice.json("/api/v0/repositories/org");
    assert_eq!(namespace["repositories"].as_array().unwrap().len(), 1);
    alice.refused("/api/v0/repositories/org/other", 404, "NO_SUCH_REPOSITORY", &[]);
    alice.refused(
        "/api/v0/repositories/org/other/tags",
        404,
        "NO_SUCH_REPOSITORY",
        &[],
    );
    // One tag, which is there or is not.
    let one = alice.json("/api/v0/repositories/org/app/tags/v1");
    assert_eq!((&one["name"], &one["inNotary"]), (&json!("v1"), &json!(true)));
    let none = alice.refused("/api/v0/repositories/org/app/tags/v9", 404, "NO_SUCH_TAG", &[]);
    assert!(none["message"].as_str().unwrap().contains("v9"), "{none}");
    alice.refused(
        "/api/v0/repositories/org/none/tags/v1",
        404,
        "NO_SUCH_REPOSITORY",
        &[],
    );
    publish(&server, "elsewhere.example/org/tags/app");
    let named_so = alice.json("/api/v0/repositories/org/tags/app");
    assert_eq!(named_so["gun"], "elsewhere.example/org/tags/app");
    publish(&server, "elsewhere.example/org/app");
    let ambiguous = alice.refused("/api/v0/repositories/org/app", 400, "INVALID_PARAMETERS", &[]);
    assert!(
        ambiguous["detail"]
            .as_str()
            .unwrap()
            .contains("elsewhere.example/org/app"),
        "{ambiguous}"
    );
}

#[test]
fn only_what_the_policy_shows_is_listed() {
    let policy = json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
        {"effect": "allow", "principals": ["bob"], "actions": ["pull"], "guns": ["team/**"]},
        {"effect": "allow", "principals": ["carol"], "actions": ["list"], "guns": ["team/one"]}
    ]);
    let server = TestServer::builder()
        .requests_certificates()
        .set("policy", policy)
        .start();
    for gun in ["team/one", "team/two", "secret/app"] {
        publish(&server, gun);
    }
    for (name, count) in [("alice", 3), ("bob", 2), ("carol", 1), ("eve", 0)] {
        let (_, head, body) = as_user(&server, name).get("/api/v0/repositories?count=true", &[]);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body["repositories"].as_array().unwrap().len(),
            count,
            "{name}: {body}"
        );
        assert!(
            head.contains(&format!("x-resource-count: {count}")),
            "{name}: {head}"
        );
    }
    // What is not to be seen is not there.
    for path in ["secret/app", "secret/app/tags", "secret"] {
        as_user(&server, "bob").refused(
            &format!("/api/v0/repositories/{path}"),
            404,
            "NO_SUCH_REPOSITORY",
            &[],
        );
    }
    assert_eq!(as_user(&server, "bob").json("/basic_info")["IsAdmin"], false);
    assert_eq!(as_user(&server, "alice").json("/basic_info")["IsAdmin"], true);
    as_user(&server, "bob").refused("/api/v0/meta/settings", 403, "NOT_AUTHORIZED", &[]);
    let settings = as_user(&server, "alice").json("/api/v0/meta/settings");
    assert_eq!(settings["clientCertAuthEnabled"], true);
    assert_eq!(
        settings["webTLSClientCA"].as_str().unwrap().as_bytes(),
        fs::read(server.pki().ca()).unwrap()
    );
}

#[test]
fn health_reports_a_refused_reload() {
    let server = TestServer::builder().requests_certificates().start();
    let nobody = as_nobody(&server);
    let health = nobody.json("/health");
    assert_eq!((&health["error"], &health["healthy"]), (&json!(""), &json!(true)));
    assert_eq!(health["details"]["generation"], 1);
    fs::write(Path::new(server.path()).join("pki/ca.pem.bad"), "").unwrap();
    let config = server.path().join("server.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("pki/ca.pem", "pki/ca.pem.bad")).unwrap();
    tests::process::wait_until("the reload was refused", || {
        nobody.json("/health")["details"]["lastReload"]["outcome"] == "refused"
    });
    assert!(nobody.json("/health")["details"]["lastReload"]["reason"].is_null());
    let seen = as_user(&server, "alice").json("/health");
    let reason = seen["details"]["lastReload"]["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(reason.contains("ca.pem.bad"), "{reason}");
    assert_eq!(seen["details"]["generation"], 1);
    assert!(as_user(&server, "alice").json("/api/v0/admin/version")["version"].is_string());
    let description = nobody.json("/openapi.json");
    for path in ["/basic_info", "/ca", "/api/v0/repositories", "/health"] {
        assert!(description["paths"][path]["get"].is_object(), "{path}");
    }
}

#[test]
fn clients_whose_certificate_expires_soon_are_told_when() {
    use platform::pki::{Template, Usage};
    let server = TestServer::builder().requests_certificates().start();
    let mut template = Template::new("late", Usage::Client, 1);
    template.validity = (-95 * 3600, 5 * 3600);
    let late = Curl {
        server: &server,
        who: Some(server.pki().client("late", &template)),
    };
    let (_, head, _) = late.get("/v2/", &[]);
    assert!(
        server_header(&head, "x-client-cert-expires").is_some_and(|end| end.ends_with('z')),
        "{head}"
    );
    let (_, head, _) = as_user(&server, "alice").get("/v2/", &[]);
    assert_eq!(server_header(&head, "x-client-cert-expires"), None);
    for role in ["server", "client_ca"] {
        let name = format!("countersign_certificate_not_after_timestamp_seconds{{role=\"{role}\"}}");
        tests::process::wait_until("the figure is there", || {
            as_nobody(&server).get("/metrics", &[]).2.contains(&name)
        });
    }
}

#[test]
fn pulls_are_the_same_everywhere_and_outlive_the_server() {
    let mut server = TestServer::start();
    let gun = "reg.example:5000/org/a";
    publish(&server, gun);
    let alice = server.client("alice");
    for _ in 0..3 {
        alice.get(&format!("/v2/{gun}/_trust/tuf/timestamp.json")).ok();
    }
    for restarts in 0..2 {
        let curl = as_user(&server, "alice");
        let pulls = |path: &str| {
            let answer = curl.json(path);
            let one = answer["repositories"].as_array().map_or(&answer, |all| &all[0]);
            one["pulls"].as_u64().unwrap()
        };
        let everywhere = ["", "/org", "/org/a"].map(|path| format!("/api/v0/repositories{path}"));
        // Counts that are being stored are missing for a moment.
        wait_until("every pull is counted", || {
            everywhere.iter().all(|path| pulls(path) == 3)
        });
        if restarts == 0 {
            server.restart_server(Stop::Politely);
        }
    }
    alice.delete(&format!("/v2/{gun}/_trust/tuf/")).ok();
    publish(&server, gun);
    let again = as_user(&server, "alice").json("/api/v0/repositories/org/a");
    assert_eq!(again["pulls"], 0);
}
