//! A registry with images that are signed at a trust server, somebody who attests them, and skopeo, which runs nothing that a
//! policy does not name.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use openssl::{
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{PKey, Private},
};
use serde_json::{Value, json};

use crate::{
    TestServer,
    http::Client,
    person::Person,
    process::{Finished, installed_program},
    registry::{Registry, digest, get_manifest, push_image},
    server::Builder,
};

/// What skopeo says of a signature of cosign's that it found, where it was built without what verifies it.
const DISABLED: &str = "sigstore disabled";
/// What gpg's keys are encrypted with.
pub const GPG_PASSPHRASE: &str = "of gpg";

/// Everything together. `alice` owns and signs, and `bridge` attests.
pub struct Site {
    /// The registry.
    pub registry: Registry,
    /// The trust server, through which images are pushed.
    pub server: TestServer,
    /// Who signs.
    pub owner: Person,
    /// Who attests.
    pub bridge: Person,
    directory: tempfile::TempDir,
}

/// A key for cosign's signatures, and its public half, in files.
pub struct KeyPair {
    /// The private key.
    pub private: PathBuf,
    /// The public key, as readers want it.
    pub public: PathBuf,
}

/// A key of gpg's.
pub struct GpgKey {
    /// Its fingerprint.
    pub fingerprint: String,
    /// The public key, as readers want it.
    pub public: PathBuf,
}

impl Site {
    /// A server whose policy lets everybody do everything, but for those in `rules`.
    pub fn start(rules: &[Value]) -> Self {
        Self::of(TestServer::builder(), rules)
    }

    /// The same with a server of this kind.
    pub fn of(builder: Builder, rules: &[Value]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::start(directory.path());
        let everybody =
            json!({"name": "everybody", "effect": "allow", "principals": ["*"], "actions": ["*"]});
        let policy: Vec<&Value> = std::iter::once(&everybody).chain(rules).collect();
        let server = builder
            .set("policy", json!(policy))
            .set("audit.sinks", json!(["file:audit.json"]))
            .set(
                "registry",
                json!({"upstream": registry.url(), "host": "localhost"}),
            )
            .start();
        Self {
            owner: Person::of(&server, "alice"),
            bridge: Person::of(&server, "bridge"),
            registry,
            server,
            directory,
        }
    }

    /// The name of an image in the registry.
    pub fn image(&self, tag: &str) -> String {
        format!("{}:{tag}", self.gun())
    }

    /// The name of its repository.
    pub fn gun(&self) -> String {
        format!("{}/team/app", self.registry.host())
    }

    /// A client that pushes.
    pub fn pusher(&self) -> Client {
        self.server.client("alice")
    }

    /// Pushes an image; returns its digest.
    pub fn push(&self, tag: &str, content: &str) -> String {
        let client = self.pusher();
        push_image(&client, "team/app", tag, content);
        digest(&get_manifest(&client, "team/app", tag).body)
    }

    /// Signs what is under a tag.
    pub fn sign(&self, tag: &str) {
        self.owner
            .run(&["sign", "--init", &self.image(tag), "--from-registry"])
            .ok();
    }

    /// Pushes and signs; returns the digest.
    pub fn push_signed(&self, tag: &str, content: &str) -> String {
        let digest = self.push(tag, content);
        self.sign(tag);
        digest
    }

    /// A file or directory of the test's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A new key, in the clear.
    pub fn key(&self, name: &str) -> KeyPair {
        new_key(self.directory.path(), name)
    }

    /// Keeps a key.
    pub fn keep(&self, name: &str, key: &PKey<Private>) -> KeyPair {
        keep(self.directory.path(), name, key)
    }

    /// The command that attests, with the root key of the owner, not yet run.
    pub fn attesting(&self, who: &Person, arguments: &[&str]) -> Command {
        let root = self.owner.notary.root_key();
        let all = [&["attest", "--root-key", &root], arguments].concat();
        let mut command = who.client.command_at_server(&all);
        command.env("GNUPGHOME", self.gpg_home());
        command
    }

    /// Attests as cosign does.
    pub fn attest(&self, key: &KeyPair, arguments: &[&str]) -> Finished {
        let key = key.private.to_str().unwrap();
        let all = [&["--cosign", "--bridge-key", key], arguments].concat();
        Finished::run(&mut self.attesting(&self.bridge, &all), "")
    }

    /// Attests by simple signing, in the directory `lookaside`.
    pub fn attest_simply(&self, key: &GpgKey, arguments: &[&str]) -> Finished {
        let (directory, passphrase) = (self.path("lookaside"), self.path("gpg-passphrase"));
        let fixed = [
            "--simple-signing",
            "--gpg-key",
            &key.fingerprint,
            "--out",
            directory.to_str().unwrap(),
            "--passphrase-file",
            passphrase.to_str().unwrap(),
        ];
        let all = [&fixed, arguments].concat();
        Finished::run(&mut self.attesting(&self.bridge, &all), "")
    }

    /// The manifest with the signatures of an image; `None` if there is none.
    pub fn signatures(&self, digest: &str) -> Option<Value> {
        let tag = format!("{}.sig", digest.replace(':', "-"));
        let answer = get_manifest(&self.pusher(), "team/app", &tag);
        (answer.status == 200).then(|| answer.json())
    }

    /// What is recorded of attestations.
    pub fn records(&self) -> Vec<Value> {
        let listed = self.server.command_line("audit list --json").ok();
        let records = listed
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["action"] == "attest").collect()
    }

    /// A directory of gpg's.
    fn gpg_home(&self) -> PathBuf {
        let home = self.path("gnupg");
        if !home.is_dir() {
            fs::create_dir(&home).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            fs::set_permissions(&home, mode).unwrap();
        }
        home
    }

    fn gpg(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(installed_program("gpg", "gnupg"));
        command
            .args([
                "--batch",
                "--no-tty",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                GPG_PASSPHRASE,
            ])
            .args(arguments)
            .env("GNUPGHOME", self.gpg_home());
        Finished::run(&mut command, "").ok()
    }

    /// A new key of gpg's.
    pub fn gpg_key(&self, name: &str) -> GpgKey {
        fs::write(self.path("gpg-passphrase"), GPG_PASSPHRASE).unwrap();
        let user = format!("{name} <{name}@example>");
        self.gpg(&["--quick-generate-key", &user, "rsa2048", "sign", "never"]);
        let listed = self
            .gpg(&["--with-colons", "--list-keys", &format!("={user}")])
            .stdout;
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        let fingerprint = line.split(':').nth(9).unwrap().to_owned();
        let public = self.path(&format!("{name}.gpg"));
        let file = public.to_str().unwrap();
        self.gpg(&["--yes", "--output", file, "--export", &fingerprint]);
        GpgKey { fingerprint, public }
    }

    /// Has skopeo copy an image under a policy that refuses everything but what of this registry meets the requirement.
    /// Signatures are those beside the image and those in `lookaside`.
    pub fn skopeo(&self, requirement: &Value, reference: &str) -> Finished {
        let scope = format!("{}/team", self.registry.host());
        let policy = json!({
            "default": [{"type": "reject"}],
            "transports": {"docker": {scope: [requirement]}},
        });
        let places = format!(
            "docker:\n  {}:\n    use-sigstore-attachments: true\n    lookaside: file://{}\n",
            self.registry.host(),
            self.path("lookaside").display()
        );
        self.skopeo_with(&policy.to_string(), &places, reference)
    }

    /// Has skopeo copy an image under a policy, with a file that says where signatures are.
    pub fn skopeo_with(&self, policy: &str, places: &str, reference: &str) -> Finished {
        let (file, settings) = (self.path("policy.json"), self.path("registries.d"));
        fs::write(&file, policy).unwrap();
        fs::create_dir_all(&settings).unwrap();
        fs::write(settings.join("registry.yaml"), places).unwrap();
        let copied = self.path("copied");
        let _ = fs::remove_dir_all(&copied);
        let mut command = Command::new(installed_program("skopeo", "skopeo"));
        command
            .arg("--policy")
            .arg(&file)
            .arg("--registries.d")
            .arg(&settings)
            .args(["copy", "--remove-signatures", "--src-tls-verify=false"])
            .arg(format!("docker://{reference}"))
            .arg(format!("dir:{}", copied.display()))
            .env("HOME", self.directory.path())
            .env_remove("GNUPGHOME");
        Finished::run(&mut command, "")
    }

    /// Checks that readers take an image for attested with a key: the crate sigstore, and skopeo, as far as it was built to judge
    /// these signatures. Debian's finds them and says that it was not.
    #[track_caller]
    pub fn accepted(&self, key: &KeyPair, reference: &str) {
        self.read(key, reference).ok();
        let copied = self.skopeo(&key.demanded(), reference);
        assert!(copied.code == 0 || copied.output().contains(DISABLED), "{copied}");
    }

    /// Checks that readers do not.
    #[track_caller]
    pub fn refused(&self, key: &KeyPair, reference: &str) -> Finished {
        let read = self.read(key, reference);
        assert_eq!(read.code, 1, "{read}");
        self.skopeo(&key.demanded(), reference).fails()
    }

    /// Has a reader of cosign's signatures look for one of the key.
    fn read(&self, key: &KeyPair, reference: &str) -> Finished {
        let mut command = Command::new(cosign_reader());
        command.arg(reference).arg(&key.public);
        Finished::run(&mut command, "")
    }

    /// Has skopeo copy the layout of signatures that `attest --out` wrote to the registry, under the name that it has there.
    pub fn upload(&self, below: &Path, digest: &str) {
        let tag = format!("{}.sig", digest.replace(':', "-"));
        let layout = below.join(format!("{}@cosign", self.gun().replace(':', "=")));
        let mut command = Command::new(installed_program("skopeo", "skopeo"));
        command
            .args([
                "--insecure-policy",
                "copy",
                "--preserve-digests",
                "--dest-tls-verify=false",
            ])
            .arg(format!("oci:{}:{tag}", layout.display()))
            .arg(format!("docker://{}:{tag}", self.gun()))
            .env("HOME", self.directory.path());
        Finished::run(&mut command, "").ok();
    }
}

/// A new key, in the clear, in a directory.
pub fn new_key(directory: &Path, name: &str) -> KeyPair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    keep(directory, name, &key)
}

fn keep(directory: &Path, name: &str, key: &PKey<Private>) -> KeyPair {
    let (private, public) = (
        directory.join(format!("{name}.key")),
        directory.join(format!("{name}.pub")),
    );
    fs::write(&private, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    fs::write(&public, key.public_key_to_pem().unwrap()).unwrap();
    KeyPair { private, public }
}

/// The reader of cosign's signatures, which is built by `scripts/install-requirements.sh cosign`.
fn cosign_reader() -> PathBuf {
    let built = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../scripts/cosign-reader/target/debug/cosign-reader"
    );
    let path = PathBuf::from(built);
    assert!(
        path.is_file(),
        "{built} is missing: run scripts/install-requirements.sh cosign"
    );
    path
}

impl Drop for Site {
    fn drop(&mut self) {
        // gpg's agent goes on by itself.
        if self.path("gnupg").is_dir() {
            let mut command = Command::new(installed_program("gpgconf", "gpgconf"));
            command
                .args(["--kill", "gpg-agent"])
                .env("GNUPGHOME", self.path("gnupg"));
            let _ = command.output();
        }
    }
}

impl KeyPair {
    /// What skopeo demands of images: a signature of cosign's kind with this key.
    pub fn demanded(&self) -> Value {
        json!({"type": "sigstoreSigned", "keyPath": self.public})
    }
}

impl GpgKey {
    /// What skopeo demands of images: a signature of simple signing with this key.
    pub fn demanded(&self) -> Value {
        json!({"type": "signedBy", "keyType": "GPGKeys", "keyPath": self.public})
    }
}
