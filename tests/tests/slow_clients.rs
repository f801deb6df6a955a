//! Clients that open connections and leave them, or request something and do not read it: their cost is limited, and
//! other clients are not affected.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use serde_json::json;
use tests::{
    TestServer,
    http::connection_from,
    process::wait_until,
    publisher::{Publisher, hashes, sign},
};

const GUN: &str = "reg/app";
const KIB_PER_MIB: u64 = 1024;

/// The memory of the server that is in use, in MiB.
fn memory(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.server_id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / KIB_PER_MIB
}

fn connections_of(server: &TestServer) -> usize {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.server_id())).unwrap();
    let sockets = descriptors.flatten().filter(|descriptor| {
        std::fs::read_link(descriptor.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
    });
    sockets.count()
}

#[test]
fn readers_that_do_not_read_hold_little_and_not_for_long() {
    const READERS: usize = 30;
    const DOCUMENT: usize = 12 * 1024 * 1024;
    let server = TestServer::builder()
        .signs_locally()
        .set("limits.write_timeout", json!(3))
        .start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    let mut large = Publisher::targets(1);
    large["targets"]["v1"] = hashes(b"x");
    large["targets"]["v1"]["custom"] = json!({"filler": "x".repeat(DOCUMENT)});
    let large = sign(&large, &[&publisher.targets]);
    alice
        .publish(GUN, &[("root", &publisher.root_file(1)), ("targets", &large)])
        .ok();
    let path = format!("/v2/{GUN}/_trust/tuf/targets.json");
    assert_eq!(alice.get(&path).ok().body, large);
    let (before, idle) = (memory(&server), connections_of(&server));
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut most = 0;
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut reader = alice.connect().unwrap();
            reader.write_all(request.as_bytes()).unwrap();
            // It has begun to come.
            reader.read_exact(&mut [0; 1024]).unwrap();
            most = most.max(memory(&server));
            reader
        })
        .collect();
    println!("{before} MiB before, at most {most} MiB with {READERS} readers of 12 MiB");
    // Far from a copy for each; some drivers keep a buffer of what was read for each pooled connection.
    let copies = u64::try_from(READERS * DOCUMENT).unwrap() / KIB_PER_MIB / 1024;
    assert!(most < before + copies / 2, "{before} MiB became {most} MiB");
    // Somebody who reads slowly, but reads, gets everything.
    let mut slow = alice.connect().unwrap();
    let last = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    slow.write_all(last.as_bytes()).unwrap();
    let (mut received, mut piece) = (0, vec![0; 1024 * 1024]);
    loop {
        match slow.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => received += read,
            Err(cause) => panic!("after {received} bytes: {cause}"),
        }
        // This is how slow it is; nothing is waited for.
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(received > DOCUMENT);
    wait_until("the server has given them up", || {
        connections_of(&server) <= idle + 2
    });
    drop(readers);
    alice.get(&path).ok();
}

#[test]
fn idle_connections_from_one_address_do_not_lock_out_others() {
    let server = TestServer::builder()
        .requests_certificates()
        .descriptors(400)
        .start();
    let nobody = server.client_without_certificate();
    let held: Vec<_> = (0..371).filter_map(|_| nobody.connect().ok()).collect();
    assert!(
        held.len() > 300,
        "they get through their handshakes: {}",
        held.len()
    );
    assert!(connections_of(&server) < 250, "{}", connections_of(&server));
    // Whoever has a certificate, whoever has none, and the stock client go on.
    for _ in 0..10 {
        server.client("alice").get("/v2/").ok();
        nobody.get("/health").ok();
    }
    let alice = server.notary("alice");
    alice.run(["init", "app", "-p"]).ok();
    assert!(
        server
            .log()
            .contains("too many open connections (limits.connections_per_address)")
    );
    let figures = nobody.get("/metrics").ok().text();
    assert!(figures.contains("countersign_connections_displaced_total"));
}

#[test]
fn idle_connections_from_many_addresses_do_not_lock_out_clients_with_an_identity() {
    let server = TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .descriptors(400)
        .start();
    let nobody = server.client_without_certificate();
    let mut kept = server.client("alice").open();
    kept.get("/v2/").ok();
    let mut held = Vec::new();
    for number in 0..600u32 {
        let last = u8::try_from(2 + number % 100).unwrap();
        let tcp: TcpStream = connection_from(Ipv4Addr::new(127, 0, 0, last), server.port()).unwrap();
        held.extend(nobody.connect_over(tcp).ok());
    }
    assert!(connections_of(&server) < 250, "{}", connections_of(&server));
    // The connection of somebody who is known stays, and new ones find room.
    kept.get("/v2/").ok();
    for _ in 0..10 {
        server.client("bob").get("/v2/").ok();
    }
}

#[test]
fn a_kept_connection_is_not_closed_while_it_is_used() {
    let server = TestServer::builder()
        .signs_locally()
        .set("limits.connections_per_address", json!(2))
        .start();
    let client = server.client("alice");
    let mut first = client.open();
    first.get("/v2/").ok();
    let mut second = client.open();
    second.get("/v2/").ok();
    let mut third = client.open();
    third.get("/v2/").ok();
    // The oldest made room; the others go on.
    assert!(first.try_ask("GET", "/v2/").is_err());
    second.get("/v2/").ok();
    third.get("/v2/").ok();
}
