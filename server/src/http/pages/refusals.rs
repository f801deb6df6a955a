//! The pages for those who get something else than they asked for. The address stays the one that was asked for.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderValue, WWW_AUTHENTICATE},
    },
};
use platform::{
    tls::{ClientCertificate, ClientTrust, FaultReason},
    x509::name_text,
};

use super::{
    response,
    shell::{host, listener, shell},
};
use crate::{
    access::Denied,
    generation::{Generation, LoadedListener},
    http::{decision::RequestRecord, error::ApiError},
    identity::{IdentityError, Principal, password},
    pages::{self, Accepted, Failed, NoCertificate, Place, Presented, Text, When},
    state::State,
};

/// How many issuers the page names.
const ISSUERS: usize = 8;

/// The page for a refusal; `None` if it cannot be made.
pub fn refusal(
    state: &State,
    generation: &Generation,
    request: &HttpRequest,
    record: &RequestRecord,
    error: &ApiError,
) -> Option<HttpResponse> {
    let refused = Refused {
        state,
        generation,
        request,
        record,
    };
    let made = match error {
        ApiError::Unidentified(reason) if error.status() == StatusCode::UNAUTHORIZED => {
            refused.unidentified(error, reason)
        }
        ApiError::Denied(Denied {
            anonymous: Some(reason),
            ..
        }) => refused.unidentified(error, reason),
        // A browser has no token to show; its user comes in by certificate.
        ApiError::Challenged { .. } => refused.unidentified(error, &IdentityError::NoCertificate),
        ApiError::Denied(denied) => refused.denied(record.caller()?, denied),
        _ => refused.failed(error),
    };
    made.inspect_err(|cause| tracing::error!(reason = %cause, "the page of a refusal failed"))
        .ok()
}

struct Refused<'a> {
    state: &'a State,
    generation: &'a Generation,
    request: &'a HttpRequest,
    record: &'a RequestRecord,
}

impl Refused<'_> {
    fn shell(&self) -> pages::Shell {
        let caller = self.record.caller();
        shell(
            &self.state.config,
            self.generation,
            self.request,
            caller,
            Place::Elsewhere,
        )
    }

    fn unidentified(&self, error: &ApiError, reason: &IdentityError) -> Result<HttpResponse, ApiError> {
        let (title, lead) = words(reason);
        let trust = listener(self.generation, self.request).and_then(LoadedListener::trust);
        let page = NoCertificate {
            shell: self.shell(),
            title,
            lead: Text::new(lead),
            reason: Text::new(reason.to_string()),
            presented: certificate(reason).map(|shown| Presented {
                subject: Text::new(shown.subject()),
                issuer: Text::new(shown.issuer()),
                from: When::clock(shown.not_before()),
                until: When::clock(shown.not_after()),
            }),
            accepted: Accepted {
                issuers: trust.map(issuers).unwrap_or_default(),
                now: When::clock(self.state.clock.now()),
                host: Text::new(host(&self.state.config, self.generation, self.request)),
            },
        };
        let mut response = response::page(&self.state.config, StatusCode::UNAUTHORIZED, &page)?;
        let realm = error.password_realm().map(password::challenge);
        if let Some(challenge) = realm.and_then(|challenge| HeaderValue::from_str(&challenge).ok()) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Ok(response)
    }

    fn denied(&self, reader: &Principal, denied: &Denied) -> Result<HttpResponse, ApiError> {
        let certificate = reader.certificate().map(|verified| &verified.certificate);
        let page = pages::Denied {
            shell: self.shell(),
            sentence: Text::new(denied.to_string()),
            rule: denied.rule.as_deref().map(Text::from),
            name: Text::from(reader.name()),
            groups: reader.groups().iter().map(|group| Text::from(&**group)).collect(),
            identity_rule: reader.rule().map(Text::from),
            certificate: certificate.map(|certificate| {
                (
                    Text::new(certificate.subject()),
                    When::date(certificate.not_after()),
                )
            }),
            right: Text::from(&*denied.right),
            gun: denied.gun.as_ref().map(|gun| Text::from(gun.as_str())),
            request: Text::from(self.record.request_id()),
            at: When::clock(self.state.clock.now()),
        };
        response::page(&self.state.config, StatusCode::FORBIDDEN, &page)
    }

    fn failed(&self, error: &ApiError) -> Result<HttpResponse, ApiError> {
        let status = error.status();
        let (title, sentence) = match status {
            StatusCode::NOT_FOUND => (
                "There is no such page",
                "Nothing of this name is here, or you may not see it.".to_owned(),
            ),
            StatusCode::FORBIDDEN => ("Refused", error.message()),
            StatusCode::TOO_MANY_REQUESTS => ("Too many attempts", error.message()),
            StatusCode::SERVICE_UNAVAILABLE => {
                ("Something that this page needs does not answer", error.message())
            }
            status if status.is_client_error() => ("This cannot be shown", error.message()),
            _ => ("The server could not make this page", error.message()),
        };
        let page = Failed {
            shell: self.shell(),
            status: status.as_u16(),
            title,
            sentence: Text::new(sentence),
            request: Text::from(self.record.request_id()),
        };
        response::page(&self.state.config, status, &page)
    }
}

/// What is missing, and what it means for the reader.
fn words(reason: &IdentityError) -> (&'static str, String) {
    match reason {
        IdentityError::NoCertificate => (
            "Your browser showed no certificate",
            "Here a certificate is the login: there is no password to type. Give your browser the one you were \
             issued, and open this page again."
                .to_owned(),
        ),
        IdentityError::NoCredentials(_) => (
            "Your browser showed no certificate",
            "Here a certificate is the login, or a user name and a password. Give your browser the certificate you \
             were issued, and open this page again."
                .to_owned(),
        ),
        IdentityError::Rejected(_, fault) if fault.reason == FaultReason::Expired => (
            "Your certificate has ended",
            "It was good once, and its time is over. Ask for a new one, and import it as you did the first.".to_owned(),
        ),
        IdentityError::Rejected(_, fault) => (
            "Your certificate is not accepted here",
            format!("What to do: {}.", fault.hint()),
        ),
        IdentityError::Revoked(_, reason) => (
            "Your certificate does not count any more",
            format!("It was withdrawn, or whether it was cannot be found out. What to do: {}.", reason.hint()),
        ),
        IdentityError::Unidentified(_, refusal) => (
            "Your certificate is good, but gives you no name here",
            format!("What to do: {}.", refusal.reason.hint()),
        ),
        IdentityError::Unreadable(..) => (
            "Your certificate cannot be read",
            "Ask whoever issued it for a correct one.".to_owned(),
        ),
        IdentityError::Barred(_) => (
            "You are barred from this server",
            "Whoever runs it has withdrawn your access. Ask them.".to_owned(),
        ),
        IdentityError::Password(..) | IdentityError::RefreshToken(_) => (
            "The login was refused",
            "Try again, or come with a certificate.".to_owned(),
        ),
        IdentityError::Forwarded(_) => (
            "The proxy before this server handed on something unusable",
            "Tell whoever runs this server.".to_owned(),
        ),
    }
}

fn certificate(reason: &IdentityError) -> Option<&ClientCertificate> {
    match reason {
        IdentityError::Rejected(shown, _)
        | IdentityError::Unreadable(shown, _)
        | IdentityError::Unidentified(shown, _)
        | IdentityError::Revoked(shown, _) => Some(shown),
        IdentityError::Barred(principal) => principal.certificate().map(|verified| &verified.certificate),
        _ => None,
    }
}

/// The subjects of the CAs that may issue certificates: whoever has none is to know whom to ask. They are no secret
/// (with `tls.advertise_cas` the handshake names them as well).
fn issuers(trust: &ClientTrust) -> Vec<Text> {
    let mut names: Vec<String> = Vec::new();
    for certificate in trust.certificates() {
        let name = name_text(certificate.subject_name());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(ISSUERS);
    names.into_iter().map(Text::new).collect()
}
