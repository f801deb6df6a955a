//! What is measured: the parts of a publish and of a read that cost most of their time in this crate.

// Each program that measures uses a part of the tests' support.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

#[path = "../tests/update/support/mod.rs"]
mod support;

use std::hint::black_box;

use bytes::Bytes;
use serde_json::json;
use support::{Repository, now, sign, targets_body};
use tuf::{Checksum, RoleName, Upload, canonical_form, check};

/// Something to do again and again, prepared.
pub type Run = Box<dyn FnMut()>;

/// A name, and what prepares it.
pub type Case = (&'static str, fn() -> Run);

/// All of them.
pub const CASES: [Case; 9] = [
    ("read-upload-10", || read_upload(10)),
    ("read-upload-1000", || read_upload(1000)),
    ("check-publish-10", || check_publish(10)),
    ("check-publish-1000", || check_publish(1000)),
    ("canonical-form-10", || canonical(10)),
    ("canonical-form-1000", || canonical(1000)),
    ("seal-publish-10", || seal(10)),
    ("named-in-snapshot", named_in_snapshot),
    ("timestamp-expires", timestamp_expires),
];

/// A signed version 2 of the targets with so many tags.
fn targets(repository: &Repository, tags: usize) -> Bytes {
    let mut signed = targets_body(2, &[]);
    for number in 0..tags {
        let tag = format!("release-{number}");
        let hashes = json!({"sha256": "DwFwfLmWNNIYYWcMR2Y5Hlgvo5K4Hl3nPjWcGUtLBTA="});
        signed["targets"][tag] = json!({"hashes": hashes, "length": 1570});
    }
    sign(&signed, &[&repository.targets]).into()
}

fn upload(bytes: &Bytes) -> Upload {
    Upload::from_parts([(Some("targets".to_owned()), bytes.clone())]).unwrap()
}

fn read_upload(tags: usize) -> Run {
    let bytes = targets(&Repository::published(), tags);
    Box::new(move || drop(black_box(upload(black_box(&bytes)))))
}

fn check_publish(tags: usize) -> Run {
    let repository = Repository::published();
    let upload = upload(&targets(&repository, tags));
    Box::new(move || {
        let checked = check(&repository.gun, black_box(&upload), &repository.current, now());
        drop(black_box(checked.unwrap()));
    })
}

fn canonical(tags: usize) -> Run {
    let bytes = targets(&Repository::published(), tags);
    Box::new(move || drop(black_box(canonical_form(black_box(&bytes)).unwrap())))
}

/// With the two signatures of the server, which are made and verified.
fn seal(tags: usize) -> Run {
    let repository = Repository::published();
    let upload = upload(&targets(&repository, tags));
    Box::new(move || {
        let checked = check(&repository.gun, &upload, &repository.current, now()).unwrap();
        drop(black_box(repository.seal(checked)));
    })
}

fn named_in_snapshot() -> Run {
    let snapshot = Repository::published().current.snapshot.unwrap().bytes;
    Box::new(move || {
        let named = tuf::named_in_snapshot(black_box(&snapshot), &RoleName::Targets);
        black_box::<Option<Checksum>>(named.unwrap());
    })
}

fn timestamp_expires() -> Run {
    let timestamp = Repository::published().current.timestamp.unwrap().bytes;
    Box::new(move || {
        black_box(tuf::expires(black_box(&timestamp)).unwrap());
    })
}
