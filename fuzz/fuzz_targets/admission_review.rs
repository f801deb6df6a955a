//! Reviews: an image that the API server sees in a Pod is one that the gate sees.

#![no_main]

use countersign::kubernetes::{Answering, ImageReview, Review, Stage};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let _ = ImageReview::parse(body);
    let Ok(review) = Review::parse(body) else {
        return;
    };
    let seen: Vec<&str> = review.images().collect();
    // What another reader makes of the same bytes.
    let other: Value = serde_json::from_slice(body).expect("what the strict reader takes is JSON");
    let request = &other["request"];
    let is_pod = request["kind"]["kind"] == "Pod"
        && request["kind"]["group"] == ""
        && request["subResource"].is_null();
    if !is_pod || request["operation"] != "CREATE" {
        return;
    }
    // Without verdicts nothing passes in which there is anything to judge.
    let answering = Answering {
        stage: Stage::Validate { pinned_only: false },
        verdicts: &[],
    };
    let passes = review.answer(answering)["response"]["allowed"] == true;
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in request["object"]["spec"][list].as_array().into_iter().flatten() {
            if let Some(image) = container["image"].as_str() {
                assert!(!passes, "{image} in {list} passes without a verdict");
                assert!(
                    seen.is_empty() || seen.contains(&image),
                    "{image} in {list} is not seen"
                );
            }
        }
    }
});
