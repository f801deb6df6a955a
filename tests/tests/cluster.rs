//! Two servers on two nodes of a Galera cluster of three: nodes die and come back under load, and one is cut off from the
//! others. Nothing that was acknowledged is lost, nobody reads an older state than before, denials count everywhere from
//! the next request on, and of two publishes of one version one wins.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    ClientFiles, Cluster, Databases, TestServer, Whose,
    http::{Client, Open, Response},
    process::wait_until,
    publisher::Publisher,
    server::Builder,
};

/// The repositories that are published to again and again, each through one of the servers.
const GROWING: [&str; 2] = ["reg/first", "reg/second"];
/// Longer than an answer takes while a node is away: the others wait until they are sure that it is gone.
const SOON: Duration = Duration::from_secs(40);
/// How many answers are checked in each phase.
const CHECKED: usize = 100;
/// The pause after each round of a reader, and after each publish.
const BETWEEN: Duration = Duration::from_millis(5);
/// How often two publishers want the same.
const RACES: i64 = 10;

fn path(gun: &str, file: &str) -> String {
    format!("/v2/{gun}/_trust/tuf/{file}")
}

fn version(answer: &Response) -> u64 {
    answer.json()["signed"]["version"].as_u64().unwrap()
}

/// Starts two servers on fresh databases at once, so that both want to migrate them, each through its own node.
fn two_servers(cluster: &Cluster, configure: impl Fn(Builder) -> Builder) -> (Vec<TestServer>, Databases) {
    let databases = cluster.databases(0);
    let of = |node: usize| configure(TestServer::builder().databases(databases.through(&cluster[node])));
    let first = of(0).prepare();
    let second = of(1).with_pki_of(&first).prepare();
    let servers = thread::scope(|scope| {
        let starting = [first, second].map(|prepared| scope.spawn(|| prepared.start()));
        starting.map(|server| server.join().unwrap()).into()
    });
    (servers, databases)
}

/// What every node has of the documents and the changes.
fn same_on_every_node(cluster: &Cluster, databases: &Databases) {
    let told = |node: usize| {
        let question = "SET wsrep_sync_wait = 1;
            SELECT COUNT(*), SUM(CRC32(CONCAT(id, gun, role, version, sha256))) FROM tuf_files;
            SELECT COUNT(*), SUM(CRC32(CONCAT(id, chain, sequence, hash))) FROM audit_log;";
        databases.through(&cluster[node]).run(Whose::Server, question)
    };
    let first = told(0);
    assert_eq!([told(1), told(2)], [first.clone(), first]);
}

/// What is going on.
#[derive(Default)]
struct Watched {
    /// The version of each repository that was acknowledged last.
    acknowledged: [AtomicU64; 2],
    /// The highest version of each repository that anybody has read, from any server.
    read: [AtomicU64; 2],
    /// Whether a server may answer that its database is away at the moment.
    may_fail: [AtomicBool; 2],
    /// How many answers of each server were checked, and how many said that the database is away.
    answers: [AtomicUsize; 2],
    failures: [AtomicUsize; 2],
    /// Raised before and after a denial is added or removed; a multiple of 4: the client is let in, 2 more: it is denied.
    denial: AtomicU64,
    over: AtomicBool,
}

impl Watched {
    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Counts an answer of a server; false if it is that the database is away, which must be allowed.
    fn answered(&self, server: usize, allowed: bool, answer: &Response, started: Instant) -> bool {
        assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
        if answer.status != 503 {
            self.answers[server].fetch_add(1, SeqCst);
            return true;
        }
        let message = answer.refuses(503, "UNAVAILABLE")["message"].to_string();
        let allowed = allowed || self.may_fail[server].load(SeqCst);
        assert!(allowed, "server {server} has its database: {message}");
        self.failures[server].fetch_add(1, SeqCst);
        false
    }

    /// Waits until readers of these servers, and the publishers, have got on.
    fn wait_for_progress(&self, servers: &[usize]) {
        for server in servers {
            let answers = self.answers[*server].load(SeqCst) + CHECKED;
            let published = self.acknowledged[*server].load(SeqCst) + 3;
            wait_until("readers and publishers get on", || {
                self.is_over()
                    || self.answers[*server].load(SeqCst) >= answers
                        && self.acknowledged[*server].load(SeqCst) >= published
            });
        }
    }
}

/// Publishes new versions of its repository through one server.
fn publish(watched: &Watched, server: usize, client: &Client) {
    let gun = GROWING[server];
    let publisher = Publisher::new(client, gun, gun);
    publisher.publish_first(client, gun);
    watched.acknowledged[server].store(1, SeqCst);
    for next in 2.. {
        let file = publisher.targets_file(next);
        let mut unknown = false;
        while !watched.is_over() {
            let (allowed, started) = (watched.may_fail[server].load(SeqCst), Instant::now());
            let answer = client.publish(gun, &[("targets", &file)]);
            if !watched.answered(server, allowed, &answer, started) {
                // It may have been stored all the same.
                unknown = true;
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            if answer.status == 400 && unknown && answer.text().contains("published to this repository first")
            {
                // That was stored while this was under way; the next attempt sees it from its beginning.
                continue;
            }
            if answer.status == 400 && unknown {
                answer.rejects("ErrBadHierarchy", "");
                let stored = client.get(&path(gun, &format!("{next}.targets.json"))).ok();
                assert_eq!(stored.body, file, "what was stored without an acknowledgement");
            } else {
                answer.ok();
            }
            watched.acknowledged[server].store(next.unsigned_abs(), SeqCst);
            break;
        }
        if watched.is_over() {
            return;
        }
        thread::sleep(BETWEEN);
    }
}

/// Denies a client and lets it in again, through each server's configuration in turn.
fn deny(watched: &Watched, servers: &[TestServer], files: &ClientFiles) {
    let certificate = files.certificate.display().to_string();
    for turn in 0.. {
        let server = &servers[turn / 2 % 2];
        let config = server.path().join("server.json").display().to_string();
        let how = ["add", "remove"][turn % 2];
        watched.denial.fetch_add(1, SeqCst);
        // The command says so when its node is away, and is tried again.
        wait_until("the denial is stored", || {
            let arguments = [how, "--cert", &certificate, "--config", &config];
            let finished = server.run_server_program("deny", arguments);
            let away = [
                "does not answer",
                "cannot be used",
                "the database failed",
                "the schema cannot be read",
            ];
            let told = finished.output();
            assert!(
                finished.code == 0 || away.iter().any(|words| told.contains(words)),
                "{finished}"
            );
            finished.code == 0 || watched.is_over()
        });
        if watched.is_over() {
            return;
        }
        watched.denial.fetch_add(1, SeqCst);
        thread::sleep(Duration::from_millis(300));
    }
}

/// Reads both repositories from one server, and checks that a client is denied while it should be.
fn read(watched: &Watched, server: usize, client: &Client, denied: &Client) {
    let (mut open, mut denied): (Open, Open) = (client.open(), denied.open());
    while !watched.is_over() {
        // Leaves the processors to the nodes.
        thread::sleep(BETWEEN);
        for (place, gun) in GROWING.iter().enumerate() {
            let published = watched.acknowledged[place].load(SeqCst);
            let at_least = published.max(watched.read[place].load(SeqCst));
            let (allowed, started) = (watched.may_fail[server].load(SeqCst), Instant::now());
            let answer = open.get(&path(gun, "targets.json"));
            if published == 0 || !watched.answered(server, allowed, &answer, started) {
                continue;
            }
            let found = version(&answer.ok());
            assert!(
                found >= at_least,
                "server {server}, {gun}: version {found} after {at_least} was acknowledged ({published}) or read"
            );
            watched.read[place].fetch_max(found, SeqCst);
        }
        let before = watched.denial.load(SeqCst);
        let (allowed, started) = (watched.may_fail[server].load(SeqCst), Instant::now());
        let answer = denied.get("/v2/");
        if !watched.answered(server, allowed, &answer, started) || watched.denial.load(SeqCst) != before {
            continue;
        }
        match before % 4 {
            0 => assert_eq!(answer.status, 200, "server {server} after the denial ended"),
            2 => assert_eq!(answer.status, 401, "server {server} after the denial"),
            _ => {}
        }
    }
}

/// What happens to the nodes meanwhile.
fn nodes_die(watched: &Watched, cluster: &mut Cluster) {
    wait_until("both repositories are there", || {
        let is_there = |version: &AtomicU64| version.load(SeqCst) > 0;
        watched.is_over() || watched.acknowledged.iter().all(is_there)
    });
    watched.wait_for_progress(&[0, 1]);

    // One that no server uses.
    let gone = |watched: &Watched, cluster: &Cluster| {
        wait_until("the others notice", || watched.is_over() || cluster.size(0) == 2);
    };
    cluster.kill(2);
    gone(watched, cluster);
    watched.wait_for_progress(&[0, 1]);
    cluster.rejoin(2);
    watched.wait_for_progress(&[0, 1]);

    // That of the second server.
    let failures = || watched.failures[1].load(SeqCst);
    watched.may_fail[1].store(true, SeqCst);
    let before = failures();
    cluster.kill(1);
    gone(watched, cluster);
    watched.wait_for_progress(&[0]);
    wait_until("the second server says so", || {
        watched.is_over() || failures() > before + 10
    });
    cluster.rejoin(1);
    watched.wait_for_progress(&[0, 1]);
    watched.may_fail[1].store(false, SeqCst);
    watched.wait_for_progress(&[0, 1]);

    // It is not dead, but alone: it must not answer from what it has.
    watched.may_fail[1].store(true, SeqCst);
    let before = failures();
    cluster[1].ask("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1';");
    gone(watched, cluster);
    watched.wait_for_progress(&[0]);
    wait_until("the second server says so", || {
        watched.is_over() || failures() > before + 10
    });
    cluster[1].ask("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0';");
    watched.wait_for_progress(&[0, 1]);
    watched.may_fail[1].store(false, SeqCst);
    watched.wait_for_progress(&[0, 1]);
}

#[test]
fn nodes_of_a_cluster_die_and_come_back_and_nothing_is_lost_or_goes_back() {
    let mut cluster = Cluster::shared();
    let (servers, databases) = two_servers(&cluster, Builder::requests_certificates);
    let watched = Watched::default();
    let clients = |name: &str| -> (ClientFiles, Vec<Client>) {
        let files = servers[0].pki().user(name);
        let of = |server: &TestServer| servers[0].client_with(&files).at_port(server.port());
        let clients = servers.iter().map(of).collect();
        (files, clients)
    };
    let (_, publishers) = clients("publisher");
    let (_, readers) = clients("reader");
    let (denied_files, denied) = clients("denied");
    thread::scope(|scope| {
        let (watched, servers, cluster) = (&watched, &servers, &mut *cluster);
        let mut actors = Vec::new();
        for server in 0..2 {
            let (publisher, reader, denied) = (&publishers[server], &readers[server], &denied[server]);
            actors.push(scope.spawn(move || publish(watched, server, publisher)));
            for _ in 0..2 {
                actors.push(scope.spawn(move || read(watched, server, reader, denied)));
            }
        }
        actors.push(scope.spawn(|| deny(watched, servers, &denied_files)));
        actors.push(scope.spawn(move || {
            nodes_die(watched, cluster);
            watched.over.store(true, SeqCst);
        }));
        // One that fails ends the others.
        wait_until_all(actors, watched);
    });
    for (gun, acknowledged) in GROWING.iter().zip(&watched.acknowledged) {
        for reader in &readers {
            let mut reader = reader.open();
            for version in 1..=acknowledged.load(SeqCst) {
                let file = reader.get(&path(gun, &format!("{version}.targets.json")));
                assert_eq!(file.status, 200, "{gun} {version} was acknowledged");
            }
        }
    }
    assert!(watched.denial.load(SeqCst) > 20, "there were denials meanwhile");
    servers[0].command_line("audit verify").ok();
    same_on_every_node(&cluster, &databases);
    let log = servers[1].log();
    assert!(log.contains("does not take part in the cluster"), "{log}");
}

fn wait_until_all(mut actors: Vec<thread::ScopedJoinHandle<'_, ()>>, watched: &Watched) {
    let mut failed = None;
    while !actors.is_empty() {
        let Some(place) = actors.iter().position(thread::ScopedJoinHandle::is_finished) else {
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        if let Err(panic) = actors.swap_remove(place).join() {
            watched.over.store(true, SeqCst);
            failed.get_or_insert(panic);
        }
    }
    if let Some(panic) = failed {
        std::panic::resume_unwind(panic);
    }
}

/// Does two things at once, again and again.
fn at_once<T: Send>(first: impl FnOnce() -> T + Send, second: impl FnOnce() -> T + Send) -> [T; 2] {
    let together = Arc::new(Barrier::new(2));
    thread::scope(|scope| {
        let other = Arc::clone(&together);
        let second = scope.spawn(move || {
            other.wait();
            second()
        });
        together.wait();
        let first = first();
        [first, second.join().unwrap()]
    })
}

/// Checks that one of two publishes was stored, and what the other heard; returns which.
fn one_won(answers: &[Response; 2]) -> usize {
    let winner = answers.iter().position(|answer| answer.status == 200);
    let winner = winner.unwrap_or_else(|| panic!("nobody won: {answers:?}"));
    let loser = &answers[1 - winner];
    assert_eq!(loser.status, 400, "both won, or failed: {}", loser.text());
    winner
}

#[test]
fn of_two_changes_through_two_nodes_at_once_one_wins() {
    let cluster = Cluster::shared();
    for kept in [true, false] {
        let (servers, databases) = two_servers(&cluster, |builder| builder.set("audit.table", json!(kept)));
        let files = servers[0].pki().user("alice");
        let clients = [0, 1].map(|server| servers[0].client_with(&files).at_port(servers[server].port()));
        let [first, second] = &clients;
        let current = |gun: &str, file: &str| clients.each_ref().map(|client| client.get(&path(gun, file)));

        if kept {
            // Two who make the same repository, with different keys.
            for turn in 0..3 {
                let gun = format!("reg/new-{turn}");
                let publishers = clients
                    .each_ref()
                    .map(|client| Publisher::new(client, &gun, &gun));
                let uploads = publishers.map(|publisher| (publisher.root_file(1), publisher.targets_file(1)));
                let make = |client: &Client, place: usize| {
                    let (root, targets) = &uploads[place];
                    client.publish(&gun, &[("root", root), ("targets", targets)])
                };
                let winner = one_won(&at_once(|| make(first, 0), || make(second, 1)));
                for served in current(&gun, "root.json") {
                    assert_eq!(served.ok().body, uploads[winner].0);
                }
            }

            // Two versions of the same number.
            let gun = "reg/raced";
            let publisher = Publisher::new(first, gun, gun);
            publisher.publish_first(first, gun);
            for next in 2..2 + RACES {
                let uploads = [publisher.targets_file(next), publisher.targets_file(next)];
                let send =
                    |client: &Client, place: usize| client.publish(gun, &[("targets", &uploads[place])]);
                let winner = one_won(&at_once(|| send(first, 0), || send(second, 1)));
                for served in current(gun, "targets.json") {
                    assert!(
                        served.ok().body == uploads[winner],
                        "what won is served by both, version {next}"
                    );
                }
            }
        }

        // Publishes and a deletion: what is left is whole, or nothing.
        let mut survived = 0;
        for turn in 0..RACES {
            let gun = format!("reg/deleted-{turn}");
            let publisher = Publisher::new(first, &gun, &gun);
            publisher.publish_first(first, &gun);
            let uploads: Vec<_> = (2..12).map(|version| publisher.targets_file(version)).collect();
            let publish = || {
                let answers = uploads
                    .iter()
                    .map(|upload| first.publish(&gun, &[("targets", upload)]));
                let stored = answers.take_while(|answer| {
                    assert!([200, 400].contains(&answer.status), "{}", answer.text());
                    answer.status == 200
                });
                stored.count()
            };
            let delete = || {
                thread::sleep(Duration::from_millis(turn.unsigned_abs() * 7));
                second.delete(&path(&gun, "")).ok();
                0
            };
            let [stored, _] = at_once(publish, delete);
            assert!(stored < uploads.len(), "the deletion came too late for this test");
            survived += stored;
            for file in ["root.json", "targets.json", "timestamp.json"] {
                for answer in current(&gun, file) {
                    assert_eq!(
                        answer.status, 404,
                        "{file} after {stored} publishes and a deletion"
                    );
                }
            }
        }
        assert!(survived > 0, "there were publishes before the deletions");
        same_on_every_node(&cluster, &databases);
        if kept {
            servers[0].command_line("audit verify").ok();
        }
    }
}
