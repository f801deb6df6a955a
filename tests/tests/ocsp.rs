//! OCSP with openssl's responder: its answers are used, the configuration decides when there is none, and no
//! certificate can make the server connect to a forbidden address.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{
    Authority, ClientFiles, TestServer,
    authority::{CLIENT, Responder},
    server::{Builder, Prepared},
    web::{Said, Web},
};

/// A responder has two seconds; the rest is for a slow machine.
const SLOW: Duration = Duration::from_secs(8);

fn asking(networks: &[&str]) -> Builder {
    TestServer::builder()
        .requests_certificates()
        .set("revocation.ocsp.check", json!("leaf"))
        .set("revocation.ocsp.networks", json!(networks))
}

fn authority(prepared: &Prepared) -> Authority {
    let pki = prepared.pki();
    Authority::new(pki.authority(), &prepared.path().join("authority"), &pki.ca())
}

/// A user whose certificate names the responder at `url`.
fn naming(authority: &Authority, name: &str, url: &str) -> ClientFiles {
    let extensions = format!("{CLIENT}authorityInfoAccess=OCSP;URI:{url}\n");
    let files = authority.issue(name, &format!("/CN={name}"), &extensions, &[]);
    authority.register(&files);
    files
}

fn refusal(server: &TestServer, files: &ClientFiles) -> Value {
    server.client_with(files).get("/v2/").refuses(401, "UNAUTHORIZED")
}

#[track_caller]
fn unavailable(server: &TestServer, files: &ClientFiles, why: &str) {
    let error = refusal(server, files);
    assert_eq!(error["detail"]["reason"], "ocsp_unavailable", "{error}");
    assert!(
        error["message"].as_str().unwrap().contains(why),
        "no {why:?} in {error}"
    );
}

#[test]
fn good_is_let_in_revoked_and_unknown_are_not() {
    let prepared = asking(&["127.0.0.0/8", "::1"]).prepare();
    let authority = authority(&prepared);
    let revoked_url = tests::process::free_port();
    let [good, revoked] =
        ["good", "revoked"].map(|name| naming(&authority, name, &format!("http://localhost:{revoked_url}/")));
    authority.revoke(&revoked);
    let unknown = authority.issue(
        "unknown",
        "/CN=unknown",
        &format!("{CLIENT}authorityInfoAccess=OCSP;URI:http://localhost:{revoked_url}/\n"),
        &[],
    );
    let responder = authority.responder_at(revoked_url, None);
    let server = prepared.start();
    server.client_with(&good).get("/v2/").ok();
    assert_eq!(
        refusal(&server, &revoked)["detail"]["reason"],
        "certificate_revoked"
    );
    unavailable(&server, &unknown, "does not know the certificate");
    unavailable(&server, &server.pki().user("plain"), "names no responder");
    drop(responder);
}

#[test]
fn an_answer_is_asked_for_once_and_used_until_it_runs_out() {
    const AT_ONCE: usize = 50;
    let prepared = asking(&["127.0.0.0/8"]).prepare();
    let authority = authority(&prepared);
    let responder = authority.responder(None);
    let target = responder.port();
    // In between, to hold back the answer until everybody has asked.
    let between = Web::start(move |asked| {
        std::thread::sleep(Duration::from_millis(500));
        Said::ok(ask(target, &asked.body))
    });
    let alice = naming(&authority, "alice", &between.url("/"));
    drop(responder);
    let responder = authority.responder_at(target, None);
    let server = prepared.start();
    let client = server.client_with(&alice);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(|| client.get("/v2/").status))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, vec![200; AT_ONCE]);
    assert_eq!(between.asked(), 1);
    drop(responder);
    client.get("/v2/").ok();
    assert_eq!(between.asked(), 1, "the answer is good for a day");
}

/// Asks the responder at `port` itself.
fn ask(port: u16, question: &[u8]) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut tcp = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "POST / HTTP/1.0\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        question.len()
    );
    tcp.write_all(&[head.as_bytes(), question].concat()).unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    answer.split_off(end + 4)
}

#[test]
fn without_an_answer_reads_and_writes_fail_as_configured_and_soon() {
    let silent = Web::start(|_| {
        std::thread::sleep(Duration::from_secs(60));
        Said::ok(Vec::new())
    });
    let away = format!("http://127.0.0.1:{}/", tests::process::free_port());
    for (url, why) in [
        (silent.url("/"), "no answer within 2 s"),
        (away, "Connection refused"),
    ] {
        let prepared = asking(&["127.0.0.1"])
            .set("revocation.ocsp.responder", json!(url))
            .set("revocation.fail.reads", json!("open"))
            .prepare();
        let server = prepared.start();
        let client = server.client("alice");
        let started = Instant::now();
        client.get("/v2/").ok();
        let error = client.delete("/v2/app/_trust/tuf/").refuses(401, "UNAUTHORIZED");
        assert_eq!(error["detail"]["reason"], "ocsp_unavailable", "{error}");
        assert!(
            error["message"].as_str().unwrap().contains(why),
            "no {why:?} in {error}"
        );
        assert!(started.elapsed() < SLOW, "{:?}", started.elapsed());
        // Nobody else waits: the acceptor is not held up, nor are those without a certificate.
        let somebody = server.client_with(&server.pki().user("bob"));
        std::thread::scope(|scope| {
            scope.spawn(|| somebody.get("/v2/").ok());
            let started = Instant::now();
            server.client_without_certificate().get("/metrics").ok();
            assert!(
                started.elapsed() < Duration::from_secs(2),
                "{:?}",
                started.elapsed()
            );
        });
    }
}

#[test]
fn only_the_issuer_or_whom_it_appointed_may_answer() {
    let prepared = asking(&["127.0.0.0/8"]).prepare();
    let authority = authority(&prepared);
    let appointed = authority.issue(
        "appointed",
        "/CN=responder",
        "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=OCSPSigning\n",
        &[],
    );
    let client = authority.issue("client", "/CN=client", CLIENT, &[]);
    let other = platform::pki::Issued::self_signed(&platform::pki::Template::new(
        "Test CA",
        platform::pki::Usage::Authority,
        1,
    ));
    let other = Authority::new(
        &other.unwrap(),
        &prepared.path().join("other"),
        &prepared.pki().ca(),
    );
    let self_appointed = other.issue(
        "appointed",
        "/CN=responder",
        "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=OCSPSigning\n",
        &[],
    );
    let ports = [(); 3].map(|()| tests::process::free_port());
    let [by_appointed, by_client, by_other] = ports.map(|port| {
        naming(
            &authority,
            &format!("asked-{port}"),
            &format!("http://127.0.0.1:{port}/"),
        )
    });
    let responders = [appointed, client, self_appointed];
    let running: Vec<Responder> = ports
        .iter()
        .zip(&responders)
        .map(|(port, signer)| authority.responder_at(*port, Some(signer)))
        .collect();
    let server = prepared.start();
    server.client_with(&by_appointed).get("/v2/").ok();
    for files in [&by_client, &by_other] {
        unavailable(&server, files, "signature is not the issuer's");
    }
    drop(running);
}

#[test]
fn an_answer_about_somebody_else_or_from_the_past_is_no_answer() {
    let prepared = asking(&["127.0.0.0/8"]).prepare();
    let authority = authority(&prepared);
    let port = tests::process::free_port();
    let kept: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let replay = kept.clone();
    let web = Web::start(move |asked| match asked.path.as_str() {
        // The first answer for everybody.
        "/replayed" => {
            let mut kept = replay.lock().unwrap();
            Said::ok(kept.get_or_insert_with(|| ask(port, &asked.body)).clone())
        }
        "/rubbish" => Said::ok(b"nothing".to_vec()),
        "/endless" => Said::ok(vec![b'x'; 1024 * 1024]),
        _ => Said {
            status: "500 Internal Server Error",
            headers: Vec::new(),
            body: Vec::new(),
        },
    });
    let named = |name: &str, path: &str| naming(&authority, name, &web.url(path));
    let (first, second) = (named("first", "/replayed"), named("second", "/replayed"));
    let (rubbish, endless, failing) = (
        named("a", "/rubbish"),
        named("b", "/endless"),
        named("c", "/failing"),
    );
    let responder = authority.responder_at(port, None);
    let server = prepared.start();
    server.client_with(&first).get("/v2/").ok();
    unavailable(&server, &second, "the answer is about another certificate");
    unavailable(&server, &rubbish, "the answer cannot be used");
    unavailable(&server, &endless, "larger than");
    unavailable(&server, &failing, "500");
    drop(responder);
}

#[test]
fn certificates_do_not_make_the_server_connect_to_where_it_must_not() {
    let prepared = asking(&["192.0.2.0/24"]).prepare();
    let authority = authority(&prepared);
    let inner = Web::start(|_| Said::ok(Vec::new()));
    let port = inner.port();
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
    ];
    let victims: Vec<ClientFiles> = urls
        .iter()
        .enumerate()
        .map(|(number, url)| naming(&authority, &format!("n{number}"), url))
        .collect();
    let file = naming(&authority, "file", "file:///etc/passwd");
    let server = prepared.start();
    for (files, url) in victims.iter().zip(&urls) {
        let error = refusal(&server, files);
        assert_eq!(error["detail"]["reason"], "ocsp_unavailable", "{url}: {error}");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("revocation.ocsp.networks"),
            "{url}: {error}"
        );
    }
    unavailable(&server, &file, "neither http nor https");
    assert_eq!(inner.asked(), 0);
}

#[test]
fn a_redirect_is_not_followed() {
    let prepared = asking(&["127.0.0.1"]).prepare();
    let authority = authority(&prepared);
    let inner = Web::start(|_| Said::ok(Vec::new()));
    let target = inner.url("/");
    let redirecting = Web::start(move |_| Said {
        status: "307 Temporary Redirect",
        headers: vec![format!("Location: {target}")],
        body: Vec::new(),
    });
    let files = naming(&authority, "sent-on", &redirecting.url("/"));
    let server = prepared.start();
    unavailable(&server, &files, "307");
    assert_eq!((redirecting.asked(), inner.asked()), (1, 0));
}

#[test]
fn a_reload_forgets_what_responders_said() {
    let prepared = asking(&["127.0.0.0/8"]).prepare();
    let authority = authority(&prepared);
    let port = tests::process::free_port();
    let alice = naming(&authority, "alice", &format!("http://localhost:{port}/"));
    let responder = authority.responder_at(port, None);
    let server = prepared.start();
    let mut open = server.client_with(&alice).open();
    open.get("/v2/").ok();
    drop(responder);
    authority.revoke(&alice);
    let responder = authority.responder_at(port, None);
    open.get("/v2/").ok();
    server.reload(&server.client_without_certificate());
    let refused = open.get("/v2/");
    assert_eq!(refused.error()["detail"]["reason"], "certificate_revoked");
    drop(responder);
}

/// What an authority answers to a question without a nonce, made so many days ago, with openssl's options.
fn answer_of(authority: &Authority, question: &[u8], days_ago: u32, more: &[&str]) -> Vec<u8> {
    let directory = authority.certificate().parent().unwrap().to_path_buf();
    std::fs::write(directory.join("asked.der"), question).unwrap();
    let mut command = std::process::Command::new(tests::process::installed_program("openssl", "openssl"));
    command
        .current_dir(&directory)
        .env("LD_PRELOAD", tests::process::fake_time_library())
        .env("FAKETIME", format!("-{days_ago}d"))
        .args([
            "ocsp",
            "-index",
            "index.txt",
            "-CA",
            "ca.pem",
            "-rsigner",
            "ca.pem",
            "-rkey",
            "ca-key.pem",
        ])
        .args(["-reqin", "asked.der", "-respout", "answer.der"])
        .args(more);
    tests::Finished::run(&mut command, "").ok();
    std::fs::read(directory.join("answer.der")).unwrap()
}

/// The question about a certificate, with a nonce or without.
fn question(authority: &Authority, files: &ClientFiles, nonce: bool) -> Vec<u8> {
    let certificate = files.certificate.display().to_string();
    let with = if nonce { "-nonce" } else { "-no_nonce" };
    authority.openssl(&[
        "ocsp",
        with,
        "-issuer",
        "ca.pem",
        "-cert",
        &certificate,
        "-reqout",
        "question.der",
    ]);
    std::fs::read(authority.certificate().with_file_name("question.der")).unwrap()
}

#[test]
fn an_answer_without_an_end_is_too_old_some_time_after_it_was_made() {
    for (days_ago, ends, max_age, taken) in [
        (0, false, None, true),
        (2, false, None, false),
        (2, false, Some("3d"), true),
        (4, false, Some("3d"), false),
        // What says itself when it runs out is bound by that.
        (2, true, None, true),
    ] {
        let web_answer: Arc<Mutex<Vec<u8>>> = Arc::default();
        let said = web_answer.clone();
        let web = Web::start(move |_| Said::ok(said.lock().unwrap().clone()));
        let prepared = asking(&["127.0.0.0/8"])
            .set("revocation.ocsp.max_age", json!(max_age))
            .prepare();
        let authority = authority(&prepared);
        let alice = naming(&authority, "alice", &web.url("/"));
        let question = question(&authority, &alice, false);
        let ends = if ends { &["-ndays", "7"][..] } else { &[] };
        *web_answer.lock().unwrap() = answer_of(&authority, &question, days_ago, ends);
        let server = prepared.start();
        if taken {
            server.client_with(&alice).get("/v2/").ok();
        } else {
            unavailable(&server, &alice, "older than revocation.ocsp.max_age");
        }
    }
}

#[test]
fn an_answer_with_the_nonce_of_another_question_is_refused() {
    for (nonce, [same, other, missing]) in [
        ("ask", [true, false, true]),
        ("require", [true, false, false]),
        ("off", [true, true, true]),
    ] {
        let port: Arc<Mutex<u16>> = Arc::default();
        let canned: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (kept, target) = (canned.clone(), port.clone());
        let web = Web::start(move |asked| match asked.path.as_str() {
            "/same" => Said::ok(ask(*target.lock().unwrap(), &asked.body)),
            "/other" => Said::ok(kept.lock().unwrap()[0].clone()),
            _ => Said::ok(kept.lock().unwrap()[1].clone()),
        });
        let prepared = asking(&["127.0.0.0/8"])
            .set("revocation.ocsp.nonce", json!(nonce))
            .prepare();
        let authority = authority(&prepared);
        let files =
            ["same", "other", "missing"].map(|name| naming(&authority, name, &web.url(&format!("/{name}"))));
        for (files, with) in [(&files[1], true), (&files[2], false)] {
            let asked = question(&authority, files, with);
            let answer = answer_of(&authority, &asked, 0, &["-ndays", "1"]);
            canned.lock().unwrap().push(answer);
        }
        let responder = authority.responder(None);
        *port.lock().unwrap() = responder.port();
        let server = prepared.start();
        for (files, (taken, why)) in files.iter().zip([
            (same, ""),
            (other, "its nonce is not the one that was sent"),
            (missing, "does not have the nonce that was sent"),
        ]) {
            if taken {
                server.client_with(files).get("/v2/").ok();
            } else {
                unavailable(&server, files, why);
            }
        }
        drop(responder);
    }
}
