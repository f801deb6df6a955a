//! Determines whether a valid certificate has been revoked: by this server's deny list, by the CA's list (CRL, RFC
//! 5280 section 5), or by the CA's responder (OCSP, RFC 6960).

mod chain;
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
pub use chain::VerifiedChain;
pub use crl_set::{CrlError, ListInUse};
pub use deny::{DenyError, DenyList, certificate_subjects, normal_issuer, normal_serial};
pub use fetch::{FetchedList, ListSource, client as fetch_client};

use crate::{
    clock::Clock,
    config::{CrlSettings, Depth, FailPolicy, RevocationSettings},
    store::DenialKey,
};
use chain::Listed;
use crl_set::CrlSet;
use deny::subjects;
use ocsp::Responders;

/// Whether a request reads or writes, for the choice between failing open and failing closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It changes no state.
    Read,
    /// It changes state.
    Write,
}

/// The revocation status of a certificate that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where the status comes from: `none` if nothing is configured.
    pub source: &'static str,
    /// When the source will have newer information.
    pub next_update: Option<DateTime<Utc>>,
    /// Why the status is unknown, where the configuration tolerates that.
    pub fail_open: Option<String>,
}

/// Why a certificate must not be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// It was revoked.
    #[error("certificate revoked ({source_name})")]
    Revoked {
        /// The source that revoked it: `deny list`, `CRL` or `OCSP`.
        source_name: &'static str,
    },
    /// No revocation list or deny list entry could name it.
    #[error("whether it was revoked cannot be determined: {0}")]
    CannotBeTold(String),
    /// There is no list of its issuer.
    #[error("no certificate revocation list of {0} is loaded")]
    CrlMissing(String),
    /// There are lists of its issuer, but none of them covers it.
    #[error("the loaded certificate revocation lists of {0} cover other certificates (another scope)")]
    CrlOfOthers(String),
    /// The list of its issuer has expired.
    #[error("the certificate revocation list of {0} is out of date")]
    CrlExpired(String),
    /// The responder gave no usable response.
    #[error("no revocation status from the OCSP responder: {0}")]
    OcspUnavailable(String),
}

impl RevocationError {
    /// The error for a subject on the deny list.
    pub fn denied() -> Self {
        Self::Revoked {
            source_name: "deny list",
        }
    }

    /// The error for a certificate whose serial number no entry or list can contain.
    pub(crate) fn unnamed_serial() -> Self {
        Self::CannotBeTold("its serial number is negative or zero (RFC 5280 section 4.1.2.2)".into())
    }

    /// The code that responses and logs contain.
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

    /// What the client can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Revoked { .. } => "ask for a new certificate",
            Self::CannotBeTold(_) => "ask for a certificate with a positive serial number",
            Self::CrlOfOthers(_) => {
                "tell whoever runs this server to load the CA's other lists too: those loaded cover other kinds of \
                 certificates, or are of other distribution points"
            }
            Self::CrlMissing(_) | Self::CrlExpired(_) => {
                "tell whoever runs this server to fetch the CA's current revocation list"
            }
            Self::OcspUnavailable(_) => "try again; if it persists, tell whoever runs this server",
        }
    }
}

/// Why revocation checks cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The deny list.
    #[error(transparent)]
    Deny(#[from] DenyError),
    /// A CA's revocation list.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// The OCSP client.
    #[error("revocation.ocsp: {0}")]
    Ocsp(String),
}

/// The configured sources of revocation information, with all lists loaded.
pub struct Revocation {
    settings: RevocationSettings,
    clock: Clock,
    deny: DenyList,
    crls: ArcSwap<CrlSet>,
    responders: Option<Responders>,
    /// The certificates whose keys may sign lists.
    issuers: Vec<X509>,
}

impl Revocation {
    /// Loads the lists. `issuers` are the configured client CAs.
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

    /// Prepares to replace `before`: no CA's list may be replaced by an older one.
    ///
    /// # Errors
    /// When one would be.
    pub fn succeed(&self, before: &Self, now: DateTime<Utc>) -> Result<(), CrlError> {
        let Some(settings) = &self.settings.crl else {
            return Ok(());
        };
        let mut crls = CrlSet::clone(&self.crls.load());
        crls.succeed(&before.crls.load(), settings, &self.issuers, now)?;
        self.crls.store(Arc::new(crls));
        Ok(())
    }

    /// The files from which it is built.
    pub fn files(settings: &RevocationSettings) -> Vec<PathBuf> {
        let crl = settings.crl.iter();
        let lists = crl.flat_map(|crl| crl.files.iter().chain(&crl.directories).cloned());
        settings.deny_list.iter().cloned().chain(lists).collect()
    }

    /// What an operator should know, as sentences.
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut warnings = self.crls.load().warnings(now);
        let unknown = self.deny.unknown_issuers(&self.issuers).into_iter();
        warnings.extend(unknown.map(|issuer| {
            format!(
                "the deny list names certificates of {issuer}, but no configured client CA has this name: unless an \
                 intermediate CA has it, these entries have no effect; write the issuer as \"whoami\" prints it"
            )
        }));
        warnings
    }

    /// The lists in use, for people to read.
    pub fn lists(&self) -> Vec<ListInUse> {
        self.crls.load().described()
    }

    /// The settings for CA lists, if any are configured.
    pub fn crl_settings(&self) -> Option<&CrlSettings> {
        self.settings.crl.as_ref()
    }

    /// When the first of the CAs' lists expires.
    pub fn nearest_next_update(&self) -> Option<DateTime<Utc>> {
        self.crls.load().nearest_next_update()
    }

    /// Checks that the deny list does not name a principal.
    ///
    /// # Errors
    /// When it does.
    pub fn check_principal(&self, principal: &str) -> Result<(), RevocationError> {
        if self.deny.has_principal(principal) {
            return Err(RevocationError::denied());
        }
        Ok(())
    }

    /// For the handshake: whether the loaded lists say that a certificate of the chain is revoked. An unknown status
    /// is left to [`check`](Self::check).
    pub fn is_revoked_by_lists(&self, chain: &[X509]) -> bool {
        let now = self.clock.now();
        let crls = self.crls.load();
        // An undeterminable status is reported with each request instead, where the client can read the reason.
        let named = || subjects(chain).map(|found| found.iter().map(DenialKey::of).collect::<Vec<_>>());
        let denied = !self.deny.is_empty() && named().is_ok_and(|keys| self.deny.has_any(&keys));
        let revoked = || {
            self.with_issuers(chain, self.settings.crl.as_ref().map(|crl| crl.depth))
                .any(|(certificate, issuer)| {
                    matches!(
                        crls.check(certificate, issuer, now),
                        Err(RevocationError::Revoked { .. })
                    )
                })
        };
        denied || revoked()
    }

    /// What the loaded lists say about a verified chain, without asking a responder; `None` if no CA list is
    /// configured.
    ///
    /// # Errors
    /// When a certificate is revoked, or its status cannot be determined from the lists.
    pub fn check_lists(
        &self,
        chain: &VerifiedChain,
        now: DateTime<Utc>,
    ) -> Result<Option<Status>, RevocationError> {
        if self.deny.has_any(chain.denied_as()?) {
            return Err(RevocationError::denied());
        }
        self.check_crls(chain, now)
    }

    /// Whether any certificate of a verified chain is revoked.
    ///
    /// # Errors
    /// When one is, or when the status is unknown and `class` is configured to fail closed.
    pub async fn check(
        self: &Arc<Self>,
        chain: &VerifiedChain,
        class: Class,
        now: DateTime<Utc>,
    ) -> Result<Status, RevocationError> {
        if self.deny.has_any(chain.denied_as()?) {
            return Err(RevocationError::denied());
        }
        let from_crls = self.check_crls(chain, now);
        if let Err(revoked @ RevocationError::Revoked { .. }) = from_crls {
            return Err(revoked);
        }
        let from_responders = self.check_responders(chain.certificates(), now).await;
        if let Err(revoked @ RevocationError::Revoked { .. }) = from_responders {
            return Err(revoked);
        }
        // One source that knows the status is enough; if none does, the class decides.
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

    fn check_crls(
        &self,
        chain: &VerifiedChain,
        now: DateTime<Utc>,
    ) -> Result<Option<Status>, RevocationError> {
        let Some(settings) = &self.settings.crl else {
            return Ok(None);
        };
        let crls = self.crls.load();
        if let Some(known) = chain.known(crls.number(), now) {
            return Ok(Some(known));
        }
        let mut next_update = None;
        let mut unknown = None;
        for (certificate, issuer) in self.with_issuers(chain.certificates(), Some(settings.depth)) {
            match crls.check(certificate, issuer, now) {
                Ok(until) => {
                    next_update = Some(next_update.map_or(until, |known: DateTime<Utc>| known.min(until)))
                }
                Err(revoked @ RevocationError::Revoked { .. }) => return Err(revoked),
                Err(other) => unknown = unknown.or(Some(other)),
            }
        }
        if let Some(reason) = unknown {
            return Err(reason);
        }
        let status = Status {
            source: "crl",
            next_update,
            fail_open: None,
        };
        // Without an update there was no certificate to check, which stays so.
        chain.keep(Listed {
            set: crls.number(),
            until: next_update.unwrap_or(DateTime::<Utc>::MAX_UTC),
            status: status.clone(),
        });
        Ok(Some(status))
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
        for (certificate, issuer) in self.with_issuers(chain, Some(responders.depth())) {
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

    /// The certificates to check, each with its issuer. The last certificate of a chain is trusted by configuration,
    /// so it is revoked by removing it there.
    fn with_issuers<'a>(
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
