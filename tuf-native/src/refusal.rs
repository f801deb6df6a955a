//! Why a file, or a publish, is refused.

use chrono::{DateTime, Utc};
use thiserror::Error;
use tuf::{KeyId, Version};

use crate::role::Role;

/// Why a file, or a publish, is refused: what is wrong in which role, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The bytes are not one JSON value that every reader reads alike.
    #[error("{role}: not JSON that every client reads alike: {problem}")]
    Json {
        /// The role as which it was read.
        role: Role,
        /// What is wrong.
        problem: String,
    },
    /// A client would refuse the file, or read it otherwise than another client.
    #[error("{role}: {place}: {problem}")]
    Profile {
        /// The role.
        role: Role,
        /// Where in the file.
        place: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// The file is longer than the smallest limit of the clients.
    #[error(
        "{role}: the file has {length} bytes, and clients read at most {limit}: make it smaller, with delegations for example"
    )]
    TooLarge {
        /// The role.
        role: Role,
        /// Its length in bytes.
        length: usize,
        /// The longest that is taken, in bytes.
        limit: usize,
    },
    /// Clients would compute different messages for the signature.
    #[error(
        "{role}: clients compute different canonical forms of it: write texts in Unicode's form NFC, and give no two names \
         of which one is the other followed by a blank or !, and none with \""
    )]
    Canonical {
        /// The role.
        role: Role,
    },
    /// tough, which stands for its users here, refuses it or reads it otherwise.
    #[error("{role}: the client tough does not read it: {problem}")]
    Interoperability {
        /// The role.
        role: Role,
        /// What tough says.
        problem: String,
    },
    /// The file names another repository.
    #[error("{role}: it is signed for the repository {stated:?}, not for {asked:?}: publish it there")]
    OtherRepository {
        /// The role.
        role: Role,
        /// The repository that the file names.
        stated: String,
        /// The repository that was published to.
        asked: String,
    },
    /// Nothing was uploaded.
    #[error("nothing was uploaded: send root, targets or delegated roles, each as role.json")]
    Nothing,
    /// A snapshot or timestamp was uploaded.
    #[error("{role}: the server makes and signs it: leave it out")]
    MadeByServer {
        /// The role.
        role: Role,
    },
    /// Two files of one role, of which only root may be uploaded in several versions.
    #[error("{role}: uploaded twice in one publish: send one file of each role")]
    UploadedTwice {
        /// The role.
        role: Role,
    },
    /// There is no root yet.
    #[error("the repository has no root: upload root version 1 and targets together")]
    NoRoot,
    /// There is no targets yet.
    #[error("the repository has no targets: upload root and targets together")]
    NoTargets,
    /// More roots in one publish than clients follow at a time.
    #[error("{count} versions of root, and clients follow at most {limit} at a time: publish fewer")]
    TooManyRoots {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The root is not the one that follows.
    #[error(
        "root: version {uploaded} does not follow version {stored} (0: none yet): roots are published one by one"
    )]
    RootVersion {
        /// The newest that is stored, or came before it in the upload; 0 when there is none.
        stored: i32,
        /// The one that was uploaded.
        uploaded: Version,
    },
    /// The version is not above what clients have seen.
    #[error(
        "{role}: version {uploaded} is not above version {stored}, which clients have seen: sign a newer one"
    )]
    Rollback {
        /// The role.
        role: Role,
        /// The stored version.
        stored: Version,
        /// The uploaded version.
        uploaded: Version,
    },
    /// The version jumps so far that none may be left.
    #[error("{role}: version {uploaded} is more than {jump} above version {stored} (0: none yet): sign version {} to {}",
        i64::from(*stored) + 1, i64::from(*stored) + i64::from(*jump))]
    FastForward {
        /// The role.
        role: Role,
        /// The stored version; 0 when there is none.
        stored: i32,
        /// The uploaded version.
        uploaded: Version,
        /// How far it may jump.
        jump: u32,
    },
    /// There is no version above the stored one.
    #[error("{role}: its version is the last one that can be stored")]
    LastVersion {
        /// The role.
        role: Role,
    },
    /// Too few of the keys signed.
    #[error(
        "{role}: {have} of the keys that {by} names for it signed, {needed} must: collect more signatures"
    )]
    Threshold {
        /// The role.
        role: Role,
        /// Who names the keys.
        by: Delegator,
        /// How many of the keys have a good signature.
        have: u32,
        /// How many are needed.
        needed: u32,
    },
    /// What is stored would no longer be signed by its keys.
    #[error(
        "{role}: the stored version {version} is not signed by enough of the keys that {by} would name for it ({have} of \
         {needed}): upload a newer {role} that they signed in the same publish"
    )]
    NoLongerSigned {
        /// The role.
        role: Role,
        /// The stored version.
        version: Version,
        /// Who would name the keys.
        by: Delegator,
        /// How many of the keys have a good signature.
        have: u32,
        /// How many are needed.
        needed: u32,
    },
    /// It has ended.
    #[error("{role}: it expired at {at}: sign a newer one with a later date")]
    Expired {
        /// The role.
        role: Role,
        /// When.
        at: DateTime<Utc>,
    },
    /// No role delegates to it.
    #[error("{role}: no role delegates to it: publish the delegation with it, or leave it out")]
    NotDelegated {
        /// The role.
        role: Role,
    },
    /// Clients differ in which of several delegations of one name counts.
    #[error(
        "{role}: both {first} and {second} delegate to it, and clients differ in which counts: use another name"
    )]
    DelegatedTwice {
        /// The role.
        role: Role,
        /// One that delegates to it.
        first: Role,
        /// The other.
        second: Role,
    },
    /// A delegation without a file makes tough skip its siblings and python-tuf fail.
    #[error(
        "{role}: {by} delegates to it, but there is no file of it: upload its first version in the same publish"
    )]
    DelegationWithoutFile {
        /// The role.
        role: Role,
        /// The role that delegates to it.
        by: Role,
    },
    /// More delegated roles than clients visit.
    #[error("{count} delegated roles, and clients visit at most {limit}: remove some")]
    TooManyDelegations {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A root does not name the server's keys for what the server signs.
    #[error(
        "root version {version}: the role {role} must name the server's key {key} alone with threshold 1, because the server signs it"
    )]
    OnlineKey {
        /// Version of the root.
        version: Version,
        /// Snapshot or timestamp.
        role: Role,
        /// The key that it must name.
        key: KeyId,
    },
    /// A key of the server could sign content.
    #[error(
        "{role}: it names the server's key {key} for {named_for}: who controls the server could sign it; use a key of a person"
    )]
    OnlineKeyElsewhere {
        /// The file.
        role: Role,
        /// The key.
        key: KeyId,
        /// The role for which it is named.
        named_for: Role,
    },
    /// A delegated role lists a target that was not delegated to it.
    #[error(
        "{role}: {by} did not delegate the target {target:?} to it: rename the target, or delegate its path"
    )]
    TargetNotDelegated {
        /// The role.
        role: Role,
        /// The role that delegates to it.
        by: Role,
        /// The target.
        target: String,
    },
    /// Clients differ in whether a path pattern covers a target.
    #[error(
        "{by}: clients differ in whether the pattern {pattern:?} of the delegation to {role} covers the target {target:?}: write the path in full, or use path_hash_prefixes"
    )]
    PatternReadDifferently {
        /// The role that delegates.
        by: Role,
        /// The role that is delegated to.
        role: Role,
        /// The pattern.
        pattern: String,
        /// The target.
        target: String,
    },
    /// Comparing every pattern with every target would take too long.
    #[error(
        "{patterns} path patterns with wildcards for {targets} targets: write paths in full, or use path_hash_prefixes"
    )]
    TooManyPatterns {
        /// Patterns with wildcards.
        patterns: usize,
        /// Targets of delegated roles.
        targets: usize,
    },
    /// A signature does not verify.
    #[error("{role}: the signature of key {key} is not one over this content: sign it again")]
    BadSignature {
        /// The role.
        role: Role,
        /// The key.
        key: KeyId,
    },
    /// A draft carries a signature that never counts.
    #[error("{role}: key {key} is none of those that may sign it: leave its signature out")]
    ForeignSignature {
        /// The role.
        role: Role,
        /// The key.
        key: KeyId,
    },
    /// Two drafts are not about the same content.
    #[error(
        "{role}: the content differs from that of the draft that waits: sign that one, or withdraw it first"
    )]
    OtherContent {
        /// The role.
        role: Role,
    },
}

/// Who names the keys of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegator {
    /// A root of this version.
    Root(Version),
    /// Targets, or a delegated role.
    Role(Role),
}

impl std::fmt::Display for Delegator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root(version) => write!(f, "root version {version}"),
            Self::Role(role) => role.fmt(f),
        }
    }
}

impl Refusal {
    /// A word for machines, which stays the same.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "malformed",
            Self::Profile { .. } => "outside_profile",
            Self::TooLarge { .. } => "too_large",
            Self::Canonical { .. } => "ambiguous",
            Self::Interoperability { .. } => "not_interoperable",
            Self::OtherRepository { .. } => "other_repository",
            Self::Nothing => "nothing_uploaded",
            Self::MadeByServer { .. } => "made_by_server",
            Self::UploadedTwice { .. } => "uploaded_twice",
            Self::NoRoot => "no_root",
            Self::NoTargets => "no_targets",
            Self::TooManyRoots { .. } => "too_many_roots",
            Self::RootVersion { .. } => "root_version",
            Self::Rollback { .. } => "rollback",
            Self::FastForward { .. } => "fast_forward",
            Self::LastVersion { .. } => "last_version",
            Self::Threshold { .. } => "threshold",
            Self::NoLongerSigned { .. } => "no_longer_signed",
            Self::Expired { .. } => "expired",
            Self::NotDelegated { .. } => "not_delegated",
            Self::DelegatedTwice { .. } => "delegated_twice",
            Self::DelegationWithoutFile { .. } => "delegation_without_file",
            Self::TooManyDelegations { .. } => "too_many_delegations",
            Self::OnlineKey { .. } => "online_key",
            Self::OnlineKeyElsewhere { .. } => "online_key_elsewhere",
            Self::TargetNotDelegated { .. } => "target_not_delegated",
            Self::PatternReadDifferently { .. } => "pattern_read_differently",
            Self::TooManyPatterns { .. } => "too_many_patterns",
            Self::BadSignature { .. } => "bad_signature",
            Self::ForeignSignature { .. } => "foreign_signature",
            Self::OtherContent { .. } => "other_content",
        }
    }
}
