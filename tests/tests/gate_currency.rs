//! How current a gate's answers are, and that its records go where they should.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    Client, Stop, TestServer,
    countersign::{Countersign, Gate},
    process::wait_until,
    publisher::{Publisher, hashes, sign},
};

const GUN: &str = "reg.example/team/app";
/// Within what time a gate that follows events knows of a publish. Without events it takes up to 30 seconds.
const AT_ONCE: Duration = Duration::from_secs(10);
/// How many clients may follow events at a time.
const FOLLOWERS: usize = 256;

/// A gate, and somebody who moves a tag.
struct Site {
    server: TestServer,
    alice: Client,
    publisher: Publisher,
    client: Countersign,
    files: tests::ClientFiles,
}

fn content(version: i64) -> String {
    format!("content {version}")
}

fn digest(version: i64) -> String {
    format!("sha256:{}", hex::encode(sha256(content(version).as_bytes())))
}

impl Site {
    fn start() -> Self {
        let server = TestServer::start();
        let alice = server.client("alice");
        let publisher = Publisher::new(&alice, GUN, GUN);
        let client = Countersign::of(&server, "gate-reader");
        let files = server.pki().daemon("gate", &[], &[]);
        let site = Self {
            server,
            alice,
            publisher,
            client,
            files,
        };
        site.policy("anchor: prod");
        let (root, targets) = (site.publisher.root_file(1), site.targets(1));
        site.alice
            .publish(GUN, &[("root", &root), ("targets", &targets)])
            .ok();
        site
    }

    fn policy(&self, rule: &str) {
        self.client.policy(&format!(
            "anchors: {{ prod: {{ cert_ids: [{:?}] }} }}\nrules: [ {{ match: \"**\", {rule} }} ]",
            self.publisher.root.id
        ));
    }

    fn gate(&self) -> Gate {
        self.client.gate(&self.files, &[])
    }

    /// Targets with a tag that every version gives another digest, and one that this version alone names.
    fn targets(&self, version: i64) -> Vec<u8> {
        let mut signed = Publisher::targets(version);
        let hashes = hashes(content(version).as_bytes());
        signed["targets"] = json!({"moving": hashes.clone(), format!("only-{version}"): hashes});
        sign(&signed, &[&self.publisher.targets])
    }

    fn publish(&self, version: i64) {
        self.alice
            .publish(GUN, &[("targets", &self.targets(version))])
            .ok();
    }

    fn reader(&self, gate: &Gate) -> Client {
        gate.client(&self.server.pki().user("reader"))
    }
}

/// The verdict about a tag.
fn ask(reader: &Client, tag: &str) -> Value {
    let body = json!({"images": [format!("{GUN}:{tag}")]}).to_string();
    let answer = reader.request("POST", "/verify", &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["verdicts"][0].clone()
}

#[test]
fn an_audit_file_that_was_moved_away_is_opened_anew_on_sighup_whatever_the_policy_says() {
    let site = Site::start();
    let gate = site.gate();
    let reader = site.reader(&gate);
    let (current, moved) = (
        site.client.directory().join("audit.jsonl"),
        site.client.directory().join("audit.1"),
    );
    let recorded = |tag: &str| {
        let image = format!("{GUN}:{tag}");
        gate.audit().iter().any(|line| line["image"] == image.as_str())
    };
    ask(&reader, "moving");
    wait_until("the first question is recorded", || recorded("moving"));
    for (turn, rule) in ["anchor: prod", "anchor: pord"].into_iter().enumerate() {
        site.policy(rule);
        fs::rename(&current, &moved).unwrap();
        let before = fs::read(&moved).unwrap();
        gate.daemon.hang_up();
        wait_until("the file is there again", || current.exists());
        let tag = format!("turn-{turn}");
        ask(&reader, &tag);
        wait_until("what is asked now is recorded in it", || recorded(&tag));
        assert_eq!(fs::read(&moved).unwrap(), before);
        // One file has all of it, from the first line on.
        assert_eq!(gate.audit().len(), 1);
    }
}

#[test]
fn a_publish_is_seen_at_once_by_a_gate_that_follows_events_also_after_they_broke_off() {
    let mut site = Site::start();
    let gate = site.gate();
    let reader = site.reader(&gate);
    let sees = |version: i64| {
        let published = Instant::now();
        wait_until("the gate has seen the publish", || {
            let verdict = ask(&reader, "moving");
            assert_eq!(verdict["allow"], true, "{verdict}");
            verdict["digest"] == digest(version)
        });
        let took = published.elapsed();
        assert!(took < AT_ONCE, "{took:?}");
    };
    sees(1);
    for version in 2..5 {
        site.publish(version);
        sees(version);
    }
    site.server.restart_server(Stop::AtOnce);
    site.publish(5);
    sees(5);
}

#[test]
fn a_gate_that_may_not_follow_events_asks_now_and_then_and_before_every_denial() {
    let site = Site::start();
    // Others have all the places.
    let follow = format!("GET /v2/{GUN}/_trust/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut crowd = Vec::new();
    for number in 0..FOLLOWERS {
        use std::io::{Read, Write};
        let mut stream = site.server.client("crowd").connect().unwrap();
        stream.write_all(follow.as_bytes()).unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200", "{number}");
        crowd.push(stream);
    }
    site.alice
        .get(&format!("/v2/{GUN}/_trust/events"))
        .refuses(503, "UNAVAILABLE");
    let gate = site.gate();
    let reader = site.reader(&gate);
    assert_eq!(ask(&reader, "moving")["digest"], digest(1));
    site.publish(2);
    // What is not known yet is asked for, what is known serves for 30 seconds.
    let published = Instant::now();
    wait_until("the new tag is known", || {
        ask(&reader, "only-2")["digest"] == digest(2)
    });
    let took = published.elapsed();
    assert!(took < AT_ONCE, "{took:?}");
    site.publish(3);
    wait_until("the gate has asked again", || {
        let verdict = ask(&reader, "moving");
        assert_eq!(verdict["allow"], true, "{verdict}");
        verdict["digest"] == digest(3)
    });
    drop(crowd);
}

#[test]
fn while_a_tag_moves_400_times_no_answer_is_older_than_it_may_be() {
    const PUBLISHES: i64 = 400;
    let site = Site::start();
    let gate = site.gate();
    let reader = site.reader(&gate);
    let versions: BTreeMap<String, i64> = (1..=PUBLISHES)
        .map(|version| (digest(version), version))
        .collect();
    let version = |digest: &str| versions[digest];
    let (begun, done) = (AtomicI64::new(1), AtomicI64::new(1));
    // When each version was acknowledged.
    let history = Mutex::new(vec![(Instant::now(), 1)]);
    let verified = AtomicI64::new(0);
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            for version in 2..=PUBLISHES {
                begun.store(version, SeqCst);
                site.publish(version);
                done.store(version, SeqCst);
                history.lock().unwrap().push((Instant::now(), version));
            }
        });
        // Who verifies asks the server each time: what it says was current while it ran.
        scope.spawn(|| {
            while done.load(SeqCst) < PUBLISHES {
                let before = done.load(SeqCst);
                let printed = site.client.verify(&format!("{GUN}:moving")).ok().stdout;
                let after = begun.load(SeqCst);
                let (_, found) = printed.trim().split_once('@').unwrap();
                let found = version(found);
                assert!(
                    (before..=after).contains(&found),
                    "{found} of {before} to {after}"
                );
                verified.fetch_add(1, SeqCst);
            }
        });
        // A gate hears of each publish: it never goes back, and is behind no longer than that takes.
        let mut newest = 0;
        while !publishing.is_finished() {
            let asked = Instant::now();
            let verdict = ask(&reader, "moving");
            let after = begun.load(SeqCst);
            assert_eq!(verdict["allow"], true, "{verdict}");
            let found = version(verdict["digest"].as_str().unwrap());
            assert!((newest..=after).contains(&found), "{found} after {newest}");
            newest = found;
            let history = history.lock().unwrap();
            let long_ago = history.iter().rev().find(|(at, _)| *at + AT_ONCE < asked);
            if let Some((_, least)) = long_ago {
                assert!(found >= *least, "{found}, although {least} is long known");
            }
        }
    });
    assert!(verified.load(SeqCst) > 10);
    wait_until("the gate has seen the last publish", || {
        ask(&reader, "moving")["digest"] == digest(PUBLISHES)
    });
}
