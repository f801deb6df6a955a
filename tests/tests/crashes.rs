//! Daemons are killed at any instant: what was acknowledged stays, and nobody ever sees half of a publish.

use std::{
    collections::BTreeSet,
    sync::{
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tests::{
    Client, Stop, TestServer,
    process::wait_until,
    publisher::{Publisher, sign},
};

const GUN: &str = "reg/app";
/// The last version of the targets.
const LAST: i64 = 60;
/// The longest time between two kills.
const BETWEEN_KILLS: Duration = Duration::from_millis(120);
/// A number here repeats a run's instants, as far as the machine allows.
const SEED: &str = "COUNTERSIGN_TEST_SEED";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Server,
    Signer,
}

/// Marsaglia's xorshift: good enough for instants.
struct Random(u64);

impl Random {
    fn new(victim: Victim) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(now.as_micros() as u64 | 1);
        println!("{victim:?}: {SEED}={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % limit.as_micros() as u64)
    }
}

/// What became of the attempts to publish.
#[derive(Debug, Default)]
struct Outcomes {
    acknowledged: Vec<i64>,
    stored_unanswered: usize,
    unanswered: usize,
    unavailable: usize,
}

/// Publishes the versions one after the other, each until it is stored.
fn publish_all(client: &Client, publisher: &Publisher, newest: &AtomicI64) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for version in 2..=LAST {
        let mut targets = Publisher::targets(version);
        targets["targets"] = serde_json::json!({format!("v{version}"): targets["targets"]["v1"]});
        let file = sign(&targets, &[&publisher.targets]);
        let mut in_doubt = false;
        wait_until("a version is stored", || {
            let Ok(response) = client.try_publish(GUN, &[("targets", &file)]) else {
                outcomes.unanswered += 1;
                in_doubt = true;
                return false;
            };
            match response.status {
                200 => outcomes.acknowledged.push(version),
                503 => {
                    outcomes.unavailable += 1;
                    return false;
                }
                // An attempt without an answer may have been stored, no other one.
                _ if in_doubt => {
                    response.refuses(400, "VERSION");
                    outcomes.stored_unanswered += 1;
                }
                status => panic!("version {version}: {status} {}", response.text()),
            }
            newest.store(version, Ordering::SeqCst);
            true
        });
    }
    outcomes
}

fn named(document: &Value, role: &str) -> String {
    let hash = document["signed"]["meta"][role]["hashes"]["sha256"]
        .as_str()
        .unwrap();
    hex::encode(STANDARD.decode(hash).unwrap())
}

/// Follows the chain as clients do: the versions of timestamp and targets, if the server lives that long.
fn read_chain(client: &Client) -> Option<(i64, i64)> {
    let get = |file: &str| {
        let path = format!("/v2/{GUN}/_trust/tuf/{file}");
        let response = client.try_request("GET", &path, &[], &[]).ok()?;
        assert_eq!(response.status, 200, "{file} is missing: {}", response.text());
        Some(response.json())
    };
    let timestamp = get("timestamp.json")?;
    let snapshot = get(&format!("snapshot.{}.json", named(&timestamp, "snapshot")))?;
    get(&format!("root.{}.json", named(&snapshot, "root")))?;
    let targets = get(&format!("targets.{}.json", named(&snapshot, "targets")))?;
    let version = |document: &Value| document["signed"]["version"].as_i64().unwrap();
    Some((version(&timestamp), version(&targets)))
}

/// Reads for as long as it is told to; nothing may go back, or fall behind what was acknowledged. Counts
/// the chains that were read to their ends.
fn read_all(client: &Client, newest: &AtomicI64, stop: &AtomicBool) -> usize {
    let (mut seen, mut count) = ((0, 0), 0);
    while !stop.load(Ordering::SeqCst) {
        let acknowledged = newest.load(Ordering::SeqCst);
        let mut chain = None;
        wait_until("there is an answer", || {
            chain = read_chain(client);
            chain.is_some() || stop.load(Ordering::SeqCst)
        });
        if let Some(chain) = chain {
            assert!(
                chain.0 >= seen.0 && chain.1 >= seen.1,
                "from {seen:?} back to {chain:?}"
            );
            assert!(
                chain.1 >= acknowledged,
                "{chain:?}, but {acknowledged} was acknowledged"
            );
            (seen, count) = (chain, count + 1);
        }
    }
    count
}

/// Kills the victim at random instants until everything is published; how often.
fn publish_under_fire(victim: Victim) {
    let mut random = Random::new(victim);
    let mut server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let (newest, stop, (done, finished)) = (AtomicI64::new(1), AtomicBool::new(false), channel::<()>());
    let (outcomes, chains, kills) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // The channel closes when this ends, whichever way.
            let _done = done;
            publish_all(&client, &publisher, &newest)
        });
        let reader = scope.spawn(|| read_all(&client, &newest, &stop));
        let mut kills = 0;
        while finished.recv_timeout(random.below(BETWEEN_KILLS)) == Err(RecvTimeoutError::Timeout) {
            match victim {
                Victim::Server => server.restart_server(Stop::AtOnce),
                Victim::Signer => server.restart_signer(Stop::AtOnce),
            }
            kills += 1;
        }
        let outcomes = writer.join();
        stop.store(true, Ordering::SeqCst);
        (outcomes.unwrap(), reader.join().unwrap(), kills)
    });
    println!(
        "{victim:?}: {kills} kills, {} acknowledged, {} unanswered ({} of them stored), {} unavailable, {chains} chains read",
        outcomes.acknowledged.len(),
        outcomes.unanswered,
        outcomes.stored_unanswered,
        outcomes.unavailable,
    );
    assert!(kills > 5, "only {kills} kills");
    let disturbed = outcomes.unanswered + outcomes.unavailable;
    assert!(disturbed > 0, "no publish was ever hit");
    if victim == Victim::Signer {
        assert_eq!(outcomes.unanswered, 0);
    }
    server.restart_server(Stop::AtOnce);
    check_everything(&server, &client, &outcomes);
}

fn check_everything(server: &TestServer, client: &Client, outcomes: &Outcomes) {
    for version in &outcomes.acknowledged {
        let path = format!("/v2/{GUN}/_trust/tuf/{version}.targets.json");
        let targets = client.get(&path).ok().json();
        assert!(
            targets["signed"]["targets"][format!("v{version}")].is_object(),
            "{version}"
        );
    }
    // Every publish is there with all of its documents, and nothing else is.
    let stored: BTreeSet<(String, i32)> = server
        .stored()
        .into_iter()
        .map(|(_, role, version)| (role, version))
        .collect();
    let roles = ["targets", "snapshot", "timestamp"];
    let last = i32::try_from(LAST).unwrap();
    let whole = roles
        .iter()
        .flat_map(|role| (1..=last).map(|version| ((*role).to_owned(), version)));
    assert_eq!(stored, whole.chain([("root".to_owned(), 1)]).collect());
    let changes = client.get("/v2/_trust/changefeed?records=1000").ok().json();
    assert_eq!(changes["count"], LAST);
    assert_eq!(read_chain(client), Some((LAST, LAST)));
    assert_eq!(server.notary("bob").targets(GUN), [format!("v{LAST}")]);
}

#[test]
fn killing_the_server_loses_nothing_that_was_acknowledged() {
    publish_under_fire(Victim::Server);
}

#[test]
fn killing_the_signer_loses_nothing_that_was_acknowledged() {
    publish_under_fire(Victim::Signer);
}
