//! `quickstart` and the demo: from nothing to a signed target.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use tempfile::TempDir;
use tests::{
    Finished,
    process::{Daemon, built_programs, free_port, installed_program},
};

fn quickstart(directory: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(built_programs().join("countersign-server"));
    command.arg("quickstart").arg("--dir").arg(directory);
    // Somewhere else, so that everything has to stand in the directory itself.
    Finished::run(command.args(arguments).current_dir("/"), "")
}

/// A directory as `quickstart` makes it, with ports that nobody else uses.
struct Made {
    directory: TempDir,
    server_port: u16,
    signer_port: u16,
}

fn made() -> Made {
    let made = Made {
        directory: TempDir::new().unwrap(),
        server_port: free_port(),
        signer_port: free_port(),
    };
    made.again(&[]).ok();
    made
}

impl Made {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn again(&self, arguments: &[&str]) -> Finished {
        let ports = [self.server_port.to_string(), self.signer_port.to_string()];
        let ports = ["--server-port", &ports[0], "--signer-port", &ports[1]];
        quickstart(self.directory.path(), &[&ports, arguments].concat())
    }

    /// Every file with its content, its mode, and when it was written.
    fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, SystemTime)> {
        fn visit(directory: &Path, found: &mut BTreeMap<PathBuf, (Vec<u8>, u32, SystemTime)>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(&path, found);
                } else {
                    let about = path.metadata().unwrap();
                    let mode = about.permissions().mode() & 0o777;
                    let content = fs::read(&path).unwrap();
                    found.insert(path, (content, mode, about.modified().unwrap()));
                }
            }
        }
        let mut found = BTreeMap::new();
        visit(self.directory.path(), &mut found);
        found
    }

    /// Runs a shell script as a person would who follows the printed steps.
    fn shell(&self, script: &str) -> Finished {
        let mut command = Command::new("/bin/bash");
        command.arg("-euc").arg(script).current_dir(self.directory.path());
        for role in ["ROOT", "TARGETS", "SNAPSHOT", "DELEGATION"] {
            command.env(format!("NOTARY_{role}_PASSPHRASE"), "passphrase");
        }
        Finished::run(&mut command, "")
    }

    /// Starts a daemon as the printed steps say.
    fn start(&self, name: &str, port: u16) -> Daemon {
        let program = built_programs().join(format!("countersign-{name}"));
        let sealed = if name == "signer" { ". signer/env.sh; " } else { "" };
        let script = format!("{sealed}exec '{}' --config {name}/config.json", program.display());
        let mut command = Command::new("/bin/bash");
        command.arg("-euc").arg(script).current_dir(self.directory.path());
        let mut daemon = Daemon::spawn(&mut command, &self.path(&format!("{name}.log")));
        daemon.wait_for("it listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        daemon
    }
}

#[test]
fn a_second_run_changes_nothing_and_a_new_user_is_added_to_what_is_there() {
    let made = made();
    let before = made.files();
    let again = made.again(&[]).ok();
    assert!(!again.stdout.contains("made  "), "{again}");
    assert_eq!(made.files(), before);
    made.again(&["--user", "carol"]).ok();
    let mut after = made.files();
    assert!(after.contains_key(&made.path("users/carol/key.pem")));
    after.retain(|path, _| !path.starts_with(made.path("users/carol")));
    assert_eq!(after, before);
    for name in ["", "../mallory", ".hidden", "a b"] {
        made.again(&["--user", name])
            .fails()
            .says("cannot be a user's name");
    }
    fs::write(made.path("users/alice/key.pem"), "damaged").unwrap();
    made.again(&[]).fails().says("users/alice/key.pem");
}

#[test]
fn only_their_owner_reads_secrets() {
    let made = made();
    let secret = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let inside = path.strip_prefix(made.directory.path()).unwrap();
        name.ends_with("key.pem")
            || name.ends_with(".key")
            || name.contains("p12")
            || inside == Path::new("signer/env.sh")
    };
    let files = made.files();
    assert_eq!(files.keys().filter(|path| secret(path)).count(), 4 + 2 * 4 + 1);
    for (path, (content, mode, _)) in &files {
        let expected = if secret(path) { 0o600 } else { 0o644 };
        assert_eq!(*mode, expected, "{}", path.display());
        let holds_key = String::from_utf8_lossy(content).contains("PRIVATE KEY");
        assert!(!holds_key || secret(path), "{}", path.display());
    }
}

#[test]
fn bundles_hold_what_openssl_docker_and_browsers_expect() {
    let made = made();
    for user in ["alice", "bob"] {
        let base = format!("users/{user}");
        let opened = made.shell(&format!(
            "cd {base}; openssl pkcs12 -in cert.p12 -passin file:p12-password.txt -nodes -out all.pem; \
             openssl x509 -in cert.pem -noout -pubkey >1; openssl pkey -in key.pem -pubout >2; cmp 1 2; \
             openssl x509 -in all.pem -noout -subject; openssl verify -CAfile ca.pem -purpose sslclient cert.pem; \
             openssl pkey -in all.pem -pubout | cmp 1 -"
        ));
        opened.ok().says(&format!("CN = {user}")).says("cert.pem: OK");
        made.shell(&format!(
            "openssl pkcs12 -in {base}/cert.p12 -passin pass:wrong -nodes"
        ))
        .fails();
        made.shell(&format!(
            "openssl pkcs12 -in {base}/cert.p12 -passin pass: -nodes"
        ))
        .fails();
        let tls = format!("{base}/docker/tls/localhost:{}", made.server_port);
        for (copy, original) in [
            ("ca.crt", "ca.pem"),
            ("client.cert", "cert.pem"),
            ("client.key", "key.pem"),
        ] {
            let (copy, original) = (format!("{tls}/{copy}"), format!("{base}/{original}"));
            assert_eq!(
                fs::read(made.path(&copy)).unwrap(),
                fs::read(made.path(&original)).unwrap()
            );
        }
    }
    for (certificate, purpose) in [
        ("server", "sslserver"),
        ("signer", "sslserver"),
        ("server-to-signer", "sslclient"),
    ] {
        made.shell(&format!(
            "openssl verify -CAfile pki/ca.pem -purpose {purpose} pki/{certificate}.pem"
        ))
        .ok();
    }
}

#[test]
fn following_the_printed_steps_signs_something() {
    let made = made();
    let steps = made.again(&[]).ok();
    for step in ["signer/env.sh", "--config", "notary init", "curl --cacert"] {
        assert!(steps.stdout.contains(step), "no {step:?} in {steps}");
    }
    installed_program("notary", "notary");
    let _signer = made.start("signer", made.signer_port);
    let _server = made.start("server", made.server_port);
    made.shell(
        ". users/alice/env.sh; echo one >content; notary init example.com/app --publish; \
         notary add example.com/app v1 content; notary publish example.com/app",
    )
    .ok();
    made.shell(
        ". users/bob/env.sh; notary list example.com/app; notary verify example.com/app v1 -i content -q",
    )
    .ok()
    .says("v1");
    // The printed curl command, as it is printed.
    let curl = steps
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("curl "))
        .unwrap();
    assert_eq!(made.shell(curl).ok().stdout.trim(), "{}");
    let nobody = format!(
        "curl -sS --cacert pki/ca.pem https://localhost:{}/v2/",
        made.server_port
    );
    made.shell(&nobody).ok().says("no_certificate");
}

#[test]
fn the_demo_shows_everything_and_leaves_nothing_running() {
    let directory = TempDir::new().unwrap();
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/demo.sh"));
    command
        .args(["--exit", "--dir"])
        .arg(directory.path())
        .env("PROGRAMS", built_programs());
    let demo = Finished::run(&mut command, "").ok();
    for text in [
        "bob: release-1 is what alice signed",
        "no_certificate",
        "with a certificate: 200",
        "== Done",
    ] {
        assert!(demo.stdout.contains(text), "no {text:?} in {demo}");
    }
    let listed = demo.stdout.rsplit("notary list").nth(1).unwrap_or_default();
    assert!(listed.contains("1.0") && listed.contains("2.0"), "{demo}");
    for name in ["server", "signer"] {
        let config = fs::read_to_string(directory.path().join(name).join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let address = config["server"][if name == "server" {
            "http_addr"
        } else {
            "grpc_addr"
        }]
        .as_str();
        assert!(
            TcpStream::connect(address.unwrap()).is_err(),
            "the {name} still runs"
        );
    }
}

#[test]
fn the_gate_demo_shows_the_whole_chain_and_leaves_nothing_running() {
    let directory = TempDir::new().unwrap();
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/gate-demo.sh"));
    command
        .args(["--exit", "--dir"])
        .arg(directory.path())
        .env("PROGRAMS", built_programs());
    let demo = Finished::run(&mut command, "").ok();
    // The script itself ends with an error where something runs that should not, or the other way round.
    for text in [
        ":unsigned: tag_not_signed: ",
        ":half: signer_missing: ",
        ":1.0: other_content: ",
        "\"op\":\"replace\"",
        "has a new key",
        "release 2.0 runs",
        "server_unreachable: ",
        "== Done",
    ] {
        assert!(demo.stdout.contains(text), "no {text:?} in {demo}");
    }
    let name = directory.path().display().to_string();
    let runs_on: Vec<String> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|process| fs::read_to_string(process.unwrap().path().join("cmdline")).ok())
        .filter(|line| line.contains(&name))
        .collect();
    assert_eq!(runs_on, Vec::<String>::new());
}
