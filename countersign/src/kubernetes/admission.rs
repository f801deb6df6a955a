//! `AdmissionReview` of `admission.k8s.io/v1`: what is asked, and the answer.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use thiserror::Error;
use verifier::{Mode, Verdict};

use super::{
    objects::{Place, names_no_images, places},
    warning,
};
use crate::{
    line,
    strict_json::{self, Names},
};

/// The only version that is spoken here.
const API_VERSION: &str = "admission.k8s.io/v1";

/// The body is no review. These are answered with status 400, which the API server treats as its webhook's
/// `failurePolicy` says.
#[derive(Debug, Error)]
pub enum AdmissionError {
    /// No JSON, or JSON that readers read differently.
    #[error("the body is not JSON that can be judged: {0}")]
    Json(#[from] serde_json::Error),
    /// Another kind of request.
    #[error(
        "the body is not an AdmissionReview of {API_VERSION} with a request and its uid: set admissionReviewVersions to \
         [\"v1\"]"
    )]
    NotAReview,
}

/// Which of the two webhooks asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The mutating one: digests are written into the object.
    Mutate,
    /// The validating one, which sees what the mutating ones made of the object.
    Validate {
        /// Whether an image without digest is refused even if its tag is signed. A node resolves the tag later, and
        /// may get something else.
        pinned_only: bool,
    },
}

/// A question of the API server.
#[derive(Debug)]
pub struct Review {
    uid: String,
    /// Why there is nothing to judge, or what is wrong with the object, or the places to judge.
    subject: Subject,
    /// The namespace of the object, as the API server states it.
    pub namespace: Option<String>,
    /// Who asked the API server.
    pub user: Option<String>,
    /// The groups of this user.
    pub groups: Vec<String>,
    /// The annotations of the object.
    pub annotations: BTreeMap<String, String>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// The object, in words, for the audit.
    pub object: String,
}

#[derive(Debug)]
enum Subject {
    Nothing,
    Refused(String),
    Places(Vec<Place>),
}

/// What is put into the answer.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    /// Which webhook answers.
    pub stage: Stage,
    /// One for each of [`Review::images`], in the same order.
    pub verdicts: &'a [Verdict],
}

impl Review {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is no review that can be answered. An object that cannot be judged is no error: the answer denies it.
    pub fn parse(body: &[u8]) -> Result<Self, AdmissionError> {
        let review = strict_json::parse(body, Names::Exact)?;
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        if text(&review, "apiVersion").as_deref() != Some(API_VERSION)
            || text(&review, "kind").as_deref() != Some("AdmissionReview")
        {
            return Err(AdmissionError::NotAReview);
        }
        let request = review.get("request").ok_or(AdmissionError::NotAReview)?;
        let uid = text(request, "uid")
            .filter(|uid| !uid.is_empty())
            .ok_or(AdmissionError::NotAReview)?;
        let user = request.get("userInfo").unwrap_or(&Value::Null);
        let groups = user.get("groups").and_then(Value::as_array);
        let groups = groups.into_iter().flatten().filter_map(Value::as_str);
        let annotations = request.pointer("/object/metadata/annotations");
        let annotations = annotations.and_then(Value::as_object).into_iter().flatten();
        let annotations =
            annotations.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Ok(Self {
            uid,
            subject: subject(request),
            namespace: text(request, "namespace").filter(|name| !name.is_empty()),
            user: text(user, "username"),
            groups: groups.map(str::to_owned).collect(),
            annotations: annotations.collect(),
            dry_run: request.get("dryRun").and_then(Value::as_bool).unwrap_or(false),
            object: described(request),
        })
    }

    /// The images to judge.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        let places: &[Place] = match &self.subject {
            Subject::Places(places) => places,
            Subject::Nothing | Subject::Refused(_) => &[],
        };
        places.iter().filter_map(|place| place.image.as_deref())
    }

    /// The body of the answer.
    pub fn answer(&self, answering: Answering<'_>) -> Value {
        let mut response = Map::new();
        response.insert("uid".into(), self.uid.as_str().into());
        let refused = |response: &mut Map<String, Value>, message: &str| {
            response.insert("allowed".into(), false.into());
            let status = json!({"code": 403, "reason": "Forbidden", "message": message});
            response.insert("status".into(), status);
        };
        match &self.subject {
            Subject::Nothing => {
                response.insert("allowed".into(), true.into());
            }
            Subject::Refused(reason) => refused(&mut response, reason),
            Subject::Places(places) => {
                let places = places.iter().filter(|place| place.image.is_some());
                let judged: Vec<(&Place, &Verdict)> = places.zip(answering.verdicts).collect();
                let expected = self.images().count();
                let mut denials: Vec<String> = judged
                    .iter()
                    .filter(|(_, verdict)| !verdict.permits())
                    .map(|(_, verdict)| line::of(verdict))
                    .collect();
                if let Stage::Validate { pinned_only: true } = answering.stage {
                    denials.extend(judged.iter().filter(|judged| unpinned(judged)).map(|(_, verdict)| {
                        format!(
                            "denied: {}: not_pinned: the digest is not written: register the mutating webhook \
                             /admission/v1/mutate too, and let no other webhook change images after it",
                            verdict.image
                        )
                    }));
                }
                if judged.len() != expected {
                    denials.push("the gate has not judged every image".to_owned());
                }
                if denials.is_empty() {
                    response.insert("allowed".into(), true.into());
                    if answering.stage == Stage::Mutate {
                        patch(&mut response, &judged);
                    }
                } else {
                    refused(&mut response, &denials.join("; "));
                }
                notes(&mut response, &judged);
            }
        }
        json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})
    }
}

/// Whether a permitted image could still become another one when a node pulls it.
fn unpinned((place, verdict): &(&Place, &Verdict)) -> bool {
    let written = place.image.as_deref().unwrap_or_default();
    verdict.allow && verdict.pinned.is_some() && !written.contains('@')
}

/// The patch that writes the digests, and nothing where all are written.
fn patch(response: &mut Map<String, Value>, judged: &[(&Place, &Verdict)]) {
    let operations: Vec<Value> = judged
        .iter()
        .filter(|(_, verdict)| verdict.allow)
        .filter_map(|(place, verdict)| {
            let pinned = verdict.pinned.as_deref()?;
            (place.image.as_deref() != Some(pinned))
                .then(|| json!({"op": "replace", "path": place.pointer, "value": pinned}))
        })
        .collect();
    if !operations.is_empty() {
        response.insert("patchType".into(), "JSONPatch".into());
        let patch = STANDARD.encode(Value::Array(operations).to_string());
        response.insert("patch".into(), patch.into());
    }
}

/// Warnings for the person who asked, and annotations for the cluster's audit.
fn notes(response: &mut Map<String, Value>, judged: &[(&Place, &Verdict)]) {
    let mut warnings: Vec<String> = Vec::new();
    let mut annotations = Map::new();
    for (position, (_, verdict)) in judged.iter().enumerate() {
        if !verdict.allow && verdict.mode == Mode::Audit {
            warnings.push(warning(&format!("audit only, {}", line::of(verdict))));
        }
        annotations.insert(format!("verdict-{position}"), line::of(verdict).into());
    }
    warnings.dedup();
    if !warnings.is_empty() {
        response.insert("warnings".into(), warnings.into());
    }
    if !annotations.is_empty() {
        response.insert("auditAnnotations".into(), annotations.into());
    }
}

fn subject(request: &Value) -> Subject {
    let text = |pointer: &str| {
        request
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let operation = text("/operation");
    if matches!(operation, "DELETE" | "CONNECT") {
        return Subject::Nothing;
    }
    let (group, kind) = (text("/kind/group"), text("/kind/kind"));
    if names_no_images(group, kind) {
        return Subject::Nothing;
    }
    let object = request.get("object").filter(|object| object.is_object());
    let Some(object) = object else {
        return Subject::Refused(format!(
            "the request to {operation} a {kind} has no object to judge"
        ));
    };
    let now = match places(group, kind, object) {
        Ok(places) => places,
        Err(reason) => return Subject::Refused(reason.to_string()),
    };
    if operation == "UPDATE" && keeps_images(group, kind, request, &now) {
        return Subject::Nothing;
    }
    Subject::Places(now)
}

/// Whether an update leaves the images as they are, or is a step of a deletion. The API server states what was stored
/// before, so that neither depends on what the new object says of itself.
fn keeps_images(group: &str, kind: &str, request: &Value, now: &[Place]) -> bool {
    let Some(before) = request.get("oldObject").filter(|object| object.is_object()) else {
        return false;
    };
    let deleted = before.pointer("/metadata/deletionTimestamp");
    if deleted.is_some_and(|moment| !moment.is_null()) {
        return true;
    }
    places(group, kind, before).is_ok_and(|before| before == now)
}

fn described(request: &Value) -> String {
    let text = |pointer: &str| {
        request
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let mut name = text("/name").to_owned();
    if name.is_empty() {
        let generated = request.pointer("/object/metadata/generateName");
        name = format!("{}*", generated.and_then(Value::as_str).unwrap_or_default());
    }
    let sub = match text("/subResource") {
        "" => String::new(),
        sub => format!("/{sub}"),
    };
    format!("{} {}{sub} {name}", text("/operation"), text("/kind/kind"))
}
