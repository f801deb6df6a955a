//! Certificates for those who have no PKI: a client CA of one's own, and a bundle for each user with everything
//! their programs need.

pub(crate) mod authority;
pub(crate) mod bundle;
pub(crate) mod files;
pub(crate) mod index;
pub(crate) mod revocation_list;

use std::path::PathBuf;

pub use bundle::{check_registry, check_url};

/// A little over a year, in days: the longest that common clients accept.
pub const CERTIFICATE_DAYS: u32 = 397;
/// Ten years for a CA, in days.
pub const AUTHORITY_DAYS: u32 = 3650;

/// Why nothing was issued or revoked.
#[derive(Debug, thiserror::Error)]
pub enum IssuingError {
    /// A file or directory cannot be made or read.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A file of an earlier run is not what it should be.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// OpenSSL refuses.
    #[error("OpenSSL refuses: {}", platform::reason::of_openssl(.0))]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// A name cannot be a user's.
    #[error("\"{0}\" cannot be a user's name: use letters, digits, dots, dashes, underscores and @")]
    UserName(String),
    /// A name is kept for something else.
    #[error("\"{0}\" cannot be a user's name: it stands for clients without one")]
    Reserved(String),
    /// A name cannot be a group's.
    #[error("\"{0}\" cannot be a group's name: use letters, digits, dots, dashes, underscores and colons")]
    GroupName(String),
    /// There is no CA where it should be.
    #[error("{path} holds no CA: make one with \"countersign-server ca init --dir {path}\"", path = .0.display())]
    NoAuthority(PathBuf),
    /// There is another CA already.
    #[error("{} holds the CA \"{found}\" already: choose another directory", path.display())]
    OtherAuthority {
        /// The directory.
        path: PathBuf,
        /// The CA's name.
        found: String,
    },
    /// The CA's key is encrypted.
    #[error("{}: {reason}", path.display())]
    Passphrase {
        /// The file of the key.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// There is a bundle already.
    #[error("{} holds a bundle already: choose another directory for the new one", .0.display())]
    BundleExists(PathBuf),
    /// A certificate would outlive its CA.
    #[error("the CA ends on {0}: use --days for less, or make another CA")]
    OutlivesAuthority(String),
    /// The URL is not one that clients can use.
    #[error("--url {0}: https://host or https://host:port, as clients write it")]
    Url(String),
    /// The registry is not as image names begin.
    #[error("--registry {0}: a host, with its port if it has one, as image names begin")]
    Registry(String),
    /// There is nothing to revoke.
    #[error("{0}; \"countersign-server bundle list\" shows what was issued")]
    NotIssued(String),
    /// It is not said whose certificate to revoke.
    #[error("say whose: a user's name, or --serial HEX")]
    Nobody,
}
