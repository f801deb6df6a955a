//! Why an image is denied, or allowed without being checked.

use std::fmt;

use serde::Serialize;

use crate::evidence::Evidence;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Why an image is denied, or allowed without being checked. The codes are part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code, in `snake_case`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }
        }
    };
}

reasons! {
    /// Allowed: the rule says so.
    AllowedByRule = "allowed_by_rule",
    /// Allowed: the namespace is exempt.
    ExemptNamespace = "exempt_namespace",
    /// Allowed: somebody who may broke the glass.
    BreakGlass = "break_glass",

    /// The text is not an image reference that can be judged.
    InvalidReference = "invalid_reference",
    /// No rule matches.
    NoRule = "no_rule",
    /// The rule says so.
    DeniedByRule = "denied_by_rule",
    /// Two rules match equally well.
    AmbiguousRules = "ambiguous_rules",

    /// The server has no such repository, or none with trust data.
    NoTrustData = "no_trust_data",
    /// The repository has trust data that names no tag at all.
    NothingSigned = "nothing_signed",
    /// No role names the tag.
    TagNotSigned = "tag_not_signed",
    /// Only roles that do not release name the tag.
    NotReleased = "not_released",
    /// A role names the tag without a SHA-256.
    NoDigest = "no_digest",
    /// No role names the digest.
    DigestNotSigned = "digest_not_signed",
    /// The digest was signed once and is no longer.
    DigestNoLongerSigned = "digest_no_longer_signed",
    /// The tag is signed with another digest than the reference has.
    DigestMismatch = "digest_mismatch",

    /// A required signer did not sign.
    SignerMissing = "signer_missing",
    /// Too few of the required signers signed.
    TooFewSigners = "too_few_signers",
    /// Nobody of a required team signed.
    TeamMissing = "team_missing",
    /// Required signers signed different digests.
    SignersDisagree = "signers_disagree",

    /// No root meets the policy's anchor.
    AnchorMismatch = "anchor_mismatch",
    /// The operator's repository of trust roots has no root of the image's repository.
    NotVouched = "not_vouched",
    /// The operator's repository of trust roots does not verify from the root that the policy names, or it went back.
    TrustRoots = "trust_roots",
    /// No certificate of a root chains to the policy's authority.
    AuthorityMismatch = "authority_mismatch",
    /// The root's certificate is for another repository.
    CertificateName = "certificate_name",
    /// The newest root does not follow from the one that was seen before.
    RootReset = "root_reset",
    /// The roots do not follow from each other.
    BrokenRootChain = "broken_root_chain",
    /// A document is older than one that was seen before.
    Rollback = "rollback",
    /// A document differs from one of the same version that was seen before.
    SameVersionDiffers = "same_version_differs",
    /// A document is not signed by enough of the keys declared for it.
    Signatures = "signatures",
    /// A document is not the one that the snapshot or timestamp names.
    Inconsistent = "inconsistent",
    /// A document cannot be read.
    InvalidDocument = "invalid_document",
    /// A document has expired.
    Expired = "expired",
    /// The server cannot be reached, and what is known of it is too old.
    TooStale = "too_stale",
    /// What was kept of earlier verifications cannot be read.
    InvalidState = "invalid_state",

    /// No server is asked, and the bundles at hand have nothing of the repository.
    NotInBundle = "not_in_bundle",
    /// The server cannot be reached.
    ServerUnreachable = "server_unreachable",
    /// The server refused access.
    AccessDenied = "access_denied",
    /// The server answered with an error, or with something else than documents.
    ServerError = "server_error",
}

/// A refusal, in plain English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// Cause and fix, as a sentence.
    pub sentence: String,
    /// What was verified before it.
    pub evidence: Option<Box<Evidence>>,
}

impl Denial {
    /// A refusal without evidence.
    pub fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        Self {
            reason,
            sentence: sentence.into(),
            evidence: None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// `REASON_CODE: sentence`
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.sentence)
    }
}

impl std::error::Error for Denial {}
