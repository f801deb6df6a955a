//! Keys of a Notary role as TUF 1.0 writes them.

use tuf::RoleName;

use crate::key::PublicKey;
use crate::migrate::{CannotMigrate, Loss};
use crate::signers::Signers;
use crate::trusted::OnlineKeys;

/// The same keys and threshold. A key that clients do not read is left out where enough others are left.
pub(super) fn signers(
    role: &RoleName,
    declared: &[tuf::PublicKey],
    threshold: i64,
    online: &OnlineKeys,
    losses: &mut Vec<Loss>,
) -> Result<Signers, CannotMigrate> {
    let mut keys: Vec<PublicKey> = Vec::new();
    let mut problem = "there is no other".to_owned();
    for key in declared {
        match PublicKey::from_notary(key) {
            Ok(same) if keys.iter().any(|other| other.identity() == same.identity()) => {}
            Ok(same) => keys.push(same),
            Err(reason) => {
                problem = reason.to_string();
                losses.push(Loss::Key {
                    role: role.clone(),
                    key: key.id().to_string(),
                    reason: problem.clone(),
                });
            }
        }
    }
    let own = |key: &PublicKey| {
        [&online.snapshot, &online.timestamp]
            .iter()
            .any(|own| own.identity() == key.identity())
    };
    if keys.iter().any(own) {
        return Err(CannotMigrate::ServerKey { role: role.clone() });
    }
    let needed = u32::try_from(threshold).unwrap_or(u32::MAX).max(1);
    if keys.len() < needed as usize {
        return Err(CannotMigrate::Keys {
            role: role.clone(),
            threshold,
            usable: keys.len(),
            problem,
        });
    }
    Ok(Signers::new(keys, needed))
}
