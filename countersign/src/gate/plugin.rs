//! Docker Engine's authorization plugin, on its Unix socket.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::json;
use verifier::{Mode, Verdict};

use super::http::{Request, Response};
use crate::{
    decider::{Asked, Decider},
    engine::{
        Answer, Authorization, Call, Containers, ContentError, Unverifiable, judge_create, judge_start,
    },
    line,
};

/// What is answered, besides the engine's own requests.
pub struct Plugin<C> {
    decider: Arc<Decider>,
    engine: C,
    /// What may be done although no signature can be compared.
    allowed: Vec<Unverifiable>,
}

impl<C: Containers + Send + Sync> Plugin<C> {
    /// The plugin of an engine.
    pub fn new(decider: Arc<Decider>, engine: C, allowed: Vec<Unverifiable>) -> Self {
        Self {
            decider,
            engine,
            allowed,
        }
    }

    /// Answers a request of the engine.
    pub async fn answer(&self, request: Request) -> Response {
        match (&request.method, request.path.as_str()) {
            (&Method::POST, "/Plugin.Activate") => Response::json(&json!({"Implements": ["authz"]})),
            (&Method::POST, "/AuthZPlugin.AuthZReq") => {
                Response::json(&self.authorize(&request.body).await.body())
            }
            // What the engine answers is not judged.
            (&Method::POST, "/AuthZPlugin.AuthZRes") => Response::json(&Answer::Allow.body()),
            _ => Response::error(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "this is an authorization plugin of Docker Engine",
            ),
        }
    }

    async fn authorize(&self, body: &[u8]) -> Answer {
        let request = match Authorization::parse(body) {
            Ok(request) => request,
            Err(reason) => return self.refuse(None, &reason.to_string()),
        };
        let call = match Call::of(&request) {
            Ok(call) => call,
            Err(reason) => return self.refuse(Some(&request), &reason.to_string()),
        };
        let mut asked = Asked::by("engine");
        asked.context.user = request.user.clone();
        asked.object = Some(said(&request));
        let asked = &asked;
        let decide = |image: String| async move { self.decider.decide(&image, asked).await };
        let judged = match &call {
            Call::Harmless => return Answer::Allow,
            Call::Pull { image, every_tag } => {
                let verdict = decide(image.clone()).await;
                // A rule that lets in a whole repository names no digest.
                if *every_tag && verdict.allow && verdict.digest.is_some() {
                    return self.refuse(
                        Some(&request),
                        &format!(
                            "denied: {image}: every_tag: a pull without a tag brings in all of them, signed or not: name one"
                        ),
                    );
                }
                return of_verdict(&verdict);
            }
            Call::Service { image: None } => return Answer::Allow,
            Call::Service { image: Some(image) } => {
                return self.service(&request, image, decide(image.clone()).await);
            }
            Call::Rollback(service) => {
                return match self.engine.previous_image(service).await {
                    // The engine has nothing to go back to.
                    Ok(None) => Answer::Allow,
                    Ok(Some(image)) => self.service(&request, &image, decide(image.clone()).await),
                    Err(reason) => self.refuse(Some(&request), &reason.to_string()),
                };
            }
            Call::Unverifiable(kind) if self.allowed.contains(kind) => {
                let user = request.user.as_deref();
                self.decider
                    .record_exemption("engine", user, &said(&request), kind.word());
                return Answer::Allow;
            }
            Call::Unverifiable(kind) => {
                let word = kind.word();
                return self.refuse(
                    Some(&request),
                    &format!(
                        "denied: {word}: {}; where it may all the same, the gate is started with --allow {word}",
                        kind.reason()
                    ),
                );
            }
            Call::Create { image, mounts } => {
                let images = std::iter::once(image).chain(mounts).map(String::as_str);
                judge_create(&self.engine, images, decide).await
            }
            Call::Start(id) => judge_start(&self.engine, id, decide).await,
        };
        match judged {
            Ok(()) => Answer::Allow,
            // The decision is recorded already.
            Err(ContentError::Denied(line)) => Answer::Deny(line),
            Err(reason) => self.refuse(Some(&request), &reason.to_string()),
        }
    }

    /// The workers of a swarm pull by themselves, so that nothing compares what they get with a tag's digest.
    fn service(&self, request: &Authorization, image: &str, verdict: Verdict) -> Answer {
        if verdict.permits() && verdict.mode == Mode::Enforce && !image.contains('@') {
            return self.refuse(
                Some(request),
                &format!(
                    "denied: {image}: not_pinned: the nodes of a swarm pull without asking this engine, so the service has \
                     to name the digest: {}",
                    verdict.pinned.as_deref().unwrap_or("NAME@sha256:...")
                ),
            );
        }
        of_verdict(&verdict)
    }

    /// A denial that is no verdict about an image, or more than one.
    fn refuse(&self, request: Option<&Authorization>, reason: &str) -> Answer {
        self.decider.record_refusal(
            "engine",
            request.and_then(|request| request.user.as_deref()),
            request.map(said).as_deref(),
            reason,
        );
        Answer::Deny(reason.to_owned())
    }
}

/// The request as audit lines name it: without its query, in which a build's arguments may be secret.
fn said(request: &Authorization) -> String {
    let path = request.uri.split('?').next().unwrap_or_default();
    format!("{} {path}", request.method)
}

fn of_verdict(verdict: &Verdict) -> Answer {
    match verdict.permits() {
        true => Answer::Allow,
        false => Answer::Deny(line::of(verdict)),
    }
}
