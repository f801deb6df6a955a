//! The commands of those who sign: they read a repository, verify it, change it, and sign it with the keys at hand.

mod accept;
mod confirm;
mod delegations;
mod init;
mod inspect;
mod key_options;
mod keys;
mod rename;
mod revoke;
mod rotate;
mod session;
mod sign;
mod signers;
mod witness;

#[cfg(feature = "native")]
pub(super) use confirm::is_confirmed;
pub(super) use key_options::KeyOptions;
#[cfg(feature = "native")]
pub(super) use session::{RepositoryOptions, Session as NotarySession, repository};

pub use accept::{AnchorCommand, run as anchor};
pub use init::{Options as InitOptions, run as init};
pub use inspect::{Options as InspectOptions, run as inspect};
pub use keys::{KeyCommand, run as key};
pub use rename::{GunCommand, run as gun};
pub use revoke::{Options as RevokeOptions, run as revoke};
pub use sign::{Options as SignOptions, run as sign};
pub use signers::{SignerCommand, run as signer};
pub use witness::{Options as WitnessOptions, run as witness};
