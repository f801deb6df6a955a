//! What one program commits, every server says from the next request on: several servers, a publisher, somebody who
//! deletes and somebody who denies work on one database, and every answer to the readers is checked.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use tests::{
    ClientFiles, Engine, Programs, SERVED, TestServer,
    http::{Client, Open, Response},
    process::wait_until,
    publisher::Publisher,
    server::Builder,
};

/// How many answers to readers are checked for each set of servers.
const CHECKED: usize = 34_000;
/// How many answers are read between two changes of one kind.
const BETWEEN_CHANGES: usize = 90;
/// The repository that is published to again and again.
const GROWING: &str = "reg/growing";
/// The repository that is deleted and made again.
const COMING_AND_GOING: &str = "reg/coming-and-going";

/// A state that one actor changes and readers observe: even numbers are steady states, odd ones are on the way.
#[derive(Default)]
struct Phase(AtomicU64);

impl Phase {
    fn change(&self, how: impl FnOnce()) {
        self.0.fetch_add(1, SeqCst);
        how();
        self.0.fetch_add(1, SeqCst);
    }

    /// The steady state during which `request` was made; `None` if the state changed meanwhile.
    fn during<T>(&self, request: impl FnOnce() -> T) -> (T, Option<u64>) {
        let before = self.0.load(SeqCst);
        let outcome = request();
        let after = self.0.load(SeqCst);
        (
            outcome,
            (before == after && before.is_multiple_of(2)).then_some(before / 2),
        )
    }
}

#[derive(Default)]
struct Watched {
    /// The version of the targets whose publish was acknowledged last.
    acknowledged: AtomicU64,
    /// Odd states: the repository exists.
    repository: Phase,
    /// Odd states: the client `denied` is denied.
    denial: Phase,
    checked: AtomicUsize,
    over: AtomicBool,
}

impl Watched {
    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Lets readers read for a while between two changes.
    fn wait_for_readers(&self) {
        let enough = self.checked.load(SeqCst) + BETWEEN_CHANGES;
        wait_until("readers read", || {
            self.is_over() || self.checked.load(SeqCst) >= enough
        });
    }

    fn count(&self, answers: usize) {
        if self.checked.fetch_add(answers, SeqCst) + answers >= CHECKED {
            self.over.store(true, SeqCst);
        }
    }
}

fn version(answer: &Response) -> u64 {
    answer.json()["signed"]["version"].as_u64().unwrap()
}

fn path(gun: &str, file: &str) -> String {
    format!("/v2/{gun}/_trust/tuf/{file}")
}

/// Publishes new versions, at each server in turn.
fn publish(watched: &Watched, servers: &[Client]) {
    let publisher = Publisher::new(&servers[0], GROWING, GROWING);
    publisher.publish_first(&servers[0], GROWING);
    watched.acknowledged.store(1, SeqCst);
    for next in 2.. {
        if watched.is_over() {
            return;
        }
        let server = &servers[usize::try_from(next).unwrap() % servers.len()];
        server
            .publish(GROWING, &[("targets", &publisher.targets_file(next))])
            .ok();
        watched.acknowledged.store(next.unsigned_abs(), SeqCst);
        watched.wait_for_readers();
    }
}

/// Makes and deletes a repository, at each server in turn.
fn make_and_delete(watched: &Watched, servers: &[Client]) {
    for turn in 0.. {
        if watched.is_over() {
            return;
        }
        let (maker, deleter) = (
            &servers[turn % servers.len()],
            &servers[(turn + 1) % servers.len()],
        );
        let publisher = Publisher::new(maker, COMING_AND_GOING, COMING_AND_GOING);
        watched.repository.change(|| {
            publisher.publish_first(maker, COMING_AND_GOING);
        });
        watched.wait_for_readers();
        watched.repository.change(|| {
            deleter.delete(&path(COMING_AND_GOING, "")).ok();
        });
        watched.wait_for_readers();
    }
}

/// Denies a client and lets it in again.
fn deny(watched: &Watched, server: &TestServer, files: &ClientFiles) {
    let certificate = files.certificate.display().to_string();
    let config = server.path().join("server.json").display().to_string();
    while !watched.is_over() {
        for how in ["add", "remove"] {
            watched.denial.change(|| {
                let arguments = [how, "--cert", &certificate, "--config", &config];
                server.run_server_program("deny", arguments).ok();
            });
            watched.wait_for_readers();
        }
    }
}

/// Reads from one server on a connection that stays open.
fn read(watched: &Watched, server: &Client, denied: &Client) {
    let (mut open, mut denied) = (server.open(), denied.open());
    let mut newest = 0;
    while !watched.is_over() {
        for file in ["targets.json", "timestamp.json", "snapshot.json"] {
            let published = watched.acknowledged.load(SeqCst);
            let answer = open.get(&path(GROWING, file));
            if published == 0 {
                continue;
            }
            // Each publish makes the next version of all three.
            let found = version(&answer.ok());
            assert!(
                found >= published,
                "{file}: version {found} after {published} was acknowledged"
            );
            assert!(found >= newest, "{file}: version {found} after {newest} was read");
            newest = found;
            if file == "targets.json" {
                let before = open.get(&path(GROWING, &format!("{found}.targets.json"))).ok();
                assert_eq!(version(&before), found);
            }
        }
        for file in ["timestamp.json", "targets.json", "1.root.json"] {
            let (answer, state) = watched
                .repository
                .during(|| open.get(&path(COMING_AND_GOING, file)));
            match state {
                Some(state) if state % 2 == 1 => assert_eq!(answer.status, 200, "{file} of one that exists"),
                Some(_) => assert_eq!(answer.status, 404, "{file} of one that was deleted"),
                None => assert!([200, 404].contains(&answer.status), "{answer:?}"),
            }
        }
        let asks = |open: &mut Open| {
            [
                open.get("/v2/").status,
                open.get(&path(GROWING, "root.json")).status,
            ]
        };
        let (answers, state) = watched.denial.during(|| asks(&mut denied));
        match state {
            Some(state) if state % 2 == 1 => assert_eq!(answers, [401; 2], "after the denial"),
            Some(_) => assert!(!answers.contains(&401), "{answers:?} after the denial ended"),
            None => {}
        }
        watched.count(9);
    }
}

fn every_answer_is_current(servers: &[&TestServer], readers_of: usize) {
    let first = servers[0];
    let watched = Watched::default();
    let as_client = |files: &ClientFiles| -> Vec<Client> {
        servers
            .iter()
            .map(|server| first.client_with(files).at_port(server.port()))
            .collect()
    };
    let [publisher, deleter, readers] =
        ["publisher", "deleter", "reader"].map(|name| as_client(&first.pki().user(name)));
    let denied_files = first.pki().user("denied");
    let denied = as_client(&denied_files);
    std::thread::scope(|scope| {
        let watched = &watched;
        let actors = [
            scope.spawn(|| publish(watched, &publisher)),
            scope.spawn(|| make_and_delete(watched, &deleter)),
            scope.spawn(|| deny(watched, first, &denied_files)),
        ];
        // Notary's server, if it is among them, knows no denials, so readers do not ask it.
        let reading: Vec<_> = (0..8)
            .map(|number| number % readers_of)
            .map(|place| {
                let (reader, denied) = (&readers[place], &denied[place]);
                scope.spawn(move || read(watched, reader, denied))
            })
            .collect();
        let all = reading.into_iter().chain(actors);
        // One that fails ends the others.
        let outcomes: Vec<_> = all
            .map(|actor| {
                let outcome = actor.join();
                watched.over.store(true, SeqCst);
                outcome
            })
            .collect();
        for outcome in outcomes {
            if let Err(panic) = outcome {
                std::panic::resume_unwind(panic);
            }
        }
    });
    assert!(watched.checked.load(SeqCst) >= CHECKED);
    assert!(
        watched.acknowledged.load(SeqCst) > 10,
        "there were publishes meanwhile"
    );
    assert!(watched.repository.0.load(SeqCst) > 10, "and deletions");
    assert!(watched.denial.0.load(SeqCst) > 10, "and denials");
}

fn with_requested_certificates(builder: Builder) -> Builder {
    builder.requests_certificates()
}

#[test]
fn answers_of_two_servers_beside_a_notary_server_reflect_what_was_committed_before_the_request() {
    for engine in SERVED {
        let first = with_requested_certificates(TestServer::builder().database(engine)).start();
        let second = with_requested_certificates(TestServer::builder().beside(&first)).start();
        let notarys = TestServer::builder()
            .beside(&first)
            .programs(Programs::Notarys)
            .start();
        every_answer_is_current(&[&first, &second, &notarys], 2);
    }
}

#[test]
fn answers_of_a_server_with_an_embedded_database_reflect_what_was_committed_before_the_request() {
    let server = with_requested_certificates(TestServer::builder().database(Engine::Sqlite)).start();
    every_answer_is_current(&[&server], 1);
}
