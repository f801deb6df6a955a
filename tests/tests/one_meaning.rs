//! Documents that readers could parse differently are refused. The packaged notary CLI is the second reader: of every
//! document that the server accepts it must list exactly the targets that the server lists.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{
    Client, Engine, Notary, TestServer, Whose,
    publisher::{Publisher, hashes, in_days, sign},
};
use tuf::RoleName;

const GUN: &str = "reg/one-meaning";
/// How many documents are tested. The seed decides which.
const ROUNDS: usize = 400;
const SEED: u64 = 0x5eed_0007;
/// How many of the accepted ones the CLI reads, because each costs several starts of the CLI.
const READ: usize = 30;

/// The names, hashes and lengths of targets.
type Targets = BTreeSet<(String, String, i64)>;

/// Numbers that are the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let roll = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(roll).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

/// Writes a value with random blanks, escapes and order, and at most one ambiguity that readers parse differently.
struct Scribbler<'a> {
    dice: &'a mut Dice,
    /// How many places are left until something ambiguous is written; `None` for never.
    trap_in: Option<usize>,
    /// What was written.
    trap: Option<&'static str>,
}

impl Scribbler<'_> {
    fn write(&mut self, out: &mut String, value: &Value) {
        self.blank(out);
        match value {
            Value::Object(members) => {
                let mut members: Vec<(String, &Value)> = members
                    .iter()
                    .map(|(name, value)| (name.clone(), value))
                    .collect();
                for at in (1..members.len()).rev() {
                    let other = self.dice.roll(at + 1);
                    members.swap(at, other);
                }
                let other = json!({"forged": {"hashes": {"sha256": "eHh4"}, "length": 1}});
                let repeated = members.first().cloned();
                if let Some((name, value)) = repeated
                    && self.falls_into("a repeated member")
                {
                    // Before or after, with the same or another value.
                    let place = self.dice.roll(2) * members.len();
                    let value = if self.dice.one_in(2) { value } else { &other };
                    members.insert(place, (name, value));
                }
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    self.blank(out);
                    self.text(out, name);
                    self.blank(out);
                    out.push(':');
                    self.write(out, value);
                }
                out.push('}');
            }
            Value::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    self.write(out, element);
                }
                out.push(']');
            }
            // Go does not undo escapes in times, so these are refused: see below.
            Value::String(text) if text.starts_with("20") => out.push_str(&value.to_string()),
            Value::String(text) => self.text(out, text),
            Value::Number(number) => {
                out.push_str(&number.to_string());
                if self.falls_into("a number with fraction or exponent") {
                    out.push_str([".0", "e0", "E+0", ".000"][self.dice.roll(4)]);
                }
            }
            other => out.push_str(&other.to_string()),
        }
        self.blank(out);
    }

    fn text(&mut self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            if self.dice.one_in(6) || matches!(c, '"' | '\\') {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                out.push(c);
            }
        }
        out.push('"');
    }

    fn blank(&mut self, out: &mut String) {
        out.push_str(["", "", "", " ", "\n", "\t\r\n"][self.dice.roll(6)]);
    }

    fn falls_into(&mut self, trap: &'static str) -> bool {
        match self.trap_in {
            Some(0) => {
                self.trap_in = None;
                self.trap = Some(trap);
                true
            }
            Some(places) => {
                self.trap_in = Some(places - 1);
                false
            }
            None => false,
        }
    }
}

/// An ambiguity in the signed part, put there by its publisher.
fn mislead(signed: &mut Value, dice: &mut Dice) -> &'static str {
    let entry = json!({"hashes": {"sha256": hashes(b"other")["hashes"]["sha256"]}, "length": 5});
    match dice.roll(8) {
        0 => {
            signed["Targets"] = json!({"forged": entry});
            "Targets beside targets"
        }
        1 => {
            signed["target\u{17f}"] = json!({"forged": entry});
            "a long s"
        }
        2 => {
            signed["Version"] = json!(1);
            "Version beside version"
        }
        3 => {
            signed["targets"]["none"] = Value::Null;
            "a target that is null"
        }
        4 => {
            signed["targets"]["odd"] = json!({"hashes": entry["hashes"], "length": 1, "Length": 7});
            "Length beside length"
        }
        5 => {
            signed["targets"]["odd"] = json!({"Hashes": entry["hashes"], "length": 1});
            "Hashes instead of hashes"
        }
        6 => {
            signed["delegations"] = json!({"keys": {}, "roles": [], "Roles": []});
            "Roles beside roles"
        }
        _ => {
            signed["targets"]["odd"] = json!({"hashes": {"sha256": null}, "length": 1});
            "a hash that is null"
        }
    }
}

fn signed(version: i64, dice: &mut Dice) -> Value {
    let mut targets = json!({});
    // Names that differ in case alone are two targets, to everybody.
    for name in ["latest", "Latest", "targets", "länge", "a/b\"c", "😀", "version"] {
        if !dice.one_in(3) {
            targets[name] = hashes(format!("{name} {version}").as_bytes());
        }
    }
    targets["always"] = hashes(b"always");
    // Odd, but the same to everybody.
    for (name, odd) in [
        ("no-hash", json!({"length": -1})),
        (
            "null-hashes",
            json!({"hashes": null, "length": 9_007_199_254_740_992_i64}),
        ),
        (
            "sha512",
            json!({"hashes": {"sha512": hashes(b"x")["hashes"]["sha512"]}, "custom": [{"a": {"A": 1}}]}),
        ),
        (
            "two-kinds",
            json!({"hashes": {"SHA256": "eHh4", "sha256": hashes(b"y")["hashes"]["sha256"]}}),
        ),
    ] {
        if dice.one_in(6) {
            targets[name] = odd;
        }
    }
    json!({
        "_type": "Targets", "delegations": {"keys": {}, "roles": []}, "expires": in_days(1000), "targets": targets,
        "version": version, "x-note": {"Note": [1, {"deep": -7}], "note": null},
    })
}

/// The targets that the server reads from a document.
fn seen_here(file: &[u8]) -> Targets {
    let found = tuf::signed_targets(&RoleName::Targets, file).unwrap();
    found
        .into_iter()
        .map(|target| {
            let sha256 = target.sha256.map(|hash| hash.as_hex()).unwrap_or_default();
            (target.name, sha256, target.length)
        })
        .collect()
}

/// The targets that the CLI lists.
fn seen_there(reader: &Notary) -> Targets {
    let listed = reader.run(["list", GUN]).ok();
    let rows = listed
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("---"))
        .skip(1);
    rows.filter(|row| !row.trim().is_empty())
        .map(|row| {
            let columns: Vec<&str> = row.split_whitespace().collect();
            let (name, sha256, length) = match columns[..] {
                [name, sha256, length, "targets"] => (name, sha256, length),
                [name, length, "targets"] => (name, "", length),
                _ => panic!("{row:?}"),
            };
            (name.to_owned(), sha256.to_owned(), length.parse().unwrap())
        })
        .collect()
}

fn current(client: &Client) -> Vec<u8> {
    client
        .get(&format!("/v2/{GUN}/_trust/tuf/targets.json"))
        .ok()
        .body
}

#[test]
fn what_is_taken_says_the_same_to_the_server_and_to_the_notary_cli() {
    let server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let reader = server.notary("reader");
    let mut dice = Dice(SEED);
    let (mut taken, mut refused, mut read) = (0, BTreeSet::new(), 0);
    let mut version = 1;
    for round in 0..ROUNDS {
        let mut signed = signed(version + 1, &mut dice);
        let misled = dice.one_in(4).then(|| mislead(&mut signed, &mut dice));
        let file: Value = serde_json::from_slice(&sign(&signed, &[&publisher.targets])).unwrap();
        let mut scribbler = Scribbler {
            trap_in: (misled.is_none() && !round.is_multiple_of(8)).then(|| dice.roll(25)),
            trap: None,
            dice: &mut dice,
        };
        let mut text = String::new();
        scribbler.write(&mut text, &file);
        let trap = misled.or(scribbler.trap);
        let before = current(&client);
        let answer = client.publish(GUN, &[("targets", text.as_bytes())]);
        match trap {
            Some(trap) => {
                assert_eq!(answer.status, 400, "{trap}: {} to {text}", answer.text());
                assert_eq!(current(&client), before);
                refused.insert(trap);
            }
            None => {
                answer.ok();
                version += 1;
                taken += 1;
                assert_eq!(current(&client), text.as_bytes());
                if read < READ {
                    read += 1;
                    assert_eq!(seen_there(&reader), seen_here(text.as_bytes()), "{text}");
                }
            }
        }
    }
    assert_eq!(refused.len(), 10, "{refused:?}");
    assert!(taken >= READ, "{taken}");
}

#[test]
fn whatever_two_readers_may_read_differently_is_refused_and_changes_nothing() {
    let server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let file = String::from_utf8(publisher.targets_file(2)).unwrap();
    let forged = json!({"forged": hashes(b"forged")}).to_string();
    let before = server.stored();
    let replaced = |what: &str, by: &str| {
        assert!(file.contains(what), "{what}");
        file.replacen(what, by, 1).into_bytes()
    };
    let mut with_bad_utf8 = file.clone().into_bytes();
    let at = file.find("signatures").unwrap();
    with_bad_utf8.splice(at - 1..at - 1, b"\"x\":\"\xff\",".iter().copied());
    for (what, text, reason) in [
        (
            "repeated member",
            replaced("\"targets\":", &format!("\"targets\":{forged},\"targets\":")),
            "\"targets\" is there twice",
        ),
        (
            "repeated by an escape",
            replaced(
                "\"targets\":",
                &format!("\"t\\u0061rgets\":{forged},\"targets\":"),
            ),
            "\"targets\" is there twice",
        ),
        (
            "repeated in the envelope",
            replaced("{\"signed\":", "{\"signatures\":[],\"signed\":"),
            "\"signatures\" is there twice",
        ),
        (
            "repeated in what nobody knows",
            replaced("{\"signed\":", "{\"x\":[{\"y\":1,\"y\":1}],\"signed\":"),
            "\"y\" is there twice",
        ),
        (
            "two signed parts",
            replaced("{\"signed\":", "{\"Signed\":{},\"signed\":"),
            "\"signed\"",
        ),
        (
            "signed with a long s",
            replaced("{\"signed\":", "{\"\u{17f}igned\":{},\"signed\":"),
            "\"signed\"",
        ),
        (
            "keyid with a Kelvin sign",
            replaced("\"keyid\":", "\"\\u212aeyid\":\"\",\"keyid\":"),
            "\"keyid\"",
        ),
        (
            "escape in a time",
            replaced("\"expires\":\"2", "\"expires\":\"\\u0032"),
            "expires is not a string without escapes",
        ),
        ("exponent", replaced("\"version\":2", "\"version\":2e0"), "2^53"),
        ("fraction", replaced("\"version\":2", "\"version\":2.0"), "2^53"),
        (
            "large number",
            replaced("{\"signed\":", "{\"x\":9007199254740993,\"signed\":"),
            "2^53",
        ),
        (
            "negative zero",
            replaced("{\"signed\":", "{\"x\":-0,\"signed\":"),
            "2^53",
        ),
        (
            "lone surrogate",
            replaced("{\"signed\":", "{\"x\":\"\\ud800\",\"signed\":"),
            "hex escape",
        ),
        ("bytes that are not UTF-8", with_bad_utf8, "is not UTF-8"),
        ("trailing bytes", format!("{file}{{}}").into_bytes(), "trailing"),
        (
            "byte order mark",
            format!("\u{feff}{file}").into_bytes(),
            "expected value",
        ),
        (
            "deep nesting",
            replaced(
                "{\"signed\":",
                &format!("{{\"x\":{}{},\"signed\":", "[".repeat(2000), "]".repeat(2000)),
            ),
            "nested",
        ),
    ] {
        let error = client
            .publish(GUN, &[("targets", &text)])
            .refuses(400, "MALFORMED_JSON");
        let text = error["detail"]["Error"]["Msg"].as_str().unwrap_or_default();
        assert!(text.contains(reason), "{what}: {error}");
    }
    assert_eq!(server.stored(), before);
    client.publish(GUN, &[("targets", file.as_bytes())]).ok();
}

/// Puts a second `targets` in front of the one that is signed, in the stored document of this version.
fn tamper(server: &TestServer, version: i64) {
    let text = |column: &str| format!("replace({column}, '\"targets\":', '\"targets\":{{}},\"targets\":')");
    let altered = match server.engine() {
        Engine::Sqlite => text("CAST(data AS TEXT)"),
        Engine::Postgres => format!("convert_to({}, 'UTF8')", text("convert_from(data, 'UTF8')")),
        Engine::Mysql => text("data"),
    };
    server.execute(
        Whose::Server,
        &format!("UPDATE tuf_files SET data = {altered} WHERE role = 'targets' AND version = {version}"),
    );
}

#[test]
fn stored_documents_that_can_be_read_in_two_ways_are_told_not_built_on_and_not_imported() {
    let server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let delegate = tests::publisher::Key::generate();
    let delegating = |version| {
        let targets = Publisher::delegating(version, "targets/a", &delegate);
        sign(&targets, &[&publisher.targets])
    };
    client.publish(GUN, &[("targets", &delegating(2))]).ok();
    server.operate("check", [GUN]).ok();
    // What no snapshot names any more is served all the same to whoever asks for it.
    tamper(&server, 1);
    server
        .operate("check", [GUN])
        .fails()
        .says("targets version 1: it can be read in more than one way")
        .says("\"targets\" is there twice");
    let exported = server.path().join("exported.jsonl");
    let path = exported.to_str().unwrap();
    server.operate("export", ["--out", path, GUN]).ok();
    client.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
    server
        .operate("import", [path])
        .fails()
        .says("targets version 1 can be read in more than one way");
    assert_eq!(server.stored(), []);

    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let delegating = |version| {
        let targets = Publisher::delegating(version, "targets/a", &delegate);
        sign(&targets, &[&publisher.targets])
    };
    client.publish(GUN, &[("targets", &delegating(2))]).ok();
    tamper(&server, 2);
    server.operate("check", [GUN]).fails().says("targets version 2");
    let delegated = sign(&Publisher::targets(1), &[&delegate]);
    client.publish(GUN, &[("targets/a", &delegated)]).rejects(
        "ErrValidation",
        "can be read in more than one way, publish it again",
    );
    client
        .publish(GUN, &[("targets", &delegating(3)), ("targets/a", &delegated)])
        .ok();
}
