//! What is accepted here, tough's loader reads: a repository as a server would serve it, over a transport from memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tough::{
    ExpirationEnforcement, Repository, RepositoryLoader, TargetName, Transport, TransportError,
    TransportErrorKind, TransportStream,
};
use url::Url;

use crate::authoring::{Delegate, DelegatedPaths, Target};
use crate::testing::{Repo, TestKey, role, sign, signers};

#[derive(Debug, Clone)]
struct Memory(Arc<BTreeMap<String, Bytes>>);

#[tough::async_trait]
impl Transport for Memory {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let name = url.path().rsplit('/').next().unwrap_or_default();
        match self.0.get(name) {
            Some(bytes) => Ok(Box::pin(futures_util::stream::iter([Ok(bytes.clone())]))),
            None => {
                let kind = TransportErrorKind::FileNotFound;
                Err(TransportError::new(kind, url))
            }
        }
    }
}

/// Loads a repository with the first root as the trusted one.
fn load(repo: &Repo) -> Result<Repository, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let base = Url::parse("memory:///metadata/").unwrap();
    let loader = RepositoryLoader::new(repo.roots[0].bytes(), base.clone(), base)
        .transport(Memory(Arc::new(repo.files.clone())))
        .expiration_enforcement(ExpirationEnforcement::Safe);
    runtime.block_on(loader.load()).map_err(|e| e.to_string())
}

fn find(loaded: &Repository, path: &str) -> Option<u64> {
    let name = TargetName::new(path).unwrap();
    loaded
        .targets()
        .signed
        .find_target(&name, false)
        .ok()
        .map(|target| target.length)
}

#[test]
fn tough_reads_a_repository_with_delegations_rotations_and_every_kind_of_key() {
    let mut repo = Repo::new();
    let (docs_key, rsa) = (TestKey::p256(), TestKey::rsa());
    let mut targets = repo.next("targets");
    targets.targets.insert("top.txt".to_owned(), Target::of(b"top"));
    targets.delegate(Delegate {
        role: role("docs/ä b"),
        signers: signers(&[&docs_key, &rsa], 2),
        paths: DelegatedPaths::Patterns(vec!["docs/*.txt".to_owned()]),
        terminating: true,
    });
    let mut docs = repo.first_delegated("docs/ä b");
    docs.targets
        .insert("docs/a.txt".to_owned(), Target::of(b"content"));
    let docs = sign(&docs.draft().unwrap(), &[&docs_key, &rsa]);
    repo.publish(vec![sign(&targets.draft().unwrap(), &[&repo.targets]), docs])
        .unwrap();
    // Every key is replaced, those of the server too.
    let before = repo.root.clone();
    (repo.root, repo.targets) = (TestKey::rsa(), TestKey::p256());
    (repo.snapshot, repo.timestamp) = (TestKey::ed25519(), TestKey::p256());
    let mut root = repo.next_root();
    root.root = signers(&[&repo.root], 1);
    root.targets = signers(&[&repo.targets], 1);
    root.use_online_keys(&repo.online());
    let root = sign(&root.draft().unwrap(), &[&before, &repo.root]);
    let targets = sign(&repo.next("targets").draft().unwrap(), &[&repo.targets]);
    repo.publish(vec![root, targets]).unwrap();

    let loaded = load(&repo).unwrap();
    assert_eq!(loaded.root().signed.version.get(), 2);
    assert_eq!(find(&loaded, "top.txt"), Some(3));
    assert_eq!(find(&loaded, "docs/a.txt"), Some(7));
    assert_eq!(find(&loaded, "docs/b.txt"), None);
}

#[test]
fn tough_goes_on_after_a_role_was_dropped() {
    let mut repo = Repo::new();
    let key = TestKey::ed25519();
    let mut targets = repo.next("targets");
    targets.delegate(Delegate {
        role: role("docs"),
        signers: signers(&[&key], 1),
        paths: DelegatedPaths::everything(),
        terminating: false,
    });
    let docs = sign(&repo.first_delegated("docs").draft().unwrap(), &[&key]);
    repo.publish(vec![sign(&targets.draft().unwrap(), &[&repo.targets]), docs])
        .unwrap();
    let state = tempfile::tempdir().unwrap();
    let load = |repo: &Repo| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let base = Url::parse("memory:///metadata/").unwrap();
        let loader = RepositoryLoader::new(repo.roots[0].bytes(), base.clone(), base)
            .datastore(state.path())
            .transport(Memory(Arc::new(repo.files.clone())));
        runtime.block_on(loader.load()).map_err(|e| e.to_string())
    };
    load(&repo).unwrap();
    let mut targets = repo.next("targets");
    targets.undelegate(&role("docs"));
    repo.publish(vec![sign(&targets.draft().unwrap(), &[&repo.targets])])
        .unwrap();
    // The state of the first load names docs, and a snapshot that no longer did would be refused.
    load(&repo).unwrap();
}

/// What is signed in a trial.
#[derive(Debug, Clone)]
struct Trial {
    listed: Vec<String>,
    delegated: Vec<String>,
    names: Vec<String>,
    paths: Vec<DelegatedPaths>,
    terminating: bool,
    text: String,
}

/// A path of one to three parts, some of which clients could read in a way of their own.
fn path(odd: bool) -> BoxedStrategy<String> {
    let part = if odd {
        prop_oneof!["[a-c.-]{1,3}", "[ -~]{1,4}", "\\PC{1,3}", Just("..".to_owned())].boxed()
    } else {
        "[a-c][a-c.-]{0,2}".boxed()
    };
    let parts = prop::collection::vec(part, 1..4);
    parts.prop_map(|parts| parts.join("/")).boxed()
}

fn delegated_paths(odd: bool) -> BoxedStrategy<DelegatedPaths> {
    let pattern = if odd {
        path(true)
    } else {
        "[a-c?][a-c?]{0,1}[*]?(/[a-c?][*])?".boxed()
    };
    prop_oneof![
        1 => prop::collection::vec(pattern, 1..4).prop_map(DelegatedPaths::Patterns),
        1 => prop::collection::vec("[0-9a-f]{1,2}", 0..8).prop_map(DelegatedPaths::HashPrefixes),
        2 => Just(DelegatedPaths::everything()),
    ]
    .boxed()
}

fn trial() -> impl Strategy<Value = Trial> {
    let odd = prop::bool::weighted(0.25);
    odd.prop_flat_map(|odd| {
        let name = if odd { "\\PC{1,4}" } else { "[a-c/]{1,2}" };
        (
            prop::collection::vec(path(odd), 0..4),
            prop::collection::vec(path(odd), 0..3),
            prop::collection::vec(name, 1..3),
            prop::collection::vec(delegated_paths(odd), 2),
            any::<bool>(),
            if odd {
                "\\PC{0,5}"
            } else {
                "[\u{0}-\u{20}é\"\\\\]{0,4}"
            },
        )
    })
    .prop_map(|(listed, delegated, names, paths, terminating, text)| Trial {
        listed,
        delegated,
        names,
        paths,
        terminating,
        text,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_tough_reads_and_finds(
        trial in trial(),
    ) {
        let Trial { listed, delegated, names, paths, terminating, text } = trial;
        let mut repo = Repo::new();
        let key = TestKey::ed25519();
        let mut targets = repo.next("targets");
        for path in &listed {
            let mut target = Target::of(path.as_bytes());
            target.custom.insert("text".to_owned(), text.clone().into());
            targets.targets.insert(path.clone(), target);
        }
        let mut files = Vec::new();
        for (name, paths) in names.iter().zip(&paths) {
            let Ok(role @ crate::Role::Delegated(_)) = crate::Role::parse(name) else { continue };
            targets.delegate(Delegate { role, signers: signers(&[&key], 1), paths: paths.clone(), terminating });
        }
        for (at, delegate) in targets.delegations.iter().enumerate() {
            let mut file = repo.first_delegated(delegate.role.as_str());
            if at == 0 {
                file.targets.extend(delegated.iter().map(|path| (path.clone(), Target::of(path.as_bytes()))));
            }
            let Ok(draft) = file.draft() else { return Ok(()) };
            files.push(sign(&draft, &[&key]));
        }
        let Ok(draft) = targets.draft() else { return Ok(()) };
        files.push(sign(&draft, &[&repo.targets]));
        if repo.publish(files).is_err() {
            return Ok(());
        }
        let loaded = load(&repo).unwrap();
        for path in &listed {
            prop_assert_eq!(find(&loaded, path), Some(path.len() as u64));
        }
        let has_role = !targets.delegations.is_empty();
        for path in delegated.iter().filter(|path| has_role && !listed.contains(path)) {
            prop_assert_eq!(find(&loaded, path), Some(path.len() as u64));
        }
    }
}
