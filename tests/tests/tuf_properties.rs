//! Whatever of TUF 1.0 the server takes in, tough, python-tuf and tuf-js read, and find in it what was signed.

use std::fs;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use tests::{
    TestServer,
    countersign::Countersign,
    native::{Installed, Key, READERS, Repository, all_of, in_days},
};
use tuf_native::{
    Role,
    authoring::{Delegate, DelegatedPaths, Target, TargetsContent},
};

/// What no repository lists.
const ABSENT: &str = "d";
/// How many repositories are tried.
const TRIALS: usize = 160;

/// What is tried in one repository.
#[derive(Debug, Clone)]
struct Trial {
    /// The paths that targets lists.
    listed: Vec<String>,
    /// The paths that the delegated role lists.
    delegated: Vec<String>,
    /// The name of the delegated role.
    role: String,
    /// What is delegated to it.
    paths: DelegatedPaths,
    terminating: bool,
    /// What targets' signer adds to each of them.
    custom: Value,
    /// How the files are laid out: spaces, the order of members, and characters as escapes.
    layout: u64,
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => "[a-c][a-c.-]{0,2}".boxed(),
        1 => "[ -~]{1,4}".boxed(),
        1 => "\\PC{1,3}".boxed(),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

fn delegated_paths() -> impl Strategy<Value = DelegatedPaths> {
    prop_oneof![
        2 => Just(DelegatedPaths::everything()),
        1 => prop::collection::vec("[a-c?][a-c?]{0,1}[*]?(/[a-c?][*])?", 1..4).prop_map(DelegatedPaths::Patterns),
        1 => prop::collection::vec("[0-9a-f]{1,2}", 1..8).prop_map(DelegatedPaths::HashPrefixes),
    ]
}

/// JSON of any kind, with the numbers and texts that readers treat in ways of their own.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => Just(Value::Null),
        4 => any::<bool>().prop_map(Value::from),
        4 => (-(1_i64 << 53)..=1 << 53).prop_map(Value::from),
        1 => prop::sample::select(vec![json!(1.5), json!(-0.0), json!(1e30)]),
        4 => "[ -~]{0,4}".prop_map(Value::from),
        4 => "\\PC{0,4}".prop_map(Value::from),
        4 => "[\u{0}-\u{20}\u{7f}\"\\\\/\u{e9}\u{2028}\u{10348}]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("\\PC{0,3}|[ -~]{0,3}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn trial() -> impl Strategy<Value = Trial> {
    (
        prop::collection::vec(path(), 1..4),
        prop::collection::vec(path(), 0..3),
        prop_oneof![4 => "[a-c]{1,3}(/[a-c]{1,2})?", 1 => "\\PC{1,4}"],
        delegated_paths(),
        any::<bool>(),
        anything(),
        any::<u64>(),
    )
        .prop_map(
            |(listed, delegated, role, paths, terminating, custom, layout)| Trial {
                listed,
                delegated,
                role,
                paths,
                terminating,
                custom,
                layout,
            },
        )
}

/// Writes JSON as no program does, with the same meaning. `bits` is used up for the choices.
fn written(value: &Value, bits: &mut u64) -> String {
    let mut choice = |of: u64| {
        *bits = bits
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*bits >> 33) % of
    };
    let space = [" ", "", "\n\t", ""][usize::try_from(choice(4)).unwrap()];
    let text = |text: &str, escaped: bool| {
        let mut out = "\"".to_owned();
        for character in text.chars() {
            match character {
                _ if escaped || character < ' ' || matches!(character, '"' | '\\') => {
                    let mut units = [0; 2];
                    for unit in character.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04X}"));
                    }
                }
                _ => out.push(character),
            }
        }
        out + "\""
    };
    match value {
        Value::String(string) => text(string, choice(3) == 0),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| written(item, bits)).collect();
            format!("[{space}{}]", items.join(&format!("{space},")))
        }
        Value::Object(members) => {
            let escaped = choice(5) == 0;
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            let first = usize::try_from(choice(7)).unwrap();
            if !members.is_empty() {
                let length = members.len();
                members.rotate_left(first % length);
            }
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| {
                    format!("{}{space}:{space}{}", text(name, escaped), written(value, bits))
                })
                .collect();
            format!("{{{space}{}{space}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

/// Publishes a trial; `None` if anything of it is refused.
fn publish(server: &TestServer, name: &str, trial: &Trial) -> Option<Vec<u8>> {
    let repository = Repository::new(name, server.client("alice"));
    let (owner, bob) = (Key::new(), Key::new());
    let root = owner.sign(&repository.first_root(&[&owner], &[&owner]).draft().unwrap());
    let mut targets = repository.first_targets(&[]);
    for path in &trial.listed {
        let mut target = Target::of(path.as_bytes());
        target.custom.insert("anything".to_owned(), trial.custom.clone());
        targets.targets.insert(path.clone(), target);
    }
    let role = Role::parse(&trial.role).ok()?;
    if !matches!(role, Role::Delegated(_)) {
        return None;
    }
    targets.delegate(Delegate {
        role: role.clone(),
        signers: all_of(&[&bob]),
        paths: trial.paths.clone(),
        terminating: trial.terminating,
    });
    let mut below = TargetsContent::first(&repository.name, role, in_days(30));
    for path in &trial.delegated {
        below.targets.insert(path.clone(), Target::of(path.as_bytes()));
    }
    let files = [
        root,
        owner.sign(&targets.draft().ok()?),
        bob.sign(&below.draft().ok()?),
    ];
    let mut bits = trial.layout;
    let laid_out: Vec<(String, Vec<u8>)> = files
        .iter()
        .map(|file| {
            let value: Value = serde_json::from_slice(file.bytes()).unwrap();
            (file.role().file_name(), written(&value, &mut bits).into_bytes())
        })
        .collect();
    let named: Vec<(&str, &[u8])> = laid_out.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
    let answer = repository.send_bytes("metadata", &named);
    assert!(matches!(answer.status, 200 | 400), "{trial:?}: {}", answer.text());
    (answer.status == 200).then(|| repository.get("metadata/1.root.json").ok().body)
}

#[test]
fn whatever_is_taken_in_every_client_reads_and_finds() {
    let server = TestServer::builder()
        .set("tuf", json!({"enabled": true}))
        .set("limits", json!({"pending_keys": 1000}))
        .start();
    let files = server.pki().user("reader");
    let mut runner = TestRunner::deterministic();
    let trials: Vec<Trial> = (0..TRIALS)
        .map(|_| trial().new_tree(&mut runner).unwrap().current())
        .collect();
    let taken: Vec<(String, &Trial, Vec<u8>)> = trials
        .iter()
        .enumerate()
        .filter_map(|(number, trial)| {
            let name = format!("trial/{number}");
            let root = publish(&server, &name, trial)?;
            Some((name, trial, root))
        })
        .collect();
    // Otherwise nothing would be shown.
    assert!(taken.len() > 20, "only {} were taken in", taken.len());
    for reader in READERS {
        let installed: Vec<(Installed, Vec<String>)> = taken
            .iter()
            .map(|(name, trial, root)| {
                let mut wanted = trial.listed.clone();
                wanted.extend(trial.delegated.clone());
                // Clients look for it in every role.
                wanted.push(ABSENT.to_owned());
                (reader.install(&server, name, root, &files), wanted)
            })
            .collect();
        let answers = reader.look_up_all(&installed);
        assert_eq!(answers.len(), taken.len());
        for ((name, trial, _), answer) in taken.iter().zip(&answers) {
            assert_eq!(
                answer["found"][ABSENT],
                Value::Null,
                "{reader:?}, {name}, {answer}: {trial:?}"
            );
            assert!(
                answer["found"].is_object(),
                "{reader:?}, {name}, {answer}: {trial:?}"
            );
            for path in trial.listed.iter().chain(&trial.delegated) {
                let found = &answer["found"][path];
                assert_eq!(
                    *found,
                    sha256(path.as_bytes()),
                    "{reader:?}, {name}, {path:?}, {answer}: {trial:?}"
                );
            }
        }
    }
    let tough = Countersign::of(&server, "tough");
    for (name, trial, root) in &taken {
        let file = server.path().join("root.json");
        fs::write(&file, root).unwrap();
        let verified = tough.run_at_server(&["tuf", "verify", name, "--root", file.to_str().unwrap()]);
        let printed = verified.ok().output();
        for path in trial.listed.iter().chain(&trial.delegated) {
            assert!(
                printed.contains(&sha256(path.as_bytes())),
                "{name}, {path:?}, {printed}: {trial:?}"
            );
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(openssl::sha::sha256(bytes))
}
