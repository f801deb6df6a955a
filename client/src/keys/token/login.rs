//! Logging in to a token. A wrong PIN is never tried twice, because tokens lock after a few.

use std::{env, path::PathBuf};

use cryptoki::{
    error::{Error, RvError},
    session::{Session, SessionState, UserType},
    slot::TokenInfo,
};
use secrecy::{ExposeSecret, SecretString};

use super::reason;
use crate::keys::{
    KeyError, SecretCommand,
    passphrase::{first_line, is_terminal},
    prompt::ask,
};

/// The variable with the PIN.
const VARIABLE: &str = "COUNTERSIGN_PKCS11_PIN";

/// Where the PIN of a token comes from: the first of a file (its first line), the variable `COUNTERSIGN_PKCS11_PIN`, a program
/// that is asked, and a person at a terminal. A passphrase of keys is never tried as a PIN.
pub struct Pin {
    file: Option<PathBuf>,
    command: Option<SecretCommand>,
}

/// A PIN, and where it is from.
struct Given {
    pin: SecretString,
    source: String,
    /// Whether a person has just typed it.
    is_typed: bool,
}

impl Pin {
    /// A PIN from a file, the environment, this program, or a terminal if there is one.
    pub fn new(file: Option<PathBuf>, command: Option<SecretCommand>) -> Self {
        Self { file, command }
    }

    fn get(&self, info: &TokenInfo, name: &str) -> Result<Option<Given>, KeyError> {
        let given = |pin, source| {
            Ok(Some(Given {
                pin,
                source,
                is_typed: false,
            }))
        };
        if let Some(file) = &self.file {
            return given(first_line(file)?, format!("the PIN in {}", file.display()));
        }
        if let Some(pin) = env::var(VARIABLE).ok().filter(|pin| !pin.is_empty()) {
            return given(pin.into(), format!("the PIN in {VARIABLE}"));
        }
        if let Some(command) = &self.command {
            let about = [
                ("COUNTERSIGN_TOKEN_LABEL", info.label()),
                ("COUNTERSIGN_TOKEN_SERIAL", info.serial_number()),
                ("COUNTERSIGN_PASSPHRASE_FOR", "token"),
            ];
            let source = format!("the PIN that the program of {} printed", command.setting());
            return given(command.run(&about)?, source);
        }
        if !is_terminal() {
            return Ok(None);
        }
        let last = if info.user_pin_final_try() {
            " (the last attempt before it locks)"
        } else {
            ""
        };
        Ok(Some(Given {
            pin: ask(&format!("PIN of {name}{last}: "))?,
            source: "the PIN that was typed".into(),
            is_typed: true,
        }))
    }
}

/// Logs in, if the token wants that.
///
/// # Errors
/// When there is no PIN, it is wrong, or the token is locked.
pub(super) fn log_in(session: &Session, info: &TokenInfo, name: &str, pin: &Pin) -> Result<(), KeyError> {
    let wrong = |reason: String| KeyError::Token {
        token: name.to_owned(),
        reason,
    };
    // Another part of the process may have logged in, which counts for all of it.
    let state = session.get_session_info().map(|info| info.session_state());
    let is_in = matches!(state, Ok(SessionState::RoUser | SessionState::RwUser));
    if is_in || !info.login_required() {
        return Ok(());
    }
    let refused = |code| {
        wrong(reason::of(&Error::Pkcs11(
            code,
            cryptoki::context::Function::Login,
        )))
    };
    if info.user_pin_locked() {
        return Err(refused(RvError::PinLocked));
    }
    if !info.user_pin_initialized() {
        return Err(refused(RvError::UserPinNotInitialized));
    }
    if info.protected_authentication_path() {
        platform::complain!("enter the PIN of {name} at its own keys");
        return match session.login(UserType::User, None) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(cause) => Err(wrong(reason::of(&cause))),
        };
    }
    let given = pin.get(info, name)?.ok_or_else(|| {
        wrong(format!(
            "it wants its PIN; set {VARIABLE}, name a file with --pkcs11-pin-file or COUNTERSIGN_PKCS11_PIN_FILE, a program \
             with COUNTERSIGN_PKCS11_PIN_COMMAND, or run this on a terminal"
        ))
    })?;
    let source = &given.source;
    if given.pin.expose_secret().is_empty() {
        return Err(wrong(format!("{source} is empty")));
    }
    let length = given.pin.expose_secret().len();
    let (shortest, longest) = (info.min_pin_length(), info.max_pin_length());
    if shortest <= longest && longest > 0 && !(shortest..=longest).contains(&length) {
        return Err(wrong(format!(
            "{source} has {length} bytes, and its PINs have {shortest} to {longest}, so it was not tried"
        )));
    }
    if info.user_pin_final_try() && !given.is_typed {
        return Err(wrong(format!(
            "one more wrong PIN locks it, so {source} was not tried; see that it is right, and log in once on a terminal, for \
             instance with `countersign key list` and without {VARIABLE}, a file or a program"
        )));
    }
    match session.login(UserType::User, Some(&given.pin)) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(
            code @ (RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange),
            function,
        )) => {
            let code = reason::of(&Error::Pkcs11(code, function));
            Err(wrong(format!(
                "{source} is wrong ({code}); it was tried once, because tokens lock after a few wrong ones"
            )))
        }
        Err(cause) => Err(wrong(reason::of(&cause))),
    }
}
