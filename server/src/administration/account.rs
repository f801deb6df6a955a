//! What an account may be called, and which texts may be stored about it.

use chrono::{DateTime, Utc};

use crate::{
    identity::rules::{NotIdentified, check_group_name, check_principal_name},
    store::Account,
};

/// The longest label, full name, note or reason, in characters: the width of the database columns.
const MAX_TEXT: usize = 255;
/// The most groups that an account may be in; a certificate has far fewer.
const MAX_GROUPS: usize = 100;

/// Why a name or a text cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum WrongText {
    /// A name cannot be used for an account or a group.
    #[error("{0}")]
    Name(String),
    /// A text is too long.
    #[error("{0} has more than {MAX_TEXT} characters")]
    Long(&'static str),
    /// A text has characters that would change how lists and records are shown.
    #[error("{0} contains a control character")]
    Control(&'static str),
    /// There are too many groups.
    #[error("an account can be in at most {MAX_GROUPS} groups")]
    Groups,
}

/// The account with this name and form, created now if it does not exist.
///
/// # Errors
/// When a name or a text is refused.
pub fn account(
    name: &str,
    groups: &[String],
    is_admin: bool,
    full_name: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Account, WrongText> {
    let refused = |cause: NotIdentified| WrongText::Name(cause.sentence);
    check_principal_name(name).map_err(refused)?;
    if groups.len() > MAX_GROUPS {
        return Err(WrongText::Groups);
    }
    groups
        .iter()
        .try_for_each(|group| check_group_name(group))
        .map_err(refused)?;
    check_text("the full name", full_name)?;
    let mut groups = groups.to_vec();
    groups.sort();
    groups.dedup();
    Ok(Account {
        name: name.to_owned(),
        full_name: full_name.map(str::to_owned),
        is_admin,
        groups,
        created_at: now,
        disabled_at: None,
        disabled_reason: None,
    })
}

/// Checks a text for people; `what` names it in the error.
///
/// # Errors
/// When it is too long or has control characters.
pub fn check_text(what: &'static str, text: Option<&str>) -> Result<(), WrongText> {
    let Some(text) = text else { return Ok(()) };
    if text.chars().count() > MAX_TEXT {
        return Err(WrongText::Long(what));
    }
    if text.chars().any(char::is_control) {
        return Err(WrongText::Control(what));
    }
    Ok(())
}
