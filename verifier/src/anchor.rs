//! Where trust in a repository begins.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509StoreContext};
use thiserror::Error;
use tuf::{Gun, KeyId, PublicKey, VerifiedRoot};

use crate::pattern::Pattern;
use crate::reference::matched_name;
use crate::trust_roots::{TrustRoots, VouchedRoot};

/// What a root must have for trust to begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// One of these keys signed it. The IDs are those of bare public keys, as `notary key list` shows them.
    RootKeys(BTreeSet<KeyId>),
    /// The key of one of these certificates signed it. The IDs are those under which the root lists certificates.
    CertIds(BTreeSet<KeyId>),
    /// A certificate of a key that signed it was issued by this authority.
    Ca {
        /// Certificates of authorities in PEM.
        pem: Vec<u8>,
    },
    /// Nothing: the first root that is seen counts.
    Tofu {
        /// The repositories for which that is so.
        scope: Pattern,
    },
    /// It is the root for which an operator vouches. No root meets this as it stands: who can read the operator's
    /// repository brings the [`Check`](crate::Check) the root that is [vouched for](crate::Check::vouched).
    TrustRoots(Box<TrustRoots>),
    /// It is exactly this one.
    Vouched(VouchedRoot),
}

/// What was given is no anchor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnchorError {
    /// No key at all.
    #[error("an anchor needs at least one key ID: with none, nothing could ever meet it")]
    Empty,
    /// A text that is not a key ID.
    #[error("{0:?} is not a key ID: it is written as 64 lower case hexadecimal digits")]
    KeyId(String),
    /// A file without a usable authority.
    #[error("not the certificate of an authority in PEM: {0}")]
    Ca(String),
}

impl Anchor {
    /// Pins root keys by the IDs of the bare public keys.
    ///
    /// # Errors
    /// For an empty list and for texts that are not key IDs.
    pub fn root_keys<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<Self, AnchorError> {
        key_ids(ids).map(Self::RootKeys)
    }

    /// Pins root certificates by the IDs under which a root lists them.
    ///
    /// # Errors
    /// For an empty list and for texts that are not key IDs.
    pub fn cert_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<Self, AnchorError> {
        key_ids(ids).map(Self::CertIds)
    }

    /// Trusts roots whose certificates an authority issued.
    ///
    /// # Errors
    /// For texts that are not PEM certificates, or not of authorities.
    pub fn ca(pem: Vec<u8>) -> Result<Self, AnchorError> {
        let certificates =
            X509::stack_from_pem(&pem).map_err(|cause| AnchorError::Ca(first_reason(&cause)))?;
        if certificates.is_empty() {
            return Err(AnchorError::Ca("there is no certificate in it".to_owned()));
        }
        for certificate in &certificates {
            // A leaf among the authorities would be trusted itself, and whatever it signs.
            let der = certificate
                .to_der()
                .map_err(|cause| AnchorError::Ca(first_reason(&cause)))?;
            let is_ca = x509_parser::parse_x509_certificate(&der).is_ok_and(|(_, parsed)| parsed.is_ca());
            if !is_ca {
                let cause = "it holds a certificate that may not issue others; pin that one by cert_ids";
                return Err(AnchorError::Ca(cause.to_owned()));
            }
        }
        Ok(Self::Ca { pem })
    }

    /// Whether trust in a repository may begin with this root. Its own signatures were verified.
    ///
    /// `dates` is the moment at which certificates of authorities have to be valid; `None` for roots that were replaced.
    pub(crate) fn is_met_by(&self, gun: &Gun, root: &VerifiedRoot, dates: Option<DateTime<Utc>>) -> bool {
        let any = |meets: &dyn Fn(&PublicKey) -> bool| root.signers().iter().any(meets);
        match self {
            Self::RootKeys(ids) => any(&|key| key.bare().is_some_and(|bare| ids.contains(bare.id()))),
            Self::CertIds(ids) => any(&|key| ids.contains(key.id())),
            Self::Ca { pem } => {
                let store = authorities(pem, dates);
                store.is_ok_and(|store| any(&|key| is_issued(&store, key).unwrap_or(false)))
            }
            Self::Tofu { scope } => scope.matches(&matched_name(gun.as_str())),
            Self::TrustRoots(_) => false,
            Self::Vouched(vouched) => vouched.is(root),
        }
    }

    /// A value that differs for anchors that trust differently. What was verified from one must not serve another.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = String::new();
        let mut push = |part: &str| {
            text.push_str(part);
            text.push('\n');
        };
        match self {
            Self::RootKeys(ids) => {
                push("root_keys");
                ids.iter().for_each(|id| push(id.as_str()));
            }
            Self::CertIds(ids) => {
                push("cert_ids");
                ids.iter().for_each(|id| push(id.as_str()));
            }
            Self::Ca { pem } => {
                push("ca");
                push(&hex::encode(openssl::sha::sha256(pem)));
            }
            // The scope says where it counts, which is asked each time.
            Self::Tofu { .. } => push("tofu"),
            Self::TrustRoots(roots) => {
                push("trust_roots");
                push(&roots.repository);
                push(&hex::encode(openssl::sha::sha256(&roots.root)));
            }
            // Who vouches for it does not change what follows from it.
            Self::Vouched(vouched) => {
                push("vouched");
                push(&vouched.version.to_string());
                push(&vouched.sha256.as_hex());
            }
        }
        hex::encode(openssl::sha::sha256(text.as_bytes()))
    }
}

fn key_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<KeyId>, AnchorError> {
    let read = |id: &str| KeyId::parse(id).map_err(|_| AnchorError::KeyId(id.to_owned()));
    let ids: BTreeSet<KeyId> = ids.into_iter().map(read).collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Err(AnchorError::Empty);
    }
    Ok(ids)
}

fn authorities(pem: &[u8], dates: Option<DateTime<Utc>>) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for certificate in X509::stack_from_pem(pem)? {
        store.add_cert(certificate)?;
    }
    let mut parameters = X509VerifyParam::new()?;
    // An authority may be given that is itself issued by another.
    parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    match dates {
        Some(moment) => parameters.set_time(moment.timestamp()),
        None => parameters.set_flags(X509VerifyFlags::NO_CHECK_TIME)?,
    }
    store.set_param(&parameters)?;
    Ok(store.build())
}

fn is_issued(store: &X509Store, key: &PublicKey) -> Result<bool, ErrorStack> {
    let mut certificates = X509::stack_from_pem(key.public())?.into_iter();
    let Some(leaf) = certificates.next() else {
        return Ok(false);
    };
    let mut intermediates = Stack::new()?;
    for certificate in certificates {
        intermediates.push(certificate)?;
    }
    let mut context = X509StoreContext::new()?;
    context.init(store, &leaf, &intermediates, |context| context.verify_cert())
}

fn first_reason(stack: &ErrorStack) -> String {
    let reason = stack.errors().first().and_then(|error| error.reason());
    reason.unwrap_or("it cannot be parsed").to_owned()
}
