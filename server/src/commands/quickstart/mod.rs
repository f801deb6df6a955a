//! `quickstart`: creates a development PKI, both configurations and client bundles, ready to use.

mod pki;
mod registry;

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::issuing::{
    AUTHORITY_DAYS, CERTIFICATE_DAYS, IssuingError, authority,
    bundle::{self, Bundle, UserName},
    files::{self, Directory},
};

/// The ports of the Notary programs.
const SERVER_PORT: u16 = 4443;
const SIGNER_PORT: u16 = 7899;
/// The usual port of a registry.
const REGISTRY_PORT: u16 = 5000;
/// The name of the CA.
const AUTHORITY: &str = "Countersign development CA";
/// The alias that Notary's own examples use for the signer's passphrase.
const PASSPHRASE_ALIAS: &str = "timestamp_1";

/// Why the quickstart failed.
#[derive(Debug, thiserror::Error)]
pub enum QuickstartError {
    /// A file cannot be written, or a certificate cannot be issued.
    #[error(transparent)]
    Issuing(#[from] IssuingError),
    /// There is no free port.
    #[error("no free port from {0} upwards")]
    NoPort(u16),
}

/// The options of `quickstart`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The directory in which everything is created.
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
    /// Stand before a registry: also make the configuration of Debian's docker-registry, and let only signed images leave.
    #[arg(long)]
    registry: bool,
    /// With --registry: the registry's port on this machine [default: 5000, or the next free one]
    #[arg(long, requires = "registry")]
    registry_port: Option<u16>,
    /// A user for whom a client bundle is created; may be given several times.
    #[arg(long = "user", default_values = ["alice", "bob"])]
    users: Vec<String>,
}

/// Creates what does not exist yet and prints that; existing files are left alone.
///
/// # Errors
/// When a file cannot be written, or one of an earlier run is damaged.
pub fn run(options: &Options) -> Result<(), QuickstartError> {
    let users: Vec<UserName> = options
        .users
        .iter()
        .map(|user| UserName::parse(user))
        .collect::<Result<_, _>>()?;
    let directory = Directory::make(&options.dir)?;
    // Next to the daemons' certificates: one CA is enough for a start.
    let authorities = Directory::make(&directory.path().join("pki"))?;
    let authority = authority::init(&authorities, AUTHORITY, AUTHORITY_DAYS, None)?;
    pki::daemons(&directory, &authority, &options.host, options.listen)?;
    let ports = ports(&directory, options)?;
    configure(&directory, options, ports)?;
    let address = format!("{}:{}", options.host, ports.server);
    let url = format!("https://{address}");
    let server_ca = authority.certificate_pem().map_err(IssuingError::from)?;
    for user in &users {
        let wanted = Bundle {
            user,
            groups: &[],
            days: CERTIFICATE_DAYS,
            url: Some(&url),
            registry: options.registry.then_some(address.as_str()),
            server_ca: &server_ca,
        };
        bundle::make(
            &directory,
            &format!("users/{}", user.as_str()),
            &authority,
            &wanted,
        )?;
    }
    match options.registry {
        true => registry::print_next_steps(directory.path(), &address, &options.users),
        false => print_next_steps(directory.path(), &address, &options.users),
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Ports {
    server: u16,
    signer: u16,
    /// Of the registry; not used without one.
    registry: u16,
}

/// The ports of an earlier run, or those on the command line, or the first free ones.
fn ports(directory: &Directory, options: &Options) -> Result<Ports, QuickstartError> {
    let written = |file: &str, key: [&str; 2]| -> Option<u16> {
        let config: Value = serde_json::from_slice(&directory.read(file).ok()?).ok()?;
        let [section, key] = key;
        config[section][key].as_str()?.rsplit_once(':')?.1.parse().ok()
    };
    let choose = |written: Option<u16>, asked: Option<u16>, usual: u16, taken: &[u16]| match written.or(asked)
    {
        Some(port) => Ok(port),
        None => (usual..=u16::MAX)
            .find(|port| !taken.contains(port) && TcpListener::bind((options.listen, *port)).is_ok())
            .ok_or(QuickstartError::NoPort(usual)),
    };
    let server = choose(
        written(SERVER_CONFIG, ["server", "http_addr"]),
        options.server_port,
        SERVER_PORT,
        &[],
    )?;
    let signer = choose(
        written(SIGNER_CONFIG, ["server", "grpc_addr"]),
        options.signer_port,
        SIGNER_PORT,
        &[server],
    )?;
    let registry = match options.registry {
        true => choose(
            written(SERVER_CONFIG, ["registry", "upstream"]),
            options.registry_port,
            REGISTRY_PORT,
            &[server, signer],
        )?,
        false => 0,
    };
    Ok(Ports {
        server,
        signer,
        registry,
    })
}

const SERVER_CONFIG: &str = "server/config.json";
const SIGNER_CONFIG: &str = "signer/config.json";

fn configure(directory: &Directory, options: &Options, ports: Ports) -> Result<(), QuickstartError> {
    let listen = |port: u16| std::net::SocketAddr::new(options.listen, port).to_string();
    let mut server = json!({
        "server": {
            "http_addr": listen(ports.server),
            "tls_cert_file": "../pki/server.pem",
            "tls_key_file": "../pki/server-key.pem",
            "client_ca_file": "../pki/ca.pem",
        },
        // "request" answers a client without a valid certificate with a reason instead of a TLS alert.
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
        // The page "Audit" shows from it what was refused, and why.
        "audit": {"sinks": ["file:audit.json"], "reads": false},
    });
    if options.registry {
        registry::configure(directory, &mut server, &options.host, ports)?;
    }
    directory.write_new(SERVER_CONFIG, &pretty(&server))?;
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
        "# The passphrase that encrypts the signer's private keys. Without it they are lost.\n\
         export {variable}={passphrase}\n"
    );
    directory.write_secret("signer/env.sh", environment.as_bytes())?;
    Ok(())
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn print_next_steps(directory: &Path, address: &str, users: &[String]) {
    let directory = directory.display();
    let user = users.first().map_or("alice", String::as_str);
    platform::say!(
        "\nStart the signer, then the server:\n\
         \n  . {directory}/signer/env.sh && countersign-signer --config {directory}/signer/config.json &\
         \n  countersign-server --config {directory}/server/config.json &\n\
         \nAct as {user}, and sign something:\n\
         \n  . {directory}/users/{user}/env.sh\
         \n  notary init example.com/{user}/app --publish\
         \n  curl --cacert {directory}/users/{user}/ca.pem --cert {directory}/users/{user}/cert.pem \
         --key {directory}/users/{user}/key.pem https://{address}/v2/\n"
    );
}
