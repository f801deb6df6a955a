//! The private keys in a token, and the public key of each.

use cryptoki::{
    error::{Error, RvError},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use tuf::{KeyId, PublicKey};

use super::{UnusableKey, public, reason};
use crate::keys::KeyError;

/// A private key that can be used.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) handle: ObjectHandle,
    pub(super) public: PublicKey,
    pub(super) label: String,
}

/// The private keys of a token.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) found: Vec<Found>,
    pub(super) unusable: Vec<UnusableKey>,
}

impl Listing {
    /// The key of this ID.
    pub(super) fn get(&self, id: &KeyId) -> Option<&Found> {
        self.found.iter().find(|found| found.public.id() == id)
    }

    /// Takes keys that fail a trial for such that cannot be used.
    pub(super) fn refuse(&mut self, token: &str, trial: impl Fn(&Found) -> Result<(), KeyError>) {
        let unusable = &mut self.unusable;
        self.found.retain(|found| {
            let tried = trial(found);
            if let Err(cause) = &tried {
                unusable.push(UnusableKey {
                    id: Some(found.public.id().clone()),
                    name: format!("the private key {:?} in {token}", found.label),
                    reason: cause.to_string(),
                });
            }
            tried.is_ok()
        });
    }
}

/// What is asked of an object; what it does not have is absent.
#[derive(Debug, Default)]
struct Attributes {
    kind: Option<KeyType>,
    id: Vec<u8>,
    label: String,
    may_sign: Option<bool>,
    wants_pin: Option<bool>,
    parameters: Option<Vec<u8>>,
    point: Option<Vec<u8>>,
    modulus: Option<Vec<u8>>,
    exponent: Option<Vec<u8>>,
    info: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

/// What is asked of a key.
const OF_KEYS: [AttributeType; 10] = [
    AttributeType::KeyType,
    AttributeType::Id,
    AttributeType::Label,
    AttributeType::Sign,
    AttributeType::AlwaysAuthenticate,
    AttributeType::EcParams,
    AttributeType::EcPoint,
    AttributeType::Modulus,
    AttributeType::PublicExponent,
    AttributeType::PublicKeyInfo,
];
/// What is asked of a certificate.
const OF_CERTIFICATES: [AttributeType; 2] = [AttributeType::Id, AttributeType::Value];

impl Attributes {
    fn read(session: &Session, object: ObjectHandle, asked: &[AttributeType]) -> Result<Self, Error> {
        let mut read = Self::default();
        for attribute in session.get_attributes(object, asked)? {
            match attribute {
                Attribute::KeyType(kind) => read.kind = Some(kind),
                Attribute::Id(id) => read.id = id,
                Attribute::Label(label) => read.label = String::from_utf8_lossy(&label).into_owned(),
                Attribute::Sign(may) => read.may_sign = Some(may),
                Attribute::AlwaysAuthenticate(always) => read.wants_pin = Some(always),
                Attribute::EcParams(parameters) => read.parameters = Some(parameters),
                Attribute::EcPoint(point) => read.point = Some(point),
                Attribute::Modulus(modulus) => read.modulus = Some(modulus),
                Attribute::PublicExponent(exponent) => read.exponent = Some(exponent),
                Attribute::PublicKeyInfo(info) => read.info = Some(info).filter(|info| !info.is_empty()),
                Attribute::Value(value) => read.value = Some(value),
                _ => {}
            }
        }
        Ok(read)
    }

    /// The public key that the object itself tells; `None` if it tells none.
    fn public(&self) -> Option<Result<PublicKey, KeyError>> {
        if let Some(certificate) = &self.value {
            return Some(public::of_certificate(certificate));
        }
        if let (Some(modulus), Some(exponent)) = (&self.modulus, &self.exponent) {
            return Some(public::of_numbers(modulus, exponent));
        }
        if let (Some(parameters), Some(point)) = (&self.parameters, &self.point) {
            return Some(public::of_point(parameters, point));
        }
        self.info.as_deref().map(public::of_info)
    }
}

/// A public key, or a certificate's, with its CKA_ID.
type Half = (Vec<u8>, Result<PublicKey, KeyError>);

/// Reads what is in a token. An object that cannot be read does not hide the others.
pub(super) fn read(session: &Session, token: &str) -> Result<Listing, Error> {
    let privates =
        session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true)])?;
    let publics = halves(session, ObjectClass::PUBLIC_KEY, &OF_KEYS)?;
    let certificates = halves(session, ObjectClass::CERTIFICATE, &OF_CERTIFICATES)?;
    let mut listing = Listing::default();
    for handle in privates {
        let attributes = match Attributes::read(session, handle, &OF_KEYS) {
            Ok(attributes) => attributes,
            Err(cause) if is_of_object(&cause) => {
                listing.unusable.push(UnusableKey {
                    id: None,
                    name: format!("a private key in {token}"),
                    reason: format!("its attributes are not those of a key ({})", reason::of(&cause)),
                });
                continue;
            }
            Err(cause) => return Err(cause),
        };
        let public = public_half(&attributes, [&publics, &certificates]);
        let refusal = match &public {
            Err(reason) => Some(reason.clone()),
            Ok(_) => refusal(&attributes),
        };
        match (public, refusal) {
            (Ok(public), None) => listing.found.push(Found {
                handle,
                public,
                label: attributes.label,
            }),
            (public, refusal) => listing.unusable.push(UnusableKey {
                id: public.ok().map(|public| public.id().clone()),
                name: format!(
                    "the private key {:?} (CKA_ID {:?}) in {token}",
                    attributes.label,
                    hex::encode(&attributes.id)
                ),
                reason: refusal.unwrap_or_default(),
            }),
        }
    }
    listing
        .found
        .sort_by(|one, other| one.public.id().cmp(other.public.id()));
    listing
        .found
        .dedup_by(|one, other| one.public.id() == other.public.id());
    Ok(listing)
}

fn halves(session: &Session, class: ObjectClass, asked: &[AttributeType]) -> Result<Vec<Half>, Error> {
    let mut found = Vec::new();
    for handle in session.find_objects(&[Attribute::Class(class)])? {
        match Attributes::read(session, handle, asked) {
            Ok(attributes) => {
                if let Some(public) = attributes.public() {
                    found.push((attributes.id, public));
                }
            }
            Err(cause) if is_of_object(&cause) => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(found)
}

/// Whether one object is the cause, and not the token.
fn is_of_object(cause: &Error) -> bool {
    match cause {
        Error::Pkcs11(code, _) => matches!(
            code,
            RvError::AttributeSensitive
                | RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::ObjectHandleInvalid
        ),
        _ => true,
    }
}

/// The public key of a private one: that which the private object itself tells, or else that of the public key, or of the
/// certificate, with the same CKA_ID. Whether it is the right one shows with the first signature, which is verified.
fn public_half(private: &Attributes, others: [&Vec<Half>; 2]) -> Result<PublicKey, String> {
    if !matches!(private.kind, Some(KeyType::EC | KeyType::RSA)) {
        return Err(
            "it is neither an ECDSA nor an RSA key, the only kinds that notary and docker verify".into(),
        );
    }
    if let Some(own) = private.public() {
        return own.map_err(|cause| cause.to_string());
    }
    if private.id.is_empty() {
        return Err("it has no CKA_ID, by which its public key or certificate could be found".into());
    }
    let mut known: Vec<PublicKey> = Vec::new();
    for halves in others {
        for (_, public) in halves.iter().filter(|(id, _)| *id == private.id) {
            let public = public.as_ref().map_err(ToString::to_string)?;
            if !known.contains(public) {
                known.push(public.clone());
            }
        }
        match known.as_slice() {
            [] => {}
            [one] => return Ok(one.clone()),
            _ => return Err("several different public keys have the same CKA_ID".into()),
        }
    }
    Err("the token has neither a public key nor a certificate with the same CKA_ID".into())
}

/// Why a private key whose public key is known cannot be used.
fn refusal(private: &Attributes) -> Option<String> {
    if private.may_sign == Some(false) {
        return Some("it may not sign (CKA_SIGN is false)".into());
    }
    if private.wants_pin == Some(true) {
        return Some(
            "it wants the PIN for every signature (CKA_ALWAYS_AUTHENTICATE), which is not possible here"
                .into(),
        );
    }
    None
}
