use std::{fs, path::PathBuf};

use josekit::{jwk::Jwk, jws::ES256};
use openssl::pkey::PKey;
use platform::pki::{Issued as Certified, KeyKind, Template, Usage};
use tempfile::TempDir;

use super::*;
use crate::{
    access::{Access, Openness, policy::Policy},
    config::{PolicySettings, TokenKey},
};

/// 2026-11-21.
const NOW: i64 = 1_795_302_400;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

fn template(key: KeyKind) -> Template {
    Template {
        key,
        ..Template::new("tokens", Usage::Server, 30)
    }
}

fn key(directory: &TempDir, name: &str, kind: KeyKind) -> TokenKey {
    let made = Certified::self_signed(&template(kind)).unwrap();
    let path = |end: &str| directory.path().join(format!("{name}.{end}"));
    fs::write(path("key"), made.key_pem().unwrap()).unwrap();
    fs::write(path("crt"), made.certificate_pem().unwrap()).unwrap();
    TokenKey {
        file: path("key"),
        certificates: Some(path("crt")),
    }
}

fn settings(keys: Vec<TokenKey>) -> TokenServiceSettings {
    TokenServiceSettings {
        issuer: "https://trust.example".into(),
        keys,
        x5c: true,
        lifetime: Duration::from_secs(300),
        refresh_lifetime: Duration::from_secs(3600),
        services: vec![
            audience("registry", None),
            audience("other", Some("reg.example:5000")),
        ],
    }
}

fn audience(name: &str, host: Option<&str>) -> TokenAudience {
    TokenAudience {
        name: name.into(),
        host: host.map(str::to_owned),
    }
}

fn service(directory: &TempDir) -> TokenService {
    TokenService::load(&settings(vec![key(directory, "a", KeyKind::P256)])).unwrap()
}

fn alice() -> Holder {
    Holder {
        subject: "alice".into(),
        bound_to: None,
        until: None,
    }
}

#[test]
fn tokens_are_verified_with_the_published_key_and_say_what_was_granted() {
    let directory = TempDir::new().unwrap();
    let service = service(&directory);
    let access = [Entry {
        kind: "repository".into(),
        class: None,
        name: "team/app".into(),
        actions: vec!["pull".into()],
    }];
    let holder = Holder {
        bound_to: Some("digest".into()),
        until: DateTime::from_timestamp(NOW + 100, 0),
        ..alice()
    };
    let issued = service
        .access_token(&holder, &service.services[0], &access, now())
        .unwrap();
    assert_eq!((issued.seconds, issued.at), (100, now()));
    let set = service.key_set();
    let public = Jwk::from_map(set["keys"][0].as_object().unwrap().clone()).unwrap();
    let verifier = ES256.verifier_from_jwk(&public).unwrap();
    let (claims, header) = jwt::decode_with_verifier(&issued.token, &verifier).unwrap();
    assert_eq!(header.key_id(), Some(service.signing_key_id()));
    assert_eq!(header.token_type(), Some("JWT"));
    assert_eq!(header.x509_certificate_chain().unwrap().len(), 1);
    let claims = Value::Object(claims.claims_set().clone());
    for (name, expected) in [
        ("iss", json!("https://trust.example")),
        ("sub", json!("alice")),
        ("aud", json!("registry")),
        ("exp", json!(NOW + 100)),
        ("nbf", json!(NOW - 60)),
        ("iat", json!(NOW)),
        ("cnf", json!({"x5t#S256": "digest"})),
        (
            "access",
            json!([{"type": "repository", "name": "team/app", "actions": ["pull"]}]),
        ),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
}

#[test]
fn the_published_keys_are_public_and_in_the_order_of_the_configuration() {
    let directory = TempDir::new().unwrap();
    let keys = vec![
        key(&directory, "a", KeyKind::Rsa(2048)),
        key(&directory, "b", KeyKind::P256),
    ];
    let service = TokenService::load(&settings(keys)).unwrap();
    let set = service.key_set();
    let keys = set["keys"].as_array().unwrap();
    let of = |name: &str| -> Vec<&str> { keys.iter().map(|key| key[name].as_str().unwrap()).collect() };
    assert_eq!(of("alg"), ["RS256", "ES256"]);
    assert_eq!(of("use"), ["sig", "sig"]);
    assert_eq!(of("kid")[0], service.signing_key_id());
    assert!(service.has_issued("https://trust.example", of("kid")[1]));
    assert!(!service.has_issued("https://trust.example", "x") && !service.has_issued("x", of("kid")[1]));
    for secret in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        assert!(keys.iter().all(|key| key.get(secret).is_none()), "{secret}");
    }
}

#[test]
fn keys_that_registries_would_not_verify_are_refused() {
    let directory = TempDir::new().unwrap();
    let refused = |keys: Vec<TokenKey>| match TokenService::load(&settings(keys)) {
        Ok(_) => panic!("it was taken"),
        Err(cause) => cause.to_string(),
    };
    for (kind, why) in [
        (KeyKind::P384, "P-256"),
        (KeyKind::Ed25519, "P-256"),
        (KeyKind::Rsa(1024), "less than 2048 bits"),
    ] {
        assert!(refused(vec![key(&directory, "weak", kind)]).contains(why));
    }
    let one = key(&directory, "one", KeyKind::P256);
    assert!(refused(vec![one.clone(), one.clone()]).contains("twice"));
    let two = key(&directory, "two", KeyKind::P256);
    let mixed = TokenKey {
        file: two.file,
        certificates: one.certificates,
    };
    assert!(refused(vec![mixed]).contains("does not belong to the first certificate"));
    let missing = TokenKey {
        file: PathBuf::from("/nowhere.key"),
        certificates: None,
    };
    assert!(refused(vec![missing]).contains("/nowhere.key: No such file"));
}

#[test]
fn a_refresh_token_is_for_its_service_its_time_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let service = service(&directory);
    let [registry, other] = [&service.services[0], &service.services[1]];
    let issue = |holder: &Holder, password| service.refresh_token(holder, password, registry, now()).unwrap();
    let token = issue(&alice(), Some("mark")).unwrap();
    let read = |token: &str, at: i64| {
        service.read_refresh_token(token, registry, DateTime::from_timestamp(at, 0).unwrap())
    };
    let expected = RefreshToken {
        subject: "alice".into(),
        bound_to: None,
        password: Some("mark".into()),
    };
    assert_eq!(read(&token, NOW + 3599), Ok(expected));
    assert_eq!(read(&token, NOW + 3600), Err(RefreshRefusal::Expired));
    assert_eq!(
        service.read_refresh_token(&token, other, now()),
        Err(RefreshRefusal::OtherService)
    );
    // Neither an access token, nor another server's, nor one with a changed letter.
    let access = service
        .access_token(&alice(), registry, &[], now())
        .unwrap()
        .token;
    let foreign = TokenService::load(&settings(vec![key(&directory, "b", KeyKind::P256)])).unwrap();
    let foreign = foreign
        .refresh_token(&alice(), Some("mark"), registry, now())
        .unwrap()
        .unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let unsigned = format!("{signed}.");
    let shortened = format!("{signed}.{}", &signature[4..]);
    for wrong in [
        access.as_str(),
        &foreign,
        &unsigned,
        &shortened,
        "x.y.z",
        "",
        &"x".repeat(9000),
    ] {
        assert_eq!(read(wrong, NOW), Err(RefreshRefusal::Foreign), "{wrong}");
    }
    // Nobody gets one who could not be asked again.
    assert_eq!(issue(&alice(), None), None);
    let anonymous = Holder {
        subject: String::new(),
        ..alice()
    };
    assert_eq!(issue(&anonymous, Some("mark")), None);
    let bound = Holder {
        bound_to: Some("digest".into()),
        until: DateTime::from_timestamp(NOW + 100, 0),
        ..alice()
    };
    let bound = issue(&bound, None).unwrap();
    assert_eq!(read(&bound, NOW).unwrap().bound_to.as_deref(), Some("digest"));
    assert_eq!(read(&bound, NOW + 100), Err(RefreshRefusal::Expired));
}

fn access(rules: Value) -> Access {
    let tree = json!({"policy": rules});
    let settings = platform::config::Settings::new(tree, PathBuf::new(), |_| None);
    let policy = Policy::new(PolicySettings::read(&settings).unwrap().unwrap()).unwrap();
    let openness = Openness {
        identity_asked_for: true,
        anonymous_heard: false,
    };
    Access::new(Some(policy), openness)
}

/// What somebody gets who asks for these scopes.
fn grants(access: &Access, who: &str, host: Option<&str>, asked: &[&str]) -> Vec<String> {
    let principal = Principal::from_password(who, Vec::new(), None);
    let asked: Vec<Scope> = asked.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
    let granted = granted(access, &principal, &audience("s", host), &asked);
    let entry = |entry: &Entry| format!("{}:{}:{}", entry.kind, entry.name, entry.actions.join(","));
    granted.entries.iter().map(entry).collect()
}

#[test]
fn what_is_granted_is_what_was_asked_for_and_the_policy_allows() {
    let access = access(json!([
        {"effect": "allow", "principals": ["bob"], "actions": ["pull"], "guns": ["reg:5000/team/**"]},
        {"effect": "allow", "principals": ["carol"], "actions": ["init"], "guns": ["reg:5000/team/**"]},
        {"effect": "allow", "principals": ["dora"], "actions": ["push"], "guns": ["team/**"]},
        {"effect": "allow", "principals": ["root"], "actions": ["*"]},
        {"effect": "allow", "principals": ["reader"], "actions": ["pull"]},
        {"effect": "allow", "principals": ["cleaner"], "actions": ["pull", "push", "delete"]},
        {"effect": "deny", "principals": ["*"], "actions": ["*"], "guns": ["reg:5000/team/secret"]},
    ]));
    let of = |who: &str, asked: &[&str]| grants(&access, who, Some("reg:5000"), asked);
    let none: [&str; 0] = [];
    assert_eq!(
        of("bob", &["repository:team/app:pull,push"]),
        ["repository:team/app:pull"]
    );
    assert_eq!(
        of("bob", &["repository:reg:5000/team/app:pull"]),
        ["repository:reg:5000/team/app:pull"]
    );
    assert_eq!(of("bob", &["repository:team/secret:pull"]), none);
    assert_eq!(of("root", &["repository:team/secret:pull,*"]), none);
    assert_eq!(of("bob", &["repository:other/app:pull"]), none);
    // Who may create a repository of metadata may publish to its GUN; pushing images is another right.
    assert_eq!(
        of("carol", &["repository:reg:5000/team/app:push,pull"]),
        ["repository:reg:5000/team/app:push"]
    );
    assert_eq!(of("carol", &["repository:team/app:push,pull"]), none);
    assert_eq!(
        of("dora", &["repository:team/app:push"]),
        ["repository:team/app:push"]
    );
    assert_eq!(
        of("bob", &["repository:team/app:*"]),
        ["repository:team/app:pull"]
    );
    assert_eq!(
        of("cleaner", &["repository:a:*"]),
        ["repository:a:pull,push,delete"]
    );
    assert_eq!(
        of("root", &["repository:a:*"]),
        ["repository:a:pull,push,delete,*"]
    );
    assert_eq!(of("root", &["repository:a:admin,drop"]), none);
    assert_eq!(
        of(
            "root",
            &["system:a:*", "registry:other:*", "registry:catalog:pull"]
        ),
        none
    );
    assert_eq!(
        of(
            "root",
            &["repository:a:pull", "repository:b:pull", "repository:a:push"]
        ),
        ["repository:a:pull,push", "repository:b:pull"]
    );
    assert_eq!(of("nobody", &["repository:team/app:pull,push,delete,*"]), none);
}

#[test]
fn the_catalog_is_for_those_who_may_pull_everything() {
    let rules = json!([
        {"effect": "allow", "principals": ["reader"], "actions": ["pull"]},
        {"effect": "allow", "principals": ["bob"], "actions": ["pull", "list"], "guns": ["team/**"]},
    ]);
    let of = |access: &Access, who: &str| grants(access, who, None, &["registry:catalog:*"]);
    let open = access(rules.clone());
    assert_eq!(of(&open, "reader"), ["registry:catalog:*"]);
    assert!(of(&open, "bob").is_empty() && of(&open, "nobody").is_empty());
    let mut rules = rules;
    let deny =
        json!({"effect": "deny", "principals": ["reader"], "actions": ["pull"], "guns": ["team/secret"]});
    rules.as_array_mut().unwrap().push(deny);
    assert!(of(&access(rules), "reader").is_empty());
}

#[test]
fn the_key_id_is_that_of_the_public_key() {
    let directory = TempDir::new().unwrap();
    let made = key(&directory, "a", KeyKind::P256);
    let service = TokenService::load(&settings(vec![made.clone()])).unwrap();
    let private = PKey::private_key_from_pem(&fs::read(&made.file).unwrap()).unwrap();
    let public = PKey::public_key_from_der(&private.public_key_to_der().unwrap()).unwrap();
    let id = crate::identity::token::key_id(&public).unwrap();
    assert_eq!(service.signing_key_id(), id);
    assert_eq!((id.len(), id.matches(':').count()), (59, 11));
}
