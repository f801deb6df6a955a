//! What happens to repositories, as followers of `/v2/_trust/events` and webhooks are told.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer, ssl::SslStream};
use serde_json::{Value, json};
use tests::{
    Client, Stop, TestServer,
    http::request_bytes,
    process::wait_until,
    publisher::{Publisher, hashes, sign},
    web::{Asked, Said, Web},
};

const GUN: &str = "reg/app";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// How long a test waits for what has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that follows events.
struct Follower(BufReader<SslStream<TcpStream>>);

/// One event as it is sent.
#[derive(Debug, Default)]
struct Sent {
    id: String,
    kind: String,
    data: Value,
}

impl Follower {
    fn new(client: &Client, path: &str, last: Option<&str>) -> Self {
        let mut stream = client.connect().unwrap();
        stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        let headers: Vec<_> = last.map(|last| ("Last-Event-ID", last)).into_iter().collect();
        stream
            .write_all(&request_bytes("GET", path, &headers, &[]))
            .unwrap();
        let mut follower = Self(BufReader::new(stream));
        let status = follower.line().unwrap();
        assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
        // Whoever has read the beginning is told of everything from now on.
        while follower.line().unwrap() != "retry: 2000" {}
        follower
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    /// The next event; `None` when the stream has ended.
    fn next(&mut self) -> Option<Sent> {
        let mut sent = Sent::default();
        loop {
            let line = self.line()?;
            if let Some(id) = line.strip_prefix("id: ") {
                sent.id = id.to_owned();
            } else if let Some(kind) = line.strip_prefix("event: ") {
                sent.kind = kind.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                sent.data = serde_json::from_str(data).unwrap();
                return Some(sent);
            }
        }
    }
}

/// Publishes targets with these contents.
fn publish(client: &Client, publisher: &Publisher, version: i64, targets: &[(&str, &str)]) {
    let mut signed = Publisher::targets(version);
    let listed = targets
        .iter()
        .map(|(name, content)| ((*name).to_owned(), hashes(content.as_bytes())));
    signed["targets"] = Value::Object(listed.collect());
    client
        .publish(GUN, &[("targets", &sign(&signed, &[&publisher.targets]))])
        .ok();
}

fn names(event: &Value, list: &str) -> Vec<String> {
    let targets = event["targets"][list].as_array().unwrap();
    let name = |target: &Value| target["name"].as_str().unwrap().to_owned();
    targets.iter().map(name).collect()
}

fn policy() -> Value {
    json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
        {"effect": "allow", "principals": ["bob"], "actions": ["pull"], "guns": ["reg/*"]},
    ])
}

#[test]
fn followers_are_told_who_changed_which_targets_and_go_on_where_they_stopped() {
    let server = TestServer::builder().set("policy", policy()).start();
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    let mut follower = Follower::new(&alice, "/v2/_trust/events", None);
    let mut pulling = Follower::new(&bob, "/v2/reg/app/_trust/events", None);
    let mut other = Follower::new(&bob, "/v2/reg/other/_trust/events", None);
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    publish(&alice, &publisher, 2, &[("v1", "what is signed"), ("v2", "two")]);
    let told: Vec<Sent> = (0..2).map(|_| follower.next().unwrap()).collect();
    assert_eq!(told[0].kind, "published");
    assert_eq!(told[0].data["previousVersion"], Value::Null);
    assert_eq!(names(&told[0].data, "added"), ["v1"]);
    assert_eq!(told[1].data["actor"]["principal"], "alice");
    assert_eq!(told[1].data["gun"], GUN);
    assert_eq!(told[1].data["version"], 2);
    assert_eq!(told[1].data["previousVersion"], 1);
    assert_eq!(names(&told[1].data, "added"), ["v2"]);
    assert!(names(&told[1].data, "changed").is_empty());
    drop(follower);
    // While nobody follows:
    publish(&alice, &publisher, 3, &[("v1", "another"), ("v3", "three")]);
    alice.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
    let mut again = Follower::new(&alice, "/v2/_trust/events", Some(&told[1].id));
    let missed: Vec<Sent> = (0..2).map(|_| again.next().unwrap()).collect();
    assert_eq!(missed[1].kind, "deleted");
    assert_eq!(missed[1].data["targets"], Value::Null);
    // bob may pull, so he is told of the changes, but not who made them, as in the changefeed.
    let pulled: Vec<Sent> = (0..4).map(|_| pulling.next().unwrap()).collect();
    assert_eq!(pulled[0].kind, "published");
    assert_eq!(pulled[0].data["actor"], Value::Null);
    assert_eq!(pulled[3].kind, "deleted");
    let changed = &pulled[2].data;
    if changed["targets"] != Value::Null {
        assert_eq!(names(changed, "changed"), ["v1"]);
        assert_eq!(names(changed, "removed"), ["v2"]);
    }
    // The follower of another repository was told nothing of this one.
    let publisher = Publisher::new(&alice, "reg/other", "reg/other");
    publisher.publish_first(&alice, "reg/other");
    assert_eq!(other.next().unwrap().data["gun"], "reg/other");
}

#[test]
fn whoever_may_not_read_changes_is_refused_and_bad_ids_are_named() {
    let server = TestServer::builder().set("policy", policy()).start();
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    assert_eq!(bob.get("/v2/_trust/events").status, 403);
    assert_eq!(bob.get("/v2/other/app/_trust/events").status, 403);
    assert_eq!(
        server.client("carol").get("/v2/reg/app/_trust/events").status,
        403
    );
    for id in ["999999", "-1", "x", "1.5", "99999999999"] {
        let refused = alice.request("GET", "/v2/_trust/events", &[("Last-Event-ID", id)], &[]);
        let error = refused.refuses(400, "INVALID_PARAMETERS");
        assert!(error.to_string().contains("Last-Event-ID"), "{id}: {error}");
    }
}

#[test]
fn clients_without_an_identity_do_not_take_the_places_of_others() {
    let mut rules = policy();
    let open = json!({"effect": "allow", "principals": ["anonymous"], "actions": ["pull"]});
    rules.as_array_mut().unwrap().push(open);
    let server = TestServer::builder()
        .requests_certificates()
        .set("policy", rules)
        .start();
    let (nobody, alice) = (server.client_without_certificate(), server.client("alice"));
    let path = "/v2/reg/app/_trust/events";
    let followers: Vec<Follower> = (0..64).map(|_| Follower::new(&nobody, path, None)).collect();
    nobody.get(path).refuses(503, "UNAVAILABLE");
    let mut follower = Follower::new(&alice, path, None);
    drop(followers);
    Publisher::new(&alice, GUN, GUN).publish_first(&alice, GUN);
    assert_eq!(follower.next().unwrap().kind, "published");
    // Places are free again when the server notices that a client is gone.
    wait_until("there is a place", || {
        let mut stream = nobody.connect().unwrap();
        stream.write_all(&request_bytes("GET", path, &[], &[])).unwrap();
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).unwrap();
        status.starts_with("HTTP/1.1 200 ")
    });
}

#[test]
fn a_stream_ends_when_its_client_is_denied_and_when_the_server_stops() {
    let mut server = TestServer::start();
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    let mut denied = Follower::new(&bob, "/v2/_trust/events", None);
    let mut allowed = Follower::new(&alice, "/v2/_trust/events", None);
    server.command_line("deny add --principal bob").ok();
    assert!(denied.next().is_none());
    Publisher::new(&alice, GUN, GUN).publish_first(&alice, GUN);
    assert_eq!(allowed.next().unwrap().kind, "published");
    let begun = Instant::now();
    server.stop_server(Stop::Politely);
    assert!(allowed.next().is_none());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// A receiver that keeps what it took, and answers the first requests with 503.
struct Receiver {
    web: Web,
    taken: Arc<Mutex<Vec<Value>>>,
    refuses: Arc<AtomicUsize>,
}

impl Receiver {
    fn start(refuses: usize) -> Self {
        let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
        let refuses = Arc::new(AtomicUsize::new(refuses));
        let (kept, left) = (Arc::clone(&taken), Arc::clone(&refuses));
        let web = Web::start(move |asked| {
            verify(asked);
            if left
                .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
                .is_ok()
            {
                return Said {
                    status: "503 Service Unavailable",
                    ..Said::ok(b"busy".to_vec())
                };
            }
            kept.lock()
                .unwrap()
                .push(serde_json::from_slice(&asked.body).unwrap());
            Said::ok(Vec::new())
        });
        Self { web, taken, refuses }
    }

    fn settings(&self, attempts: u32) -> Value {
        json!([{
            "name": "ci", "url": self.web.url("/hook"), "secret_file": "hook.secret", "allow_private": true,
            "attempts": attempts, "guns": ["reg/**"],
        }])
    }

    fn ids(&self) -> Vec<i64> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|event| event["id"].as_i64().unwrap()).collect()
    }

    fn wait_for(&self, count: usize) {
        wait_until("the receiver took the events", || {
            self.ids().into_iter().collect::<BTreeSet<_>>().len() >= count
        });
    }
}

/// The signature of time and body is that of the secret that both know.
fn verify(asked: &Asked) {
    let header = |name: &str| {
        let found = asked.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap()
    };
    let key = PKey::hmac(SECRET.as_bytes()).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer
        .update(header("x-countersign-timestamp").as_bytes())
        .unwrap();
    signer.update(b".").unwrap();
    signer.update(&asked.body).unwrap();
    let expected = format!("sha256={}", hex::encode(signer.sign_to_vec().unwrap()));
    assert_eq!(header("x-countersign-signature"), expected);
}

fn start(settings: Value) -> TestServer {
    let prepared = TestServer::builder().set("webhooks", settings).prepare();
    std::fs::write(prepared.path().join("hook.secret"), SECRET).unwrap();
    prepared.start()
}

#[test]
fn a_webhook_is_told_everything_in_order_after_refusals_and_restarts() {
    let receiver = Receiver::start(2);
    let mut server = start(receiver.settings(8));
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    // It is told of what happens once the server has looked for the first time.
    wait_until("the webhook is known", || {
        server.command_line("webhook list").stdout.contains("told up to")
    });
    publisher.publish_first(&alice, GUN);
    publish(&alice, &publisher, 2, &[("v2", "two")]);
    receiver.wait_for(2);
    server.stop_server(Stop::AtOnce);
    server.start_server();
    publish(&alice, &publisher, 3, &[("v3", "three")]);
    Publisher::new(&alice, "else/where", "else/where").publish_first(&alice, "else/where");
    alice.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
    receiver.wait_for(4);
    let taken = receiver.taken.lock().unwrap().clone();
    let kinds: BTreeSet<&str> = taken
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["deleted", "published"]));
    assert!(taken.iter().all(|event| event["gun"] == GUN), "{taken:?}");
    let mut first_seen = Vec::new();
    for id in receiver.ids() {
        if !first_seen.contains(&id) {
            first_seen.push(id);
        }
    }
    assert!(first_seen.is_sorted(), "{first_seen:?}");
    assert_eq!(receiver.refuses.load(SeqCst), 0);
    assert!(
        server
            .command_line("webhook list")
            .ok()
            .stdout
            .contains("0 not taken")
    );
}

#[test]
fn what_a_webhook_does_not_take_is_kept_listed_and_sent_again_on_request() {
    let receiver = Receiver::start(1_000);
    let server = start(receiver.settings(1));
    let alice = server.client("alice");
    wait_until("the webhook is known", || {
        server.command_line("webhook list").stdout.contains("told up to")
    });
    Publisher::new(&alice, GUN, GUN).publish_first(&alice, GUN);
    wait_until("the event is kept", || {
        server.command_line("webhook list").stdout.contains("1 not taken")
    });
    let listed = server.command_line("webhook list").fails();
    assert!(
        listed.stdout.contains("503") && listed.stdout.contains("busy"),
        "{listed}"
    );
    let refused = server.command_line("webhook test ci").fails();
    assert!(refused.stderr.contains("503"), "{refused}");
    receiver.refuses.store(0, SeqCst);
    assert!(server.command_line("webhook test ci").ok().stdout.contains("200"));
    assert!(
        server
            .command_line("webhook replay ci")
            .ok()
            .stdout
            .contains("taken")
    );
    let taken = receiver.taken.lock().unwrap().clone();
    assert!(
        taken
            .iter()
            .any(|event| event["kind"] == "published" && event["gun"] == GUN)
    );
    assert!(
        server
            .command_line("webhook list")
            .ok()
            .stdout
            .contains("0 not taken")
    );
    let unknown = server.command_line("webhook replay cd").fails();
    assert!(unknown.stderr.contains("ci"), "{unknown}");
}

#[test]
fn webhooks_that_cannot_work_or_reach_inside_are_refused_at_the_start() {
    let cases = [
        (json!({"url": "http://127.0.0.1:1/"}), "allow_private"),
        (json!({"url": "ftp://ci.example.com/"}), "https://"),
        (json!({"url": "https://user:word@ci.example.com/"}), "user name"),
        (json!({"secret_file": "no.such.file"}), "no.such.file"),
        (json!({"secret_file": "short.secret"}), "openssl rand"),
        (json!({"guns": ["reg/${principal}"]}), "principal"),
        (json!({"events": ["publish"]}), "did you mean published?"),
        (json!({"name": "CI server"}), "lower-case"),
        (json!({"secret": "x"}), "secret"),
    ];
    let server = TestServer::start();
    std::fs::write(server.path().join("hook.secret"), SECRET).unwrap();
    std::fs::write(server.path().join("short.secret"), "short").unwrap();
    for (change, expected) in cases {
        let mut webhook = json!({
            "name": "ci", "url": "https://ci.example.com/", "secret_file": "hook.secret",
        });
        for (key, value) in change.as_object().unwrap() {
            webhook[key] = value.clone();
        }
        server.configure("webhooks", json!([webhook]));
        let checked = server.command_line("check-config").fails();
        let said = checked.to_string();
        assert!(said.contains(expected), "{change}: {said}");
    }
}
