//! Whether a certificate that a CA vouches for has been withdrawn: by a list of our own, by the CA's list
//! (CRL, RFC 5280 section 5), or by the CA's answer (OCSP, RFC 6960).

mod crl;
mod crl_set;
mod deny;
mod fetch;
mod ocsp;

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use openssl::x509::{X509, X509Ref};
use platform::config::ConfigError;

pub use crate::store::DeniedSubject as Subject;
pub use crl_set::CrlError;
pub use deny::{DenyError, DenyList, certificate_subjects, normal_issuer, normal_serial, subjects};
pub use fetch::{FetchedList, ListSource, client as fetch_client};

use crate::{
    clock::Clock,
    config::{CrlSettings, Depth, FailPolicy, RevocationSettings},
};
use crl_set::CrlSet;
use ocsp::Responders;

/// What a request does, for the choice between failing open and failing closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It changes nothing.
    Read,
    /// It changes something.
    Write,
}

/// What is known about a certificate that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where the knowledge is from: `none` when nothing is configured.
    pub source: &'static str,
    /// When the source says anew.
    pub next_update: Option<DateTime<Utc>>,
    /// Why nothing is known, where that is forgiven.
    pub fail_open: Option<String>,
}

/// Why a certificate must not be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// It was withdrawn.
    #[error("certificate revoked ({source_name})")]
    Revoked {
        /// By what: `deny list`, `CRL`, `OCSP`.
        source_name: &'static str,
    },
    /// Nothing that withdraws certificates could name it.
    #[error("whether it was revoked cannot be told: {0}")]
    CannotBeTold(String),
    /// No list of its issuer is there.
    #[error("no certificate revocation list of {0} is at hand")]
    CrlMissing(String),
    /// Lists of its issuer are there, none of them about it.
    #[error("the certificate revocation lists of {0} at hand are about other certificates (another scope)")]
    CrlOfOthers(String),
    /// The list of its issuer is out of date.
    #[error("the certificate revocation list of {0} is out of date")]
    CrlExpired(String),
    /// The responder gave no answer that can be used.
    #[error("no revocation status from the OCSP responder: {0}")]
    OcspUnavailable(String),
}

impl RevocationError {
    /// For what is on a list of our own.
    pub fn denied() -> Self {
        Self::Revoked {
            source_name: "deny list",
        }
    }

    /// For a certificate whose serial number no entry or list may hold.
    pub(crate) fn unnamed_serial() -> Self {
        Self::CannotBeTold("its serial number is negative or zero (RFC 5280 section 4.1.2.2)".into())
    }

    /// The reason as answers and logs carry it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Revoked { .. } => "certificate_revoked",
            Self::CannotBeTold(_) => "revocation_cannot_be_told",
            Self::CrlMissing(_) => "crl_missing",
            Self::CrlOfOthers(_) => "crl_of_other_scope",
            Self::CrlExpired(_) => "crl_expired",
            Self::OcspUnavailable(_) => "ocsp_unavailable",
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Revoked { .. } => "ask for a new certificate",
            Self::CannotBeTold(_) => "ask for a certificate with a positive serial number",
            Self::CrlOfOthers(_) => {
                "tell whoever runs this server to fetch the CA's other lists too: those at hand are about other sorts of \
                 certificates, or of other distribution points"
            }
            Self::CrlMissing(_) | Self::CrlExpired(_) => {
                "tell whoever runs this server to fetch the CA's current revocation list"
            }
            Self::OcspUnavailable(_) => "try again; if it persists, tell whoever runs this server",
        }
    }
}

/// Why revocation cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A list of ours.
    #[error(transparent)]
    Deny(#[from] DenyError),
    /// A list of a CA.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// The client for OCSP.
    #[error("revocation.ocsp: {0}")]
    Ocsp(String),
}

/// Everything that is configured about revocation, its lists read.
pub struct Revocation {
    settings: RevocationSettings,
    clock: Clock,
    deny: DenyList,
    crls: ArcSwap<CrlSet>,
    responders: Option<Responders>,
    /// The certificates that may have signed lists.
    issuers: Vec<X509>,
}

impl Revocation {
    /// Reads the lists. `issuers` are the configured client CAs.
    ///
    /// # Errors
    /// When a list cannot be read, or is not signed by the CA that it names.
    pub fn load(settings: &RevocationSettings, issuers: Vec<X509>, clock: Clock) -> Result<Self, SetUpError> {
        let deny = match &settings.deny_list {
            Some(path) => DenyList::read(path)?,
            None => DenyList::default(),
        };
        let crls = match &settings.crl {
            Some(crl) => CrlSet::load(crl, &issuers)?,
            None => CrlSet::default(),
        };
        let responders = settings.ocsp.clone().map(Responders::new).transpose();
        Ok(Self {
            settings: settings.clone(),
            clock,
            deny,
            crls: ArcSwap::from_pointee(crls),
            responders: responders.map_err(SetUpError::Ocsp)?,
            issuers,
        })
    }

    /// Takes the place of what is in use: no list of a CA goes back to an older one.
    ///
    /// # Errors
    /// When a list would.
    pub fn succeed(&self, before: &Self, now: DateTime<Utc>) -> Result<(), CrlError> {
        let Some(settings) = &self.settings.crl else {
            return Ok(());
        };
        let mut crls = CrlSet::clone(&self.crls.load());
        crls.succeed(&before.crls.load(), settings, &self.issuers, now)?;
        self.crls.store(Arc::new(crls));
        Ok(())
    }

    /// The files that it was made of.
    pub fn files(settings: &RevocationSettings) -> Vec<PathBuf> {
        let crl = settings.crl.iter();
        let lists = crl.flat_map(|crl| crl.files.iter().chain(&crl.directories).cloned());
        settings.deny_list.iter().cloned().chain(lists).collect()
    }

    /// What an operator should know, in sentences.
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut warnings = self.crls.load().warnings(now);
        let unknown = self.deny.unknown_issuers(&self.issuers).into_iter();
        warnings.extend(unknown.map(|issuer| {
            format!(
                "the deny list names certificates of {issuer}, which no configured client CA is called: unless an \
                 intermediate is, it denies nobody; write the issuer as \"whoami\" prints it"
            )
        }));
        warnings
    }

    /// How the lists of CAs are found, if any are configured.
    pub fn crl_settings(&self) -> Option<&CrlSettings> {
        self.settings.crl.as_ref()
    }

    /// When the first of the CAs' lists runs out.
    pub fn nearest_next_update(&self) -> Option<DateTime<Utc>> {
        self.crls.load().nearest_next_update()
    }

    /// Whether our own list names a principal.
    ///
    /// # Errors
    /// When it does.
    pub fn check_principal(&self, principal: &str) -> Result<(), RevocationError> {
        if self.deny.has_principal(principal) {
            return Err(RevocationError::denied());
        }
        Ok(())
    }

    /// For the handshake: refuses what the lists at hand say is revoked. What they do not say is for
    /// [`check`](Self::check).
    pub fn is_revoked_by_lists(&self, chain: &[X509]) -> bool {
        let now = self.clock.now();
        let crls = self.crls.load();
        // What cannot be told is said with each request, where the reason can be read.
        let denied =
            !self.deny.is_empty() && subjects(chain).is_ok_and(|subjects| self.deny.has_any(&subjects));
        let revoked = || {
            self.pairs(chain, self.settings.crl.as_ref().map(|crl| crl.depth))
                .any(|(certificate, issuer)| {
                    matches!(
                        crls.check(certificate, issuer, now),
                        Err(RevocationError::Revoked { .. })
                    )
                })
        };
        denied || revoked()
    }

    /// What the lists in files say about a verified chain, without asking anybody; nothing if no CA's list is
    /// configured.
    ///
    /// # Errors
    /// When a certificate is revoked, or the lists at hand do not say.
    pub fn check_lists(
        &self,
        chain: &[X509],
        denied_as: &[Subject],
        now: DateTime<Utc>,
    ) -> Result<Option<Status>, RevocationError> {
        if self.deny.has_any(denied_as) {
            return Err(RevocationError::denied());
        }
        self.check_crls(chain, now)
    }

    /// Whether any certificate of a verified chain is revoked; `denied_as` is what it can be denied as ([`subjects`]).
    ///
    /// # Errors
    /// When one is, or when that cannot be found out and `class` is configured to fail closed.
    pub async fn check(
        self: &Arc<Self>,
        chain: &[X509],
        denied_as: &[Subject],
        class: Class,
        now: DateTime<Utc>,
    ) -> Result<Status, RevocationError> {
        if self.deny.has_any(denied_as) {
            return Err(RevocationError::denied());
        }
        let from_crls = self.check_crls(chain, now);
        if let Err(revoked @ RevocationError::Revoked { .. }) = from_crls {
            return Err(revoked);
        }
        let from_responders = self.check_responders(chain, now).await;
        if let Err(revoked @ RevocationError::Revoked { .. }) = from_responders {
            return Err(revoked);
        }
        // One source that knows is enough; where none does, the class decides.
        let unknown = match (from_crls, from_responders) {
            (Ok(Some(known)), _) | (Ok(None) | Err(_), Ok(Some(known))) => return Ok(known),
            (Ok(None), Ok(None)) => {
                return Ok(Status {
                    source: "none",
                    next_update: None,
                    fail_open: None,
                });
            }
            (Err(reason), _) | (Ok(None), Err(reason)) => reason,
        };
        let fail = match class {
            Class::Read => self.settings.fail.reads,
            Class::Write => self.settings.fail.writes,
        };
        match fail {
            FailPolicy::Closed => Err(unknown),
            FailPolicy::Open => Ok(Status {
                source: "none",
                next_update: None,
                fail_open: Some(unknown.to_string()),
            }),
        }
    }

    fn check_crls(&self, chain: &[X509], now: DateTime<Utc>) -> Result<Option<Status>, RevocationError> {
        let Some(settings) = &self.settings.crl else {
            return Ok(None);
        };
        let crls = self.crls.load();
        let mut next_update = None;
        let mut unknown = None;
        for (certificate, issuer) in self.pairs(chain, Some(settings.depth)) {
            match crls.check(certificate, issuer, now) {
                Ok(until) => {
                    next_update = Some(next_update.map_or(until, |known: DateTime<Utc>| known.min(until)))
                }
                Err(revoked @ RevocationError::Revoked { .. }) => return Err(revoked),
                Err(other) => unknown = unknown.or(Some(other)),
            }
        }
        unknown.map_or(
            Ok(Some(Status {
                source: "crl",
                next_update,
                fail_open: None,
            })),
            Err,
        )
    }

    async fn check_responders(
        &self,
        chain: &[X509],
        now: DateTime<Utc>,
    ) -> Result<Option<Status>, RevocationError> {
        let Some(responders) = &self.responders else {
            return Ok(None);
        };
        let mut next_update = None;
        let mut unknown = None;
        for (certificate, issuer) in self.pairs(chain, Some(responders.depth())) {
            match responders.ask(certificate, issuer, now).await {
                Ok(until) => {
                    next_update = Some(next_update.map_or(until, |known: DateTime<Utc>| known.min(until)))
                }
                Err(revoked @ RevocationError::Revoked { .. }) => return Err(revoked),
                Err(other) => unknown = unknown.or(Some(other)),
            }
        }
        unknown.map_or(
            Ok(Some(Status {
                source: "ocsp",
                next_update,
                fail_open: None,
            })),
            Err,
        )
    }

    /// The certificates to ask about, each with its issuer. The last of a chain is trusted by
    /// configuration: taking it away is the way to withdraw it.
    fn pairs<'a>(
        &self,
        chain: &'a [X509],
        depth: Option<Depth>,
    ) -> impl Iterator<Item = (&'a X509Ref, &'a X509Ref)> + use<'a> {
        let count = match depth {
            None => 0,
            Some(Depth::Leaf) => 1,
            Some(Depth::Chain) => usize::MAX,
        };
        chain
            .windows(2)
            .take(count)
            .filter_map(|pair| Some((pair.first()?.as_ref(), pair.get(1)?.as_ref())))
    }
}
