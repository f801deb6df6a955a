//! Keys in a PKCS#11 token sign as those in files do, for notary and docker too; and what a token refuses is told in words.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    Notary, TestServer,
    countersign::Countersign,
    docker::{REGISTRY, debian_cli},
    flows::docker::World,
    native::{READERS, Repository},
    process::Finished,
    token::{PIN, Token},
};

const GUN: &str = "reg.example:5000/team/app";

/// Somebody with a token, and with an empty directory of keys for which there is no passphrase.
struct Holder {
    client: Countersign,
    notary: Notary,
    token: Token,
}

impl Holder {
    fn of(server: &TestServer, user: &str) -> Self {
        let client = Countersign::of(server, user);
        let token = Token::new(client.directory(), user);
        Self {
            notary: server.notary(user),
            client,
            token,
        }
    }

    fn odd(self) -> Self {
        Self {
            token: self.token.odd(),
            ..self
        }
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
        let mut command = match arguments {
            ["key", "generate" | "list" | "import", ..] => self.client.command(arguments),
            _ => self.client.command_at_server(arguments),
        };
        command.arg("--trust-dir").arg(self.notary.trust());
        self.token.give(&mut command);
        command.envs(variables.iter().copied());
        Finished::run(&mut command, "")
    }

    /// Makes a key in the token; returns its ID.
    fn generate(&self, name: &str) -> String {
        let made = self.run(&["key", "generate", name, "--in-token"]).ok();
        made.stdout.trim().to_owned()
    }

    fn public_key(&self, name: &str) -> PathBuf {
        self.client.directory().join(format!("{name}.pub"))
    }

    /// The lines of `key list`, in columns.
    fn keys(&self) -> Vec<Vec<String>> {
        let listed = self.run(&["key", "list"]).ok();
        let columns = |line: &str| line.split("  ").map(str::to_owned).collect();
        listed.stdout.lines().map(columns).collect()
    }

    /// The ID of the only key of a role.
    fn key(&self, role: &str) -> String {
        let mut keys = self.keys();
        keys.retain(|key| key[1] == role);
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys.remove(0).remove(0)
    }

    #[track_caller]
    fn sign(&self, gun: &str, tag: &str, content: &str, arguments: &[&str]) {
        self.signing(gun, tag, content, arguments, &[]).ok();
    }

    fn signing(
        &self,
        gun: &str,
        tag: &str,
        content: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Finished {
        let digest = format!("sha256:{}", digest(content));
        let size = content.len().to_string();
        let image = format!("{gun}:{tag}");
        let what = ["sign", &image, "--digest", &digest, "--size", &size];
        self.run_with(&[&what, arguments].concat(), variables)
    }

    #[track_caller]
    fn notary_finds(&self, gun: &str, tag: &str, content: &str) {
        let found = self.notary.run(["lookup", gun, tag]).ok();
        let expected = format!("{tag} sha256:{} {}", digest(content), content.len());
        assert_eq!(found.stdout.trim(), expected, "{found}");
    }

    /// No key may have come into a file.
    #[track_caller]
    fn has_no_files(&self) {
        let directory = self.notary.trust().join("private");
        let files = fs::read_dir(&directory).map_or(0, Iterator::count);
        assert_eq!(files, 0, "{}", directory.display());
    }
}

fn digest(content: &str) -> String {
    hex::encode(sha256(content.as_bytes()))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_key_of_owner_and_signers_may_be_made_in_tokens() {
    let server = TestServer::start();
    let owner = Holder::of(&server, "owner");
    owner.run(&["init", GUN, "--in-token"]).ok();
    owner.has_no_files();
    let keys = owner.keys();
    let shown = |role: &str| keys.iter().find(|key| key[1] == role).unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!(
        (shown("root")[2].as_str(), shown("targets")[2].as_str()),
        ("-", GUN)
    );
    assert!(
        shown("root")[3].starts_with("token \"owner\" (serial number "),
        "{keys:?}"
    );
    owner.sign(GUN, "1.0", "first", &[]);
    owner.notary_finds(GUN, "1.0", "first");
    // The token itself keeps them so that they cannot be taken out.
    let objects = owner.token.tool(&["--list-objects", "--type", "privkey"]);
    assert_eq!(
        objects.stdout.matches("never extractable").count(),
        2,
        "{objects}"
    );

    let root = owner.key("root");
    let signer = Holder::of(&server, "alice");
    let key = signer.generate("alice");
    owner
        .run(&["signer", "add", "alice", GUN, text(&signer.public_key("alice"))])
        .ok();
    signer.sign(GUN, "2.0", "second", &["--root-key", &root]);
    signer.notary_finds(GUN, "2.0", "second");
    let next = signer.client.directory().join("next");
    fs::create_dir(&next).unwrap();
    signer
        .run(&["key", "generate", "alice", "--in-token", "--dir", text(&next)])
        .ok();
    let next_key = next.join("alice.pub");
    let replace = ["signer", "replace", "alice", GUN, text(&next_key)];
    owner.run(&replace).fails().says("countersign witness");
    signer
        .run(&["witness", GUN, "targets/alice", "targets/releases"])
        .ok();
    owner.run(&replace).ok();
    signer.notary_finds(GUN, "2.0", "second");
    let inspected = owner.run(&["inspect", GUN, "--json"]).ok();
    assert!(!inspected.stdout.contains(&key), "{inspected}");
    signer.has_no_files();

    for role in ["targets", "root"] {
        owner.run(&["key", "rotate", GUN, role, "--in-token"]).ok();
    }
    owner
        .run(&["key", "rotate", GUN, "snapshot", "--local", "--in-token"])
        .ok();
    owner.sign(GUN, "3.0", "third", &["--role", "targets"]);
    owner.run(&["key", "rotate", GUN, "snapshot"]).ok();
    owner.run(&["key", "rotate", GUN, "timestamp"]).ok();
    signer.sign(GUN, "4.0", "fourth", &[]);
    for (tag, content) in [
        ("1.0", "first"),
        ("2.0", "second"),
        ("3.0", "third"),
        ("4.0", "fourth"),
    ] {
        owner.notary_finds(GUN, tag, content);
    }
    owner.has_no_files();
}

#[test]
fn keys_of_every_kind_that_other_programs_put_into_a_token_sign() {
    let server = TestServer::start();
    let owner = Holder::of(&server, "owner");
    for (number, kind) in ["EC:prime256v1", "EC:secp384r1", "EC:secp521r1", "rsa:2048"]
        .iter()
        .enumerate()
    {
        let (root, targets) = (format!("0{number}"), format!("1{number}"));
        for (id, label) in [(&root, "root"), (&targets, "targets")] {
            owner
                .token
                .tool(&["--keypairgen", "--key-type", kind, "--label", label, "--id", id]);
        }
    }
    let keys = owner.keys();
    let of = |role: &str| -> Vec<String> {
        let keys = keys.iter().filter(|key| key[1] == role);
        keys.map(|key| key[0].clone()).collect()
    };
    let (roots, targets) = (of("root"), of("targets"));
    assert_eq!((roots.len(), targets.len()), (4, 4));
    owner
        .run(&["init", GUN])
        .fails()
        .says("there are several root keys");
    for (number, (root, targets)) in roots.iter().zip(&targets).enumerate() {
        let gun = format!("{GUN}/{number}");
        owner
            .run(&["init", &gun, "--root-key", root, "--targets-key", targets])
            .ok();
        owner.sign(&gun, "1.0", "first", &["--root-key", root]);
        owner.notary_finds(&gun, "1.0", "first");
        let next = |keys: &[String]| keys[(number + 1) % 4].clone();
        let rotate = |role: &str, key: &str| owner.run(&["key", "rotate", &gun, role, "--to", key]).ok();
        rotate("targets", &next(&targets_of(&keys)));
        rotate("root", &next(&roots));
        owner.notary_finds(&gun, "1.0", "first");
    }
    // What SoftHSM's own program brings there.
    let key = owner.client.directory().join("bob.pem");
    let mut openssl = Command::new("openssl");
    openssl.args([
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
    ]);
    Finished::run(openssl.arg(&key), "").ok();
    owner.token.import(&key, "bob", "b0b0");
    assert_eq!(owner.key("bob").len(), 64);
    owner.has_no_files();
}

fn targets_of(keys: &[Vec<String>]) -> Vec<String> {
    let keys = keys.iter().filter(|key| key[1] == "targets");
    keys.map(|key| key[0].clone()).collect()
}

#[test]
fn keys_of_files_come_into_a_token_and_are_used_there() {
    let server = TestServer::start();
    let owner = Holder::of(&server, "owner");
    let passphrase = [("COUNTERSIGN_PASSPHRASE", "passphrase")];
    owner.run_with(&["init", GUN], &passphrase).ok();
    // A key in a file wants its passphrase, though there is a token.
    owner
        .signing(GUN, "1.0", "first", &[], &[])
        .fails()
        .says("no passphrase was given");
    let files: Vec<String> = owner.keys().into_iter().map(|key| key[3].clone()).collect();
    assert_eq!(files.len(), 2);
    for file in &files {
        for _ in 0..2 {
            owner
                .run_with(&["key", "import", file, "--in-token"], &passphrase)
                .ok()
                .says("is still there");
        }
    }
    assert_eq!(owner.keys().len(), 4);
    owner.sign(GUN, "1.0", "first", &[]);
    owner.notary_finds(GUN, "1.0", "first");
    fs::remove_dir_all(owner.notary.trust().join("private")).unwrap();
    let keys = owner.keys();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(
        keys.iter().any(|key| key[1] == "targets" && key[2] == GUN),
        "{keys:?}"
    );
    owner.run(&["key", "rotate", GUN, "timestamp"]).ok();
    owner.notary_finds(GUN, "1.0", "first");
    let rsa = owner.client.directory().join("rsa.pem");
    let mut openssl = Command::new("openssl");
    Finished::run(openssl.args(["genrsa", "-out"]).arg(&rsa).arg("2048"), "").ok();
    let import = ["key", "import", text(&rsa), "--role", "bob", "--in-token"];
    owner.run(&import).ok();
    owner.key("bob");
}

#[test]
fn keys_that_cannot_be_used_are_told_apart_and_the_others_sign() {
    let server = TestServer::start();
    let owner = Holder::of(&server, "owner");
    owner.run(&["init", GUN, "--in-token"]).ok();
    let pair = |kind: &str, label: &str, id: &str| {
        owner
            .token
            .tool(&["--keypairgen", "--key-type", kind, "--label", label, "--id", id]);
    };
    pair("EC:prime256v1", "lonely", "aa");
    owner
        .token
        .tool(&["--delete-object", "--type", "pubkey", "--id", "aa"]);
    pair("EC:secp256k1", "coin", "cc");
    pair("rsa:1024", "weak", "dd");
    pair("EC:prime256v1", "twin", "ee");
    pair("EC:prime256v1", "twin", "ee");
    pair("EC:prime256v1", "nameless\n\u{1b}[2J", "ff");
    // A root key whose public key somebody has exchanged is not where trust begins.
    pair("EC:prime256v1", "root", "1a");
    pair("EC:prime256v1", "other", "1b");
    let other = owner.client.directory().join("other.der");
    let tool = |arguments: &[&str]| owner.token.tool(arguments);
    tool(&[
        "--read-object",
        "--type",
        "pubkey",
        "--id",
        "1b",
        "-o",
        text(&other),
    ]);
    for (kind, id) in [("pubkey", "1a"), ("pubkey", "1b"), ("privkey", "1b")] {
        tool(&["--delete-object", "--type", kind, "--id", id]);
    }
    tool(&["--write-object", text(&other), "--type", "pubkey", "--id", "1a"]);
    let listed = owner.run(&["key", "list"]).ok();
    for reason in [
        "the private key \"root\" in the token \"owner\" cannot be used: the token \"owner\": its signature with the key",
        "\"lonely\" (CKA_ID \"aa\") in the token \"owner\" cannot be used: the token has neither a public key",
        "\"coin\" (CKA_ID \"cc\") in the token \"owner\" cannot be used: this is an ECDSA key on another curve",
        "\"weak\" (CKA_ID \"dd\") in the token \"owner\" cannot be used: this is an RSA key of 1024 bits",
        "\"twin\" (CKA_ID \"ee\") in the token \"owner\" cannot be used: several different public keys",
    ] {
        assert!(listed.stderr.contains(reason), "no {reason:?} in {listed}");
    }
    assert_eq!(listed.stdout.lines().count(), 3, "{listed}");
    assert!(!listed.output().contains('\u{1b}'), "{listed}");
    assert!(owner.keys().iter().any(|key| key[1] == "unknown"));
    owner.sign(GUN, "1.0", "first", &[]);
    owner.notary_finds(GUN, "1.0", "first");
}

#[test]
fn wrong_modules_tokens_and_pins_are_told_in_words() {
    let server = TestServer::start();
    let owner = Holder::of(&server, "owner");
    owner.generate("root");
    let list = ["key", "list"];
    let told = |arguments: &[&str], variables: &[(&str, &str)], words: &str| {
        let refused = owner.run_with(arguments, variables).fails().says(words);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused}");
    };
    let text_file = owner.client.directory().join("text");
    fs::write(&text_file, "hello").unwrap();
    let module = "COUNTERSIGN_PKCS11_MODULE";
    told(&list, &[(module, "/no/module.so")], "/no/module.so: No such file");
    told(&list, &[(module, "/tmp")], "it is not a file");
    told(&list, &[(module, "/dev/null")], "it is not a file");
    told(&list, &[(module, text(&text_file))], "it is not a PKCS#11 module");
    let plain = fs::read_dir("/usr/lib")
        .unwrap()
        .map(|entry| entry.unwrap().path().join("libz.so.1"))
        .find(|path| path.exists())
        .unwrap();
    told(&list, &[(module, text(&plain))], "it is not a PKCS#11 module");
    // A file without a directory in its name is meant, not a library of that name elsewhere.
    told(
        &list,
        &[(module, "libsofthsm2.so")],
        "libsofthsm2.so: No such file",
    );
    told(&list, &[("SOFTHSM2_CONF", "/no/such.conf")], "the PKCS#11 module");
    told(
        &["key", "list", "--pkcs11-token", "another"],
        &[],
        "it has no token \"another\"; it has \"owner\"",
    );
    told(
        &["key", "list", "--pkcs11-token", "owner"],
        &[(module, "")],
        "no module for it",
    );
    told(
        &["key", "generate", "eve", "--in-token"],
        &[(module, "")],
        "no token is named",
    );
    assert!(!owner.public_key("eve").exists());
    let pin = "COUNTERSIGN_PKCS11_PIN";
    told(
        &list,
        &[(pin, "")],
        "it wants its PIN; set COUNTERSIGN_PKCS11_PIN",
    );
    told(&list, &[(pin, &"1".repeat(300))], "so it was not tried");
    told(
        &list,
        &[(pin, ""), ("COUNTERSIGN_PASSPHRASE", PIN)],
        "it wants its PIN",
    );
    told(
        &list,
        &[(pin, "wrong")],
        "the PIN in COUNTERSIGN_PKCS11_PIN is wrong (C_Login failed with CKR_PIN_INCORRECT)",
    );
    // Files and programs give it too, and a file that is named comes first.
    let file = owner.client.directory().join("pin");
    fs::write(&file, format!("{PIN}\n")).unwrap();
    let with_file = ["key", "list", "--pkcs11-pin-file", text(&file)];
    owner.run_with(&with_file, &[(pin, "wrong")]).ok();
    let print = format!("sh -c 'test $COUNTERSIGN_TOKEN_LABEL = owner && echo {PIN}'");
    let command = "COUNTERSIGN_PKCS11_PIN_COMMAND";
    owner.run_with(&list, &[(pin, ""), (command, &print)]).ok();
    told(&list, &[(pin, ""), (command, "false")], "false failed");
    told(&list, &[(pin, ""), (command, "echo 'x")], "a quote");

    // Several tokens: by label, and by serial number where labels are the same.
    owner.token.add("other");
    told(&list, &[], "it has several tokens; say with --pkcs11-token");
    owner
        .run_with(&list, &[("COUNTERSIGN_PKCS11_TOKEN", "owner")])
        .ok();
    owner.token.add("other");
    let other = ["key", "list", "--pkcs11-token", "other"];
    told(&other, &[], "by its serial number");
    let shown = owner.run(&other).fails().stderr;
    let serial = shown.rsplit("(serial number \"").next().unwrap();
    let serial = serial.split('"').next().unwrap();
    owner.run(&["key", "list", "--pkcs11-token", serial]).ok();

    told(
        &["key", "rotate", GUN, "timestamp", "--in-token"],
        &[],
        "--in-token is about a new key",
    );
    told(
        &[
            "sign",
            GUN,
            "--digest",
            &format!("sha256:{}", digest("x")),
            "--in-token",
        ],
        &[],
        "say which tag",
    );
}

#[test]
fn a_token_is_logged_in_to_once_and_no_second_attempt_of_a_pin_is_spent() {
    let server = TestServer::start();
    let owner = Holder::of(&server, "owner").odd();
    owner.run(&["init", GUN, "--in-token"]).ok();
    assert_eq!(owner.token.logins(), 1);
    owner.sign(GUN, "1.0", "first", &[]);
    assert_eq!(owner.token.logins(), 2);
    owner
        .run(&["gun", "rename", GUN, "new.example/app", "--in-token"])
        .ok();
    assert_eq!(owner.token.logins(), 3);
    let pin = "COUNTERSIGN_PKCS11_PIN";
    owner
        .signing(GUN, "2.0", "second", &[], &[(pin, "wrong")])
        .fails()
        .says("it was tried once");
    assert_eq!(owner.token.logins(), 4);
    let ways = "ODD_WAYS";
    owner
        .signing(GUN, "2.0", "second", &[], &[(ways, "locked")])
        .fails()
        .says("its PIN is locked after too many wrong ones")
        .says("CKR_PIN_LOCKED");
    assert_eq!(owner.token.logins(), 5);
    // The last attempt is a person's.
    owner
        .signing(GUN, "2.0", "second", &[], &[(ways, "final")])
        .fails()
        .says("one more wrong PIN locks it, so the PIN in COUNTERSIGN_PKCS11_PIN was not tried");
    assert_eq!(owner.token.logins(), 5);
}

#[test]
fn what_a_token_signs_is_verified_before_anybody_sees_it() {
    let server = TestServer::start();
    let owner = Holder::of(&server, "owner").odd();
    owner.run(&["init", GUN, "--in-token"]).ok();
    owner.sign(GUN, "1.0", "first", &[]);
    let lies = [("ODD_WAYS", "lies")];
    owner
        .signing(GUN, "2.0", "second", &[], &lies)
        .fails()
        .says("is not right");
    owner
        .run_with(&["key", "rotate", GUN, "root", "--in-token"], &lies)
        .fails()
        .says("is not right");
    owner
        .run_with(&["key", "generate", "bob", "--in-token"], &lies)
        .fails()
        .says("is not right");
    // A key that failed its trial is not left behind, and neither is its file.
    assert!(!owner.public_key("bob").exists());
    assert_eq!(owner.keys().len(), 2);
    assert_eq!(owner.notary.targets(GUN), ["1.0"]);
    let silent = [("ODD_WAYS", "silent")];
    owner
        .run_with(&["key", "list"], &silent)
        .ok()
        .says("cannot be used: it may not sign (CKA_SIGN is false)");
    owner
        .signing(GUN, "2.0", "second", &[], &silent)
        .fails()
        .says("0 are at hand")
        .says("`countersign key list` says why");
    owner
        .run_with(
            &["key", "rotate", GUN, "targets", "--to", &owner.key("root")],
            &silent,
        )
        .fails()
        .says("it may not sign");
    // Points come with an OCTET STRING around them, or without.
    owner
        .signing(GUN, "2.0", "second", &[], &[("ODD_WAYS", "raw")])
        .ok();
    owner.notary_finds(GUN, "2.0", "second");
}

#[test]
fn keys_in_a_token_sign_repositories_of_tuf_1_0_and_bring_those_of_notary_over() {
    let server = TestServer::builder().set("tuf", json!({"enabled": true})).start();
    let owner = Holder::of(&server, "owner");
    let (root, targets) = (owner.generate("first"), owner.generate("second"));
    let name = "example.com/team/tools";
    owner
        .run(&["tuf", "init", name, "--root-signer", &root, "--signer", &targets])
        .ok()
        .says("published root 1");
    let file = owner.client.directory().join("app.txt");
    fs::write(&file, "app").unwrap();
    owner.run(&["tuf", "add", name, text(&file)]).ok();
    owner.run(&["tuf", "renew", name]).ok().says("published root 2");
    // The same keys that signed the Notary repository sign what it becomes.
    owner.run(&["init", GUN, "--in-token"]).ok();
    owner.sign(GUN, "1.0", "first", &["--role", "targets"]);
    owner.run(&["tuf", "migrate", GUN, "--yes"]).ok();
    owner.has_no_files();
    let files = server.pki().user("reader");
    for (name, target, content) in [(name, "app.txt", "app"), (GUN, "1.0", "first")] {
        let repository = Repository::new(name, server.client("owner"));
        let first = repository.get("metadata/1.root.json").ok().body;
        for reader in READERS {
            let found = reader.install(&server, name, &first, &files).look_up(&[target]);
            assert_eq!(found["found"][target], digest(content), "{reader:?}: {found}");
        }
    }
}

#[test]
fn docker_trust_reads_what_a_token_signs() {
    let world = World::start(TestServer::builder());
    let files = world.server().pki().user("alice");
    let docker = world
        .host()
        .user(&debian_cli(), "alice", &files, world.server().entry());
    let token = Token::new(docker.home(), "alice");
    let image = format!("{REGISTRY}/team/ours:1.0");
    let script = |arguments: &str| {
        format!(
            "export DOCKER_CONFIG={} DOCKER_CONTENT_TRUST_SERVER=https://{}:{} SOFTHSM2_CONF={} \
             COUNTERSIGN_PKCS11_MODULE={} COUNTERSIGN_PKCS11_PIN={PIN}; {} {arguments}",
            docker.home().display(),
            tests::namespace::TRUST_NAME,
            world.server().entry(),
            token.settings().display(),
            token.module().display(),
            tests::process::built_programs().join("countersign").display()
        )
    };
    let run = |arguments: &str| {
        world
            .host()
            .shell(&docker.home().join("shell"), &script(arguments))
    };
    run("key generate alice --in-token").ok();
    let digest = digest("first");
    run(&format!(
        "sign --init --in-token --as alice {image} --digest sha256:{digest} --size 5"
    ))
    .ok();
    let shown = docker
        .run(["trust", "inspect", &format!("{REGISTRY}/team/ours")])
        .ok();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown[0]["SignedTags"][0]["Digest"], digest);
    assert_eq!(shown[0]["SignedTags"][0]["Signers"], json!(["alice"]));
}
