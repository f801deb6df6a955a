//! The PROXY protocol: it is accepted from trusted load balancers only.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    Client, Response, TestServer,
    http::{connection_from, request_bytes},
    process::{Finished, built_programs, free_port, wait_until},
};

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The server waits five seconds for a header; the rest is for a slow machine.
const LIMIT: Duration = Duration::from_secs(12);

fn start() -> TestServer {
    TestServer::builder()
        .set("server.proxy_protocol", json!(true))
        .set("proxies.trusted", json!([PROXY.to_string()]))
        .start()
}

/// A header of version 2: command, family, and what follows.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// From 203.0.113.9 port 4242 to 192.0.2.1 port 443.
fn v2_ipv4(more: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 192, 0, 2, 1, 0x10, 0x92, 1, 0xbb];
    v2(0x21, 0x11, &[&addresses, more].concat())
}

/// Makes a request as `client` from `from`, after `header`.
fn ask(client: &Client, port: u16, from: Ipv4Addr, header: &[u8]) -> io::Result<Response> {
    let mut tcp = connection_from(from, port)?;
    tcp.write_all(header)?;
    let stream = client.connect_over(tcp)?;
    Client::raw_over(stream, &request_bytes("GET", "/v2/", &[], &[]))
}

/// The last address of a client that was answered, as the server logged it.
fn logged(server: &TestServer) -> String {
    let log = server.log();
    let line = log
        .lines()
        .rfind(|line| line.contains("\"answered\"") && line.contains("/v2/"));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    line["peer.address"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_clients_address_is_that_of_the_proxy_header() {
    let server = start();
    let alice = server.client("alice");
    let tlv = [0x04, 0x00, 0x03, b'a', b'b', b'c'];
    let v6 = [&[0x20; 32][..], &[0x10, 0x92, 1, 0xbb]].concat();
    for (header, address) in [
        (
            b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n".to_vec(),
            "203.0.113.7:56324",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n".to_vec(),
            "[2001:db8::7]:56324",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.2:"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), "127.0.0.2:"),
        (v2_ipv4(&[]), "203.0.113.9:4242"),
        (v2_ipv4(&tlv), "203.0.113.9:4242"),
        (
            v2(0x21, 0x21, &v6),
            "[2020:2020:2020:2020:2020:2020:2020:2020]:4242",
        ),
        (v2(0x20, 0x00, &[]), "127.0.0.2:"),
        (
            v2(0x20, 0x11, &[203, 0, 113, 9, 192, 0, 2, 1, 0, 1, 0, 2]),
            "127.0.0.2:",
        ),
    ] {
        let shown = String::from_utf8_lossy(&header).into_owned();
        let answer =
            ask(&alice, server.port(), PROXY, &header).unwrap_or_else(|cause| panic!("{shown:?}: {cause}"));
        answer.ok();
        wait_until(&format!("{address} is logged for {shown:?}"), || {
            logged(&server).starts_with(address)
        });
    }
}

#[test]
fn proxy_headers_from_other_addresses_are_refused() {
    let server = start();
    let alice = server.client("alice");
    let header = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n";
    for from in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 3)] {
        assert!(ask(&alice, server.port(), from, header).is_err());
        assert!(ask(&alice, server.port(), from, &v2_ipv4(&[])).is_err());
        assert!(
            ask(&alice, server.port(), from, b"").is_err(),
            "nor come without the proxy"
        );
    }
    assert!(!server.log().contains("203.0.113.7"));
    ask(&alice, server.port(), PROXY, header).unwrap().ok();
    // Where it is not configured, it is no TLS.
    let plain = TestServer::builder()
        .set("proxies.trusted", json!([PROXY.to_string()]))
        .start();
    assert!(ask(&plain.client("alice"), plain.port(), PROXY, &v2_ipv4(&[])).is_err());
    plain.client("alice").get("/v2/").ok();
}

/// How long the server keeps a connection, given that it closes it.
fn closed_after(mut tcp: TcpStream) -> Duration {
    let started = Instant::now();
    tcp.set_read_timeout(Some(LIMIT)).unwrap();
    let mut rest = Vec::new();
    let outcome = tcp.read_to_end(&mut rest);
    let closed =
        outcome.is_ok() || outcome.is_err_and(|cause| cause.kind() == io::ErrorKind::ConnectionReset);
    assert!(closed, "it is still open");
    started.elapsed()
}

#[test]
fn headers_that_are_missing_malformed_or_slow_end_the_connection_and_hold_up_nobody() {
    let server = start();
    let good = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n";
    let alice = server.client("alice");
    let long = [b"PROXY TCP4 ", &[b'1'; 200][..]].concat();
    let huge = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    for malformed in [
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaa".to_vec(),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.999 192.0.2.1 56324 443\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::1 192.0.2.1 56324 443\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 99999 443\r\n".to_vec(),
        b"proxy TCP4 203.0.113.7 192.0.2.1 56324 443\r\n".to_vec(),
        long,
        huge,
        v2(0x31, 0x11, &[0; 12]),
        v2(0x2f, 0x11, &[0; 12]),
        v2(0x21, 0x11, &[0; 4]),
        v2(0x21, 0x77, &[0; 12]),
    ] {
        let mut tcp = connection_from(PROXY, server.port()).unwrap();
        tcp.write_all(&malformed).unwrap();
        let shown = String::from_utf8_lossy(&malformed).into_owned();
        let waited = closed_after(tcp);
        assert!(waited < Duration::from_secs(5), "{shown:?}: {waited:?}");
        ask(&alice, server.port(), PROXY, good).unwrap().ok();
    }
    // Half a header, and then nothing, or a byte now and then.
    let halves: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut tcp = connection_from(PROXY, server.port()).unwrap();
            tcp.write_all(&good[..number % 30]).unwrap();
            tcp
        })
        .collect();
    ask(&alice, server.port(), PROXY, good).unwrap().ok();
    for tcp in halves {
        assert!(closed_after(tcp) < LIMIT);
    }
    assert!(
        server
            .log()
            .contains("this listener expects a PROXY protocol header")
    );
}

#[test]
fn the_clients_address_counts_for_the_limit_of_handshakes() {
    let server = TestServer::builder()
        .set("server.proxy_protocol", json!(true))
        .set("proxies.trusted", json!([PROXY.to_string()]))
        .set("limits.handshakes_per_address", json!(4))
        .start();
    let from = |address: &str| format!("PROXY TCP4 {address} 192.0.2.1 56324 443\r\n").into_bytes();
    let half_open: Vec<TcpStream> = (0..100)
        .map(|number| {
            let mut tcp = connection_from(PROXY, server.port()).unwrap();
            tcp.write_all(&from(if number < 50 { "203.0.113.1" } else { "203.0.113.2" }))
                .unwrap();
            tcp
        })
        .collect();
    let displaced = || {
        let client = server.client("alice");
        let tcp = connection_from(PROXY, server.port()).unwrap();
        (&tcp).write_all(&from("203.0.113.3")).unwrap();
        let stream = client.connect_over(tcp).unwrap();
        let figures = Client::raw_over(stream, &request_bytes("GET", "/metrics", &[], &[]))
            .unwrap()
            .text();
        let name = "countersign_tls_handshakes_displaced_total ";
        figures
            .lines()
            .find_map(|line| line.strip_prefix(name)?.parse().ok())
            .unwrap_or(0)
    };
    wait_until("all but four of each have made room", || displaced() == 92);
    drop(half_open);
}

/// Only the PROXY header comes from the proxy. The bytes after it, HTTP headers too, come from the client.
#[test]
fn behind_the_proxy_protocol_certificates_in_headers_are_ignored() {
    let reverse = Ipv4Addr::new(127, 0, 0, 3);
    let port = free_port();
    let server = TestServer::builder()
        .set("server.proxy_protocol", json!(true))
        .set(
            "proxies",
            json!({"load_balancers": [PROXY.to_string()], "trusted": [reverse.to_string()],
                   "client_certificate": "nginx"}),
        )
        .set("listeners", json!([{"address": format!("127.0.0.1:{port}")}]))
        .set("tls.client_auth", json!("request"))
        .set(
            "policy",
            json!([{"effect": "allow", "principals": ["alice"], "actions": ["*"]}]),
        )
        .start();
    let alice = std::fs::read(server.pki().user("alice").certificate).unwrap();
    let alice: String = alice.iter().map(|byte| format!("%{byte:02X}")).collect();
    let forged = [
        ("ssl-client-verify", "SUCCESS"),
        ("ssl-client-cert", alice.as_str()),
    ];
    let root = |client: &Client, port: u16, from: Ipv4Addr, header: &[u8]| {
        let mut tcp = connection_from(from, port).unwrap();
        tcp.write_all(header).unwrap();
        let stream = client.connect_over(tcp).unwrap();
        Client::raw_over(
            stream,
            &request_bytes("GET", "/v2/app/_trust/tuf/root.json", &forged, &[]),
        )
        .unwrap()
    };
    let (bob, nobody) = (server.client("bob"), server.client_without_certificate());
    // Whatever address the header names, that of a reverse proxy too, or the load balancer's own (LOCAL).
    for header in [
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n".to_vec(),
        b"PROXY TCP4 127.0.0.3 192.0.2.1 56324 443\r\n".to_vec(),
        b"PROXY TCP4 127.0.0.2 192.0.2.1 56324 443\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        v2(0x20, 0x00, &[]),
    ] {
        let error = root(&bob, server.port(), PROXY, &header).refuses(403, "DENIED");
        assert!(
            error["message"].as_str().unwrap().starts_with("bob may not"),
            "{error}"
        );
        let error = root(&nobody, server.port(), PROXY, &header).refuses(401, "UNAUTHORIZED");
        assert_eq!(error["detail"]["reason"], "no_certificate", "{error}");
    }
    // The load balancer is no reverse proxy at the other listener, and the reverse proxy is one there alone.
    for from in [PROXY, Ipv4Addr::LOCALHOST] {
        root(&bob, port, from, &[]).refuses(403, "DENIED");
        root(&nobody, port, from, &[]).refuses(401, "UNAUTHORIZED");
    }
    assert_eq!(root(&nobody, port, reverse, &[]).status, 404);
    let refused = ask(
        &bob,
        server.port(),
        reverse,
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n",
    );
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn a_configuration_that_would_trust_clients_is_refused_at_start_reload_and_check() {
    let old = json!({"trusted": [PROXY.to_string()], "client_certificate": "xfcc"});
    let prepared = TestServer::builder()
        .set("server.proxy_protocol", json!(true))
        .set("proxies", json!({"trusted": [PROXY.to_string()]}))
        .prepare();
    let path = prepared.path().join("server.json");
    let good = std::fs::read(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&good).unwrap();
    config["proxies"] = old;
    let bad = config.to_string();
    let sentence = "list the senders of PROXY headers in proxies.load_balancers";
    std::fs::write(&path, &bad).unwrap();
    for arguments in [&["check-config"][..], &[]] {
        let mut command = Command::new(built_programs().join("countersign-server"));
        command.args(arguments).arg("--config").arg(&path);
        let told = Finished::run(&mut command, "").fails().output();
        assert!(told.contains(sentence), "{told}");
    }
    std::fs::write(&path, &good).unwrap();
    let server = prepared.start();
    std::fs::write(&path, &bad).unwrap();
    wait_until("the reload is refused", || server.log().contains(sentence));
}
