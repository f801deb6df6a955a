//! Reads a bundle: everything with one request (`docs/trust-bundle.md`).

use reqwest::{StatusCode, header::IF_NONE_MATCH};
use tuf::Gun;

use super::form::Served;
use super::{Known, Reading};
use crate::failure::ReadError;
use crate::server::{Access, Server};

/// The largest bundle that is read, in bytes. Servers make none whose documents take more than 8 MiB.
const BUNDLE_LIMIT: u64 = 16 << 20;

/// What a server has instead of, or as, a bundle.
pub(super) enum Offer {
    /// A bundle.
    Bundle(Reading),
    /// None of this repository, or no bundles at all: which of the two is seen when its files are read.
    Nothing,
    /// None, because this repository is too large for one.
    TooLarge,
}

impl Server {
    /// Reads the bundle.
    pub(super) async fn read_bundle(&self, gun: &Gun, known: Option<&Known>) -> Result<Offer, ReadError> {
        let address = self.address(gun, ["bundle"]);
        let etag = known.and_then(|known| known.etag.as_deref());
        let answer = self
            .exchange(gun, Access::Pull, "the bundle", BUNDLE_LIMIT, |client| {
                let request = client.get(address.clone());
                match etag {
                    Some(etag) => request.header(IF_NONE_MATCH, etag),
                    None => request,
                }
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(ReadError::TooLarge { .. }) => return Ok(Offer::TooLarge),
            Err(cause) => return Err(cause),
        };
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if etag.is_some() => {
                self.has_bundles(true);
                return Ok(Offer::Bundle(Reading::Unchanged));
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return Ok(Offer::Nothing),
            StatusCode::BAD_REQUEST => return Ok(Offer::TooLarge),
            _ => return Err(self.unexpected(&answer)),
        }
        let malformed = |what: String| ReadError::Malformed {
            server: self.label().to_owned(),
            what,
        };
        let bundle: Served = serde_json::from_slice(&answer.body)
            .map_err(|cause| malformed(format!("its bundle cannot be read: {cause}")))?;
        if bundle.gun != gun.as_str() {
            return Err(malformed(format!(
                "its bundle is of {:?}, not of {gun}",
                bundle.gun
            )));
        }
        self.has_bundles(true);
        Ok(Offer::Bundle(Reading::Documents(Known {
            documents: bundle.into_documents(),
            etag: answer.etag,
        })))
    }
}
