//! The floor: a program that does nothing but what OpenSSL and the kernel have to do for an answer over mutual TLS.

use std::{net::Ipv4Addr, path::PathBuf, pin::Pin};

use openssl::ssl::{
    Ssl, SslAcceptor, SslFiletype, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime,
};
use tokio_openssl::SslStream;

use crate::fault::{Fault, Result};

/// The body of every answer.
pub const BODY: &str = "{}";
/// The most that a request may take here.
const BUFFER: usize = 4096;

/// What the bare acceptor needs.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The port on the loopback interface.
    #[arg(long)]
    pub port: u16,
    /// The certificate, with its chain.
    #[arg(long)]
    pub certificate: PathBuf,
    /// Its key.
    #[arg(long)]
    pub key: PathBuf,
    /// The CA of the clients.
    #[arg(long)]
    pub ca: PathBuf,
}

/// Runs until it is killed.
///
/// # Errors
/// When it cannot start.
pub fn run(options: &Options) -> Result<()> {
    let acceptor = settings(options)?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let answer: &'static str = answer.leak();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        loop {
            let (tcp, _) = listener.accept().await?;
            let acceptor = acceptor.clone();
            // A client that breaks its connection notices it itself.
            tokio::spawn(async move { serve(&acceptor, tcp, answer).await });
        }
    })
}

/// The settings of our server's listeners.
///
/// # Errors
/// When the files cannot be used.
pub fn settings(options: &Options) -> Result<SslAcceptor> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_certificate_chain_file(&options.certificate)?;
    builder.set_private_key_file(&options.key, SslFiletype::PEM)?;
    builder.set_ca_file(&options.ca)?;
    builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
    builder.set_num_tickets(0)?;
    builder.set_session_id_context(b"bench")?;
    Ok(builder.build())
}

async fn serve(acceptor: &SslAcceptor, tcp: TcpStream, answer: &str) -> Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, tcp)?;
    Pin::new(&mut stream).accept().await?;
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        while !buffer.ends_with(b"\r\n\r\n") {
            if buffer.len() >= BUFFER {
                return Err(Fault::new("a request that is too long"));
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        buffer.clear();
        stream.write_all(answer.as_bytes()).await?;
    }
}
