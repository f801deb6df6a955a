//! Whether a publisher signed with a key of its own, where the policy asks for that.

use openssl::pkey::PKey;
use tuf_native::{Checked, Metadata, PublicKey, Role, Signers};

use super::{NativeError, publish::policy_role};
use crate::{
    access::{Grant, Publish},
    state::State,
};

/// Checks that the principal itself signed the files of the roles for which the policy asks for it: with a key that is
/// registered to its account, or with that of its certificate. Only keys count that the delegating file names for the role.
pub(super) async fn check(
    state: &State,
    grant: &Grant<Publish>,
    checked: &Checked,
) -> Result<(), NativeError> {
    if grant.own_key().is_empty() {
        return Ok(());
    }
    let principal = grant.principal();
    let name = principal.name().to_owned();
    let registered = state.with_store(move |store| store.account_keys(&name)).await?;
    let registered = registered
        .iter()
        .filter_map(|key| PKey::public_key_from_pem(key.public_key.as_bytes()).ok());
    let certificate = principal
        .certificate()
        .and_then(|verified| verified.certificate.x509().public_key().ok());
    let own: Vec<PublicKey> = registered
        .chain(certificate)
        .filter_map(|key| PublicKey::from_pkey(&key).ok())
        .collect();
    for file in checked.new() {
        let asked = grant.own_key().contains(&policy_role(file.role()));
        if asked && !signed(checked, file, &own) {
            return Err(NativeError::NotOwnKey {
                principal: principal.name().to_owned(),
                role: file.role().clone(),
            });
        }
    }
    Ok(())
}

fn signed(checked: &Checked, file: &Metadata, own: &[PublicKey]) -> bool {
    let signers = match file.role() {
        Role::Delegated(_) => delegated(checked, file.role()),
        // Every root is signed by its own keys; the uploaded one may not be the last.
        Role::Root => file.root_signers(&Role::Root),
        role => checked.root().root_signers(role),
    };
    let good = signers
        .map(|signers| file.good_signers(signers))
        .unwrap_or_default();
    good.iter()
        .any(|key| own.iter().any(|mine| mine.identity() == key.identity()))
}

fn delegated<'a>(checked: &'a Checked, role: &Role) -> Option<&'a Signers> {
    let delegations = checked.current_targets().iter().flat_map(Metadata::delegations);
    delegations
        .into_iter()
        .find_map(|(found, signers)| (found == role).then_some(signers))
}
