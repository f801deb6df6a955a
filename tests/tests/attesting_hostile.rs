//! Registries that do not behave: what they say leads nobody's password elsewhere, and nothing of theirs is written over.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};
use tests::{TestServer, bridge::new_key, person::Person, registry::digest};

const LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The manifest of the only image.
fn manifest() -> String {
    json!({"schemaVersion": 2, "note": "an image"}).to_string()
}

/// A registry whose repositories behave as their names say. Keeps the methods and paths that it was asked for.
struct Odd {
    host: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Odd {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&asked);
        // It ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                answer(connection.unwrap(), &kept);
            }
        });
        Self { host, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut connection: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    if reader.read_line(&mut line).unwrap_or(0) == 0 || !line.contains(" /v2/") {
        // What begins with TLS.
        return;
    }
    let request: Vec<&str> = line.split(' ').take(2).collect();
    let request = request.join(" ");
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    asked.lock().unwrap().push(request.clone());
    let (status, headers, body) = said(&request);
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = connection.write_all(&[head.as_bytes(), body.as_bytes()].concat());
}

/// Status, headers and body.
fn said(request: &str) -> (&'static str, &'static str, String) {
    let signatures = |layers: Value| {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        json!({"schemaVersion": 2, "mediaType": kind, "config": {}, "layers": layers}).to_string()
    };
    let layer = json!({
        "mediaType": LAYER, "digest": digest(b"another"), "size": 7,
        "annotations": {"dev.cosignproject.cosign/signature": "AAAA"},
    });
    let found = |body: String| ("200 OK", "", body);
    if request.ends_with(".sig") {
        return match request.split('/').nth(2).unwrap() {
            "image" => found(manifest()),
            "many" => found(signatures(vec![layer; 201].into())),
            "swapped" => found(signatures(json!([layer]))),
            _ => ("404 Not Found", "", String::new()),
        };
    }
    if request.starts_with("GET") && request.contains("/manifests/") {
        return found(manifest());
    }
    if request.contains("/blobs/sha256:") {
        return found("the one".to_owned());
    }
    match request.split('/').nth(2).unwrap() {
        "elsewhere" => (
            "202 Accepted",
            "Location: http://localhost:1/v2/elsewhere/blobs/uploads/1\r\n",
            String::new(),
        ),
        "nowhere" => ("202 Accepted", "", String::new()),
        "redirecting" => (
            "307 Temporary Redirect",
            "Location: http://localhost:1/v2/redirecting/blobs/uploads/\r\n",
            String::new(),
        ),
        _ => ("500 Internal Server Error", "", String::new()),
    }
}

#[test]
fn a_registry_that_leads_elsewhere_or_keeps_something_else_gets_no_signature() {
    let server = TestServer::start();
    let (owner, registry) = (Person::of(&server, "alice"), Odd::start());
    let key = new_key(owner.client.directory(), "bridge");
    let (content, private) = (manifest(), key.private.to_str().unwrap());
    let (sha256, size) = (digest(content.as_bytes()), content.len().to_string());
    for (repository, says) in [
        ("elsewhere", "at another server"),
        ("nowhere", "does not say where the upload goes on"),
        ("redirecting", "the registry:"),
        ("failing", "500"),
        ("image", "not an OCI manifest"),
        ("many", "at most 200 are looked at"),
        ("swapped", "has another content"),
    ] {
        let image = format!("{}/{repository}:1.0", registry.host);
        owner
            .run(&["sign", "--init", &image, "--digest", &sha256, "--size", &size])
            .ok();
        let root = owner.notary.root_key();
        let attest = [
            "attest",
            "--root-key",
            &root,
            "--cosign",
            "--bridge-key",
            private,
            &image,
        ];
        let refused = owner.client.run_at_server(&attest);
        assert_eq!(refused.code, 2, "{repository}: {refused}");
        refused.says(says);
    }
    let asked = registry.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|request| !request.starts_with("PUT")),
        "{asked:?}"
    );
}
