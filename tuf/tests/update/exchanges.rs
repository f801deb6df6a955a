//! Publishes that were sent to the reference, and the answers it gave.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tuf::{CheckedUpdate, Current, Gun, IntakeError, Rejection, RoleName, Upload, check};

use crate::support::stored;

#[derive(Debug)]
enum Refusal {
    Intake(IntakeError),
    Update(Rejection),
}

fn then() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-21T23:20:00Z")
        .unwrap()
        .to_utc()
}

fn message(case: &str, file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/notary/http-cases");
    std::fs::read_to_string(folder.join(case).join(file)).unwrap()
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}

/// The file names and contents of a form.
fn parts(case: &str) -> Vec<(Option<String>, String)> {
    let request = message(case, "request.http");
    let boundary = request
        .split_once("boundary=")
        .unwrap()
        .1
        .split_once("\r\n")
        .unwrap()
        .0;
    let form = format!("\r\n{}", body(&request));
    let mut parts = Vec::new();
    for part in form.split(&format!("\r\n--{boundary}")).skip(1) {
        let Some((head, content)) = part.split_once("\r\n\r\n") else {
            continue;
        };
        let name = head
            .split_once("filename=\"")
            .map(|(_, rest)| rest.split_once('"').unwrap().0.to_owned());
        parts.push((name, content.to_owned()));
    }
    parts
}

/// What was stored after the first publish, when the other cases were sent.
fn initialized() -> Current {
    let mut current = Current::default();
    for (name, content) in parts("12-post-init") {
        let document = stored(&name.unwrap(), 1, content.into_bytes());
        match document.role {
            RoleName::Root => current.root = Some(document),
            _ => drop(current.targets.insert(document.role.clone(), document)),
        }
    }
    let made = |role: &str, case: &str| {
        Some(stored(
            role,
            1,
            body(&message(case, "response.http")).as_bytes().to_vec(),
        ))
    };
    current.snapshot = made("snapshot", "16-get-snapshot.json");
    current.timestamp = made("timestamp", "17-get-timestamp.json");
    current
}

fn publish(case: &str, current: &Current) -> Result<CheckedUpdate, Refusal> {
    let gun = Gun::parse("http/cases/f5f467").unwrap();
    let parts = parts(case)
        .into_iter()
        .map(|(name, content)| (name, content.into()));
    let upload = Upload::from_parts(parts).map_err(Refusal::Intake)?;
    check(&gun, &upload, current, then()).map_err(Refusal::Update)
}

/// The first error of the captured answer.
fn answer(case: &str) -> Value {
    let answer: Value = serde_json::from_str(body(&message(case, "response.http"))).unwrap();
    answer["errors"][0].clone()
}

#[test]
fn updates_are_refused_with_the_kind_and_text_of_the_reference() {
    for (case, current) in [
        ("11-post-no-root", Current::default()),
        ("30-post-bad-targets-sig", initialized()),
        ("31-post-bad-root-version", initialized()),
        ("34-post-unknown-delegation", initialized()),
    ] {
        let Err(Refusal::Update(rejection)) = publish(case, &current) else {
            panic!("{case}")
        };
        let detail = &answer(case)["detail"];
        assert_eq!(detail["Name"], rejection.kind().unwrap(), "{case}");
        assert_eq!(detail["Error"]["Msg"], rejection.to_string(), "{case}");
    }
}

#[test]
fn parts_are_refused_as_there() {
    let intake = |case| match publish(case, &initialized()) {
        Err(Refusal::Intake(error)) => (error, answer(case)["code"].as_str().unwrap().to_owned()),
        other => panic!("{case}: {other:?}"),
    };
    let (error, code) = intake("27-post-no-filename");
    assert_eq!((error, code.as_str()), (IntakeError::NoFilename, "NO_FILENAME"));
    let (error, code) = intake("28-post-invalid-role");
    assert_eq!(
        (error, code.as_str()),
        (IntakeError::InvalidRole("mirrors".into()), "INVALID_ROLE")
    );
    let (error, code) = intake("29-post-bad-json");
    assert!(matches!(error, IntakeError::MalformedJson { role, .. } if role == "targets"));
    assert_eq!(code, "MALFORMED_JSON");
}

#[test]
fn publishes_are_accepted_as_there() {
    assert!(publish("12-post-init", &Current::default()).is_ok());
    assert!(publish("33-post-targets-v2", &initialized()).is_ok());
    let update = publish("32-post-empty-form", &initialized()).unwrap();
    assert_eq!(update.snapshot_request().unwrap().version.get(), 2);
}
