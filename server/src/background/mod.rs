//! The tasks that run beside requests for as long as the server runs.

pub mod checkpoints;
pub mod health;
#[cfg(feature = "native")]
pub mod native_lines;
#[cfg(feature = "native")]
pub mod native_renewals;
pub mod pending_keys;
pub mod pulls;
pub mod registry_tags;
pub mod reload;
pub mod renewals;
pub mod revocation_lists;
pub mod webhooks;

/// A name by which servers on one database tell each other apart.
fn random_name() -> String {
    let mut bytes = [0; 16];
    // Without randomness two servers might have the same name. Then both renew, and one of them loses the race, or both
    // tell the same event, which does no harm.
    let _ = openssl::rand::rand_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
