//! Carries out changes to who has access, unless they would lock out whoever asks for them, and so perhaps the last
//! administrator.
//!
//! Whoever asks is an administrator. So there is one left after a change if the same client would still be let in as one.
//! That is judged with the client's certificate, the identity rules, accounts and keys, the deny list and the policy, as
//! they will be after the change. Not known are: lists of revoked certificates that come later, and the end of certificates.

use std::sync::Arc;

use crate::{
    generation::Generation,
    identity::{Method, Principal},
    revocation::Class,
    state::{ServiceError, State},
    store::{DenialKey, DeniedSubject, Security, SecurityChange, Store, StoreError},
};

/// How often a change is tried again because somebody else changed something meanwhile.
const ATTEMPTS: usize = 10;
/// How many other administrators a refusal names.
const NAMED: usize = 5;

/// Why a change is not carried out; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeRefused {
    /// It locks out whoever asks for it.
    #[error("{0}")]
    LocksOut(String),
    /// Whoever asks is no longer an administrator.
    #[error("{0} is no longer an administrator")]
    NoLonger(String),
    /// Others changed accounts, keys or denials all the time.
    #[error("accounts, keys or denials are being changed by others; nothing was changed")]
    Contended,
    /// The database failed, or the server is stopping.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Carries out a change for `caller`. With `confirmed`, also one that locks the caller out. What decides about it is still
/// so when it is stored: otherwise two administrators could lock out each other at the same moment.
///
/// # Errors
/// When it is refused, or the database fails.
pub async fn carried_out<T, F>(
    state: &State,
    generation: &Generation,
    caller: &Principal,
    confirmed: bool,
    change: Option<SecurityChange>,
    apply: F,
) -> Result<T, ChangeRefused>
where
    T: Send + 'static,
    F: Fn(&Store) -> Result<T, StoreError> + Send + Sync + 'static,
{
    let apply = Arc::new(apply);
    for _ in 0..ATTEMPTS {
        let moment = state.confirmed.moment(None, Class::Write).await;
        let security = moment.map_err(ServiceError::from)?.security;
        if !is_administrator(generation, &security, caller) {
            return Err(ChangeRefused::NoLonger(caller.name().to_owned()));
        }
        if let (Some(change), false) = (&change, confirmed) {
            let after = security.after(change);
            if !is_administrator(generation, &after, caller) {
                return Err(ChangeRefused::LocksOut(reason(generation, &after, caller)));
            }
        }
        let (epoch, apply) = (security.epoch(), Arc::clone(&apply));
        let outcome = state
            .with_store(move |store| apply(&store.expecting(epoch)))
            .await;
        match outcome {
            Err(ServiceError::Store(StoreError::Overtaken)) => {}
            outcome => return Ok(outcome?),
        }
    }
    Err(ChangeRefused::Contended)
}

/// Why a change would lock out `caller`, to be said before it is asked for; `None` if it would not.
///
/// # Errors
/// When the database fails, or the server is stopping.
pub async fn would_lock_out(
    state: &State,
    generation: &Generation,
    caller: &Principal,
    change: &SecurityChange,
) -> Result<Option<String>, ServiceError> {
    let security = state.confirmed.moment(None, Class::Write).await?.security;
    let after = security.after(change);
    let locked = !is_administrator(generation, &after, caller);
    Ok(locked.then(|| reason(generation, &after, caller)))
}

/// Whether a client that was identified would be let in as an administrator.
fn is_administrator(generation: &Generation, security: &Security, caller: &Principal) -> bool {
    let (name, groups) = match caller.certificate() {
        Some(verified) => {
            let denied_as = verified.chain.denied_as();
            if denied_as.is_ok_and(|subjects| security.denies_any(subjects)) {
                return false;
            }
            let registered = security.account_by_key(verified.facts.key_hashes());
            match generation.identity.identify(&verified.facts, registered) {
                Ok(identified) => (identified.principal, identified.groups),
                Err(_) => return false,
            }
        }
        None => (
            caller.name().to_owned(),
            groups_without(generation, security, caller),
        ),
    };
    is_let_in(generation, security, &name) && generation.access.is_administrator(&name, &groups)
}

/// The groups of somebody without a certificate.
fn groups_without(generation: &Generation, security: &Security, caller: &Principal) -> Vec<String> {
    if !matches!(caller.method(), Method::Password | Method::OwnToken) {
        return caller.groups().to_vec();
    }
    let passwords = generation.passwords.as_ref();
    let mut groups = passwords.map_or_else(Vec::new, |passwords| passwords.groups(caller.name()));
    let account = security.account(caller.name());
    groups.extend(account.map(|account| account.all_groups()).unwrap_or_default());
    groups
}

fn is_let_in(generation: &Generation, security: &Security, name: &str) -> bool {
    generation.revocation.check_principal(name).is_ok() && !security.denies_principal(name)
}

/// Why a change is refused: whom it locks out, and who would be left.
fn reason(generation: &Generation, after: &Security, caller: &Principal) -> String {
    let name = caller.name();
    match others(generation, after, name).as_slice() {
        [] => format!("this would lock out {name}, who asks for it, and no other administrator is known"),
        others => {
            let more = others.len().saturating_sub(NAMED);
            let named = others.iter().take(NAMED).map(String::as_str);
            let named = named.collect::<Vec<_>>().join(", ");
            let more = if more == 0 {
                String::new()
            } else {
                format!(" and {more} more")
            };
            format!(
                "this would lock out {name}, who asks for it; administrators that are known beside are {named}{more}"
            )
        }
    }
}

/// The names of other administrators: accounts that are enabled and not denied, and principals that the policy calls by
/// name. Whether they have a valid certificate is not known; where only registered keys log in, they have one that is not
/// denied.
fn others(generation: &Generation, security: &Security, caller: &str) -> Vec<String> {
    let by_key = generation.identity.only_accounts() && generation.passwords.is_none();
    let has_key = |name: &str| {
        security.keys().any(|(key, account)| {
            account == name && !security.denies_any(&[DenialKey::of(&DeniedSubject::Key(key.to_owned()))])
        })
    };
    let accounts = security
        .accounts()
        .filter(|account| {
            generation
                .access
                .is_administrator(&account.name, &account.all_groups())
        })
        .map(|account| account.name.clone());
    let named = generation.access.named_administrators().into_iter();
    let named = named
        .filter(|name| generation.access.is_administrator(name, &[]))
        .map(str::to_owned);
    let mut found: Vec<String> = accounts
        .chain(named)
        .filter(|name| name != caller && is_let_in(generation, security, name))
        .filter(|name| !by_key || has_key(name))
        .collect();
    found.sort();
    found.dedup();
    found
}
