//! Configurations of other products.

use verifier::{ImageReference, Plan, Policy, RequestContext, import_engine, import_mke, import_notary};

use crate::support::{Authority, Key};

const ID: &str = "5b7852458033845fa1da5371f416a6c003e84444cd5dfabfd1f2c2ceaddc55ac";

fn read(file: &str) -> Result<Vec<u8>, String> {
    if file.ends_with("ca.pem") {
        return Ok(Authority::new("root").pem());
    }
    Ok(Key::certificate("somebody").public.public().to_vec())
}

fn rule(policy: &Policy, image: &str) -> String {
    match policy.plan(&ImageReference::parse(image).unwrap(), &RequestContext::default()) {
        Plan::Decided(verdict) => verdict.reason.unwrap().code().to_owned(),
        Plan::Check(check) => format!("{} {}", check.rule(), serde_json::to_value(check.mode()).unwrap()),
    }
}

#[test]
fn mke() {
    let imported = import_mke(
        "[auth]\nx = 1\n[trust_configuration]\nrequire_content_trust = true\nrequire_signature_from = [\"alice\", \
         \"acme/qa\"]\nallow_repos = [\"alpine\", \"docker.io/acme/tools\"]\nsurprise = 1\n",
    )
    .unwrap();
    // What only people know has to be filled in before the policy is one.
    assert!(Policy::parse(&imported.policy, &read).is_err());
    assert!(
        imported.notes.iter().any(|note| note.contains("surprise")),
        "{:?}",
        imported.notes
    );
    let one = imported.policy.replace("FILL IN: the root key's ID", ID);
    let error = Policy::parse(&one, &read).unwrap_err().to_string();
    assert!(error.contains("FILL IN"), "{error}");
    let filled = one.replace("FILL IN: the names of its signers", "alice");
    let policy = Policy::parse(&filled, &read).unwrap_or_else(|reason| panic!("{reason}\n{filled}"));
    assert_eq!(rule(&policy, "reg.example/app"), "** \"enforce\"");
    assert_eq!(rule(&policy, "alpine"), "allowed_by_rule");
    assert_eq!(rule(&policy, "acme/tools:1"), "allowed_by_rule");
    let lax = import_mke("[trust_configuration]\n").unwrap();
    assert!(lax.policy.contains("mode: audit"));
    for (text, part) in [
        ("[other]", "trust_configuration"),
        ("x", "TOML"),
        (
            "[trust_configuration]\nrequire_content_trust = \"yes\"",
            "require_content_trust",
        ),
        ("[trust_configuration]\nallow_repos = [1]", "allow_repos"),
    ] {
        let error = import_mke(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn engine() {
    let text = format!(
        r#"{{ "content-trust": {{ "mode": "enforced", "allow-expired-cached-trust-data": true, "trust-pinning": {{
            "root-keys": {{ "reg.example/org/*": ["{ID}"], "reg.example/org/app": ["{ID}"], "nohost/*": ["{ID}"] }},
            "cert-ids": {{ "reg.example/org/app": ["{ID}"], "reg.example/none": [] }},
            "official-library-images": true }} }} }}"#
    );
    let imported = import_engine(&text).unwrap();
    let policy = Policy::parse(&imported.policy, &read)
        .unwrap_or_else(|reason| panic!("{reason}\n{}", imported.policy));
    assert_eq!(
        rule(&policy, "reg.example/org/app"),
        "reg.example/org/app \"enforce\""
    );
    assert_eq!(
        rule(&policy, "reg.example/org/other"),
        "reg.example/org/* \"enforce\""
    );
    for denied in ["reg.example/none", "alpine", "reg.example/org/a/b"] {
        assert_eq!(rule(&policy, denied), "no_rule", "{denied}");
    }
    for part in [
        "nohost",
        "several times",
        "reg.example/none",
        "official-library-images",
        "24 hours",
    ] {
        assert!(
            imported.notes.iter().any(|note| note.contains(part)),
            "{part}: {:?}",
            imported.notes
        );
    }
    let permissive = import_engine(r#"{"content-trust":{"mode":"permissive"}}"#).unwrap();
    let policy = Policy::parse(&permissive.policy, &read).unwrap();
    assert_eq!(rule(&policy, "alpine"), "no_rule");
    assert!(import_engine(r#"{"content-trust":{"mode":"enforce"}}"#).is_err());
    assert!(import_engine("{}").is_err());
}

#[test]
fn notary() {
    let text = format!(
        r#"{{ "remote_server": {{}}, "trust_pinning": {{ "disable_tofu": false,
            "certs": {{ "reg.example/app": ["{ID}"], "reg.example/team/*": ["{ID}"] }},
            "ca": {{ "corp.example/": "root-ca.pem" }} }} }}"#
    );
    let imported = import_notary(&text).unwrap();
    let policy = Policy::parse(&imported.policy, &read)
        .unwrap_or_else(|reason| panic!("{reason}\n{}", imported.policy));
    assert_eq!(rule(&policy, "reg.example/app"), "reg.example/app \"enforce\"");
    assert_eq!(
        rule(&policy, "reg.example/team/a/b"),
        "reg.example/team/** \"enforce\""
    );
    assert_eq!(rule(&policy, "corp.example/x"), "corp.example/** \"enforce\"");
    assert_eq!(rule(&policy, "reg.example/other"), "no_rule");
    assert!(
        imported.notes.iter().any(|note| note.contains("tofu")),
        "{:?}",
        imported.notes
    );
    assert!(!imported.policy.contains("tofu"));
    assert!(import_notary("{\"trust_pinning\": []}").is_err());
}
