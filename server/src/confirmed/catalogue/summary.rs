//! What is remembered of a repository: a few numbers and dates, with names and keys kept once for all repositories.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use tuf::{Document, EndOf, Gun, PublicKey, RoleName};

use super::verified::verify;
use crate::{
    registry::tag_numbers,
    store::{CurrentFiles, LastPublish},
};

/// What is remembered of a repository.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The number of its line. A repository that is deleted and made again gets another.
    pub number: u32,
    /// The row of its newest timestamp: after any change it is another.
    pub newest_id: i32,
    /// How many tags are signed, each counted once.
    pub tags: u32,
    /// Whether readers accept it.
    pub standing: Standing,
    /// When what ends.
    pub ends: Ends,
    /// When a client last published to it.
    pub published_at: Option<DateTime<Utc>>,
    published_by: Option<u32>,
    signers: Box<[(u32, u32)]>,
    /// The numbers of the signed tags, sorted (`registry::tag_number`); empty where they are not kept.
    pub signed: Box<[u64]>,
}

/// Whether readers accept a repository, dates aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// All signatures, thresholds and hashes hold.
    Verifies,
    /// They do not, for this reason.
    Refused(Box<str>),
}

/// When the documents of a repository end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// The root, or the certificates of its keys.
    pub root: Option<DateTime<Utc>>,
    /// Whether it is the certificates of the root's keys that end first.
    pub by_certificates: bool,
    /// The targets.
    pub targets: Option<DateTime<Utc>>,
    /// The delegation that ends first.
    pub delegation: Option<DateTime<Utc>>,
    /// The snapshot.
    pub snapshot: Option<DateTime<Utc>>,
    /// The timestamp.
    pub timestamp: Option<DateTime<Utc>>,
}

impl Ends {
    /// When what people renew ends. The server renews timestamps, and a snapshot if it holds its key: one that ends by
    /// `late` it would have renewed before, so that is for people too.
    pub fn of_people(&self, late: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        let snapshot = self.snapshot.filter(|end| *end <= late);
        [self.root, self.targets, self.delegation, snapshot]
            .into_iter()
            .flatten()
    }

    /// When the first of these ends.
    pub fn first(&self, late: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.of_people(late).min()
    }

    /// When readers stop accepting the repository as a whole: delegations end for themselves.
    pub fn whole(&self) -> Option<DateTime<Utc>> {
        [self.root, self.targets, self.snapshot, self.timestamp]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Summary {
    /// Whether readers accept it now.
    pub fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.standing == Standing::Verifies && self.ends.whole().is_some_and(|end| end > now)
    }
}

/// Somebody who signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signer<'a> {
    /// The role.
    pub role: &'a str,
    /// The key ID as the metadata lists it.
    pub key_id: &'a str,
    /// The SHA-256 of the public key, in hex; empty if it cannot be read.
    pub spki_sha256: &'a str,
}

/// Names that many repositories share, each kept once.
#[derive(Debug, Default)]
pub(super) struct Names {
    roles: Interned<Box<str>>,
    keys: Interned<(Box<str>, Box<str>)>,
    principals: Interned<Box<str>>,
}

#[derive(Debug)]
struct Interned<T> {
    all: Vec<T>,
    places: HashMap<T, u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn place(&mut self, value: T) -> u32 {
        if let Some(place) = self.places.get(&value) {
            return *place;
        }
        let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(value.clone());
        self.places.insert(value, place);
        place
    }

    fn get(&self, place: u32) -> Option<&T> {
        self.all.get(usize::try_from(place).ok()?)
    }
}

impl Names {
    pub(super) fn line(&mut self, number: u32, judged: Judged, published: Option<&LastPublish>) -> Summary {
        let signers = judged.signers.into_iter().map(|(role, key)| {
            let spki = key.spki_sha256().map(hex::encode).unwrap_or_default();
            (
                self.roles.place(role.as_str().into()),
                self.keys.place((key.id().as_str().into(), spki.into())),
            )
        });
        let signers = signers.collect();
        let by = published.and_then(|publish| publish.principal.as_deref());
        Summary {
            number,
            newest_id: judged.newest_id,
            tags: judged.tags,
            standing: judged.standing,
            ends: judged.ends,
            published_at: published.map(|publish| publish.at),
            published_by: by.map(|name| self.principals.place(name.into())),
            signers,
            signed: judged.signed,
        }
    }

    pub(super) fn signers(&self, summary: &Summary) -> Vec<Signer<'_>> {
        let signers = summary.signers.iter();
        signers
            .filter_map(|(role, key)| self.signer(*role, *key))
            .collect()
    }

    pub(super) fn signers_of<'a>(&self, summaries: impl Iterator<Item = &'a Summary>) -> Vec<Signer<'_>> {
        let mut all: HashSet<(u32, u32)> = HashSet::new();
        let mut last: &[(u32, u32)] = &[];
        for summary in summaries {
            // Neighbours are often signed by the same people.
            if *summary.signers != *last {
                last = &summary.signers;
                all.extend(last);
            }
        }
        let signers = all.into_iter();
        signers.filter_map(|(role, key)| self.signer(role, key)).collect()
    }

    fn signer(&self, role: u32, key: u32) -> Option<Signer<'_>> {
        let (key_id, spki_sha256) = self.keys.get(key)?;
        Some(Signer {
            role: self.roles.get(role)?,
            key_id,
            spki_sha256,
        })
    }

    pub(super) fn publisher(&self, summary: &Summary) -> Option<&str> {
        Some(self.principals.get(summary.published_by?)?)
    }
}

/// What was found about a repository.
pub(super) struct Judged {
    newest_id: i32,
    tags: u32,
    standing: Standing,
    ends: Ends,
    signers: Vec<(RoleName, PublicKey)>,
    signed: Box<[u64]>,
}

/// Verifies the current documents of a repository as a reader does who trusts its root.
pub(super) fn judge(gun: &Gun, files: &CurrentFiles, keeps_tags: bool) -> Judged {
    let (standing, signers) = match verify(gun, files) {
        Ok(verified) => (Standing::Verifies, verified.signers()),
        Err(reason) => (Standing::Refused(reason.into()), Vec::new()),
    };
    let end = |document: &Document| tuf::usable_until(gun, &document.role, &document.bytes).ok();
    let root = files.root.as_ref().and_then(end);
    let mut ends = Ends {
        root: root.map(|(end, _)| end),
        by_certificates: root.is_some_and(|(_, of)| of == EndOf::Certificates),
        snapshot: files.snapshot.as_ref().and_then(end).map(|(end, _)| end),
        timestamp: end(&files.timestamp).map(|(end, _)| end),
        ..Ends::default()
    };
    let mut tags = BTreeSet::new();
    for (role, document) in &files.targets {
        let end = end(document).map(|(end, _)| end);
        if *role == RoleName::Targets {
            ends.targets = end;
        } else {
            ends.delegation = [ends.delegation, end].into_iter().flatten().min();
        }
        let found = tuf::signed_targets(role, &document.bytes).unwrap_or_default();
        tags.extend(found.into_iter().map(|target| target.name));
    }
    Judged {
        newest_id: files.newest_id,
        tags: u32::try_from(tags.len()).unwrap_or(u32::MAX),
        signed: match keeps_tags {
            true => tag_numbers(tags.iter().map(String::as_str)),
            false => Box::default(),
        },
        standing,
        ends,
        signers,
    }
}
