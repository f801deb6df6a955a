//! Names of images: whatever is read is written as it was, and a pinned name stays in its repository.

#![no_main]

use libfuzzer_sys::fuzz_target;
use verifier::ImageReference;

/// As a stated digest looks like.
const DIGEST: &str = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

fuzz_target!(|text: &str| {
    let Ok(image) = ImageReference::parse(text) else {
        return;
    };
    assert_eq!(image.to_string(), text);
    assert!(!image.name().is_empty() && image.name().starts_with(image.host()));
    let other = ImageReference::parse(&format!("registry.example/app@{DIGEST}"));
    let digest = other.expect("this is a name").digest().cloned();
    let digest = digest.expect("it has a digest");
    for keep_tag in [true, false] {
        let pinned =
            ImageReference::parse(&image.pinned(&digest, keep_tag)).expect("a pinned name is a name");
        assert_eq!((pinned.name(), pinned.gun()), (image.name(), image.gun()));
        assert_eq!(pinned.digest(), Some(&digest));
    }
});
