//! The routes of a gate's listener. A skin reads a question and writes the answer; the decider decides.

use std::{sync::Arc, time::Duration};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use verifier::{RequestContext, Verdict};

use super::http::{Request, Response};
use crate::{
    decider::{Asked, Decider},
    gatekeeper::ProviderRequest,
    kubernetes::{Answering, ImageReview, Review, Stage},
    strict_json::{self, Names},
};

/// How long a decision may take: less than the shortest time that the API server can be told to wait for its webhook
/// and still have some left.
const DEADLINE: Duration = Duration::from_secs(2);
/// More images than any object names; the verdicts of a request are asked together.
const MOST_IMAGES: usize = 1_000;

/// What the routes need.
pub struct Routes {
    decider: Arc<Decider>,
}

impl Routes {
    /// The routes of a gate.
    pub fn new(decider: Arc<Decider>) -> Self {
        Self { decider }
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Response {
        const POSTED: [&str; 6] = [
            "/admission/v1/mutate",
            "/admission/v1/validate",
            "/admission/v1/validate/pinned",
            "/image-review",
            "/gatekeeper/v1/validate",
            "/verify",
        ];
        match (&request.method, request.path.as_str()) {
            // A gate listens once its policy is loaded, and decides by what it knows while a trust server is away.
            (&Method::GET | &Method::HEAD, "/health" | "/ready") => Response::text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/metrics") => Response::text(StatusCode::OK, self.decider.metrics()),
            (&Method::POST, "/admission/v1/mutate") => self.admission(&request, Stage::Mutate).await,
            (&Method::POST, "/admission/v1/validate") => {
                self.admission(&request, Stage::Validate { pinned_only: false })
                    .await
            }
            (&Method::POST, "/admission/v1/validate/pinned") => {
                self.admission(&request, Stage::Validate { pinned_only: true })
                    .await
            }
            (&Method::POST, "/image-review") => self.image_review(&request).await,
            (&Method::POST, "/gatekeeper/v1/validate") => self.gatekeeper(&request).await,
            (&Method::POST, "/verify") => self.verify(&request).await,
            (_, path) if POSTED.contains(&path) => Response::error(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "questions are asked by POST",
            ),
            _ => Response::error(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                &format!("there is no such route; questions go to {}", POSTED.join(", ")),
            ),
        }
    }

    async fn admission(&self, request: &Request, stage: Stage) -> Response {
        let review = match Review::parse(&request.body) {
            Ok(review) => review,
            Err(reason) => return bad(&reason),
        };
        let asked = Asked {
            skin: match stage {
                Stage::Mutate => "admission-mutate",
                Stage::Validate { .. } => "admission-validate",
            },
            object: Some(review.object.clone()),
            dry_run: review.dry_run,
            context: RequestContext {
                namespace: review.namespace.clone(),
                user: review.user.clone(),
                groups: review.groups.clone(),
                annotations: review.annotations.clone(),
                ..RequestContext::default()
            },
        };
        let verdicts = self.decide(review.images(), &asked).await;
        let answering = Answering {
            stage,
            verdicts: &verdicts,
        };
        Response::json(&review.answer(answering))
    }

    async fn image_review(&self, request: &Request) -> Response {
        let review = match ImageReview::parse(&request.body) {
            Ok(review) => review,
            Err(reason) => return bad(&reason),
        };
        let asked = Asked {
            skin: "image-review",
            object: None,
            dry_run: false,
            context: RequestContext {
                namespace: review.namespace.clone(),
                annotations: review.annotations.clone(),
                ..RequestContext::default()
            },
        };
        let verdicts = self
            .decide(review.images.iter().map(String::as_str), &asked)
            .await;
        Response::json(&review.answer(&verdicts))
    }

    async fn gatekeeper(&self, request: &Request) -> Response {
        let question = match ProviderRequest::parse(&request.body) {
            Ok(question) => question,
            Err(reason) => return bad(&reason),
        };
        let asked = Asked::by("gatekeeper");
        let verdicts = self
            .decide(question.images.iter().map(String::as_str), &asked)
            .await;
        Response::json(&question.answer(&verdicts))
    }

    /// `{"images": [...], "namespace"?}` in, the verdicts out.
    async fn verify(&self, request: &Request) -> Response {
        let question = match Question::parse(&request.body) {
            Ok(question) => question,
            Err(reason) => return Response::error(StatusCode::BAD_REQUEST, "INVALID_BODY", &reason),
        };
        let mut asked = Asked::by("verify");
        asked.context.namespace = question.namespace;
        let verdicts = self
            .decide(question.images.iter().map(String::as_str), &asked)
            .await;
        let allowed = !verdicts.is_empty() && verdicts.iter().all(Verdict::permits);
        Response::json(&json!({"allowed": allowed, "verdicts": verdicts}))
    }

    async fn decide<'a>(&self, images: impl Iterator<Item = &'a str>, asked: &Asked) -> Vec<Verdict> {
        let images: Vec<&str> = images.take(MOST_IMAGES).collect();
        self.decider.decide_all(&images, asked, DEADLINE).await
    }
}

struct Question {
    images: Vec<String>,
    namespace: Option<String>,
}

impl Question {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let question = strict_json::parse(body, Names::Exact)
            .map_err(|cause| format!("the body cannot be read: {cause}"))?;
        let members = question.as_object().into_iter().flatten();
        for (name, _) in members {
            if name != "images" && name != "namespace" {
                return Err(format!(
                    "{name:?} is not known: the body is {{\"images\": [...], \"namespace\"?}}"
                ));
            }
        }
        let images = question.get("images").and_then(Value::as_array);
        let images = images.ok_or("the body has no list of images: {\"images\": [\"reg.example/app:1\"]}")?;
        let images: Option<Vec<String>> = images
            .iter()
            .map(|image| Some(image.as_str()?.to_owned()))
            .collect();
        let namespace = match question.get("namespace") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(_) => return Err("the namespace is not a text".to_owned()),
        };
        Ok(Self {
            images: images.ok_or("an image is not a text")?,
            namespace,
        })
    }
}

fn bad(reason: &dyn std::error::Error) -> Response {
    Response::error(StatusCode::BAD_REQUEST, "INVALID_BODY", &reason.to_string())
}
