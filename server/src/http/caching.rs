//! What caches may do with documents, and answers to those who have them already.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, PRAGMA},
};

/// How caches may store a document.
pub struct Caching {
    /// How long it may be stored, in seconds; 0 forbids it.
    pub max_age: u32,
    /// Whether another document may replace it.
    pub current: bool,
    /// Whether every client may read it; otherwise only the client itself may store it.
    pub public: bool,
}

impl Caching {
    /// The value of `Cache-Control` (RFC 9111, section 5.2.2); `None` if it must not be stored.
    fn header(&self) -> Option<String> {
        let max_age = self.max_age;
        let revalidate = if self.current { ", must-revalidate" } else { "" };
        match (max_age, self.public) {
            (0, _) => None,
            (_, true) => Some(format!(
                "public, max-age={max_age}, s-maxage={max_age}{revalidate}"
            )),
            (_, false) => Some(format!("private, max-age={max_age}{revalidate}")),
        }
    }

    /// The beginning of the answer with a document whose SHA-256 is `sha256`, in hexadecimal digits, and whether the client
    /// has that document already, so that the answer has no body.
    pub fn begin(&self, request: &HttpRequest, sha256: &str) -> (HttpResponseBuilder, bool) {
        let tag = format!("\"{sha256}\"");
        let unchanged = has(request, &tag);
        let mut response = if unchanged {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        if let Some(value) = self.header() {
            response.insert_header((CACHE_CONTROL, value));
        } else {
            response.insert_header((CACHE_CONTROL, "max-age=0, no-cache, no-store"));
            response.insert_header((PRAGMA, "no-cache"));
        }
        response.insert_header((ETAG, tag));
        (response, unchanged)
    }
}

/// Whether the client says that it has what this tag names.
fn has(request: &HttpRequest, tag: &str) -> bool {
    let known = request
        .headers()
        .get(IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok());
    known.is_some_and(|tags| {
        tags.split(',')
            .map(|known| known.trim().trim_start_matches("W/"))
            .any(|known| known == tag || known == "*")
    })
}
