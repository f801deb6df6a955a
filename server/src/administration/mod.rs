//! Accounts, their keys and the deny list, as administrators change them: on the command line, through the interface,
//! and from pages. What is changed goes through the same functions everywhere.

mod account;
mod key;
mod lock_out;
mod named;

pub use account::{WrongText, account, check_text};
pub use key::{KeyFault, KeyText};
pub use lock_out::{ChangeRefused, carried_out, would_lock_out};
pub use named::{DenialFault, Named};
