//! Daemons are killed at random instants: acknowledged publishes stay, and no reader ever sees half of a publish.

use std::{
    path::Path,
    process::Command,
    sync::{
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{
    Client, DatabaseServer, Engine, Finished, Stop, TestServer,
    process::wait_until,
    publisher::{Publisher, sign},
};

const GUN: &str = "reg/app";
/// How many versions of the targets there are at least when the server is killed.
const MANY: i64 = 200;
/// How many there are at least when something else is.
const SOME: i64 = 60;
/// How many kills there are at least: a fast machine publishes more versions meanwhile.
const KILLS: usize = 5;
/// The longest times between two kills: of a daemon with its database in a file, of one that has to connect
/// to a database first, and of a database.
const BETWEEN_KILLS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_millis(1500),
];
/// The environment variable with a seed, which repeats the instants of a run as far as the machine allows.
const SEED: &str = "COUNTERSIGN_TEST_SEED";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Server,
    Signer,
    Database,
}

/// Marsaglia's xorshift: good enough for instants.
struct Random(u64);

impl Random {
    fn new(victim: Victim, engine: Engine) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(now.as_micros() as u64 | 1);
        println!("{victim:?} on {engine:?}: {SEED}={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % limit.as_micros() as u64)
    }
}

/// The outcomes of the attempts to publish.
#[derive(Debug, Default)]
struct Outcomes {
    last: i64,
    acknowledged: Vec<i64>,
    stored_unanswered: usize,
    unanswered: usize,
    unavailable: usize,
}

/// The state that the threads of a run share.
#[derive(Debug, Default)]
struct Progress {
    newest: AtomicI64,
    kills: AtomicUsize,
    stop: AtomicBool,
}

impl Progress {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Stops the threads when it goes out of scope, also by a panic: a test that fails must end.
struct Stopper<'a>(&'a Progress);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

/// Publishes one version after the other, each until it is stored, until there are enough of them and of kills.
fn publish_all(client: &Client, publisher: &Publisher, progress: &Progress, run: Run) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let enough = |version| version > run.least && progress.kills.load(Ordering::SeqCst) >= KILLS;
    for version in 2.. {
        if enough(version) || progress.stopped() {
            break;
        }
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
                    // Nobody knows what a database did that died before it answered.
                    in_doubt |= run.victim == Victim::Database;
                    return false;
                }
                // An attempt without an answer may have been stored, no other one.
                _ if in_doubt => {
                    response.refuses(400, "VERSION");
                    outcomes.stored_unanswered += 1;
                }
                status => panic!("version {version}: {status} {}", response.text()),
            }
            progress.newest.store(version, Ordering::SeqCst);
            true
        });
        outcomes.last = version;
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
        if response.status == 503 {
            return None;
        }
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

/// Reads until it is told to stop. Versions must neither fall nor be lower than an acknowledged one. Counts the chains
/// that were read to their ends.
fn read_all(client: &Client, progress: &Progress) -> usize {
    let (mut seen, mut count) = ((0, 0), 0);
    while !progress.stopped() {
        let acknowledged = progress.newest.load(Ordering::SeqCst);
        let mut chain = None;
        wait_until("there is an answer", || {
            chain = read_chain(client);
            chain.is_some() || progress.stopped()
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

/// What is killed, and how much is published meanwhile, on which database.
#[derive(Debug, Clone, Copy)]
struct Run {
    engine: Engine,
    victim: Victim,
    least: i64,
}

/// Kills the victim at random instants until everything is published.
fn publish_under_fire(run: Run) {
    let Run { engine, victim, .. } = run;
    let mut random = Random::new(victim, engine);
    let between = match (victim, engine) {
        (Victim::Database, _) => BETWEEN_KILLS[2],
        (_, Engine::Sqlite) => BETWEEN_KILLS[0],
        _ => BETWEEN_KILLS[1],
    };
    // A database that is to be killed is nobody else's.
    let mut database = (victim == Victim::Database).then(|| DatabaseServer::start(engine));
    let builder = match &database {
        Some(own) => TestServer::builder().databases(own.databases()),
        None => TestServer::builder().database(engine),
    };
    let mut server = builder.start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let (progress, (done, finished)) = (Progress::default(), channel::<()>());
    let (outcomes, chains) = std::thread::scope(|scope| {
        let stopper = Stopper(&progress);
        let writer = scope.spawn(|| {
            // The channel closes when this ends, whichever way.
            let _done = done;
            publish_all(&client, &publisher, &progress, run)
        });
        let reader = scope.spawn(|| read_all(&client, &progress));
        let (mut limit, mut stored) = (between, 0);
        while finished.recv_timeout(random.below(limit)) == Err(RecvTimeoutError::Timeout) {
            // On a slow machine nothing might ever be stored between two kills.
            let newest = progress.newest.load(Ordering::SeqCst);
            limit = if newest > stored { between } else { limit * 2 };
            stored = newest;
            match victim {
                Victim::Server => server.restart_server(Stop::AtOnce),
                Victim::Signer => server.restart_signer(Stop::AtOnce),
                Victim::Database => {
                    let database = database.as_mut().unwrap();
                    database.kill();
                    database.resume();
                }
            }
            progress.kills.fetch_add(1, Ordering::SeqCst);
        }
        let outcomes = writer.join();
        drop(stopper);
        (outcomes.unwrap(), reader.join().unwrap())
    });
    let kills = progress.kills.into_inner();
    println!(
        "{victim:?} on {engine:?}: {kills} kills, {} acknowledged, {} unanswered ({} of them stored), {} unavailable, {chains} chains read",
        outcomes.acknowledged.len(),
        outcomes.unanswered,
        outcomes.stored_unanswered,
        outcomes.unavailable,
    );
    assert!(kills >= KILLS && outcomes.last >= run.least, "{outcomes:?}");
    let disturbed = outcomes.unanswered + outcomes.unavailable;
    assert!(disturbed > 0, "no publish was ever hit");
    if victim == Victim::Signer {
        assert_eq!(outcomes.unanswered, 0);
    }
    server.restart_server(Stop::AtOnce);
    check_everything(&server, &client, &outcomes);
}

/// How many changes there are, however many pages they take.
fn changes(client: &Client) -> usize {
    let (mut after, mut count) = ("0".to_owned(), 0);
    loop {
        let path = format!("/v2/_trust/changefeed?records=1000&change_id={after}");
        let page = client.get(&path).ok().json();
        let records = page["records"].as_array().unwrap();
        let Some(last) = records.last() else {
            return count;
        };
        after = last["ID"].as_str().unwrap().to_owned();
        count += records.len();
    }
}

fn check_everything(server: &TestServer, client: &Client, outcomes: &Outcomes) {
    let last = outcomes.last;
    let get = |version: i64, role: &str| client.get(&format!("/v2/{GUN}/_trust/tuf/{version}.{role}.json"));
    for version in &outcomes.acknowledged {
        let targets = get(*version, "targets").ok().json();
        assert!(
            targets["signed"]["targets"][format!("v{version}")].is_object(),
            "{version}"
        );
    }
    // Every publish is there with all of its documents, and nothing else is.
    for role in ["targets", "snapshot", "timestamp"] {
        for version in 1..=last {
            get(version, role).ok();
        }
        get(last + 1, role).refuses(404, "METADATA_NOT_FOUND");
    }
    assert_eq!(changes(client), usize::try_from(last).unwrap());
    assert_eq!(read_chain(client), Some((last, last)));
    assert_eq!(server.notary("bob").targets(GUN), [format!("v{last}")]);
}

/// Reads a database as any program does that knows nothing of ours.
fn look_at(database: &Path) {
    let script = "import sqlite3, sys\n\
        connection = sqlite3.connect(sys.argv[1])\n\
        print(connection.execute('SELECT COUNT(*) FROM sqlite_master').fetchone()[0])\n\
        connection.close()\n";
    let mut python = Command::new("/usr/bin/python3");
    Finished::run(python.arg("-c").arg(script).arg(database), "").ok();
}

/// SQLite's locks are those of the process, which loses them when it closes the file itself. Whoever looks at the database
/// then, takes itself for the only one and removes the journal.
#[test]
fn a_program_that_looks_at_the_files_of_the_databases_costs_nothing() {
    let mut server = TestServer::builder()
        .database(Engine::Sqlite)
        .requests_certificates()
        .set("audit.table", json!(true))
        .start();
    let client = server.client("alice");
    Publisher::new(&client, "reg/first", "reg/first").publish_first(&client, "reg/first");
    // A reload looks at the places of all files again.
    server.reload(&client);
    let databases = [server.database(), server.path().join("keys.db")];
    for database in &databases {
        assert!(database.exists(), "{}", database.display());
        look_at(database);
        let mut journal = database.clone().into_os_string();
        journal.push("-wal");
        assert!(Path::new(&journal).exists(), "{} was removed", journal.display());
    }
    Publisher::new(&client, GUN, GUN).publish_first(&client, GUN);
    server.restart_server(Stop::AtOnce);
    server.restart_signer(Stop::AtOnce);
    let client = server.client("alice");
    for gun in ["reg/first", GUN] {
        client.get(&format!("/v2/{gun}/_trust/tuf/timestamp.json")).ok();
        // The signer has its keys still.
        let rotated = client.request("POST", &format!("/v2/{gun}/_trust/tuf/timestamp.key"), &[], b"");
        assert_eq!(rotated.status, 200, "{}", rotated.text());
    }
    let publisher = Publisher::new(&client, "reg/second", "reg/second");
    publisher.publish_first(&client, "reg/second");
    server.command_line("check").ok();
}

#[test]
fn killing_the_server_loses_nothing_that_was_acknowledged_on_sqlite() {
    publish_under_fire(Run {
        engine: Engine::Sqlite,
        victim: Victim::Server,
        least: MANY,
    });
}

#[test]
fn killing_the_server_loses_nothing_that_was_acknowledged_on_postgresql() {
    publish_under_fire(Run {
        engine: Engine::Postgres,
        victim: Victim::Server,
        least: MANY,
    });
}

#[test]
fn killing_the_server_loses_nothing_that_was_acknowledged_on_mariadb() {
    publish_under_fire(Run {
        engine: Engine::Mysql,
        victim: Victim::Server,
        least: MANY,
    });
}

#[test]
fn killing_the_signer_loses_nothing_that_was_acknowledged() {
    publish_under_fire(Run {
        engine: Engine::Sqlite,
        victim: Victim::Signer,
        least: SOME,
    });
}

#[test]
fn killing_postgresql_loses_nothing_that_was_acknowledged() {
    publish_under_fire(Run {
        engine: Engine::Postgres,
        victim: Victim::Database,
        least: SOME,
    });
}

#[test]
fn killing_mariadb_loses_nothing_that_was_acknowledged() {
    publish_under_fire(Run {
        engine: Engine::Mysql,
        victim: Victim::Database,
        least: SOME,
    });
}
