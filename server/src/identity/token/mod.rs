//! Token authentication as Notary and the Docker registry do it: a bearer token, signed by a service that this server
//! trusts, names what its holder may do.

mod claims;
mod jws;
mod trusted;

use std::path::Path;

use chrono::{DateTime, Utc};

pub use claims::Access;
use trusted::TrustedKeys;
pub use trusted::key_id;

use crate::config::Realm;

/// The token service to which clients without a certificate are sent.
pub struct TokenAuth {
    realm: Realm,
    service: String,
    issuer: String,
    keys: TrustedKeys,
}

/// Why the file with the token service's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// It contains no usable certificate.
    #[error("{0}")]
    Certificates(String),
}

/// A token that is good for what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Its subject.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The ID of the key that signed it.
    pub key_id: String,
}

/// A request has no token, or not a sufficient one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TokenRefusal {
    /// The error code in the challenge; `None` if there was no token.
    pub error: Option<&'static str>,
    /// What is wrong with the token, for the log.
    pub reason: String,
    /// Whether the token is good, but its certificate did not come with it.
    pub bound: bool,
}

impl TokenRefusal {
    /// A token that is not accepted.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self {
            error: Some("invalid_token"),
            reason: reason.into(),
            bound: false,
        }
    }
}

impl TokenAuth {
    /// Trusts the tokens that `issuer` signs for `service` with a key of `bundle`, a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn new(realm: Realm, service: String, issuer: String, bundle: &Path) -> Result<Self, BundleError> {
        Ok(Self {
            realm,
            service,
            issuer,
            keys: TrustedKeys::read(bundle)?,
        })
    }

    /// The token in an `Authorization` header of a client without a good certificate, if the token grants everything
    /// required.
    ///
    /// # Errors
    /// When there is no token, it is invalid, it is bound to a certificate, or it grants too little.
    pub fn check(
        &self,
        authorization: Option<&str>,
        required: &[Access],
        now: DateTime<Utc>,
    ) -> Result<Bearer, TokenRefusal> {
        let token = authorization.and_then(bearer).ok_or_else(|| TokenRefusal {
            error: None,
            reason: "no client certificate and no token was presented".to_owned(),
            bound: false,
        })?;
        let parsed = jws::Token::parse(token).map_err(TokenRefusal::invalid)?;
        let claims = &parsed.claims;
        claims
            .check(&self.issuer, &self.service, now)
            .map_err(TokenRefusal::invalid)?;
        let key = self.keys.key_for(&parsed.header).map_err(TokenRefusal::invalid)?;
        parsed.verify(&key).map_err(TokenRefusal::invalid)?;
        if claims.bound_to.is_some() {
            return Err(TokenRefusal {
                bound: true,
                ..TokenRefusal::invalid(
                    "the token is bound to a client certificate, and this connection has not presented it",
                )
            });
        }
        match required.iter().find(|access| !claims.grants(access)) {
            None => Ok(Bearer {
                subject: claims.subject.clone(),
                issuer: claims.issuer.clone(),
                key_id: key_id(&key)
                    .map_err(|cause| TokenRefusal::invalid(platform::reason::of_openssl(&cause)))?,
            }),
            Some(missing) => Err(TokenRefusal {
                error: Some("insufficient_scope"),
                reason: format!("the token does not grant {missing}"),
                bound: false,
            }),
        }
    }

    /// Checks that the token in an `Authorization` header, if there is one, is not bound to another certificate than
    /// the one that was presented with it. Nothing else about it matters beside a certificate.
    ///
    /// # Errors
    /// When it is.
    pub fn check_beside(
        authorization: Option<&str>,
        presented: impl FnOnce() -> String,
    ) -> Result<(), TokenRefusal> {
        let parsed = authorization.and_then(bearer).map(jws::Token::parse);
        let bound = parsed
            .and_then(Result::ok)
            .and_then(|token| token.claims.bound_to);
        match bound {
            Some(bound) if bound != presented() => Err(TokenRefusal::invalid(
                "the token is bound to another client certificate than the one that was presented",
            )),
            _ => Ok(()),
        }
    }

    /// The `WWW-Authenticate` header that tells a client where to get which token. `host` is the name by which the
    /// client addressed this server.
    pub fn challenge(&self, host: &str, required: &[Access], refusal: &TokenRefusal) -> String {
        let realm = match &self.realm {
            Realm::Url(url) => url.clone(),
            Realm::SameHost => format!("https://{host}/auth/token"),
        };
        let mut challenge = format!(
            "Bearer realm={},service={}",
            quoted(&realm),
            quoted(&self.service)
        );
        if let Some(first) = required.first() {
            let actions: Vec<&str> = required.iter().map(|access| access.action.as_str()).collect();
            let scope = format!("{}:{}:{}", first.kind, first.name, actions.join(","));
            challenge.push_str(&format!(",scope={}", quoted(&scope)));
        }
        if let Some(error) = refusal.error {
            challenge.push_str(&format!(",error={}", quoted(error)));
            // RFC 6750 section 3: neither quotes nor backslashes.
            let why = refusal.reason.replace(['"', '\\'], "'");
            challenge.push_str(&format!(",error_description={}", quoted(&why)));
        }
        challenge
    }
}

/// The token of a header that consists of two parts, the first being "bearer" in any case; `None` for anything else.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.contains(' ')).then_some(token)
}

/// A quoted string as Go writes it: characters that a header cannot carry are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            other if u32::from(other) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => out.push_str(&format!("\\U{:08x}", u32::from(other))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
