//! Certificates in PEM text (RFC 7468), as keys of the root role list them.

use x509_parser::pem::Pem;

use crate::encoding::encode_base64;

/// Characters of base64 in a line (RFC 7468 section 2).
const LINE: usize = 64;

/// The public key of the first certificate of a PEM text, as a SubjectPublicKeyInfo.
pub(crate) fn first_public_key(pem: &[u8]) -> Option<Vec<u8>> {
    let der = first_certificate(pem)?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

/// The first certificate of a PEM text, in DER.
pub(crate) fn first_certificate(pem: &[u8]) -> Option<Vec<u8>> {
    let mut blocks = Pem::iter_from_buffer(pem).map_while(Result::ok);
    blocks
        .find(|block| block.label == "CERTIFICATE")
        .map(|block| block.contents)
}

/// Appends a certificate that is given in DER.
pub(crate) fn write_certificate(out: &mut String, der: &[u8]) {
    out.push_str("-----BEGIN CERTIFICATE-----\n");
    for (i, c) in encode_base64(der).chars().enumerate() {
        if i > 0 && i % LINE == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push_str("\n-----END CERTIFICATE-----\n");
}
