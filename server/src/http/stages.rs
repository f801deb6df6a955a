//! The stages between a route and its handler. A handler takes a grant, and only the authorization here makes one, so
//! that no route can skip a stage.

use std::sync::Arc;

use actix_web::{HttpRequest, http::header::ACCEPT};
use tuf::Gun;

use super::{
    api::ChangeFault,
    authenticate::authenticate,
    browser::{self, OwnOrigins},
    connections::OpenConnection,
    error::ApiError,
    exchange::{Exchange, Target},
    operation::Operation,
    outcome::Outcome,
    tokens,
};
use crate::{
    access::{
        Access, AccessChanges, Administration, ChangesGrant, Grant, Identified, Image, OwnBundle, SingleRight,
    },
    identity::{IdentityError, Method, Peer, Principal},
    registry::Resource,
    revocation::Class,
};

/// Whether a route identifies its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Clients are not identified, and the request is not recorded in the audit.
    Never,
    /// A client may identify itself, by the same rules as elsewhere, but is answered even if that fails.
    Optional,
    /// Every client is identified, although policy and configuration may admit anonymous ones.
    Always,
}

/// What a handler is granted.
pub trait Granted: Sized {
    /// Whether clients are identified.
    const ASKS: Asks = Asks::Always;

    /// Grants it to a caller. `caller` is `None` if clients are not identified, or if that failed where it may.
    ///
    /// # Errors
    /// When the caller may not have it.
    fn authorize(access: &Access, caller: Option<Principal>, target: &Target) -> Result<Self, ApiError>;

    /// The rule of the policy that granted it.
    fn rule(&self) -> Option<&str> {
        None
    }
}

/// Runs the stages and then the handler.
///
/// # Errors
/// When a stage or the handler refuses.
pub async fn run<G: Granted>(
    exchange: &mut Exchange<'_>,
    handler: impl AsyncFnOnce(&mut Exchange<'_>, G) -> Result<Outcome, ApiError>,
) -> Result<Outcome, ApiError> {
    let caller = identify(exchange, G::ASKS).await?;
    if exchange.target.operation.is_api() {
        accepts_json(exchange.request)?;
    }
    let grant = G::authorize(exchange.access(), caller, exchange.target)?;
    exchange.record.granted(grant.rule());
    handler(exchange, grant).await
}

async fn identify(exchange: &mut Exchange<'_>, asks: Asks) -> Result<Option<Principal>, ApiError> {
    if asks == Asks::Never {
        return Ok(None);
    }
    let (request, target) = (exchange.request, exchange.target);
    exchange.record.decides(&exchange.generation, target);
    // Checked before the client is identified, as in the Notary server.
    check_prefix(exchange)?;
    if target.operation == Operation::Token {
        // The form may hold the password.
        exchange.token_request = Some(tokens::read(exchange).await?);
    }
    let identified = authenticate(exchange).await;
    let principal = match identified {
        Ok(principal) => exchange.record.identified(principal),
        Err(reason) if asks == Asks::Optional => {
            exchange.record.not_identified(&reason);
            return Ok(None);
        }
        Err(reason) => return Err(reason),
    };
    if principal.method() != Method::Anonymous
        && let Some(connection) = request.conn_data::<Arc<OpenConnection>>()
    {
        connection.identified();
    }
    if target.operation.class() == Class::Write {
        browser::check(request, &own_origins(exchange))?;
    }
    Ok(Some(principal))
}

fn check_prefix(exchange: &Exchange<'_>) -> Result<(), ApiError> {
    let (prefixes, target) = (&exchange.state.config.gun_prefixes, exchange.target);
    match &target.gun {
        // They limit the repositories of metadata, not those of images.
        Some(gun) if target.resource.is_none() && !prefixes.allow(gun) => Err(match target.operation {
            Operation::Publish => ApiError::GunPrefix(prefixes.to_string()),
            _ => ApiError::NoRoute,
        }),
        _ => Ok(()),
    }
}

/// The origins of this server's own pages, for a request to one of its listeners.
fn own_origins<'a>(exchange: &'a Exchange<'_>) -> OwnOrigins<'a> {
    let position = exchange
        .request
        .conn_data::<Arc<Peer>>()
        .map(|peer| peer.listener);
    let config = &exchange.state.config;
    OwnOrigins {
        external_url: config.public.external_url.as_deref(),
        configured: position.and_then(|position| config.listeners.get(position)),
        listener: position.and_then(|position| exchange.generation.listener(position)),
    }
}

/// Checks that the client accepts JSON, the only format of the interface beyond the Notary contract.
fn accepts_json(request: &HttpRequest) -> Result<(), ApiError> {
    let mut accepted = request.headers().get_all(ACCEPT).peekable();
    let fits = |range: &str| {
        let kind = range.split(';').next().unwrap_or_default().trim();
        matches!(kind, "" | "*/*" | "application/*" | "application/json")
    };
    if accepted.peek().is_none()
        || accepted.any(|value| value.to_str().is_ok_and(|text| text.split(',').any(fits)))
    {
        Ok(())
    } else {
        Err(ApiError::NotAcceptable)
    }
}

/// The caller. Where nobody was asked there is none, and a grant that needs one is then refused.
fn known(caller: Option<Principal>) -> Principal {
    caller.unwrap_or_else(|| Principal::anonymous(None, Some(IdentityError::NoCertificate)))
}

/// The repository that a path names, if any.
fn named(access: &Access, caller: &Principal, target: &Target) -> Result<Option<Gun>, ApiError> {
    let Some(name) = target.gun.as_deref() else {
        return Ok(None);
    };
    Gun::parse(name).map(Some).or_else(|reason| {
        access.identified(caller)?;
        Err(if target.operation.makes() {
            ApiError::InvalidGun(reason.to_string())
        } else {
            ApiError::NotFound
        })
    })
}

/// The grant for what is open to every client.
pub struct Open;

impl Granted for Open {
    const ASKS: Asks = Asks::Never;

    fn authorize(_: &Access, _: Option<Principal>, _: &Target) -> Result<Self, ApiError> {
        Ok(Self)
    }
}

/// The grant for what is open to every client but says more to some. Holds the caller, if identified.
pub struct OpenTo(pub Option<Principal>);

impl Granted for OpenTo {
    const ASKS: Asks = Asks::Optional;

    fn authorize(_: &Access, caller: Option<Principal>, _: &Target) -> Result<Self, ApiError> {
        Ok(Self(caller))
    }
}

/// The grant for clients that may learn that this is a trust server.
pub struct Heard;

impl Granted for Heard {
    fn authorize(access: &Access, caller: Option<Principal>, _: &Target) -> Result<Self, ApiError> {
        access.ping(&known(caller))?;
        Ok(Self)
    }
}

/// The grant for clients that may ask for a token. Holds the caller.
pub struct Asking(pub Principal);

impl Granted for Asking {
    fn authorize(access: &Access, caller: Option<Principal>, _: &Target) -> Result<Self, ApiError> {
        let caller = known(caller);
        access.hears(&caller)?;
        Ok(Self(caller))
    }
}

impl Granted for Identified {
    fn authorize(access: &Access, caller: Option<Principal>, _: &Target) -> Result<Self, ApiError> {
        Ok(access.identified(&known(caller))?)
    }
}

impl Granted for Administration {
    fn authorize(access: &Access, caller: Option<Principal>, _: &Target) -> Result<Self, ApiError> {
        let caller = known(caller);
        access.identified(&caller)?;
        Ok(access.authorize_administration(&caller)?)
    }

    fn rule(&self) -> Option<&str> {
        self.rule()
    }
}

impl Granted for AccessChanges {
    fn authorize(access: &Access, caller: Option<Principal>, _: &Target) -> Result<Self, ApiError> {
        let caller = known(caller);
        access.identified(&caller)?;
        if !access.has_policy() {
            return Err(ChangeFault::NoPolicy.into());
        }
        Ok(access.authorize_access_changes(&caller)?)
    }

    fn rule(&self) -> Option<&str> {
        self.rule()
    }
}

impl Granted for OwnBundle {
    fn authorize(access: &Access, caller: Option<Principal>, _: &Target) -> Result<Self, ApiError> {
        let caller = known(caller);
        access.identified(&caller)?;
        Ok(access.authorize_bundle(&caller)?)
    }

    fn rule(&self) -> Option<&str> {
        self.rule()
    }
}

impl Granted for ChangesGrant {
    fn authorize(access: &Access, caller: Option<Principal>, target: &Target) -> Result<Self, ApiError> {
        let caller = known(caller);
        let gun = named(access, &caller, target)?;
        Ok(access.authorize_changes(&caller, gun)?)
    }

    fn rule(&self) -> Option<&str> {
        self.rule()
    }
}

impl<A: SingleRight> Granted for Grant<A> {
    fn authorize(access: &Access, caller: Option<Principal>, target: &Target) -> Result<Self, ApiError> {
        let caller = known(caller);
        let gun = named(access, &caller, target)?.ok_or(ApiError::NoRoute)?;
        if let Some(name) = target.resource.as_ref().and_then(Resource::name) {
            return Ok(access.authorize_image(caller, Image { gun: &gun, name })?);
        }
        access.authorize(caller, gun).map_err(|denied| {
            if target.operation.publishes() {
                ApiError::PublishDenied(denied)
            } else {
                ApiError::Denied(denied)
            }
        })
    }

    fn rule(&self) -> Option<&str> {
        self.rule()
    }
}
