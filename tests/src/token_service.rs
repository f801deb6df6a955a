//! A token service as registries have them: HTTPS, one route, tokens signed with the test PKI's key.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use openssl::{
    ec::EcKey,
    ecdsa::EcdsaSig,
    sha::sha256,
    ssl::{SslAcceptor, SslFiletype, SslMethod},
};
use serde_json::{Value, json};

use crate::{pki::TestPki, process::free_port};

/// The name of the service in tokens.
pub const SERVICE: &str = "notary.example.com";
const ISSUER: &str = "auth.example.com";
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/notary/jwt");
/// The libtrust ID of `tok.key`.
const KEY_ID: &str = "SJAP:S2LG:XLKM:7DB3:XJFW:BDMJ:MLPZ:EIOO:GD5I:SB4G:SMBY:OAQA";

/// A running token service; grants every action to clients that log in, and pull to others.
pub struct TokenService {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TokenService {
    /// Starts it. The thread ends with the test process.
    pub fn start(pki: &TestPki) -> Self {
        let files = pki.daemon("token-service", &[], &[]);
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        builder.set_certificate_chain_file(&files.certificate).unwrap();
        builder
            .set_private_key_file(&files.key, SslFiletype::PEM)
            .unwrap();
        let acceptor = builder.build();
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = asked.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // A client that closes the connection is no failure.
                let _ = answer(&acceptor, connection, &record);
            }
        });
        Self { port, asked }
    }

    /// The `auth` section of a server's configuration for this service.
    pub fn configuration(&self) -> Value {
        json!({"type": "token", "options": {
            "realm": format!("https://localhost:{}/token", self.port),
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": Self::bundle(),
        }})
    }

    /// The certificates of the keys that sign tokens.
    pub fn bundle() -> PathBuf {
        Path::new(KEYS).join("bundle.crt")
    }

    /// The queries so far.
    pub fn queries(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A token that grants `actions` on a repository.
pub fn token(subject: &str, gun: &str, actions: &[&str]) -> String {
    signed(
        &json!([{"type": "repository", "name": gun, "actions": actions}]),
        subject,
    )
}

fn signed(access: &Value, subject: &str) -> String {
    let now = chrono::Utc::now().timestamp();
    let header = json!({"typ": "JWT", "alg": "ES256", "kid": KEY_ID});
    let claims = json!({
        "iss": ISSUER, "aud": SERVICE, "sub": subject, "exp": now + 300, "nbf": now - 10, "iat": now,
        "access": access,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let key = EcKey::private_key_from_pem(&fs::read(Path::new(KEYS).join("tok.key")).unwrap()).unwrap();
    let signature = EcdsaSig::sign(&sha256(signed.as_bytes()), &key).unwrap();
    let raw = [
        signature.r().to_vec_padded(32).unwrap(),
        signature.s().to_vec_padded(32).unwrap(),
    ]
    .concat();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(raw))
}

fn answer(acceptor: &SslAcceptor, connection: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut stream = acceptor
        .accept(connection)
        .map_err(|_| std::io::ErrorKind::ConnectionAborted)?;
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&piece[..length]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let query = path
        .split_once('?')
        .map_or("", |(_, query)| query)
        .replace("%3A", ":")
        .replace("%2F", "/");
    let query = query.replace("%2C", ",").replace("%2A", "*");
    asked.lock().unwrap().push(query.clone());
    let user = request
        .lines()
        .find_map(|line| line.strip_prefix("Authorization: Basic "));
    let user = user
        .and_then(|login| STANDARD.decode(login).ok())
        .and_then(|login| String::from_utf8(login).ok());
    let user = user.and_then(|login| login.split_once(':').map(|(name, _)| name.to_owned()));
    let scope = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("scope="))
        .unwrap_or_default();
    let access: Vec<Value> = scope
        .rsplit_once(':')
        .and_then(|(resource, actions)| Some((resource.split_once(':')?, actions)))
        .map(|((kind, name), actions)| {
            let wanted = actions.split(',');
            let granted: Vec<&str> = wanted
                .filter(|action| user.is_some() || *action == "pull")
                .collect();
            json!({"type": kind, "name": name, "actions": granted})
        })
        .into_iter()
        .collect();
    let body = json!({"token": signed(&Value::Array(access), user.as_deref().unwrap_or(""))}).to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()
}
