//! Verifies what is stored of a repository, and reports everything that is wrong with it.
//!
//! Unlike a publish, which stops at the first thing wrong, an audit goes on: an operator who moves many repositories
//! wants to know all of it at once.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::certificate::delegation_weakness;
use crate::checksum::Checksum;
use crate::document::Document;
use crate::gun::Gun;
use crate::metadata::{
    Envelope, FileMeta, MetadataError, RoleKeys, SnapshotBody, TargetsBody, TimestampBody,
};
use crate::role::RoleName;
use crate::time;
use crate::trusted_root::TrustedRoot;
use crate::version::Version;

/// How bad a finding is, least severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Neither readers nor publishers are affected.
    Harmless,
    /// It works, but protects less than it claims to.
    Weak,
    /// It will expire soon.
    Expiring,
    /// It has expired.
    Expired,
    /// Readers are refused, or the history cannot be trusted.
    Broken,
}

/// One thing that is worth knowing about a stored repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The role it is about.
    pub role: RoleName,
    /// The version of the document it is about; `None` if there is no document.
    pub version: Option<Version>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, as a clause without capital letter or full stop.
    pub sentence: String,
}

/// Verifies the history and the current state of a repository; the findings come in the order of trust.
///
/// `roots` are all stored versions, `timestamp` the one with the highest version, and `find` looks up documents of
/// other roles by checksum. Of the roots, structure and signatures (by their own keys and by those of the version
/// before) are verified, while the dates of superseded ones and of their certificates do not matter. From the
/// timestamp on every document must have the hashes by which it is named and be signed by the keys in force, those
/// of the highest root. What expires within `soon` is told too.
///
/// A delegation that is not signed by the keys its parent declares is [`Severity::Harmless`]. A repository is in this
/// state after its owner replaced the keys of a delegate who has not published since; readers ignore the delegation.
///
/// # Errors
///
/// Only when `find` fails.
pub fn audit<E>(
    gun: &Gun,
    roots: &[Document],
    timestamp: Option<&Document>,
    find: impl FnMut(&RoleName, &Checksum) -> Result<Option<Document>, E>,
    now: DateTime<Utc>,
    soon: TimeDelta,
) -> Result<Vec<Finding>, E> {
    let mut audit = Audit {
        gun,
        now,
        soon: now.checked_add_signed(soon).unwrap_or(DateTime::<Utc>::MAX_UTC),
        find,
        findings: Vec::new(),
    };
    let mut roots: Vec<&Document> = roots.iter().collect();
    roots.sort_by_key(|root| root.version);
    let trusted = audit.roots(&roots);
    match (trusted, timestamp) {
        (_, None) => audit.report(
            &RoleName::Timestamp,
            None,
            Severity::Broken,
            "there is no timestamp, so readers find nothing",
        ),
        (None, Some(_)) => {}
        (Some(trusted), Some(timestamp)) => audit.current(&roots, &trusted, timestamp)?,
    }
    Ok(audit.findings)
}

const COUNTED_TWICE: &str = "its threshold can be met only because one private key is listed in several forms; a new \
                             document has to list as many different ones";

struct Audit<'a, F> {
    gun: &'a Gun,
    now: DateTime<Utc>,
    soon: DateTime<Utc>,
    find: F,
    findings: Vec<Finding>,
}

impl<F> Audit<'_, F> {
    fn report(
        &mut self,
        role: &RoleName,
        version: Option<Version>,
        severity: Severity,
        sentence: impl Into<String>,
    ) {
        self.findings.push(Finding {
            role: role.clone(),
            version,
            severity,
            sentence: sentence.into(),
        });
    }

    fn about(&mut self, document: &Document, severity: Severity, sentence: impl Into<String>) {
        self.report(&document.role, Some(document.version), severity, sentence);
    }

    /// Verifies every root, lowest first; returns the highest if it can be trusted at all.
    fn roots(&mut self, roots: &[&Document]) -> Option<TrustedRoot> {
        let role = RoleName::Root;
        let Some((highest, first)) = roots.last().zip(roots.first()) else {
            self.report(
                &role,
                None,
                Severity::Broken,
                "there is no root, so nothing can be trusted",
            );
            return None;
        };
        if first.version > Version::FIRST {
            let sentence =
                "earlier versions are not stored: readers who last saw one of them have to start anew";
            self.about(first, Severity::Harmless, sentence);
        }
        let mut previous: Option<(&Document, Option<TrustedRoot>)> = None;
        for root in roots {
            let (before, trusted) = previous.take().map_or((None, None), |(d, t)| (Some(d), t));
            let missing = before.and_then(|before| before.version.next());
            let follows = missing.is_none_or(|next| next >= root.version);
            if let Some(missing) = missing.filter(|_| !follows) {
                let sentence = format!(
                    "version {missing} and everything up to version {} is missing, so nobody can follow the keys \
                     from one to the other",
                    root.version
                );
                self.report(&role, Some(missing), Severity::Broken, sentence);
            }
            let predecessor = trusted.as_ref().filter(|_| follows);
            previous = Some((root, self.root(root, before, predecessor)));
        }
        let trusted = previous.and_then(|(_, trusted)| trusted)?;
        for name in trusted.counting_twice() {
            let sentence = format!("{name}: {COUNTED_TWICE}");
            self.about(highest, Severity::Weak, sentence);
        }
        if let Ok(document) = Envelope::parse(&highest.bytes) {
            self.dates(highest, &document);
            self.certificates(highest, &document);
        }
        Some(trusted)
    }

    fn root(
        &mut self,
        root: &Document,
        before: Option<&Document>,
        predecessor: Option<&TrustedRoot>,
    ) -> Option<TrustedRoot> {
        let trusted =
            self.envelope(root)
                .and_then(|document| match TrustedRoot::of_stored(self.gun, &document) {
                    Ok(trusted) => Some((document, trusted)),
                    Err(reason) => {
                        self.about(root, Severity::Broken, reason.to_string());
                        None
                    }
                });
        let (document, trusted) = trusted?;
        if trusted.signed(&document).is_err() {
            self.about(
                root,
                Severity::Broken,
                "it is not signed by enough of its own root keys",
            );
        }
        if let Some((predecessor, before)) = predecessor.zip(before)
            && predecessor.signed(&document).is_err()
        {
            let sentence = format!(
                "it is not signed by enough of the root keys of version {}",
                before.version
            );
            self.about(root, Severity::Broken, sentence);
        }
        Some(trusted)
    }

    /// Whether the certificates of the root keys are still good: readers refuse a root without one.
    fn certificates(&mut self, root: &Document, document: &Envelope) {
        let usable_at = |moment| TrustedRoot::has_certificate(self.gun, document, moment);
        if !usable_at(self.now) {
            let sentence = "no certificate of its keys is valid today; rotate the root key";
            self.about(root, Severity::Expired, sentence);
        } else if !usable_at(self.soon) {
            let sentence = "the certificates of its keys expire soon; rotate the root key";
            self.about(root, Severity::Expiring, sentence);
        }
    }

    /// Reads a document, whose version must be the one it is stored as.
    fn envelope(&mut self, document: &Document) -> Option<Envelope> {
        match Envelope::parse(&document.bytes) {
            Ok(envelope) => {
                let stated = envelope.version_number();
                if stated != i64::from(document.version.get()) {
                    let sentence = format!("it says that it is version {stated}");
                    self.about(document, Severity::Broken, sentence);
                }
                Some(envelope)
            }
            Err(reason) => {
                self.about(document, Severity::Broken, format!("it cannot be read: {reason}"));
                None
            }
        }
    }

    fn dates(&mut self, document: &Document, envelope: &Envelope) {
        let expires = envelope.expires();
        if expires < self.now {
            let sentence = format!("it expired at {}", time::print(expires));
            self.about(document, Severity::Expired, sentence);
        } else if expires < self.soon {
            let sentence = format!("it expires at {}", time::print(expires));
            self.about(document, Severity::Expiring, sentence);
        }
    }
}

impl<E, F> Audit<'_, F>
where
    F: FnMut(&RoleName, &Checksum) -> Result<Option<Document>, E>,
{
    /// Follows the timestamp to everything it names.
    fn current(&mut self, roots: &[&Document], trusted: &TrustedRoot, timestamp: &Document) -> Result<(), E> {
        let Some(body) = self.signed(timestamp, trusted.role(&RoleName::Timestamp), TimestampBody::read)
        else {
            return Ok(());
        };
        let Some((snapshot, document)) = self.named(&RoleName::Snapshot, "timestamp", body.snapshot())?
        else {
            return Ok(());
        };
        let read = |document: &Envelope| {
            let body = SnapshotBody::read(document)?;
            body.check(document).map(|()| body)
        };
        let Some(body) = self.verified(&snapshot, &document, trusted.role(&RoleName::Snapshot), read) else {
            return Ok(());
        };
        self.current_root(roots, &body);
        self.targets(trusted, &body)
    }

    /// The snapshot must name the highest root: the one that is served, and by which publishers are judged.
    fn current_root(&mut self, roots: &[&Document], snapshot: &SnapshotBody) {
        let Some(highest) = roots.last() else { return };
        let named = snapshot.meta(&RoleName::Root);
        let Err(reason) = FileMeta::verify(named, highest) else {
            return;
        };
        let older = roots.iter().find(|root| FileMeta::verify(named, root).is_ok());
        let sentence = match older {
            Some(root) => format!(
                "the snapshot names version {}, although this one is newer",
                root.version
            ),
            None => format!("the snapshot names a root that is not stored: {reason}"),
        };
        self.about(highest, Severity::Broken, sentence);
    }

    /// Verifies targets and every delegation that is declared and published, parents first.
    fn targets(&mut self, trusted: &TrustedRoot, snapshot: &SnapshotBody) -> Result<(), E> {
        let targets = RoleName::Targets;
        let mut known: BTreeSet<String> = [&RoleName::Root, &targets].map(ToString::to_string).into();
        let mut parents = VecDeque::new();
        if let Some((stored, document)) = self.named(&targets, "snapshot", snapshot.meta(&targets))? {
            let body = self.verified(&stored, &document, trusted.role(&targets), |d| {
                read_targets(&targets, d)
            });
            parents.extend(body);
        }
        let all_read = !parents.is_empty();
        while let Some(parent) = parents.pop_front() {
            for name in parent.counting_twice() {
                if let Ok(role) = RoleName::parse(name) {
                    self.report(&role, None, Severity::Weak, COUNTED_TWICE);
                }
            }
            let declared = parent.delegations().filter_map(|name| RoleName::parse(name).ok());
            for role in declared {
                // A name determines its parent, so a delegation comes twice only if its entry is repeated.
                if known.insert(role.to_string())
                    && let Some(keys) = parent.delegation(&role)
                    && let Some(meta) = snapshot.meta(&role)
                    && let Some((stored, document)) = self.named(&role, "snapshot", Some(meta))?
                {
                    parents.extend(self.delegation(&stored, &document, keys));
                }
            }
        }
        let forgotten = snapshot.meta.keys().filter(|name| !known.contains(*name));
        for name in forgotten.filter(|_| all_read) {
            if let Ok(role) = RoleName::parse(name) {
                let sentence = "the snapshot still names it, but no role delegates to it; readers ignore it";
                self.report(&role, None, Severity::Harmless, sentence);
            }
        }
        Ok(())
    }

    fn delegation(&mut self, stored: &Document, document: &Envelope, keys: &RoleKeys) -> Option<TargetsBody> {
        let role = &stored.role;
        let weak = keys.keys.values().find_map(delegation_weakness);
        let verified = read_targets(role, document).and_then(|body| {
            keys.verify(role, document)?;
            weak.map_or(Ok(body), |weakness| Err(MetadataError::WeakCertificate(weakness)))
        });
        match verified {
            Ok(body) => {
                self.dates(stored, document);
                Some(body)
            }
            Err(reason) => {
                let sentence = format!(
                    "readers ignore it until somebody publishes it with the keys that its parent gives it: {reason}"
                );
                self.about(stored, Severity::Harmless, sentence);
                None
            }
        }
    }

    /// The document that a timestamp or snapshot names, with all of the hashes given.
    fn named(
        &mut self,
        role: &RoleName,
        by: &str,
        meta: Option<&FileMeta>,
    ) -> Result<Option<(Document, Envelope)>, E> {
        let Some(checksum) = meta.and_then(FileMeta::sha256) else {
            let sentence = format!("the {by} names no SHA-256 of it");
            self.report(role, None, Severity::Broken, sentence);
            return Ok(None);
        };
        let Some(document) = (self.find)(role, &checksum)? else {
            let sentence = format!("the {by} names a document that is not stored (SHA-256 {checksum})");
            self.report(role, None, Severity::Broken, sentence);
            return Ok(None);
        };
        if let Err(reason) = FileMeta::verify(meta, &document) {
            self.about(
                &document,
                Severity::Broken,
                format!("the {by} names other bytes: {reason}"),
            );
        }
        let stated = meta.map_or(0, FileMeta::length);
        // Clients read as many bytes as are stated, and refuse a document that has more.
        if i64::try_from(document.bytes.len()).is_ok_and(|length| stated < length) {
            let sentence = format!(
                "the {by} states a length of {stated} for its {} bytes",
                document.bytes.len()
            );
            self.about(&document, Severity::Broken, sentence);
        }
        Ok(self.envelope(&document).map(|envelope| (document, envelope)))
    }

    fn signed<T>(
        &mut self,
        stored: &Document,
        keys: Result<&RoleKeys, MetadataError>,
        read: impl FnOnce(&Envelope) -> Result<T, MetadataError>,
    ) -> Option<T> {
        let document = self.envelope(stored)?;
        self.verified(stored, &document, keys, read)
    }

    /// Reads a document of a base role, signed by the keys of the root. A document with wrong signatures is reported,
    /// and then read all the same, to follow what it names.
    fn verified<T>(
        &mut self,
        stored: &Document,
        document: &Envelope,
        keys: Result<&RoleKeys, MetadataError>,
        read: impl FnOnce(&Envelope) -> Result<T, MetadataError>,
    ) -> Option<T> {
        let signed = keys.and_then(|keys| keys.verify(&stored.role, document));
        if let Err(reason) = signed {
            let sentence = format!("it is not signed by the keys that the root gives it: {reason}");
            self.about(stored, Severity::Broken, sentence);
        }
        match read(document) {
            Ok(body) => {
                self.dates(stored, document);
                Some(body)
            }
            Err(reason) => {
                self.about(stored, Severity::Broken, reason.to_string());
                None
            }
        }
    }
}

fn read_targets(role: &RoleName, document: &Envelope) -> Result<TargetsBody, MetadataError> {
    let mut body = TargetsBody::read(role, document)?;
    body.check(role, document)?;
    body.tolerate();
    Ok(body)
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Weak => "weak",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Broken => "broken",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `broken: root version 3: it is not signed by …`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.role)?;
        if let Some(version) = self.version {
            write!(f, " version {version}")?;
        }
        write!(f, ": {}", self.sentence)
    }
}
