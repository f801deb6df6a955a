//! Who has to sign.

use verifier::{Policy, Reason, Verdict};

use crate::support::{GUN, Key, Publisher, allowed, denied, digest, policy, signers};

struct People {
    publisher: Publisher,
    alice: Key,
    bob: Key,
    carol: Key,
}

/// Alice and Bob sign `v1` in roles of their own; Carol has a role and signs nothing.
fn people() -> People {
    let mut publisher = Publisher::new();
    let [alice, bob, carol] = [Key::ecdsa(), Key::ecdsa(), Key::ecdsa()];
    publisher.delegate("targets/alice", &alice, &[("v1", "one")]);
    publisher.delegate("targets/bob", &bob, &[("v1", "one")]);
    publisher.delegate("targets/carol", &carol, &[]);
    People {
        publisher,
        alice,
        bob,
        carol,
    }
}

impl People {
    fn policy(&self, require: &str) -> Policy {
        let named = signers(&[("alice", &self.alice), ("bob", &self.bob), ("carol", &self.carol)]);
        let named = format!("{named}\nteams: {{ qa: [alice, bob], security: [carol, alice], ops: [carol] }}");
        self.publisher
            .policy(&format!(", require: {{ {require} }}"), &named)
    }

    fn judge(&self, require: &str) -> Verdict {
        self.publisher.judge(&self.policy(require), &format!("{GUN}:v1"))
    }
}

#[test]
fn both_one_or_different_digests() {
    let mut people = people();
    let both = people.judge("signers: [alice, bob]");
    allowed(&both, "one");
    let names: Vec<Vec<String>> = both
        .evidence
        .unwrap()
        .roles
        .into_iter()
        .map(|role| role.signers)
        .collect();
    assert_eq!(names, [vec![], vec!["alice".to_owned()], vec!["bob".to_owned()]]);
    people.publisher.document("targets/bob").set("v1", "other");
    denied(&people.judge("signers: [alice, bob]"), Reason::SignersDisagree);
    people.publisher.document("targets/bob").targets.clear();
    let one = people.judge("signers: [alice, bob]");
    denied(&one, Reason::SignerMissing);
    assert!(
        one.sentence.contains("bob") && !one.sentence.contains("alice"),
        "{}",
        one.sentence
    );
}

#[test]
fn a_declared_signer_who_never_published_is_missing() {
    let mut people = people();
    people.publisher.delegation("targets/bob").document = None;
    let verdict = people.judge("signers: [alice, bob]");
    denied(&verdict, Reason::SignerMissing);
    assert!(
        verdict.sentence.contains("nothing was ever published"),
        "{}",
        verdict.sentence
    );
    // A document that somebody else signed is none of Bob's.
    people
        .publisher
        .delegate("targets/bob", &people.bob.clone(), &[("v1", "one")]);
    people.publisher.document("targets/bob").keys = vec![people.alice.clone()];
    denied(&people.judge("signers: [alice, bob]"), Reason::SignerMissing);
}

#[test]
fn a_signature_by_a_key_that_is_not_declared_counts_for_nobody() {
    let mut people = people();
    let (bob, mallory) = (people.bob.clone(), Key::ecdsa());
    people
        .publisher
        .delegate("targets/bob", &mallory, &[("v1", "one")]);
    people.publisher.document("targets/bob").keys = vec![mallory, bob];
    denied(&people.judge("signers: [alice, bob]"), Reason::SignerMissing);
}

#[test]
fn a_role_of_several_counts_for_each_only_where_all_have_to_sign() {
    let mut people = people();
    let carol = people.carol.clone();
    people
        .publisher
        .delegation("targets/alice")
        .declared
        .push(carol.clone());
    denied(&people.judge("signers: [alice, carol]"), Reason::SignerMissing);
    // Whoever signs last signs what the other has put there.
    people.publisher.document("targets/alice").keys.push(carol);
    let shared = people.judge("signers: [alice, carol]");
    denied(&shared, Reason::SignerMissing);
    assert!(
        shared
            .sentence
            .contains("carol has signed targets/alice, but so may others"),
        "{}",
        shared.sentence
    );
    people.publisher.delegation("targets/alice").threshold = 2;
    allowed(&people.judge("signers: [alice, carol]"), "one");
}

#[test]
fn what_another_signer_released_counts_only_for_who_signed_it_in_an_own_role() {
    let mut people = people();
    let (alice, bob) = (people.alice.clone(), people.bob.clone());
    people.publisher.document("targets/bob").targets.clear();
    // Alice has released v1; then Bob signed another tag, and with it the whole of targets/releases.
    people
        .publisher
        .delegate("targets/releases", &bob, &[("v1", "one"), ("v2", "two")]);
    people
        .publisher
        .delegation("targets/releases")
        .declared
        .insert(0, alice.clone());
    let verdict = people.judge("signers: [alice, bob]");
    denied(&verdict, Reason::SignerMissing);
    assert!(
        verdict.sentence.contains("not signed by bob") && verdict.sentence.contains("targets/releases"),
        "{}",
        verdict.sentence
    );
    denied(&people.judge("signers: [bob]"), Reason::SignerMissing);
    denied(
        &people.judge("signers: [alice, bob, carol], at_least: 2"),
        Reason::TooFewSigners,
    );
    denied(&people.judge("every_team: [ops]"), Reason::TeamMissing);
    allowed(&people.judge("signers: [alice], released: true"), "one");
    // Where one of both suffices, one of both it was.
    allowed(&people.judge("signers: [bob, alice], at_least: 1"), "one");
    people.publisher.document("targets/alice").targets.clear();
    allowed(&people.judge("signers: [bob, alice], at_least: 1"), "one");
    allowed(&people.judge("every_team: [qa]"), "one");
    denied(&people.judge("every_team: [security]"), Reason::TeamMissing);
    // One who releases alone needs no other role.
    people.publisher.delegation("targets/releases").declared = vec![bob];
    allowed(&people.judge("signers: [bob]"), "one");
    // A key in targets/releases that nobody knows is somebody else's.
    people
        .publisher
        .delegation("targets/releases")
        .declared
        .push(Key::ecdsa());
    denied(&people.judge("signers: [bob]"), Reason::SignerMissing);
}

#[test]
fn a_renewed_key_beside_the_old_one_takes_nothing_from_its_owner() {
    let mut people = people();
    people
        .publisher
        .delegation("targets/bob")
        .declared
        .push(Key::ecdsa());
    allowed(&people.judge("signers: [alice, bob]"), "one");
}

#[test]
fn some_of_several() {
    let mut people = people();
    allowed(&people.judge("signers: [alice, bob, carol], at_least: 2"), "one");
    denied(
        &people.judge("signers: [alice, bob, carol], at_least: 3"),
        Reason::SignerMissing,
    );
    people.publisher.document("targets/bob").targets.clear();
    denied(
        &people.judge("signers: [alice, bob, carol], at_least: 2"),
        Reason::TooFewSigners,
    );
    // Two who agree outvote nobody: the third has said something else, and two of three were asked for.
    people.publisher.document("targets/bob").set("v1", "one");
    people.publisher.document("targets/carol").set("v1", "other");
    allowed(&people.judge("signers: [alice, bob, carol], at_least: 2"), "one");
    let any = "signers: [alice, bob, carol], at_least: 1";
    // Where several digests would do, the one that is released is meant.
    allowed(&people.judge(any), "one");
    people.publisher.targets.targets.clear();
    denied(&people.judge(any), Reason::SignersDisagree);
}

#[test]
fn of_every_team_somebody() {
    let mut people = people();
    allowed(&people.judge("every_team: [qa]"), "one");
    // Alice is in both teams.
    allowed(&people.judge("every_team: [qa, security]"), "one");
    let missing = people.judge("every_team: [qa, ops]");
    denied(&missing, Reason::TeamMissing);
    assert!(missing.sentence.contains("ops"), "{}", missing.sentence);
    people.publisher.document("targets/carol").set("v1", "other");
    denied(&people.judge("every_team: [qa, ops]"), Reason::SignersDisagree);
}

#[test]
fn released_too() {
    let mut people = people();
    let require = "signers: [alice, bob], released: true";
    denied(&people.judge(require), Reason::NotReleased);
    people
        .publisher
        .delegate("targets/releases", &Key::ecdsa(), &[("v1", "other")]);
    denied(&people.judge(require), Reason::SignersDisagree);
    people.publisher.document("targets/releases").set("v1", "one");
    allowed(&people.judge(require), "one");
}

#[test]
fn a_signer_is_a_key_in_whatever_form_it_is_listed() {
    for require in ["signers: [alice]", "signers: [alice, bob]"] {
        let mut people = people();
        let listed = people.alice.certified("alice", 365);
        people
            .publisher
            .delegate("targets/dev", &listed, &[("v1", "one")]);
        people.publisher.delegations.remove("targets/alice");
        allowed(&people.judge(require), "one");
    }
    // A file with the public key, or with any certificate of it, names the same signer.
    let people = people();
    let files = [
        people.alice.public_pem(),
        people.alice.certified("somebody", 1).public.public().to_vec(),
    ];
    for file in files {
        let text = format!(
            "version: 1\nanchors: {{ a: {{ root_keys: [\"{}\"] }} }}\nsigners: {{ alice: {{ keys: [\"@alice\"] }} }}\n\
             rules: [ {{ match: \"**\", anchor: a, require: {{ signers: [alice] }} }} ]",
            people.publisher.root.bare_id()
        );
        let policy = Policy::parse(&text, &|_| Ok(file.clone())).unwrap();
        allowed(&people.publisher.judge(&policy, &format!("{GUN}:v1")), "one");
    }
}

#[test]
fn the_id_of_a_certificate_names_exactly_that_certificate() {
    let mut publisher = Publisher::new();
    let alice = Key::certificate("alice");
    let named = format!("signers: {{ alice: {{ certs: [\"{}\"] }} }}", alice.id());
    let policy = publisher.policy(", require: { signers: [alice] }", &named);
    publisher.delegate("targets/alice", &alice, &[("v1", "one")]);
    allowed(&publisher.judge(&policy, &format!("{GUN}:v1")), "one");
    publisher.delegate("targets/alice", &alice.certified("alice", 700), &[("v1", "one")]);
    denied(
        &publisher.judge(&policy, &format!("{GUN}:v1")),
        Reason::SignerMissing,
    );
}

#[test]
fn one_key_is_one_signer_under_two_names() {
    let mut publisher = Publisher::new();
    let key = Key::ecdsa();
    let certificate = key.certified("twin", 365);
    publisher.delegate("targets/alice", &key, &[("v1", "one")]);
    publisher.delegate("targets/bob", &certificate, &[("v1", "one")]);
    let named = format!(
        "signers: {{ alice: {{ keys: [\"{}\"] }}, bob: {{ keys: [\"{}\"] }} }}",
        key.id(),
        certificate.id()
    );
    let policy = publisher.policy(", require: { signers: [alice, bob] }", &named);
    denied(
        &publisher.judge(&policy, &format!("{GUN}:v1")),
        Reason::SignerMissing,
    );
}

#[test]
fn a_digest_alone_needs_the_signers_too() {
    let mut people = people();
    people.publisher.document("targets/carol").set("v7", "seven");
    let policy = people.policy("signers: [alice, bob]");
    let judge = |content| {
        people
            .publisher
            .judge(&policy, &format!("{GUN}@sha256:{}", digest(content)))
    };
    allowed(&judge("one"), "one");
    denied(&judge("seven"), Reason::SignerMissing);
    denied(&judge("nothing"), Reason::DigestNotSigned);
    let with_tag = format!("{GUN}:v1@sha256:{}", digest("seven"));
    denied(
        &people.publisher.judge(&policy, &with_tag),
        Reason::DigestMismatch,
    );
}

#[test]
fn signers_of_the_command_line_come_on_top() {
    let people = people();
    let judge = |policy: &Policy| people.publisher.judge(policy, &format!("{GUN}:v1"));
    let plain = people.policy("signers: [alice]");
    allowed(&judge(&plain.clone().with_signers(&["bob"]).unwrap()), "one");
    denied(
        &judge(&plain.clone().with_signers(&["carol"]).unwrap()),
        Reason::SignerMissing,
    );
    let unknown = plain.with_signers(&["bobby"]).unwrap_err().to_string();
    assert!(unknown.contains("did you mean bob"), "{unknown}");
    // Without signers in the policy, names are those of roles.
    let ad_hoc = || Policy::ad_hoc(people.publisher.anchor());
    allowed(&judge(&ad_hoc().with_signers(&["alice", "bob"]).unwrap()), "one");
    denied(
        &judge(&ad_hoc().with_signers(&["alice", "carol"]).unwrap()),
        Reason::SignerMissing,
    );
    denied(
        &judge(&ad_hoc().with_signers(&["nobody"]).unwrap()),
        Reason::SignerMissing,
    );
    for wrong in [&[][..], &[""], &["Alice"], &["../root"]] {
        assert!(ad_hoc().with_signers(wrong).is_err(), "{wrong:?}");
    }
    // What would run without a check is denied then.
    let open = policy("version: 1\nrules: [ { match: \"**\", action: allow } ]");
    let image = verifier::ImageReference::parse("reg.example/app").unwrap();
    let demanded = open.with_signers(&["alice"]).unwrap();
    let verifier::Plan::Decided(verdict) = demanded.plan(&image, &Default::default()) else {
        panic!("nothing to check");
    };
    denied(&verdict, Reason::SignerMissing);
}
