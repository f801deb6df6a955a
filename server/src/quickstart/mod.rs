//! `quickstart`: a development PKI, both configurations and client bundles, ready to start.

mod bundle;
mod files;
mod pki;

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use files::Directory;

/// The ports of the Notary programs.
const SERVER_PORT: u16 = 4443;
const SIGNER_PORT: u16 = 7899;
/// The alias that Notary's own examples use for the signer's passphrase.
const PASSPHRASE_ALIAS: &str = "timestamp_1";

/// Why the quickstart gave up.
#[derive(Debug, thiserror::Error)]
pub enum QuickstartError {
    /// A file or directory cannot be made or read.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A file of an earlier run is not what it should be.
    #[error("{}: {reason}; remove it to have it made anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// OpenSSL refuses.
    #[error("OpenSSL: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// There is no port to listen on.
    #[error("no free port from {0} upwards")]
    NoPort(u16),
    /// A user's name cannot be a directory's name.
    #[error("\"{0}\" cannot be a user's name: use letters, digits, dots, dashes and underscores")]
    UserName(String),
}

/// What to make.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The directory to make everything in.
    #[arg(long, default_value = "countersign")]
    dir: PathBuf,
    /// The name under which clients reach the server; its certificate also covers localhost.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// The server's port [default: 4443, or the next free one]
    #[arg(long)]
    server_port: Option<u16>,
    /// The signer's port [default: 7899, or the next free one]
    #[arg(long)]
    signer_port: Option<u16>,
    /// A user to make a client bundle for; may be given several times.
    #[arg(long = "user", default_values = ["alice", "bob"])]
    users: Vec<String>,
}

/// Makes what is not there yet and says so; what is there is left alone.
///
/// # Errors
/// When a file cannot be made, or one of an earlier run is damaged.
pub fn run(options: &Options) -> Result<(), QuickstartError> {
    for user in &options.users {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if user.is_empty() || user.starts_with('.') || !user.chars().all(plain) {
            return Err(QuickstartError::UserName(user.clone()));
        }
    }
    let directory = Directory::make(&options.dir)?;
    let authority = pki::authority(&directory)?;
    pki::daemons(&directory, &authority, &options.host, options.listen)?;
    let ports = ports(&directory, options)?;
    configure(&directory, options, ports)?;
    let address = format!("{}:{}", options.host, ports.server);
    for user in &options.users {
        bundle::make(&directory, &authority, user, &address)?;
    }
    print_next_steps(directory.path(), &address, &options.users);
    Ok(())
}

#[derive(Clone, Copy)]
struct Ports {
    server: u16,
    signer: u16,
}

/// The ports of an earlier run, or those asked for, or the first free ones.
fn ports(directory: &Directory, options: &Options) -> Result<Ports, QuickstartError> {
    let written = |file: &str, key: &str| -> Option<u16> {
        let config: Value = serde_json::from_slice(&directory.read(file).ok()?).ok()?;
        config["server"][key].as_str()?.rsplit_once(':')?.1.parse().ok()
    };
    let choose = |written: Option<u16>, asked: Option<u16>, usual: u16, taken: u16| match written.or(asked) {
        Some(port) => Ok(port),
        None => (usual..=u16::MAX)
            .find(|port| *port != taken && TcpListener::bind((options.listen, *port)).is_ok())
            .ok_or(QuickstartError::NoPort(usual)),
    };
    let server = choose(
        written(SERVER_CONFIG, "http_addr"),
        options.server_port,
        SERVER_PORT,
        0,
    )?;
    let signer = choose(
        written(SIGNER_CONFIG, "grpc_addr"),
        options.signer_port,
        SIGNER_PORT,
        server,
    )?;
    Ok(Ports { server, signer })
}

const SERVER_CONFIG: &str = "server/config.json";
const SIGNER_CONFIG: &str = "signer/config.json";

fn configure(directory: &Directory, options: &Options, ports: Ports) -> Result<(), QuickstartError> {
    let listen = |port: u16| std::net::SocketAddr::new(options.listen, port).to_string();
    directory.write_new(
        SERVER_CONFIG,
        &pretty(&json!({
            "server": {
                "http_addr": listen(ports.server),
                "tls_cert_file": "../pki/server.pem",
                "tls_key_file": "../pki/server-key.pem",
                "client_ca_file": "../pki/ca.pem",
            },
            // "request" answers a client without a good certificate with a reason instead of a TLS alert.
            "tls": {"client_auth": "request"},
            "trust_service": {
                "type": "remote",
                "hostname": "localhost",
                "port": ports.signer,
                "key_algorithm": "ecdsa",
                "tls_ca_file": "../pki/ca.pem",
                "tls_client_cert": "../pki/server-to-signer.pem",
                "tls_client_key": "../pki/server-to-signer-key.pem",
            },
            "storage": {"backend": "sqlite3", "db_url": "metadata.db"},
            "logging": {"level": "info"},
        })),
    )?;
    directory.write_new(
        SIGNER_CONFIG,
        &pretty(&json!({
            "server": {
                "grpc_addr": listen(ports.signer),
                "tls_cert_file": "../pki/signer.pem",
                "tls_key_file": "../pki/signer-key.pem",
                "client_ca_file": "../pki/ca.pem",
                "allowed_clients": [pki::SERVER_TO_SIGNER],
            },
            "storage": {"backend": "sqlite3", "db_url": "keys.db", "default_alias": PASSPHRASE_ALIAS},
            "logging": {"level": "info"},
        })),
    )?;
    let variable = format!("NOTARY_SIGNER_{}", PASSPHRASE_ALIAS.to_uppercase());
    let passphrase = files::random_hex(32)?;
    let environment = format!(
        "# The passphrase that the signer's private keys are sealed with. Without it they are lost.\n\
         export {variable}={passphrase}\n"
    );
    directory.write_secret("signer/env.sh", environment.as_bytes())
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn print_next_steps(directory: &Path, address: &str, users: &[String]) {
    let directory = directory.display();
    let user = users.first().map_or("alice", String::as_str);
    println!(
        "\nStart the signer, then the server:\n\
         \n  . {directory}/signer/env.sh && countersign-signer --config {directory}/signer/config.json &\
         \n  countersign-server --config {directory}/server/config.json &\n\
         \nBe {user}, and sign something:\n\
         \n  . {directory}/users/{user}/env.sh\
         \n  notary init example.com/{user}/app --publish\
         \n  curl --cacert {directory}/users/{user}/ca.pem --cert {directory}/users/{user}/cert.pem \
         --key {directory}/users/{user}/key.pem https://{address}/v2/\n"
    );
}
