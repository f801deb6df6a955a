//! A trust server in the test's own process: it keeps what is published, signs snapshots and timestamps, and can be made
//! slow, silent, forgetful or unfriendly.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use client::keys::{PrivateKey, SigningKey};
use client::{Connection, Credentials, Server, ServerSettings};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tuf::{Checksum, Signature};

/// One repository.
#[derive(Clone, Default)]
pub struct Stored {
    pub roots: Vec<Bytes>,
    pub current: BTreeMap<String, Bytes>,
    by_checksum: BTreeMap<String, Bytes>,
}

pub struct Fake {
    pub address: String,
    pub inner: Arc<Inner>,
}

pub struct Inner {
    pub stored: Mutex<BTreeMap<String, Stored>>,
    snapshot: PrivateKey,
    timestamp: PrivateKey,
    /// How many requests there were.
    pub requests: AtomicUsize,
    pub bundles: AtomicBool,
    /// Whether requests are never answered.
    pub silent: AtomicBool,
    /// The status of every answer, if not 0.
    pub refuses: AtomicU16,
    /// How long every answer takes, in milliseconds.
    pub delay: AtomicU64,
    /// Whether the next answer is held back when it is ready, and whether one is.
    pub hold_next: AtomicBool,
    pub held: AtomicBool,
    /// Whether only those with a token are answered.
    pub wants_token: AtomicBool,
    /// What tokens were asked for: the queries.
    pub tokens: Mutex<Vec<String>>,
    /// Told with every publish.
    published: watch::Sender<usize>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            stored: Mutex::default(),
            snapshot: PrivateKey::generate().unwrap(),
            timestamp: PrivateKey::generate().unwrap(),
            requests: AtomicUsize::new(0),
            bundles: AtomicBool::new(true),
            silent: AtomicBool::new(false),
            refuses: AtomicU16::new(0),
            delay: AtomicU64::new(0),
            hold_next: AtomicBool::new(false),
            held: AtomicBool::new(false),
            wants_token: AtomicBool::new(false),
            tokens: Mutex::default(),
            published: watch::Sender::new(0),
        });
        let shared = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, inner }
    }

    /// A new handle to it.
    pub fn server(&self) -> Arc<Server> {
        self.server_within(Duration::from_secs(3))
    }

    /// A new handle to it that reads repositories within `limit`.
    pub fn server_within(&self, limit: Duration) -> Arc<Server> {
        let given = ServerSettings {
            url: Some(self.address.clone()),
            allow_http: true,
            credentials: Credentials::None,
            ..ServerSettings::default()
        };
        let connection: Connection = client::Discovery::default().complete(&given, "unused").unwrap();
        Arc::new(Server::new(&connection).unwrap().with_read_limit(limit))
    }

    pub fn set_silent(&self, silent: bool) {
        self.inner.silent.store(silent, Ordering::SeqCst);
    }

    pub fn refuse(&self, status: u16) {
        self.inner.refuses.store(status, Ordering::SeqCst);
    }

    pub fn requests(&self) -> usize {
        self.inner.requests.load(Ordering::SeqCst)
    }

    pub fn stored(&self, gun: &str) -> Stored {
        self.inner.stored.lock().unwrap()[gun].clone()
    }

    pub fn restore(&self, gun: &str, stored: Stored) {
        self.inner.stored.lock().unwrap().insert(gun.to_owned(), stored);
    }

    pub fn delete(&self, gun: &str) {
        self.inner.stored.lock().unwrap().remove(gun);
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Inner>) {
    let mut buffer = Vec::new();
    loop {
        let Some((head, body)) = request(&mut stream, &mut buffer).await else {
            return;
        };
        shared.requests.fetch_add(1, Ordering::SeqCst);
        if shared.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(shared.delay.load(Ordering::SeqCst))).await;
        if head.starts_with("GET") && head.contains("/_trust/events") {
            return events(stream, &shared).await;
        }
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let mut more = String::new();
        if let Some(query) = head.strip_prefix("GET /token?") {
            shared
                .tokens
                .lock()
                .unwrap()
                .push(query.split(' ').next().unwrap().to_owned());
            let answer = r#"{"token": "t0", "expires_in": 300}"#;
            let head = format!(
                "HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{answer}",
                answer.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            continue;
        }
        if shared.wants_token.load(Ordering::SeqCst) && !head.contains("authorization: Bearer t0") {
            more = format!(
                "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"fake\",scope=\"repository:other:*\"\r\n"
            );
        } else if shared.refuses.load(Ordering::SeqCst) == 302 {
            more = format!(
                "Location: http://localhost:{}/elsewhere\r\n",
                host.rsplit(':').next().unwrap()
            );
        }
        let (status, etag, body) = if more.starts_with("WWW") {
            (401, None, Vec::new())
        } else {
            match shared.refuses.load(Ordering::SeqCst) {
                0 => shared.answer(&head, &body),
                refused => (
                    refused,
                    None,
                    br#"{"errors":[{"code":"X","message":"the operator said no"}]}"#.to_vec(),
                ),
            }
        };
        if shared.hold_next.swap(false, Ordering::SeqCst) {
            shared.held.store(true, Ordering::SeqCst);
            while shared.held.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let etag = etag.map(|etag| format!("ETag: {etag}\r\n")).unwrap_or_default();
        let length = if status == 304 {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("HTTP/1.1 {status} X\r\n{length}{etag}{more}\r\n");
        if stream
            .write_all(&[head.as_bytes(), &body].concat())
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn events(mut stream: TcpStream, shared: &Inner) {
    let mut published = shared.published.subscribe();
    let head = "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    while published.changed().await.is_ok() {
        if stream.write_all(b"event: published\ndata: {}\n\n").await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().unwrap())
            });
            let length: usize = length.unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        let mut piece = [0; 65_536];
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => buffer.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
}

pub type Answer = (u16, Option<String>, Vec<u8>);

impl Inner {
    fn answer(&self, head: &str, body: &[u8]) -> Answer {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let (gun, rest) = path.strip_prefix("/v2/").unwrap().split_once("/_trust/").unwrap();
        let header = |wanted: &str| {
            head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
            })
        };
        match (method, rest) {
            ("GET", "bundle") => self.bundle(gun, header("if-none-match")),
            ("POST", "tuf/") => self.publish(gun, &header("content-type").unwrap(), body),
            ("GET", "tuf/snapshot.key") => (200, None, self.snapshot.public().to_endpoint_json().into()),
            ("GET", "tuf/timestamp.key") => (200, None, self.timestamp.public().to_endpoint_json().into()),
            ("GET", file) => self.file(gun, file.strip_prefix("tuf/").unwrap()),
            _ => (405, None, Vec::new()),
        }
    }

    fn bundle(&self, gun: &str, known: Option<String>) -> Answer {
        let stored = self.stored.lock().unwrap();
        let Some(found) = stored.get(gun).filter(|_| self.bundles.load(Ordering::SeqCst)) else {
            return (404, None, Vec::new());
        };
        let etag = format!("\"{}\"", Checksum::of(&found.current["timestamp"]));
        if known.as_ref() == Some(&etag) {
            return (304, Some(etag), Vec::new());
        }
        let encoded = |bytes: &Bytes| STANDARD.encode(bytes);
        let targets = found
            .current
            .iter()
            .filter(|(role, _)| role.starts_with("targets"));
        let targets: BTreeMap<_, _> = targets
            .map(|(role, bytes)| (role.clone(), encoded(bytes)))
            .collect();
        let bundle = json!({
            "gun": gun, "roots": found.roots.iter().map(encoded).collect::<Vec<_>>(),
            "timestamp": encoded(&found.current["timestamp"]), "snapshot": encoded(&found.current["snapshot"]),
            "targets": targets,
        });
        (200, Some(etag), bundle.to_string().into())
    }

    fn file(&self, gun: &str, file: &str) -> Answer {
        let stored = self.stored.lock().unwrap();
        let name = file.strip_suffix(".json").unwrap();
        let found = stored.get(gun).and_then(|found| {
            let version = name
                .strip_suffix(".root")
                .and_then(|version| version.parse::<usize>().ok());
            match version {
                Some(version) => found.roots.get(version.checked_sub(1)?).cloned(),
                None => found
                    .current
                    .get(name)
                    .or_else(|| found.by_checksum.get(name))
                    .cloned(),
            }
        });
        match found {
            Some(bytes) => (200, None, bytes.to_vec()),
            None => (404, None, Vec::new()),
        }
    }

    fn publish(&self, gun: &str, content_type: &str, body: &[u8]) -> Answer {
        let boundary = content_type.split_once("boundary=").unwrap().1;
        let body = String::from_utf8(body.to_vec()).unwrap();
        let mut uploaded = BTreeMap::new();
        for part in body.split(&format!("--{boundary}")) {
            let Some((head, content)) = part.split_once("\r\n\r\n") else {
                continue;
            };
            let role = head
                .split_once("filename=\"")
                .unwrap()
                .1
                .split_once('"')
                .unwrap()
                .0;
            uploaded.insert(
                role.to_owned(),
                Bytes::from(content.strip_suffix("\r\n").unwrap().to_owned()),
            );
        }
        self.store(gun, uploaded)
    }

    /// Publishes documents without looking at who signed them.
    pub fn store(&self, gun: &str, uploaded: BTreeMap<String, Bytes>) -> Answer {
        let mut stored = self.stored.lock().unwrap();
        let mut next = stored.get(gun).cloned().unwrap_or_default();
        for (role, bytes) in &uploaded {
            let before = next.current.get(role).map_or(0, version);
            if version(bytes) != before + 1 {
                let refusal = r#"{"errors":[{"code":"VERSION","message":"a newer version is there"}]}"#;
                return (400, None, refusal.into());
            }
        }
        if let Some(root) = uploaded.get("root") {
            next.roots.push(root.clone());
        }
        next.current.extend(uploaded);
        let meta: BTreeMap<_, _> = next
            .current
            .iter()
            .filter(|(role, _)| !["snapshot", "timestamp"].contains(&role.as_str()))
            .map(|(role, bytes)| (role.clone(), hashes(bytes)))
            .collect();
        let snapshot = json!({"_type": "Snapshot", "expires": "2099-01-01T00:00:00Z", "meta": meta,
            "version": next.current.get("snapshot").map_or(0, version) + 1});
        let snapshot = signed(&self.snapshot, &snapshot);
        let timestamp = json!({"_type": "Timestamp", "expires": "2099-01-01T00:00:00Z",
            "meta": {"snapshot": hashes(&snapshot)},
            "version": next.current.get("timestamp").map_or(0, version) + 1});
        next.current
            .insert("timestamp".into(), signed(&self.timestamp, &timestamp));
        next.current.insert("snapshot".into(), snapshot);
        for (role, bytes) in &next.current {
            next.by_checksum
                .insert(format!("{role}.{}", Checksum::of(bytes)), bytes.clone());
        }
        stored.insert(gun.to_owned(), next);
        self.published.send_modify(|count| *count += 1);
        (200, None, Vec::new())
    }
}

fn version(bytes: &Bytes) -> i64 {
    let document: Value = serde_json::from_slice(bytes).unwrap();
    document["signed"]["version"].as_i64().unwrap()
}

fn hashes(bytes: &[u8]) -> Value {
    let sha256 = STANDARD.encode(openssl::sha::sha256(bytes));
    json!({"hashes": {"sha256": sha256}, "length": bytes.len()})
}

pub fn signed(key: &dyn SigningKey, signed: &Value) -> Bytes {
    let message = tuf::canonicalize(signed).unwrap();
    let (method, bytes) = key.sign(&message).unwrap();
    let signature = Signature {
        key_id: key.public().id().clone(),
        method,
        bytes,
    };
    tuf::write_document(&message, &[signature]).into()
}
