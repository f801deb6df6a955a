//! The chain from a client's certificate to a configured CA. OpenSSL builds one chain only; here every issuer is tried
//! where several have the same name, as after a CA renewed its key.

use openssl::{
    error::ErrorStack,
    stack::Stack,
    x509::{
        X509, X509NameRef, X509PurposeId, X509Ref, X509StoreContext,
        store::{X509Store, X509StoreBuilder},
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};

use super::{
    CertificateFault, FaultReason, TlsError, forget_errors, purpose,
    trust::{SECURITY_LEVEL, owned},
};

/// How many chains are tried for one certificate. A limit is needed because clients can send any number of issuers.
const TRIED: usize = 32;
/// How many of the certificates that a client sends along are looked at for further chains.
const PRESENTED: usize = 16;
/// How many certificates are visited in the search for these chains.
const VISITED: usize = 256;
/// How long a further chain may be.
const LENGTH: usize = 8;

/// The configured CA certificates. Each is trusted by itself, intermediates too.
pub(super) struct Anchors {
    certificates: Vec<X509>,
    clients: X509Store,
    /// The same without regard to purposes.
    any: X509Store,
}

impl Anchors {
    pub(super) fn new(certificates: Vec<X509>) -> Result<Self, TlsError> {
        Ok(Self {
            clients: store(&certificates, X509PurposeId::SSL_CLIENT)?,
            any: store(&certificates, X509PurposeId::ANY)?,
            certificates,
        })
    }

    pub(super) fn certificates(&self) -> &[X509] {
        &self.certificates
    }

    /// The chain from a certificate to one of these; `presented` are the issuers that came with it.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn verify(&self, leaf: &X509Ref, presented: &[X509]) -> Result<Vec<X509>, CertificateFault> {
        let outcome = self.try_all(leaf, presented);
        // What OpenSSL found wrong must not be taken for an error of the next connection on this thread.
        forget_errors();
        outcome
    }

    fn try_all(&self, leaf: &X509Ref, presented: &[X509]) -> Result<Vec<X509>, CertificateFault> {
        let mut fault = match self.attempt(leaf, presented) {
            Ok(chain) => return Ok(chain),
            Err(fault) => fault,
        };
        for (anchor, between) in self.further_chains(leaf, presented) {
            let Ok(only) = Self::new(vec![anchor]) else {
                continue;
            };
            match only.attempt(leaf, &between) {
                Ok(chain) => return Ok(chain),
                // The fault of a chain whose signatures are right says more than an unknown issuer.
                Err(other) if fault.is_about_the_issuer() => fault = other,
                Err(_) => {}
            }
        }
        if fault.reason == FaultReason::UnknownCa && self.another_key_is_named(leaf) {
            return Err(fault.with_other_key(0));
        }
        Err(fault)
    }

    /// Whether a configured CA has the name of a certificate's issuer, but none of that name has the key that the
    /// certificate's authorityKeyIdentifier names.
    fn another_key_is_named(&self, leaf: &X509Ref) -> bool {
        let mut named = self
            .certificates
            .iter()
            .filter(|anchor| is_named(anchor, leaf.issuer_name()))
            .peekable();
        let mismatched =
            |anchor: &X509| anchor.issued(leaf).as_raw() == openssl_sys::X509_V_ERR_AKID_SKID_MISMATCH;
        named.peek().is_some() && named.all(mismatched)
    }

    /// One chain, which OpenSSL chooses by names and key identifiers.
    fn attempt(&self, leaf: &X509Ref, presented: &[X509]) -> Result<Vec<X509>, CertificateFault> {
        let fault = match verify(&self.clients, leaf, presented) {
            Ok(chain) => return purpose::check_rfc5280(chain),
            Err(fault) => fault,
        };
        if !fault.is_about_the_purpose() {
            return Err(fault);
        }
        // OpenSSL does not take anyExtendedKeyUsage (RFC 5280 section 4.2.1.12) for a client's purpose.
        let chain = verify(&self.any, leaf, presented)?;
        purpose::check(&chain, fault)?;
        purpose::check_rfc5280(chain)
    }

    /// Every chain that the names of subjects and issuers allow, within the limits: the anchor, and the certificates
    /// between it and the leaf.
    fn further_chains(&self, leaf: &X509Ref, presented: &[X509]) -> Vec<(X509, Vec<X509>)> {
        let mut search = Search {
            anchors: &self.certificates,
            presented: presented.get(..PRESENTED).unwrap_or(presented),
            found: Vec::new(),
            visited: 0,
        };
        search.extend(leaf.issuer_name(), &mut Vec::new());
        search.found
    }
}

struct Search<'a> {
    anchors: &'a [X509],
    presented: &'a [X509],
    found: Vec<(X509, Vec<X509>)>,
    visited: usize,
}

impl Search<'_> {
    fn extend(&mut self, issuer: &X509NameRef, between: &mut Vec<X509>) {
        self.visited += 1;
        if self.visited > VISITED || self.found.len() >= TRIED || between.len() >= LENGTH {
            return;
        }
        let room = TRIED - self.found.len();
        let named = self.anchors.iter().filter(|anchor| is_named(anchor, issuer));
        self.found
            .extend(named.take(room).map(|anchor| (anchor.clone(), between.clone())));
        for certificate in self.presented {
            if is_named(certificate, issuer) && !between.contains(certificate) {
                between.push(certificate.clone());
                self.extend(certificate.issuer_name(), between);
                between.pop();
            }
        }
    }
}

fn is_named(certificate: &X509Ref, name: &X509NameRef) -> bool {
    certificate
        .subject_name()
        .try_cmp(name)
        .is_ok_and(std::cmp::Ordering::is_eq)
}

fn store(certificates: &[X509], purpose: X509PurposeId) -> Result<X509Store, TlsError> {
    let mut store = X509StoreBuilder::new()?;
    let mut known: Vec<&X509> = Vec::new();
    for certificate in certificates {
        if !known.contains(&certificate) {
            store.add_cert(certificate.clone())?;
            known.push(certificate);
        }
    }
    let mut parameters = X509VerifyParam::new()?;
    // As in Go, every certificate of the file is an anchor, an intermediate without its root too.
    parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    parameters.set_purpose(purpose)?;
    parameters.set_auth_level(i32::from(SECURITY_LEVEL));
    store.set_param(&parameters)?;
    Ok(store.build())
}

fn verify(store: &X509Store, leaf: &X509Ref, presented: &[X509]) -> Result<Vec<X509>, CertificateFault> {
    let outcome = (|| {
        let mut untrusted = Stack::new()?;
        for issuer in presented {
            untrusted.push(issuer.clone())?;
        }
        X509StoreContext::new()?.init(store, leaf, &untrusted, |context| {
            let good = context.verify_cert()?;
            Ok::<_, ErrorStack>(if good {
                Ok(context.chain().map(owned).unwrap_or_default())
            } else {
                let at_fault = context.current_cert().map(ToOwned::to_owned);
                let (result, depth) = (context.error(), context.error_depth());
                Err(CertificateFault::new(result, depth, at_fault.as_deref()))
            })
        })
    })();
    match outcome {
        Ok(Ok(chain)) if chain.is_empty() => Err(CertificateFault::unverified()),
        Ok(verified) => verified,
        Err(_) => Err(CertificateFault::unverified()),
    }
}
