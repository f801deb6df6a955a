//! A server that asks for tokens and issues them itself: what its routes take, from whom, and on which connection.

use std::{fs, net::Ipv4Addr};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer, x509::X509};
use platform::pki::{Issued, Template, Usage};
use serde_json::{Value, json};
use tests::{
    Client, ClientFiles, Finished, Response, TestServer,
    http::{connection_from, request_bytes},
    issued_tokens::{
        ISSUER, REGISTRY, TRUST, ask, asks_for_its_own_tokens, builder, make_key, parts, post, prepare, sign,
        token,
    },
    judged::{COMMANDS, change, prepared, refused_everywhere, run},
    operator::documented_toml,
    password_users::{basic, users},
    process::built_programs,
    server::Builder,
};

const GUN: &str = "reg.example/team/app";
const ROOT: &str = "/v2/reg.example/team/app/_trust/tuf/root.json";
const PULL: &str = "repository:reg.example/team/app:pull";
/// Where the proxy of these tests is.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn start(builder: Builder) -> TestServer {
    let prepared = prepare(builder);
    let realm = format!("https://localhost:{}/auth/token", prepared.port());
    asks_for_its_own_tokens(&prepared, &realm);
    prepared.start()
}

fn read(client: &Client, token: &str) -> Response {
    client.request("GET", ROOT, &[("Authorization", &format!("Bearer {token}"))], &[])
}

/// Checks that a token is let through to the repository, which does not exist.
#[track_caller]
fn taken(answer: &Response) {
    answer.refuses(404, "METADATA_NOT_FOUND");
}

/// Checks that a token is refused, and that the challenge says why.
#[track_caller]
fn refused(answer: &Response, why: &str) {
    answer.refuses(401, "UNAUTHORIZED");
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let (_, error) = challenge.split_once(",error=").unwrap_or_default();
    assert!(
        error.starts_with("\"invalid_token\"") && error.contains(why),
        "no {why:?} in {challenge}"
    );
}

#[test]
fn a_gate_reads_with_a_name_and_a_password() {
    let server = start(builder());
    let nobody = server.client_without_certificate();
    let realm = format!("https://localhost:{}/auth/token", server.port());
    let challenge = |path: &str| {
        let asked = nobody.get(path);
        asked.refuses(401, "UNAUTHORIZED");
        asked.header("www-authenticate").unwrap_or_default().to_owned()
    };
    let bearer = format!("Bearer realm=\"{realm}\",service=\"{TRUST}\",scope=");
    assert_eq!(challenge("/v2/"), format!("{bearer}\"registry:catalog:*\""));
    assert_eq!(challenge(ROOT), format!("{bearer}\"{PULL}\""));
    let by_get = ask(
        &nobody,
        TRUST,
        &[PULL],
        &[("Authorization", &basic("bob", "p:ässwort"))],
    );
    let form = "grant_type=password&client_id=gate&username=bob&password=p:%C3%A4sswort&service=trust";
    let by_post = post(&nobody, &format!("{form}&scope={PULL}"));
    for answer in [by_get, by_post] {
        let body = answer.ok().json();
        let token = body["token"].as_str().unwrap();
        assert_eq!(body["access_token"], *token);
        taken(&read(&nobody, token));
        let other = nobody.request(
            "GET",
            "/v2/reg.example/team/other/_trust/tuf/root.json",
            &[("Authorization", &format!("Bearer {token}"))],
            &[],
        );
        other.refuses(401, "UNAUTHORIZED");
    }
    nobody.get("/_notary_server/health").ok();
}

#[test]
fn the_notary_cli_signs_with_a_password_and_tokens_of_the_same_server() {
    let server = start(builder().set(
        "policy",
        json!([
            {"effect": "allow", "principals": ["alice"], "actions": ["*"], "guns": ["reg.example/**"]},
            {"effect": "allow", "principals": ["anonymous"], "actions": ["pull"], "guns": ["reg.example/**"]},
        ]),
    ));
    let logged_in = |user: &str, password: &str, arguments: &[&str]| {
        let mut command = server.notary(user).without_certificate().command(arguments);
        command.env("NOTARY_AUTH", STANDARD.encode(format!("{user}:{password}")));
        Finished::run(&mut command, "")
    };
    logged_in("alice", "correct horse", &["init", GUN, "-p"]).ok();
    logged_in(
        "alice",
        "correct horse",
        &["key", "rotate", GUN, "snapshot", "-r"],
    )
    .ok();
    let anybody = server.notary("carol").without_certificate();
    anybody.run(["list", GUN]).ok().says("No targets present");
    logged_in("bob", "p:ässwort", &["init", "reg.example/other", "-p"])
        .fails()
        .says("you are not authorized to perform this operation");
    logged_in("alice", "wrong", &["init", "reg.example/third", "-p"]).fails();
    let actors: Vec<String> = server
        .actors()
        .into_iter()
        .map(|(_, principal, _)| principal)
        .collect();
    assert!(
        !actors.is_empty() && actors.iter().all(|actor| actor == "alice"),
        "{actors:?}"
    );
    // A certificate needs no token.
    server.notary("dora").run(["list", GUN]).fails().says("403");
}

#[test]
fn a_token_for_a_certificate_is_worth_nothing_without_it() {
    let server = start(builder().set(
        "proxies",
        json!({"trusted": [PROXY.to_string()], "client_certificate": "rfc9440"}),
    ));
    let (alice_files, carol_files) = (server.pki().user("alice"), server.pki().user("carol"));
    let (alice, carol) = (server.client_with(&alice_files), server.client_with(&carol_files));
    let nobody = server.client_without_certificate();
    let bound = token(&ask(&alice, TRUST, &[PULL], &[]).ok());
    taken(&read(&alice, &bound));
    refused(
        &read(&nobody, &bound),
        "bound to a client certificate, and this connection has not presented it",
    );
    refused(&read(&carol, &bound), "bound to another client certificate");
    taken(&carol.get(ROOT));
    // What else comes with a certificate does not matter: the certificate is enough.
    taken(&read(&carol, "x.y.z"));
    let through = |files: Option<&ClientFiles>| {
        let mut headers = vec![("Authorization", format!("Bearer {bound}"))];
        if let Some(files) = files {
            let chain = X509::stack_from_pem(&fs::read(&files.certificate).unwrap()).unwrap();
            let der = STANDARD.encode(chain[0].to_der().unwrap());
            headers.push(("Client-Cert", format!(":{der}:")));
        }
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let stream = nobody
            .connect_over(connection_from(PROXY, server.port()).unwrap())
            .unwrap();
        Client::raw_over(stream, &request_bytes("GET", ROOT, &headers, &[])).unwrap()
    };
    taken(&through(Some(&alice_files)));
    refused(
        &through(Some(&carol_files)),
        "bound to another client certificate",
    );
    refused(&through(None), "this connection has not presented it");
    // The certificate's holder is denied from the next request on, token or not.
    server.command_line("deny add --principal alice").ok();
    let error = read(&alice, &bound).refuses(401, "UNAUTHORIZED");
    assert_eq!(error["message"], "alice is barred from this server");
    refused(&read(&nobody, &bound), "has not presented it");
}

#[test]
fn a_token_for_a_password_is_judged_like_its_holder() {
    let server = start(builder());
    let (alice, nobody) = (server.client("alice"), server.client_without_certificate());
    let form = "grant_type=password&username=bob&password=p:%C3%A4sswort&service=trust";
    let bobs = token(&post(&nobody, &format!("{form}&scope={PULL}")).ok());
    taken(&read(&nobody, &bobs));
    // A refused certificate is final.
    let expired = server.client_with(&server.pki().expired());
    let error = read(&expired, &bobs).refuses(401, "UNAUTHORIZED");
    assert_eq!(error["detail"]["reason"], "certificate_expired");
    server.command_line("deny add --principal bob").ok();
    let error = read(&nobody, &bobs).refuses(401, "UNAUTHORIZED");
    assert_eq!(error["message"], "bob is barred from this server");
    server.command_line("deny remove --principal bob").ok();
    taken(&read(&nobody, &bobs));
    server.configure(
        "policy",
        json!([{"name": "no", "effect": "deny", "principals": ["bob"], "actions": ["pull"]}]),
    );
    server.reload(&alice);
    read(&nobody, &bobs).refuses(403, "DENIED");
    server.configure(
        "policy",
        json!([{"effect": "allow", "principals": ["bob"], "actions": ["pull"]}]),
    );
    let users = fs::read_to_string(server.path().join("users")).unwrap();
    let others: Vec<&str> = users.lines().filter(|line| !line.starts_with("bob:")).collect();
    fs::write(server.path().join("users"), others.join("\n")).unwrap();
    server.reload(&alice);
    refused(&read(&nobody, &bobs), "there is no user 'bob' any more");
}

#[test]
fn a_token_for_everything_gives_no_more_than_the_policy_does() {
    let server = start(builder().set(
        "policy",
        json!([{"effect": "allow", "principals": ["bob"], "actions": ["pull", "list"]}]),
    ));
    let nobody = server.client_without_certificate();
    let form = "grant_type=password&username=bob&password=p:%C3%A4sswort&service=trust";
    let catalog = post(&nobody, &format!("{form}&scope=registry:catalog:*")).ok();
    let bearer = format!("Bearer {}", token(&catalog));
    let get = |path: &str| nobody.request("GET", path, &[("Authorization", &bearer)], &[]);
    get("/v2/").ok();
    get("/api/v0/repositories").ok();
    assert_eq!(get("/basic_info").ok().json()["User"]["name"], "bob");
    get("/api/v0/meta/settings").refuses(403, "NOT_AUTHORIZED");
    get("/v2/_trust/changefeed").refuses(403, "DENIED");
}

#[test]
fn every_other_token_is_refused_with_its_reason() {
    let server = start(builder().set("token_service.refresh_lifetime", json!("1d")));
    let nobody = server.client_without_certificate();
    let form = "grant_type=password&username=bob&password=p:%C3%A4sswort&access_type=offline";
    let answer = post(&nobody, &format!("{form}&service=trust&scope={PULL}")).ok();
    let good = token(&answer);
    taken(&read(&nobody, &good));
    let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    refused(&read(&nobody, &refresh), "not for 'trust'");
    let elsewhere = token(&post(&nobody, &format!("{form}&service={REGISTRY}&scope={PULL}")).ok());
    refused(
        &read(&nobody, &elsewhere),
        "the token is for 'registry', not for 'trust'",
    );
    let key = server.path().join("token.key");
    let (header, claims) = parts(&good);
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        sign(&header, &changed, &key)
    };
    taken(&read(&nobody, &with("jti", json!("x"))));
    let now = claims["iat"].as_i64().unwrap();
    for (name, value, why) in [
        ("aud", json!([TRUST]), "aud in the token is not a string"),
        (
            "iss",
            json!("elsewhere"),
            "issued by 'elsewhere', not by 'tokens.example'",
        ),
        ("exp", json!(now - 61), "has expired"),
        ("exp", Value::Null, "has expired"),
        ("nbf", json!(now + 120), "not valid yet"),
        (
            "cnf",
            json!({"jkt": "x"}),
            "something else than a client certificate",
        ),
        ("cnf", json!({"x5t#S256": "x"}), "bound to a client certificate"),
    ] {
        refused(&read(&nobody, &with(name, value)), why);
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with_header = |name: &str, value: Value| {
        let mut changed = header.clone();
        changed[name] = value;
        changed
    };
    // No signature at all, and a signature that anybody can make who knows the public key.
    let none = format!("{}.{}.", part(&with_header("alg", json!("none"))), part(&claims));
    refused(&read(&nobody, &none), "signature");
    let none = format!(
        "{}.{}.eA",
        part(&with_header("alg", json!("none"))),
        part(&claims)
    );
    refused(&read(&nobody, &none), "'none' does not fit its key");
    let confused = format!("{}.{}", part(&with_header("alg", json!("HS256"))), part(&claims));
    let certificate = X509::from_pem(&fs::read(server.path().join("token.crt")).unwrap()).unwrap();
    let public = certificate.public_key().unwrap().public_key_to_pem().unwrap();
    let secret = PKey::hmac(&public).unwrap();
    let mac = Signer::new(MessageDigest::sha256(), &secret)
        .unwrap()
        .sign_oneshot_to_vec(confused.as_bytes())
        .unwrap();
    let confused = format!("{confused}.{}", URL_SAFE_NO_PAD.encode(mac));
    refused(&read(&nobody, &confused), "'HS256' does not fit its key");
    // Another key, whatever the header says of it.
    make_key(server.path(), "mallory");
    let mallory = server.path().join("mallory.key");
    refused(
        &read(&nobody, &sign(&header, &claims, &mallory)),
        "does not verify",
    );
    let wrong = sign(&with_header("kid", json!("AAAA:BBBB")), &claims, &key);
    refused(
        &read(&nobody, &wrong),
        "the token's key 'AAAA:BBBB' is not trusted",
    );
    let own = X509::from_pem(&fs::read(server.path().join("mallory.crt")).unwrap()).unwrap();
    let chain = json!([STANDARD.encode(own.to_der().unwrap())]);
    let carried = sign(&with_header("x5c", chain), &claims, &mallory);
    refused(&read(&nobody, &carried), "was not issued by a trusted one");
    let jwk = jwk_of(&own);
    refused(
        &read(&nobody, &sign(&with_header("jwk", jwk), &claims, &mallory)),
        "is not trusted",
    );
    for wrong in ["", "x", "a.b.c", "e30.e30.e30"] {
        let answer = read(&nobody, wrong);
        answer.refuses(401, "UNAUTHORIZED");
    }
}

fn jwk_of(certificate: &X509) -> Value {
    let key = certificate.public_key().unwrap().ec_key().unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let (mut x, mut y) = (
        openssl::bn::BigNum::new().unwrap(),
        openssl::bn::BigNum::new().unwrap(),
    );
    key.public_key()
        .affine_coordinates(key.group(), &mut x, &mut y, &mut context)
        .unwrap();
    let coordinate = |number: &openssl::bn::BigNum| URL_SAFE_NO_PAD.encode(number.to_vec_padded(32).unwrap());
    json!({"kty": "EC", "crv": "P-256", "x": coordinate(&x), "y": coordinate(&y)})
}

#[test]
fn keys_that_cannot_sign_refuse_a_start_and_careless_ones_are_told() {
    let prepared = prepared();
    for name in ["token", "other"] {
        make_key(prepared.path(), name);
    }
    fs::write(prepared.path().join("garbage.key"), "garbage").unwrap();
    for (key, certificates, causes) in [
        ("missing.key", "token.crt", ["token_service:", "missing.key"]),
        ("garbage.key", "token.crt", ["token_service:", "garbage.key"]),
        ("token.key", "missing.crt", ["token_service:", "missing.crt"]),
        (
            "other.key",
            "token.crt",
            ["other.key", "does not belong to the first certificate"],
        ),
    ] {
        change(&prepared, &[("token_service", section(key, certificates))]);
        refused_everywhere(&prepared, &causes);
    }
    change(
        &prepared,
        &[(
            "token_service",
            json!({"keys": [{"file": "token.key"}], "servces": []}),
        )],
    );
    refused_everywhere(&prepared, &["token_service"]);
    change(&prepared, &[("token_service", section("token.key", "token.crt"))]);
    run(&prepared, COMMANDS[0])
        .ok()
        .does_not_say("warning")
        .says("is fine");
    // What lets a server start.
    let told = |expected: &str| {
        let finished = run(&prepared, COMMANDS[0]);
        assert!(
            finished.output().contains(expected),
            "no {expected:?} in {finished}"
        );
    };
    let key = prepared.path().join("token.key");
    Finished::run(std::process::Command::new("chmod").arg("644").arg(&key), "").ok();
    told("token.key is open to others (mode 644), who could issue tokens with it; chmod 600");
    let realm = json!({"realm": "https://localhost/auth/token", "service": TRUST, "issuer": ISSUER,
                       "rootcertbundle": prepared.path().join("other.crt")});
    let mut without_x5c = section("token.key", "token.crt");
    without_x5c["x5c"] = json!(false);
    change(
        &prepared,
        &[
            ("token_service", without_x5c),
            ("auth", json!({"type": "token", "options": realm})),
        ],
    );
    told("has no certificate of the first key of token_service.keys");
    // Registries look at the dates of certificates that tokens carry.
    let mut template = Template::new("old", Usage::Server, 1);
    template.validity = (-2 * 86_400, -86_400);
    let old = Issued::self_signed(&template).unwrap();
    fs::write(prepared.path().join("old.key"), old.key_pem().unwrap()).unwrap();
    fs::write(prepared.path().join("old.crt"), old.certificate_pem().unwrap()).unwrap();
    change(
        &prepared,
        &[
            ("auth", json!({})),
            ("token_service", section("old.key", "old.crt")),
        ],
    );
    run(&prepared, COMMANDS[0]).fails().says("old.crt expired at");
    change(&prepared, &[("token_service.x5c", json!(false))]);
    run(&prepared, COMMANDS[0]).ok().says("old.crt expired at");
}

/// `token_service` with this key and these certificates.
fn section(key: &str, certificates: &str) -> Value {
    json!({"issuer": ISSUER, "services": [{"name": TRUST}], "x5c": true,
           "keys": [{"file": key, "certificates": certificates}]})
}

#[test]
fn the_documented_configurations_are_taken() {
    let prepared = prepared();
    make_key(prepared.path(), "token");
    users(prepared.path());
    let base = "[server]\nhttp_addr = \"127.0.0.1:4443\"\nexternal_url = \"https://localhost:4443\"\n\
                tls_cert_file = \"pki/server.pem\"\ntls_key_file = \"pki/server-key.pem\"\n\
                client_ca_file = \"pki/ca.pem\"\n[tls]\nclient_auth = \"request\"\n\
                [trust_service]\ntype = \"local\"\n[storage]\nbackend = \"memory\"\n";
    let documented = documented_toml("tokens.md");
    let [registries, own] = documented.as_slice() else {
        panic!("the page has {} examples", documented.len());
    };
    let bundle = prepared.path().join("token.crt").display().to_string();
    let own = own.replace("/etc/countersign/token.crt", &bundle);
    for text in [format!("{base}{registries}"), format!("{base}{registries}{own}")] {
        fs::write(prepared.path().join("server.toml"), text).unwrap();
        let mut check = std::process::Command::new(built_programs().join("countersign-server"));
        check
            .current_dir(prepared.path())
            .args(["check-config", "--strict", "--config", "server.toml"]);
        Finished::run(&mut check, "")
            .ok()
            .says("is fine")
            .does_not_say("token");
    }
}
