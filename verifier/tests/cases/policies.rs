//! Policy files: what is read, and that nothing is ignored.

use verifier::{Anchor, ImageReference, Mode, Plan, Policy, PolicyError, RequestContext};

use crate::support::{Authority, Key};

const ID: &str = "5b7852458033845fa1da5371f416a6c003e84444cd5dfabfd1f2c2ceaddc55ac";

/// The example of the documentation.
pub fn example() -> String {
    format!(
        r#"
version: 1
defaults: {{ action: deny, mode: enforce, keep_tag: true }}
servers:
  - {{ match: "reg.example/**", url: "https://trust.example:4443", ca: ca.pem, cert: client.pem, key: client-key.pem }}
anchors:
  prod:  {{ root_keys: ["{ID}"] }}
  one:   {{ cert_ids:  ["{ID}"] }}
  corp:  {{ ca_file: root-ca.pem, common_name: gun }}
  lab:   {{ tofu: true, scope: "lab.example/**" }}
  ops:   {{ tuf: {{ repository: corp.example/trust-roots, root: operator.json, server: "https://ops.example", ca: ca.pem }} }}
signers:
  alice: {{ keys: ["@alice.pub"], certs: ["alice.crt"] }}
  bob:   {{ keys: ["{ID}"] }}
teams:   {{ qa: [alice, bob] }}
rules:
  - {{ match: "reg.example/prod/**", anchor: prod, require: {{ every_team: [qa] }} }}
  - {{ match: "reg.example/pay/*", anchor: prod, require: {{ signers: [alice, bob], at_least: 2, released: true }}, digest: current, max_staleness: 24h }}
  - {{ match: "reg.example/dev/**", anchor: prod, mode: audit }}
  - {{ match: "lab.example/x/**", anchor: lab, digest: "ever-signed(30d)" }}
  - {{ match: "registry.k8s.io/**", action: allow }}
  - {{ match: "ops.example/**", anchor: ops }}
namespaces: {{ exempt: [kube-system], audit: ["team-*"] }}
break_glass: {{ annotation: "trust.image-policy.k8s.io/break-glass", pattern: "INC-[0-9]+", users: [sre], max: 1h }}
"#
    )
}

pub fn read(file: &str) -> Result<Vec<u8>, String> {
    match file {
        "root-ca.pem" => Ok(Authority::new("root").pem()),
        "operator.json" => Ok(b"{}".to_vec()),
        "alice.pub" => Ok(Key::ecdsa().public_pem()),
        "alice.crt" => Ok(Key::certificate("alice").public.public().to_vec()),
        _ => Err("there is no such file".to_owned()),
    }
}

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, &read)
}

fn plan<'a>(policy: &'a Policy, image: &str) -> Plan<'a> {
    policy.plan(&ImageReference::parse(image).unwrap(), &RequestContext::default())
}

#[test]
fn the_documented_example_is_read() {
    let policy = parse(&example()).unwrap();
    assert_eq!(policy.servers().len(), 1);
    let [roots] = policy.trust_roots() else {
        panic!("one")
    };
    assert_eq!(roots.repository, "corp.example/trust-roots");
    assert_eq!(policy.server_of(roots).unwrap().url, "https://ops.example");
    let image = ImageReference::parse("reg.example/pay/app").unwrap();
    let server = policy.server_for(&image).unwrap();
    assert_eq!(
        (server.url.as_str(), server.ca.as_deref()),
        ("https://trust.example:4443", Some("ca.pem"))
    );
    let Plan::Check(check) = plan(&policy, "reg.example/pay/app") else {
        panic!("check")
    };
    assert_eq!((check.rule(), check.mode()), ("reg.example/pay/*", Mode::Enforce));
    assert_eq!(check.max_staleness().num_hours(), 24);
    assert!(matches!(check.anchor(), Anchor::RootKeys(_)));
    let Plan::Check(check) = plan(&policy, "reg.example/dev/a/b:c") else {
        panic!("check")
    };
    assert_eq!(
        (check.mode(), check.max_staleness().num_minutes()),
        (Mode::Audit, 60)
    );
    let Plan::Decided(verdict) = plan(&policy, "registry.k8s.io/pause:3") else {
        panic!("decided")
    };
    assert!(verdict.allow && verdict.digest.is_none() && verdict.pinned.is_none());
    for unmatched in ["reg.example/pay/a/b", "alpine", "reg.example.evil.com/prod/a"] {
        let Plan::Decided(verdict) = plan(&policy, unmatched) else {
            panic!("decided")
        };
        assert_eq!(
            verdict.reason.map(verifier::Reason::code),
            Some("no_rule"),
            "{unmatched}"
        );
        assert!(!verdict.permits());
    }
}

#[test]
fn the_example_in_the_manual_is_read() {
    let manual = include_str!("../../../docs/policy.md");
    let (_, block) = manual.split_once("```yaml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let other = "0".repeat(64);
    let text = block.replace("<root key ID>", ID).replace("<key ID>", &other);
    parse(&text).unwrap_or_else(|reason| panic!("{reason}"));
}

#[test]
fn a_policy_is_told_in_sentences() {
    let policy = parse(&example()).unwrap();
    let Plan::Check(check) = plan(&policy, "reg.example/pay/app") else {
        panic!("check")
    };
    assert_eq!(
        check.demands(),
        "signed by alice, bob; released by targets/releases"
    );
    assert_eq!(check.anchor().to_string(), format!("the root key {ID}"));
    let remarks = policy.remarks().join("\n");
    for part in [
        "registry.k8s.io/**",
        "lab.example/x/**",
        "reg.example/dev/**",
        "kube-system",
        "team-*",
        "sre",
    ] {
        assert!(remarks.contains(part), "{part}: {remarks}");
    }
    assert!(!remarks.contains("reg.example/prod"));
}

#[test]
fn an_empty_policy_denies_everything() {
    let Plan::Decided(verdict) = plan(&parse("version: 1").unwrap(), "alpine").into_owned() else {
        panic!("decided")
    };
    assert!(!verdict.allow);
}

trait IntoOwned {
    fn into_owned(self) -> Plan<'static>;
}

impl IntoOwned for Plan<'_> {
    fn into_owned(self) -> Plan<'static> {
        match self {
            Plan::Decided(verdict) => Plan::Decided(verdict),
            Plan::Check(_) => panic!("a check belongs to its policy"),
        }
    }
}

/// A text of the example, what it is replaced with, and what the message has to say.
pub const MISTAKES: &[(&str, &str, &[&str])] = &[
    ("version: 1", "version: 2", &["version", "version 1 only"]),
    ("version: 1", "", &["version", "missing"]),
    ("version: 1", "version: 1\nversion: 1", &["YAML", "version"]),
    ("version: 1", "version: \"1\"", &["version"]),
    (
        "anchors:",
        "anchor:",
        &["unknown key anchor", "did you mean anchors?"],
    ),
    (
        "mode: enforce",
        "mode: enforced",
        &["defaults.mode", "did you mean enforce?"],
    ),
    ("action: deny", "action: refuse", &["defaults.action"]),
    (
        "keep_tag: true",
        "keep_tag: yes",
        &["defaults.keep_tag", "true or false"],
    ),
    (
        "root_keys: [",
        "root_key: [",
        &["anchors.prod", "did you mean root_keys?"],
    ),
    (
        "tofu: true, scope: \"lab.example/**\"",
        "tofu: true",
        &["anchors.lab", "scope"],
    ),
    ("tofu: true", "tofu: false", &["anchors.lab.tofu"]),
    (
        "ca_file: root-ca.pem, common_name: gun",
        "ca_file: none.pem",
        &["anchors.corp.ca_file", "none.pem"],
    ),
    (
        "common_name: gun",
        "common_name: host",
        &["anchors.corp.common_name"],
    ),
    (
        "{ repository: corp.example/trust-roots, root",
        "{ repositories: corp.example/trust-roots, root",
        &["anchors.ops.tuf", "did you mean repository?"],
    ),
    (
        "repository: corp.example/trust-roots, root: operator.json",
        "repository: corp.example/trust-roots",
        &["anchors.ops.tuf", "root"],
    ),
    (
        "repository: corp.example/trust-roots, ",
        "",
        &["anchors.ops.tuf", "repository"],
    ),
    (
        "repository: corp.example/trust-roots",
        "repository: \"\"",
        &["anchors.ops.tuf.repository"],
    ),
    (
        "operator.json",
        "none.json",
        &["anchors.ops.tuf.root", "none.json"],
    ),
    (
        "server: \"https://ops.example\"",
        "server: \"http://ops.example\"",
        &["anchors.ops.tuf.server", "https://"],
    ),
    (
        ", server: \"https://ops.example\"",
        "",
        &["anchors.ops.tuf.ca", "server"],
    ),
    (
        "ca: ca.pem } }",
        "ca: ca.pem, cert: c.pem } }",
        &["anchors.ops.tuf", "cert and key go together"],
    ),
    (
        "ca: ca.pem } }",
        "ca: ca.pem }, tofu: true, scope: \"ops.example/**\" }",
        &["anchors.ops", "exactly one"],
    ),
    (
        "cert_ids:  [",
        "tofu: true, cert_ids: [",
        &["anchors.one", "exactly one"],
    ),
    (
        "@alice.pub",
        "alice.pub",
        &["signers.alice.keys[0]", "@alice.pub"],
    ),
    (
        "@alice.pub",
        "@bob.pub",
        &["signers.alice.keys[0]", "bob.pub", "no such file"],
    ),
    ("@alice.pub", ID, &["signers.bob.keys[0]", "alice already"]),
    (
        "teams:   { qa: [alice, bob] }",
        "teams: { qa: [alise] }",
        &["teams.qa[0]", "did you mean alice?"],
    ),
    (
        "teams:   { qa: [alice, bob] }",
        "teams: { qa: [] }",
        &["teams.qa", "empty"],
    ),
    (
        "anchor: prod, require: { every",
        "anchor: prd, require: { every",
        &["rules[0].anchor", "did you mean prod?"],
    ),
    (
        "anchor: prod, require: { every",
        "require: { every",
        &["rules[0]", "anchor is missing"],
    ),
    (
        "every_team: [qa]",
        "every_team: [aq]",
        &["rules[0].require.every_team[0]", "did you mean qa?"],
    ),
    (
        "every_team: [qa]",
        "every_teams: [qa]",
        &["rules[0].require", "did you mean every_team?"],
    ),
    (
        "{ every_team: [qa] }",
        "{}",
        &["rules[0].require", "demands nothing"],
    ),
    (
        "{ every_team: [qa] }",
        "{ released: false }",
        &["rules[0].require", "demands nothing"],
    ),
    (
        "require: { every_team: [qa] }",
        "require: ",
        &["rules[0].require", "no value"],
    ),
    (
        "at_least: 2",
        "at_least: 3",
        &["rules[1].require.signers", "never be reached"],
    ),
    ("at_least: 2", "at_least: 0", &["at_least"]),
    ("at_least: 2", "at_least: 1.5", &["at_least"]),
    (
        "signers: [alice, bob], at_least",
        "signers: [alice, alice], at_least",
        &["twice"],
    ),
    (
        "signers: [alice, bob], at_least: 2",
        "at_least: 2",
        &["at_least", "listed beside it"],
    ),
    (
        "digest: current",
        "digest: any",
        &["rules[1].digest", "ever-signed"],
    ),
    (
        "max_staleness: 24h",
        "max_staleness: 24",
        &["rules[1].max_staleness"],
    ),
    (
        "max_staleness: 24h",
        "max_staleness: \"-1h\"",
        &["rules[1].max_staleness", "duration"],
    ),
    (
        "mode: audit }",
        "mode: audits }",
        &["rules[2].mode", "did you mean audit?"],
    ),
    (
        "\"lab.example/x/**\"",
        "\"lab2.example/**\"",
        &["rules[3].anchor", "first use"],
    ),
    (
        "action: allow }",
        "action: allow, anchor: prod }",
        &["rules[4].anchor"],
    ),
    (
        "action: allow }",
        "action: alow }",
        &["rules[4].action", "did you mean allow?"],
    ),
    (
        "registry.k8s.io/**",
        "REG.example:443/dev/**",
        &["rules[4]", "neither wins"],
    ),
    ("registry.k8s.io/**", "pause/**", &["rules[4].match", "host"]),
    (
        "registry.k8s.io/**",
        "docker.io/alpine",
        &["rules[4].match", "docker.io/library"],
    ),
    (
        "exempt: [kube-system]",
        "exempt: [\"*\"]",
        &["namespaces.exempt[0]"],
    ),
    (
        "exempt: [kube-system]",
        "exempt: [Kube]",
        &["namespaces.exempt[0]"],
    ),
    (", users: [sre]", "", &["break_glass", "anybody"]),
    (", max: 1h", "", &["break_glass", "max"]),
    ("INC-[0-9]+", "INC-[0-9", &["break_glass.pattern"]),
    ("https://trust", "http://trust", &["servers[0].url"]),
    (", key: client-key.pem", "", &["servers[0]", "go together"]),
    ("rules:", "rules: !x", &["rules", "tag"]),
    ("  prod:  {", "  1: {}\n  prod: {", &["anchors", "texts"]),
    (
        "  prod:  {",
        "  prod: { root_keys: [] }\n  prod: {",
        &["YAML", "prod"],
    ),
    (
        "{ root_keys: [",
        "{ root_keys: [], x: [",
        &["anchors.prod", "unknown key x"],
    ),
];

/// The message of an example in which a text was replaced.
fn changed(from: &str, to: &str) -> String {
    let text = example();
    assert!(text.contains(from), "{from}");
    match parse(&text.replacen(from, to, 1)) {
        Ok(_) => panic!("read although {from} became {to}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_was_probably_meant() {
    for (from, to, parts) in MISTAKES {
        let message = changed(from, to);
        for part in *parts {
            assert!(message.contains(part), "{from} -> {to}: {message}");
        }
    }
    for text in [
        "",
        "[]",
        "1",
        "version",
        "version: 1\n---\nversion: 1",
        "version: 1\nrules: {}",
        "version: 1\n<<: {}",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn private_keys_do_not_stand_in_a_policy() {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
    let private = openssl::ec::EcKey::generate(&group).unwrap();
    let pem = openssl::pkey::PKey::from_ec_key(private)
        .unwrap()
        .private_key_to_pem_pkcs8()
        .unwrap();
    let text = "version: 1\nsigners: { alice: { keys: [\"@alice.key\"] } }";
    let error = Policy::parse(text, &|_| Ok(pem.clone())).unwrap_err().to_string();
    assert!(
        error.contains("private key") && error.contains("alice.key"),
        "{error}"
    );
}

#[test]
fn public_keys_may_have_headers_as_docker_writes_them() {
    let pem = String::from_utf8(Key::ecdsa().public_pem()).unwrap();
    let pem = pem.replacen('\n', "\nrole: alice\n\n", 1);
    let text = "version: 1\nsigners: { alice: { keys: [\"@alice.pub\"] } }";
    Policy::parse(text, &|_| Ok(pem.clone().into_bytes())).unwrap();
    let two = format!("{pem}{pem}");
    assert!(Policy::parse(text, &|_| Ok(two.clone().into_bytes())).is_err());
    for wrong in [
        "",
        "text",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        assert!(
            Policy::parse(text, &|_| Ok(wrong.as_bytes().to_vec())).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn the_most_specific_rule_wins_and_a_tie_denies() {
    let text = format!(
        "version: 1\nanchors: {{ a: {{ root_keys: [\"{ID}\"] }} }}\nrules:\n  - {{ match: \"**\", action: allow }}\n  - {{ \
         match: \"reg.example/**\", action: deny }}\n  - {{ match: \"reg.example/a/*-x\", anchor: a }}\n  - {{ match: \
         \"reg.example/a/*-y*\", action: allow }}\n  - {{ match: \"reg.example/a/*y-x\", action: deny }}\n"
    );
    let policy = parse(&text).unwrap();
    let code = |image: &str| match plan(&policy, image) {
        Plan::Decided(verdict) => verdict.reason.unwrap().code().to_owned(),
        Plan::Check(check) => check.rule().to_owned(),
    };
    assert_eq!(code("alpine"), "allowed_by_rule");
    for hidden in [
        "reg.example/b",
        "REG.EXAMPLE/b",
        "reg.example:443/b",
        "Reg.Example:443/b",
    ] {
        assert_eq!(code(hidden), "denied_by_rule", "{hidden}");
    }
    assert_eq!(code("reg.example/a/b-x"), "reg.example/a/*-x");
    assert_eq!(code("reg.example/a/zy-x"), "denied_by_rule");
    let tie =
        "version: 1\nrules: [ { match: \"r.x/*a*\", action: allow }, { match: \"r.x/*b*\", action: deny } ]";
    let policy = parse(tie).unwrap();
    let Plan::Decided(verdict) = plan(&policy, "r.x/bab") else {
        panic!("decided")
    };
    assert_eq!(verdict.reason.unwrap().code(), "ambiguous_rules");
    assert!(!verdict.permits());
}
