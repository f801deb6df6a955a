//! `account`: manages which key logs in as which account, for organisations whose certificates do not say it.

mod options;
mod show;

use std::path::{Path, PathBuf};

use platform::{
    config::ConfigError,
    database::{Location, Options},
};

use crate::{
    administration::{KeyFault, KeyText, WrongText, account, check_text},
    clock::Clock,
    config::AuditSettings,
    identity::rules::IdentityRules,
    store::{Account, AccountAdded, AccountKey, Actor, KeyAdded, Store, StoreError},
};
pub use options::{AccountCommand, KeyCommand, Named, Place};

/// Why the command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// With storage in memory, each process has its own database.
    #[error("storage.backend is memory: the accounts of a running server are out of reach of this command")]
    Memory,
    /// The key's file cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The key's file cannot be used.
    #[error("{}: {cause}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: KeyFault,
    },
    /// A name or a text is refused.
    #[error(transparent)]
    Text(#[from] WrongText),
    /// There is no such account.
    #[error("there is no account {0}: make it with \"account add {0}\", or see \"account list\"")]
    Unknown(String),
    /// The key belongs to another account.
    #[error(
        "the key {key} is registered to the account {other}, and a key can have only one; \"account key remove {other} {key}\" frees it"
    )]
    OfOther {
        /// The SHA-256 of the key.
        key: String,
        /// The account.
        other: String,
    },
}

/// Runs the command and prints the result.
///
/// # Errors
/// When the command did nothing.
pub fn run(command: &AccountCommand) -> Result<(), AccountError> {
    match command {
        AccountCommand::Add {
            named,
            groups,
            admin,
            full_name,
        } => {
            let now = Clock::System.now();
            let wanted = account(&named.name, groups, *admin, full_name.as_deref(), now)?;
            add(&open(&named.place.config)?, &wanted)
        }
        AccountCommand::List { place, json } => list(&open(&place.config)?, *json),
        AccountCommand::Disable { named, reason } => set_disabled(named, true, reason.as_deref()),
        AccountCommand::Enable(named) => set_disabled(named, false, None),
        AccountCommand::Remove(named) => {
            let name = &named.name;
            let removed = open(&named.place.config)?.remove_account(name, &actor())?;
            let outcome = if removed {
                "removed, with its keys"
            } else {
                "does not exist: nothing to remove"
            };
            platform::say!("account {name} {outcome}");
            Ok(())
        }
        AccountCommand::Key { command } => run_key(command),
    }
}

fn run_key(command: &KeyCommand) -> Result<(), AccountError> {
    match command {
        KeyCommand::Add {
            named,
            certificate,
            public_key,
            label,
            note,
        } => {
            check_text("the label", label.as_deref())?;
            check_text("the note", note.as_deref())?;
            let path = certificate.as_ref().or(public_key.as_ref());
            let path = path.cloned().unwrap_or_default();
            let text = platform::files::read(&path);
            let text = text.map_err(|cause| AccountError::Read {
                path: path.clone(),
                cause,
            })?;
            let text = match certificate {
                Some(_) => KeyText::Certificate(&text),
                None => KeyText::PublicKey(&text),
            };
            let key = text.read(label.as_deref(), note.as_deref(), Clock::System.now());
            add_key(named, &key.map_err(|cause| AccountError::Key { path, cause })?)
        }
        KeyCommand::List(named) => {
            let store = open(&named.place.config)?;
            let account = store.account(&named.name)?;
            account.ok_or_else(|| AccountError::Unknown(named.name.clone()))?;
            let keys = store.account_keys(&named.name)?;
            if keys.is_empty() {
                platform::say!("account {} has no keys", named.name);
            }
            keys.iter()
                .for_each(|key| platform::say!("{}", show::key(key, "")));
            Ok(())
        }
        KeyCommand::Remove { named, key } => {
            let store = open(&named.place.config)?;
            let removed = store.remove_account_key(&named.name, &key.to_lowercase(), &actor())?;
            let outcome = if removed {
                "removed from"
            } else {
                "is not registered: nothing to remove from"
            };
            platform::say!("key {key} {outcome} account {}", named.name);
            Ok(())
        }
    }
}

fn open(config: &Path) -> Result<Store, AccountError> {
    let settings = crate::config::settings(config)?;
    let location = Location::read(&settings)?;
    if location == Location::Memory {
        return Err(AccountError::Memory);
    }
    let store = Store::open_for_command(&location, Options::read(&settings)?)?;
    Ok(store.with_audit_table(AuditSettings::read(&settings)?.table))
}

fn actor() -> Actor {
    Actor::command("(account)")
}

fn add(store: &Store, wanted: &Account) -> Result<(), AccountError> {
    let (outcome, before) = match store.add_account(wanted, &actor())? {
        AccountAdded::New => ("added".to_owned(), None),
        AccountAdded::Same(before) => ("exists already".to_owned(), Some(before)),
        AccountAdded::Changed(before) => (format!("changed from: {}", show::form(&before)), Some(before)),
    };
    platform::say!("account {} {outcome}", wanted.name);
    platform::say!("  {}", show::form(wanted));
    if before.is_some_and(|before| before.disabled_at.is_some()) {
        platform::say!("  it stays disabled: \"account enable {}\"", wanted.name);
    }
    Ok(())
}

fn list(store: &Store, json: bool) -> Result<(), AccountError> {
    let mut shown = Vec::new();
    for account in store.accounts()? {
        let keys = store.account_keys(&account.name)?;
        shown.push((account, keys));
    }
    if json {
        let list: Vec<_> = shown
            .iter()
            .map(|(account, keys)| show::json(account, keys))
            .collect();
        platform::say!("{:#}", serde_json::Value::from(list));
        return Ok(());
    }
    if shown.is_empty() {
        platform::say!("there are no accounts");
    }
    for (account, keys) in &shown {
        let disabled = account
            .disabled_at
            .map_or_else(String::new, |since| format!(", disabled since {since}"));
        let reason = account.disabled_reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        platform::say!("{}: {}{disabled}{reason}", account.name, show::form(account));
        keys.iter()
            .for_each(|key| platform::say!("{}", show::key(key, "  ")));
    }
    Ok(())
}

fn set_disabled(named: &Named, disabled: bool, reason: Option<&str>) -> Result<(), AccountError> {
    check_text("the reason", reason)?;
    let store = open(&named.place.config)?;
    let since = disabled.then(|| Clock::System.now());
    let changed = store.set_disabled(&named.name, since, reason, &actor())?;
    let changed = changed.ok_or_else(|| AccountError::Unknown(named.name.clone()))?;
    let state = if disabled { "disabled" } else { "enabled" };
    let already = if changed { "" } else { "is already " };
    platform::say!("account {} {already}{state}", named.name);
    Ok(())
}

fn add_key(named: &Named, key: &AccountKey) -> Result<(), AccountError> {
    let store = open(&named.place.config)?;
    let outcome = match store.add_account_key(&named.name, key, &actor())? {
        KeyAdded::New => "registered to",
        KeyAdded::Same => "is already registered to",
        KeyAdded::Changed => "has a new label, certificate or note at",
        KeyAdded::NoAccount => return Err(AccountError::Unknown(named.name.clone())),
        KeyAdded::OfOther(other) => {
            let key = key.spki_sha256.clone();
            return Err(AccountError::OfOther { key, other });
        }
    };
    platform::say!("key {outcome} account {}", named.name);
    platform::say!("{}", show::key(key, "  "));
    let settings = crate::config::settings(&named.place.config)?;
    if !IdentityRules::read(&settings)?.needs_accounts() {
        platform::say!(
            "note: no identity rule of the configuration uses registered keys; add one with the preset \
             registered-key"
        );
    }
    Ok(())
}
