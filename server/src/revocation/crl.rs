//! One revocation list of a CA, parsed and checked (RFC 5280 section 5).

use std::{collections::BTreeSet, sync::Mutex};

use chrono::{DateTime, Utc};
use openssl::{
    pkey::{PKey, Public},
    x509::{CrlStatus, X509, X509Crl, X509NameRef, X509Ref},
};
use platform::{
    tls::{forget_errors, utc},
    x509::hashes_of_key,
};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{CertificateRevocationList, FromDer, X509Certificate},
};

const DELTA_INDICATOR: &str = "2.5.29.27";
/// Critical extensions that are handled: CRL number, authority key ID, distribution point.
const KNOWN: [&str; 3] = ["2.5.29.20", "2.5.29.35", DISTRIBUTION_POINT];
const DISTRIBUTION_POINT: &str = "2.5.29.28";
/// Critical extensions of entries that do not change which certificates are revoked: reason code, invalidity date.
const KNOWN_OF_ENTRIES: [&str; 2] = ["2.5.29.21", "2.5.29.24"];
/// The extension that names the issuer of an entry's certificate. It appears in indirect lists only (RFC 5280 section
/// 5.3.3).
const CERTIFICATE_ISSUER: &str = "2.5.29.29";

/// One revocation list.
pub(super) struct Crl {
    crl: X509Crl,
    pub(super) this_update: DateTime<Utc>,
    pub(super) next_update: DateTime<Utc>,
    /// The CRL number (RFC 5280 section 5.2.3), big-endian without leading zeros; empty if it has none.
    number: Vec<u8>,
    /// Where the CA publishes it. If a CA has several lists, each of its certificates is covered by one of them only.
    points: Vec<String>,
    users: bool,
    authorities: bool,
    /// Whether a configured CA has the name of its issuer.
    pub(super) expected: bool,
    /// The hashes of keys whose signature on it has been verified.
    signers: Mutex<BTreeSet<String>>,
}

impl Crl {
    /// Parses a list in DER.
    ///
    /// # Errors
    /// When it is not a list, or of a kind that this server would misinterpret.
    pub(super) fn parse(der: &[u8]) -> Result<Self, String> {
        let crl = X509Crl::from_der(der)
            .map_err(|cause| format!("it cannot be read: {}", platform::reason::of_openssl(&cause)))?;
        let (rest, parsed) = CertificateRevocationList::from_der(der)
            .map_err(|cause| format!("it cannot be read: {cause}"))?;
        if !rest.is_empty() {
            return Err("there is data after its end".into());
        }
        check_entries(&parsed)?;
        let mut seen = BTreeSet::new();
        let mut number = Vec::new();
        let mut points = Vec::new();
        let (mut users, mut authorities) = (true, true);
        for extension in parsed.extensions() {
            let oid = extension.oid.to_id_string();
            if !seen.insert(oid.clone()) {
                return Err(format!("it has the extension {oid} twice"));
            }
            if let ParsedExtension::CRLNumber(found) = extension.parsed_extension() {
                number = found.to_bytes_be();
            }
            let is_point = matches!(
                extension.parsed_extension(),
                ParsedExtension::IssuingDistributionPoint(_)
            );
            if oid == DISTRIBUTION_POINT && !is_point {
                return Err("its issuing distribution point (RFC 5280 section 5.2.5) cannot be read".into());
            }
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
            .ok_or("it does not say when it expires (nextUpdate, RFC 5280 section 5.1.2.5)")?;
        Ok(Self {
            crl,
            this_update,
            next_update,
            number,
            points,
            users,
            authorities,
            expected: false,
            signers: Mutex::default(),
        })
    }

    pub(super) fn issuer(&self) -> &X509NameRef {
        self.crl.issuer_name()
    }

    /// How many certificates it withdraws.
    pub(super) fn length(&self) -> usize {
        self.crl.get_revoked().map_or(0, |entries| entries.len())
    }

    /// Whether a CA with this name signed it; the result is cached.
    pub(super) fn is_signed_by(&self, issuer: &X509Ref) -> bool {
        let Some(key) = hashes_of_key(issuer).and_then(|hashes| hashes.into_iter().next()) else {
            return false;
        };
        let Ok(mut signers) = self.signers.lock() else {
            return false;
        };
        if signers.contains(&key) {
            return true;
        }
        let verifies = |key: PKey<Public>| self.crl.verify(&key).unwrap_or(false);
        let signed = may_sign_lists(issuer) && issuer.public_key().is_ok_and(verifies);
        // A failed verification leaves errors in OpenSSL's queue, which a later operation would report as its own.
        forget_errors();
        if signed {
            signers.insert(key);
        }
        signed
    }

    /// Whether it lists a certificate of its issuer as revoked.
    pub(super) fn revokes(&self, certificate: &X509Ref) -> bool {
        !matches!(
            self.crl.get_by_serial(certificate.serial_number()),
            CrlStatus::NotRevoked
        )
    }

    /// Whether it is another edition of the same list: same issuer, same key as far as known, same scope.
    pub(super) fn is_edition_of(&self, other: &Self) -> bool {
        let by_same_key = match (self.signers.lock(), other.signers.lock()) {
            (Ok(mine), Ok(theirs)) => mine.is_empty() || theirs.is_empty() || !mine.is_disjoint(&theirs),
            _ => false,
        };
        let scope = |list: &Self| (list.points.clone(), list.users, list.authorities);
        by_same_key && same_name(self.issuer(), other.issuer()) && scope(self) == scope(other)
    }

    /// Whether it is older than another edition: by its date or, if that is the same, by its number.
    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        let number = |list: &Self| (list.number.len(), list.number.clone());
        let numbered = !self.number.is_empty() && !other.number.is_empty();
        self.this_update < other.this_update
            || (self.this_update == other.this_update && numbered && number(self) < number(other))
    }

    /// Its date and number, for display.
    pub(super) fn edition(&self) -> String {
        match self.number.as_slice() {
            [] => self.this_update.to_string(),
            number => format!("{}, number 0x{}", self.this_update, hex::encode(number)),
        }
    }

    /// Refuses a list that a known CA should have signed but did not.
    ///
    /// # Errors
    /// When there are known CAs with its issuer's name, and none of them signed it.
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

    /// Whether its scope includes certificates of this kind.
    pub(super) fn covers(&self, facts: &Scope) -> bool {
        if facts.authority {
            self.authorities
        } else {
            self.users
        }
    }

    /// Whether it is the list of one of the certificate's distribution points.
    pub(super) fn is_of(&self, facts: &Scope) -> bool {
        self.points.is_empty() || self.points.iter().any(|point| facts.points.contains(point))
    }
}

/// Refuses a list whose entries mean more than that a certificate of its issuer is revoked (RFC 5280 section 5.3).
fn check_entries(list: &CertificateRevocationList<'_>) -> Result<(), String> {
    for entry in list.iter_revoked_certificates() {
        for extension in entry.extensions() {
            let oid = extension.oid.to_id_string();
            if oid == CERTIFICATE_ISSUER {
                return Err(format!(
                    "its entry for {} names another certificate issuer (RFC 5280 section 5.3.3), as only indirect \
                     lists do, which are not supported",
                    entry.raw_serial_as_string()
                ));
            }
            if extension.critical && !KNOWN_OF_ENTRIES.contains(&oid.as_str()) {
                return Err(format!(
                    "its entry for {} has the critical extension {oid}, which is not supported",
                    entry.raw_serial_as_string()
                ));
            }
        }
    }
    Ok(())
}

/// The properties of a certificate that decide which list covers it.
pub(super) struct Scope {
    authority: bool,
    points: Vec<String>,
}

impl Scope {
    pub(super) fn of(certificate: &X509Ref) -> Option<Self> {
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
        // A unique name, which never equals that of a certificate's distribution point.
        DistributionPointName::NameRelativeToCRLIssuer(_) => vec!["relative".into()],
    }
}

/// Whether a CA may sign lists: if it has a key usage, that must include cRLSign (RFC 5280 section 4.2.1.3).
fn may_sign_lists(issuer: &X509Ref) -> bool {
    let Ok(der) = issuer.to_der() else { return false };
    X509Certificate::from_der(&der).is_ok_and(|(_, parsed)| {
        parsed
            .key_usage()
            .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.crl_sign()))
    })
}

pub(super) fn same_name(one: &X509NameRef, other: &X509NameRef) -> bool {
    one.try_cmp(other).is_ok_and(std::cmp::Ordering::is_eq)
}

/// The lists in a file or response, each with a verified signature if its CA is known.
pub(super) fn checked(bytes: &[u8], issuers: &[X509]) -> Result<Vec<Crl>, String> {
    let lists = ders(bytes)?;
    if lists.is_empty() {
        return Err("it contains no revocation list".into());
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

/// The lists in a file: any number in PEM, or one in DER.
fn ders(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    const BEGIN: &[u8] = b"-----BEGIN";
    if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Ok(vec![bytes.to_vec()]);
    }
    let mut found = Vec::new();
    for block in x509_parser::pem::Pem::iter_from_buffer(bytes) {
        let block = block.map_err(|cause| format!("its PEM cannot be read: {cause}"))?;
        if block.label != "X509 CRL" {
            return Err(format!("it contains a PEM block {}, not X509 CRL", block.label));
        }
        found.push(block.contents);
    }
    Ok(found)
}
