//! What decides about connections and requests: built as a whole from the configuration and its files, and replaced as
//! a whole.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use openssl::{
    ssl::SslAcceptor,
    x509::{X509, X509Ref},
};
use platform::{
    config::ConfigError,
    tls::{ClientCertificate, ClientTrust, IsRevoked, TlsError},
};

use crate::{
    access::{Access, Openness, policy::Policy},
    clock::Clock,
    config::{Config, IdentitySettings, Listener, PolicySettings, ProxyTrust, TokenSettings},
    identity::{
        KnownCertificates,
        password::{PasswordSetUpError, Passwords},
        rules::IdentityRules,
        token::{BundleError, TokenAuth},
    },
    issuing::{IssuingError, own::OwnAuthority},
    registry::Enforcement,
    revocation::{Revocation, SetUpError},
    server_ca::ServerCa,
    tokens::TokenService,
};

/// One set of certificates, client CAs, identity rules and policy. Never changed, only replaced.
pub struct Generation {
    number: u64,
    listeners: Vec<LoadedListener>,
    /// Maps certificates to principals.
    pub identity: IdentityRules,
    /// Which certificates are revoked.
    pub revocation: Arc<Revocation>,
    /// Who may log in with a password; `None` if passwords are not used.
    pub passwords: Option<Arc<Passwords>>,
    /// The token service to which clients without a certificate are sent, if one is configured.
    pub tokens: Option<TokenAuth>,
    /// The token service of this server itself, if it issues tokens.
    pub token_service: Option<TokenService>,
    /// The client CA of this server itself, if it issues certificates.
    pub issuing: Option<Arc<OwnAuthority>>,
    /// The CA that issued the server's certificate.
    pub server_ca: ServerCa,
    /// Who may do what.
    pub access: Access,
    /// The identity rules and the policy as written, for people to read.
    pub written: Written,
    /// Which images have to be signed.
    pub enforcement: Enforcement,
    /// What an operator should know about the configuration file.
    remarks: Vec<String>,
}

/// Rules as the configuration has them.
pub struct Written {
    /// The identity rules; `None` for the built-in ones.
    pub identity: Option<IdentitySettings>,
    /// The policy.
    pub policy: Option<PolicySettings>,
}

/// What connections to one listener are accepted with.
pub struct LoadedListener {
    name: String,
    host_names: Vec<String>,
    acceptor: Option<SslAcceptor>,
    trust: Option<Arc<ClientTrust>>,
    asks: bool,
    takes_passwords: bool,
    proxy_trust: ProxyTrust,
    known: KnownCertificates,
}

/// Why no generation can be built from a configuration.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// The configuration itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The revocation lists or their settings.
    #[error(transparent)]
    Revocation(#[from] SetUpError),
    /// The files of users and groups.
    #[error(transparent)]
    Password(#[from] PasswordSetUpError),
    /// The certificates of the token service to which clients are sent.
    #[error("auth.options.rootcertbundle: {}: {cause}", bundle.display())]
    TokenBundle {
        /// The file.
        bundle: PathBuf,
        /// What is wrong with it.
        cause: BundleError,
    },
    /// The keys of this server's own token service.
    #[error("token_service: {0}")]
    TokenService(TlsError),
    /// The client CA of this server.
    #[error("issuing: {0}")]
    Issuing(#[from] IssuingError),
    /// The files for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Listeners cannot be added, moved or taken away while the server runs.
    #[error("the listener {0} was added or changed; restart the server to change listeners or addresses")]
    Listener(String),
    /// The registry is not replaced while the server runs.
    #[error(
        "registry was added, changed or removed; restart the server to change more of it than registry.enforce"
    )]
    Registry,
    /// A listener was removed, which is not possible while the server runs either.
    #[error("a listener was removed; restart the server to change listeners or addresses")]
    ListenerGone,
}

impl Generation {
    /// Builds a generation, reading all files.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn load(config: &Config, clock: Clock, number: u64) -> Result<Self, GenerationError> {
        let trusts: Vec<Option<Arc<ClientTrust>>> = config
            .listeners
            .iter()
            .map(|listener| Some(&listener.client_cas).filter(|sets| !sets.is_empty()))
            .map(|sets| sets.map(|sets| ClientTrust::load(sets).map(Arc::new)).transpose())
            .collect::<Result<_, TlsError>>()?;
        let issuers = trusts
            .iter()
            .flatten()
            .flat_map(|trust| trust.certificates().cloned());
        let revocation = Arc::new(Revocation::load(&config.revocation, issuers.collect(), clock)?);
        let clients: Vec<&ClientTrust> = trusts.iter().flatten().map(Arc::as_ref).collect();
        let server_ca = ServerCa::load(config, &clients)?;
        let listeners: Vec<LoadedListener> = config
            .listeners
            .iter()
            .zip(trusts)
            .map(|(listener, trust)| {
                let takes_passwords = config
                    .password
                    .as_ref()
                    .is_some_and(|passwords| passwords.taken_at(listener));
                LoadedListener::new(listener, trust, &revocation, takes_passwords)
            })
            .collect::<Result<_, TlsError>>()?;
        let passwords = config.password.as_ref().map(Passwords::load).transpose()?;
        let tokens = config.auth.as_ref().map(token_auth).transpose()?;
        let token_service = config.token_service.as_ref().map(TokenService::load).transpose();
        let token_service = token_service.map_err(GenerationError::TokenService)?;
        let issuing = config.issuing.as_ref().map(OwnAuthority::load).transpose()?;
        let identity = IdentityRules::new(config.identity.clone())?;
        check_pins(config, &identity)?;
        let policy = config.policy.clone().map(Policy::new).transpose()?;
        let demands = config
            .registry
            .as_ref()
            .map(|registry| registry.enforce.as_slice());
        let enforcement = Enforcement::new(demands.unwrap_or_default())?;
        Ok(Self {
            number,
            identity,
            revocation,
            issuing: issuing.map(Arc::new),
            server_ca,
            passwords: passwords.map(Arc::new),
            tokens,
            token_service,
            written: Written {
                identity: config.identity.clone(),
                policy: config.policy.clone(),
            },
            access: Access::new(policy, openness(config, &listeners)),
            enforcement,
            remarks: config.warnings.clone(),
            listeners,
        })
    }

    /// The number of this generation in this process, counting from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The listener at `position` in the configuration.
    pub fn listener(&self, position: usize) -> Option<&LoadedListener> {
        self.listeners.get(position)
    }

    /// The listeners, in the order of the configuration.
    pub fn listeners(&self) -> &[LoadedListener] {
        &self.listeners
    }

    /// Every certificate that may issue client certificates, without duplicates.
    pub fn client_cas(&self) -> impl Iterator<Item = &X509> {
        let mut known: Vec<&X509> = Vec::new();
        for certificate in self
            .listeners
            .iter()
            .filter_map(LoadedListener::trust)
            .flat_map(ClientTrust::certificates)
        {
            if !known.contains(&certificate) {
                known.push(certificate);
            }
        }
        known.into_iter()
    }

    /// For each kind of certificate and list in use: when the first of them expires.
    pub fn expiries(&self) -> Vec<(&'static str, DateTime<Utc>)> {
        let end = |certificate: &X509| {
            ClientCertificate::new(certificate.clone()).map(|described| described.not_after())
        };
        let server = self.server_ca.leaf.as_ref().and_then(end);
        let clients = self.client_cas().filter_map(end).min();
        let lists = self.revocation.nearest_next_update();
        [("server", server), ("client_ca", clients), ("crl", lists)]
            .into_iter()
            .filter_map(|(kind, end)| Some((kind, end?)))
            .collect()
    }

    /// What an operator should know, as sentences.
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .listeners
            .iter()
            .filter_map(LoadedListener::trust)
            .flat_map(|trust| trust.warnings(now))
            .collect();
        warnings.extend(self.revocation.warnings(now));
        warnings.extend(self.remarks.iter().cloned());
        // Listeners share most of their CAs.
        warnings.sort();
        warnings.dedup();
        warnings
    }
}

/// The token service of a configuration, with its certificates read.
///
/// # Errors
/// When they cannot be used.
pub fn token_auth(settings: &TokenSettings) -> Result<TokenAuth, GenerationError> {
    let TokenSettings {
        realm,
        service,
        issuer,
        bundle,
    } = settings.clone();
    TokenAuth::new(realm, service, issuer, &bundle)
        .map_err(|cause| GenerationError::TokenBundle { bundle, cause })
}

fn openness(config: &Config, listeners: &[LoadedListener]) -> Openness {
    let asks = |listener: &LoadedListener| listener.asks() || listener.takes_passwords();
    // What a listener for health asks for decides about nothing else.
    let listeners: Vec<&LoadedListener> = listeners
        .iter()
        .zip(&config.listeners)
        .filter(|(_, configured)| !configured.is_for_health())
        .map(|(loaded, _)| loaded)
        .collect();
    Openness {
        identity_asked_for: listeners.iter().copied().any(asks),
        anonymous_heard: config.auth.is_none() && !listeners.iter().copied().all(asks),
    }
}

/// The names and addresses that a server's certificate is valid for.
pub fn host_names(certificate: &X509Ref) -> Vec<String> {
    let names = certificate.subject_alt_names().into_iter().flatten();
    names
        .filter_map(|name| match (name.dnsname(), name.ipaddress()) {
            (Some(name), _) => Some(name.to_owned()),
            (None, Some(bytes)) => {
                let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
                let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
                address.ok().map(|address| address.to_string())
            }
            (None, None) => None,
        })
        .collect()
}

/// Refuses a rule that names a client CA set which is not configured: it would never match.
fn check_pins(config: &Config, identity: &IdentityRules) -> Result<(), ConfigError> {
    let known: Vec<&str> = config
        .listeners
        .iter()
        .flat_map(|listener| listener.client_cas.iter().map(|set| set.name.as_str()))
        .collect();
    match identity.ca_sets().into_iter().find(|set| !known.contains(set)) {
        Some(unknown) => Err(ConfigError::invalid(
            "identity[].issuer.ca",
            unknown,
            format!("client CA sets of this file: {}", known.join(", ")),
        )),
        None => Ok(()),
    }
}

impl LoadedListener {
    fn new(
        listener: &Listener,
        trust: Option<Arc<ClientTrust>>,
        revocation: &Arc<Revocation>,
        takes_passwords: bool,
    ) -> Result<Self, TlsError> {
        let revocation = Arc::clone(revocation);
        let is_revoked: IsRevoked = Arc::new(move |chain| revocation.is_revoked_by_lists(chain));
        let acceptor = listener
            .tls
            .as_ref()
            .map(|tls| tls.acceptor(trust.as_ref(), Some(is_revoked)))
            .transpose()?;
        let certificate = acceptor
            .as_ref()
            .and_then(|acceptor: &SslAcceptor| acceptor.context().certificate());
        Ok(Self {
            name: listener.name.clone(),
            host_names: certificate.map(host_names).unwrap_or_default(),
            acceptor,
            trust,
            asks: listener.asks(),
            takes_passwords,
            proxy_trust: listener.proxy_trust.clone(),
            known: KnownCertificates::default(),
        })
    }

    /// The listener's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names and addresses that its certificate is valid for; empty for plain HTTP.
    pub fn host_names(&self) -> &[String] {
        &self.host_names
    }

    /// What accepts TLS connections; `None` for plain HTTP.
    pub fn acceptor(&self) -> Option<&SslAcceptor> {
        self.acceptor.as_ref()
    }

    /// The CAs that may issue its clients' certificates.
    pub fn trust(&self) -> Option<&ClientTrust> {
        self.trust.as_deref()
    }

    /// Whether clients are asked for a certificate, in the handshake or by a proxy.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// Which proxies are trusted about a connection or its client's certificate.
    pub fn proxy_trust(&self) -> &ProxyTrust {
        &self.proxy_trust
    }

    /// The certificates that its client CAs verified before.
    pub fn known(&self) -> &KnownCertificates {
        &self.known
    }

    /// Whether this listener accepts user names and passwords.
    pub fn takes_passwords(&self) -> bool {
        self.takes_passwords
    }
}

/// Every file that a generation of this configuration is built from, except the configuration file.
pub fn files(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = config
        .listeners
        .iter()
        .flat_map(|listener| {
            let tls = listener.tls.iter();
            let pairs = tls.flat_map(|tls| [tls.certificate.clone(), tls.key.clone()]);
            let cas = listener
                .client_cas
                .iter()
                .filter_map(|set| set.source.file().cloned());
            pairs.chain(cas).collect::<Vec<_>>()
        })
        .collect();
    files.extend(config.public.ca.iter().filter_map(|ca| ca.file().cloned()));
    files.extend(Revocation::files(&config.revocation));
    if let Some(passwords) = &config.password {
        files.push(passwords.file.clone());
        files.extend(passwords.groups.clone());
    }
    files.extend(config.auth.iter().map(|auth| auth.bundle.clone()));
    let token_service = config.token_service.iter();
    files.extend(token_service.flat_map(|service| service.files().cloned()));
    if let Some(issuing) = &config.issuing {
        files.extend(["ca.pem", "ca-key.pem"].map(|name| issuing.directory.join(name)));
        files.extend(issuing.passphrase_file.clone());
    }
    files.sort();
    files.dedup();
    files
}
