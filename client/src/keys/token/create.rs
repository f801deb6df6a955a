//! New keys in a token: generated there, or brought there.

use std::sync::Arc;

use cryptoki::{
    error::Error,
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use openssl::{
    bn::{BigNumContext, BigNumRef},
    ec::PointConversionForm,
    error::ErrorStack,
    pkey::{PKey, Private},
    rand::rand_bytes,
};
use platform::reason;
use tuf::PublicKey;
use zeroize::Zeroize;

use super::{key::TokenKey, module::OpenToken, objects::Found, public};
use crate::keys::{KeyError, PrivateKey, SigningKey};

/// The bytes of a CKA_ID, which holds the halves of a key together.
const ID_BYTES: usize = 16;

/// What a token is told of the private half of a key, and of the public half.
type Halves = (Vec<Attribute>, Vec<Attribute>);

/// Both halves of a key in a token.
struct Pair {
    private: ObjectHandle,
    public: Option<ObjectHandle>,
}

/// Makes an ECDSA key on P-256 in the token, which never leaves it.
pub(super) fn generate(token: &Arc<OpenToken>, label: &str) -> Result<PublicKey, KeyError> {
    let session = token.writing()?;
    let id = new_id()?;
    let mut public = of_both(label, &id);
    public.extend([
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::EcParams(public::P256.to_vec()),
    ]);
    let mut private = of_both(label, &id);
    private.extend(of_private());
    let made = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
    let (public, private) = made.map_err(|cause| token.failed(&cause))?;
    let pair = Pair {
        private,
        public: Some(public),
    };
    keep(token, &session, &pair, |session| {
        let asked = [AttributeType::EcParams, AttributeType::EcPoint];
        let (mut parameters, mut point) = (Vec::new(), Vec::new());
        for attribute in session.get_attributes(public, &asked)? {
            match attribute {
                Attribute::EcParams(found) => parameters = found,
                Attribute::EcPoint(found) => point = found,
                _ => {}
            }
        }
        Ok(public::of_point(&parameters, &point))
    })
}

/// Brings a key into the token, from which it cannot be taken out again.
pub(super) fn import(token: &Arc<OpenToken>, key: &PrivateKey, label: &str) -> Result<(), KeyError> {
    let session = token.writing()?;
    let id = new_id()?;
    let halves = halves(key.pkey()).map_err(|cause| KeyError::OpenSsl(reason::of_openssl(&cause)))?;
    let (secret, open) = halves.ok_or_else(|| KeyError::Kind("a key of another kind".into()))?;
    let mut private = of_both(label, &id);
    private.push(Attribute::Class(ObjectClass::PRIVATE_KEY));
    private.extend(of_private());
    private.extend(secret);
    let created = session.create_object(&private);
    private.iter_mut().for_each(wipe);
    let created = created.map_err(|cause| token.failed(&cause))?;
    let mut public = of_both(label, &id);
    public.extend([
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::Private(false),
        Attribute::Verify(true),
    ]);
    public.extend(open);
    let listed = session.create_object(&public);
    let pair = Pair {
        private: created,
        public: listed.as_ref().ok().copied(),
    };
    keep(token, &session, &pair, |_| {
        listed?;
        Ok(Ok(key.public().clone()))
    })?;
    Ok(())
}

/// Keeps a new pair if it can be used, and does away with it otherwise.
fn keep(
    token: &Arc<OpenToken>,
    session: &Session,
    pair: &Pair,
    public: impl FnOnce(&Session) -> Result<Result<PublicKey, KeyError>, Error>,
) -> Result<PublicKey, KeyError> {
    let tried = public(session)
        .map_err(|cause| token.failed(&cause))
        .and_then(|public| public)
        .and_then(|public| {
            must_be_hidden(token, session, pair.private)?;
            let found = Found {
                handle: pair.private,
                public,
                label: String::new(),
            };
            TokenKey::new(Arc::clone(token), &found).prove()?;
            Ok(found.public)
        });
    if tried.is_err() {
        for object in [Some(pair.private), pair.public].into_iter().flatten() {
            // What cannot be done away with is no news beside the failure.
            let _ = session.destroy_object(object);
        }
    }
    token.changed();
    tried
}

/// Checks that the token does not give the key away, as it was told.
fn must_be_hidden(token: &OpenToken, session: &Session, key: ObjectHandle) -> Result<(), KeyError> {
    let asked = [AttributeType::Sensitive, AttributeType::Extractable];
    let told = session
        .get_attributes(key, &asked)
        .map_err(|cause| token.failed(&cause))?;
    let is_shown = |attribute: &Attribute| {
        matches!(
            attribute,
            Attribute::Sensitive(false) | Attribute::Extractable(true)
        )
    };
    if told.iter().any(is_shown) {
        return Err(token.wrong("it keeps the key so that it can be taken out, which it was told not to"));
    }
    Ok(())
}

/// What both halves of a key have.
fn of_both(label: &str, id: &[u8]) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ]
}

/// What a private half is told: that nobody sees it without the PIN, that it never leaves, and that it signs.
fn of_private() -> [Attribute; 4] {
    [
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ]
}

fn new_id() -> Result<Vec<u8>, KeyError> {
    let mut id = vec![0; ID_BYTES];
    rand_bytes(&mut id).map_err(|cause| KeyError::OpenSsl(reason::of_openssl(&cause)))?;
    Ok(id)
}

/// The numbers of a key: those of its private half, and those of its public half.
fn halves(key: &PKey<Private>) -> Result<Option<Halves>, ErrorStack> {
    if let Ok(ec) = key.ec_key() {
        let group = ec.group();
        let form = PointConversionForm::UNCOMPRESSED;
        let point = ec
            .public_key()
            .to_bytes(group, form, &mut *BigNumContext::new()?)?;
        let width = i32::try_from(group.degree().div_ceil(8)).unwrap_or_default();
        let named = group.curve_name();
        let Some((parameters, point)) = named.and_then(|nid| public::parameters_and_point(nid, &point))
        else {
            return Ok(None);
        };
        let of_ec = || {
            [
                Attribute::KeyType(KeyType::EC),
                Attribute::EcParams(parameters.to_vec()),
            ]
        };
        let secret = ec.private_key().to_vec_padded(width)?;
        return Ok(Some((
            of_ec().into_iter().chain([Attribute::Value(secret)]).collect(),
            of_ec().into_iter().chain([Attribute::EcPoint(point)]).collect(),
        )));
    }
    let rsa = key.rsa()?;
    let of_rsa = || {
        [
            Attribute::KeyType(KeyType::RSA),
            Attribute::Modulus(rsa.n().to_vec()),
            Attribute::PublicExponent(rsa.e().to_vec()),
        ]
    };
    let number = |number: Option<&BigNumRef>| number.map(BigNumRef::to_vec);
    let rest = (
        number(rsa.p()),
        number(rsa.q()),
        number(rsa.dmp1()),
        number(rsa.dmq1()),
        number(rsa.iqmp()),
    );
    let (Some(p), Some(q), Some(dmp1), Some(dmq1), Some(iqmp)) = rest else {
        return Ok(None);
    };
    let mut secret: Vec<Attribute> = of_rsa().into();
    secret.extend([
        Attribute::PrivateExponent(rsa.d().to_vec()),
        Attribute::Prime1(p),
        Attribute::Prime2(q),
        Attribute::Exponent1(dmp1),
        Attribute::Exponent2(dmq1),
        Attribute::Coefficient(iqmp),
    ]);
    Ok(Some((secret, of_rsa().into())))
}

/// Wipes a number of a private key from memory.
fn wipe(attribute: &mut Attribute) {
    match attribute {
        Attribute::Value(secret)
        | Attribute::PrivateExponent(secret)
        | Attribute::Prime1(secret)
        | Attribute::Prime2(secret)
        | Attribute::Exponent1(secret)
        | Attribute::Exponent2(secret)
        | Attribute::Coefficient(secret) => secret.zeroize(),
        _ => {}
    }
}
