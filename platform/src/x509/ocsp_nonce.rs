//! The nonce of OCSP (RFC 6960 section 4.4.1), which the `openssl` crate does not bind.

use foreign_types::ForeignTypeRef;
use openssl::{
    error::ErrorStack,
    ocsp::{OcspBasicResponseRef, OcspRequest},
};

/// How the nonce of an answer compares with that of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// They are equal.
    Same,
    /// The answer has none.
    Missing,
    /// They differ.
    Other,
}

#[expect(unsafe_code, reason = "the crate does not bind them")]
unsafe extern "C" {
    /// <https://docs.openssl.org/3.0/man3/OCSP_request_add1_nonce/>: 1 on success; without a value it makes a random one.
    fn OCSP_request_add1_nonce(
        request: *mut openssl_sys::OCSP_REQUEST,
        value: *mut std::ffi::c_uchar,
        length: std::ffi::c_int,
    ) -> std::ffi::c_int;
    /// The same page: 1 for the same, 2 for none in either, 3 for one in the answer alone, -1 for one in the question
    /// alone, 0 for two that differ.
    fn OCSP_check_nonce(
        request: *mut openssl_sys::OCSP_REQUEST,
        answer: *mut openssl_sys::OCSP_BASICRESP,
    ) -> std::ffi::c_int;
}

/// Adds a random nonce to a request.
///
/// # Errors
/// When OpenSSL has no random bytes, or no memory.
pub fn add(request: &mut OcspRequest) -> Result<(), ErrorStack> {
    // SAFETY: the request is ours alone, and lives for the call, which takes no value.
    #[expect(unsafe_code, reason = "the crate does not bind it")]
    let done = unsafe { OCSP_request_add1_nonce(request.as_ptr(), std::ptr::null_mut(), -1) };
    if done == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}

/// Compares the nonces of a request and an answer.
pub fn check(request: &OcspRequest, answer: &OcspBasicResponseRef) -> Echo {
    // SAFETY: both live for the call, which only reads them.
    #[expect(unsafe_code, reason = "the crate does not bind it")]
    let found = unsafe { OCSP_check_nonce(request.as_ptr(), answer.as_ptr()) };
    match found {
        1 | 2 => Echo::Same,
        -1 => Echo::Missing,
        _ => Echo::Other,
    }
}
