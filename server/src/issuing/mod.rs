//! Certificates for installations without a PKI: a client CA, and for each user a bundle with everything that the
//! user's programs need.

pub(crate) mod authority;
pub(crate) mod bundle;
pub(crate) mod files;
pub(crate) mod index;
pub(crate) mod own;
pub(crate) mod revocation_list;

use std::path::PathBuf;

pub use bundle::{check_registry, check_url};

/// The lifetime of a certificate in days: a little over a year, the longest that common clients accept.
pub const CERTIFICATE_DAYS: u32 = 397;
/// The lifetime of a CA in days: ten years.
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
    /// A file of an earlier run is damaged.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// OpenSSL reports an error.
    #[error("OpenSSL refuses: {}", platform::reason::of_openssl(.0))]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// A name cannot be used for a user.
    #[error("\"{0}\" cannot be a user's name: use letters, digits, dots, dashes, underscores and @")]
    UserName(String),
    /// A name is reserved.
    #[error("\"{0}\" cannot be a user's name: it is the name of clients without an identity")]
    Reserved(String),
    /// A name cannot be used for a group.
    #[error("\"{0}\" cannot be a group's name: use letters, digits, dots, dashes, underscores and colons")]
    GroupName(String),
    /// The directory holds no CA.
    #[error("{path} holds no CA: make one with \"countersign-server ca init --dir {path}\"", path = .0.display())]
    NoAuthority(PathBuf),
    /// There is another CA already.
    #[error("{} already holds the CA \"{found}\": choose another directory", path.display())]
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
    /// There already is a bundle.
    #[error("{} already holds a bundle: choose another directory for the new one", .0.display())]
    BundleExists(PathBuf),
    /// A certificate would outlive its CA.
    #[error("the CA expires on {0}: use a smaller --days, or create another CA")]
    OutlivesAuthority(String),
    /// The URL is not one that clients can use.
    #[error("--url {0}: https://host or https://host:port, as clients write it")]
    Url(String),
    /// The registry is not written as in image names.
    #[error("--registry {0}: a host, with its port if it has one, as image names begin")]
    Registry(String),
    /// There is no such certificate to revoke.
    #[error("{0}; \"countersign-server bundle list\" shows what was issued")]
    NotIssued(String),
    /// Somebody has too many certificates.
    #[error("{0} has {limit} certificates of this CA that are valid: let some end, or have some revoked", limit = own::VALID_PER_NAME)]
    TooMany(String),
    /// The command line does not say whose certificate to revoke.
    #[error("say whose certificate: a user's name, or --serial HEX")]
    NoSelection,
}
