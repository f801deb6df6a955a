//! Forms that pages of this server send: read strictly, and refused without the token of whoever sends them.

use std::collections::BTreeMap;

use actix_web::http::header::CONTENT_TYPE;

use crate::{
    http::{api::ChangeFault, body, error::ApiError, exchange::Exchange},
    identity::Principal,
};

/// The largest form, in bytes: a chain of certificates, each byte of it encoded.
const LIMIT: usize = 128 * 1024;
/// The field of the token.
const TOKEN: &str = "token";

/// The fields of a form, each once.
#[derive(Debug, Default)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads the body.
    ///
    /// # Errors
    /// When it is not a form, is too large, or has a field twice.
    pub async fn read(exchange: &mut Exchange<'_>) -> Result<Self, ApiError> {
        let kind = exchange.request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(ChangeFault::NoForm.into());
        }
        let text = body::read_whole(exchange.request, exchange.payload, LIMIT).await?;
        let text = String::from_utf8(text).map_err(|_| ChangeFault::NoForm)?;
        Self::parse(&text)
    }

    /// Reads the fields of a query or body.
    ///
    /// # Errors
    /// When one stands there twice.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(text);
        let mut fields = BTreeMap::new();
        for (name, value) in pairs.map_err(|_| ChangeFault::NoForm)?.into_inner() {
            // Browsers end lines of a text area with both.
            let value = value.replace("\r\n", "\n");
            if fields.insert(name, value).is_some() {
                return Err(ChangeFault::NoForm.into());
            }
        }
        Ok(Self(fields))
    }

    /// The value of a field, without blanks around it; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map(|value| value.trim()).unwrap_or_default()
    }

    /// The same; `None` if it is empty.
    pub fn some(&self, name: &str) -> Option<String> {
        Some(self.get(name).to_owned()).filter(|value| !value.is_empty())
    }

    /// The fields to be sent again, without those that were typed to confirm.
    pub fn again(&self) -> Vec<(String, String)> {
        let typed = [TOKEN, "sure", "confirm", "reason"];
        let fields = self.0.iter();
        fields
            .filter(|(name, _)| !typed.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Whether it carries the token of whoever sends it.
    pub fn is_of(&self, exchange: &Exchange<'_>, sender: &Principal) -> bool {
        with_parts(exchange, sender, |parts| {
            exchange.state.forms.is_token(self.get(TOKEN), parts)
        })
    }
}

/// The token for the forms of a page for this reader: bound to name and certificate, and to the generation, so that no form
/// outlives the rules by which it was shown.
///
/// # Errors
/// When OpenSSL refuses.
pub fn token(exchange: &Exchange<'_>, reader: &Principal) -> Result<String, ApiError> {
    with_parts(exchange, reader, |parts| exchange.state.forms.token(parts))
        .map_err(|cause| ApiError::Signing(cause.to_string()))
}

fn with_parts<T>(exchange: &Exchange<'_>, reader: &Principal, with: impl FnOnce(&[&[u8]]) -> T) -> T {
    let certificate = reader.certificate();
    let certificate = certificate.map_or("", |verified| verified.facts.cert_sha256());
    let generation = exchange.generation.number().to_be_bytes();
    with(&[
        reader.name().as_bytes(),
        reader.method().name().as_bytes(),
        certificate.as_bytes(),
        &generation,
    ])
}
