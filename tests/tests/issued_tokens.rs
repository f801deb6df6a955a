//! The token service, seen by a bare HTTP client: who gets a token, for what, and for how long.

use std::fs;

use openssl::x509::X509;
use platform::pki::{Template, Usage};
use serde_json::{Value, json};
use tests::{
    TestServer,
    authority::CLIENT,
    issued_tokens::{
        ISSUER, REGISTRY, ask, builder, granted, make_key, parts, post, prepare, start, thumbprint, token,
        verified,
    },
    password_users::{basic, bcrypt_of},
    process::wait_until,
    revocation::authority,
};

const PUSH: &str = "repository:team/app:push,pull";
const PULLED: [&str; 1] = ["repository:team/app:pull"];
const CHALLENGE: Option<&str> = Some("Basic realm=\"Countersign\", charset=\"UTF-8\"");
const BOB: &str = "grant_type=password&client_id=x&service=registry&username=bob&password=p:%C3%A4sswort";

fn audit(server: &TestServer) -> Vec<Value> {
    let text = fs::read_to_string(server.path().join("audit.json")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[test]
fn a_certificate_gets_a_token_for_what_the_policy_allows() {
    let server = start(builder());
    let files = server.pki().user("alice");
    let alice = server.client_with(&files);
    let answer = ask(&alice, REGISTRY, &[PUSH], &[]).ok();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["token"], body["access_token"]);
    assert_eq!(body["expires_in"], 300);
    assert_eq!(body["scope"], "repository:team/app:pull,push");
    assert!(body.get("refresh_token").is_none());
    let issued = chrono::DateTime::parse_from_rfc3339(body["issued_at"].as_str().unwrap()).unwrap();
    let claims = verified(&token(&answer), &server.path().join("token.crt"));
    for (name, expected) in [
        ("iss", json!(ISSUER)),
        ("sub", json!("alice")),
        ("aud", json!(REGISTRY)),
        ("iat", json!(issued.timestamp())),
        ("exp", json!(issued.timestamp() + 300)),
        ("nbf", json!(issued.timestamp() - 60)),
        ("cnf", json!({"x5t#S256": thumbprint(&files)})),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    let (header, _) = parts(&token(&answer));
    assert_eq!((&header["typ"], &header["alg"]), (&json!("JWT"), &json!("ES256")));
    let other = ask(&alice, REGISTRY, &[PUSH], &[]).ok();
    assert_ne!(parts(&token(&other)).1["jti"], claims["jti"]);
    // Two scopes to mount a layer, in two parameters and in one.
    let both = ["repository:team/a:pull,push", "repository:other/b:pull"];
    assert_eq!(granted(&ask(&alice, REGISTRY, &both, &[])), [both[0]]);
    let both = ["repository:team/a:pull%20repository:team/b:push"];
    assert_eq!(
        granted(&ask(&alice, REGISTRY, &both, &[])),
        ["repository:team/a:pull", "repository:team/b:push"]
    );
    // A trust server's names contain the host.
    let gun = "repository:reg.example/team/app:pull";
    for service in ["trust", REGISTRY] {
        assert_eq!(granted(&ask(&alice, service, &[gun], &[])), [gun]);
    }
    let nothing: [&str; 0] = [];
    assert_eq!(granted(&ask(&alice, "trust", &[PUSH], &[])), nothing);
    assert_eq!(
        granted(&ask(&alice, REGISTRY, &["registry:catalog:*"], &[])),
        nothing
    );
    assert_eq!(granted(&ask(&alice, REGISTRY, &[], &[])), nothing);
    let all = ask(&alice, REGISTRY, &["repository:team/app:*"], &[]);
    assert_eq!(granted(&all), ["repository:team/app:pull,push,delete,*"]);
    let carol = server.client("carol");
    assert_eq!(granted(&ask(&carol, REGISTRY, &[PUSH], &[])), PULLED);
    assert_eq!(
        granted(&ask(&carol, REGISTRY, &["repository:team/app:*"], &[])),
        PULLED
    );
    let mallory = server.client("mallory");
    assert_eq!(granted(&ask(&mallory, REGISTRY, &[PUSH], &[])), nothing);
}

#[test]
fn a_password_gets_a_token_by_get_and_by_post() {
    let server = start(builder());
    let nobody = server.client_without_certificate();
    let bob = basic("bob", "p:ässwort");
    let by_get = ask(&nobody, REGISTRY, &[PUSH], &[("Authorization", &bob)]).ok();
    let by_post = post(&nobody, &format!("{BOB}&scope={PUSH}")).ok();
    for answer in [&by_get, &by_post] {
        let claims = verified(&token(answer), &server.path().join("token.crt"));
        assert_eq!((&claims["sub"], &claims["cnf"]), (&json!("bob"), &Value::Null));
        assert_eq!(granted(answer), PULLED);
        assert!(answer.json().get("refresh_token").is_none());
    }
    let wrong = post(&nobody, &BOB.replace("p:", "q:"));
    let error = wrong.refuses(401, "UNAUTHORIZED");
    assert_eq!(error["message"], "the user name \"bob\" or its password is wrong");
    assert_eq!(wrong.header("www-authenticate"), CHALLENGE);
    let wrong = ask(
        &nobody,
        REGISTRY,
        &[PUSH],
        &[("Authorization", &basic("bob", "x"))],
    );
    assert_eq!(
        wrong.refuses(401, "UNAUTHORIZED")["detail"]["reason"],
        "wrong_password"
    );
    // Guesses are limited as they are elsewhere, whatever way they come.
    for _ in 0..10 {
        post(&nobody, &BOB.replace("p:", "q:"));
    }
    post(&nobody, BOB).refuses(429, "TOO_MANY_REQUESTS");
    // docker sends a name and a password everywhere; a certificate decides alone.
    let alice = server.client("alice");
    for headers in [
        [("Authorization", bob.as_str())],
        [("Authorization", "Bearer x.y.z")],
    ] {
        let claims = parts(&token(&ask(&alice, REGISTRY, &[PUSH], &headers).ok())).1;
        assert_eq!(claims["sub"], "alice");
    }
    assert_eq!(parts(&token(&post(&alice, BOB).ok())).1["sub"], "alice");
    assert!(!server.log().contains("sswort") && !server.log().contains(&token(&by_get)));
}

#[test]
fn malformed_requests_are_refused_with_a_sentence() {
    let server = start(builder());
    let alice = server.client("alice");
    let many = format!("service=registry{}", "&scope=repository:a:pull".repeat(33));
    for (query, sentence) in [
        ("", "the parameter service is missing"),
        ("service=", "the parameter service is missing"),
        (
            "service=nobody",
            "no tokens are issued here for the service \"nobody\"",
        ),
        (
            "service=registry&service=registry",
            "the parameter service is repeated",
        ),
        (
            "service=registry&account=a&account=b",
            "the parameter account is repeated",
        ),
        (
            "service=registry&scope=repository",
            "the scope \"repository\" is malformed: it is not TYPE:NAME",
        ),
        (
            "service=registry&scope=repository:a/../b:pull",
            "is malformed: a part of its name",
        ),
        (
            "service=registry&scope=repository:a%00b:pull",
            "is malformed: its name",
        ),
        (
            "service=registry&scope=repository:a:PULL",
            "is malformed: an action",
        ),
        (
            "service=registry&offline_token=perhaps",
            "offline_token is true or false",
        ),
        (&many, "the request has 33 scopes; at most 32 are allowed"),
    ] {
        let refused = alice.get(&format!("/auth/token?{query}"));
        let error = refused.refuses(400, "INVALID_PARAMETERS");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(sentence), "{query}: {message}");
        assert_eq!(refused.header("www-authenticate"), None);
    }
    let nobody = server.client_without_certificate();
    for (form, sentence) in [
        ("service=registry", "the parameter grant_type is missing"),
        (
            "service=registry&grant_type=authorization_code",
            "the grant_type \"authorization_code\" is not supported",
        ),
        (
            "service=registry&grant_type=password&username=bob",
            "the parameter password is missing",
        ),
        (
            "service=registry&grant_type=refresh_token",
            "the parameter refresh_token is missing",
        ),
        (
            "grant_type=password&username=bob&password=x",
            "the parameter service is missing",
        ),
        (
            "service=registry&grant_type=password&grant_type=password&username=b&password=x",
            "grant_type is repeated",
        ),
    ] {
        let error = post(&nobody, form).refuses(400, "INVALID_PARAMETERS");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(sentence), "{form}: {message}");
    }
    let json = [("Content-Type", "application/json")];
    let refused = nobody.request("POST", "/auth/token", &json, b"{\"service\": \"registry\"}");
    assert!(
        refused.refuses(400, "INVALID_PARAMETERS")["message"]
            .as_str()
            .unwrap()
            .contains("not a form")
    );
    let large = format!("service=registry&x={}", "x".repeat(65 * 1024));
    post(&nobody, &large).refuses(413, "TOO_LARGE");
    // Nothing of what we do not know is granted, and asking for it is no error.
    let unknown = ask(
        &alice,
        REGISTRY,
        &["system:x:*", "repository:team/app:fly", "registry:other:*"],
        &[],
    );
    assert!(granted(&unknown.ok()).is_empty());
}

#[test]
fn clients_without_an_identity_get_a_token_only_where_the_policy_knows_them() {
    let server = start(builder());
    let nobody = server.client_without_certificate();
    let refused = ask(&nobody, REGISTRY, &[PUSH], &[]);
    assert_eq!(
        refused.refuses(401, "UNAUTHORIZED")["detail"]["reason"],
        "no_credentials"
    );
    assert_eq!(refused.header("www-authenticate"), CHALLENGE);
    let without_passwords = start(builder().set("auth", json!({})));
    let refused = ask(
        &without_passwords.client_without_certificate(),
        REGISTRY,
        &[PUSH],
        &[],
    );
    let error = refused.refuses(401, "UNAUTHORIZED");
    assert_eq!(error["message"], "no client certificate was presented");
    assert_eq!(refused.header("www-authenticate"), None);
    let public = json!([{"effect": "allow", "principals": ["anonymous"], "actions": ["pull"], "guns": ["reg.example/team/**"]}]);
    let server = start(builder().set("policy", public));
    let answer = ask(
        &server.client_without_certificate(),
        REGISTRY,
        &[PUSH, "repository:x:pull"],
        &[],
    )
    .ok();
    assert_eq!(granted(&answer), PULLED);
    let claims = parts(&token(&answer)).1;
    assert_eq!((&claims["sub"], &claims["cnf"]), (&json!(""), &Value::Null));
}

#[test]
fn a_refused_certificate_is_final_and_a_denied_client_gets_nothing_from_the_next_request_on() {
    let server = start(builder());
    let bob = basic("bob", "p:ässwort");
    for files in [server.pki().expired(), server.pki().stranger("alice")] {
        let client = server.client_with(&files);
        for answer in [
            ask(&client, REGISTRY, &[PUSH], &[("Authorization", &bob)]),
            post(&client, &format!("{BOB}&scope={PUSH}")),
        ] {
            let error = answer.refuses(401, "UNAUTHORIZED");
            assert!(
                error["message"]
                    .as_str()
                    .unwrap()
                    .starts_with("client certificate rejected"),
                "{error}"
            );
            assert_eq!(answer.header("www-authenticate"), None);
        }
    }
    let (alice, nobody) = (server.client("alice"), server.client_without_certificate());
    ask(&alice, REGISTRY, &[PUSH], &[]).ok();
    post(&nobody, BOB).ok();
    server.command_line("deny add --principal alice").ok();
    server.command_line("account add bob").ok();
    server.command_line("account disable bob").ok();
    let error = ask(&alice, REGISTRY, &[PUSH], &[]).refuses(401, "UNAUTHORIZED");
    assert_eq!(error["message"], "alice is barred from this server");
    post(&nobody, BOB).refuses(401, "UNAUTHORIZED");
}

#[test]
fn a_revoked_certificate_gets_no_token() {
    let prepared = prepare(builder().set("revocation.crl.files", json!(["list.pem"])));
    let authority = authority(&prepared);
    let issue = |name: &str| authority.issue(name, "/CN=alice", CLIENT, &[]);
    let (lost, stolen, good) = (issue("lost"), issue("stolen"), issue("good"));
    authority.revoke(&lost);
    fs::write(prepared.path().join("list.pem"), authority.list()).unwrap();
    let server = prepared.start();
    let reason = |files| {
        let error = ask(&server.client_with(files), REGISTRY, &[PUSH], &[]).refuses(401, "UNAUTHORIZED");
        error["detail"]["reason"].clone()
    };
    assert_eq!(reason(&lost), "certificate_revoked");
    ask(&server.client_with(&stolen), REGISTRY, &[PUSH], &[]).ok();
    let deny = format!("deny add --cert {}", stolen.certificate.display());
    server.command_line(&deny).ok();
    assert_eq!(reason(&stolen), "certificate_revoked");
    ask(&server.client_with(&good), REGISTRY, &[PUSH], &[]).ok();
}

#[test]
fn a_token_does_not_outlive_the_certificate_that_it_was_issued_for() {
    let server = start(builder().set("token_service.refresh_lifetime", json!("10days")));
    let mut template = Template::new("alice", Usage::Client, 1);
    template.validity = (-60, 100);
    let alice = server.client_with(&server.pki().client("short", &template));
    let answer = alice
        .get(&format!(
            "/auth/token?service={REGISTRY}&scope={PUSH}&offline_token=true"
        ))
        .ok();
    let seconds = answer.json()["expires_in"].as_i64().unwrap();
    assert!((1..=100).contains(&seconds), "{seconds}");
    let claims = parts(&token(&answer)).1;
    let refresh = parts(answer.json()["refresh_token"].as_str().unwrap()).1;
    assert_eq!(claims["exp"], refresh["exp"]);
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        seconds
    );
}

#[test]
fn a_refresh_token_asks_anew_who_its_holder_is() {
    let server = start(builder().set("token_service.refresh_lifetime", json!("30d")));
    let nobody = server.client_without_certificate();
    let of = |answer: &tests::Response| {
        answer.json()["refresh_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let bob = of(&post(&nobody, &format!("{BOB}&access_type=offline")).ok());
    let login = basic("bob", "p:ässwort");
    let query = "account=bob&client_id=docker&offline_token=true&service=registry";
    let logged_in = nobody.request(
        "GET",
        &format!("/auth/token?{query}"),
        &[("Authorization", &login)],
        &[],
    );
    assert!(!of(&logged_in.ok()).is_empty());
    assert!(of(&post(&nobody, BOB).ok()).is_empty());
    let refresh = |client: &tests::Client, token: &str, service: &str| {
        let form = format!(
            "grant_type=refresh_token&client_id=docker&service={service}&scope={PUSH}&refresh_token={token}"
        );
        post(client, &form)
    };
    let why = |answer: tests::Response| {
        let error = answer.refuses(401, "UNAUTHORIZED");
        assert_eq!(error["detail"]["reason"], "refresh_token_refused", "{error}");
        error["message"].as_str().unwrap().to_owned()
    };
    let answer = refresh(&nobody, &bob, REGISTRY).ok();
    assert_eq!(
        (granted(&answer), parts(&token(&answer)).1["sub"].clone()),
        (PULLED.map(str::to_owned).to_vec(), json!("bob"))
    );
    assert!(of(&answer).is_empty());
    assert!(why(refresh(&nobody, &bob, "trust")).contains("for another service"));
    let access = token(&answer);
    for wrong in ["x.y.z", access.as_str(), ""] {
        assert!(why(refresh(&nobody, wrong, REGISTRY)).contains("was not issued by this server"));
    }
    // One for a certificate needs that certificate.
    let (files, carol_files) = (server.pki().user("alice"), server.pki().user("carol"));
    let alice = server.client_with(&files);
    let bound = of(&alice.get("/auth/token?service=registry&offline_token=true").ok());
    assert_eq!(parts(&bound).1["cnf"]["x5t#S256"], thumbprint(&files));
    assert_eq!(
        granted(&refresh(&alice, &bound, REGISTRY).ok()),
        ["repository:team/app:pull,push"]
    );
    assert!(why(refresh(&nobody, &bound, REGISTRY)).contains("has not presented it"));
    let carol = server.client_with(&carol_files);
    assert!(why(refresh(&carol, &bound, REGISTRY)).contains("another client certificate"));
    // A certificate decides alone beside what belongs to nobody else.
    for beside in [bob.as_str(), "x.y.z"] {
        let answer = refresh(&carol, beside, REGISTRY).ok();
        assert_eq!(parts(&token(&answer)).1["sub"], "carol");
    }
    // Its holder is judged by what is known now.
    server.command_line("deny add --principal bob").ok();
    refresh(&nobody, &bob, REGISTRY).refuses(401, "UNAUTHORIZED");
    server.command_line("deny remove --principal bob").ok();
    refresh(&nobody, &bob, REGISTRY).ok();
    // Also the same password, set anew, ends it.
    let users = fs::read_to_string(server.path().join("users")).unwrap();
    let others: String = users
        .lines()
        .filter(|line| !line.starts_with("bob:"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(
        server.path().join("users"),
        format!("{others}bob:{}\n", bcrypt_of("p:ässwort", 4)),
    )
    .unwrap();
    server.reload(&alice);
    assert!(why(refresh(&nobody, &bob, REGISTRY)).contains("password has been changed"));
    post(&nobody, BOB).ok();
    server.configure("token_service.refresh_lifetime", json!(0));
    server.reload(&alice);
    assert!(why(refresh(&nobody, &bob, REGISTRY)).contains("not accepted any more"));
}

#[test]
fn keys_are_published_and_replaced_while_the_server_runs() {
    let server = start(builder().set("token_service.x5c", json!(true)));
    let (alice, nobody) = (server.client("alice"), server.client_without_certificate());
    let published = || -> Vec<String> {
        let answer = nobody.get("/auth/keys").ok();
        assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
        let set = answer.json();
        let keys = set["keys"].as_array().unwrap();
        assert!(
            keys.iter()
                .all(|key| key["use"] == "sig" && key["alg"] == "ES256" && key.get("d").is_none())
        );
        keys.iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    };
    let signed = || token(&ask(&alice, REGISTRY, &[PUSH], &[]).ok());
    let first = published();
    assert_eq!(first.len(), 1);
    let (header, _) = parts(&signed());
    assert_eq!(header["kid"], json!(first[0]));
    let certificate = X509::from_pem(&fs::read(server.path().join("token.crt")).unwrap()).unwrap();
    let carried = header["x5c"][0].as_str().unwrap();
    let carried = openssl::base64::decode_block(carried).unwrap();
    assert_eq!(carried, certificate.to_der().unwrap());
    // First the new key is published, then it signs, then the old one goes.
    make_key(server.path(), "next");
    let key = |name: &str| json!({"file": format!("{name}.key"), "certificates": format!("{name}.crt")});
    for (keys, signer) in [
        (json!([key("token"), key("next")]), "token.crt"),
        (json!([key("next"), key("token")]), "next.crt"),
        (json!([key("next")]), "next.crt"),
    ] {
        let count = keys.as_array().unwrap().len();
        server.configure("token_service.keys", keys);
        server.reload(&alice);
        assert_eq!(published().len(), count);
        verified(&signed(), &server.path().join(signer));
    }
    // A key that cannot be used changes nothing.
    let (_, refused) = server.reloads(&alice);
    fs::write(server.path().join("next.key"), "garbage").unwrap();
    server.hang_up();
    wait_until("the reload is refused", || server.reloads(&alice).1 > refused);
    verified(&signed(), &server.path().join("next.crt"));
}

#[test]
fn without_the_section_there_are_no_such_routes() {
    let server = TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .start();
    let (alice, nobody) = (server.client("alice"), server.client_without_certificate());
    for path in ["/auth/token?service=registry", "/auth/keys", "/auth"] {
        alice.get(path).refuses(404, "METADATA_NOT_FOUND");
        nobody.get(path).refuses(401, "UNAUTHORIZED");
    }
    post(&alice, BOB).refuses(404, "METADATA_NOT_FOUND");
}

#[test]
fn tokens_are_recorded_and_counted_and_appear_in_no_record() {
    let server = start(builder().set("audit.reads", json!(false)));
    let (alice, nobody) = (server.client("alice"), server.client_without_certificate());
    let issued = token(&ask(&alice, REGISTRY, &[PUSH, "repository:x/y:pull"], &[]).ok());
    ask(&nobody, REGISTRY, &[PUSH], &[]).refuses(401, "UNAUTHORIZED");
    wait_until("both are recorded", || audit(&server).len() == 2);
    let records = audit(&server);
    let expected = json!({
        "principal": "alice", "action": "token", "decision": "allowed", "service": REGISTRY,
        "scopes": ["repository:team/app:push,pull", "repository:x/y:pull"],
        "granted": ["repository:team/app:pull,push"], "policy_rule": "owner", "http_status": 200,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&records[0][name], value, "{name}");
    }
    assert_eq!(
        (
            &records[1]["decision"],
            &records[1]["service"],
            &records[1]["granted"]
        ),
        (&json!("denied"), &json!(REGISTRY), &Value::Null)
    );
    let everything = [
        server.log(),
        fs::read_to_string(server.path().join("audit.json")).unwrap(),
    ]
    .concat();
    assert!(!everything.contains(&issued));
    let figures = alice.get("/metrics").ok().text();
    assert!(figures.contains("\"Token\""), "{figures}");
    let page = [("Sec-Fetch-Site", "cross-site")];
    ask(&alice, REGISTRY, &[PUSH], &page).refuses(403, "CROSS_SITE");
    let description = nobody.get("/openapi.json").ok().json();
    assert!(description["paths"]["/auth/token"].is_object());
}
