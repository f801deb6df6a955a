//! Requests to an engine: a body that is not shown makes no container, and what is read as a creation names an image.

#![no_main]

use countersign::engine::{Authorization, Call};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(request) = Authorization::parse(body) else {
        return;
    };
    let creates = matches!(Call::of(&request), Ok(Call::Create { .. } | Call::Service { .. }));
    assert!(!creates || request.visible_body().is_ok_and(|body| !body.is_empty()));
});
