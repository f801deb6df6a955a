//! Gets a token from the token service that another server names (the token authentication of the Docker registry,
//! distribution specification).

use std::env;

use platform::reason::innermost;
use reqwest::{Url, blocking::Client};
use serde::Deserialize;

/// The largest response of a token service, in bytes.
const TOKEN_LIMIT: u64 = 1 << 20;

/// The credentials for another server or its token service.
#[derive(Clone)]
pub(super) enum Credentials {
    /// None; a token service may still give an anonymous token.
    None,
    /// A bearer token.
    Token(String),
    /// A user's name and password, for the token service.
    User { name: String, password: String },
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Credentials {
    /// Reads them from environment variables with these names, because other users can see command lines.
    pub(super) fn from_environment(token: Option<&str>, user: Option<&str>) -> Result<Self, String> {
        let value = |name: &str| {
            let found = env::var(name).ok().filter(|value| !value.is_empty());
            found.ok_or_else(|| format!("the environment variable {name} is not set"))
        };
        match (token, user) {
            (Some(variable), _) => value(variable).map(Self::Token),
            (None, Some(variable)) => match value(variable)?.split_once(':') {
                Some((name, password)) => Ok(Self::User {
                    name: name.to_owned(),
                    password: password.to_owned(),
                }),
                None => Err(format!("{variable} should hold NAME:PASSWORD")),
            },
            (None, None) => Ok(Self::None),
        }
    }
}

/// Gets the token that the challenge of a 401 response asks for.
pub(super) fn login(
    client: &Client,
    challenge: &str,
    credentials: &Credentials,
    must_be_https: bool,
) -> Result<String, String> {
    let realm = realm(challenge)?;
    let mut url = Url::parse(&realm.address).map_err(|cause| format!("{}: {cause}", realm.address))?;
    if must_be_https && url.scheme() != "https" {
        return Err(format!("its token service {url} is not https"));
    }
    for (name, value) in realm.parameters {
        url.query_pairs_mut().append_pair(&name, &value);
    }
    let mut request = client.get(url.clone());
    if let Credentials::User { name, password } = credentials {
        url.query_pairs_mut().append_pair("account", name);
        request = client.get(url.clone()).basic_auth(name, Some(password));
    }
    url.set_query(None);
    let failed = |reason: String| format!("logging in at {url}: {reason}");
    let answer = request.send().map_err(|cause| failed(innermost(&cause)))?;
    if !answer.status().is_success() {
        return Err(failed(format!("it answered {}", answer.status())));
    }
    let answer: Answer = serde_json::from_reader(std::io::Read::take(answer, TOKEN_LIMIT))
        .map_err(|_| failed("its answer contains no token".to_owned()))?;
    let token = answer.token.or(answer.access_token);
    token.ok_or_else(|| failed("its answer contains no token".to_owned()))
}

/// Where to log in, and which access to ask for.
struct Realm {
    address: String,
    parameters: Vec<(String, String)>,
}

fn realm(challenge: &str) -> Result<Realm, String> {
    let challenges = http_auth::parse_challenges(challenge)
        .map_err(|_| "it answers 401 with a challenge that cannot be read".to_owned())?;
    let bearer = challenges
        .iter()
        .find(|c| c.scheme.eq_ignore_ascii_case("bearer"));
    let bearer = bearer.ok_or("it asks for a login other than with a token")?;
    let parameter = |wanted: &str| {
        let found = bearer
            .params
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.to_unescaped())
    };
    let address = parameter("realm").ok_or("it does not say where to log in")?;
    let parameters = ["service", "scope"]
        .into_iter()
        .filter_map(|name| parameter(name).map(|value| (name.to_owned(), value)));
    Ok(Realm {
        address,
        parameters: parameters.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notary_challenge_names_service_and_scope() {
        let realm = realm(
            r#"Bearer realm="https://auth.example.com/token",service="n",scope="repository:a/b:pull",error="x""#,
        )
        .unwrap();
        assert_eq!(realm.address, "https://auth.example.com/token");
        let expected = [("service", "n"), ("scope", "repository:a/b:pull")];
        assert_eq!(
            realm.parameters,
            expected.map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn other_challenges_are_refused_in_words() {
        for (challenge, expected) in [
            (r#"Basic realm="x""#, "other than with a token"),
            (r#"Bearer service="x""#, "where to log in"),
            ("\"", "cannot be read"),
        ] {
            let refusal = realm(challenge).err().unwrap();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
