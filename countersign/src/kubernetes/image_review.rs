//! `ImageReview` of `imagepolicy.k8s.io/v1alpha1`: what the API server's own ImagePolicyWebhook asks.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;
use verifier::Verdict;

use crate::{
    line,
    strict_json::{self, Names},
};

const API_VERSION: &str = "imagepolicy.k8s.io/v1alpha1";

/// The body is no review; answered with status 400.
#[derive(Debug, Error)]
pub enum ImageReviewError {
    /// No JSON, or JSON that readers read differently.
    #[error("the body is not JSON that can be judged: {0}")]
    Json(#[from] serde_json::Error),
    /// Another kind of request.
    #[error("the body is not an ImageReview of {API_VERSION} with a list of containers")]
    NotAReview,
}

/// A question of the API server. It does not tell who asks, and patches are not possible.
#[derive(Debug)]
pub struct ImageReview {
    review: Value,
    /// The images of a pod, init containers last.
    pub images: Vec<String>,
    /// The annotations of the pod whose name contains `.image-policy.k8s.io/`.
    pub annotations: BTreeMap<String, String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
}

impl ImageReview {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is no review.
    pub fn parse(body: &[u8]) -> Result<Self, ImageReviewError> {
        let review = strict_json::parse(body, Names::Exact)?;
        let is = |name: &str, wanted: &str| review.get(name).and_then(Value::as_str) == Some(wanted);
        if !is("apiVersion", API_VERSION) || !is("kind", "ImageReview") {
            return Err(ImageReviewError::NotAReview);
        }
        let containers = review.pointer("/spec/containers").and_then(Value::as_array);
        let images = containers.ok_or(ImageReviewError::NotAReview)?.iter();
        let images: Option<Vec<String>> = images
            .map(|container| Some(container.get("image")?.as_str()?.to_owned()))
            .collect();
        let annotations = review.pointer("/spec/annotations").and_then(Value::as_object);
        let annotations = annotations.into_iter().flatten();
        let annotations = annotations
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let namespace = review.pointer("/spec/namespace").and_then(Value::as_str);
        let namespace = namespace.filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Self {
            images: images.ok_or(ImageReviewError::NotAReview)?,
            annotations,
            namespace,
            review,
        })
    }

    /// The body of the answer, which is the question with a status; one verdict for each of the images, in the same order.
    pub fn answer(&self, verdicts: &[Verdict]) -> Value {
        let denials: Vec<String> = verdicts
            .iter()
            .filter(|verdict| !verdict.permits())
            .map(line::of)
            .collect();
        let allowed = denials.is_empty() && verdicts.len() == self.images.len();
        let mut status = Map::new();
        status.insert("allowed".into(), allowed.into());
        if !allowed {
            let reason = match denials.as_slice() {
                [] => "the gate has not judged every image".to_owned(),
                denials => denials.join("; "),
            };
            status.insert("reason".into(), reason.into());
        }
        let lines = verdicts.iter().enumerate();
        let annotations: Map<String, Value> = lines
            .map(|(position, verdict)| (format!("verdict-{position}"), line::of(verdict).into()))
            .collect();
        status.insert("auditAnnotations".into(), annotations.into());
        let mut answer = self.review.clone();
        if let Some(members) = answer.as_object_mut() {
            members.insert("status".into(), Value::Object(status));
        }
        answer
    }
}
