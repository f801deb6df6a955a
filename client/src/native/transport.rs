//! How tough reads from a server: with our certificates, CAs and tokens. What was read of metadata is kept, so that the
//! verified bytes themselves are at hand afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use percent_encoding::percent_decode_str;
use tough::{Transport, TransportError, TransportErrorKind, TransportStream};
use tuf_native::RepositoryName;
use url::Url;

use crate::failure::ReadError;
use crate::server::Server;

/// Where tough is told that metadata is. The transport knows where it really is.
pub(super) const METADATA: &str = "countersign:///metadata/";
/// Where tough is told that targets are. It is not asked for any (`download.rs`).
pub(super) const TARGETS: &str = "countersign:///targets/";

/// A repository of a server, as tough reads it.
#[derive(Debug, Clone)]
pub(super) struct ServerTransport {
    server: Arc<Server>,
    name: RepositoryName,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    files: BTreeMap<String, Bytes>,
    failure: Option<ReadError>,
}

impl ServerTransport {
    pub(super) fn new(server: Arc<Server>, name: RepositoryName) -> Self {
        Self {
            server,
            name,
            seen: Arc::default(),
        }
    }

    /// A file of metadata that was read, by its name before percent-encoding.
    pub(super) fn file(&self, name: &str) -> Option<Bytes> {
        self.with(|seen| seen.files.get(name).cloned())
    }

    /// The last failure of the server, which tough tells in its own words.
    pub(super) fn failure(&self) -> Option<ReadError> {
        self.with(|seen| seen.failure.take())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn failed(&self, url: &Url, cause: ReadError) -> TransportError {
        self.with(|seen| seen.failure = Some(cause.clone()));
        TransportError::new_with_cause(TransportErrorKind::Other, url, cause)
    }

    async fn metadata(&self, file: &str, url: &Url) -> Result<TransportStream, TransportError> {
        match self.server.native_file(&self.name, file).await {
            Ok(Some(bytes)) => {
                self.with(|seen| seen.files.insert(file.to_owned(), bytes.clone()));
                Ok(Box::pin(stream::iter([Ok(bytes)])))
            }
            Ok(None) => Err(TransportError::new(TransportErrorKind::FileNotFound, url)),
            Err(cause) => Err(self.failed(url, cause)),
        }
    }
}

#[tough::async_trait]
impl Transport for ServerTransport {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let decoded = |path: &str| {
            percent_decode_str(path)
                .decode_utf8()
                .ok()
                .map(|text| text.into_owned())
        };
        let below = |base: &str| url.as_str().strip_prefix(base).and_then(decoded);
        if let Some(file) = below(METADATA) {
            return self.metadata(&file, &url).await;
        }
        Err(TransportError::new(
            TransportErrorKind::UnsupportedUrlScheme,
            &url,
        ))
    }
}
