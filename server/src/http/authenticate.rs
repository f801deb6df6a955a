//! Who makes a request: by the connection's certificate, one that a proxy hands on, a password, or a token.

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue},
};
use std::{net::IpAddr, sync::Arc};

use super::{error::ApiError, exchange::Target, operation::Operation};
use crate::{
    generation::{Generation, LoadedListener},
    identity::{
        IdentityError, Method, Peer, Principal, VerifiedCertificate, forwarded,
        password::{Credentials, Passwords, Place},
        token::{Access, TokenRefusal},
        verify,
    },
    revocation::{RevocationError, Subject},
    state::State,
    store::CertificateStatus,
    telemetry::metrics,
};

/// The addresses that a request came through, nearest last.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A verified certificate is enough. Whoever has none needs a password or a token, if these are configured; otherwise
/// they are anonymous, and mostly not let in.
pub async fn authenticate(
    state: &State,
    generation: &Generation,
    request: &HttpRequest,
    target: &Target,
) -> Result<Principal, ApiError> {
    // A connection without a record of its other side cannot happen; if it did, it would be nobody's.
    let Some(peer) = request.conn_data::<Arc<Peer>>() else {
        return Err(IdentityError::NoCertificate.into());
    };
    let identified = by_certificate(state, generation, peer, request, target).await;
    // A certificate that was refused stays so: whoever showed one is not somebody else by a password.
    if matches!(
        identified,
        Err(ApiError::Unidentified(IdentityError::NoCertificate))
    ) && let Some(logged_in) = by_password(state, generation, peer, request).await
    {
        return logged_in;
    }
    let Some(tokens) = &state.tokens else {
        return match identified {
            Err(ApiError::Unidentified(IdentityError::NoCertificate)) => Ok(anonymous(generation, peer)),
            known => known,
        };
    };
    let reason = match identified {
        Ok(principal) => return Ok(principal),
        Err(reason) => reason,
    };
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let required = required_access(target);
    match tokens.check(header(AUTHORIZATION), &required, state.clock.now()) {
        Ok(subject) => admit(state, generation, Principal::from_token(&subject, peer.address)).await,
        // Whoever showed a certificate wants to know what is wrong with it, not be asked for a password.
        Err(TokenRefusal { error: None, .. })
            if !matches!(reason, ApiError::Unidentified(IdentityError::NoCertificate)) =>
        {
            Err(reason)
        }
        Err(refusal) => {
            let challenge = tokens.challenge(header(HOST).unwrap_or_default(), &required, &refusal);
            Err(ApiError::Challenged {
                challenge,
                required,
                refusal,
            })
        }
    }
}

/// Whoever the certificate names, unless it, or the name, was withdrawn.
async fn by_certificate(
    state: &State,
    generation: &Generation,
    peer: &Peer,
    request: &HttpRequest,
    target: &Target,
) -> Result<Principal, ApiError> {
    let (verified, method) = verified(state, generation, peer, request)?;
    let revocation = &generation.revocation;
    let revoked = |reason| IdentityError::Revoked(Box::new(verified.certificate.clone()), reason);
    let denied_as = verified
        .denied_as
        .as_ref()
        .map_err(|reason| revoked(reason.clone()))?;
    let status = revocation
        .check(
            &verified.chain,
            denied_as,
            target.operation.class(),
            state.clock.now(),
        )
        .await
        .map_err(revoked)?;
    let certificate_status = certificate_status(state, &verified, denied_as).await?;
    if certificate_status.denied {
        return Err(revoked(RevocationError::denied()).into());
    }
    let rules = &generation.identity;
    let registered = certificate_status.registered.as_ref();
    let principal =
        Principal::from_certificate(Arc::clone(&verified), method, peer.address, rules, registered)?
            .with_revocation(status);
    admit(state, generation, principal).await
}

/// Whoever the user name and password name; nothing if there are none, or they are not taken here.
async fn by_password(
    state: &State,
    generation: &Generation,
    peer: &Peer,
    request: &HttpRequest,
) -> Option<Result<Principal, ApiError>> {
    let passwords = passwords_at(generation, peer)?;
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let credentials = Credentials::parse(header)?;
    let refused = |reason| IdentityError::Password(reason, passwords.realm().to_owned());
    Some(
        async {
            let credentials = credentials.map_err(refused)?;
            let from = place(generation, peer, request);
            passwords.check(&credentials, from).await.map_err(refused)?;
            let user = credentials.user().to_owned();
            let mut groups = passwords.groups(&user);
            let name = user.clone();
            let account = state.with_store(move |store| store.account(&name)).await?;
            groups.extend(account.map(|account| account.all_groups()).unwrap_or_default());
            groups.sort();
            groups.dedup();
            admit(
                state,
                generation,
                Principal::from_password(&user, groups, peer.address),
            )
            .await
        }
        .await,
    )
}

/// Where somebody logs in from, as far as it is known: whose wrong passwords are counted together. Behind a reverse
/// proxy that is what the proxy says, or one client could use up the attempts of all.
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
    // Each proxy adds the address that it was asked from at the end; what stands before it is its client's word.
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

/// What the database knows of the certificate.
async fn certificate_status(
    state: &State,
    verified: &VerifiedCertificate,
    denied_as: &[Subject],
) -> Result<CertificateStatus, ApiError> {
    let keys = verified.facts.key_hashes().to_vec();
    let denied_as = denied_as.to_vec();
    Ok(state
        .with_store(move |store| store.certificate_status(&keys, &denied_as))
        .await?)
}

/// Refuses principals that are barred: by our list, or because their account is disabled.
async fn admit(state: &State, generation: &Generation, principal: Principal) -> Result<Principal, ApiError> {
    let name = principal.name().to_owned();
    let barred = generation.revocation.check_principal(&name).is_err()
        || state
            .with_store({
                let name = name.clone();
                move |store| store.is_barred(&name)
            })
            .await?;
    if barred {
        return Err(IdentityError::Barred(Box::new(principal)).into());
    }
    Ok(principal)
}

/// The certificate of the connection or, on connections from a proxy that hands on certificates, by
/// that alone: the proxy's own certificate is not its clients'. Who that is, the listener says, by the address at
/// the other end of the TCP connection: never by one that a PROXY protocol header names.
fn verified(
    state: &State,
    generation: &Generation,
    peer: &Peer,
    request: &HttpRequest,
) -> Result<(Arc<VerifiedCertificate>, Method), IdentityError> {
    let listener = generation.listener(peer.listener);
    let trust = listener.and_then(LoadedListener::trust);
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
            let verified = peer.verified(trust, generation.number(), state.clock.now())?;
            return Ok((verified, Method::Certificate));
        }
    };
    let certificate = forwarded::read(forwarded, request.headers())?.ok_or(IdentityError::NoCertificate)?;
    let verified = verify(trust, &certificate)?;
    Ok((verified, Method::ForwardedCertificate))
}

/// Where certificates are asked for, or handed on, somebody without one hears that they need one.
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

/// What a token has to grant for an operation.
fn required_access(target: &Target) -> Vec<Access> {
    let Some(gun) = &target.gun else {
        return vec![Access::catalog()];
    };
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
