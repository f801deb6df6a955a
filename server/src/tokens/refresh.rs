//! Refresh tokens: what a client keeps instead of a password to ask for tokens later. They say who somebody was, never
//! what they may do, and are for this token service alone.

use chrono::{DateTime, Utc};
use josekit::jwt;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Holder, SigningFault, TokenService};
use crate::config::TokenAudience;

/// The type of refresh tokens, so that nothing else is taken for one.
const REFRESH: &str = "refresh+jwt";
/// The longest token that is looked at, in bytes.
const LIMIT: usize = 8192;

/// What a refresh token that we issued says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The principal's name.
    pub subject: String,
    /// The certificate that has to come with it.
    pub bound_to: Option<String>,
    /// For a login by password, the mark of the password that was right then.
    pub password: Option<String>,
}

/// Why a refresh token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefreshRefusal {
    /// It is not one of ours.
    #[error("the refresh token was not issued by this server")]
    Foreign,
    /// Its time is over.
    #[error("the refresh token has expired: log in again")]
    Expired,
    /// It was issued for another service.
    #[error("the refresh token is for another service: log in again")]
    OtherService,
    /// Refresh tokens are switched off.
    #[error("refresh tokens are not accepted any more: log in again")]
    Off,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
    service: String,
    password: Option<String>,
    cnf: Option<Confirmation>,
}

#[derive(Deserialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    certificate: String,
}

impl TokenService {
    /// Issues a refresh token. `password` is the mark of the password with which its holder logged in; a holder without
    /// a certificate must have one.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn refresh_token(
        &self,
        holder: &Holder,
        password: Option<&str>,
        service: &TokenAudience,
        now: DateTime<Utc>,
    ) -> Result<Option<String>, SigningFault> {
        let bound = password.is_some() || holder.bound_to.is_some();
        if !self.refreshes() || !bound || holder.subject.is_empty() {
            return Ok(None);
        }
        let mut claims = json!({
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": holder.subject,
            "exp": holder.end(now, self.refresh_lifetime),
            "iat": now.timestamp(),
            "jti": Uuid::new_v4().to_string(),
            "service": service.name,
        });
        match (holder.confirmation(), password) {
            (Some(confirmation), _) => claims["cnf"] = confirmation,
            (None, Some(password)) => claims["password"] = json!(password),
            (None, None) => return Ok(None),
        }
        self.sign(REFRESH, claims).map(Some)
    }

    /// What a refresh token says, if it is one of ours and its time is not over.
    ///
    /// # Errors
    /// When it is not.
    pub fn read_refresh_token(
        &self,
        token: &str,
        service: &TokenAudience,
        now: DateTime<Utc>,
    ) -> Result<RefreshToken, RefreshRefusal> {
        if !self.refreshes() {
            return Err(RefreshRefusal::Off);
        }
        if token.len() > LIMIT {
            return Err(RefreshRefusal::Foreign);
        }
        let decoded = jwt::decode_with_verifier_selector(token, |header| {
            let named = header.key_id().and_then(|id| self.keys.named(id));
            Ok(named.map(|key| key.verifier()))
        });
        let (payload, header) = decoded.map_err(|_| RefreshRefusal::Foreign)?;
        let claims = serde_json::to_value(payload.claims_set())
            .and_then(serde_json::from_value::<Claims>)
            .map_err(|_| RefreshRefusal::Foreign)?;
        if header.token_type() != Some(REFRESH) || claims.iss != self.issuer || claims.aud != self.issuer {
            return Err(RefreshRefusal::Foreign);
        }
        if now.timestamp() >= claims.exp {
            return Err(RefreshRefusal::Expired);
        }
        if claims.service != service.name {
            return Err(RefreshRefusal::OtherService);
        }
        Ok(RefreshToken {
            subject: claims.sub,
            bound_to: claims.cnf.map(|confirmation| confirmation.certificate),
            password: claims.password,
        })
    }
}
