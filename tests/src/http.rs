//! A bare HTTP/1.1 client: sends exactly the bytes it is given, over TLS with or without a certificate.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslStream, SslVerifyMode, SslVersion,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use serde_json::Value;

use crate::pki::ClientFiles;

/// Longer than any answer takes, also while the disk is busy with other things.
const TIMEOUT: Duration = Duration::from_secs(180);
/// The boundary of the forms made here.
const BOUNDARY: &str = "a-boundary-for-tests";
/// The content type of the forms made here.
pub const FORM: &str = "multipart/form-data; boundary=a-boundary-for-tests";

/// One server, seen by one client.
pub struct Client {
    port: u16,
    context: SslContext,
}

/// A connection that is kept open between requests.
pub struct Open(SslStream<TcpStream>);

impl Open {
    /// Sends a request without a body and reads the answer.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub fn try_ask(&mut self, method: &str, path: &str) -> io::Result<Response> {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        self.0.write_all(head.as_bytes())?;
        Response::read(&mut self.0, Vec::new())
    }

    /// The same, where the connection has to be open still.
    #[track_caller]
    pub fn ask(&mut self, method: &str, path: &str) -> Response {
        self.try_ask(method, path)
            .unwrap_or_else(|cause| panic!("{method} {path} on an open connection: {cause}"))
    }

    /// GET.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path)
    }

    /// POST.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &[u8]) -> Response {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(&[head.as_bytes(), body].concat()).unwrap();
        Response::read(&mut self.0, Vec::new()).unwrap()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The name in the servers' certificates.
const NAME: &str = "localhost";

/// Trusts `files.ca` alone. A `SslConnector` would read all CAs of the system first, which takes longer than most tests.
fn context(files: &ClientFiles, present: bool) -> SslContextBuilder {
    let mut builder = SslContext::builder(SslMethod::tls_client()).unwrap();
    builder.set_verify(SslVerifyMode::PEER);
    // The server, not this client, has to refuse weak certificates and old versions.
    builder.set_cipher_list("DEFAULT:@SECLEVEL=0").unwrap();
    builder.set_ca_file(&files.ca).unwrap();
    if present {
        builder.set_certificate_chain_file(&files.certificate).unwrap();
        builder
            .set_private_key_file(&files.key, SslFiletype::PEM)
            .unwrap();
    }
    builder
}

impl Client {
    /// A client of the server on `port` of this machine, trusting `files.ca`; with `files`' certificate if
    /// `present` says so.
    pub fn new(port: u16, files: &ClientFiles, present: bool) -> Self {
        Self {
            port,
            context: context(files, present).build(),
        }
    }

    /// A client with the certificate of `files` that speaks this version of TLS only.
    pub fn with_version(port: u16, files: &ClientFiles, version: SslVersion) -> Self {
        let mut builder = context(files, true);
        builder.set_min_proto_version(Some(version)).unwrap();
        builder.set_max_proto_version(Some(version)).unwrap();
        Self {
            port,
            context: builder.build(),
        }
    }

    /// The same client, of the server on another port.
    #[must_use]
    pub fn at_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// A connection, after the handshake.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn connect(&self) -> io::Result<SslStream<TcpStream>> {
        self.connect_over(TcpStream::connect(("127.0.0.1", self.port))?)
    }

    /// The same over a TCP connection that is there already.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn connect_over(&self, tcp: TcpStream) -> io::Result<SslStream<TcpStream>> {
        // As in the stock clients; without it every request waits for a delayed acknowledgement.
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(TIMEOUT))?;
        tcp.set_write_timeout(Some(TIMEOUT))?;
        let failed = |cause: &dyn std::fmt::Display| io::Error::other(cause.to_string());
        let mut ssl = Ssl::new(&self.context).map_err(|cause| failed(&cause))?;
        ssl.set_hostname(NAME).map_err(|cause| failed(&cause))?;
        ssl.param_mut().set_host(NAME).map_err(|cause| failed(&cause))?;
        ssl.connect(tcp).map_err(|cause| failed(&cause))
    }

    /// A connection that is kept open between requests.
    pub fn open(&self) -> Open {
        Open(self.connect().unwrap())
    }

    /// Sends `request` as it is and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks before there is a whole answer.
    pub fn raw(&self, request: &[u8]) -> io::Result<Response> {
        Self::raw_over(self.connect()?, request)
    }

    /// The same over a connection that is there already.
    ///
    /// # Errors
    /// When the connection breaks before there is a whole answer.
    pub fn raw_over(mut stream: SslStream<TcpStream>, request: &[u8]) -> io::Result<Response> {
        // The server may answer, and stop reading, before it has read everything.
        let sent = stream.write_all(request);
        let received = Response::read(&mut stream, Vec::new());
        received.map_err(|cause| sent.err().unwrap_or(cause))
    }

    /// Sends `start`, and then `more` again and again until there is an answer, as a client does that reads
    /// while it sends. Also returns how many bytes were sent.
    ///
    /// # Errors
    /// When the connection breaks before there is a whole answer.
    pub fn send_until_answered(&self, start: &[u8], more: &[u8]) -> io::Result<(Response, usize)> {
        let mut stream = self.connect()?;
        stream.write_all(start)?;
        let (mut sent, mut answer, mut buffer) = (start.len(), Vec::new(), [0; 4096]);
        while answer.is_empty() {
            let written = stream.write_all(more);
            stream.get_ref().set_nonblocking(true)?;
            match stream.read(&mut buffer) {
                Ok(received) => answer.extend_from_slice(&buffer[..received]),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => written?,
                Err(cause) => return Err(cause),
            }
            stream.get_ref().set_nonblocking(false)?;
            sent += more.len();
        }
        Ok((Response::read(&mut stream, answer)?, sent))
    }

    /// Sends the first half of `request`, and the rest after `between`.
    ///
    /// # Errors
    /// When the connection breaks before there is a whole answer.
    pub fn raw_in_halves(&self, request: &[u8], between: impl FnOnce()) -> io::Result<Response> {
        let mut stream = self.connect()?;
        let (first, second) = request.split_at(request.len() / 2);
        stream.write_all(first)?;
        between();
        Self::raw_over(stream, second)
    }

    /// A request with a body and headers.
    ///
    /// # Errors
    /// When the connection cannot be had, or breaks before there is a whole answer.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        self.raw(&request_bytes(method, path, headers, body))
    }

    /// The same, where there has to be an answer.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|cause| panic!("{method} {path}: {cause}"))
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], &[])
    }

    /// DELETE.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Response {
        self.request("DELETE", path, &[], &[])
    }

    /// Publishes files to a GUN.
    ///
    /// # Errors
    /// When there is no answer, so that nobody knows whether they were stored.
    pub fn try_publish(&self, gun: &str, files: &[(&str, &[u8])]) -> io::Result<Response> {
        let path = format!("/v2/{gun}/_trust/tuf/");
        self.try_request("POST", &path, &[("Content-Type", FORM)], &form(files))
    }

    /// Publishes files to a GUN.
    #[track_caller]
    pub fn publish(&self, gun: &str, files: &[(&str, &[u8])]) -> Response {
        self.try_publish(gun, files)
            .unwrap_or_else(|cause| panic!("publishing {gun}: {cause}"))
    }
}

/// A request whose connection ends with it.
pub fn request_bytes(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A TCP connection to a port of this machine from a loopback address of the caller's choice.
///
/// # Errors
/// When there are no descriptors left, or nobody listens.
pub fn connection_from(address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    // Keep daemons that other tests start meanwhile from inheriting the socket.
    let flags = SocketFlags::CLOEXEC;
    let descriptor = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&descriptor, &SocketAddr::from((address, 0)))?;
    connect(&descriptor, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(TcpStream::from(descriptor))
}

/// A form as the stock clients send it.
pub fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    if files.is_empty() {
        body.extend_from_slice(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
    body
}

/// The content of a chunked body; `None` if the last chunk has not arrived yet.
fn unchunked(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((start, length)) = httparse::parse_chunk_size(chunks).ok()? else {
            return None;
        };
        let end = start + usize::try_from(length).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunks.get(start..end)?);
        chunks = chunks.get(end + 2..)?;
    }
}

impl Response {
    /// Reads the answer that begins with `answer`, to the end that it announces or to that of the connection.
    fn read(stream: &mut impl Read, mut answer: Vec<u8>) -> io::Result<Self> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let response = Self::parse(&answer);
            let announced = |response: &Self| response.header("content-length")?.parse().ok();
            if let Some(response) = &response
                && announced(response).is_some_and(|length: usize| response.body.len() >= length)
            {
                return Ok(response.clone());
            }
            match (stream.read(&mut buffer), response) {
                (Ok(received @ 1..), _) => answer.extend_from_slice(&buffer[..received]),
                // A child of the test ended meanwhile.
                (Err(cause), _) if cause.kind() == io::ErrorKind::Interrupted => {}
                (_, Some(response)) => return Ok(response),
                (Err(cause), None) => return Err(cause),
                (Ok(_), None) => {
                    return Err(io::Error::other(format!("no answer but {} bytes", answer.len())));
                }
            }
        }
    }

    fn parse(answer: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(start) = response.parse(answer).ok()? else {
            return None;
        };
        let headers: Vec<(String, String)> = response
            .headers
            .iter()
            .map(|header| {
                (
                    header.name.to_ascii_lowercase(),
                    String::from_utf8_lossy(header.value).into_owned(),
                )
            })
            .collect();
        let mut body = answer[start..].to_vec();
        let chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        if chunked {
            body = unchunked(&body)?;
        }
        Some(Self {
            status: response.code?,
            headers,
            body,
        })
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|cause| panic!("{cause}: {}", self.text()))
    }

    /// The one error that the body must hold, after checking the envelope's rules.
    #[track_caller]
    pub fn error(&self) -> Value {
        assert!(
            self.body.len() <= 1024,
            "an error of {} bytes: {}",
            self.body.len(),
            self.text()
        );
        assert_eq!(
            self.header("content-type"),
            Some("application/json; charset=utf-8")
        );
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        assert_eq!(errors.len(), 1, "{}", self.text());
        errors[0].clone()
    }

    /// Checks the status and the code of the error.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let error = self.error();
        assert_eq!(error["code"], code, "{error}");
        error
    }

    /// Checks for a publish refused with `kind` and a message that contains `message`.
    #[track_caller]
    pub fn rejects(&self, kind: &str, message: &str) {
        let error = self.refuses(400, "INVALID_UPDATE");
        assert_eq!(error["detail"]["Name"], kind, "{error}");
        let text = error["detail"]["Error"]["Msg"].as_str().unwrap_or_default();
        assert!(text.contains(message), "no {message:?} in {text:?}");
    }

    /// Checks that the request succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text());
        self
    }
}
