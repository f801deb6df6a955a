//! A client bundle: everything that one user's programs need to authenticate as that user.

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{pkcs12::Pkcs12, pkey::PKey, x509::X509};
use platform::pki::{Issued, Template, Usage};
use reqwest::Url;
use serde_json::json;

use super::{
    IssuingError,
    files::{self, Directory},
};
use crate::clients::setup_script::server_directory;

/// What a bundle contains.
#[derive(Debug, Clone)]
pub struct Bundle<'a> {
    /// The user to whom it belongs.
    pub user: &'a UserName,
    /// The groups that its certificate names, as organisations.
    pub groups: &'a [String],
    /// How many days its certificate is valid.
    pub days: u32,
    /// The URL of the trust server, as clients write it.
    pub url: Option<&'a str>,
    /// The registry, written as in image names.
    pub registry: Option<&'a str>,
    /// The CA that issued the certificates of the trust server and the registry, as PEM.
    pub server_ca: &'a [u8],
}

/// A name that a user can have. It is used as the name of a directory, a certificate, a docker signer and a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it contains characters that are not safe in all of these places, or is reserved.
    pub fn parse(text: &str) -> Result<Self, IssuingError> {
        if text == "anonymous" {
            return Err(IssuingError::Reserved(text.to_owned()));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        // A common name has at most 64 characters (RFC 5280 appendix A, ub-common-name).
        let good = (1..=64).contains(&text.len()) && !text.starts_with(['.', '-']) && text.chars().all(plain);
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| IssuingError::UserName(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks that a name can be used for a group.
///
/// # Errors
/// When it cannot.
pub fn check_group(text: &str) -> Result<(), IssuingError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    let good = (1..=64).contains(&text.len()) && text.chars().all(plain);
    good.then_some(())
        .ok_or_else(|| IssuingError::GroupName(text.to_owned()))
}

/// Checks that a URL is one that docker and notary can use: they fail with a path or a slash at its end.
///
/// # Errors
/// When it is not.
pub fn check_url(text: &str) -> Result<(), IssuingError> {
    let parsed = Url::parse(text).ok();
    let good = parsed.is_some_and(|url| {
        url.scheme() == "https"
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.username().is_empty()
    });
    (good
        && !text.ends_with('/')
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !"'\"\\$`".contains(c)))
    .then_some(())
    .ok_or_else(|| IssuingError::Url(text.to_owned()))
}

/// Checks that a registry is written as in image names.
///
/// # Errors
/// When it is not.
pub fn check_registry(text: &str) -> Result<(), IssuingError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:[]".contains(c);
    (!text.is_empty() && !text.starts_with(['.', '-']) && text.chars().all(plain))
        .then_some(())
        .ok_or_else(|| IssuingError::Registry(text.to_owned()))
}

/// Creates a bundle in `base` below `directory`, or completes the one that is there; prints what it creates.
///
/// Returns the certificate if it is new.
///
/// # Errors
/// When a file cannot be written, or an existing one is damaged.
pub fn make(
    directory: &Directory,
    base: &str,
    authority: &Issued,
    bundle: &Bundle<'_>,
) -> Result<Option<Issued>, IssuingError> {
    let files = Files { directory, base };
    let (own, new) = identity(&files, authority, bundle)?;
    let (certificate, key) = (own.certificate_pem()?, own.key_pem()?);
    files.public("ca.pem", bundle.server_ca)?;
    pkcs12(&files, authority, &own, bundle.user)?;
    // The docker programs recognise files by their names only: *.crt for CAs, X.cert and X.key for a client.
    let docker = |place: &str| {
        files.public(&format!("{place}/ca.crt"), bundle.server_ca)?;
        files.public(&format!("{place}/client.cert"), &certificate)?;
        files.secret(&format!("{place}/client.key"), &key)
    };
    if let Some(url) = bundle.url {
        docker(&format!("docker/tls/{}", server_directory(url)))?;
        let notary = json!({
            "remote_server": {
                "url": url,
                "root_ca": "../ca.pem",
                "tls_client_cert": "../cert.pem",
                "tls_client_key": "../key.pem",
            },
        });
        files.public("notary/config.json", format!("{notary:#}\n").as_bytes())?;
        files.public("env.sh", environment(bundle.user, url).as_bytes())?;
    }
    if let Some(registry) = bundle.registry {
        docker(&format!("certs.d/{registry}"))?;
        // "docker trust sign" names the signer of a new repository after the user that it finds here.
        let login = STANDARD.encode(format!("{}:unused", bundle.user.as_str()));
        let config = json!({"auths": {registry: {"auth": login}}});
        files.public("docker/config.json", format!("{config:#}\n").as_bytes())?;
    }
    Ok(new.then_some(own))
}

/// The files of one bundle.
struct Files<'a> {
    directory: &'a Directory,
    base: &'a str,
}

impl Files<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    fn has(&self, name: &str) -> bool {
        self.directory.has(&self.name(name))
    }

    fn public(&self, name: &str, content: &[u8]) -> Result<(), IssuingError> {
        self.directory.write_new(&self.name(name), content)
    }

    fn secret(&self, name: &str, content: &[u8]) -> Result<(), IssuingError> {
        self.directory.write_secret(&self.name(name), content)
    }

    fn read<T>(&self, name: &str, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, IssuingError> {
        let name = self.name(name);
        parse(&self.directory.read(&name)?).ok_or_else(|| IssuingError::Damaged {
            path: self.directory.path().join(&name),
            reason: "it is not the PEM file that was written here; remove it to have it created again"
                .to_owned(),
        })
    }
}

fn identity(
    files: &Files<'_>,
    authority: &Issued,
    bundle: &Bundle<'_>,
) -> Result<(Issued, bool), IssuingError> {
    let new = !(files.has("cert.pem") && files.has("key.pem"));
    if new {
        let mut template = Template::new(bundle.user.as_str(), Usage::Client, bundle.days);
        template.organisations = bundle.groups.to_vec();
        let issued = authority.issue(&template)?;
        files.secret("key.pem", &issued.key_pem()?)?;
        files.public("cert.pem", &issued.certificate_pem()?)?;
    }
    let own = Issued {
        certificate: files.read("cert.pem", |pem| X509::from_pem(pem).ok())?,
        key: files.read("key.pem", |pem| PKey::private_key_from_pem(pem).ok())?,
    };
    Ok((own, new))
}

/// A PKCS#12 file for browsers, and for curl on macOS. Its password is in a file next to it, because browsers refuse
/// an empty one.
fn pkcs12(files: &Files<'_>, authority: &Issued, own: &Issued, user: &UserName) -> Result<(), IssuingError> {
    if files.has("cert.p12") {
        return Ok(());
    }
    let password = files::random_hex(8)?;
    let mut issuers = openssl::stack::Stack::new()?;
    issuers.push(authority.certificate.clone())?;
    let file = Pkcs12::builder()
        .name(user.as_str())
        .cert(&own.certificate)
        .pkey(&own.key)
        .ca(issuers)
        .build2(&password)?;
    files.secret("p12-password.txt", format!("{password}\n").as_bytes())?;
    files.secret("cert.p12", &file.to_der()?)
}

/// A script to be sourced. It works wherever the bundle is put: bash and zsh know the path of the file they read;
/// other shells must be in its directory.
fn environment(user: &UserName, url: &str) -> String {
    let (user, address) = (user.as_str(), server_directory(url));
    format!(
        "# Makes this shell act as {user}. Source it; in shells other than bash and zsh, from its own directory.\n\
         # docker finds certificate and key in $DOCKER_CONFIG/tls/{address}; to keep your own\n\
         # configuration instead, copy that directory to ~/.docker/tls/ and leave DOCKER_CONFIG alone.\n\
         bundle=$(cd \"$(dirname \"${{BASH_SOURCE:-$0}}\")\" >/dev/null 2>&1 && pwd)\n\
         [ -f \"$bundle/cert.pem\" ] || bundle=$PWD\n\
         COUNTERSIGN_BUNDLE=$bundle\n\
         unset bundle\n\
         export COUNTERSIGN_BUNDLE\n\
         export DOCKER_CONFIG=\"$COUNTERSIGN_BUNDLE/docker\"\n\
         export DOCKER_CONTENT_TRUST_SERVER='{url}'\n\
         notary() {{ command notary -c \"$COUNTERSIGN_BUNDLE/notary/config.json\" -d \"$COUNTERSIGN_BUNDLE/docker/trust\" \"$@\"; }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_wherever_they_are_written() {
        for good in ["alice", "a.b-c_d@example.com"] {
            assert!(UserName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "../mallory",
            ".hidden",
            "-x",
            "a b",
            "a,CN=root",
            "anonymous",
            &"x".repeat(65),
        ] {
            assert!(UserName::parse(bad).is_err(), "{bad}");
        }
        assert!(check_group("system:masters").is_ok() && check_group("a/b").is_err());
        assert!(check_url("https://trust.test:4443").is_ok());
        for bad in [
            "http://trust.test",
            "https://trust.test/",
            "https://trust.test/x",
            "trust.test",
            "https://a'b",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        assert!(check_registry("registry.test:5000").is_ok());
        assert!(check_registry("registry.test/team").is_err() && check_registry("..").is_err());
    }
}
