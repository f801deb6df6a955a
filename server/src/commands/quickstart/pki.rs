//! Creates the certificates of both daemons.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use platform::pki::{Issued, Template, Usage};

use crate::issuing::{CERTIFICATE_DAYS, IssuingError, files::Directory};

/// The name in the certificate by which the signer recognises the server.
pub(super) const SERVER_TO_SIGNER: &str = "countersign-server";
/// Creates the certificates of the server and the signer, and the server's client certificate for the signer.
pub(super) fn daemons(
    directory: &Directory,
    authority: &Issued,
    host: &str,
    listen: IpAddr,
) -> Result<(), IssuingError> {
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
) -> Result<(), IssuingError> {
    let (certificate, key) = (format!("{name}.pem"), format!("{name}-key.pem"));
    if directory.has(&certificate) && directory.has(&key) {
        return Ok(());
    }
    let issued = authority.issue(template)?;
    directory.write_secret(&key, &issued.key_pem()?)?;
    directory.write_new(&certificate, &issued.certificate_pem()?)
}
