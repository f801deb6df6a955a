//! Sends events as they happen (server-sent events, HTML Living Standard section 9.2).
//!
//! Each stream reads the changes by itself, from where its client stopped, so that nothing is told to fewer or more clients
//! because of others. Whoever is refused later than at the request, or when the configuration has changed, is
//! disconnected: a client that connects again is judged again.

use std::{
    convert::Infallible,
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, HeaderName},
    web,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{authenticate, error::ApiError, exchange::Exchange, outcome::Outcome};
use crate::{
    access::ChangesGrant,
    events::{self, Event, Feed},
    generation::Generation,
    identity::{Method, Principal},
    revocation::Class,
    state::{ServiceError, State},
};

/// The last ID that a client has seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies that hold answers back are asked not to.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How often the database is asked for changes.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a stream is silent at most, so that both sides learn when the other is gone.
const SILENCE: Duration = Duration::from_secs(15);
/// What a stream begins with: how many milliseconds a client waits before it connects again.
const BEGINNING: &str = "retry: 2000\n\n";

/// Answers with the events of one repository, or of all, from now on or after the event that the client saw last.
pub async fn follow(exchange: &mut Exchange<'_>, grant: ChangesGrant) -> Result<Outcome, ApiError> {
    let state = exchange.request.app_data::<web::Data<State>>();
    let state = state.cloned().ok_or(ServiceError::Stopping)?;
    let places = match grant.principal().method() {
        Method::Anonymous => &state.anonymous_streams,
        _ => &state.event_streams,
    };
    let place = Arc::clone(places).try_acquire_owned();
    let place = place.map_err(|_| ApiError::TooManyStreams)?;
    let gun = grant.gun().map(ToString::to_string);
    let feed = match last_seen(exchange)? {
        None => Feed::from_now(&state.store, gun).await?,
        Some(id) if id > events::newest(&state.store).await? => {
            return Err(ApiError::InvalidParameter(format!(
                "invalid Last-Event-ID: {id} is not the ID of an event of this server"
            )));
        }
        Some(id) => Feed::after(&state.store, gun, id),
    };
    let following = Following {
        stopping: state.stopping.subscribe(),
        generation: Arc::clone(&exchange.generation),
        principal: grant.principal().clone(),
        with_actors: grant.actors().is_ok(),
        feed,
        state,
        last_sent: None,
        _place: place,
    };
    let answer = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((UNBUFFERED, "no"))
        .streaming(stream_of(following));
    Ok(answer.into())
}

/// The ID in the header or, for clients that cannot set it, in the parameter `last_event_id`.
fn last_seen(exchange: &Exchange<'_>) -> Result<Option<i32>, ApiError> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(exchange.query());
    let pairs = pairs.map(web::Query::into_inner).unwrap_or_default();
    let header = exchange.request.headers().get(LAST_EVENT_ID);
    let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let given = header.or_else(|| {
        let parameter = pairs.into_iter().find(|(name, _)| name == "last_event_id");
        parameter.map(|(_, value)| value)
    });
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        return Ok(None);
    };
    match given.parse::<i32>() {
        Ok(id) if id >= 0 => Ok(Some(id)),
        _ => Err(ApiError::InvalidParameter(format!(
            "invalid Last-Event-ID: {given:?} is not the ID of an event"
        ))),
    }
}

/// A client that follows events.
struct Following {
    state: web::Data<State>,
    generation: Arc<Generation>,
    principal: Principal,
    /// Whether it may know who made the changes.
    with_actors: bool,
    feed: Feed,
    stopping: watch::Receiver<bool>,
    last_sent: Option<Instant>,
    _place: OwnedSemaphorePermit,
}

fn stream_of(following: Following) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(following, |mut following| async move {
        match following.next().await {
            Ok(text) => {
                following.last_sent = Some(Instant::now());
                Some((Ok(Bytes::from(text)), following))
            }
            Err(reason) => {
                tracing::info!(
                    principal = following.principal.name(),
                    reason,
                    "a stream of events ends"
                );
                None
            }
        }
    })
}

impl Following {
    /// What is sent next. The error says why the stream ends.
    async fn next(&mut self) -> Result<String, String> {
        let Some(last_sent) = self.last_sent else {
            return Ok(BEGINNING.to_owned());
        };
        loop {
            self.check().await?;
            let before = self.feed.settled();
            let (events, is_full) = self.feed.next().await.map_err(|cause| cause.to_string())?;
            if !events.is_empty() {
                return Ok(self.written(&events, before));
            }
            if is_full {
                continue;
            }
            if last_sent.elapsed() >= SILENCE {
                return Ok(":\n\n".to_owned());
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                _ = self.stopping.changed() => {}
            }
        }
    }

    /// Checks that the client would still be let in.
    async fn check(&self) -> Result<(), String> {
        if *self.stopping.borrow() {
            return Err("the server is stopping".to_owned());
        }
        let current = self.state.generation.load();
        if current.number() != self.generation.number() {
            return Err("the configuration or a file of it has changed".to_owned());
        }
        let now = self.state.clock.now();
        if let Some(verified) = self.principal.certificate() {
            if !verified.is_valid_at(now) {
                return Err("the certificate has expired".to_owned());
            }
            let status = current.revocation.check(&verified.chain, Class::Read, now).await;
            status.map_err(|cause| cause.to_string())?;
        }
        let moment = self.state.confirmed.moment(None, Class::Read).await;
        let moment = moment.map_err(|cause| ServiceError::from(cause).to_string())?;
        let admitted = authenticate::check_admitted(&current, &moment.security, &self.principal);
        admitted.map_err(|cause| cause.to_string())
    }

    /// The events as they are sent. Only the last one has an ID: a client that sees fewer of them goes on after the ones
    /// before.
    fn written(&self, events: &[Event], before: i32) -> String {
        let mut text = String::new();
        for (position, event) in events.iter().enumerate() {
            let without;
            let event = if self.with_actors {
                event
            } else {
                without = event.without_actor();
                &without
            };
            let id = match position + 1 == events.len() {
                true => self.feed.settled(),
                false => before,
            };
            // Their values cannot fail to be written, and a text takes everything.
            let data = serde_json::to_string(event).unwrap_or_default();
            let _ = write!(text, "id: {id}\nevent: {}\ndata: {data}\n\n", event.kind.name());
        }
        text
    }
}
