//! Failures of the operating system and of OpenSSL as reasons in words. Their own messages hold error numbers and
//! lines of C sources, which do not help an operator.

use std::{error::Error, io};

use openssl::{error::ErrorStack, ssl};

/// Parts of OpenSSL's reasons that mean that the other side does not speak TLS at all.
const NOT_TLS: [&str; 5] = [
    "wrong version number",
    "packet length too long",
    "http request",
    "https proxy request",
    "record layer failure",
];
/// Reasons of OpenSSL that need an explanation: a part of the reason, and the explanation.
const EXPLAINED: [(&str, &str); 21] = [
    (
        "alert certificate required",
        "the other side demands a client certificate and got none",
    ),
    (
        "alert unknown ca",
        "the other side does not trust the CA that issued our certificate",
    ),
    (
        "alert certificate expired",
        "the other side refused our certificate, because it has expired",
    ),
    (
        "alert certificate revoked",
        "the other side refused our certificate, because it was revoked",
    ),
    ("alert bad certificate", "the other side refused our certificate"),
    (
        "alert certificate unknown",
        "the other side refused our certificate",
    ),
    (
        "alert unsupported certificate",
        "the other side refused our certificate, because it is not for this purpose",
    ),
    ("alert access denied", "the other side refused our certificate"),
    (
        "alert decrypt error",
        "the other side could not verify a signature of the handshake",
    ),
    (
        "alert handshake failure",
        "the other side found no common way to talk, or demands a client certificate",
    ),
    (
        "alert protocol version",
        "the two sides have no version of TLS in common; it must be 1.2 or 1.3",
    ),
    (
        "unsupported protocol",
        "the two sides have no version of TLS in common; it must be 1.2 or 1.3",
    ),
    ("no shared cipher", "the two sides have no cipher in common"),
    (
        "no shared signature algorithms",
        "the two sides have no signature algorithm in common",
    ),
    (
        "peer did not return a certificate",
        "the other side presented no certificate, and one is required",
    ),
    (
        "certificate verify failed",
        "the certificate of the other side could not be verified",
    ),
    ("unexpected eof", "the other side closed the connection"),
    (
        "bad signature",
        "a signature of the handshake does not fit the certificate",
    ),
    (
        "ee key too small",
        "its key is too small: use ECDSA P-256 or RSA with 2048 bits, or stronger",
    ),
    (
        "ca md too weak",
        "its signature algorithm is too weak: use SHA-256 or stronger",
    ),
    (
        "key values mismatch",
        "the key does not belong to the certificate",
    ),
];

/// Why a file or connection failed, without the number of the error.
pub fn of_io(cause: &io::Error) -> String {
    if let Some(reason) = cause.get_ref().and_then(|inner| of_library(inner)) {
        return reason;
    }
    match cause.kind() {
        io::ErrorKind::IsADirectory => "it is a directory, not a file".into(),
        io::ErrorKind::PermissionDenied if cause.raw_os_error().is_some() => {
            "permission denied to the account that this process runs as".into()
        }
        _ => {
            let text = cause.to_string();
            match text.find(" (os error ") {
                Some(end) => text[..end].to_owned(),
                None => text,
            }
        }
    }
}

/// The same error with its reason in words, for libraries that keep the text of an error alone.
pub fn in_words(cause: io::Error) -> io::Error {
    io::Error::new(cause.kind(), of_io(&cause))
}

/// Why OpenSSL failed. An empty stack has no reason.
pub fn of_openssl(stack: &ErrorStack) -> String {
    // The first error is the innermost; those after it say which functions gave up because of it.
    let Some(reason) = stack.errors().iter().find_map(|error| error.reason()) else {
        return "OpenSSL gives no reason".into();
    };
    if NOT_TLS.iter().any(|part| reason.contains(part)) {
        return format!("the other side does not speak TLS ({reason})");
    }
    match EXPLAINED.iter().find(|(part, _)| reason.contains(part)) {
        Some((_, explanation)) => format!("{explanation} ({reason})"),
        None => reason.to_owned(),
    }
}

/// Why a TLS handshake, or a connection after it, failed.
pub fn of_tls(cause: &ssl::Error) -> String {
    match (cause.ssl_error(), cause.io_error()) {
        (Some(stack), _) => of_openssl(stack),
        (None, Some(io)) => of_io(io),
        (None, None) => "the other side closed the connection".into(),
    }
}

/// The reason of an error that comes from OpenSSL or the operating system; `None` for any other.
pub fn of_library(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(stack) = cause.downcast_ref::<ErrorStack>() {
        return Some(of_openssl(stack));
    }
    if let Some(tls) = cause.downcast_ref::<ssl::Error>() {
        return Some(of_tls(tls));
    }
    cause.downcast_ref::<io::Error>().map(of_io)
}

/// The innermost cause of an error: a refused connection, a certificate, or a name that does not resolve. Those around it
/// say only that there was a request.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    of_library(cause).unwrap_or_else(|| cause.to_string())
}

#[cfg(test)]
mod tests {
    use openssl::x509::X509;

    use super::*;

    #[test]
    fn no_reason_has_numbers_or_source_lines() {
        let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        let stack = X509::from_pem(broken.as_bytes()).unwrap_err();
        assert!(stack.to_string().contains("error:"));
        assert_eq!(of_openssl(&stack), "bad base64 decode");
        assert_eq!(of_io(&io::Error::other(stack)), "bad base64 decode");
        let missing = std::fs::read("/nowhere/at/all").unwrap_err();
        assert_eq!(of_io(&missing), "No such file or directory");
        let directory = std::fs::read("/").unwrap_err();
        assert_eq!(of_io(&directory), "it is a directory, not a file");
    }
}
