//! The memory that publishes take: each a small multiple of its size, and all together no more than they may.

use std::{
    fs,
    io::Write,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use tests::{
    TestServer,
    http::{FORM, form},
    publisher::{Publisher, hashes, sign},
};

const GUN: &str = "reg/app";
/// How many tags the large publish has; each is about 200 bytes.
const TAGS: usize = 60_000;
/// How many times its size a publish may take.
const TIMES: usize = 3;

/// A figure of a process in kilobytes, as the kernel counts it.
fn memory(process: u32, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn head(gun: &str, length: usize) -> Vec<u8> {
    format!(
        "POST /v2/{gun}/_trust/tuf/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {FORM}\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn a_large_publish_takes_at_most_three_times_its_size() {
    let server = TestServer::start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    let tag = hashes(b"what is signed");
    let tags: Map<String, Value> = (0..TAGS).map(|n| (format!("v{n}"), tag.clone())).collect();
    let mut targets = Publisher::targets(2);
    targets["targets"] = Value::Object(tags);
    let large = sign(&targets, &[&publisher.targets]);
    drop(targets);

    let process = server.server_id();
    // From here on the kernel counts the peak anew.
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
    let before = memory(process, "VmRSS:");
    alice.publish(GUN, &[("targets", &large)]).ok();
    let peak = memory(process, "VmHWM:");
    let taken = (peak - before) * 1024;
    println!("{taken} bytes of memory for a publish of {} bytes", large.len());
    assert!(
        taken <= TIMES * large.len(),
        "{taken} bytes for {} bytes, {:.2} times as many",
        large.len(),
        taken as f64 / large.len() as f64
    );
    // What was measured is the whole of it: the document is there.
    assert!(taken >= large.len(), "{taken}");
    let read = alice.get(&format!("/v2/{GUN}/_trust/tuf/targets.json")).ok();
    assert!(read.body == large);
}

#[test]
fn publishes_together_take_no_more_than_they_may_and_the_others_are_told_when_to_try_again() {
    let server = TestServer::builder()
        .set("limits.publish_bytes", json!(1024 * 1024))
        .set("limits.upload_memory", json!(3 * 1024 * 1024))
        .start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    // One that announces much and sends nothing takes nothing from others.
    let mut silent = alice.connect().unwrap();
    silent.write_all(&head(GUN, 900_000)).unwrap();
    // One that sends most of it takes most of the memory.
    let begun = form(&[("targets", "x".repeat(700_000).as_bytes())]);
    let mut stuck = alice.connect().unwrap();
    stuck.write_all(&head(GUN, 900_000)).unwrap();
    stuck.write_all(&begun[..700_000]).unwrap();
    // Small ones go on beside it.
    alice
        .publish(GUN, &[("targets", &publisher.targets_file(2))])
        .ok();
    // The server drops timestamps that are uploaded, so this one is only large.
    let filler = format!("{{\"x\":\"{}\"}}", "x".repeat(500_000));
    let large = publisher.targets_file(3);
    let files: [(&str, &[u8]); 2] = [("targets", &large), ("timestamp", filler.as_bytes())];
    let asked = Instant::now();
    let refused = alice.publish(GUN, &files);
    refused.refuses(503, "UNAVAILABLE");
    assert!(refused.header("retry-after").is_some());
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    let stored = server.stored();
    drop(stuck);
    alice.publish(GUN, &files).ok();
    assert_eq!(server.stored().len(), stored.len() + 3);
}

#[test]
fn nothing_is_read_of_a_publish_by_somebody_who_may_not() {
    let server = TestServer::builder()
        .set(
            "policy",
            json!([{"effect": "allow", "principals": ["alice"], "actions": ["*"]}]),
        )
        .set("limits.upload_memory", json!(1024 * 1024))
        .start();
    let mallory = server.client("mallory");
    let body = form(&[("targets", b"{}")]);
    // Announced, and never sent: an answer that waited for it would never come.
    let refused = mallory.raw(&head(GUN, 90_000_000)).unwrap();
    refused.refuses(400, "INVALID_UPDATE");
    let begun = [head(GUN, 90_000_000), body].concat();
    mallory.raw(&begun).unwrap().refuses(400, "INVALID_UPDATE");
}
