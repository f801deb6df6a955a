//! Gets tokens from the token service that a server names (the token authentication of the Docker registry,
//! distribution specification).

use std::{collections::HashMap, sync::Mutex, sync::PoisonError, time::Duration, time::Instant};

use chrono::{DateTime, Utc};
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use super::discovery::is_this_machine;

/// How long a token serves whose service does not say how long (distribution specification).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(10);
/// How many tokens are kept.
const MAX_TOKENS: usize = 1_000;

/// What a server asks for in a 401.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from this address.
    Bearer { realm: Url, service: Option<String> },
    /// Name and password, to itself.
    Basic,
}

/// The answer of a token service.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
    issued_at: Option<DateTime<Utc>>,
}

/// Tokens by their scope.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<String, (SecretString, Instant)>>);

impl Challenge {
    /// Reads the headers of a 401, of which the first that can be followed counts. A token service of an `https` server
    /// must be `https` too; one of a server without TLS may also be without it on this machine.
    pub(super) fn read<'a>(
        headers: impl IntoIterator<Item = &'a str>,
        must_be_https: bool,
    ) -> Result<Self, String> {
        let mut reason = "it does not say where to log in".to_owned();
        for header in headers {
            let Ok(challenges) = http_auth::parse_challenges(header) else {
                reason = "it answers 401 with a challenge that cannot be read".into();
                continue;
            };
            for challenge in challenges {
                match Self::of(&challenge, must_be_https) {
                    Ok(found) => return Ok(found),
                    Err(cause) => reason = cause,
                }
            }
        }
        Err(reason)
    }

    fn of(challenge: &http_auth::ChallengeRef<'_>, must_be_https: bool) -> Result<Self, String> {
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Ok(Self::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return Err("it asks for a login other than with a token or password".into());
        }
        let parameter = |wanted: &str| {
            let found = challenge
                .params
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.to_unescaped())
        };
        let address = parameter("realm").ok_or("it does not say where to log in")?;
        let realm =
            Url::parse(&address).map_err(|_| format!("its token service {address:?} is no address"))?;
        match realm.scheme() {
            "https" => {}
            "http" if !must_be_https && is_this_machine(realm.authority()) => {}
            _ => return Err(format!("its token service {address:?} is not https")),
        }
        if !realm.username().is_empty() || realm.password().is_some() {
            return Err(format!("its token service {address:?} holds a name or password"));
        }
        Ok(Self::Bearer {
            realm,
            service: parameter("service"),
        })
    }
}

impl TokenAnswer {
    /// The token, and how long it serves from now on.
    pub(super) fn into_token(self, now: DateTime<Utc>) -> Option<(SecretString, Duration)> {
        let token = self
            .token
            .or(self.access_token)
            .filter(|token| !token.is_empty())?;
        let lifetime = self.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
        // A clock that differs from ours makes a token serve shorter, never longer than it says.
        let age = self.issued_at.map_or(Duration::ZERO, |issued| {
            (now - issued).to_std().unwrap_or_default()
        });
        Some((token.into(), lifetime.saturating_sub(age)))
    }
}

impl Tokens {
    /// The token for a scope, if it still serves.
    pub(super) fn get(&self, scope: &str) -> Option<SecretString> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (token, end) = tokens.get(scope)?;
        (*end > Instant::now() + MARGIN).then(|| token.clone())
    }

    /// Keeps a token.
    pub(super) fn put(&self, scope: &str, token: SecretString, lifetime: Duration) {
        let now = Instant::now();
        let Some(end) = now.checked_add(lifetime) else {
            return;
        };
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, (_, end)| *end > now);
        }
        if tokens.len() < MAX_TOKENS {
            tokens.insert(scope.to_owned(), (token, end));
        }
    }

    /// Forgets a token that was refused.
    pub(super) fn forget(&self, scope: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(scope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_notary_challenge_names_realm_and_service() {
        let header =
            r#"Bearer realm="https://auth.example.com/token",service="n",scope="repository:a/b:pull""#;
        let expected = Challenge::Bearer {
            realm: Url::parse("https://auth.example.com/token").unwrap(),
            service: Some("n".into()),
        };
        assert_eq!(Challenge::read([header], true), Ok(expected));
        assert_eq!(
            Challenge::read([r#"Negotiate"#, r#"Basic realm="x""#], true),
            Ok(Challenge::Basic)
        );
    }

    #[test]
    fn other_challenges_are_refused_in_words() {
        for (challenge, expected) in [
            (r#"Digest realm="x""#, "other than with a token"),
            (r#"Bearer service="x""#, "where to log in"),
            (r#"Bearer realm="http://auth""#, "not https"),
            (r#"Bearer realm="https://u:p@auth""#, "holds a name"),
            ("\"", "cannot be read"),
        ] {
            let refusal = Challenge::read([challenge], true).unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
        }
        assert!(Challenge::read([], true).is_err());
        assert!(Challenge::read([r#"Bearer realm="http://auth""#], false).is_err());
        assert!(Challenge::read([r#"Bearer realm="http://127.0.0.1:5001/auth""#], false).is_ok());
    }

    #[test]
    fn a_token_serves_as_long_as_it_says() {
        let answer = |text: &str| serde_json::from_str::<TokenAnswer>(text).unwrap();
        let now = Utc::now();
        let (token, lifetime) = answer(r#"{"access_token": "a"}"#).into_token(now).unwrap();
        assert_eq!((token.expose_secret(), lifetime), ("a", DEFAULT_LIFETIME));
        assert!(answer(r#"{"token": ""}"#).into_token(now).is_none());
        let tokens = Tokens::default();
        tokens.put("s", "t".into(), Duration::from_secs(300));
        assert_eq!(tokens.get("s").unwrap().expose_secret(), "t");
        tokens.put("s", "t".into(), MARGIN);
        assert!(tokens.get("s").is_none());
    }
}
