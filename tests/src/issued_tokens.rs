//! Servers that issue tokens themselves, and the tokens that they issue.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openssl::{
    bn::{BigNum, BigNumRef},
    ecdsa::EcdsaSig,
    pkey::PKey,
    sha::sha256,
    x509::X509,
};
use platform::pki::{Issued, Template, Usage};
use serde_json::{Value, json};

use crate::{
    http::{Client, Response},
    judged::change,
    password_users,
    pki::ClientFiles,
    server::{Builder, Prepared, TestServer},
};

/// The name of the token service in tokens.
pub const ISSUER: &str = "tokens.example";
/// The registry of the tests, whose repositories begin with `reg.example` in the policy.
pub const REGISTRY: &str = "registry";
/// The trust server itself.
pub const TRUST: &str = "trust";
/// The content type of OAuth's requests.
pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Makes `NAME.key`, a key that signs tokens, and `NAME.crt`, its certificate.
pub fn make_key(directory: &Path, name: &str) -> PathBuf {
    let made = Issued::self_signed(&Template::new(name, Usage::Server, 30)).unwrap();
    let path = |end: &str| directory.join(format!("{name}.{end}"));
    fs::write(path("key"), made.key_pem().unwrap()).unwrap();
    fs::set_permissions(path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path("crt"), made.certificate_pem().unwrap()).unwrap();
    path("crt")
}

/// `token_service` with the key `token.key`.
pub fn settings() -> Value {
    json!({
        "issuer": ISSUER,
        "keys": [{"file": "token.key", "certificates": "token.crt"}],
        "services": [{"name": REGISTRY, "host": "reg.example"}, {"name": TRUST}],
    })
}

/// A server that knows people by certificate or password, and issues tokens for what its policy allows: alice may do
/// everything with the team's repositories, bob and carol may pull them.
pub fn builder() -> Builder {
    password_users::builder()
        .set("token_service", settings())
        .set(
            "policy",
            json!([
                {"name": "owner", "effect": "allow", "principals": ["alice"], "actions": ["*"], "guns": ["reg.example/team/**"]},
                {"name": "readers", "effect": "allow", "principals": ["bob", "carol"], "actions": ["pull"], "guns": ["reg.example/team/**"]},
            ]),
        )
        .set("audit", json!({"sinks": ["file:audit.json"]}))
}

/// Writes the files that its configuration names.
pub fn prepare(builder: Builder) -> Prepared {
    let prepared = builder.prepare();
    password_users::users(prepared.path());
    make_key(prepared.path(), "token");
    prepared
}

/// Starts it.
pub fn start(builder: Builder) -> TestServer {
    prepare(builder).start()
}

/// Has it ask clients without a certificate for tokens, which it issues itself.
pub fn asks_for_its_own_tokens(prepared: &Prepared, realm: &str) {
    change(
        prepared,
        &[
            ("auth.type", json!("token")),
            (
                "auth.options",
                json!({"realm": realm, "service": TRUST, "issuer": ISSUER,
                       "rootcertbundle": prepared.path().join("token.crt")}),
            ),
        ],
    );
}

/// A request for a token by GET.
pub fn ask(client: &Client, service: &str, scopes: &[&str], headers: &[(&str, &str)]) -> Response {
    let scopes: String = scopes.iter().map(|scope| format!("&scope={scope}")).collect();
    client.request(
        "GET",
        &format!("/auth/token?service={service}{scopes}"),
        headers,
        &[],
    )
}

/// A request for a token by POST.
pub fn post(client: &Client, form: &str) -> Response {
    client.request("POST", "/auth/token", &[FORM], form.as_bytes())
}

/// The token of an answer.
pub fn token(answer: &Response) -> String {
    answer.json()["token"].as_str().unwrap_or_default().to_owned()
}

/// The header and the claims of a token, which is not verified.
pub fn parts(token: &str) -> (Value, Value) {
    let part = |position: usize| {
        let text = token.split('.').nth(position).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    (part(0), part(1))
}

/// The claims of a token that the key of this certificate has signed.
pub fn verified(token: &str, certificate: &Path) -> Value {
    let certificate = X509::from_pem(&fs::read(certificate).unwrap()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let number = |bytes| BigNum::from_slice(bytes).unwrap();
    let signature = EcdsaSig::from_private_components(number(r), number(s)).unwrap();
    let key = certificate.public_key().unwrap().ec_key().unwrap();
    assert!(signature.verify(&sha256(signed.as_bytes()), &key).unwrap());
    parts(token).1
}

/// What an answer's token grants, as scopes.
pub fn granted(answer: &Response) -> Vec<String> {
    let (_, claims) = parts(&token(answer));
    let entries = claims["access"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let actions: Vec<&str> = entry["actions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|action| action.as_str().unwrap())
                .collect();
            let text = |name: &str| entry[name].as_str().unwrap();
            format!("{}:{}:{}", text("type"), text("name"), actions.join(","))
        })
        .collect()
}

/// The SHA-256 of a client's certificate, as tokens name it.
pub fn thumbprint(files: &ClientFiles) -> String {
    let chain = X509::stack_from_pem(&fs::read(&files.certificate).unwrap()).unwrap();
    URL_SAFE_NO_PAD.encode(sha256(&chain[0].to_der().unwrap()))
}

/// A token with any header and claims, signed with the P-256 key of a file as ES256 asks for it.
pub fn sign(header: &Value, claims: &Value, key: &Path) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = PKey::private_key_from_pem(&fs::read(key).unwrap()).unwrap();
    let signature = EcdsaSig::sign(&sha256(signed.as_bytes()), &key.ec_key().unwrap()).unwrap();
    let number = |number: &BigNumRef| number.to_vec_padded(32).unwrap();
    let raw = [number(signature.r()), number(signature.s())].concat();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw))
}
