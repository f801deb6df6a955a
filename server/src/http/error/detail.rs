//! The details of errors, kept within what the stock clients read.

use serde_json::{Value, json};
use tuf::Rejection;

use super::MESSAGE_LIMIT;
use crate::{
    access::Denied,
    identity::{IdentityError, token::Access},
};

pub(super) fn rejection_detail(rejection: &Rejection) -> Value {
    let message = rejection.to_string();
    match rejection {
        Rejection::BadRoot(_) => validation_detail("ErrBadRoot", &message),
        Rejection::BadTargets(_) => validation_detail("ErrBadTargets", &message),
        Rejection::BadSnapshot(_) => validation_detail("ErrBadSnapshot", &message),
        Rejection::BadHierarchy { missing, .. } => {
            json!({"Name": "ErrBadHierarchy", "Error": {"Missing": missing.as_str(), "Msg": shorten(&message)}})
        }
        Rejection::Validation(_) | Rejection::StoredState(_) => validation_detail("ErrValidation", &message),
    }
}

/// A detail that the stock clients show to their user as a sentence.
pub(super) fn validation_detail(name: &str, message: &str) -> Value {
    json!({"Name": name, "Error": {"Msg": shorten(message)}})
}

pub(super) fn identity_detail(error: &IdentityError) -> Value {
    let described = |reason: &str, certificate: &platform::tls::ClientCertificate, hint: &str| {
        json!({
            "reason": reason,
            "subject": clip(&certificate.subject(), 120),
            "not_before": certificate.not_before(),
            "not_after": certificate.not_after(),
            "hint": hint,
        })
    };
    match error {
        IdentityError::NoCertificate => json!({
            "reason": "no_certificate",
            "hint": "connect with a client certificate and its key \
                     (notary: --tlscert and --tlskey; docker: ~/.docker/tls/HOST:PORT/client.cert and client.key)",
        }),
        IdentityError::NoCredentials(_) => json!({
            "reason": "no_credentials",
            "hint": "connect with a client certificate and its key, or with a user name and a password \
                     (notary: when it asks, or in NOTARY_AUTH; docker: docker login)",
        }),
        IdentityError::Password(..) => json!({
            "reason": "wrong_password",
            "hint": "check the user name and the password that you entered or stored with docker login",
        }),
        IdentityError::RefreshToken(_) => json!({
            "reason": "refresh_token_refused",
            "hint": "log in again (docker login)",
        }),
        IdentityError::Rejected(certificate, fault) => {
            described(fault.reason.code(), certificate, fault.hint())
        }
        IdentityError::Revoked(certificate, reason) => described(reason.code(), certificate, reason.hint()),
        IdentityError::Barred(_) => json!({
            "reason": "barred",
            "hint": "ask whoever runs this server",
        }),
        IdentityError::Forwarded(_) => json!({
            "reason": "forwarded_certificate_invalid",
            "hint": "ask the operator to check the proxy (proxies.client_certificate in the configuration)",
        }),
        IdentityError::Unreadable(certificate, _) => described(
            "certificate_invalid",
            certificate,
            "ask whoever issued the certificate for a correct one",
        ),
        IdentityError::Unidentified(certificate, refusal) => {
            described(refusal.reason.code(), certificate, refusal.reason.hint())
        }
    }
}

pub(super) fn denied_detail(denied: &Denied) -> Value {
    json!({
        "reason": "policy",
        "principal": clip(&denied.principal, 120),
        "action": denied.right,
        "gun": denied.gun.as_ref().map(|gun| clip(gun.as_str(), 200)),
        "hint": "ask whoever runs this server for the right to do this",
    })
}

pub(super) fn access_detail(access: &Access) -> Value {
    let name = clip(&access.name, 200);
    json!({"Type": access.kind, "Class": "", "Name": name, "Action": access.action})
}

pub(super) fn shorten(text: &str) -> String {
    clip(text, MESSAGE_LIMIT)
}

pub(super) fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((position, _)) => format!("{}…", text.get(..position).unwrap_or_default()),
        None => text.to_owned(),
    }
}
