//! What the API server of Kubernetes asks, and how it is answered. Nothing here decides about an image.

mod admission;
mod image_review;
mod objects;

pub use admission::{AdmissionError, Answering, Review, Stage};
pub use image_review::{ImageReview, ImageReviewError};
pub use objects::{ObjectError, Place, names_no_images, places};

/// The longest warning that people see (the API server cuts at 120 characters and warns of it).
const WARNING_LENGTH: usize = 120;

/// A text as a warning: no line ends, and not longer than is shown.
fn warning(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WARNING_LENGTH + 1)
        .collect();
    if short.chars().count() > WARNING_LENGTH {
        short = short.chars().take(WARNING_LENGTH - 1).collect();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_one_line_of_at_most_120_characters() {
        assert_eq!(warning("a\nb"), "a b");
        let long = warning(&"é".repeat(500));
        assert_eq!(long.chars().count(), 120);
        assert!(long.ends_with('…'));
        assert_eq!(warning(&"x".repeat(120)), "x".repeat(120));
    }
}
