//! Policies: none that is read lets an image run unchecked unless it says so.

#![no_main]

use libfuzzer_sys::fuzz_target;
use verifier::{ImageReference, Plan, Policy, RequestContext};

fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::parse(text, &|_| Err("there are no files here".to_owned())) else {
        return;
    };
    for image in ["registry.example/team/app:1", "alpine", "localhost:5000/a"] {
        let image = ImageReference::parse(image).expect("this is a name");
        if let Plan::Decided(verdict) = policy.plan(&image, &RequestContext::default()) {
            assert!(!verdict.allow || text.contains("allow"), "{verdict:?}");
        }
    }
});
