//! What every page of a repository begins with.

use tuf::{Gun, PublicKey};

use super::super::{reader::Reader, repositories::namespace};
use crate::{
    access::{Grant, Pull},
    confirmed::catalogue::{Verified, verify},
    http::{error::ApiError, exchange::Exchange},
    pages::{
        self, Place, Shell, Text, When, address, number,
        repository::{Head, Tab},
    },
    store::{CurrentFiles, LastPublish},
};

/// The pages of a repository.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Tags,
    Signers,
    Root,
    Activity,
    Documents,
    Commands,
}

const PAGES: [(Page, &str, &str); 6] = [
    (Page::Tags, "Tags", "/repository"),
    (Page::Signers, "Signers", "/repository/signers"),
    (Page::Root, "Trust root", "/repository/root"),
    (Page::Activity, "Activity", "/repository/activity"),
    (Page::Documents, "Documents", "/repository/documents"),
    (Page::Commands, "Commands", "/repository/commands"),
];

/// A repository that the reader may pull, as it is now.
pub struct Opened<'a> {
    pub reader: Reader<'a>,
    pub gun: Gun,
    pub files: CurrentFiles,
    pub verified: Result<Verified, String>,
    publish: Option<LastPublish>,
}

impl<'a> Opened<'a> {
    /// Reads it.
    pub async fn new(exchange: &'a Exchange<'a>, grant: &'a Grant<Pull>) -> Result<Self, ApiError> {
        let reader = Reader::new(exchange, grant.principal()).await?;
        let gun = grant.gun().clone();
        let wanted = gun.clone();
        let read = exchange.state.with_store(move |store| {
            let guns = [wanted];
            let files = store.current_files(&guns)?.remove(&guns[0]);
            let publish = store.last_publishes(&guns)?.remove(&guns[0]);
            let verified = files.as_ref().map(|files| verify(&guns[0], files));
            Ok((files, publish, verified))
        });
        let (files, publish, verified) = read.await?;
        let (Some(files), Some(verified)) = (files, verified) else {
            return Err(ApiError::NotFound);
        };
        Ok(Self {
            reader,
            gun,
            files,
            verified,
            publish,
        })
    }

    /// What surrounds its pages.
    pub fn shell(&self) -> Shell {
        let mut shell = self.reader.shell(Place::Repositories);
        // The navigation's entry is the way back to the list, not this page.
        shell.here = Place::Elsewhere;
        shell
    }

    /// The address of one of its pages.
    pub fn address(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![("gun", self.gun.as_str())];
        pairs.extend(more);
        address(path, &pairs)
    }

    /// The namespace, and the page of its repositories.
    pub fn namespace(&self) -> (Text, String) {
        let namespace = namespace(self.gun.as_str());
        (
            Text::from(namespace),
            address("/repositories", &[("ns", namespace)]),
        )
    }

    /// What stands above the page.
    pub fn head(&self, here: Page) -> Head {
        let now = self.reader.now;
        let end = |role: &tuf::Document| {
            tuf::usable_until(&self.gun, &role.role, &role.bytes)
                .ok()
                .map(|(end, _)| end)
        };
        let root = self.files.root.as_ref();
        let of_people = [
            ("The root ends", root.and_then(end)),
            (
                "The snapshot ends",
                self.files
                    .snapshot
                    .as_ref()
                    .and_then(end)
                    .filter(|end| *end <= self.reader.late()),
            ),
            (
                "The first of its targets ends",
                self.files.targets.values().filter_map(end).min(),
            ),
        ];
        let first = of_people
            .into_iter()
            .filter_map(|(words, end)| Some((words, end?)))
            .min_by_key(|(_, end)| *end);
        let has_ended = match &self.verified {
            Ok(verified) => verified.targets.usable_until <= now,
            Err(_) => false,
        };
        let tags: std::collections::BTreeSet<String> = self
            .files
            .targets
            .iter()
            .flat_map(|(role, document)| tuf::signed_targets(role, &document.bytes).unwrap_or_default())
            .map(|target| target.name)
            .collect();
        let tabs = PAGES.into_iter().map(|(page, name, path)| Tab {
            name,
            count: match page {
                Page::Tags => Some(number(tags.len())),
                Page::Root => root.map(|root| format!("v{}", root.version)),
                _ => None,
            },
            address: self.address(path, &[]),
            is_current: page == here,
        });
        let publisher = |publish: &LastPublish| {
            let name = publish.principal.as_deref().map(Text::from);
            name.filter(|_| self.reader.tells_actors(self.gun.as_str()))
        };
        Head {
            gun: pages::Gun::new(self.gun.as_str()),
            list: ("Repositories", Place::Repositories.address()),
            namespace: self.namespace(),
            verdict: match &self.verified {
                Err(_) => "Clients that verify refuse it",
                Ok(_) if has_ended => "It has ended, so clients that verify refuse it",
                Ok(_) if tags.is_empty() => "Good, and nothing is signed",
                Ok(_) => "Signed and good",
            },
            reason: self.verified.as_ref().err().map(|reason| Text::from(&**reason)),
            published: self
                .publish
                .as_ref()
                .map(|publish| (When::relative(publish.at, now), publisher(publish))),
            ends: first.map(|(words, end)| (words, When::date_and_relative(end, now))),
            tabs: tabs.collect(),
        }
    }

    /// The account behind a key.
    pub fn account_of(&self, key: &PublicKey) -> Option<String> {
        self.reader.account_of(&hex::encode(key.spki_sha256()?))
    }
}
