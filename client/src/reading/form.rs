//! The form of a bundle (`docs/trust-bundle.md`): one JSON object with every document in Base64.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};
use verifier::Documents;

/// The members of a bundle, with what else is said of them.
macro_rules! bundle {
    ($(#[$attribute:meta])* $name:ident) => {
        #[derive(Deserialize)]
        $(#[$attribute])*
        pub(super) struct $name {
            pub(super) gun: String,
            roots: Vec<Encoded>,
            timestamp: Encoded,
            snapshot: Encoded,
            targets: Distinct,
        }

        impl $name {
            /// The documents.
            pub(super) fn into_documents(self) -> Documents {
                Documents {
                    roots: self.roots.into_iter().map(|root| root.0).collect(),
                    timestamp: self.timestamp.0,
                    snapshot: self.snapshot.0,
                    targets: self.targets.0,
                }
            }
        }
    };
}

bundle!(
    /// A bundle of a server's. What a newer server says beside it is passed over.
    Served
);
bundle!(
    /// A bundle of a file, which has nothing but what a bundle has.
    #[serde(deny_unknown_fields)]
    Stored
);

/// A bundle as it is written.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    gun: &'a str,
    roots: Vec<String>,
    timestamp: String,
    snapshot: String,
    targets: BTreeMap<&'a str, String>,
}

impl<'a> Written<'a> {
    /// The documents of a repository.
    pub(super) fn of(gun: &'a str, documents: &'a Documents) -> Self {
        let encoded = |bytes: &Bytes| STANDARD.encode(bytes);
        let target = |(role, bytes): (&'a String, &Bytes)| (role.as_str(), encoded(bytes));
        Self {
            gun,
            roots: documents.roots.iter().map(encoded).collect(),
            timestamp: encoded(&documents.timestamp),
            snapshot: encoded(&documents.snapshot),
            targets: documents.targets.iter().map(target).collect(),
        }
    }
}

/// A document in Base64.
struct Encoded(Bytes);

/// Documents by role, none of which is there twice.
struct Distinct(BTreeMap<String, Bytes>);

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

    const GOOD: &str =
        r#"{"gun":"a","roots":["AA=="],"timestamp":"AA==","snapshot":"AA==","targets":{"targets":"AAE="}}"#;

    #[test]
    fn what_is_there_twice_is_refused() {
        let read = |text: &str| serde_json::from_str::<Served>(text).map(Served::into_documents);
        assert_eq!(read(GOOD).unwrap().targets["targets"].as_ref(), [0, 1]);
        for wrong in [
            GOOD.replace(r#""targets":"AAE=""#, r#""targets":"AAE=","t\u0061rgets":"AAE=""#),
            GOOD.replace(r#""gun":"a""#, r#""gun":"a","gun":"a""#),
            GOOD.replace("AAE=", "A*E="),
            GOOD.replace("AAE=", "AAF="),
            GOOD.replace(r#""timestamp":"AA==","#, ""),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_files_have_nothing_else() {
        let read = |text: &str| serde_json::from_str::<Stored>(text).map(Stored::into_documents);
        let documents = read(GOOD).unwrap();
        assert_eq!(
            serde_json::to_string(&Written::of("a", &documents)).unwrap(),
            GOOD
        );
        let more = GOOD.replace(r#""gun":"a""#, r#""gun":"a","GUN":"b""#);
        assert!(read(&more).is_err());
        assert!(serde_json::from_str::<Served>(&more).is_ok());
    }
}
