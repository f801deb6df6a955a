//! Clients that come with a token, and those that come for one.

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HOST, HeaderName},
};

use super::{anonymous, by_user, check_not_denied, passwords_at, required_access};
use crate::{
    generation::Generation,
    http::{
        error::ApiError,
        exchange::Exchange,
        tokens::{Login, TokenRequest},
    },
    identity::{
        IdentityError, Method, Peer, Principal,
        token::{Bearer, TokenAuth, TokenRefusal},
    },
    store::Security,
    tokens::{RefreshToken, TokenService},
};

const OTHER_CERTIFICATE: &str =
    "the refresh token is bound to another client certificate than the one that was presented";
const NO_CERTIFICATE: &str =
    "the refresh token is bound to a client certificate, and this connection has not presented it";
const OTHER_PASSWORD: &str =
    "the password has been changed since the refresh token was issued, or the user was removed: log in again";

/// The principal of a request that may come with a token. `identified` is what its certificate says.
pub(super) async fn by_token(
    exchange: &Exchange<'_>,
    peer: &Peer,
    tokens: &TokenAuth,
    identified: Result<Principal, ApiError>,
) -> Result<Principal, ApiError> {
    let (generation, request) = (&exchange.generation, exchange.request);
    let required = required_access(exchange.target);
    let challenged = |refusal: TokenRefusal| {
        let challenge = tokens.challenge(header(request, HOST).unwrap_or_default(), &required, &refusal);
        ApiError::Challenged {
            challenge,
            required: required.clone(),
            refusal,
        }
    };
    let reason = match identified {
        // A certificate is enough, but a token that belongs to another one was stolen or mixed up.
        Ok(principal) => {
            if let Some(verified) = principal.certificate() {
                let thumbprint = || verified.facts.thumbprint();
                TokenAuth::check_beside(header(request, AUTHORIZATION), thumbprint).map_err(challenged)?;
            }
            return Ok(principal);
        }
        Err(reason) => reason,
    };
    let without_certificate = is_without_certificate(&reason);
    match tokens.check(
        header(request, AUTHORIZATION),
        &required,
        exchange.state.clock.now(),
    ) {
        Ok(bearer) => {
            let own = generation
                .token_service
                .as_ref()
                .filter(|own| own.has_issued(&bearer.issuer, &bearer.key_id));
            // A refused certificate is final for tokens of our own, as it is for the logins that they are issued for.
            if own.is_some() && !without_certificate {
                return Err(reason);
            }
            let security = &exchange.moment().await?.security;
            let principal = match own {
                Some(_) => of_own_token(generation, security, peer, &bearer).map_err(challenged)?,
                None => Principal::from_token(&bearer.subject, peer.address),
            };
            Ok(check_not_denied(generation, security, principal)?)
        }
        // A client that presented a certificate is told what is wrong with it, not asked for a password.
        Err(TokenRefusal { error: None, .. } | TokenRefusal { bound: true, .. }) if !without_certificate => {
            Err(reason)
        }
        Err(refusal) => Err(challenged(refusal)),
    }
}

/// The principal of a token that we issued and that is bound to no certificate: somebody who logged in with a password,
/// or an anonymous client. It is judged like a login of now.
fn of_own_token(
    generation: &Generation,
    security: &Security,
    peer: &Peer,
    bearer: &Bearer,
) -> Result<Principal, TokenRefusal> {
    let user = bearer.subject.as_str();
    if user.is_empty() {
        return Ok(anonymous(generation, peer));
    }
    let known = generation
        .passwords
        .as_ref()
        .filter(|passwords| passwords.has(user));
    let passwords = known.ok_or_else(|| {
        TokenRefusal::invalid(format!(
            "there is no user {user:?} any more, for whom the token was issued"
        ))
    })?;
    Ok(by_user(passwords, security, peer, user, Method::OwnToken))
}

/// The principal of a request for a token that comes without a password. `identified` is what its certificate says.
pub(super) async fn for_token(
    exchange: &Exchange<'_>,
    peer: &Peer,
    identified: Result<Principal, ApiError>,
) -> Result<Principal, ApiError> {
    let generation = &exchange.generation;
    let refresh = match (&generation.token_service, &exchange.token_request) {
        (Some(service), Some(request)) => match &request.login {
            Login::Refresh(token) => Some((service, request, token.as_str())),
            Login::Header | Login::Password(_) => None,
        },
        _ => None,
    };
    match (refresh, identified) {
        (Some((service, request, token)), Err(reason)) if is_without_certificate(&reason) => {
            by_refresh_token(exchange, peer, (service, request), token).await
        }
        (None, Err(reason)) if is_without_certificate(&reason) => Ok(anonymous(generation, peer)),
        // A certificate decides alone, but not together with what belongs to another one.
        (Some((service, request, token)), Ok(principal)) => {
            let read = read(exchange, (service, request), token);
            let bound = read.ok().and_then(|read| read.bound_to);
            let presented = principal
                .certificate()
                .map(|verified| verified.facts.thumbprint());
            match bound {
                Some(_) if bound != presented => Err(refused(OTHER_CERTIFICATE)),
                _ => Ok(principal),
            }
        }
        (_, identified) => identified,
    }
}

async fn by_refresh_token(
    exchange: &Exchange<'_>,
    peer: &Peer,
    asked: (&TokenService, &TokenRequest),
    token: &str,
) -> Result<Principal, ApiError> {
    let generation = &exchange.generation;
    let RefreshToken {
        subject,
        bound_to,
        password,
    } = read(exchange, asked, token)?;
    if bound_to.is_some() {
        return Err(refused(NO_CERTIFICATE));
    }
    let passwords = passwords_at(generation, peer).filter(|passwords| {
        let mark = passwords.mark(&subject);
        mark.is_some() && mark == password
    });
    let passwords = passwords.ok_or_else(|| refused(OTHER_PASSWORD))?;
    let security = &exchange.moment().await?.security;
    let principal = by_user(passwords, security, peer, &subject, Method::Password);
    Ok(check_not_denied(generation, security, principal)?)
}

fn read(
    exchange: &Exchange<'_>,
    (service, request): (&TokenService, &TokenRequest),
    token: &str,
) -> Result<RefreshToken, ApiError> {
    let audience = request.audience(service)?;
    service
        .read_refresh_token(token, audience, exchange.state.clock.now())
        .map_err(|cause| refused(&cause.to_string()))
}

fn refused(why: &str) -> ApiError {
    IdentityError::RefreshToken(why.to_owned()).into()
}

/// Whether the only thing that is wrong with a client's certificate is that there is none.
pub(super) fn is_without_certificate(reason: &ApiError) -> bool {
    matches!(reason, ApiError::Unidentified(IdentityError::NoCertificate))
}

fn header(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}
