//! Identifies the client of a request by the connection's certificate, one forwarded by a proxy, a password, or a
//! token.

mod tokens;

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HeaderName},
};

use super::{
    error::ApiError,
    exchange::{Exchange, Target},
    operation::Operation,
    tokens::Login,
};
use crate::{
    confirmed::Moment,
    generation::{Generation, LoadedListener},
    identity::{
        IdentityError, Method, Peer, Principal, VerifiedCertificate, forwarded,
        password::{Credentials, Passwords, Place},
        token::Access,
    },
    registry::Resource,
    revocation::RevocationError,
    state::State,
    store::Security,
    telemetry::metrics,
};

/// The addresses through which a request came, the nearest last.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Authenticates a request. A verified certificate is enough. A client without one needs a password or a token if
/// these are configured; otherwise it is anonymous and most requests are refused.
pub async fn authenticate(exchange: &Exchange<'_>) -> Result<Principal, ApiError> {
    let (generation, request) = (&exchange.generation, exchange.request);
    // Every connection has a peer record. If it were missing, the client would count as anonymous.
    let Some(peer) = request.conn_data::<Arc<Peer>>() else {
        return Err(IdentityError::NoCertificate.into());
    };
    let identified = by_certificate(exchange, peer).await;
    // A refused certificate is final: its holder cannot become somebody else with a password.
    let without_certificate = identified.as_ref().is_err_and(tokens::is_without_certificate);
    if without_certificate && let Some(logged_in) = by_password(exchange, peer).await {
        return logged_in;
    }
    if exchange.target.operation == Operation::Token {
        return tokens::for_token(exchange, peer, identified).await;
    }
    match &generation.tokens {
        Some(tokens) => tokens::by_token(exchange, peer, tokens, identified).await,
        None if without_certificate => Ok(anonymous(generation, peer)),
        None => identified,
    }
}

/// The principal named by the certificate, unless the certificate is revoked or the principal denied.
async fn by_certificate(exchange: &Exchange<'_>, peer: &Peer) -> Result<Principal, ApiError> {
    let (state, generation) = (exchange.state, &exchange.generation);
    let (verified, method) = verified(state, generation, peer, exchange.request)?;
    let revoked = |reason| IdentityError::Revoked(Box::new(verified.certificate.clone()), reason);
    let status = generation
        .revocation
        .check(
            &verified.chain,
            exchange.target.operation.class(),
            state.clock.now(),
        )
        .await
        .map_err(revoked)?;
    let security = &exchange.moment().await?.security;
    let principal = peer.principal(&verified, security, || {
        let denied_as = verified.chain.denied_as().map_err(revoked)?;
        if security.denies_any(denied_as) {
            return Err(revoked(RevocationError::denied()));
        }
        let registered = security.account_by_key(verified.facts.key_hashes());
        let rules = &generation.identity;
        let principal =
            Principal::from_certificate(Arc::clone(&verified), method, peer.address, rules, registered)?;
        check_not_denied(generation, security, principal)
    })?;
    Ok(principal.with_revocation(status))
}

/// The principal named by a user name and password; `None` if the request has none, or they are not accepted here.
async fn by_password(exchange: &Exchange<'_>, peer: &Peer) -> Option<Result<Principal, ApiError>> {
    let (generation, request) = (&exchange.generation, exchange.request);
    let passwords = passwords_at(generation, peer)?;
    let credentials = match exchange.token_request.as_ref().map(|request| &request.login) {
        Some(Login::Password(credentials)) => credentials.clone(),
        Some(Login::Refresh(_)) => return None,
        Some(Login::Header) | None => {
            let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
            Credentials::parse(header)?
        }
    };
    let refused = |reason| IdentityError::Password(reason, passwords.realm().to_owned());
    Some(
        async {
            let credentials = credentials.map_err(refused)?;
            let from = place(generation, peer, request);
            passwords.check(&credentials, from).await.map_err(refused)?;
            let security = &exchange.moment().await?.security;
            let principal = by_user(passwords, security, peer, credentials.user(), Method::Password);
            Ok(check_not_denied(generation, security, principal)?)
        }
        .await,
    )
}

/// The principal of a user of the password file, with the groups of that file and of the account of this name.
fn by_user(passwords: &Passwords, security: &Security, peer: &Peer, user: &str, method: Method) -> Principal {
    let mut groups = passwords.groups(user);
    let account = security.account(user);
    groups.extend(account.map(|account| account.all_groups()).unwrap_or_default());
    groups.sort();
    groups.dedup();
    match method {
        Method::OwnToken => Principal::from_own_token(user, groups, peer.address),
        _ => Principal::from_password(user, groups, peer.address),
    }
}

/// Where a login comes from, as far as known; wrong passwords from one place are counted together. Behind a reverse
/// proxy it is the address that the proxy reports: otherwise one client could use up the attempts of all.
fn place(generation: &Generation, peer: &Peer, request: &HttpRequest) -> Place {
    let direct = Place {
        client: peer.address.map(|address| address.ip()),
        proxy: None,
    };
    let Some(proxy_trust) = generation
        .listener(peer.listener)
        .map(LoadedListener::proxy_trust)
    else {
        return direct;
    };
    if !proxy_trust.addresses_from(peer.transport) {
        return direct;
    }
    // Each proxy appends the address of its client; the entries before that are claims of the client.
    let lines = request.headers().get_all(FORWARDED_FOR);
    let addresses: Vec<&str> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect();
    let client = addresses
        .iter()
        .rev()
        .map(|text| text.parse::<IpAddr>().ok())
        .find(|address| !address.is_some_and(|address| proxy_trust.is_proxy(address)));
    match client.flatten() {
        Some(client) => Place {
            client: Some(client),
            proxy: peer.transport,
        },
        None => direct,
    }
}

fn passwords_at<'a>(generation: &'a Generation, peer: &Peer) -> Option<&'a Arc<Passwords>> {
    let taken = generation
        .listener(peer.listener)
        .is_some_and(LoadedListener::takes_passwords);
    generation.passwords.as_ref().filter(|_| taken)
}

/// Checks again that nobody has denied the client since the request arrived: an upload may take minutes. Returns the
/// moment at which that was so.
///
/// # Errors
/// When somebody has, or when the database fails.
pub async fn still_admitted(exchange: &Exchange<'_>, principal: &Principal) -> Result<Moment, ApiError> {
    let moment = exchange.new_moment().await?;
    check_admitted(&exchange.generation, &moment.security, principal)?;
    Ok(moment)
}

/// Checks that nobody has denied a client that was identified.
///
/// # Errors
/// When somebody has.
pub fn check_admitted(
    generation: &Generation,
    security: &Security,
    principal: &Principal,
) -> Result<(), IdentityError> {
    if principal.method() == Method::Anonymous {
        return Ok(());
    }
    if let Some(verified) = principal.certificate() {
        let revoked = |reason| IdentityError::Revoked(Box::new(verified.certificate.clone()), reason);
        if security.denies_any(verified.chain.denied_as().map_err(revoked)?) {
            return Err(revoked(RevocationError::denied()));
        }
    }
    check_not_denied(generation, security, principal.clone()).map(drop)
}

/// Refuses principals that are denied: by the deny list, or because their account is disabled.
fn check_not_denied(
    generation: &Generation,
    security: &Security,
    principal: Principal,
) -> Result<Principal, IdentityError> {
    let name = principal.name();
    if generation.revocation.check_principal(name).is_err() || security.denies_principal(name) {
        return Err(IdentityError::Barred(Box::new(principal)));
    }
    Ok(principal)
}

/// The certificate of the connection. On connections from a proxy that forwards certificates, only the forwarded one:
/// the proxy's own certificate does not identify its clients. The listener decides whether the peer is such a proxy by
/// the TCP peer's address, never by an address in a PROXY protocol header.
fn verified(
    state: &State,
    generation: &Generation,
    peer: &Peer,
    request: &HttpRequest,
) -> Result<(Arc<VerifiedCertificate>, Method), IdentityError> {
    let listener = generation.listener(peer.listener);
    let trust = listener.and_then(LoadedListener::trust);
    let known = listener
        .map(LoadedListener::known)
        .ok_or(IdentityError::NoCertificate)?;
    let now = state.clock.now();
    let proxy_trust = listener.map(LoadedListener::proxy_trust);
    let forwarded = match proxy_trust.and_then(|proxy_trust| proxy_trust.certificates_from(peer.transport)) {
        Some(format) => format,
        None => {
            if forwarded::is_present(request.headers()) {
                metrics::forwarded_header_ignored();
                tracing::debug!(
                    peer.address = peer.address.map(tracing::field::display),
                    "ignored the header of a forwarded client certificate: it is not from a trusted proxy"
                );
            }
            let verified = peer.verified(trust, known, generation.number(), now)?;
            return Ok((verified, Method::Certificate));
        }
    };
    let verified = forwarded::verified(forwarded, request.headers(), trust, known, now)?;
    Ok((verified, Method::ForwardedCertificate))
}

/// An anonymous client. Where certificates are asked for or forwarded, its refusal says that it needs one.
fn anonymous(generation: &Generation, peer: &Peer) -> Principal {
    if let Some(passwords) = passwords_at(generation, peer) {
        let refusal = IdentityError::NoCredentials(passwords.realm().to_owned());
        return Principal::anonymous(peer.address, Some(refusal));
    }
    let refusal = generation
        .listener(peer.listener)
        .is_none_or(LoadedListener::asks)
        .then_some(IdentityError::NoCertificate);
    Principal::anonymous(peer.address, refusal)
}

/// The access that a token must grant for an operation.
fn required_access(target: &Target) -> Vec<Access> {
    let Some(gun) = &target.gun else {
        return vec![Access::catalog()];
    };
    // Registries name repositories without their own host.
    if let Some(name) = target.resource.as_ref().and_then(Resource::name) {
        let actions: &[&str] = match target.operation {
            Operation::ImagePush | Operation::ImageUpload => &["push", "pull"],
            Operation::ImageDelete => &["delete"],
            _ => &["pull"],
        };
        return actions
            .iter()
            .map(|action| Access::repository(name, action))
            .collect();
    }
    let actions: &[&str] = match target.operation {
        Operation::Publish | Operation::ReadKey => &["push", "pull"],
        Operation::RotateKey | Operation::Delete => &["*"],
        _ => &["pull"],
    };
    actions
        .iter()
        .map(|action| Access::repository(gun, action))
        .collect()
}
