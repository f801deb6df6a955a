//! The server reloads changed files by itself, completely or not at all, and clients do not notice.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
};

use openssl::x509::X509;
use serde_json::json;
use tests::{TestServer, operator::serial, process::wait_until};

/// A new pair for the server, in files of another name: the contents of certificate and key.
fn new_pair(server: &TestServer) -> (Vec<u8>, Vec<u8>) {
    let files = server.pki().daemon("renewed", &[], &[]);
    (fs::read(files.certificate).unwrap(), fs::read(files.key).unwrap())
}

#[test]
fn a_certificate_and_its_key_written_one_after_the_other_are_reloaded_together() {
    let server = TestServer::start();
    let before = server.shown_serial();
    let mut open = server.client("alice").open();
    open.get("/v2/").ok();
    let (certificate, key) = new_pair(&server);
    fs::write(server.path().join("pki/server.pem"), &certificate).unwrap();
    fs::write(server.path().join("pki/server-key.pem"), &key).unwrap();
    wait_until("the new certificate is shown", || server.shown_serial() != before);
    assert_eq!(
        server.shown_serial(),
        serial(&X509::from_pem(&certificate).unwrap())
    );
    assert_eq!(server.reloads(&server.client("alice")), (1.0, 0.0));
    assert!(server.log().contains("a file changed"));
    open.get("/v2/").ok();
}

#[test]
fn a_certificate_whose_key_comes_late_is_refused_until_it_comes() {
    let server = TestServer::start();
    let before = server.shown_serial();
    let (certificate, key) = new_pair(&server);
    fs::write(server.path().join("pki/server.pem"), certificate).unwrap();
    let client = server.client("alice");
    wait_until("the half of it is refused", || server.reloads(&client).1 == 1.0);
    assert_eq!(server.shown_serial(), before);
    assert!(
        server
            .log()
            .contains("the reload was refused; everything stays as it was")
    );
    fs::write(server.path().join("pki/server-key.pem"), key).unwrap();
    wait_until("the whole is reloaded", || server.shown_serial() != before);
    assert_eq!(server.reloads(&client), (1.0, 1.0));
}

#[test]
fn a_file_that_a_refused_configuration_lacked_is_loaded_when_it_appears() {
    let server = TestServer::start();
    let bob = server.pki().stranger("bob");
    let client = server.client("alice");
    let sets = json!({"more": "pki/more.pem"});
    server.configure("client_cas", sets);
    wait_until("the configuration is refused", || {
        server.reloads(&client).1 == 1.0
    });
    assert!(server.log().contains("more.pem"), "{}", server.log());
    client.get("/v2/").ok();
    fs::copy(server.pki().stranger_ca(), server.path().join("pki/more.pem")).unwrap();
    let bobs = server.client_with(&bob);
    wait_until("its clients get in", || {
        bobs.try_request("GET", "/v2/", &[], &[])
            .is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn directories_that_are_swapped_by_a_link_are_noticed() {
    let prepared = TestServer::builder()
        .set("server.client_ca_file", json!("mounted/data/ca.pem"))
        .prepare();
    // As Kubernetes mounts secrets: a link to a directory that is replaced whole.
    let mounted = prepared.path().join("mounted");
    let stranger = prepared.pki().stranger("bob");
    for (version, ca) in [("v1", prepared.pki().ca()), ("v2", prepared.pki().stranger_ca())] {
        fs::create_dir_all(mounted.join(version)).unwrap();
        fs::copy(ca, mounted.join(version).join("ca.pem")).unwrap();
    }
    symlink("v1", mounted.join("data")).unwrap();
    let server = prepared.start();
    let mut alice = server.client("alice").open();
    alice.get("/v2/").ok();
    symlink("v2", mounted.join("new")).unwrap();
    fs::rename(mounted.join("new"), mounted.join("data")).unwrap();
    wait_until("the other CA is reloaded", || alice.get("/v2/").status == 401);
    server.client_with(&stranger).get("/v2/").ok();
}

#[test]
fn files_are_reloaded_at_intervals_without_being_watched() {
    let server = TestServer::builder()
        .set("reload", json!({"watch": false, "every": "2s"}))
        .start();
    let before = server.shown_serial();
    let (certificate, key) = new_pair(&server);
    fs::write(server.path().join("pki/server.pem"), certificate).unwrap();
    fs::write(server.path().join("pki/server-key.pem"), key).unwrap();
    wait_until("the new certificate is shown", || server.shown_serial() != before);
    assert!(server.log().contains("reload.every"));
    assert!(!server.log().contains("a file changed"));
}

#[test]
fn a_refused_reload_changes_nothing_and_says_why() {
    let server = TestServer::builder().set("reload.watch", json!(false)).start();
    let client = server.client("alice");
    let config = server.path().join("server.json");
    let good = fs::read(&config).unwrap();
    let key = server.path().join("pki/server-key.pem");
    let kept = fs::read(&key).unwrap();
    let mut refused = 0.0;
    let mut try_it = |expected: &str| {
        server.hang_up();
        refused += 1.0;
        wait_until(expected, || server.reloads(&client) == (0.0, refused));
        assert!(server.log().contains(expected), "{expected}: {}", server.log());
        client.get("/v2/").ok();
        fs::write(&config, &good).unwrap();
        fs::write(&key, &kept).unwrap();
    };
    fs::write(&config, "{").unwrap();
    try_it("server.json");
    server.configure("server.http_addr", json!("127.0.0.1:1"));
    try_it("restart the server to change listeners");
    server.configure("server.client_ca_file", json!("pki/nothing.pem"));
    try_it("nothing.pem");
    server.configure("policy", json!([{"effect": "perhaps"}]));
    try_it("policy[0]");
    server.configure("revocation", json!({"deny_list": "nobody.json"}));
    try_it("nobody.json");
    fs::remove_file(&key).unwrap();
    try_it("server-key.pem");
    fs::write(&key, fs::read(server.pki().user("alice").key).unwrap()).unwrap();
    try_it("server.pem");
    server.reload(&client);
    client.get("/v2/").ok();
}

#[test]
fn no_request_fails_while_generations_come_and_go() {
    const RELOADS: usize = 20;
    let server = TestServer::start();
    let client = server.client("alice");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let kept_open = scope.spawn(|| {
            let mut open = server.client("bob").open();
            let mut answered = 0;
            while !ended.load(Ordering::Relaxed) {
                open.get("/v2/").ok();
                answered += 1;
            }
            answered
        });
        let anew = scope.spawn(|| {
            let carol = server.client("carol");
            let mut answered = 0;
            while !ended.load(Ordering::Relaxed) {
                carol.get("/v2/").ok();
                answered += 1;
            }
            answered
        });
        for _ in 0..RELOADS {
            server.reload(&client);
        }
        ended.store(true, Ordering::Relaxed);
        assert!(kept_open.join().unwrap() > RELOADS && anew.join().unwrap() > RELOADS);
    });
}
