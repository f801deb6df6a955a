//! The tokens that this server issues, as the Docker registry's token specification has them: signed statements of who
//! somebody is and what they may do, for registries and trust servers that trust our keys.

mod grant;
mod keys;
mod refresh;
mod scope;

use std::time::Duration;

use chrono::{DateTime, Utc};
use josekit::{
    jws::JwsHeader,
    jwt::{self, JwtPayload},
};
use platform::tls::TlsError;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    config::{TokenAudience, TokenServiceSettings},
    identity::{Method, Principal},
};

pub use grant::{Granted, granted};
use keys::{SigningKey, SigningKeys};
pub use refresh::{RefreshRefusal, RefreshToken};
pub use scope::{Scope, ScopeFault};

/// How far the clock of a registry may be behind ours beyond the tolerance that it has itself, in seconds.
const CLOCKS_APART: i64 = 60;
/// The type of access tokens (RFC 7519 section 5.1).
const ACCESS: &str = "JWT";

/// The token service: its keys, and for whom it issues tokens.
pub struct TokenService {
    issuer: String,
    keys: SigningKeys,
    x5c: bool,
    lifetime: Duration,
    refresh_lifetime: Duration,
    services: Vec<TokenAudience>,
}

/// For whom a token is: who somebody is, and what limits that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The principal's name; empty for an anonymous client.
    pub subject: String,
    /// The certificate that has to come with the token: its SHA-256 in base64url (RFC 8705 section 3.1).
    pub bound_to: Option<String>,
    /// When that certificate, or one of its issuers, expires.
    pub until: Option<DateTime<Utc>>,
}

/// A token that was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// When it was issued.
    pub at: DateTime<Utc>,
    /// How long it is valid, in seconds.
    pub seconds: i64,
}

/// What a token grants on one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class of the resource, such as `plugin`, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The resource's name, as it was asked for.
    pub name: String,
    /// The actions.
    pub actions: Vec<String>,
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("a token could not be signed: {0}")]
pub struct SigningFault(String);

impl Holder {
    /// The holder of the tokens of a principal.
    pub fn of(principal: &Principal) -> Self {
        let certificate = principal.certificate();
        Self {
            subject: match principal.method() {
                Method::Anonymous => String::new(),
                _ => principal.name().to_owned(),
            },
            bound_to: certificate.map(|verified| verified.facts.thumbprint()),
            until: certificate.map(|verified| verified.valid_until()),
        }
    }

    fn confirmation(&self) -> Option<Value> {
        self.bound_to.as_ref().map(|digest| json!({"x5t#S256": digest}))
    }

    /// When something that is to be valid for this long from now on has to end.
    fn end(&self, now: DateTime<Utc>, lifetime: Duration) -> i64 {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let end = now.timestamp().saturating_add(lifetime);
        self.until.map_or(end, |until| end.min(until.timestamp()))
    }
}

impl TokenService {
    /// Reads the keys.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn load(settings: &TokenServiceSettings) -> Result<Self, TlsError> {
        Ok(Self {
            issuer: settings.issuer.clone(),
            keys: SigningKeys::load(&settings.keys)?,
            x5c: settings.x5c,
            lifetime: settings.lifetime,
            refresh_lifetime: settings.refresh_lifetime,
            services: settings.services.clone(),
        })
    }

    /// The service with a name.
    pub fn service(&self, name: &str) -> Option<&TokenAudience> {
        self.services.iter().find(|service| service.name == name)
    }

    /// The public keys as a JWK set (RFC 7517 section 5).
    pub fn key_set(&self) -> Value {
        self.keys.public()
    }

    /// Whether a token of this issuer that was verified with the key of this ID is one of ours. Nobody else has our
    /// private keys.
    pub fn has_issued(&self, issuer: &str, key_id: &str) -> bool {
        issuer == self.issuer && self.keys.named(key_id).is_some()
    }

    /// The ID of the key that signs.
    pub fn signing_key_id(&self) -> &str {
        self.keys.signing().id()
    }

    /// Whether refresh tokens are issued.
    pub fn refreshes(&self) -> bool {
        !self.refresh_lifetime.is_zero()
    }

    /// Issues a token that says what its holder may do at a service.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn access_token(
        &self,
        holder: &Holder,
        service: &TokenAudience,
        access: &[Entry],
        now: DateTime<Utc>,
    ) -> Result<Issued, SigningFault> {
        let (issued_at, end) = (now.timestamp(), holder.end(now, self.lifetime));
        let mut claims = json!({
            "iss": self.issuer,
            "sub": holder.subject,
            "aud": service.name,
            "exp": end,
            "nbf": issued_at - CLOCKS_APART,
            "iat": issued_at,
            "jti": Uuid::new_v4().to_string(),
            "access": access,
        });
        if let Some(confirmation) = holder.confirmation() {
            claims["cnf"] = confirmation;
        }
        Ok(Issued {
            token: self.sign(ACCESS, claims)?,
            at: now,
            seconds: end - issued_at,
        })
    }

    fn sign(&self, kind: &str, claims: Value) -> Result<String, SigningFault> {
        let failed = |cause: &dyn std::fmt::Display| SigningFault(cause.to_string());
        let claims: Map<String, Value> = match claims {
            Value::Object(claims) => claims,
            _ => return Err(failed(&"the claims are not an object")),
        };
        let payload = JwtPayload::from_map(claims).map_err(|cause| failed(&cause))?;
        let key: &SigningKey = self.keys.signing();
        let mut header = JwsHeader::new();
        header.set_token_type(kind);
        header.set_key_id(key.id());
        if self.x5c {
            header.set_x509_certificate_chain(key.chain());
        }
        jwt::encode_with_signer(&payload, &header, key.signer()).map_err(|cause| failed(&cause))
    }
}

#[cfg(test)]
mod tests;
