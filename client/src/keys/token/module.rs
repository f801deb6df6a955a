//! Loads a PKCS#11 module, finds the token in it, and logs in.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::MechanismType,
    session::Session,
    slot::{Slot, TokenInfo},
};

use super::{
    TokenSettings,
    key::TokenKey,
    login::log_in,
    objects::{self, Listing},
    reason,
};
use crate::keys::KeyError;

/// The label of a key with which repositories begin.
const ROOT: &str = "root";

/// A module that is initialized, until this is dropped.
struct Module {
    context: Pkcs11,
    /// Whether it was initialized here, and not by another part of the process.
    is_ours: bool,
}

/// A token with a session that is logged in.
pub(super) struct OpenToken {
    // Sessions end before their module: fields are dropped in this order.
    session: Mutex<Session>,
    listing: Mutex<Option<Arc<Listing>>>,
    name: String,
    serial: String,
    mechanisms: Vec<MechanismType>,
    slot: Slot,
    module: Module,
}

impl Module {
    /// Loads and initializes a module. Its code then runs in this process.
    fn load(path: &Path) -> Result<Self, KeyError> {
        let wrong = |reason: String| KeyError::Module {
            path: path.to_path_buf(),
            reason,
        };
        let of_io = |cause: std::io::Error| wrong(platform::reason::of_io(&cause));
        // Without a directory in its name, a library would be looked for in others.
        let absolute = std::path::absolute(path).map_err(of_io)?;
        let found = std::fs::metadata(&absolute).map_err(of_io)?;
        if !found.is_file() {
            // Opening a pipe would wait for ever.
            return Err(wrong("it is not a file".into()));
        }
        let context = Pkcs11::new(&absolute).map_err(|cause| {
            wrong(match cause {
                Error::LibraryLoading(_) | Error::MissingSymbol(_) | Error::NullFunctionPointer => {
                    format!("it is not a PKCS#11 module that can be loaded here ({cause})")
                }
                other => reason::of(&other),
            })
        })?;
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        let is_ours = match context.initialize(arguments) {
            Ok(()) => true,
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => false,
            Err(cause) => {
                return Err(wrong(format!(
                    "it does not start: {}; see whether it is configured, and whether this account may read its \
                     configuration",
                    reason::of(&cause)
                )));
            }
        };
        Ok(Self { context, is_ours })
    }

    /// The token of this label or serial number, or the only one.
    fn find(&self, path: &Path, wanted: Option<&str>) -> Result<(Slot, TokenInfo), KeyError> {
        let wrong = |reason: String| KeyError::Module {
            path: path.to_path_buf(),
            reason,
        };
        let slots = self.context.get_slots_with_token();
        let slots = slots.map_err(|cause| wrong(reason::of(&cause)))?;
        let info = |slot: Slot| Some((slot, self.context.get_token_info(slot).ok()?));
        let tokens = slots.into_iter().filter_map(info);
        let tokens: Vec<(Slot, TokenInfo)> = tokens.filter(|(_, info)| info.token_initialized()).collect();
        let shown = |(_, info): &(Slot, TokenInfo)| {
            format!("{:?} (serial number {:?})", info.label(), info.serial_number())
        };
        let all = tokens.iter().map(shown).collect::<Vec<_>>().join(", ");
        if tokens.is_empty() {
            return Err(wrong(
                "it has no token: none is inserted, none was initialized, or this account may not read it"
                    .into(),
            ));
        }
        let is_wanted = |(_, info): &(Slot, TokenInfo)| {
            wanted.is_none_or(|wanted| info.label() == wanted || info.serial_number() == wanted)
        };
        let mut matching = tokens.into_iter().filter(is_wanted);
        match (matching.next(), matching.next(), wanted) {
            (Some(token), None, _) => Ok(token),
            (Some(_), Some(_), None) => Err(wrong(format!(
                "it has several tokens; say with --pkcs11-token LABEL or COUNTERSIGN_PKCS11_TOKEN which is meant: {all}"
            ))),
            (Some(_), Some(_), Some(wanted)) => Err(wrong(format!(
                "it has several tokens {wanted:?}; name one by its serial number: {all}"
            ))),
            (None, _, wanted) => Err(wrong(format!(
                "it has no token {:?}; it has {all}",
                wanted.unwrap_or_default()
            ))),
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.is_ours {
            // The process goes on, or ends, without it either way.
            let _ = self.context.clone().finalize();
        }
    }
}

impl OpenToken {
    /// Opens the token and logs in, once.
    pub(super) fn open(settings: &TokenSettings) -> Result<Self, KeyError> {
        let module = Module::load(&settings.module)?;
        let (slot, info) = module.find(&settings.module, settings.token.as_deref())?;
        let name = format!("the token {:?}", info.label());
        let wrong = |cause: Error| KeyError::Token {
            token: name.clone(),
            reason: reason::of(&cause),
        };
        let session = module.context.open_ro_session(slot).map_err(wrong)?;
        log_in(&session, &info, &name, &settings.pin)?;
        let mechanisms = module.context.get_mechanism_list(slot).map_err(wrong)?;
        Ok(Self {
            session: Mutex::new(session),
            listing: Mutex::new(None),
            serial: info.serial_number().to_owned(),
            mechanisms,
            slot,
            module,
            name,
        })
    }

    /// The token in words, as the place of a key.
    pub(super) fn place(&self) -> String {
        let name = self.name.strip_prefix("the ").unwrap_or(&self.name);
        format!("{name} (serial number {:?})", self.serial)
    }

    /// Whether the token can do something.
    pub(super) fn can(&self, mechanism: MechanismType) -> bool {
        self.mechanisms.contains(&mechanism)
    }

    /// The session, which one thread uses at a time.
    pub(super) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that may write.
    pub(super) fn writing(&self) -> Result<Session, KeyError> {
        let opened = self.module.context.open_rw_session(self.slot);
        opened.map_err(|cause| self.failed(&cause))
    }

    /// What is in the token, read once. Root keys have to prove themselves: with them trust in repositories begins, and a public
    /// key of the same CKA_ID may be put into some tokens without the PIN.
    pub(super) fn listing(self: &Arc<Self>) -> Result<Arc<Listing>, KeyError> {
        let mut kept = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = kept.as_ref() {
            return Ok(Arc::clone(listing));
        }
        let read = objects::read(&self.session(), &self.name);
        let mut listing = read.map_err(|cause| self.failed(&cause))?;
        listing.refuse(&self.name, |found| {
            if found.label != ROOT {
                return Ok(());
            }
            TokenKey::new(Arc::clone(self), found).prove()
        });
        let listing = Arc::new(listing);
        Ok(Arc::clone(kept.insert(listing)))
    }

    /// Forgets what was read, because it was changed.
    pub(super) fn changed(&self) {
        *self.listing.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A failure of the token.
    pub(super) fn failed(&self, cause: &Error) -> KeyError {
        self.wrong(reason::of(cause))
    }

    /// Something that is wrong with the token, in words.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> KeyError {
        KeyError::Token {
            token: self.name.clone(),
            reason: reason.into(),
        }
    }
}
