//! Which clients with a verified certificate may call the signer.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use tonic::Status;

use super::Peer;

/// Admits or refuses a call by the certificate of its connection.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Common names; `None` admits every client whose certificate was verified.
    allowed: Option<Arc<BTreeSet<String>>>,
}

impl Admission {
    /// Admits every client that got through the handshake.
    pub fn everyone() -> Self {
        Self::default()
    }

    /// Admits clients whose certificate has exactly one common name, which is one of these.
    pub fn only(common_names: impl IntoIterator<Item = String>) -> Self {
        Self {
            allowed: Some(Arc::new(common_names.into_iter().collect())),
        }
    }

    pub(super) fn admit(&self, peer: &Peer, now: DateTime<Utc>) -> Result<(), Status> {
        // The handshake checked this too, but connections are kept for weeks.
        if peer.expired(now) {
            return Err(Status::unauthenticated("the client certificate has expired"));
        }
        match &self.allowed {
            Some(allowed) if !allowed.contains(peer.common_name()) => Err(Status::permission_denied(
                "the client certificate's common name is not in server.allowed_clients",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::{super::peer::tests::peer, *};

    #[test]
    fn only_listed_common_names_are_admitted() {
        let listed = Admission::only(["notary-server".to_owned()]);
        assert!(listed.admit(&peer("notary-server", 1), Utc::now()).is_ok());
        for other in [peer("other", 1), Peer::default()] {
            assert_eq!(
                listed.admit(&other, Utc::now()).unwrap_err().code(),
                Code::PermissionDenied
            );
        }
    }

    #[test]
    fn an_empty_list_admits_nobody() {
        assert!(Admission::only([]).admit(&Peer::default(), Utc::now()).is_err());
        assert!(Admission::only([]).admit(&peer("any", 1), Utc::now()).is_err());
    }

    #[test]
    fn without_a_list_everybody_is_admitted_until_the_certificate_expires() {
        let everyone = Admission::everyone();
        assert!(everyone.admit(&peer("any", 1), Utc::now()).is_ok());
        let later = Utc::now() + chrono::TimeDelta::days(2);
        assert_eq!(
            everyone.admit(&peer("any", 1), later).unwrap_err().code(),
            Code::Unauthenticated
        );
    }
}
