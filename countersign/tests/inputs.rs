//! Whatever is sent to a gate, it answers: no input panics, and none that is damaged says more than it did.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails, and says where"
)]

use countersign::{
    engine::{Authorization, Call},
    gatekeeper::ProviderRequest,
    kubernetes::{ImageReview, Review},
    manifests,
    strict_json::{self, Names},
};
use proptest::prelude::*;

const REVIEW: &[u8] = include_bytes!("../../fixtures/gates/mutate-pod-create.request.json");
const IMAGE_REVIEW: &[u8] = include_bytes!("../../fixtures/gates/image-review.request.json");

/// The body of a recorded request.
fn body(recorded: &[u8]) -> Vec<u8> {
    let recorded: serde_json::Value = serde_json::from_slice(recorded).unwrap();
    recorded["body"].to_string().into_bytes()
}

/// A text in which some bytes were replaced, put in or taken out.
fn damaged(text: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = text.len();
    let change = (0..length, any::<u8>(), 0..3_u8);
    proptest::collection::vec(change, 1..6).prop_map(move |changes| {
        let mut text = text.clone();
        for (place, byte, kind) in changes {
            let place = place.min(text.len().saturating_sub(1));
            match kind {
                0 => text[place] = byte,
                1 => text.insert(place, byte),
                _ => drop(text.remove(place)),
            }
        }
        text
    })
}

#[test]
fn recorded_requests_are_read() {
    let review = Review::parse(&body(REVIEW)).unwrap();
    assert_eq!(
        review.images().collect::<Vec<_>>(),
        ["registry.test/team/app:1.0"]
    );
    assert_eq!(ImageReview::parse(&body(IMAGE_REVIEW)).unwrap().images.len(), 3);
}

proptest! {
    #[test]
    fn damaged_reviews_never_panic(text in damaged(body(REVIEW))) {
        if let Ok(review) = Review::parse(&text) {
            prop_assert!(review.images().count() <= 1);
        }
    }

    #[test]
    fn damaged_image_reviews_never_panic(text in damaged(body(IMAGE_REVIEW))) {
        if let Ok(review) = ImageReview::parse(&text) {
            prop_assert!(review.images.len() <= 3);
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Review::parse(&bytes);
        let _ = ProviderRequest::parse(&bytes);
        let _ = strict_json::parse(&bytes, Names::AnyCase);
        let _ = manifests::images(&String::from_utf8_lossy(&bytes));
        if let Ok(request) = Authorization::parse(&bytes) {
            let _ = Call::of(&request);
        }
    }

    #[test]
    fn requests_to_the_engine_never_panic_and_hidden_bodies_make_no_container(
        method in "GET|POST|PUT|DELETE|PATCH",
        path in "(/v1\\.[0-9]{2})?/(containers|images|build|services|plugins|[a-z%./]{1,12})(/[a-zA-Z0-9%._:-]{0,12}){0,3}",
        query in "(\\?[a-zA-Z0-9%&=;:/]{0,30})?",
    ) {
        let request = serde_json::json!({"RequestMethod": method, "RequestUri": format!("{path}{query}")});
        let request = Authorization::parse(request.to_string().as_bytes()).unwrap();
        let is_create = matches!(Call::of(&request), Ok(Call::Create { .. } | Call::Service { .. }));
        prop_assert!(!is_create);
    }
}
