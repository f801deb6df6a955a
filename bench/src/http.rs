//! A light HTTP/1.1 client over mutual TLS. It shares the processors with what it measures, so it copies nothing that it
//! need not, and parses each head once.

use std::{net::Ipv4Addr, pin::Pin};

use openssl::ssl::{SslConnector, SslFiletype, SslMethod};
use tests::ClientFiles;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_openssl::SslStream;

use crate::fault::{Fault, Result};

/// More headers than any of the servers sends.
const HEADERS: usize = 32;
/// The first size of a buffer, enough for most answers.
const BUFFER: usize = 16 * 1024;
/// The end of a head, of a chunk and of its length.
const LINE_END: usize = 2;

/// A server on this machine, as one client sees it.
#[derive(Clone)]
pub struct Target {
    port: u16,
    connector: SslConnector,
}

impl Target {
    /// The server on `port`, for the client with these files.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn new(port: u16, files: &ClientFiles) -> Result<Self> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_ca_file(&files.ca)?;
        builder.set_certificate_chain_file(&files.certificate)?;
        builder.set_private_key_file(&files.key, SslFiletype::PEM)?;
        // One call of the kernel for each answer instead of two.
        builder.set_read_ahead(true);
        Ok(Self {
            port,
            connector: builder.build(),
        })
    }

    /// A connection, after the handshake.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn connect(&self) -> Result<Connection> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        tcp.set_nodelay(true)?;
        let ssl = self.connector.configure()?.into_ssl("localhost")?;
        let mut stream = SslStream::new(ssl, tcp)?;
        Pin::new(&mut stream).connect().await?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(BUFFER),
            unchunked: Vec::new(),
        })
    }
}

/// A connection that may be used for several requests, one after the other.
pub struct Connection {
    stream: SslStream<TcpStream>,
    buffer: Vec<u8>,
    unchunked: Vec<u8>,
}

/// An answer, which lives until the next request.
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
    /// Whether the server closes the connection after it.
    pub closes: bool,
}

impl Answer<'_> {
    /// Checks for status 200.
    ///
    /// # Errors
    /// For every other status; the body says why.
    pub fn ok(&self) -> Result<&[u8]> {
        if self.status == 200 {
            return Ok(self.body);
        }
        let body = String::from_utf8_lossy(self.body.get(..400).unwrap_or(self.body));
        Err(Fault::new(format!("status {}: {body}", self.status)))
    }
}

/// A request without a body.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A publish, as the stock clients send it.
pub fn publish(gun: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let path = format!("/v2/{gun}/_trust/tuf/");
    post(&path, tests::http::FORM, &tests::http::form(files))
}

/// A request with a body.
pub fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// How the end of a body is known.
enum Body {
    Length(usize),
    Chunks,
}

struct Head {
    status: u16,
    length: usize,
    body: Body,
    closes: bool,
}

impl Connection {
    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
        };
        match head.body {
            Body::Length(length) => {
                let end = head.length + length;
                self.buffer.reserve(end.saturating_sub(self.buffer.len()));
                while self.buffer.len() < end {
                    self.read_more().await?;
                }
                Ok(Answer {
                    status: head.status,
                    body: &self.buffer[head.length..end],
                    closes: head.closes,
                })
            }
            Body::Chunks => {
                self.read_chunks(head.length).await?;
                Ok(Answer {
                    status: head.status,
                    body: &self.unchunked,
                    closes: head.closes,
                })
            }
        }
    }

    async fn read_more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(Fault::new("the server closed the connection"));
        }
        Ok(())
    }

    async fn read_chunks(&mut self, mut at: usize) -> Result<()> {
        self.unchunked.clear();
        loop {
            let Ok(httparse::Status::Complete((start, length))) =
                httparse::parse_chunk_size(&self.buffer[at..])
            else {
                self.read_more().await?;
                continue;
            };
            let from = at + start;
            let end = from + usize::try_from(length)?;
            while self.buffer.len() < end + LINE_END {
                self.read_more().await?;
            }
            if length == 0 {
                return Ok(());
            }
            self.unchunked.extend_from_slice(&self.buffer[from..end]);
            at = end + LINE_END;
        }
    }
}

/// The head of an answer; `None` if it has not arrived wholly.
fn head(answer: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(answer)? else {
        return Ok(None);
    };
    let mut head = Head {
        status: response.code.unwrap_or_default(),
        length,
        body: Body::Length(0),
        closes: false,
    };
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            head.body = Body::Length(std::str::from_utf8(header.value)?.parse()?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.body = Body::Chunks;
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(head))
}
