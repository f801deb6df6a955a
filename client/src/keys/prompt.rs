//! Asks a person at the terminal for a passphrase.

use std::{
    fs::{File, OpenOptions},
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use signal_hook::{consts::SIGINT, flag, low_level::emulate_default_handler};

use super::KeyError;

const TERMINAL: &str = "/dev/tty";

/// A terminal that shows nothing of what is typed, and is as it was when this goes.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    /// Nothing is shown from before the prompt on: what is typed at once would be seen otherwise.
    fn begin() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL)?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks the user for a line that is not shown. Ctrl-C ends the program, as everywhere, after the terminal was restored.
pub(super) fn ask(prompt: &str) -> Result<SecretString, KeyError> {
    let failed = |cause: io::Error| KeyError::File {
        path: TERMINAL.into(),
        reason: platform::reason::of_io(&cause),
    };
    static ENDS_AT_ONCE: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let ends_at_once = match ENDS_AT_ONCE.get() {
        Some(known) => known,
        None => {
            let fresh = Arc::new(AtomicBool::new(true));
            flag::register_conditional_default(SIGINT, Arc::clone(&fresh)).map_err(failed)?;
            ENDS_AT_ONCE.get_or_init(|| fresh)
        }
    };
    ends_at_once.store(false, Ordering::SeqCst);
    let typed = Silent::begin().and_then(|_silent| rpassword::prompt_password(prompt));
    ends_at_once.store(true, Ordering::SeqCst);
    match typed {
        Ok(typed) => Ok(typed.into()),
        Err(cause) => {
            if cause.kind() == io::ErrorKind::Interrupted {
                emulate_default_handler(SIGINT).map_err(failed)?;
            }
            Err(failed(cause))
        }
    }
}
