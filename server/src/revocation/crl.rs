//! Revocation lists of CAs: read, checked, and asked.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use chrono::{DateTime, TimeDelta, Utc};
use openssl::{
    sha::sha256,
    x509::{CrlStatus, X509, X509Crl, X509NameRef, X509Ref},
};
use platform::{
    tls::{ClientCertificate, utc},
    x509::name_text,
};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{CertificateRevocationList, FromDer, X509Certificate},
};

use super::{RevocationError, settings::CrlSettings};

/// How far the CA's clock may be ahead of ours.
const SKEW: TimeDelta = TimeDelta::minutes(5);
const DELTA_INDICATOR: &str = "2.5.29.27";
/// Critical extensions that we know what to do with: CRL number, authority key ID, distribution point.
const KNOWN: [&str; 3] = ["2.5.29.20", "2.5.29.35", "2.5.29.28"];

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// The file or directory cannot be read.
    #[error("the revocation list {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// One list.
pub(super) struct Crl {
    crl: X509Crl,
    this_update: DateTime<Utc>,
    next_update: DateTime<Utc>,
    /// Where the CA publishes it; a CA with several lists has a certificate in one of them only.
    points: Vec<String>,
    users: bool,
    authorities: bool,
    /// Whether a configured CA has its issuer's name.
    expected: bool,
    /// SHA-256 of the keys that were found to have signed it.
    signers: Mutex<BTreeSet<[u8; 32]>>,
}

/// Every list at hand.
#[derive(Default)]
pub(super) struct CrlSet {
    lists: Vec<Crl>,
    grace: TimeDelta,
}

impl Crl {
    /// Reads a list in DER.
    ///
    /// # Errors
    /// When it is none, or of a kind that would be misunderstood.
    pub(super) fn parse(der: &[u8]) -> Result<Self, String> {
        let crl = X509Crl::from_der(der).map_err(|cause| format!("it cannot be read: {cause}"))?;
        let (_, parsed) = CertificateRevocationList::from_der(der)
            .map_err(|cause| format!("it cannot be read: {cause}"))?;
        let mut points = Vec::new();
        let (mut users, mut authorities) = (true, true);
        for extension in parsed.extensions() {
            let oid = extension.oid.to_id_string();
            if oid == DELTA_INDICATOR {
                return Err("it is a delta list (RFC 5280 section 5.2.4), which is not supported; use the complete one".into());
            }
            if extension.critical && !KNOWN.contains(&oid.as_str()) {
                return Err(format!(
                    "it has the critical extension {oid}, which is not supported"
                ));
            }
            if let ParsedExtension::IssuingDistributionPoint(point) = extension.parsed_extension() {
                if point.indirect_crl {
                    return Err(
                        "it is an indirect list (RFC 5280 section 5.2.5), which is not supported".into(),
                    );
                }
                if point.only_some_reasons.is_some() || point.only_contains_attribute_certs {
                    return Err(
                        "it covers only some reasons or only attribute certificates, which is not supported"
                            .into(),
                    );
                }
                users = !point.only_contains_ca_certs;
                authorities = !point.only_contains_user_certs;
                if let Some(name) = &point.distribution_point {
                    points = point_names(name);
                }
            }
        }
        let this_update = utc(crl.last_update()).ok_or("its dates cannot be read")?;
        let next_update = crl
            .next_update()
            .and_then(utc)
            .ok_or("it does not say when it runs out (nextUpdate, RFC 5280 section 5.1.2.5)")?;
        Ok(Self {
            crl,
            this_update,
            next_update,
            points,
            users,
            authorities,
            expected: false,
            signers: Mutex::default(),
        })
    }

    fn issuer(&self) -> &X509NameRef {
        self.crl.issuer_name()
    }

    /// Whether a CA of this name signed it; remembered.
    fn is_signed_by(&self, issuer: &X509Ref) -> bool {
        let Ok(key) = issuer.public_key() else {
            return false;
        };
        let Ok(der) = key.public_key_to_der() else {
            return false;
        };
        let digest = sha256(&der);
        let Ok(mut signers) = self.signers.lock() else {
            return false;
        };
        if signers.contains(&digest) {
            return true;
        }
        let signed = may_sign_lists(issuer) && self.crl.verify(&key).unwrap_or(false);
        if signed {
            signers.insert(digest);
        }
        signed
    }

    /// Refuses a list that a CA we know did not sign.
    ///
    /// # Errors
    /// When CAs of its issuer's name are known and none of them signed it.
    pub(super) fn check_signature(&self, issuers: &[X509]) -> Result<(), String> {
        let mut named = issuers
            .iter()
            .filter(|issuer| same_name(issuer.subject_name(), self.issuer()))
            .peekable();
        if named.peek().is_none() || named.any(|issuer| self.is_signed_by(issuer)) {
            return Ok(());
        }
        Err("its signature is not that of the CA it names, or that CA may not sign lists (cRLSign)".into())
    }

    fn covers(&self, certificate: &X509Ref, facts: &Scope) -> bool {
        same_name(certificate.issuer_name(), self.issuer())
            && (if facts.authority {
                self.authorities
            } else {
                self.users
            })
    }

    fn is_of(&self, facts: &Scope) -> bool {
        self.points.is_empty() || self.points.iter().any(|point| facts.points.contains(point))
    }
}

/// What decides which list a certificate is in.
struct Scope {
    authority: bool,
    points: Vec<String>,
}

impl Scope {
    fn of(certificate: &X509Ref) -> Option<Self> {
        let der = certificate.to_der().ok()?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let mut points = Vec::new();
        for extension in parsed.extensions() {
            if let ParsedExtension::CRLDistributionPoints(found) = extension.parsed_extension() {
                for point in found.iter() {
                    points.extend(point.distribution_point.iter().flat_map(point_names));
                }
            }
        }
        Some(Self {
            authority: parsed.is_ca(),
            points,
        })
    }
}

fn point_names(name: &x509_parser::extensions::DistributionPointName<'_>) -> Vec<String> {
    use x509_parser::extensions::DistributionPointName;
    match name {
        DistributionPointName::FullName(names) => names
            .iter()
            .map(|name| match name {
                GeneralName::URI(uri) => (*uri).to_owned(),
                other => format!("{other:?}"),
            })
            .collect(),
        // A name of its own: never that of a certificate's distribution point.
        DistributionPointName::NameRelativeToCRLIssuer(_) => vec!["relative".into()],
    }
}

/// A CA with a key usage needs cRLSign in it (RFC 5280 section 4.2.1.3).
fn may_sign_lists(issuer: &X509Ref) -> bool {
    let Ok(der) = issuer.to_der() else { return false };
    X509Certificate::from_der(&der).is_ok_and(|(_, parsed)| {
        parsed
            .key_usage()
            .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.crl_sign()))
    })
}

fn same_name(one: &X509NameRef, other: &X509NameRef) -> bool {
    one.try_cmp(other).is_ok_and(std::cmp::Ordering::is_eq)
}

impl CrlSet {
    /// Reads every configured list, and those that were fetched before.
    ///
    /// # Errors
    /// When one cannot be read, or its signature is wrong.
    pub(super) fn load(settings: &CrlSettings, issuers: &[X509]) -> Result<Self, CrlError> {
        let mut files = settings.files.clone();
        for directory in &settings.directories {
            files.extend(entries(directory)?);
        }
        let mut lists = Vec::new();
        for path in &files {
            lists.extend(read(path, issuers)?);
        }
        // What was fetched is a cache: a file in it that is damaged is fetched again.
        for url in &settings.urls {
            let Some(directory) = &settings.kept else { continue };
            let path = super::fetch::kept_as(directory, url);
            match path.exists().then(|| read(&path, issuers)).transpose() {
                Ok(found) => lists.extend(found.into_iter().flatten()),
                Err(reason) => {
                    tracing::warn!(url, %reason, "a revocation list kept from before cannot be used")
                }
            }
        }
        Ok(Self {
            lists,
            grace: TimeDelta::from_std(settings.grace).unwrap_or_default(),
        })
    }

    /// Until when it is known that a certificate is not revoked.
    ///
    /// # Errors
    /// When it is revoked, or no list says.
    pub(super) fn check(
        &self,
        certificate: &X509Ref,
        issuer: &X509Ref,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, RevocationError> {
        let name =
            || ClientCertificate::new(issuer.to_owned()).map_or_else(String::new, |issuer| issuer.subject());
        let missing = || RevocationError::CrlMissing(name());
        let scope = Scope::of(certificate).ok_or_else(missing)?;
        let (mut known, mut outdated) = (None, false);
        for list in &self.lists {
            if !list.covers(certificate, &scope) || !list.is_signed_by(issuer) {
                continue;
            }
            // Also a list that ran out, or one of another distribution point, is believed when it says no.
            if !matches!(
                list.crl.get_by_serial(certificate.serial_number()),
                CrlStatus::NotRevoked
            ) {
                return Err(RevocationError::Revoked { source_name: "CRL" });
            }
            if now > list.next_update + self.grace || list.this_update > now + SKEW {
                outdated = true;
            } else if list.is_of(&scope) {
                known = known.max(Some(list.next_update));
            }
        }
        match (known, outdated) {
            (Some(until), _) => Ok(until),
            (None, true) => Err(RevocationError::CrlExpired(name())),
            (None, false) => Err(missing()),
        }
    }

    pub(super) fn nearest_next_update(&self) -> Option<DateTime<Utc>> {
        self.lists.iter().map(|list| list.next_update).min()
    }

    pub(super) fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut found = Vec::new();
        for list in &self.lists {
            let issuer = name_text(list.issuer());
            if list.next_update < now {
                found.push(format!(
                    "the revocation list of {issuer} ran out at {}",
                    list.next_update
                ));
            }
            if list.this_update > now + SKEW {
                found.push(format!(
                    "the revocation list of {issuer} is not valid before {}",
                    list.this_update
                ));
            }
            if !list.expected {
                found.push(format!(
                    "the revocation list of {issuer} is not of a configured client CA; it counts only for \
                     certificates that come with one of that name which signed it"
                ));
            }
        }
        found
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, CrlError> {
    let refuse = |cause: std::io::Error| CrlError::File {
        path: directory.to_path_buf(),
        reason: cause.to_string(),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path, issuers: &[X509]) -> Result<Vec<Crl>, CrlError> {
    let refuse = |reason: String| CrlError::File {
        path: path.to_path_buf(),
        reason,
    };
    let bytes = fs::read(path).map_err(|cause| refuse(cause.to_string()))?;
    checked(&bytes, issuers).map_err(refuse)
}

/// The lists of a file or an answer, each signed by its CA if we know that.
pub(super) fn checked(bytes: &[u8], issuers: &[X509]) -> Result<Vec<Crl>, String> {
    let lists = ders(bytes)?;
    if lists.is_empty() {
        return Err("it holds no list".into());
    }
    let checked = lists.iter().map(|der| {
        let mut list = Crl::parse(der)?;
        list.check_signature(issuers)?;
        list.expected = issuers
            .iter()
            .any(|issuer| same_name(issuer.subject_name(), list.issuer()));
        Ok(list)
    });
    checked.collect()
}

/// Whoever can change what an unprotected URL answers must not bring back an old list, which does not name
/// those who were revoked since, or have another CA's list in the place of one that is still in force.
///
/// # Errors
/// When a list that is in force has no successor among `lists`.
pub(super) fn check_succession(lists: &[Crl], kept: &[Crl], now: DateTime<Utc>) -> Result<(), String> {
    let in_force = kept.iter().filter(|old| old.next_update > now);
    for old in in_force {
        let succeeds = |new: &Crl| {
            same_name(new.issuer(), old.issuer())
                && new.points == old.points
                && new.this_update >= old.this_update
        };
        if !lists.iter().any(succeeds) {
            return Err(format!(
                "it has no list of {} as new as the one at hand, of {}",
                name_text(old.issuer()),
                old.this_update
            ));
        }
    }
    Ok(())
}

/// The lists of a file: any number in PEM, or one in DER.
fn ders(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    const BEGIN: &[u8] = b"-----BEGIN";
    if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Ok(vec![bytes.to_vec()]);
    }
    let mut found = Vec::new();
    for block in x509_parser::pem::Pem::iter_from_buffer(bytes) {
        let block = block.map_err(|cause| format!("its PEM cannot be read: {cause}"))?;
        if block.label != "X509 CRL" {
            return Err(format!("it holds a PEM block {}, not X509 CRL", block.label));
        }
        found.push(block.contents);
    }
    Ok(found)
}
