//! TUF 1.0 repositories as their owners write them, and the clients of others that read them: python-tuf and tuf-js.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Duration, SubsecRound, Utc};
use openssl::{
    pkey::{PKey, Private},
    sign::Signer,
};
use serde_json::{Value, json};
use tuf_native::{
    Draft, OnlineKeys, PublicKey, RepositoryName, Role, Signers,
    authoring::{RootContent, Target, TargetsContent},
};

use crate::{
    TestServer,
    http::{Client, FORM, Response, form},
    namespace::Place,
    pki::ClientFiles,
    process::{Finished, installed_program},
};

/// A key of a person: Ed25519.
#[derive(Clone)]
pub struct Key {
    secret: PKey<Private>,
    /// The public half.
    pub public: PublicKey,
}

impl Key {
    /// A new key.
    pub fn new() -> Self {
        Self::of(PKey::generate_ed25519().unwrap())
    }

    /// A key that exists already, of Ed25519.
    pub fn of(secret: PKey<Private>) -> Self {
        let public = PublicKey::from_pkey(&secret).unwrap();
        Self { secret, public }
    }

    /// Adds its signature to a file.
    pub fn sign(&self, draft: &Draft) -> Draft {
        let mut signer = Signer::new_without_digest(&self.secret).unwrap();
        let signature = signer.sign_oneshot_to_vec(draft.message()).unwrap();
        draft.sign(&self.public, &signature).unwrap()
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

/// Who signs with these keys, all of them.
pub fn all_of(keys: &[&Key]) -> Signers {
    let public = keys.iter().map(|key| key.public.clone()).collect();
    Signers::new(public, u32::try_from(keys.len()).unwrap())
}

/// Signs a file with each of these keys.
pub fn signed(draft: Draft, keys: &[&Key]) -> Draft {
    keys.iter().fold(draft, |draft, key| key.sign(&draft))
}

/// In so many days, in whole seconds.
pub fn in_days(days: i64) -> DateTime<Utc> {
    Utc::now().trunc_subsecs(0) + Duration::days(days)
}

/// A repository on a server, as one person sees it.
pub struct Repository {
    /// Its name.
    pub name: RepositoryName,
    client: Client,
}

impl Repository {
    /// That repository, asked for by this client.
    pub fn new(name: &str, client: Client) -> Self {
        Self {
            name: RepositoryName::parse(name).unwrap(),
            client,
        }
    }

    /// The path of something below it.
    pub fn path(&self, below: &str) -> String {
        format!("/tuf/v1/{}/{below}", self.name)
    }

    /// GET of something below it.
    #[track_caller]
    pub fn get(&self, below: &str) -> Response {
        self.client.get(&self.path(below))
    }

    /// Any request about something below it.
    #[track_caller]
    pub fn request(&self, method: &str, below: &str, body: &[u8]) -> Response {
        let path = self.path(below).replace(' ', "%20");
        self.client.request(method, &path, &[], body)
    }

    /// The server's keys.
    #[track_caller]
    pub fn online_keys(&self) -> OnlineKeys {
        let keys = self.get("keys").ok().json();
        let key = |role: &str| PublicKey::from_json(&keys[role]["key"]).unwrap();
        OnlineKeys {
            snapshot: key("snapshot"),
            timestamp: key("timestamp"),
        }
    }

    /// Sends files: to `metadata` for publishing them, to `sign` for collecting signatures.
    #[track_caller]
    pub fn send(&self, below: &str, files: &[&Draft]) -> Response {
        let files: Vec<(String, &[u8])> = files
            .iter()
            .map(|file| (file.role().file_name(), file.bytes().as_ref()))
            .collect();
        let named: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), *bytes))
            .collect();
        self.send_bytes(below, &named)
    }

    /// The same with any bytes under the names of files.
    pub fn send_bytes(&self, below: &str, files: &[(&str, &[u8])]) -> Response {
        self.client
            .request("POST", &self.path(below), &[("Content-Type", FORM)], &form(files))
    }

    /// The first root, to be signed by `owners` for roots, and by `releasers` for targets.
    #[track_caller]
    pub fn first_root(&self, owners: &[&Key], releasers: &[&Key]) -> RootContent {
        RootContent::first(
            &self.name,
            all_of(owners),
            all_of(releasers),
            &self.online_keys(),
            in_days(365),
        )
    }

    /// The first targets, with these files in it.
    pub fn first_targets(&self, files: &[(&str, &[u8])]) -> TargetsContent {
        let mut content = TargetsContent::first(&self.name, Role::Targets, in_days(90));
        for (path, bytes) in files {
            content.targets.insert((*path).to_owned(), Target::of(bytes));
        }
        content
    }

    /// Publishes a new repository of one key, with these targets, and stores them.
    #[track_caller]
    pub fn make(&self, key: &Key, files: &[(&str, &[u8])]) -> (RootContent, TargetsContent) {
        let (root, targets) = (self.first_root(&[key], &[key]), self.first_targets(files));
        let (first, second) = (root.draft().unwrap(), targets.draft().unwrap());
        self.send("metadata", &[&key.sign(&first), &key.sign(&second)])
            .ok();
        for (path, bytes) in files {
            let stored = self.request("PUT", &format!("targets/{}", consistent(path, bytes)), bytes);
            assert_eq!(stored.status, 201, "{}", stored.text());
        }
        (root, targets)
    }
}

/// The name under which consistent snapshots have a target.
pub fn consistent(path: &str, bytes: &[u8]) -> String {
    let hash = hex::encode(openssl::sha::sha256(bytes));
    match path.rsplit_once('/') {
        Some((directory, name)) => format!("{directory}/{hash}.{name}"),
        None => format!("{hash}.{path}"),
    }
}

/// A client of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// `ngclient` of python-tuf.
    Python,
    /// tuf-js.
    JavaScript,
}

/// All of them.
pub const READERS: [Reader; 2] = [Reader::Python, Reader::JavaScript];

/// A client with a cache of its own, which trusts one root.
pub struct Installed {
    reader: Reader,
    settings: Value,
    directory: PathBuf,
    place: Place,
}

impl Reader {
    /// Installs it for a repository: it is given a root, and the certificate of `files`.
    pub fn install(
        self,
        server: &TestServer,
        repository: &str,
        root: &[u8],
        files: &ClientFiles,
    ) -> Installed {
        let directory = server.path().join(format!(
            "{self:?}-{}",
            hex::encode(openssl::sha::sha256(repository.as_bytes()))
        ));
        fs::create_dir_all(&directory).unwrap();
        let trusted = directory.join("trusted-root.json");
        fs::write(&trusted, root).unwrap();
        let base = format!("{}/tuf/v1/{repository}", server.url());
        Installed {
            reader: self,
            settings: json!({
                "metadata": format!("{base}/metadata/"), "targets": format!("{base}/targets/"),
                "root": trusted, "cache": directory.join("cache"),
                "ca": files.ca, "certificate": files.certificate, "key": files.key,
            }),
            directory,
            place: server.place().clone(),
        }
    }
}

impl Reader {
    /// Installs it for a repository at another address, which asks for no certificate: `directory` is its own.
    pub fn install_at(self, base: &str, root: &[u8], directory: PathBuf) -> Installed {
        fs::create_dir_all(&directory).unwrap();
        let trusted = directory.join("trusted-root.json");
        fs::write(&trusted, root).unwrap();
        Installed {
            reader: self,
            settings: json!({
                "metadata": format!("{base}/metadata/"), "targets": format!("{base}/targets/"),
                "root": trusted, "cache": directory.join("cache"),
            }),
            directory,
            place: Place::Here,
        }
    }

    /// What is signed of the targets of several repositories, asked for by one process; as [`Installed::look_up`].
    pub fn look_up_all(self, installed: &[(Installed, Vec<String>)]) -> Vec<Value> {
        let written = installed.iter().map(|(one, wanted)| {
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            one.write_settings(&wanted, false)
        });
        let written: Vec<PathBuf> = written.collect();
        let Some((first, _)) = installed.first() else {
            return Vec::new();
        };
        let text = first.command(&written).ok().output();
        let lines = text.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Installed {
    /// Downloads these targets. `{"found": {path: SHA-256 or null}}`, or `{"refused": reason}`.
    pub fn read(&self, wanted: &[&str]) -> Value {
        self.run(wanted, true)
    }

    /// What is signed of these targets, whose content is somewhere else: their SHA-256.
    pub fn look_up(&self, wanted: &[&str]) -> Value {
        self.run(wanted, false)
    }

    fn run(&self, wanted: &[&str], download: bool) -> Value {
        let text = self
            .command(&[self.write_settings(wanted, download)])
            .ok()
            .output();
        serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{text}"))
    }

    fn write_settings(&self, wanted: &[&str], download: bool) -> PathBuf {
        let settings = self.directory.join("settings.json");
        let mut all = self.settings.clone();
        all["wanted"] = json!(wanted);
        all["download"] = json!(download);
        fs::write(&settings, all.to_string()).unwrap();
        settings
    }

    fn command(&self, settings: &[PathBuf]) -> Finished {
        let scripts = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/tuf-clients"));
        let (program, script) = match self.reader {
            Reader::Python => (scripts.join("venv/bin/python"), "read.py"),
            Reader::JavaScript => (installed_program("node", "nodejs"), "read.mjs"),
        };
        assert!(
            program.exists() && scripts.join("node_modules").exists(),
            "python-tuf and tuf-js are not installed: run \"make requirements\""
        );
        let mut command = self.place.command(&program);
        Finished::run(command.arg(scripts.join(script)).args(settings), "")
    }

    /// Downloads these targets, which must be there with this content.
    #[track_caller]
    pub fn finds(&self, targets: &[(&str, &[u8])]) {
        let paths: Vec<&str> = targets.iter().map(|(path, _)| *path).collect();
        let expected: serde_json::Map<String, Value> = targets
            .iter()
            .map(|(path, bytes)| {
                (
                    (*path).to_owned(),
                    hex::encode(openssl::sha::sha256(bytes)).into(),
                )
            })
            .collect();
        assert_eq!(self.read(&paths), json!({"found": expected}), "{:?}", self.reader);
    }
}
