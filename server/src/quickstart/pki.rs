//! The development CA and the certificates of both daemons.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use openssl::{pkey::PKey, x509::X509};
use platform::pki::{Issued, Template, Usage};

use super::{QuickstartError, files::Directory};

/// The name by which the signer knows the server.
pub(super) const SERVER_TO_SIGNER: &str = "countersign-server";
/// Ten years for the CA, in days.
const AUTHORITY_DAYS: u32 = 3650;
/// A little over a year for everything else, in days: the longest that common clients accept.
const CERTIFICATE_DAYS: u32 = 397;

/// The CA, made on the first run.
pub(super) fn authority(directory: &Directory) -> Result<Issued, QuickstartError> {
    let (certificate, key) = ("pki/ca.pem", "pki/ca-key.pem");
    if !directory.has(certificate) {
        let made = Issued::self_signed(&Template::new(
            "Countersign development CA",
            Usage::Authority,
            AUTHORITY_DAYS,
        ))?;
        directory.write_secret(key, &made.key_pem()?)?;
        directory.write_new(certificate, &made.certificate_pem()?)?;
    }
    let damaged = |name: &str| QuickstartError::Damaged {
        path: directory.path().join(name),
        reason: "it is not the PEM file that was written here".to_owned(),
    };
    Ok(Issued {
        certificate: X509::from_pem(&directory.read(certificate)?).map_err(|_| damaged(certificate))?,
        key: PKey::private_key_from_pem(&directory.read(key)?).map_err(|_| damaged(key))?,
    })
}

/// The certificates of the server, the signer, and of the server towards the signer.
pub(super) fn daemons(
    directory: &Directory,
    authority: &Issued,
    host: &str,
    listen: IpAddr,
) -> Result<(), QuickstartError> {
    let mut server = Template::new(host, Usage::Server, CERTIFICATE_DAYS);
    server.addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    server.dns = vec!["localhost".to_owned()];
    match host.parse::<IpAddr>() {
        Ok(address) if !server.addresses.contains(&address) => server.addresses.push(address),
        Err(_) if host != "localhost" => server.dns.push(host.to_owned()),
        _ => {}
    }
    if !listen.is_unspecified() && !server.addresses.contains(&listen) {
        server.addresses.push(listen);
    }
    pair(directory, authority, "pki/server", &server)?;
    let mut signer = Template::new("countersign-signer", Usage::Server, CERTIFICATE_DAYS);
    signer.dns = vec!["localhost".to_owned()];
    pair(directory, authority, "pki/signer", &signer)?;
    let client = Template::new(SERVER_TO_SIGNER, Usage::Client, CERTIFICATE_DAYS);
    pair(directory, authority, "pki/server-to-signer", &client)
}

fn pair(
    directory: &Directory,
    authority: &Issued,
    name: &str,
    template: &Template,
) -> Result<(), QuickstartError> {
    let (certificate, key) = (format!("{name}.pem"), format!("{name}-key.pem"));
    if directory.has(&certificate) && directory.has(&key) {
        return Ok(());
    }
    let issued = authority.issue(template)?;
    directory.write_secret(&key, &issued.key_pem()?)?;
    directory.write_new(&certificate, &issued.certificate_pem()?)
}

/// A user's certificate and key.
pub(super) fn user(authority: &Issued, name: &str) -> Result<Issued, QuickstartError> {
    Ok(authority.issue(&Template::new(name, Usage::Client, CERTIFICATE_DAYS))?)
}
