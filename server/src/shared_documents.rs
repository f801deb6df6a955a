//! Shares large documents among the clients that are reading them, so that each is in memory only once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;
use tuf::Document;

/// The size in bytes below which documents are not shared.
const LARGE: usize = 64 * 1024;

/// The documents that are being read, by the SHA-256 of the stored bytes.
#[derive(Default)]
pub struct SharedDocuments {
    held: Mutex<HashMap<[u8; 32], Weak<Bytes>>>,
}

/// Keeps a document in memory until its last reader is done.
struct Held(Arc<Bytes>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl SharedDocuments {
    /// The document's bytes, shared with other readers if there are any.
    pub fn share(&self, document: &Document) -> Bytes {
        if document.bytes.len() < LARGE {
            return document.bytes.clone();
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.get(document.sha256.as_bytes()).and_then(Weak::upgrade);
        let shared = known.unwrap_or_else(|| {
            held.retain(|_, weak| weak.strong_count() > 0);
            let new = Arc::new(document.bytes.clone());
            held.insert(*document.sha256.as_bytes(), Arc::downgrade(&new));
            new
        });
        Bytes::from_owner(Held(shared))
    }
}

#[cfg(test)]
mod tests {
    use tuf::{Checksum, RoleName, Version};

    use super::*;

    fn document(fill: u8) -> Document {
        let bytes = Bytes::from(vec![fill; LARGE]);
        Document {
            role: RoleName::Targets,
            version: Version::FIRST,
            sha256: Checksum::of(&bytes),
            bytes,
        }
    }

    #[test]
    fn readers_of_one_document_share_it_and_nobody_elses() {
        let documents = SharedDocuments::default();
        let first = documents.share(&document(1));
        let second = documents.share(&document(1));
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!(documents.share(&document(2))[0], 2);
        drop((first, second));
        let third = documents.share(&document(3));
        assert_eq!(third[0], 3);
        assert_eq!(
            documents.held.lock().unwrap().len(),
            1,
            "a document without readers is dropped"
        );
    }
}
