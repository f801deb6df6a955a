//! Reading and writing a connection.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{TlsStream, forget_errors};
use crate::reason;

/// A connection whose errors are its own, not those that another connection left on the thread, and have their reasons
/// in words: HTTP/2 keeps nothing but the text of an error.
pub struct Connection {
    stream: TlsStream,
    failure: LastFailure,
}

/// Why the last connection broke, for those who use it through a library that does not tell them. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastFailure(Arc<Mutex<Option<String>>>);

impl LastFailure {
    /// The reason in words, unless nothing has broken since the last connection was made.
    pub fn reason(&self) -> Option<String> {
        self.slot().clone()
    }

    fn note(&self, cause: io::Error) -> io::Error {
        let cause = reason::in_words(cause);
        *self.slot() = Some(cause.to_string());
        cause
    }

    fn slot(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// After the handshake.
    pub fn new(stream: TlsStream) -> Self {
        Self {
            stream,
            failure: LastFailure::default(),
        }
    }

    /// Tells `failure` what becomes of it.
    #[must_use]
    pub fn telling(mut self, failure: &LastFailure) -> Self {
        *failure.slot() = None;
        self.failure = failure.clone();
        self
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forget_errors();
        Pin::new(&mut self.stream)
            .poll_read(cx, to)
            .map_err(|cause| self.failure.note(cause))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        forget_errors();
        Pin::new(&mut self.stream)
            .poll_write(cx, from)
            .map_err(|cause| self.failure.note(cause))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forget_errors();
        Pin::new(&mut self.stream)
            .poll_flush(cx)
            .map_err(|cause| self.failure.note(cause))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forget_errors();
        Pin::new(&mut self.stream)
            .poll_shutdown(cx)
            .map_err(|cause| self.failure.note(cause))
    }
}
