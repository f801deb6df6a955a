//! The server's limits, and its behaviour with several clients at a time.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    Client, Response, Stop, TestServer,
    http::{FORM, form},
    process::wait_until,
    publisher::Publisher,
};

const GUN: &str = "reg/app";
/// The limit of most tests here, in bytes.
const LIMIT: usize = 64 * 1024;
/// How often an answer has to arrive in a row.
const REPEATS: usize = 25;

fn limited() -> TestServer {
    TestServer::builder()
        .set("limits.publish_bytes", json!(LIMIT))
        .start()
}

fn head(length: &str) -> Vec<u8> {
    format!(
        "POST /v2/{GUN}/_trust/tuf/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: {FORM}\r\n{length}\r\n\r\n"
    )
    .into_bytes()
}

#[track_caller]
fn too_large(response: &Response, limit: usize) {
    let error = response.refuses(413, "TOO_LARGE");
    assert_eq!(error["detail"], json!({"limit": limit}));
}

/// A form of exactly `size` bytes: documents to publish, and a timestamp, which the server ignores.
fn padded(files: &[(&str, &[u8])], size: usize) -> Vec<u8> {
    let with = |padding: usize| {
        let filler = format!("{{\"x\":\"{}\"}}", "x".repeat(padding));
        let mut files = files.to_vec();
        files.push(("timestamp", filler.as_bytes()));
        form(&files)
    };
    let body = with(size - with(0).len());
    assert_eq!(body.len(), size);
    body
}

#[test]
fn a_publish_that_just_fits_works_and_one_byte_more_does_not() {
    let server = limited();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    let (root, targets) = (publisher.root_file(1), publisher.targets_file(1));
    let files: [(&str, &[u8]); 2] = [("root", &root), ("targets", &targets)];
    let publish = |body: &[u8]| {
        let path = format!("/v2/{GUN}/_trust/tuf/");
        client.request("POST", &path, &[("Content-Type", FORM)], body)
    };
    too_large(&publish(&padded(&files, LIMIT + 1)), LIMIT);
    assert!(server.stored().is_empty());
    publish(&padded(&files, LIMIT)).ok();
    assert_eq!(server.stored().len(), 4);
}

#[test]
fn a_body_announced_too_large_is_refused_before_any_of_it() {
    let server = limited();
    let client = server.client("alice");
    for length in [LIMIT + 1, 1 << 40] {
        too_large(
            &client.raw(&head(&format!("Content-Length: {length}"))).unwrap(),
            LIMIT,
        );
    }
    let server = TestServer::start();
    let client = server.client("alice");
    let limit = 100 * 1024 * 1024;
    too_large(
        &client
            .raw(&head(&format!("Content-Length: {}", limit + 1)))
            .unwrap(),
        limit,
    );
}

#[test]
fn a_client_that_is_still_sending_reads_the_refusal_every_time() {
    let server = limited();
    let client = server.client("alice");
    let large = vec![b'x'; 8 * LIMIT];
    let announced = head(&format!("Content-Length: {}", large.len()));
    let chunked = [
        head("Transfer-Encoding: chunked"),
        format!("{:x}\r\n", large.len()).into_bytes(),
    ];
    for start in [announced, chunked.concat()] {
        for _ in 0..REPEATS {
            // All of it, before it looks for an answer.
            too_large(&client.raw(&[&start[..], &large].concat()).unwrap(), LIMIT);
            // Without an end, until there is an answer.
            let (answer, sent) = client.send_until_answered(&start, &[b'x'; 16 * 1024]).unwrap();
            too_large(&answer, LIMIT);
            // What fits into the buffers between the two.
            assert!(sent < 16 * 1024 * 1024, "{sent} bytes were sent");
        }
    }
    assert!(server.stored().is_empty());
}

#[test]
fn without_the_signer_a_publish_is_503_and_stores_nothing() {
    let mut server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let (before, targets) = (server.stored(), publisher.targets_file(2));
    for how in [Stop::AtOnce, Stop::Politely] {
        server.stop_signer(how);
        for files in [&[("targets", targets.as_slice())][..], &[]] {
            let refused = client.publish(GUN, files);
            refused.refuses(503, "UNAVAILABLE");
            assert!(refused.header("retry-after").is_some());
        }
        client
            .get(&format!("/v2/{GUN}/_trust/tuf/timestamp.key"))
            .refuses(503, "UNAVAILABLE");
        client.get(&format!("/v2/{GUN}/_trust/tuf/timestamp.json")).ok();
        assert_eq!(server.stored(), before);
        server.start_signer();
    }
    client.publish(GUN, &[("targets", &targets)]).ok();
    assert_eq!(server.stored().len(), before.len() + 3);
}

/// Ends when the server closes the connection; `drip` is sent again and again meanwhile.
fn closed_after(mut stream: impl Read + Write, drip: &[u8]) -> Duration {
    let start = Instant::now();
    let mut answer = [0; 1024];
    loop {
        match stream.read(&mut answer) {
            Ok(1..) => {}
            Err(cause) if is_timeout(&cause) => {
                if stream.write_all(drip).and_then(|()| stream.flush()).is_err() {
                    return start.elapsed();
                }
            }
            Ok(0) | Err(_) => return start.elapsed(),
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it is still open");
    }
}

fn is_timeout(cause: &std::io::Error) -> bool {
    matches!(
        cause.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}

#[test]
fn clients_that_take_too_long_are_dropped_and_hold_up_nobody() {
    const GLANCE: Option<Duration> = Some(Duration::from_millis(200));
    let server = limited();
    let client = server.client("alice");
    let started = |bytes: &[u8]| {
        let mut stream = client.connect().unwrap();
        stream.get_ref().set_read_timeout(GLANCE).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let silent = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    silent.set_read_timeout(GLANCE).unwrap();
    let waits = std::thread::scope(|scope| {
        let before_handshake = scope.spawn(|| closed_after(silent, b""));
        let before_head = scope.spawn(|| closed_after(started(b""), b""));
        let drips = scope.spawn(|| closed_after(started(b"GET /v2/ HTTP/1.1\r\nX: "), b"x"));
        let stalls = scope.spawn(|| {
            let head = head("Content-Length: 1000");
            closed_after(started(&head), b"")
        });
        let goes_on = scope.spawn(|| {
            let chunk = [
                head("Transfer-Encoding: chunked"),
                b"fffffff\r\n".to_vec(),
                vec![b'x'; LIMIT + 1],
            ];
            closed_after(started(&chunk.concat()), b"x")
        });
        wait_until("they are dropped, while everybody else is served", || {
            client.get("/v2/").ok();
            stalls.is_finished()
        });
        [
            ("silent before the handshake", before_handshake, 30),
            ("silent before the head", before_head, 30),
            ("a head that drips", drips, 30),
            ("a body that stalls", stalls, 45),
            ("a refused body that goes on", goes_on, 15),
        ]
        .map(|(what, thread, limit)| (what, thread.join().unwrap(), limit))
    });
    for (what, waited, limit) in waits {
        assert!(waited < Duration::from_secs(limit), "{what}: {waited:?}");
    }
}

/// Runs `work` in `count` threads and counts its outcomes.
fn race<T: Ord + Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> BTreeMap<T, usize> {
    let outcomes: Vec<T> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

#[test]
fn of_writers_of_the_same_version_one_succeeds_and_the_others_learn_why_not() {
    const WRITERS: usize = 8;
    let server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    for version in 2..12 {
        let outcomes = race(WRITERS, |number| {
            // Every writer with content of their own.
            let mut targets = Publisher::targets(version);
            targets["targets"][format!("by-{number}")] = targets["targets"]["v1"].clone();
            let file = tests::publisher::sign(&targets, &[&publisher.targets]);
            let response = client.publish(GUN, &[("targets", &file)]);
            let code = match response.status {
                200 => String::new(),
                _ => response.error()["code"].as_str().unwrap().to_owned(),
            };
            (response.status, code)
        });
        let expected = [((200, String::new()), 1), ((400, "VERSION".into()), WRITERS - 1)];
        assert_eq!(outcomes, BTreeMap::from(expected), "version {version}");
    }
    let timestamp = client.get(&format!("/v2/{GUN}/_trust/tuf/timestamp.json")).json();
    assert_eq!(timestamp["signed"]["version"], 11);
}

#[test]
fn writers_of_different_repositories_do_not_disturb_each_other() {
    let server = TestServer::start();
    let client = server.client("alice");
    let outcomes = race(8, |number| {
        let gun = format!("reg/app-{number}");
        let publisher = Publisher::new(&client, &gun, &gun);
        publisher.publish_first(&client, &gun);
        let versions = 2..8;
        versions
            .map(|version| {
                let file = publisher.targets_file(version);
                client.publish(&gun, &[("targets", &file)]).status
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(outcomes, BTreeMap::from([(vec![200; 6], 8)]));
}

fn timestamp(client: &Client) -> (u16, i64) {
    let response = client.get(&format!("/v2/{GUN}/_trust/tuf/timestamp.json"));
    let version = response.json()["signed"]["version"].as_i64();
    (response.status, version.unwrap_or_default())
}

#[test]
fn parallel_readers_of_an_expired_timestamp_all_get_the_one_new_one() {
    let mut server = TestServer::builder()
        .days_ago(20)
        .set("refresh", json!({"before_expiry": 0}))
        .start();
    let client = server.client("alice");
    Publisher::since_a_month_ago(&client, GUN).publish_first(&client, GUN);
    let expires = |client: &Client| {
        let timestamp = client
            .get(&format!("/v2/{GUN}/_trust/tuf/1.timestamp.json"))
            .json();
        let text = timestamp["signed"]["expires"].as_str().unwrap().to_owned();
        chrono::DateTime::parse_from_rfc3339(&text).unwrap()
    };
    assert!(
        expires(&client) < chrono::Utc::now(),
        "the server did not start in the past"
    );
    server.return_to_the_present();
    assert_eq!(race(16, |_| timestamp(&client)), BTreeMap::from([((200, 2), 16)]));
    let timestamps = server.stored();
    let timestamps = timestamps.iter().filter(|(_, role, _)| role == "timestamp");
    assert_eq!(timestamps.count(), 2);
    assert_eq!(server.notary("bob").targets(GUN), ["v1"]);
    let changes = client.get("/v2/_trust/changefeed?records=10").ok().json();
    assert_eq!(changes["count"], 2);
}

#[test]
fn many_parallel_reads_of_a_cold_server_are_all_answered() {
    let mut server = TestServer::start();
    let client = server.client("alice");
    let guns = ["reg/a", "reg/b", "reg/c"];
    let roots = guns.map(|gun| {
        let publisher = Publisher::new(&client, gun, gun);
        publisher.publish_first(&client, gun);
        publisher.root.id
    });
    server.restart_server(Stop::AtOnce);
    let files = ["root.json", "targets.json", "snapshot.json", "timestamp.json"];
    let outcomes = race(96, |number| {
        let (gun, file) = (number % guns.len(), files[number % files.len()]);
        let path = format!("/v2/{}/_trust/tuf/{file}", guns[gun]);
        let response = client.get(&path);
        let own = file != "root.json" || response.text().contains(&roots[gun]);
        (response.status, own)
    });
    assert_eq!(outcomes, BTreeMap::from([((200, true), 96)]));
}

#[test]
fn methods_that_clients_invent_are_one_label_in_the_figures() {
    let server = TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .start();
    let nobody = server.client_without_certificate();
    for number in 0..50 {
        let method = format!("M{number}-{}", "X".repeat(8 * 1024));
        nobody.request(&method, "/v2/", &[], &[]);
    }
    nobody.request("PATCH", "/v2/", &[], &[]);
    let figures = nobody.get("/metrics").ok().text();
    let methods: std::collections::BTreeSet<&str> = figures
        .lines()
        .filter_map(|line| line.split_once("method=\"")?.1.split('"').next())
        .collect();
    let known = [
        "connect", "delete", "get", "head", "options", "other", "patch", "post", "put", "trace",
    ];
    assert!(
        methods.contains("other") && methods.contains("patch"),
        "{methods:?}"
    );
    assert!(methods.iter().all(|method| known.contains(method)), "{methods:?}");
}
