//! Whose certificate it is that somebody pasted: what a client with it would be here, as `whoami --explain` tells it.

use openssl::x509::X509;

use crate::{
    http::{error::ApiError, exchange::Exchange},
    identity::facts::CertificateFacts,
    pages::{Text, Whose, address, exact},
    revocation::VerifiedChain,
    store::DenialKey,
};

impl Whose {
    /// For a form whose token is not that of its sender.
    pub fn not_asked() -> Self {
        Self::refused(
            "This form is older than the rules that are in force, or of another server: send it once more",
        )
    }

    fn refused(sentence: &str) -> Self {
        Self {
            sentence: Text::from(sentence),
            is_good: false,
            facts: Vec::new(),
            rules: Vec::new(),
            denials: Vec::new(),
        }
    }
}

/// What a client with the certificate of a text in PEM would be, at any listener that takes certificates.
///
/// # Errors
/// When the database fails.
pub async fn whose(exchange: &Exchange<'_>, pem: &str) -> Result<Whose, ApiError> {
    let chain = match platform::tls::parse_certificates(pem.as_bytes()) {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => return Ok(Whose::refused("There is no certificate in PEM in this text.")),
        Err(reason) => return Ok(Whose::refused(&format!("This cannot be read: {reason}."))),
    };
    let Some((leaf, issuers)) = chain.split_first() else {
        return Ok(Whose::refused("There is no certificate in PEM in this text."));
    };
    let security = &exchange.moment().await?.security;
    let generation = &exchange.generation;
    let (sets, verified, faults) = verify(exchange, leaf, issuers);
    let facts = match CertificateFacts::new(leaf, issuers, sets.clone()) {
        Ok(facts) => facts,
        Err(cause) => return Ok(Whose::refused(&format!("This certificate is refused: {cause}."))),
    };
    let registered = security.account_by_key(facts.key_hashes());
    let identified = generation.identity.identify(&facts, registered);
    let withdrawn = verified.as_ref().and_then(|chain| {
        let denied_as = match chain.denied_as() {
            Ok(denied_as) => denied_as,
            Err(reason) => return Some(reason.to_string()),
        };
        if security.denies_any(denied_as) {
            return Some("it is on the deny list".to_owned());
        }
        let listed = generation
            .revocation
            .check_lists(chain, exchange.state.clock.now());
        listed.err().map(|reason| reason.to_string())
    });
    let barred = |name: &str| {
        generation.revocation.check_principal(name).is_err()
            || security.denies_principal(name)
            || security.denies_any(&[DenialKey::of_principal(name)])
    };
    let subject = facts.subject();
    let (is_good, sentence) = match &identified {
        _ if verified.is_none() => (
            false,
            format!(
                "{subject} comes in nowhere: no client CA verifies it. {}",
                faults.join("; ")
            ),
        ),
        Ok(_) | Err(_) if withdrawn.is_some() => (
            false,
            format!("{subject} does not come in: {}.", withdrawn.unwrap_or_default()),
        ),
        Err(refused) => (false, format!("{subject} gets no name: {refused}.")),
        Ok(found) if barred(&found.principal) => (
            false,
            format!(
                "{subject} would be {}, who is barred from this server.",
                found.principal
            ),
        ),
        Ok(found) => {
            let groups = match found.groups.as_slice() {
                [] => "in no group".to_owned(),
                groups => format!("in {}", groups.join(", ")),
            };
            (
                true,
                format!(
                    "{subject} is {}, {groups}, by the identity rule {}.",
                    found.principal, found.rule
                ),
            )
        }
    };
    let key = facts.key();
    let told = vec![
        ("Issued by", Text::from(facts.issuer())),
        ("Serial", Text::from(facts.serial())),
        (
            "Valid",
            Text::new(format!(
                "{} to {}",
                exact(facts.not_before()),
                exact(facts.not_after())
            )),
        ),
        ("Names", Text::new(facts.alternative_names().join(", "))),
        (
            "Key",
            Text::new(format!(
                "{}, {} bits, sha256 {}",
                key.key_type,
                key.bits,
                facts.spki_sha256()
            )),
        ),
        (
            "Account",
            registered.map_or_else(|| Text::from("none"), |account| Text::from(account.name.as_str())),
        ),
        (
            "Verified by",
            Text::new(if sets.is_empty() {
                "no client CA".to_owned()
            } else {
                sets.join(", ")
            }),
        ),
    ];
    let mut denials = vec![
        (
            "Deny this certificate",
            address(
                "/access/confirm",
                &[
                    ("do", "deny"),
                    ("serial", facts.serial()),
                    ("issuer", facts.issuer()),
                ],
            ),
        ),
        (
            "Deny its key",
            address(
                "/access/confirm",
                &[("do", "deny"), ("spki", facts.spki_sha256())],
            ),
        ),
    ];
    if let Ok(found) = &identified {
        denials.push((
            "Deny its name",
            address(
                "/access/confirm",
                &[("do", "deny"), ("principal", &found.principal)],
            ),
        ));
    }
    Ok(Whose {
        sentence: Text::new(sentence),
        is_good,
        facts: told,
        rules: generation
            .identity
            .explain(&facts, registered)
            .into_iter()
            .map(|trace| {
                let told = trace.to_string();
                let says = told.split_once(": ").map_or(told.as_str(), |(_, says)| says);
                (Text::from(trace.rule.as_str()), Text::from(says))
            })
            .collect(),
        denials,
    })
}

/// The CA sets that verify a certificate at any listener, its chain, and why others do not.
fn verify(
    exchange: &Exchange<'_>,
    leaf: &X509,
    issuers: &[X509],
) -> (Vec<String>, Option<VerifiedChain>, Vec<String>) {
    let (mut sets, mut chain, mut faults): (Vec<String>, _, Vec<String>) = (Vec::new(), None, Vec::new());
    for listener in exchange.generation.listeners() {
        let Some(trust) = listener.trust() else { continue };
        match trust.verify(leaf, issuers) {
            Ok(verified) => {
                for set in verified.sets {
                    if !sets.contains(&set) {
                        sets.push(set);
                    }
                }
                chain.get_or_insert_with(|| VerifiedChain::new(verified.chain));
            }
            Err(fault) => {
                let fault = format!("{}: {}", listener.name(), fault.explanation);
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
    }
    (sets, chain, faults)
}
