//! Requests in flight while a daemon is told to stop.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use openssl::ssl::SslStream;
use serde_json::json;
use tests::{
    Client, Stop, TestServer,
    http::{FORM, form},
    process::wait_until,
    publisher::Publisher,
};

const GUN: &str = "reg/app";

/// Begins a publish: the server has read its head, and waits for its body.
fn begin(client: &Client, length: usize) -> SslStream<TcpStream> {
    let mut stream = client.connect().unwrap();
    let head = format!(
        "POST /v2/{GUN}/_trust/tuf/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
         Content-Type: {FORM}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 64];
    let received = stream.read(&mut answer).unwrap();
    assert!(answer[..received].starts_with(b"HTTP/1.1 100 "));
    stream
}

#[test]
fn a_daemon_that_is_told_to_stop_ends_with_0() {
    let mut server = TestServer::start();
    let client = server.client("alice");
    Publisher::new(&client, GUN, GUN).publish_first(&client, GUN);
    // A connection that nobody uses holds nothing up.
    let _idle = client.connect().unwrap();
    assert_eq!(server.stop_server(Stop::Politely), Some(0));
    assert_eq!(server.stop_signer(Stop::Politely), Some(0));
    server.start_signer();
    server.start_server();
    assert_eq!(server.notary("bob").targets(GUN), ["v1"]);
}

#[test]
fn a_publish_in_flight_is_finished_before_the_server_stops() {
    let mut server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let (log, port) = (server.path().join("server.log"), server.port());
    let body = form(&[("targets", &publisher.targets_file(2))]);
    let mut publish = begin(&client, body.len());
    let (first, rest) = body.split_at(body.len() / 2);
    publish.write_all(first).unwrap();
    let code = std::thread::scope(|scope| {
        let code = scope.spawn(|| server.stop_server(Stop::Politely));
        wait_until("the server knows that it is to stop", || {
            fs::read_to_string(&log).unwrap().contains("stopping")
        });
        wait_until("nobody else is let in", || {
            TcpStream::connect(("127.0.0.1", port)).is_err()
        });
        publish.write_all(rest).unwrap();
        let mut answer = String::new();
        publish.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        code.join().unwrap()
    });
    assert_eq!(code, Some(0));
    assert!(server.stored().contains(&(GUN.into(), "targets".into(), 2)));
}

#[test]
fn a_publish_that_stalls_delays_the_stop_no_longer_than_configured() {
    let mut server = TestServer::builder()
        .set("server.shutdown_timeout", json!(1))
        .start();
    let client = server.client("alice");
    let _stalled = begin(&client, 1000);
    let start = Instant::now();
    assert_eq!(server.stop_server(Stop::Politely), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(server.stored().is_empty());
}
