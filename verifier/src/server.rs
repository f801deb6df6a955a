//! Where trust data is, as a policy says it.

use crate::pattern::Pattern;

/// Where the trust data of some images is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRule {
    /// The images.
    pub pattern: Pattern,
    /// The address of the trust server.
    pub url: String,
    /// The authorities of its certificate, as for all files here: relative to the policy file, as written.
    pub ca: Option<String>,
    /// The client certificate.
    pub cert: Option<String>,
    /// Its key.
    pub key: Option<String>,
}
