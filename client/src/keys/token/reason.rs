//! Failures of a token as reasons in words. The library's own are paragraphs of the specification.

use cryptoki::{
    context::Function,
    error::{Error, RvError},
};

/// Why a call of the module failed.
pub(super) fn of(cause: &Error) -> String {
    let Error::Pkcs11(code, function) = cause else {
        return cause.to_string();
    };
    let name = name(*code);
    let words = match code {
        RvError::PinLocked => {
            "its PIN is locked after too many wrong ones; the token's security officer has to set a new one"
        }
        RvError::PinExpired => "its PIN has expired; set a new one with the token's own tools",
        RvError::UserPinNotInitialized => {
            "it has no PIN for users yet; the token's security officer has to set one"
        }
        RvError::KeyFunctionNotPermitted => "the key may not be used for this (CKA_SIGN is false)",
        RvError::MechanismInvalid => "the token, or the key, does not sign in this way",
        RvError::UserNotLoggedIn => {
            "the key wants the PIN for every signature (CKA_ALWAYS_AUTHENTICATE), which is not possible here"
        }
        RvError::TokenWriteProtected | RvError::SessionReadOnly => "the token may not be written to",
        RvError::TokenNotPresent | RvError::DeviceRemoved => "the token was removed",
        RvError::DeviceMemory => "the token is full",
        RvError::TemplateInconsistent | RvError::TemplateIncomplete | RvError::AttributeValueInvalid => {
            "the token does not take a key of this kind or with this label"
        }
        RvError::GeneralError | RvError::FunctionFailed if writes(*function) => {
            "the token did not keep the key; perhaps it is full, or its files may not be written to"
        }
        RvError::SessionCount => "other programs have all of the token's sessions",
        _ => return format!("C_{function:?} failed with {name}"),
    };
    format!("{words} (C_{function:?}: {name})")
}

/// Whether a call brings something into the token.
fn writes(function: Function) -> bool {
    matches!(function, Function::GenerateKeyPair | Function::CreateObject)
}

/// The name of a code as the specification writes it.
fn name(code: RvError) -> String {
    let mut name = String::from("CKR");
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_named_as_in_the_specification_after_what_it_means() {
        let said = of(&Error::Pkcs11(RvError::PinLocked, Function::Login));
        assert!(said.starts_with("its PIN is locked"), "{said}");
        assert!(said.ends_with("(C_Login: CKR_PIN_LOCKED)"), "{said}");
        let other = of(&Error::Pkcs11(RvError::GeneralError, Function::Sign));
        assert_eq!(other, "C_Sign failed with CKR_GENERAL_ERROR");
        let full = of(&Error::Pkcs11(RvError::GeneralError, Function::CreateObject));
        assert!(full.contains("perhaps it is full"), "{full}");
    }
}
