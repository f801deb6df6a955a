//! Thousands of connections that send nothing more, while real clients go on working.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use platform::descriptors;
use serde_json::json;
use tests::{TestServer, http::connection_from, process::wait_until};

/// How many connections are held open.
const FLOOD: usize = 3000;
/// How fast connections are made once so many are open.
const PACE: Duration = Duration::from_millis(5);
/// How many of them the server keeps, for each address.
const PER_ADDRESS: usize = 256;
/// A request that waited until one of the flood times out would take this long.
const ITS_PATIENCE: Duration = Duration::from_secs(10);
const DISPLACED: &str = "countersign_tls_handshakes_displaced_total";

/// The start of a handshake, after which the server has work to do and gets no more bytes.
fn client_hello(server: &TestServer) -> Vec<u8> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = server
        .client("somebody")
        .at_port(listener.local_addr().unwrap().port());
    std::thread::scope(|scope| {
        scope.spawn(|| client.connect().is_err());
        let (mut tcp, _) = listener.accept().unwrap();
        let mut head = [0; 5];
        tcp.read_exact(&mut head).unwrap();
        let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        tcp.read_exact(&mut hello).unwrap();
        [&head[..], &hello].concat()
    })
}

/// Holds [`FLOOD`] connections open from `addresses` while `work` runs; new ones replace those that the server closes.
fn flooded(server: &TestServer, addresses: &[Ipv4Addr], opening: &[u8], work: impl FnOnce()) {
    // One at a time: each alone is what a machine of two cores can take.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    descriptors::raise_limit();
    let (ended, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = std::collections::VecDeque::new();
            while !ended.load(Ordering::Relaxed) {
                let number = opened.fetch_add(1, Ordering::Relaxed);
                let from = addresses[number % addresses.len()];
                if let Ok(mut tcp) = connection_from(from, server.port()) {
                    let _ = tcp.write_all(opening);
                    held.push_back(tcp);
                }
                if held.len() > FLOOD {
                    held.pop_front();
                    std::thread::sleep(PACE);
                }
            }
        });
        // Whatever fails, the flood has to end.
        let work = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(
                "the flood is up, and the server has given up what is too much of it",
                || opened.load(Ordering::Relaxed) > FLOOD && descriptors_of(server) < FLOOD / 2,
            );
            work();
        }));
        ended.store(true, Ordering::Relaxed);
        if let Err(cause) = work {
            std::panic::resume_unwind(cause);
        }
    });
}

fn descriptors_of(server: &TestServer) -> usize {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.server_id()));
    descriptors.unwrap().count()
}

fn server() -> TestServer {
    TestServer::builder()
        .set("limits.handshakes_per_address", json!(PER_ADDRESS))
        .set("logging.level", json!("info"))
        .start()
}

fn goes_on(server: &TestServer) {
    let client = server.client("alice");
    for _ in 0..20 {
        let started = Instant::now();
        client.get("/v2/").ok();
        assert!(started.elapsed() < ITS_PATIENCE, "{:?}", started.elapsed());
    }
    let started = Instant::now();
    let alice = server.notary("alice");
    alice.run(["init", "app", "-p"]).ok();
    alice.add_and_publish("app", "latest", "content");
    assert_eq!(alice.targets("app"), ["latest"]);
    let took = started.elapsed();
    println!("init, publish and list took {took:?}");
    assert!(took < 4 * ITS_PATIENCE, "{took:?}");
}

#[test]
fn silent_connections_are_replaced_by_working_clients() {
    let server = server();
    let addresses = [2, 3, 4].map(|last| Ipv4Addr::new(127, 0, 0, last));
    flooded(&server, &addresses, b"", || {
        goes_on(&server);
        let displaced = server.figure(&server.client("alice"), DISPLACED);
        assert!(displaced > 1000.0, "{displaced}");
    });
    assert!(
        server.log().contains("too many handshakes in flight"),
        "an operator hears of it"
    );
}

#[test]
fn a_flood_from_a_clients_own_address_does_not_keep_it_out() {
    let server = server();
    let hello = client_hello(&server);
    flooded(&server, &[Ipv4Addr::LOCALHOST], &hello, || goes_on(&server));
}

#[test]
fn when_the_flood_is_over_nothing_of_it_is_left() {
    let server = server();
    server.client("alice").get("/v2/").ok();
    let before = descriptors_of(&server);
    flooded(&server, &[Ipv4Addr::new(127, 0, 0, 2)], b"", || {
        wait_until("only so many of one address are left", || {
            descriptors_of(&server) < before + PER_ADDRESS + PER_ADDRESS / 2
        });
    });
    wait_until("its connections are closed", || {
        descriptors_of(&server) <= before + 8
    });
}
