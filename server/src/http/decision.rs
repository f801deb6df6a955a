//! Records what was decided about a request, from its arrival to its response, for the log and the audit.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue, USER_AGENT},
    },
};
use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use super::{
    connection::AcceptError, error::ApiError, exchange::Target, operation::Operation, outcome::Outcome,
};
use crate::{
    audit::record::{Asked, Certificate, Connection, Decision, Revocation, Who},
    generation::{Generation, LoadedListener},
    identity::{ANONYMOUS, IdentityError, Method, Peer, Principal},
    publish::PublishError,
    registry::Resource,
    revocation::Status,
    state::State,
};

/// The header with the request's ID, also set in the response.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header that says when the client's certificate expires, in RFC 3339 format.
const CERTIFICATE_EXPIRES: HeaderName = HeaderName::from_static("x-client-cert-expires");
/// Clients are warned when one part in this many of their certificate's lifetime is left: a tenth.
const WARNED_SHARE: i32 = 10;
/// The longest request ID accepted from a client, in characters.
const REQUEST_ID_LIMIT: usize = 128;
/// How much of a name in a path is recorded, in characters; no repository's name is as long.
const NAME_LIMIT: usize = 300;
/// How much of the User-Agent header is recorded, in characters.
const USER_AGENT_LIMIT: usize = 256;

/// What is known about a request so far.
pub struct RequestRecord {
    request_id: Arc<str>,
    asked: Option<(Arc<Generation>, Target)>,
    principal: Option<Principal>,
    rule: Option<String>,
    not_identified: Option<NotIdentified>,
    token: TokenAsked,
}

/// A token that was asked for.
#[derive(Default)]
struct TokenAsked {
    service: Option<String>,
    scopes: Vec<String>,
    granted: Vec<String>,
}

/// The certificate or name that a client tried to identify with, although it is answered without an identity.
struct NotIdentified {
    who: Who,
    reason: String,
}

impl RequestRecord {
    /// Starts a record, with the ID that the client or a proxy gave if it is harmless, otherwise with a new one.
    pub fn new(request: &HttpRequest) -> Self {
        let harmless = |name: &&str| {
            (1..=REQUEST_ID_LIMIT).contains(&name.len())
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.:/+=".contains(c))
        };
        let given = request.headers().get(REQUEST_ID);
        let given = given.and_then(|name| name.to_str().ok()).filter(harmless);
        Self {
            request_id: given.map_or_else(|| Uuid::new_v4().to_string().into(), Arc::from),
            asked: None,
            principal: None,
            rule: None,
            not_identified: None,
            token: TokenAsked::default(),
        }
    }

    /// Notes the generation and the target that the decision is about.
    pub fn decides(&mut self, generation: &Arc<Generation>, target: &Target) {
        self.asked = Some((Arc::clone(generation), target.clone()));
    }

    /// Notes the principal. Returns it with the request's ID added.
    pub fn identified(&mut self, principal: Principal) -> Principal {
        let principal = principal.asking_with(Arc::clone(&self.request_id));
        self.principal = Some(principal.clone());
        principal
    }

    /// Notes that the client could not be identified, where the request is not refused for that.
    pub fn not_identified(&mut self, reason: &ApiError) {
        let nothing_shown = match reason {
            ApiError::Unidentified(reason) => matches!(
                reason,
                IdentityError::NoCertificate | IdentityError::NoCredentials(_)
            ),
            ApiError::Challenged { refusal, .. } => refusal.error.is_none(),
            _ => false,
        };
        if !nothing_shown {
            self.not_identified = Some(NotIdentified {
                who: refused_client(None, Some(reason)),
                reason: reason.to_string(),
            });
        }
    }

    /// Notes that the request is allowed, and the rule that allowed it.
    pub fn granted(&mut self, rule: Option<&str>) {
        self.rule = rule.map(str::to_owned);
    }

    /// Notes for which service a token was asked for, and what it was to grant.
    pub fn asks_for_token(&mut self, service: String, scopes: Vec<String>) {
        self.token.service = Some(service);
        self.token.scopes = scopes;
    }

    /// Notes what a token grants.
    pub fn grants_token(&mut self, granted: Vec<String>) {
        self.token.granted = granted;
    }

    /// The principal, if it is known.
    pub fn caller(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The principal's name; empty if it is not known.
    pub fn principal(&self) -> &str {
        self.principal.as_ref().map(Principal::name).unwrap_or_default()
    }

    /// The request's ID.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Adds the request's ID to its response.
    pub fn name(&self, response: &mut HttpResponse) {
        if let Ok(name) = HeaderValue::from_str(&self.request_id) {
            response.headers_mut().insert(REQUEST_ID, name);
        }
    }

    /// Adds the expiry of the client's certificate to the response once nine tenths of its lifetime are over.
    pub fn warn(&self, response: &mut HttpResponse, now: DateTime<Utc>) {
        let verified = self.principal.as_ref().and_then(Principal::certificate);
        let Some(certificate) = verified.map(|verified| &verified.certificate) else {
            return;
        };
        let (begin, end) = (certificate.not_before(), certificate.not_after());
        if end - now > (end - begin) / WARNED_SHARE {
            return;
        }
        let end = end.to_rfc3339_opts(SecondsFormat::Secs, true);
        if let Ok(value) = HeaderValue::from_str(&end) {
            response.headers_mut().insert(CERTIFICATE_EXPIRES, value);
        }
    }

    /// Writes the audit record, if there was a decision and it is to be recorded.
    pub fn write(
        &self,
        state: &State,
        request: &HttpRequest,
        answer: &Result<Outcome, ApiError>,
        took: Duration,
    ) {
        let Some((generation, target)) = self.asked.as_ref().filter(|_| state.audit.any()) else {
            return;
        };
        let (outcome, error) = (answer.as_ref().ok(), answer.as_ref().err());
        let denied = error.is_some_and(is_denial) || self.not_identified.is_some();
        let committed = outcome.and_then(|outcome| outcome.committed.as_ref());
        let changes = committed.is_some()
            || matches!(
                target.operation,
                Operation::Publish
                    | Operation::Delete
                    | Operation::RotateKey
                    | Operation::ImagePush
                    | Operation::ImageDelete
                    | Operation::Token
                    | Operation::ChangeAccounts
                    | Operation::ChangeDenials
                    | Operation::ChangeAccess
                    | Operation::IssueBundle
                    | Operation::Attest
                    | Operation::OwnCertificate
                    | Operation::Reload
                    | Operation::RenewNow
            );
        // Load balancers ask for the health every second, without an identity.
        let probe = target.operation == Operation::HealthInfo
            && self
                .principal
                .as_ref()
                .is_none_or(|principal| principal.method() == Method::Anonymous);
        if !changes && !denied && (probe || !state.config.audit.reads) {
            return;
        }
        let (documents, table) = committed.map_or((Vec::new(), None), |stored| {
            (stored.documents.clone(), stored.place.clone())
        });
        let peer = request.conn_data::<Arc<Peer>>();
        let principal = self.principal.as_ref();
        let user_agent = request.headers().get(USER_AGENT);
        let who = match (&self.not_identified, principal) {
            (Some(tried), _) => Who {
                real_addr: address(peer),
                ..tried.who.clone()
            },
            (None, Some(principal)) => principal.who(),
            (None, None) => refused_client(peer, error),
        };
        let reason = error.map(ToString::to_string);
        let reason = reason.or_else(|| Some(self.not_identified.as_ref()?.reason.clone()));
        let reason = reason.or_else(|| outcome.and_then(|outcome| outcome.remark.clone()));
        state.audit.write(&Decision {
            ts: state.clock.now(),
            kind: "request",
            request_id: Some(self.request_id.to_string()),
            connection: peer.map(|peer| connection(generation, peer)).unwrap_or_default(),
            who: Some(who),
            chain_len: principal
                .and_then(Principal::certificate)
                .map(|verified| verified.chain.certificates().len()),
            revocation: principal.and_then(Principal::revocation).map(revocation),
            asked: Asked {
                documents,
                service: self.token.service.as_deref().map(clipped),
                scopes: self.token.scopes.clone(),
                granted: self.token.granted.clone(),
                ..asked(target)
            },
            decision: if denied { "denied" } else { "allowed" },
            policy_rule: self.deciding_rule(answer),
            reason,
            http_status: Some(
                answer
                    .as_ref()
                    .map_or_else(ApiError::status, |outcome| outcome.response.status())
                    .as_u16(),
            ),
            latency_ms: Some(took.as_secs_f64() * 1000.0),
            user_agent: user_agent
                .map(|agent| String::from_utf8_lossy(agent.as_bytes()))
                .map(|agent| agent.chars().take(USER_AGENT_LIMIT).collect()),
            config_generation: generation.number(),
            table,
        });
    }

    /// The rule of the policy that denied or allowed the request.
    fn deciding_rule(&self, answer: &Result<Outcome, ApiError>) -> Option<String> {
        match answer {
            Err(
                ApiError::Denied(denied)
                | ApiError::PublishDenied(denied)
                | ApiError::Publish(PublishError::Denied(denied)),
            ) => denied.rule.clone(),
            Ok(Outcome { rule: Some(rule), .. }) => Some(rule.clone()),
            _ => self.rule.clone(),
        }
    }
}

/// Whether an error means that the client is not allowed, rather than that the request failed.
fn is_denial(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::Unidentified(_)
            | ApiError::Denied(_)
            | ApiError::PublishDenied(_)
            | ApiError::GunPrefix(_)
            | ApiError::TooManyKeys(_)
            | ApiError::Publish(PublishError::Denied(_) | PublishError::NotOwnKey { .. })
    ) || matches!(error.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn address(peer: Option<&Arc<Peer>>) -> Option<String> {
    peer.and_then(|peer| peer.address)
        .map(|address| address.to_string())
}

/// A client that is refused: by name if that is known, otherwise with the certificate that it presented.
fn refused_client(peer: Option<&Arc<Peer>>, error: Option<&ApiError>) -> Who {
    if let Some(ApiError::Unidentified(IdentityError::Barred(principal))) = error {
        return principal.who();
    }
    let certificate = match error {
        Some(ApiError::Unidentified(
            IdentityError::Rejected(certificate, _)
            | IdentityError::Unreadable(certificate, _)
            | IdentityError::Unidentified(certificate, _)
            | IdentityError::Revoked(certificate, _),
        )) => Some(Certificate::refused(certificate)),
        _ => None,
    };
    Who {
        principal: ANONYMOUS.to_owned(),
        real_addr: address(peer),
        cert: certificate,
        ..Who::default()
    }
}

fn connection(generation: &Generation, peer: &Peer) -> Connection {
    let session = peer.session.as_ref();
    Connection {
        listener: generation
            .listener(peer.listener)
            .map(|listener| listener.name().to_owned()),
        peer_addr: peer.transport.map(|address| address.to_string()),
        via_proxy: is_proxy(generation, peer.listener, peer.transport),
        tls_version: session.map(|session| session.version),
        cipher: session.map(|session| session.cipher.clone()),
        sni: session.and_then(|session| session.server_name.clone()),
    }
}

fn is_proxy(generation: &Generation, listener: usize, transport: Option<IpAddr>) -> bool {
    let proxy_trust = generation.listener(listener).map(LoadedListener::proxy_trust);
    proxy_trust
        .zip(transport)
        .is_some_and(|(proxy_trust, address)| proxy_trust.is_proxy(address))
}

fn revocation(status: &Status) -> Revocation {
    Revocation {
        source: status.source,
        status: match status {
            Status {
                fail_open: Some(_), ..
            } => "unknown",
            // No source was asked.
            Status { source: "none", .. } => "unchecked",
            _ => "good",
        },
        next_update: status.next_update,
        fail_open_used: status.fail_open.clone(),
    }
}

/// A name from a path, cut to a length that no valid name exceeds.
fn clipped(text: &str) -> String {
    text.chars().take(NAME_LIMIT).collect()
}

fn asked(target: &Target) -> Asked {
    let selector = |operation| {
        (target.operation == operation)
            .then(|| target.selector.clone())
            .flatten()
    };
    Asked {
        action: target.operation.action(),
        gun: target.gun.as_deref().map(clipped),
        role: target.role.as_deref().map(clipped),
        version: selector(Operation::ReadByVersion).as_deref().map(clipped),
        sha256: selector(Operation::ReadByChecksum),
        reference: match &target.resource {
            Some(Resource::Manifest(_, reference)) => Some(clipped(reference.as_str())),
            Some(Resource::Blob(_, digest) | Resource::Referrers(_, digest)) => Some(clipped(digest)),
            _ => None,
        },
        ..Asked::default()
    }
}

/// Records a connection whose handshake failed.
pub fn handshake_failed(
    state: &State,
    generation: &Generation,
    listener: usize,
    address: Option<SocketAddr>,
    reason: &AcceptError,
) {
    if !state.audit.any() {
        return;
    }
    state.audit.write(&Decision {
        ts: state.clock.now(),
        kind: "handshake",
        request_id: None,
        connection: Connection {
            listener: generation
                .listener(listener)
                .map(|listener| listener.name().to_owned()),
            peer_addr: address.map(|address| address.to_string()),
            via_proxy: is_proxy(generation, listener, address.map(|address| address.ip())),
            ..Connection::default()
        },
        who: None,
        chain_len: None,
        revocation: None,
        asked: Asked {
            action: "connect",
            ..Asked::default()
        },
        decision: "denied",
        policy_rule: None,
        reason: Some(reason.to_string()),
        http_status: None,
        latency_ms: None,
        user_agent: None,
        config_generation: generation.number(),
        table: None,
    });
}
