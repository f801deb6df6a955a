//! Certificates for tests: good ones and every kind of bad one, made anew for each test.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use platform::pki::{Issued, KeyKind, Template, Usage};

/// The names of the files of one client.
#[derive(Debug, Clone)]
pub struct ClientFiles {
    /// The CA that issued the server's certificate.
    pub ca: PathBuf,
    /// The client's certificate, with its chain.
    pub certificate: PathBuf,
    /// The client's key.
    pub key: PathBuf,
}

/// A CA and what it issues, in a directory.
#[derive(Clone)]
pub struct TestPki {
    directory: PathBuf,
    authority: Issued,
}

const DAY: i64 = 86_400;

/// Valid since a month ago, so that servers can be run in the past.
fn template(name: &str, usage: Usage) -> Template {
    let mut template = Template::new(name, usage, 30);
    template.validity.0 = -30 * DAY;
    template
}

impl TestPki {
    /// A new CA.
    pub fn new(directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        let authority = Issued::self_signed(&template("Test CA", Usage::Authority)).unwrap();
        fs::write(directory.join("ca.pem"), authority.certificate_pem().unwrap()).unwrap();
        Self {
            directory: directory.to_path_buf(),
            authority,
        }
    }

    /// The same CA, with files in another directory.
    #[must_use]
    pub fn copied_to(&self, directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        fs::copy(self.ca(), directory.join("ca.pem")).unwrap();
        Self {
            directory: directory.to_path_buf(),
            authority: self.authority.clone(),
        }
    }

    /// The CA's certificate file.
    pub fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The CA itself.
    pub fn authority(&self) -> &Issued {
        &self.authority
    }

    /// A certificate for a daemon on this machine, reached under `names` too.
    pub fn daemon(&self, name: &str, names: &[&str], addresses: &[IpAddr]) -> ClientFiles {
        let mut wanted = template(name, Usage::ServerAndClient);
        wanted.dns = vec!["localhost".into()];
        wanted.dns.extend(names.iter().map(|name| (*name).to_owned()));
        wanted.addresses = vec![Ipv4Addr::LOCALHOST.into()];
        wanted.addresses.extend(addresses);
        self.client(name, &wanted)
    }

    /// A certificate for a daemon that is reached under this name alone.
    pub fn daemon_called(&self, name: &str) -> ClientFiles {
        let mut wanted = template(name, Usage::Server);
        wanted.dns = vec![name.into()];
        self.client(name, &wanted)
    }

    /// A user's certificate.
    pub fn user(&self, name: &str) -> ClientFiles {
        self.client(name, &template(name, Usage::Client))
    }

    /// A certificate from this CA with anything in it, in files called `name`.
    pub fn client(&self, name: &str, template: &Template) -> ClientFiles {
        self.write(name, &self.authority.issue(template).unwrap(), &[])
    }

    /// A certificate that has expired.
    pub fn expired(&self) -> ClientFiles {
        let mut template = Template::new("expired", Usage::Client, 1);
        template.validity = (-2 * DAY, -DAY);
        self.client("expired", &template)
    }

    /// A certificate that is not valid yet.
    pub fn not_yet_valid(&self) -> ClientFiles {
        let mut template = Template::new("early", Usage::Client, 1);
        template.validity = (DAY, 2 * DAY);
        self.client("early", &template)
    }

    /// A certificate for servers only.
    pub fn server_only(&self) -> ClientFiles {
        self.client("server-only", &template("server-only", Usage::Server))
    }

    /// A certificate with a key of another kind.
    pub fn with_key(&self, name: &str, key: KeyKind) -> ClientFiles {
        let mut wanted = template(name, Usage::Client);
        wanted.key = key;
        self.client(name, &wanted)
    }

    /// A certificate from a CA of the same name that no server trusts.
    pub fn stranger(&self, name: &str) -> ClientFiles {
        let unknown = Issued::self_signed(&template("Test CA", Usage::Authority)).unwrap();
        let issued = unknown.issue(&template(name, Usage::Client)).unwrap();
        fs::write(self.stranger_ca(), unknown.certificate_pem().unwrap()).unwrap();
        self.write(&format!("stranger-{name}"), &issued, &[])
    }

    /// The certificate of the last stranger's CA.
    pub fn stranger_ca(&self) -> PathBuf {
        self.directory.join("stranger-ca.pem")
    }

    /// A certificate from an intermediate CA; with its chain in the file, or without.
    pub fn behind_intermediate(&self, name: &str, with_chain: bool) -> ClientFiles {
        let intermediate = self
            .authority
            .issue(&template("Test intermediate", Usage::Authority))
            .unwrap();
        fs::write(
            self.directory.join("intermediate.pem"),
            intermediate.certificate_pem().unwrap(),
        )
        .unwrap();
        let issued = intermediate.issue(&template(name, Usage::Client)).unwrap();
        let chain = if with_chain { vec![intermediate] } else { vec![] };
        self.write(name, &issued, &chain)
    }

    /// The certificate of the intermediate CA, once there is one.
    pub fn intermediate(&self) -> PathBuf {
        self.directory.join("intermediate.pem")
    }

    fn write(&self, name: &str, issued: &Issued, chain: &[Issued]) -> ClientFiles {
        let files = ClientFiles {
            ca: self.ca(),
            certificate: self.directory.join(format!("{name}.pem")),
            key: self.directory.join(format!("{name}-key.pem")),
        };
        let mut pem = issued.certificate_pem().unwrap();
        for issuer in chain {
            pem.extend(issuer.certificate_pem().unwrap());
        }
        fs::write(&files.certificate, pem).unwrap();
        fs::write(&files.key, issued.key_pem().unwrap()).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }
}
