//! What is read, remembered and published, against a server in this process.

#![allow(clippy::unwrap_used)]

mod fake;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use client::{
    Current, Demand, Repositories, Server, StateDirectory,
    keys::{KeyDirectory, KeyStore, Passphrases, PrivateKey},
    publish::{Change, Editor, PublishError, Target},
    reading::Reading,
};
use fake::Fake;
use tempfile::TempDir;
use tuf::{Checksum, DelegationName, Gun, RoleName};
use verifier::{Anchor, Pattern, Reason};

const GUN: &str = "reg.example/app";
const WAIT: Duration = Duration::from_secs(10);

/// A server, a publisher's keys, and a directory for state.
struct World {
    fake: Fake,
    keys: KeyDirectory,
    directory: TempDir,
    gun: Gun,
    anchor: Anchor,
}

impl World {
    /// A world with one repository, in which `targets` names `v1`.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let passphrases = Passphrases::of(|_| Some("passphrase".into()));
        let world = Self {
            fake: Fake::start().await,
            keys: KeyDirectory::new(&directory.path().join("keys"), passphrases),
            directory,
            gun: Gun::parse(GUN).unwrap(),
            anchor: Anchor::Tofu {
                scope: Pattern::parse("**").unwrap(),
            },
        };
        world.begin().await;
        world
    }

    async fn begin(&self) {
        let root = PrivateKey::generate().unwrap();
        self.keys.add(&root, "root", None).unwrap();
        let repositories = Repositories::new(None);
        let editor = Editor::new(&repositories, self.fake.server(), &self.keys, WAIT);
        editor
            .init(&self.gun, &self.anchor, root.id(), None, &[add("v1")])
            .await
            .unwrap();
    }

    async fn publish(&self, changes: &[Change]) -> Result<(), PublishError> {
        let repositories = Repositories::new(None);
        let editor = Editor::new(&repositories, self.fake.server(), &self.keys, WAIT);
        editor.publish(&self.gun, &self.anchor, changes).await.map(drop)
    }

    fn state(&self) -> StateDirectory {
        StateDirectory::open(self.directory.path().join("state")).unwrap()
    }

    /// Repositories of a new process, as it were.
    fn repositories(&self) -> Repositories {
        let clock = Arc::new(chrono::Utc::now);
        Repositories::with(Some(self.state()), clock, Duration::ZERO, Duration::ZERO)
    }

    async fn ask(&self, repositories: &Repositories, server: &Arc<Server>, demand: Demand) -> Current {
        repositories
            .current(server, &self.gun, &self.anchor, demand)
            .await
    }

    async fn now(&self, repositories: &Repositories, server: &Arc<Server>) -> Current {
        self.ask(repositories, server, Demand::now(WAIT)).await
    }
}

fn add_to(role: RoleName, tag: &str) -> Change {
    Change::AddTarget {
        role,
        name: tag.to_owned(),
        target: Target {
            sha256: Checksum::of(tag.as_bytes()),
            length: 1,
            custom: None,
        },
    }
}

fn add(tag: &str) -> Change {
    add_to(RoleName::Targets, tag)
}

fn reason(current: &Current) -> Option<Reason> {
    current.repository.as_ref().err().map(|denial| denial.reason)
}

fn tags(current: &Current) -> Vec<String> {
    let repository = current.repository.as_ref().unwrap();
    let mut tags: Vec<String> = repository
        .role("targets")
        .unwrap()
        .tags()
        .map(|(tag, _)| tag.to_owned())
        .collect();
    tags.sort();
    tags
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_and_the_files_are_the_same_documents() {
    let world = World::new().await;
    let releases = DelegationName::parse("targets/releases").unwrap();
    let key = PrivateKey::generate().unwrap();
    world.keys.add(&key, "releases", None).unwrap();
    let delegation = Change::AddDelegation {
        role: releases.clone(),
        keys: vec![client::keys::SigningKey::public(&key).clone()],
        paths: vec![String::new()],
    };
    let release = add_to(RoleName::Delegation(releases), "v2");
    world.publish(&[delegation, release]).await.unwrap();
    let root = PrivateKey::generate().unwrap();
    world.keys.add(&root, "root", None).unwrap();
    let repositories = Repositories::new(None);
    let editor = Editor::new(&repositories, world.fake.server(), &world.keys, WAIT);
    editor
        .rotate_root(&world.gun, &world.anchor, root.id())
        .await
        .unwrap();

    let server = world.fake.server();
    let Ok(Reading::Documents(bundle)) = server.read(&world.gun, None).await else {
        panic!("no bundle");
    };
    assert_eq!(
        (bundle.documents.roots.len(), bundle.documents.targets.len()),
        (2, 2)
    );
    assert_eq!(
        server.read(&world.gun, Some(&bundle)).await,
        Ok(Reading::Unchanged)
    );
    world.fake.inner.bundles.store(false, Ordering::SeqCst);
    let server = world.fake.server();
    let Ok(Reading::Documents(files)) = server.read(&world.gun, None).await else {
        panic!("no files");
    };
    assert_eq!(files.documents, bundle.documents);
    assert_eq!(
        server.read(&world.gun, Some(&files)).await,
        Ok(Reading::Unchanged)
    );
    world.publish(&[add("v3")]).await.unwrap();
    let Ok(Reading::Documents(newer)) = server.read(&world.gun, Some(&files)).await else {
        panic!("no newer files");
    };
    assert_eq!(newer.documents.roots, files.documents.roots);
    assert_ne!(
        newer.documents.targets["targets"],
        files.documents.targets["targets"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_ask_at_once_one_asks_the_server() {
    let world = World::new().await;
    let (repositories, server) = (world.repositories(), world.fake.server());
    world.fake.inner.delay.store(200, Ordering::SeqCst);
    let before = world.fake.requests();
    let all = (0..100).map(|_| world.ask(&repositories, &server, Demand::within(TimeDelta::hours(1), WAIT)));
    for current in futures_util::future::join_all(all).await {
        assert_eq!(tags(&current), ["v1"]);
    }
    assert_eq!(world.fake.requests() - before, 1);
    // Those who want to know what is so now may need one that began after they asked.
    let all = (0..100).map(|_| world.now(&repositories, &server));
    futures_util::future::join_all(all).await;
    assert!(world.fake.requests() - before <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_goes_on_without_those_who_asked_and_nobody_waits_who_has_something() {
    let world = World::new().await;
    let (repositories, server) = (world.repositories(), world.fake.server());
    world.fake.inner.delay.store(300, Ordering::SeqCst);
    let impatient = world
        .ask(&repositories, &server, Demand::now(Duration::from_millis(20)))
        .await;
    assert_eq!(reason(&impatient), Some(Reason::ServerUnreachable));
    let within = Demand::within(TimeDelta::hours(1), WAIT);
    assert_eq!(tags(&world.ask(&repositories, &server, within).await), ["v1"]);
    world.publish(&[add("v2")]).await.unwrap();
    let began = Instant::now();
    let mut seen = world.ask(&repositories, &server, within).await;
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    while tags(&seen) != ["v1", "v2"] {
        assert!(began.elapsed() < WAIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
        seen = world.ask(&repositories, &server, within).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_lets_what_it_said_serve_and_tells_how_old_that_is() {
    let world = World::new().await;
    let server = world.fake.server();
    world
        .now(&world.repositories(), &server)
        .await
        .repository
        .unwrap();
    world.fake.set_silent(true);
    let wait = Duration::from_millis(300);
    let repositories = world.repositories();
    let current = world.ask(&repositories, &server, Demand::now(wait)).await;
    assert_eq!(tags(&current), ["v1"]);
    assert!(!current.contact.reached() && current.contact.last.is_some());
    let later = chrono::Utc::now() + TimeDelta::hours(2);
    assert!(current.contact.freshness(later).age >= TimeDelta::hours(2));
    // This waits until a reading has given up; after that, who can bear the age does not wait for another one.
    world.ask(&repositories, &server, Demand::now(WAIT)).await;
    let began = Instant::now();
    let current = world
        .ask(&repositories, &server, Demand::within(TimeDelta::hours(1), WAIT))
        .await;
    assert_eq!(tags(&current), ["v1"]);
    assert!(!current.contact.reached() && began.elapsed() < Duration::from_millis(100));
    // Who never asked has nothing.
    let other = Repositories::new(None);
    let current = world.ask(&other, &server, Demand::now(wait)).await;
    assert_eq!(reason(&current), Some(Reason::ServerUnreachable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_stands_until_the_server_says_something_else() {
    let world = World::new().await;
    let (repositories, server) = (world.repositories(), world.fake.server());
    world.now(&repositories, &server).await.repository.unwrap();
    world.fake.refuse(403);
    let current = world.now(&repositories, &server).await;
    assert_eq!(reason(&current), Some(Reason::AccessDenied));
    assert!(
        current
            .repository
            .unwrap_err()
            .sentence
            .contains("the operator said no")
    );
    world.fake.set_silent(true);
    for repositories in [repositories.clone(), world.repositories()] {
        let current = world
            .ask(&repositories, &server, Demand::now(Duration::from_millis(300)))
            .await;
        assert_eq!(reason(&current), Some(Reason::AccessDenied));
    }
    world.fake.set_silent(false);
    world.fake.refuse(500);
    let current = world.now(&world.repositories(), &server).await;
    assert_eq!(reason(&current), Some(Reason::AccessDenied));
    world.fake.refuse(0);
    assert_eq!(tags(&world.now(&repositories, &server).await), ["v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_what_was_seen_is_refused_until_it_is_not() {
    let world = World::new().await;
    let server = world.fake.server();
    let old = world.fake.stored(GUN);
    world.publish(&[add("v2")]).await.unwrap();
    world
        .now(&world.repositories(), &server)
        .await
        .repository
        .unwrap();
    let new = world.fake.stored(GUN);
    world.fake.restore(GUN, old);
    for bundles in [true, false] {
        world.fake.inner.bundles.store(bundles, Ordering::SeqCst);
        let current = world.now(&world.repositories(), &world.fake.server()).await;
        assert_eq!(reason(&current), Some(Reason::Rollback));
    }
    world.fake.delete(GUN);
    assert_eq!(
        reason(&world.now(&world.repositories(), &server).await),
        Some(Reason::NoTrustData)
    );
    world.fake.restore(GUN, new);
    assert_eq!(
        tags(&world.now(&world.repositories(), &server).await),
        ["v1", "v2"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_root_is_refused_until_an_operator_accepts_what_was_shown() {
    let world = World::new().await;
    let server = world.fake.server();
    let repositories = world.repositories();
    world.now(&repositories, &server).await.repository.unwrap();
    world.fake.delete(GUN);
    world.begin().await;
    let first = world.fake.stored(GUN);
    assert_eq!(
        reason(&world.now(&repositories, &server).await),
        Some(Reason::RootReset)
    );
    world.fake.set_silent(true);
    let silent = Demand::now(Duration::from_millis(300));
    assert_eq!(
        reason(&world.ask(&world.repositories(), &server, silent).await),
        Some(Reason::RootReset)
    );
    world.fake.set_silent(false);
    let shown = repositories
        .offered_root(&server, &world.gun, &world.anchor)
        .await
        .unwrap();
    assert_ne!(shown.old.as_ref().unwrap().key_ids, shown.new.key_ids);
    // The server offers another one than was shown.
    world.fake.delete(GUN);
    world.begin().await;
    let refused = repositories
        .accept_root(&server, &world.gun, &world.anchor, &shown)
        .await;
    assert_eq!(refused.unwrap_err().reason, Reason::RootReset);
    assert_eq!(
        reason(&world.now(&repositories, &server).await),
        Some(Reason::RootReset)
    );
    world.fake.restore(GUN, first);
    repositories
        .accept_root(&server, &world.gun, &world.anchor, &shown)
        .await
        .unwrap();
    assert_eq!(tags(&world.now(&repositories, &server).await), ["v1"]);
    assert_eq!(tags(&world.now(&world.repositories(), &server).await), ["v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_state_is_no_first_contact() {
    let world = World::new().await;
    let server = world.fake.server();
    world
        .now(&world.repositories(), &server)
        .await
        .repository
        .unwrap();
    let state = file(&world.directory.path().join("state"), "state");
    let good = fs::read(&state).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [Vec::new(), good[..good.len() - 1].to_vec(), flipped] {
        fs::write(&state, &damaged).unwrap();
        let current = world.now(&world.repositories(), &server).await;
        assert_eq!(reason(&current), Some(Reason::InvalidState));
        assert!(
            current
                .repository
                .unwrap_err()
                .sentence
                .contains(state.to_str().unwrap())
        );
        assert_eq!(fs::read(&state).unwrap(), damaged);
    }
    fs::write(&state, good).unwrap();
    // A damaged note of contacts only means that the server is asked.
    fs::write(file(&world.directory.path().join("state"), "contact"), "{").unwrap();
    world.fake.set_silent(true);
    let silent = Demand::now(Duration::from_millis(300));
    assert_eq!(
        reason(&world.ask(&world.repositories(), &server, silent).await),
        Some(Reason::ServerUnreachable)
    );
    world.fake.set_silent(false);
    assert_eq!(tags(&world.now(&world.repositories(), &server).await), ["v1"]);
}

fn file(directory: &Path, kind: &str) -> std::path::PathBuf {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found = entries.filter(|path| path.extension().is_some_and(|extension| extension == kind));
    found.next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_one_directory_never_refuse_what_others_publish() {
    let world = Arc::new(World::new().await);
    let done = Arc::new(AtomicBool::new(false));
    let readers = (0..4).map(|number| {
        let (world, done) = (Arc::clone(&world), Arc::clone(&done));
        tokio::spawn(async move {
            let (repositories, server) = (world.repositories(), world.fake.server());
            let mut count = 0;
            while !done.load(Ordering::SeqCst) {
                let current = world.now(&repositories, &server).await;
                assert!(current.repository.is_ok(), "{number}: {:?}", current.repository);
                assert!(current.contact.reached());
                count += 1;
            }
            count
        })
    });
    let readers: Vec<_> = readers.collect();
    for number in 0..20 {
        // Half of it without bundles, for those who ask for the first time in a while.
        world.fake.inner.bundles.store(number % 2 == 0, Ordering::SeqCst);
        world.publish(&[add(&format!("t{number}"))]).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_delays_nobody_else() {
    let (slow, quick) = (World::new().await, World::new().await);
    slow.fake.set_silent(true);
    let repositories = quick.repositories();
    let (slow_server, quick_server) = (slow.fake.server(), quick.fake.server());
    let wait = Duration::from_millis(500);
    let waiting: Vec<_> = (0..500)
        .map(|number| {
            let (repositories, server) = (repositories.clone(), Arc::clone(&slow_server));
            let (gun, anchor) = (
                Gun::parse(&format!("{GUN}{number}")).unwrap(),
                slow.anchor.clone(),
            );
            tokio::spawn(async move {
                repositories
                    .current(&server, &gun, &anchor, Demand::now(wait))
                    .await
            })
        })
        .collect();
    let began = Instant::now();
    assert_eq!(tags(&quick.now(&repositories, &quick_server).await), ["v1"]);
    assert!(
        began.elapsed() < Duration::from_millis(400),
        "{:?}",
        began.elapsed()
    );
    for current in waiting {
        assert_eq!(reason(&current.await.unwrap()), Some(Reason::ServerUnreachable));
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_change_keeps_roles_readable_or_is_refused() {
    let world = World::new().await;
    let role = DelegationName::parse("targets/alice").unwrap();
    let (first, second, foreign) = (
        PrivateKey::generate().unwrap(),
        PrivateKey::generate().unwrap(),
        PrivateKey::generate().unwrap(),
    );
    let public = |key: &PrivateKey| client::keys::SigningKey::public(key).clone();
    world.keys.add(&first, "alice", None).unwrap();
    world.keys.add(&second, "alice", None).unwrap();
    let delegation = Change::AddDelegation {
        role: role.clone(),
        keys: vec![public(&first)],
        paths: vec![String::new()],
    };
    let signed = add_to(RoleName::Delegation(role.clone()), "v9");
    world.publish(&[delegation, signed]).await.unwrap();
    let replace = |key: &PrivateKey| Change::ReplaceDelegationKeys {
        role: role.clone(),
        keys: vec![public(key)],
    };
    let refused = world.publish(&[replace(&foreign)]).await.unwrap_err();
    assert!(matches!(refused, PublishError::WouldBreak { .. }), "{refused}");
    world.publish(&[replace(&second)]).await.unwrap();
    let current = world.now(&world.repositories(), &world.fake.server()).await;
    let alice = current
        .repository
        .as_ref()
        .unwrap()
        .role("targets/alice")
        .unwrap()
        .clone();
    assert_eq!((alice.version(), alice.tags().count()), (2, 1));
    // A new key beside the old one breaks nothing, and its owner signs whenever he wants.
    let beside = Change::AddDelegation {
        role: role.clone(),
        keys: vec![public(&foreign)],
        paths: Vec::new(),
    };
    world.publish(&[beside]).await.unwrap();
    let remove = Change::RemoveDelegationKeys {
        role: role.clone(),
        keys: vec![second.id().clone()],
    };
    let refused = world.publish(std::slice::from_ref(&remove)).await.unwrap_err();
    assert!(matches!(refused, PublishError::WouldBreak { .. }), "{refused}");
    world.keys.add(&foreign, "alice", None).unwrap();
    world
        .publish(&[
            Change::Witness {
                role: RoleName::Delegation(role.clone()),
            },
            remove,
        ])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_repository_is_known_before_anybody_asks() {
    let world = World::new().await;
    let clock = Arc::new(chrono::Utc::now);
    let hour = Duration::from_secs(3_600);
    let repositories = Repositories::with(None, clock, hour, Duration::ZERO);
    let server = world.fake.server();
    let following = repositories.follow(&server, &world.gun, &world.anchor).unwrap();
    let within = Demand::within(TimeDelta::hours(1), WAIT);
    assert_eq!(tags(&world.ask(&repositories, &server, within).await), ["v1"]);
    world.publish(&[add("v2")]).await.unwrap();
    let began = Instant::now();
    // Nobody asks the server for an hour, but for the follower.
    while tags(&world.ask(&repositories, &server, within).await) != ["v1", "v2"] {
        assert!(began.elapsed() < WAIT);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(following.is_active());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_what_is_needed_and_used_as_long_as_it_serves() {
    let world = World::new().await;
    let server = world.fake.server();
    world.fake.inner.wants_token.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(tags(&world.now(&world.repositories(), &server).await), ["v1"]);
    }
    let asked = world.fake.inner.tokens.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["service=fake&scope=repository%3Areg.example%2Fapp%3Apull"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_server_is_not_followed() {
    let world = World::new().await;
    let server = world.fake.server();
    world.fake.refuse(302);
    let before = world.fake.requests();
    let cause = server.read(&world.gun, None).await.unwrap_err().to_string();
    assert!(cause.contains("redirects to another server"), "{cause}");
    assert_eq!(world.fake.requests() - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_without_a_key_put_there_is_not_signed_by_the_next_publisher() {
    let world = World::new().await;
    let role = DelegationName::parse("targets/alice").unwrap();
    let (alice, mallory) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    world.keys.add(&alice, "alice", None).unwrap();
    let delegation = Change::AddDelegation {
        role: role.clone(),
        keys: vec![client::keys::SigningKey::public(&alice).clone()],
        paths: vec!["good".into(), "bet".into()],
    };
    let of_alice = |tag: &str| add_to(RoleName::Delegation(role.clone()), tag);
    let hidden = world
        .publish(&[delegation.clone(), of_alice("bad")])
        .await
        .unwrap_err();
    assert!(hidden.to_string().contains("begin with good or bet"), "{hidden}");
    world.publish(&[delegation, of_alice("good")]).await.unwrap();
    let forged = world.fake.stored(GUN).current["targets/alice"].clone();
    let mut forged: serde_json::Value = serde_json::from_slice(&forged).unwrap();
    forged["signed"]["targets"]["evil"] = forged["signed"]["targets"]["good"].clone();
    forged["signed"]["version"] = 2.into();
    let forged = fake::signed(&mallory, &forged["signed"]);
    world
        .fake
        .inner
        .store(GUN, [("targets/alice".to_owned(), forged)].into());
    world.publish(&[of_alice("better")]).await.unwrap();
    let current = world.now(&world.repositories(), &world.fake.server()).await;
    let now = current
        .repository
        .as_ref()
        .unwrap()
        .role("targets/alice")
        .unwrap()
        .clone();
    assert_eq!(now.version(), 3);
    assert_eq!(now.tags().map(|(tag, _)| tag).collect::<Vec<_>>(), ["better"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_program_does_not_know_stays_as_it_is() {
    let world = World::new().await;
    let key = world
        .keys
        .list()
        .unwrap()
        .into_iter()
        .find(|key| key.role == "targets")
        .unwrap();
    let key = world.keys.open(&key.id).unwrap();
    let targets = world.fake.stored(GUN).current["targets"].clone();
    let mut targets: serde_json::Value = serde_json::from_slice(&targets).unwrap();
    let custom = serde_json::json!({"x": [1, {"<é&>": null}]});
    targets["signed"]["version"] = 2.into();
    targets["signed"]["of-another-tool"] = custom.clone();
    targets["signed"]["targets"]["v1"]["custom"] = custom.clone();
    let targets = fake::signed(key.as_ref(), &targets["signed"]);
    world
        .fake
        .inner
        .store(GUN, [("targets".to_owned(), targets)].into());
    world.publish(&[add("v2")]).await.unwrap();
    let targets = world.fake.stored(GUN).current["targets"].clone();
    let targets: serde_json::Value = serde_json::from_slice(&targets).unwrap();
    assert_eq!(targets["signed"]["version"], 3);
    assert_eq!(targets["signed"]["of-another-tool"], custom);
    assert_eq!(targets["signed"]["targets"]["v1"]["custom"], custom);
    assert!(targets["signed"]["targets"]["v2"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_others_have_overtaken_is_asked_for_again() {
    let world = Arc::new(World::new().await);
    let server = world.fake.server_within(Duration::from_secs(60));
    let slow = world.repositories();
    world.now(&slow, &server).await.repository.unwrap();
    world.publish(&[add("v2")]).await.unwrap();
    world.fake.inner.hold_next.store(true, Ordering::SeqCst);
    let overtaken = {
        let world = Arc::clone(&world);
        let demand = Demand::now(Duration::from_secs(60));
        tokio::spawn(async move { world.ask(&slow, &server, demand).await })
    };
    while !world.fake.inner.held.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.publish(&[add("v3")]).await.unwrap();
    let overtaking = world.now(&world.repositories(), &world.fake.server()).await;
    world.fake.inner.held.store(false, Ordering::SeqCst);
    assert_eq!(tags(&overtaking), ["v1", "v2", "v3"]);
    assert_eq!(tags(&overtaken.await.unwrap()), ["v1", "v2", "v3"]);
}
