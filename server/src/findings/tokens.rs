//! Checks the keys of this server's own token service, and whether it fits the rest of the configuration.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use chrono::{DateTime, Utc};
use platform::tls::{parse_certificates, read_certificates, utc};

use super::Finding;
use crate::{
    config::{Config, Listener, TokenKey, TokenServiceSettings},
    generation::GenerationError,
    identity::token::key_id,
    tokens::TokenService,
};

/// Everybody but the owner of a file.
const OTHERS: u32 = 0o077;

/// Checks each key by itself, so that what is wrong with one does not hide what is wrong with the next.
pub(super) fn of_keys(config: &Config) -> Vec<Finding> {
    let Some(service) = &config.token_service else {
        return Vec::new();
    };
    let alone = |key: &TokenKey| TokenServiceSettings {
        keys: vec![key.clone()],
        ..service.clone()
    };
    let causes = service.keys.iter().map(|key| TokenService::load(&alone(key)));
    causes
        .filter_map(Result::err)
        .map(|cause| Finding::refusal(GenerationError::TokenService(cause).to_string()))
        .collect()
}

/// Finds what does not prevent a start, and makes registries refuse tokens, or issues them to people who should get none.
pub(super) fn of_service(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let Some(service) = &config.token_service else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for key in &service.keys {
        findings.extend(open_to_others(&key.file));
        if let Some(path) = &key.certificates {
            findings.extend(dates(path, service.x5c, now));
        }
    }
    findings.extend(nobody_is_known(config));
    findings.extend(not_trusted_here(config, service));
    findings
}

/// A key that others may read lets them issue tokens.
fn open_to_others(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & OTHERS != 0).then(|| {
        Finding::note(
            format!(
                "token_service.keys: {} is open to others (mode {mode:03o}), who could issue tokens with it",
                path.display()
            ),
            format!("chmod 600 {}", path.display()),
        )
    })
}

/// Registries verify the certificates that tokens carry; of those that they are configured with they take the keys alone.
fn dates(path: &Path, carried: bool, now: DateTime<Utc>) -> Option<Finding> {
    let chain = read_certificates("the certificates", path).ok()?;
    let leaf = chain.first()?;
    let file = format!("token_service.keys: the certificate {}", path.display());
    let (from, until) = (utc(leaf.not_before())?, utc(leaf.not_after())?);
    let what = if until < now {
        format!("{file} expired at {}", until.format("%F %R UTC"))
    } else if from > now {
        format!("{file} is not valid before {}", from.format("%F %R UTC"))
    } else {
        return None;
    };
    Some(if carried {
        Finding::broken(
            what,
            "issue a new one for the same key; registries refuse tokens that carry it",
        )
    } else {
        Finding::note(
            what,
            "issue a new one for the same key before a registry looks at its dates",
        )
    })
}

fn nobody_is_known(config: &Config) -> Option<Finding> {
    let known = |listener: &Listener| {
        listener.asks()
            || config
                .password
                .as_ref()
                .is_some_and(|passwords| passwords.taken_at(listener))
    };
    (config.policy.is_none() && !config.listeners.iter().any(known)).then(|| {
        Finding::note(
            "token_service: no listener asks for certificates or passwords, and there is no policy, so everybody gets tokens \
             that grant everything",
            "set server.client_ca_file, auth.password or policy",
        )
    })
}

/// Whether `auth.type: token` expects our own tokens and does not trust the key that signs them.
fn not_trusted_here(config: &Config, service: &TokenServiceSettings) -> Option<Finding> {
    let auth = config.auth.as_ref()?;
    let ours =
        auth.issuer == service.issuer && service.services.iter().any(|known| known.name == auth.service);
    if !ours {
        return None;
    }
    let bundle = parse_certificates(&platform::files::read(&auth.bundle).ok()?).ok()?;
    let trusted: Vec<String> = bundle
        .iter()
        .filter_map(|certificate| key_id(&certificate.public_key().ok()?).ok())
        .collect();
    let loaded = TokenService::load(service).ok()?;
    let signed_by = loaded.signing_key_id();
    // With x5c it may lead to a certificate of the bundle.
    (!service.x5c && !trusted.iter().any(|known| known == signed_by)).then(|| {
        Finding::note(
            format!(
                "auth.options.rootcertbundle {} has no certificate of the first key of token_service.keys ({signed_by}), so \
                 tokens that this server issues are refused by this server",
                auth.bundle.display()
            ),
            "append the certificate of that key to the bundle",
        )
    })
}
