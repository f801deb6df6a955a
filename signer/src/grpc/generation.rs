//! What connections are accepted with and callers are judged by. A reload replaces all of it at once.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use openssl::ssl::SslAcceptor;
use platform::tls::ClientTrust;
use tonic::{Request, Status, service::Interceptor};

use super::{Admission, Peer};

/// One set of certificates, client CAs and allowed callers. Never changed, only replaced.
pub struct Generation {
    number: u64,
    acceptor: SslAcceptor,
    trust: Option<Arc<ClientTrust>>,
    admission: Admission,
}

/// The current generation. Clones share it.
#[derive(Clone)]
pub struct Generations(Arc<ArcSwap<Generation>>);

impl Generation {
    /// The first generation: TLS, the CAs of clients (none if clients need no certificate), and which of them may call.
    pub fn new(acceptor: SslAcceptor, trust: Option<Arc<ClientTrust>>, admission: Admission) -> Self {
        Self {
            number: 1,
            acceptor,
            trust,
            admission,
        }
    }

    /// Which generation of this process it is, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The acceptor for handshakes.
    pub fn acceptor(&self) -> &SslAcceptor {
        &self.acceptor
    }

    /// The CAs that may issue client certificates; `None` if clients need no certificate.
    pub fn trust(&self) -> Option<&ClientTrust> {
        self.trust.as_deref()
    }

    /// Warnings about the CAs for the operator, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let trust = self.trust.iter();
        trust
            .flat_map(|trust| trust.warnings(chrono::Utc::now()))
            .collect()
    }
}

impl Generations {
    /// Starts with this generation.
    pub fn new(first: Generation) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// The current generation.
    pub fn now(&self) -> Arc<Generation> {
        self.0.load_full()
    }

    /// Replaces the generation and returns the new one's number. Calls on open connections are judged by it from now
    /// on.
    pub fn take_up(&self, mut next: Generation) -> u64 {
        next.number = self.now().number + 1;
        let number = next.number;
        self.0.store(Arc::new(next));
        number
    }
}

impl fmt::Debug for Generations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Generations").field(&self.now().number).finish()
    }
}

/// Judges every call by the certificate of its connection.
impl Interceptor for Generations {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let generation = self.now();
        let peer = Peer::of(request.extensions());
        let verified = peer.verify_again(&generation).map_err(|fault| {
            Status::unauthenticated(format!("the client certificate is not trusted any more: {fault}"))
        });
        let admitted = verified.and_then(|()| generation.admission.admit(&peer, chrono::Utc::now()));
        match admitted {
            Ok(()) => Ok(request),
            Err(status) => {
                let call = crate::audit::Request {
                    action: "Call",
                    ..Default::default()
                };
                crate::audit::refused(peer.caller(), &call, status.code(), status.message());
                Err(status)
            }
        }
    }
}
