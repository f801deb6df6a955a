//! A verdict as one line of text: what the command prints, and what clients of the gates see.

use verifier::{Mode, Verdict};

/// The pinned reference of what is allowed, or `denied: IMAGE: REASON_CODE: sentence`. What is denied in audit mode, and
/// runs all the same, begins with `audit: `.
pub fn of(verdict: &Verdict) -> String {
    let image = &verdict.image;
    let reason = verdict.reason.map_or("unspecified", |reason| reason.code());
    if !verdict.allow {
        let word = match verdict.mode {
            Mode::Enforce => "denied",
            Mode::Audit => "audit",
        };
        return format!("{word}: {image}: {reason}: {}", verdict.sentence);
    }
    verdict.pinned.clone().unwrap_or_else(|| image.clone())
}
