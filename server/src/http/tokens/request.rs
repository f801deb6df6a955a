//! What a request for a token says: in the query of a GET, or in the form of a POST (OAuth 2.0).

use actix_web::http::{Method, header::CONTENT_TYPE};

use crate::{
    config::TokenAudience,
    http::{body, error::ApiError, exchange::Exchange},
    identity::password::{Credentials, PasswordRefusal},
    tokens::{Scope, ScopeFault, TokenService},
};

/// The largest form, in bytes.
const FORM_LIMIT: usize = 64 * 1024;
/// The most scopes in one request: dockerd asks for one, or for two to mount a layer of another repository.
const SCOPES_LIMIT: usize = 32;
const FORM: &str = "application/x-www-form-urlencoded";

/// A request for a token.
pub struct TokenRequest {
    /// The service that the token is for.
    service: String,
    /// What it is to grant.
    pub scopes: Vec<Scope>,
    /// How the caller logs in, if not with a certificate.
    pub login: Login,
    /// Whether a refresh token is wanted.
    pub offline: bool,
}

/// How a caller without a certificate logs in.
pub enum Login {
    /// With an `Authorization` header, or not at all.
    Header,
    /// With a user name and a password.
    Password(Result<Credentials, PasswordRefusal>),
    /// With a refresh token.
    Refresh(String),
}

/// What is wrong with a request for a token. Clients show these sentences.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    /// It does not say what the token is for.
    #[error("the parameter service is missing: it says which registry the token is for")]
    NoService,
    /// No tokens are issued for that.
    #[error(
        "no tokens are issued here for the service {0:?}: compare the registry's configuration (auth.token.service) with token_service.services"
    )]
    UnknownService(String),
    /// A scope is malformed.
    #[error(transparent)]
    Scope(#[from] ScopeFault),
    /// It asks for too much at once.
    #[error("the request has {0} scopes; at most {SCOPES_LIMIT} are allowed")]
    TooManyScopes(usize),
    /// A parameter has several values where there can be only one.
    #[error("the parameter {0} is repeated")]
    Repeated(&'static str),
    /// A parameter that is needed is missing.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// The body is not a form.
    #[error("the body is not a form ({FORM})")]
    NotAForm,
    /// The way to log in is not known.
    #[error("the grant_type {0:?} is not supported: use password or refresh_token")]
    GrantType(String),
    /// Neither yes nor no.
    #[error("offline_token is true or false")]
    Offline,
}

/// Reads a request for a token.
///
/// # Errors
/// When it is malformed, or for a service for which no tokens are issued.
pub async fn read(exchange: &mut Exchange<'_>) -> Result<TokenRequest, ApiError> {
    let request = if exchange.request.method() == Method::POST {
        let kind = exchange.request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(FORM) {
            return Err(TokenFault::NotAForm.into());
        }
        let form = body::read_whole(exchange.request, exchange.payload, FORM_LIMIT).await?;
        let text = std::str::from_utf8(&form).map_err(|_| TokenFault::NotAForm)?;
        of_form(&Parameters::parse(text)?)?
    } else {
        of_query(&Parameters::parse(exchange.query())?)?
    };
    exchange
        .record
        .asks_for_token(request.service.clone(), request.asked());
    if let Some(service) = &exchange.generation.token_service {
        request.audience(service)?;
    }
    Ok(request)
}

impl TokenRequest {
    /// The service that the token is for.
    ///
    /// # Errors
    /// When no tokens are issued for it.
    pub fn audience<'a>(&self, service: &'a TokenService) -> Result<&'a TokenAudience, TokenFault> {
        service
            .service(&self.service)
            .ok_or_else(|| TokenFault::UnknownService(self.service.chars().take(100).collect()))
    }

    /// The scopes as they were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.scopes.iter().map(Scope::to_string).collect()
    }
}

fn of_query(parameters: &Parameters) -> Result<TokenRequest, TokenFault> {
    parameters.one("account")?;
    parameters.one("client_id")?;
    Ok(TokenRequest {
        service: parameters.service()?,
        scopes: parameters.scopes()?,
        login: Login::Header,
        offline: match parameters.one("offline_token")? {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(TokenFault::Offline),
        },
    })
}

fn of_form(parameters: &Parameters) -> Result<TokenRequest, TokenFault> {
    parameters.one("client_id")?;
    let needed = |name| parameters.one(name)?.ok_or(TokenFault::Missing(name));
    let login = match needed("grant_type")? {
        "password" => Login::Password(Credentials::new(needed("username")?, needed("password")?)),
        "refresh_token" => Login::Refresh(needed("refresh_token")?.to_owned()),
        other => return Err(TokenFault::GrantType(other.chars().take(100).collect())),
    };
    Ok(TokenRequest {
        service: parameters.service()?,
        scopes: parameters.scopes()?,
        login,
        offline: parameters.one("access_type")? == Some("offline"),
    })
}

/// The parameters of a query or form; those that nobody asks for are ignored.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(text: &str) -> Result<Self, TokenFault> {
        let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(text);
        Ok(Self(pairs.map_err(|_| TokenFault::NotAForm)?.into_inner()))
    }

    /// The value of a parameter that cannot have several.
    fn one(&self, name: &'static str) -> Result<Option<&str>, TokenFault> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        let first = values.next().map(|(_, value)| value.as_str());
        match values.next() {
            Some(_) => Err(TokenFault::Repeated(name)),
            None => Ok(first),
        }
    }

    fn service(&self) -> Result<String, TokenFault> {
        let named = self.one("service")?.filter(|service| !service.is_empty());
        named.map(str::to_owned).ok_or(TokenFault::NoService)
    }

    /// Several scopes are several parameters, or are separated by blanks in one.
    fn scopes(&self) -> Result<Vec<Scope>, TokenFault> {
        let written: Vec<&str> = self
            .0
            .iter()
            .filter(|(key, _)| key == "scope")
            .flat_map(|(_, value)| value.split(' '))
            .filter(|scope| !scope.is_empty())
            .collect();
        if written.len() > SCOPES_LIMIT {
            return Err(TokenFault::TooManyScopes(written.len()));
        }
        Ok(written.into_iter().map(Scope::parse).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<TokenRequest, String> {
        Parameters::parse(text)
            .and_then(|parameters| of_query(&parameters))
            .map_err(|fault| fault.to_string())
    }

    fn form(text: &str) -> Result<TokenRequest, String> {
        Parameters::parse(text)
            .and_then(|parameters| of_form(&parameters))
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn scopes_come_in_several_parameters_and_in_one() {
        let read = query(
            "account=alice&service=reg&scope=repository:a:pull%20repository:b:pull&scope=repository:c:push&x=1&x=2",
        );
        let read = read.unwrap();
        assert_eq!(
            read.asked(),
            ["repository:a:pull", "repository:b:pull", "repository:c:push"]
        );
        assert!(!read.offline && query("service=reg").unwrap().scopes.is_empty());
        assert!(query("service=reg&offline_token=true").unwrap().offline);
    }

    #[test]
    fn forms_say_how_somebody_logs_in() {
        let with = |grant: &str| form(&format!("service=reg&client_id=docker&{grant}")).unwrap();
        let password = with("grant_type=password&username=bob&password=p%C3%A4%26&access_type=offline");
        assert!(matches!(&password.login, Login::Password(Ok(credentials)) if credentials.user() == "bob"));
        assert!(password.offline);
        let refresh = with("grant_type=refresh_token&refresh_token=x.y.z");
        assert!(matches!(&refresh.login, Login::Refresh(token) if token == "x.y.z"));
    }

    #[test]
    fn malformed_requests_are_refused_with_a_sentence() {
        let many = format!("service=r{}", "&scope=repository:a:pull".repeat(33));
        for (text, why) in [
            ("", "service is missing"),
            ("service=", "service is missing"),
            ("service=a&service=b", "service is repeated"),
            ("service=a&account=x&account=y", "account is repeated"),
            ("service=a&scope=repository", "is malformed"),
            ("service=a&offline_token=yes", "true or false"),
            (&many, "33 scopes"),
        ] {
            let refused = query(text).err().unwrap_or_default();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        for (text, why) in [
            ("service=a", "grant_type is missing"),
            ("service=a&grant_type=authorization_code", "not supported"),
            ("service=a&grant_type=password&username=x", "password is missing"),
            (
                "service=a&grant_type=password&username=x&username=y&password=z",
                "username is repeated",
            ),
            ("service=a&grant_type=refresh_token", "refresh_token is missing"),
        ] {
            let refused = form(text).err().unwrap_or_default();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
