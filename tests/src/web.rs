//! A web server like that of a CA, for revocation lists and OCSP answers. The test decides its answers.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A request: path, headers with names in lower case, body.
pub struct Asked {
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer: the end of the status line, headers, body.
pub struct Said {
    /// Such as `200 OK`.
    pub status: &'static str,
    /// Whole header lines.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Said {
    /// 200 with a body.
    pub fn ok(body: Vec<u8>) -> Self {
        Self {
            status: "200 OK",
            headers: Vec::new(),
            body,
        }
    }
}

/// A running server. The threads end with the test process.
pub struct Web {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Web {
    /// Starts one that answers every request with the result of `answer`.
    pub fn start(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                // A client that closes the connection gets no answer.
                std::thread::spawn(move || serve(connection, &count, answer.as_ref()));
            }
        });
        Self { port, asked }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many requests there were.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(mut tcp: TcpStream, count: &AtomicUsize, answer: &(impl Fn(&Asked) -> Said + ?Sized)) -> Option<()> {
    let mut received = Vec::new();
    let asked = loop {
        let mut buffer = [0; 4096];
        let length = tcp.read(&mut buffer).ok().filter(|length| *length > 0)?;
        received.extend_from_slice(&buffer[..length]);
        if let Some(asked) = parse(&received) {
            break asked;
        }
    };
    count.fetch_add(1, Ordering::SeqCst);
    let Said {
        status,
        headers,
        body,
    } = answer(&asked);
    let mut head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    head.push_str("\r\n");
    tcp.write_all(&[head.as_bytes(), &body].concat()).ok()
}

fn parse(received: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(start) = request.parse(received).ok()? else {
        return None;
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|header| (header.name.to_lowercase(), text(header.value)))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let body = received.get(start..start + length)?.to_vec();
    Some(Asked {
        path: request.path?.to_owned(),
        headers,
        body,
    })
}

/// A document that changes, served with an `ETag`; `None` is 503.
#[derive(Clone, Default)]
pub struct Published(Arc<Mutex<Option<Vec<u8>>>>);

impl Published {
    /// Publishes another one.
    pub fn set(&self, document: impl Into<Option<Vec<u8>>>) {
        *self.0.lock().unwrap() = document.into();
    }

    /// The answer to a request.
    pub fn answer(&self, asked: &Asked) -> Said {
        let Some(document) = self.0.lock().unwrap().clone() else {
            return Said {
                status: "503 Service Unavailable",
                headers: Vec::new(),
                body: Vec::new(),
            };
        };
        let tag = format!("\"{}\"", hex::encode(openssl::sha::sha256(&document)));
        let known = asked
            .headers
            .iter()
            .any(|(name, value)| name == "if-none-match" && *value == tag);
        let headers = vec![format!("ETag: {tag}")];
        if known {
            return Said {
                status: "304 Not Modified",
                headers,
                body: Vec::new(),
            };
        }
        Said {
            headers,
            ..Said::ok(document)
        }
    }
}
