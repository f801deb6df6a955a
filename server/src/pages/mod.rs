//! What web pages look like: view models, templates, the style sheet and the scripts. Nothing here asks a database or
//! knows HTTP: a page is made of plain values, which `http` gathers.
//!
//! Every value that came from metadata, certificates or audit records is a [`Text`], [`Gun`], [`Digest`] or
//! [`Command`], which write themselves so that no browser takes them for anything but text. Where a template needs a
//! plain string, in an attribute, it is made with [`visible`].

mod access;
mod address;
mod assets;
mod audit;
mod badge;
pub mod ends;
#[cfg(feature = "native")]
pub mod native;
mod refusal;
mod repositories;
pub mod repository;
mod shell;
mod text;
mod time;

use askama::Template;

pub use access::{
    Access, Account, AccountRow, Administration, Answer, CaRow, Certificate, Confirm, DenialRow, Existing,
    KeyRow, ListRow, ListenerRow, NewCertificate, Question, Renewal, RuleSays, Whose, WrittenRule,
};
pub use address::address;
pub use assets::{Asset, find as asset, script, style};
pub use audit::{Audit, ChangeKind, Followed, Record, Refusal, Search};
pub use badge::{Badge, State};
pub use refusal::{Accepted, Denied, Failed, NoCertificate, Presented};
pub use repositories::{Choice, Repositories, RepositoryRow, Sorting};
pub use shell::{Me, Place, Shell, number};
pub use text::{Command, Digest, Gun, Text, quoted, visible};
pub use time::{When, day, exact, length, relative};

/// A page could not be made.
#[derive(Debug, thiserror::Error)]
#[error("a page could not be made: {0}")]
pub struct RenderError(#[from] askama::Error);

/// The page as HTML.
///
/// # Errors
/// When its template fails, which is a fault of this program.
pub fn render(page: &impl Template) -> Result<String, RenderError> {
    Ok(page.render()?)
}
