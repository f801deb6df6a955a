//! A client bundle: everything one user's programs need to be that user.

use openssl::{pkcs12::Pkcs12, pkey::PKey, x509::X509};
use platform::pki::Issued;
use serde_json::json;

use super::{
    QuickstartError,
    files::{self, Directory},
    pki,
};

/// Makes the bundle of a user, for a server that is reached at `address` (`host:port`).
pub(super) fn make(
    directory: &Directory,
    authority: &Issued,
    user: &str,
    address: &str,
) -> Result<(), QuickstartError> {
    let base = format!("users/{user}");
    let own = identity(directory, authority, user, &base)?;
    let (ca, certificate, key) = (
        authority.certificate_pem()?,
        own.certificate_pem()?,
        own.key_pem()?,
    );
    directory.write_new(&format!("{base}/ca.pem"), &ca)?;
    pkcs12(directory, authority, &own, user, &base)?;
    // The docker CLI takes *.crt for CAs and X.cert with X.key for a client's pair, by these names alone.
    let tls = format!("{base}/docker/tls/{address}");
    directory.write_new(&format!("{tls}/ca.crt"), &ca)?;
    directory.write_new(&format!("{tls}/client.cert"), &certificate)?;
    directory.write_secret(&format!("{tls}/client.key"), &key)?;
    let notary = json!({
        "trust_dir": format!("{}/{base}/notary/trust", directory.path().display()),
        "remote_server": {
            "url": format!("https://{address}"),
            "root_ca": "../ca.pem",
            "tls_client_cert": "../cert.pem",
            "tls_client_key": "../key.pem",
        },
    });
    directory.write_new(
        &format!("{base}/notary/config.json"),
        format!("{notary:#}\n").as_bytes(),
    )?;
    directory.write_new(
        &format!("{base}/env.sh"),
        environment(directory, user, &base, address).as_bytes(),
    )
}

fn identity(
    directory: &Directory,
    authority: &Issued,
    user: &str,
    base: &str,
) -> Result<Issued, QuickstartError> {
    let (certificate, key) = (format!("{base}/cert.pem"), format!("{base}/key.pem"));
    if !(directory.has(&certificate) && directory.has(&key)) {
        let issued = pki::user(authority, user)?;
        directory.write_secret(&key, &issued.key_pem()?)?;
        directory.write_new(&certificate, &issued.certificate_pem()?)?;
    }
    let damaged = |name: &str| QuickstartError::Damaged {
        path: directory.path().join(name),
        reason: "it is not the PEM file that was written here".to_owned(),
    };
    Ok(Issued {
        certificate: X509::from_pem(&directory.read(&certificate)?).map_err(|_| damaged(&certificate))?,
        key: PKey::private_key_from_pem(&directory.read(&key)?).map_err(|_| damaged(&key))?,
    })
}

/// For browsers, and for curl on macOS. Its password is beside it: browsers refuse an empty one.
fn pkcs12(
    directory: &Directory,
    authority: &Issued,
    own: &Issued,
    user: &str,
    base: &str,
) -> Result<(), QuickstartError> {
    let name = format!("{base}/cert.p12");
    if directory.has(&name) {
        return Ok(());
    }
    let password = files::random_hex(8)?;
    let mut issuers = openssl::stack::Stack::new()?;
    issuers.push(authority.certificate.clone())?;
    let file = Pkcs12::builder()
        .name(user)
        .cert(&own.certificate)
        .pkey(&own.key)
        .ca(issuers)
        .build2(&password)?;
    directory.write_secret(
        &format!("{base}/cert.p12.password"),
        format!("{password}\n").as_bytes(),
    )?;
    directory.write_secret(&name, &file.to_der()?)
}

fn environment(directory: &Directory, user: &str, base: &str, address: &str) -> String {
    let bundle = format!("{}/{base}", directory.path().display());
    format!(
        "# Makes this shell {user}'s: source it.\n\
         # docker finds certificate and key in $DOCKER_CONFIG/tls/{address}; to keep your own\n\
         # configuration instead, copy that directory to ~/.docker/tls/ and leave DOCKER_CONFIG alone.\n\
         export DOCKER_CONFIG='{bundle}/docker'\n\
         export DOCKER_CONTENT_TRUST_SERVER='https://{address}'\n\
         notary() {{ command notary -c '{bundle}/notary/config.json' \"$@\"; }}\n"
    )
}
