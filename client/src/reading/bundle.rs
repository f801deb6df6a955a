//! Reads a bundle: everything with one request (`docs/trust-bundle.md`).

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{StatusCode, header::IF_NONE_MATCH};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use tuf::Gun;
use verifier::Documents;

use super::{Known, Reading};
use crate::failure::ReadError;
use crate::server::{Access, Server};

/// The largest bundle that is read, in bytes. Servers make none whose documents take more than 8 MiB.
const BUNDLE_LIMIT: u64 = 16 << 20;

#[derive(Deserialize)]
struct Bundle {
    gun: String,
    roots: Vec<Encoded>,
    timestamp: Encoded,
    snapshot: Encoded,
    targets: Distinct,
}

/// What a server has instead of, or as, a bundle.
pub(super) enum Offer {
    /// A bundle.
    Bundle(Reading),
    /// None of this repository, or no bundles at all: which of the two is seen when its files are read.
    Nothing,
    /// None, because this repository is too large for one.
    TooLarge,
}

/// A document in Base64.
struct Encoded(Bytes);

/// Documents by role, none of which is there twice.
struct Distinct(BTreeMap<String, Bytes>);

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
        let bundle: Bundle = serde_json::from_slice(&answer.body)
            .map_err(|cause| malformed(format!("its bundle cannot be read: {cause}")))?;
        if bundle.gun != gun.as_str() {
            return Err(malformed(format!(
                "its bundle is of {:?}, not of {gun}",
                bundle.gun
            )));
        }
        self.has_bundles(true);
        let documents = Documents {
            roots: bundle.roots.into_iter().map(|root| root.0).collect(),
            timestamp: bundle.timestamp.0,
            snapshot: bundle.snapshot.0,
            targets: bundle.targets.0,
        };
        Ok(Offer::Bundle(Reading::Documents(Known {
            documents,
            etag: answer.etag,
        })))
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        Ok(Self(bytes.into()))
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Distinct;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("documents by role")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Distinct, A::Error> {
                let mut found = BTreeMap::new();
                while let Some((role, document)) = map.next_entry::<String, Encoded>()? {
                    if found.insert(role.clone(), document.0).is_some() {
                        return Err(A::Error::custom(format!("{role} is there twice")));
                    }
                }
                Ok(Distinct(found))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_twice_is_refused() {
        let read = |text: &str| serde_json::from_str::<Bundle>(text).map(|bundle| bundle.targets.0);
        let good = r#"{"gun":"a","roots":["AA=="],"timestamp":"AA==","snapshot":"AA==","targets":{"targets":"AAE="}}"#;
        assert_eq!(read(good).unwrap()["targets"].as_ref(), [0, 1]);
        for wrong in [
            good.replace(r#""targets":"AAE=""#, r#""targets":"AAE=","t\u0061rgets":"AAE=""#),
            good.replace(r#""gun":"a""#, r#""gun":"a","gun":"a""#),
            good.replace("AAE=", "A*E="),
            good.replace(r#""timestamp":"AA==","#, ""),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
