//! Trust roots: an operator vouches for the roots of Notary repositories in a TUF 1.0 repository, and `countersign verify` and gates
//! begin with them. `docs/tuf.md` describes it.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tests::{
    Finished, Stop, TestServer,
    bridge::new_key,
    countersign::Countersign,
    database::Whose,
    native::{Key, READERS, Repository},
    person::{GUN, Person, digest},
    process::wait_until,
};

/// The operator's repository.
const NAME: &str = "corp.example/trust-roots";
const OTHER: &str = "reg.example:5000/team/tool";
const THIRD: &str = "reg.example:5000/team/third";
const POLICY: &str = "anchors: { corp: { tuf: { repository: corp.example/trust-roots, root: operator.json } } }\n\
                      rules: [ { match: \"**\", anchor: corp } ]";

/// A server, the owner of repositories on it, an operator who vouches for them, and a machine that verifies.
struct Site {
    server: TestServer,
    owner: Person,
    operator: Person,
    reader: Countersign,
}

impl Site {
    /// The owner has signed two repositories, and the operator vouches for both.
    fn start() -> Self {
        let site = Self::unvouched();
        let told = site
            .operator
            .run(&["tuf", "roots", NAME, GUN, OTHER, "--yes"])
            .ok();
        told.says(&format!("{GUN}/1.root.json: "))
            .says(&format!("certificate of CN={OTHER}"))
            .says("published targets 2");
        site
    }

    fn unvouched() -> Self {
        let server = TestServer::builder().set("tuf", json!({"enabled": true})).start();
        let (owner, operator) = (Person::of(&server, "alice"), Person::of(&server, "operator"));
        for gun in [GUN, OTHER] {
            make(&owner, gun);
        }
        operator.run(&["tuf", "init", NAME]).ok();
        let reader = Countersign::of(&server, "reader");
        let site = Self {
            server,
            owner,
            operator,
            reader,
        };
        site.policy(&site.reader);
        site
    }

    /// The root that the operator hands over.
    fn root(&self) -> Vec<u8> {
        self.native().get("metadata/1.root.json").ok().body
    }

    fn native(&self) -> Repository {
        Repository::new(NAME, self.server.client("alice"))
    }

    fn policy(&self, reader: &Countersign) {
        fs::write(reader.directory().join("operator.json"), self.root()).unwrap();
        reader.policy(POLICY);
    }

    /// Another machine, which has seen nothing yet.
    fn fresh(&self, name: &str) -> Countersign {
        let reader = Countersign::of(&self.server, name);
        self.policy(&reader);
        reader
    }

    /// Versions of the operator's files: timestamp, snapshot, targets.
    fn versions(&self) -> [i64; 3] {
        let file = |path: &str| self.native().get(path).ok().json();
        let timestamp = file("metadata/timestamp.json");
        let snapshot = timestamp["signed"]["meta"]["snapshot.json"]["version"]
            .as_i64()
            .unwrap();
        let targets = file(&format!("metadata/{snapshot}.snapshot.json"));
        [
            timestamp["signed"]["version"].as_i64().unwrap(),
            snapshot,
            targets["signed"]["meta"]["targets.json"]["version"]
                .as_i64()
                .unwrap(),
        ]
    }

    /// Changes what is stored behind the server's back.
    fn damage(&mut self, sql: &str) {
        self.server.stop_server(Stop::Politely);
        self.server.execute(Whose::Server, sql);
        self.server.start_server();
    }

    fn restore(&mut self, [timestamp, snapshot, targets]: [i64; 3]) {
        self.damage(&format!(
            "DELETE FROM native_files WHERE repository = '{NAME}' AND (role = 'timestamp' AND version > {timestamp} \
             OR role = 'snapshot' AND version > {snapshot} OR role = 'targets' AND version > {targets}); \
             UPDATE native_repositories SET timestamp_version = {timestamp}, snapshot_version = {snapshot} \
             WHERE name = '{NAME}'"
        ));
    }
}

/// A repository with the tag 1.0.
fn make(owner: &Person, gun: &str) {
    owner.run(&["init", gun]).ok();
    sign(owner, gun, "1.0", gun);
}

fn sign(owner: &Person, gun: &str, tag: &str, content: &str) {
    let (image, digest) = (format!("{gun}:{tag}"), format!("sha256:{}", digest(content)));
    let size = content.len().to_string();
    owner
        .run(&[
            "sign", &image, "--digest", &digest, "--size", &size, "--role", "targets",
        ])
        .ok();
}

#[track_caller]
fn allows(reader: &Countersign, gun: &str) {
    reader.allows(&format!("{gun}:1.0"), &digest(gun));
}

#[track_caller]
fn denies(reader: &Countersign, gun: &str, reason: &str) -> Finished {
    reader.denies(&format!("{gun}:1.0"), reason)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn readers_begin_with_the_roots_that_an_operator_vouches_for_and_with_no_others() {
    let site = Site::unvouched();
    let (operator, reader) = (&site.operator, &site.reader);
    assert_eq!(denies(reader, GUN, "not_vouched").code, 1);
    operator
        .run(&["tuf", "roots", NAME, GUN, OTHER])
        .fails()
        .says("say --yes to vouch for what was shown");
    denies(reader, GUN, "not_vouched");
    let key = site.owner.inspect(&[])["root"]["keys"][0]
        .as_str()
        .unwrap()
        .to_owned();
    operator
        .run(&["tuf", "roots", NAME, GUN, OTHER, "--yes"])
        .ok()
        .says(&format!("root key {key}, certificate of CN={GUN}"))
        .says("published targets 2");
    operator
        .run(&["tuf", "roots", NAME, GUN, OTHER, "--yes"])
        .ok()
        .says("vouches for the same already");
    for gun in [GUN, OTHER] {
        allows(reader, gun);
    }
    make(&site.owner, THIRD);
    assert_eq!(denies(reader, THIRD, "not_vouched").code, 1);
    // The same without a policy.
    let file = reader.directory().join("operator.json");
    let image = format!("{GUN}:1.0");
    let adhoc = ["verify", "--trust-roots", NAME, "--tuf-root", text(&file), &image];
    reader.run_at_server(&adhoc).ok().says(&digest(GUN));
    reader
        .run_at_server(&["verify", "--trust-roots", NAME, &image])
        .fails()
        .says("--tuf-root");
    // Whoever attests images begins with the operator too.
    let bridge = new_key(reader.directory(), "bridge");
    let (private, layout) = (
        bridge.private.display().to_string(),
        reader.directory().join("layout"),
    );
    let attest = [
        "attest",
        "--trust-roots",
        NAME,
        "--tuf-root",
        text(&file),
        "--cosign",
        "--bridge-key",
        &private,
    ];
    let attested = reader.run_at_server(&[&attest[..], &["--out", text(&layout), &image]].concat());
    attested.ok().says(&digest(GUN));

    // Everybody's clients read the roots, byte for byte.
    let shown = |gun: &str, version: u32| {
        let path = format!("/v2/{gun}/_trust/tuf/{version}.root.json");
        site.server.client("alice").get(&path).ok().body
    };
    let first = shown(GUN, 1);
    let files = site.server.pki().user("others");
    let others = READERS.map(|reader| reader.install(&site.server, NAME, &site.root(), &files));
    for other in &others {
        other.finds(&[(&format!("{GUN}/1.root.json"), &first)]);
    }
    let out = reader.directory().join("out");
    let target = format!("{OTHER}/1.root.json");
    let download = [
        "tuf",
        "download",
        NAME,
        &target,
        "--dir",
        text(&out),
        "--root",
        text(&file),
    ];
    reader.run_at_server(&download).ok();
    assert_eq!(fs::read(out.join(target)).unwrap(), shown(OTHER, 1));
    // Before the colon of a name stands a port's host and no scheme, whatever the SHA-256 is that comes before it.
    for content in ["letter: ", "digit: "] {
        let wanted =
            |found: &String| found.starts_with(|c: char| c.is_ascii_alphabetic()) == content.starts_with('l');
        let mut contents = (0..).map(|number| format!("{content}{number}"));
        let content = contents.find(|content| wanted(&digest(content))).unwrap();
        let file = operator.client.directory().join("file");
        fs::write(&file, &content).unwrap();
        let name = "reg.example:5000/file";
        operator
            .run(&["tuf", "add", NAME, text(&file), "--name", name])
            .ok();
        reader
            .run_at_server(&["tuf", "download", NAME, name, "--dir", text(&out)])
            .ok();
        assert_eq!(fs::read_to_string(out.join(name)).unwrap(), content);
    }

    // The chain leads on from the root that is vouched for, also for those who see it for the first time.
    for _ in 0..2 {
        site.owner.run(&["key", "rotate", GUN, "root"]).ok();
    }
    allows(reader, GUN);
    allows(&site.fresh("newcomer"), GUN);
    // All that may be read are brought into step, and what is new of each is told.
    operator
        .run(&["tuf", "roots", NAME, "--all", "--yes"])
        .ok()
        .says("lists 3 repositories")
        .says(&format!("{GUN}/3.root.json"))
        .says(&format!("{THIRD}/1.root.json"))
        .does_not_say(&format!("{GUN}/1.root.json"));
    for gun in [GUN, OTHER, THIRD] {
        allows(reader, gun);
    }
    for other in &others {
        other.finds(&[(&format!("{GUN}/3.root.json"), &shown(GUN, 3))]);
    }

    // What is no longer vouched for is denied, although it was verified here before.
    operator
        .run(&["tuf", "roots", NAME, "--remove", OTHER, "--yes"])
        .ok()
        .says(&format!("no longer {OTHER}/1.root.json"));
    denies(reader, OTHER, "not_vouched");
    allows(reader, GUN);
    operator
        .run(&["tuf", "roots", NAME, "--remove", OTHER, "--yes"])
        .fails()
        .says("vouches for no root of");
}

#[test]
fn a_repository_that_somebody_made_anew_is_not_vouched_for_until_its_operator_says_so() {
    let site = Site::start();
    allows(&site.reader, GUN);
    site.server
        .client("alice")
        .delete(&format!("/v2/{GUN}/_trust/tuf/"))
        .ok();
    let mallory = Person::of(&site.server, "mallory");
    make(&mallory, GUN);
    denies(&site.reader, GUN, "root_reset");
    denies(&site.fresh("newcomer"), GUN, "anchor_mismatch");
    allows(&site.fresh("another"), OTHER);
    for arguments in [
        ["tuf", "roots", NAME, GUN, "--yes"].as_slice(),
        // Nor is anything else signed that was named with it.
        ["tuf", "roots", NAME, GUN, OTHER, "--yes"].as_slice(),
    ] {
        let told = site.operator.run(arguments).fails();
        told.says("is another document than the one that is vouched for")
            .says(&format!("--replace {GUN}"))
            .says("nothing was signed");
    }
    make(&site.owner, THIRD);
    let told = site.operator.run(&["tuf", "roots", NAME, "--all", "--yes"]);
    assert_eq!(told.code, 1, "{told}");
    told.says("1 of 3 repositories are not vouched for")
        .says(&format!("{THIRD}/1.root.json"));
    allows(&site.reader, THIRD);
    denies(&site.fresh("third"), GUN, "anchor_mismatch");

    // The explicit word. Who has seen the former one has to accept the change, and asks the operator too.
    site.operator
        .run(&["tuf", "roots", NAME, "--replace", GUN, "--yes"])
        .ok()
        .says(&format!("no longer {GUN}/1.root.json"));
    allows(&site.fresh("fourth"), GUN);
    denies(&site.reader, GUN, "root_reset");
    let accept = ["anchor", "accept", GUN, "--yes", "--policy", "policy.yaml"];
    site.reader.run_at_server(&accept).ok();
    allows(&site.reader, GUN);
    // Where no operator vouches, nothing can be accepted.
    let accept = [
        "anchor",
        "accept",
        "reg.example:5000/none",
        "--yes",
        "--policy",
        "policy.yaml",
    ];
    site.reader
        .run_at_server(&accept)
        .fails()
        .says("vouches for no root of reg.example:5000/none");
}

#[test]
fn a_server_whose_newest_root_is_older_than_the_one_vouched_for_is_denied() {
    let mut site = Site::start();
    let version = |role: &str| {
        let path = format!("/v2/{GUN}/_trust/tuf/{role}.json");
        site.server.client("alice").get(&path).ok().json()["signed"]["version"].clone()
    };
    let [timestamp, snapshot, targets] = ["timestamp", "snapshot", "targets"].map(version);
    site.owner.run(&["key", "rotate", GUN, "root"]).ok();
    site.operator
        .run(&["tuf", "roots", NAME, GUN, "--yes"])
        .ok()
        .says(&format!("{GUN}/2.root.json"));
    allows(&site.reader, GUN);
    site.damage(&format!(
        "DELETE FROM tuf_files WHERE gun = '{GUN}' AND (role = 'root' AND version > 1 \
         OR role = 'timestamp' AND version > {timestamp} OR role = 'snapshot' AND version > {snapshot} \
         OR role = 'targets' AND version > {targets})"
    ));
    denies(&site.fresh("newcomer"), GUN, "rollback").says("vouches for version 2");
    denies(&site.reader, GUN, "rollback");
    allows(&site.reader, OTHER);
    site.operator
        .run(&["tuf", "roots", NAME, GUN, "--yes"])
        .fails()
        .says("the newest root of")
        .says("version 2 is vouched for");
}

#[test]
fn an_operators_repository_that_was_changed_withheld_or_has_ended_allows_nothing() {
    let mut site = Site::start();
    allows(&site.reader, GUN);
    let good = site.root();
    let file = site.reader.directory().join("operator.json");

    // The root of another repository is found before any server is asked, one of the same name by what it does not lead to.
    site.operator.run(&["tuf", "init", "corp.example/other"]).ok();
    let other = Repository::new("corp.example/other", site.server.client("alice"));
    fs::write(&file, other.get("metadata/1.root.json").ok().body).unwrap();
    let checked = ["policy", "check", "policy.yaml"];
    site.reader.run(&checked).fails().says("corp.example/other");
    site.reader
        .verify(&format!("{GUN}:1.0"))
        .fails()
        .says("corp.example/other");
    let key = Key::new();
    let stranger = site.native().first_root(&[&key], &[&key]);
    fs::write(&file, key.sign(&stranger.draft().unwrap()).bytes()).unwrap();
    site.reader.run(&checked).ok();
    assert_eq!(denies(&site.reader, GUN, "trust_roots").code, 1);
    fs::write(&file, stranger.draft().unwrap().bytes()).unwrap();
    site.reader.run(&checked).fails();
    fs::write(&file, &good).unwrap();
    allows(&site.reader, GUN);

    // An older state, also when the server's keys were replaced since the root with which trust begins.
    site.operator
        .run(&["tuf", "rotate", NAME, "timestamp"])
        .ok()
        .says("published root 2");
    let before = site.versions();
    site.operator
        .run(&["tuf", "roots", NAME, "--remove", OTHER, "--yes"])
        .ok();
    let after = site.versions();
    denies(&site.reader, OTHER, "not_vouched");
    site.restore(before);
    denies(&site.reader, OTHER, "trust_roots");
    denies(&site.reader, GUN, "trust_roots");
    assert_eq!(site.versions(), before);
    assert_ne!(after, before);

    // Other content under the name of what was signed.
    let newcomer = site.fresh("newcomer");
    allows(&newcomer, GUN);
    let [_, _, targets] = before;
    site.damage(&format!(
        "UPDATE native_files SET data = (SELECT data FROM (SELECT data FROM native_files WHERE repository = '{NAME}' \
         AND role = 'targets' AND version = 1) AS first) WHERE repository = '{NAME}' AND role = 'targets' AND version = {targets}"
    ));
    denies(&newcomer, GUN, "trust_roots");

    // A server that says nothing, where nothing in memory bridges that: what is on disk does not.
    site.server.stop_server(Stop::Politely);
    assert_eq!(denies(&newcomer, GUN, "server_unreachable").code, 2);
    site.server.start_server();
    site.native().request("DELETE", "metadata", b"").ok();
    denies(&newcomer, GUN, "server_error").says("was deleted");
}

#[test]
fn an_operators_repository_ends_when_its_operator_does_not_renew_it() {
    let site = Site::unvouched();
    let vouching = ["tuf", "roots", NAME, GUN, "--yes", "--days", "1"];
    site.operator.run(&vouching).ok();
    allows(&site.reader, GUN);
    let later = site.fresh("later").days_ahead(2);
    let denied = denies(&later, GUN, "expired");
    denied.says(NAME);
    site.operator.run(&["tuf", "renew", NAME, "targets"]).ok();
    // Everything else is good for longer than that.
    allows(&later, GUN);
}

#[test]
fn the_operators_keys_change_and_two_operators_vouch_together() {
    let site = Site::unvouched();
    let (one, two) = (&site.operator, Person::of(&site.server, "second"));
    let key = two.generate("second");
    let both = [
        "tuf",
        "signers",
        NAME,
        "targets",
        "--add",
        text(&key),
        "--threshold",
        "2",
    ];
    one.run(&both).ok();
    two.run(&["tuf", "sign", NAME, "--tofu", "--yes"])
        .ok()
        .says("published root 2");
    one.run(&["tuf", "roots", NAME, GUN, "--yes"])
        .ok()
        .says("1 of 2 by root version 2");
    denies(&site.reader, GUN, "not_vouched");
    // Again, while it waits.
    one.run(&["tuf", "roots", NAME, GUN, "--yes", "--days", "80"])
        .fails()
        .says("sign that one, or withdraw it first");
    two.run(&["tuf", "sign", NAME, "--yes"])
        .ok()
        .says(&format!("adds {GUN}/1.root.json"));
    allows(&site.reader, GUN);
    // Another root key, and the first one no longer signs.
    let key = one.generate("later");
    let status = one.run(&["tuf", "status", NAME]).ok().stdout;
    let root = status
        .lines()
        .skip_while(|line| !line.starts_with("root "))
        .nth(1)
        .unwrap();
    let root = root.split_whitespace().nth(1).unwrap().to_owned();
    one.run(&[
        "tuf",
        "signers",
        NAME,
        "root",
        "--add",
        text(&key),
        "--remove",
        &root,
    ])
    .ok()
    .says("published root 3");
    allows(&site.reader, GUN);
    allows(&site.fresh("newcomer"), GUN);
}

#[test]
fn roots_of_some_repositories_may_be_delegated() {
    let site = Site::unvouched();
    let key = site.operator.generate("team");
    site.operator
        .run(&[
            "tuf",
            "delegate",
            NAME,
            "team",
            "--signer",
            text(&key),
            "--everything",
        ])
        .ok();
    site.operator
        .run(&["tuf", "roots", NAME, GUN, "--role", "team", "--yes"])
        .ok()
        .says("published team 2");
    allows(&site.reader, GUN);
    site.operator
        .run(&["tuf", "roots", NAME, GUN, "--yes"])
        .fails()
        .says("say --role team");
    // Who is trusted with every path has no word about what is listed before.
    site.operator
        .run(&["tuf", "roots", NAME, OTHER, "--yes"])
        .ok()
        .says("published targets 3");
    let forged = site.operator.client.directory().join("forged");
    fs::write(&forged, "forged").unwrap();
    let name = format!("{OTHER}/9.root.json");
    let adding = [
        "tuf",
        "add",
        NAME,
        text(&forged),
        "--name",
        &name,
        "--role",
        "team",
    ];
    site.operator.run(&adding).ok();
    allows(&site.reader, OTHER);
    // For a repository that nobody else lists it has.
    let name = format!("{GUN}/9.root.json");
    let adding = [
        "tuf",
        "add",
        NAME,
        text(&forged),
        "--name",
        &name,
        "--role",
        "team",
    ];
    site.operator.run(&adding).ok();
    denies(&site.reader, GUN, "rollback");
}

#[test]
fn what_is_mistyped_or_not_theirs_to_sign_changes_nothing() {
    let site = Site::unvouched();
    let before = site.versions();
    let other = "corp.example/none";
    for (arguments, told) in [
        (&["tuf", "roots", NAME, "--yes"][..], "required arguments"),
        (
            &["tuf", "roots", NAME, GUN, "--all", "--yes"],
            "cannot be used with",
        ),
        (
            &["tuf", "roots", NAME, GUN, "--remove", GUN, "--yes"],
            "removed at once",
        ),
        (&["tuf", "roots", NAME, GUN, THIRD, "--yes"], "nothing was signed"),
        (
            &["tuf", "roots", NAME, "reg.example:5000/team/app:1.0", "--yes"],
            "whole repository",
        ),
        (
            &["tuf", "roots", NAME, GUN, "--role", "nobody", "--yes"],
            "has no role nobody",
        ),
        (
            &["tuf", "roots", NAME, GUN, "--role", "root", "--yes"],
            "has no role root",
        ),
        (
            &["tuf", "roots", NAME, GUN, "--replace", THIRD, "--yes"],
            "nothing was signed",
        ),
        (&["tuf", "roots", other, GUN, "--yes"], "tuf init"),
        (&["tuf", "roots", NAME, GUN, "--ys"], "unexpected argument"),
    ] {
        let refused = site.operator.run(arguments).fails().says(told);
        assert_eq!(refused.code, 2, "{refused}");
    }
    // Who has no key of the repository leaves what they say for those who have one.
    let mallory = Person::of(&site.server, "mallory");
    mallory
        .run(&["tuf", "roots", NAME, GUN, "--yes"])
        .fails()
        .says("nothing says where trust in");
    mallory
        .run(&["tuf", "roots", NAME, GUN, "--yes", "--tofu"])
        .ok()
        .says("0 of 1 by root version 1");
    denies(&site.reader, GUN, "not_vouched");
    assert_eq!(site.versions(), before);
}

/// The verdict of a gate about the tag 1.0.
fn ask(reader: &tests::Client, gun: &str) -> Value {
    let body = json!({"images": [format!("{gun}:1.0")]}).to_string();
    let answer = reader.request("POST", "/verify", &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["verdicts"][0].clone()
}

#[test]
fn a_gate_keeps_what_is_vouched_for_learns_of_changes_and_bridges_the_servers_silence() {
    let mut site = Site::unvouched();
    site.operator.run(&["tuf", "roots", NAME, GUN, "--yes"]).ok();
    let files = site.server.pki().daemon("gate", &[], &[]);
    let mut gate = site.reader.gate(&files, &[]);
    let client = gate.client(&site.server.pki().user("asking"));
    assert_eq!(ask(&client, GUN)["allow"], true);
    let denied = ask(&client, OTHER);
    assert_eq!(denied["reason"], "not_vouched", "{denied}");
    // What was just vouched for is not denied because it is not known here yet.
    site.operator.run(&["tuf", "roots", NAME, OTHER, "--yes"]).ok();
    assert_eq!(ask(&client, OTHER)["allow"], true);
    // What is no longer vouched for is denied soon.
    site.operator
        .run(&["tuf", "roots", NAME, "--remove", OTHER, "--yes"])
        .ok();
    wait_until("the gate knows of it", || {
        ask(&client, OTHER)["reason"] == "not_vouched"
    });
    assert_eq!(ask(&client, GUN)["allow"], true);
    site.server.stop_server(Stop::AtOnce);
    assert_eq!(ask(&client, GUN)["allow"], true);
    // A gate that was never answered has no roots.
    gate.daemon.stop(Stop::Politely);
    let gate = site.reader.gate(&files, &[]);
    let client = gate.client(&site.server.pki().user("asking"));
    assert_eq!(ask(&client, GUN)["reason"], "server_unreachable");
    site.server.start_server();
    wait_until("the gate reaches the server", || {
        ask(&client, GUN)["allow"] == true
    });
}

#[test]
fn mistaken_policies_and_bundles_allow_nothing() {
    let site = Site::start();
    let image = format!("{GUN}:1.0");
    let reader = &site.reader;
    for (from, to, told) in [
        ("repository:", "repositry:", "did you mean repository?"),
        ("root: operator.json", "root: none.json", "none.json"),
        (", root: operator.json", "", "root"),
        ("repository: corp.example/trust-roots", "repository: a//b", "a//b"),
        (
            "operator.json }",
            "operator.json, ca: ca.pem }",
            "ca goes with server only",
        ),
        (
            "operator.json }",
            "operator.json, server: \"http://x\" }",
            "https://",
        ),
        (
            "operator.json } }",
            "operator.json }, tofu: true }",
            "exactly one of",
        ),
        (
            "operator.json }",
            "operator.json, server: \"https://x\", cert: c.pem }",
            "cert and key go together",
        ),
        ("root: operator.json", "root: policy.yaml", "trust roots"),
    ] {
        let policy = POLICY.replacen(from, to, 1);
        assert_ne!(policy, POLICY, "{from}");
        reader.policy(&policy);
        let checked = reader.run(&["policy", "check", "policy.yaml"]).fails().says(told);
        assert_eq!(checked.code, 2, "{checked}");
        assert_eq!(reader.verify(&image).fails().code, 2);
    }
    // A server of its own, which is asked with what stands beside it.
    let files = site.server.pki().user("policy");
    reader.policy(&POLICY.replacen(
        "operator.json }",
        &format!(
            "operator.json, server: {:?}, ca: {:?}, cert: {:?}, key: {:?} }}",
            site.server.url(),
            files.ca,
            files.certificate,
            files.key
        ),
        1,
    ));
    allows(reader, GUN);
    reader
        .run(&["policy", "test", "--policy", "policy.yaml", &image])
        .ok()
        .says(&format!("the root for which {NAME} vouches"));
    // No bundle has what an operator vouches for, and none is made that could not be used.
    let bundle = reader.directory().join("bundle.json");
    let verify = ["verify", "--policy", "policy.yaml"];
    let making = [&verify[..], &["--bundle", text(&bundle), &image]].concat();
    reader.run(&making).fails().says("is not written");
    assert!(!bundle.exists());
    let path = format!("/v2/{GUN}/_trust/bundle");
    fs::write(&bundle, site.server.client("alice").get(&path).ok().body).unwrap();
    let using = [&verify[..], &["--from-bundle", text(&bundle), &image]].concat();
    let denied = reader.run(&using).fails().says("not_in_bundle");
    assert_eq!(denied.code, 2, "{denied}");
}
