//! Sets a client up with one command, the server's `/setup.sh` or `client-dirs`, and then runs the real programs with
//! the files that it wrote.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    ClientFiles, Finished, TestServer,
    docker::{DockerHost, REGISTRY},
    flows::docker::World,
    process::{built_programs, installed_program},
};

/// The two ways to set a client up. They do the same.
#[derive(Clone, Copy, Debug)]
enum Way {
    Script,
    Command,
}

const WAYS: [Way; 2] = [Way::Script, Way::Command];

/// A person on this machine who has fetched the script, or the program.
struct Person {
    way: Way,
    server: TestServer,
    home: TempDir,
    script: PathBuf,
    files: ClientFiles,
}

impl Person {
    fn new(way: Way, name: &str) -> Self {
        let server = TestServer::builder()
            .requests_certificates()
            .tells_its_url()
            .start();
        let home = TempDir::new().unwrap();
        let script = home.path().join("setup.sh");
        let fetched = server.client_without_certificate().get("/setup.sh").ok();
        fs::write(&script, fetched.body).unwrap();
        let files = server.pki().user(name);
        Self {
            way,
            server,
            home,
            script,
            files,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The directory that the docker CLI looks in for this server.
    fn tls(&self) -> PathBuf {
        self.path(&format!(".docker/tls/localhost:{}", self.server.port()))
    }

    fn run(&self, more: &[&str]) -> Finished {
        self.run_with(&self.files, more)
    }

    fn run_with(&self, files: &ClientFiles, more: &[&str]) -> Finished {
        let mut command = match self.way {
            Way::Script => {
                let mut command = Command::new("/bin/sh");
                command.arg(&self.script).args(more);
                command.arg(&files.certificate).arg(&files.key);
                command
            }
            Way::Command => {
                let mut command = Command::new(built_programs().join("countersign-server"));
                command
                    .args(["client-dirs", "--url", &self.server.url()])
                    .args(more);
                command.arg("--cert").arg(&files.certificate);
                command.arg("--key").arg(&files.key);
                command.arg("--ca").arg(self.server.pki().ca());
                command
            }
        };
        command.env("HOME", self.home.path()).current_dir("/");
        Finished::run(&mut command, "")
    }

    /// The notary CLI with its configuration file alone.
    fn notary(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(installed_program("notary", "notary"));
        command.args(arguments).env_clear().env("HOME", self.home.path());
        for role in ["ROOT", "TARGETS", "SNAPSHOT"] {
            command.env(format!("NOTARY_{role}_PASSPHRASE"), "passphrase");
        }
        Finished::run(command.current_dir(self.home.path()), "")
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn both_set_notary_up_and_a_second_run_changes_nothing() {
    for way in WAYS {
        let person = Person::new(way, "alice");
        let planned = person.run(&["--dry-run"]).ok().says("would write");
        assert!(
            !person.path(".docker").exists() && !person.path(".notary").exists(),
            "{planned}"
        );
        person
            .run(&[])
            .ok()
            .says("CN alice")
            .says("accepts this certificate")
            .says("DOCKER_CONTENT_TRUST_SERVER");
        assert_eq!(mode(&person.tls().join("client.key")), 0o600);
        person.notary(&["init", "example.com/app", "--publish"]).ok();
        person.notary(&["list", "example.com/app"]).ok();
        let again = person.run(&[]).ok().does_not_say("wrote");
        assert_eq!(again.stdout.matches("same ").count(), 4, "{again}");
    }
}

#[test]
fn both_add_to_configurations_and_replace_keys_only_when_forced() {
    for way in WAYS {
        let person = Person::new(way, "alice");
        for (name, content) in [
            (
                ".notary/config.json",
                json!({"trust_dir": "trust", "remote_server": {"url": "https://old", "skipTLSVerify": false}}),
            ),
            (
                ".docker/config.json",
                json!({"experimental": "enabled", "auths": {"other.test": {"auth": "eDp5"}}}),
            ),
        ] {
            fs::create_dir_all(person.path(name).parent().unwrap()).unwrap();
            fs::write(person.path(name), content.to_string()).unwrap();
        }
        let etc = person.path("etc");
        let registry = ["--registry", "registry.test:5000", "--etc", etc.to_str().unwrap()];
        person.run(&registry).ok();
        let notary = person.json(".notary/config.json");
        assert_eq!(
            (&notary["trust_dir"], &notary["remote_server"]["skipTLSVerify"]),
            (&json!("trust"), &json!(false))
        );
        assert_eq!(notary["remote_server"]["url"], person.server.url());
        let docker = person.json(".docker/config.json");
        assert_eq!(
            (&docker["experimental"], &docker["auths"]["other.test"]["auth"]),
            (&json!("enabled"), &json!("eDp5"))
        );
        assert_eq!(docker["auths"]["registry.test:5000"]["auth"], "YWxpY2U6dW51c2Vk");
        person.run(&registry).ok().does_not_say("wrote");
        // Another key is somebody's way in: it is not replaced by the way.
        let before = fs::read(&person.files.key).unwrap();
        let renewed = person.server.pki().client(
            "alice-renewed",
            &platform::pki::Template::new("alice", platform::pki::Usage::Client, 5),
        );
        person.run_with(&renewed, &registry).fails().says("--force");
        assert_eq!(fs::read(person.tls().join("client.key")).unwrap(), before);
        person
            .run_with(&renewed, &[&registry[..], &["--force"]].concat())
            .ok();
        for directory in [person.tls(), etc.join("certs.d/registry.test:5000")] {
            assert_eq!(
                fs::read(directory.join("client.key")).unwrap(),
                fs::read(&renewed.key).unwrap()
            );
            let kept = fs::read_dir(&directory)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let kept: Vec<_> = kept
                .filter(|path| path.to_str().unwrap().contains("client.key.before-"))
                .collect();
            assert_eq!(fs::read(&kept[0]).unwrap(), before);
            assert_eq!(mode(&kept[0]), 0o600);
        }
    }
}

#[test]
fn both_refuse_unusable_certificates_and_write_nothing() {
    for way in WAYS {
        let person = Person::new(way, "alice");
        let pki = person.server.pki();
        let mixed = ClientFiles {
            key: pki.user("bob").key,
            ..person.files.clone()
        };
        let swapped = ClientFiles {
            certificate: person.files.key.clone(),
            key: person.files.certificate.clone(),
            ca: pki.ca(),
        };
        let missing = ClientFiles {
            key: person.path("no.pem"),
            ..person.files.clone()
        };
        for (files, reason) in [
            (&mixed, "is not the key of"),
            (&swapped, "is not a certificate in PEM"),
            (&missing, "no.pem"),
            (&pki.expired(), "has expired"),
            (&pki.not_yet_valid(), "is not valid before"),
            (&pki.server_only(), "is not for TLS clients"),
        ] {
            person.run_with(files, &[]).fails().says(reason);
        }
        person
            .run(&["--registry", "registry.test/path"])
            .fails()
            .says("as image names begin");
        assert!(!person.path(".docker").exists() && !person.path(".notary").exists());
        // The server's verdict is told, too: it does not know this CA.
        person
            .run_with(&pki.stranger("mallory"), &["--dry-run"])
            .ok()
            .says("answers 401");
    }
}

#[test]
fn docker_pushes_signs_and_pulls_with_what_the_script_wrote() {
    let world = World::start(TestServer::builder().requests_certificates().tells_its_url());
    let host = world.host();
    let home = world.server().path().join("home of alice");
    let files = world.server().pki().user("alice");
    let url = world.server().url();
    host.shell(
        &home,
        &format!(
            "curl -fsS --cacert '{}' -o setup.sh {url}/setup.sh",
            files.ca.display()
        ),
    )
    .ok();
    let set_up = format!(
        "sh setup.sh --registry {REGISTRY} '{}' '{}'",
        files.certificate.display(),
        files.key.display()
    );
    // dockerd has another certificate for the registry.
    host.shell(&home, &set_up).fails().says("is another key");
    host.shell(&home, &format!("{set_up} --force"))
        .ok()
        .says("accepts this certificate");
    image(host, &home, &format!("{REGISTRY}/team/app:1"));
    let session = format!(
        "export DOCKER_CONTENT_TRUST_SERVER={url}; docker trust key generate alice >key.log; \
         docker trust sign {REGISTRY}/team/app:1; \
         DOCKER_CONTENT_TRUST=1 docker pull {REGISTRY}/team/app:1; \
         notary -d .docker/trust list {REGISTRY}/team/app -r targets/releases"
    );
    host.shell(&home, &session)
        .ok()
        .says("Successfully signed")
        .says("Tagging")
        .says("targets/releases");
}

fn image(host: &DockerHost, home: &Path, reference: &str) {
    let archive = home.join("image.tar");
    fs::write(home.join("content"), reference).unwrap();
    host.shell(
        home,
        &format!(
            "tar -cf '{}' content; docker import image.tar {reference}",
            archive.display()
        ),
    )
    .ok();
}

#[test]
fn client_dirs_knows_a_server_that_is_not_the_one_the_ca_vouches_for() {
    let person = Person::new(Way::Command, "alice");
    let pki = person.server.pki();
    let files = pki.stranger("mallory");
    let run = |url: &str, ca: &Path| {
        let mut command = Command::new(built_programs().join("countersign-server"));
        command
            .args(["client-dirs", "--dry-run", "--url", url])
            .arg("--home")
            .arg(person.home.path());
        command
            .arg("--cert")
            .arg(&person.files.certificate)
            .arg("--key")
            .arg(&person.files.key)
            .arg("--ca")
            .arg(ca);
        Finished::run(&mut command, "")
    };
    let url = person.server.url();
    run(&url, &pki.stranger_ca())
        .fails()
        .says("does not make")
        .says("trusted");
    let misnamed = TestServer::builder()
        .set("server.tls_cert_file", json!("pki/other.test.pem"))
        .set("server.tls_key_file", json!("pki/other.test-key.pem"))
        .prepare();
    misnamed.pki().daemon_called("other.test");
    let misnamed = misnamed.start();
    run(&misnamed.url(), &misnamed.pki().ca())
        .fails()
        .says("hostname mismatch");
    run(&url, &files.key).fails().says("not a certificate in PEM");
    run(&format!("{url}/"), &pki.ca())
        .fails()
        .says("as clients write it");
    // What cannot be reached now can be later.
    run("https://localhost:1", &pki.ca())
        .ok()
        .says("was not asked")
        .says("would write");
}

/// As Windows programs write it.
fn mark(path: &Path) {
    let text = fs::read(path).unwrap();
    fs::write(path, [b"\xef\xbb\xbf", text.as_slice()].concat()).unwrap();
}

#[test]
fn a_byte_order_mark_is_removed_from_files_for_other_programs() {
    for way in WAYS {
        let person = Person::new(way, "alice");
        let copy = |from: &Path, name: &str| {
            let to = person.path(name);
            fs::copy(from, &to).unwrap();
            mark(&to);
            to
        };
        let files = ClientFiles {
            certificate: copy(&person.files.certificate, "marked.pem"),
            key: copy(&person.files.key, "marked-key.pem"),
            ca: copy(&person.files.ca, "marked-ca.pem"),
        };
        person.run_with(&files, &[]).ok();
        for name in ["client.cert", "client.key", "ca.crt"] {
            let written = fs::read(person.tls().join(name)).unwrap();
            assert!(written.starts_with(b"-----BEGIN"), "{way:?}: {name}");
        }
    }
}
