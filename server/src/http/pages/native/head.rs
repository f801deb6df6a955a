//! What every page of a TUF 1.0 repository begins with.

use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use tuf_native::{Metadata, PublicKey, RepositoryName, Role, Trusted};

use super::super::{reader::Reader, repositories::namespace};
use crate::{
    access::{Grant, Pull},
    confirmed::native::Summary,
    http::{error::ApiError, exchange::Exchange},
    native::{self, NativeError, Room},
    pages::{
        self, Digest, Place, Shell, Text, When, address, number,
        repository::{Head, Tab},
    },
};

/// What is encoded in the path of a file.
const PATH: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The pages of a repository.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Targets,
    Signers,
    Root,
    Activity,
    Documents,
    Commands,
}

const PAGES: [(Page, &str, &str); 6] = [
    (Page::Targets, "Targets", "/tuf/repository"),
    (Page::Signers, "Signers", "/tuf/repository/signers"),
    (Page::Root, "Trust root", "/tuf/repository/root"),
    (Page::Activity, "Activity", "/tuf/repository/activity"),
    (Page::Documents, "Documents", "/tuf/repository/documents"),
    (Page::Commands, "Commands", "/tuf/repository/commands"),
];

/// A repository that the reader may pull, as it is now.
pub struct Opened<'a> {
    pub reader: Reader<'a>,
    pub name: RepositoryName,
    pub files: Trusted,
    /// The files, as lists describe them.
    pub summary: Summary,
    /// The memory that they take.
    pub room: Room,
}

impl<'a> Opened<'a> {
    /// Reads it. One that was deleted, or never was, is not found.
    pub async fn new(exchange: &'a Exchange<'a>, grant: &'a Grant<Pull>) -> Result<Self, ApiError> {
        let reader = Reader::new(exchange, grant.principal()).await?;
        let name = RepositoryName::parse(grant.gun().as_str()).map_err(|_| ApiError::NotFound)?;
        let mut room = Room::new(exchange.state).await?;
        let found = native::current(exchange.state, &name, &mut room).await?;
        let Some(found) = found.filter(|found| found.repository.deleted_at.is_none()) else {
            return Err(ApiError::NotFound);
        };
        let files = found.trusted.clone();
        let summary = actix_web::web::block(move || Summary::of(&files)).await;
        Ok(Self {
            reader,
            name,
            files: found.trusted.clone(),
            room,
            summary: summary.map_err(|_| NativeError::Service(crate::state::ServiceError::Stopping))?,
        })
    }

    /// What surrounds its pages.
    pub fn shell(&self) -> Shell {
        let mut shell = self.reader.shell(Place::Tuf);
        // The navigation's entry is the way back to the list, not this page.
        shell.here = Place::Elsewhere;
        shell
    }

    /// The address of one of its pages.
    pub fn address(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![("gun", self.name.as_str())];
        pairs.extend(more);
        address(path, &pairs)
    }

    /// The path of one of its files below `metadata` or `sign`.
    pub fn raw(&self, kind: &str, file: &str) -> String {
        format!(
            "/tuf/v1/{}/{kind}/{}",
            utf8_percent_encode(self.name.as_str(), PATH),
            utf8_percent_encode(file, PATH)
        )
    }

    /// What stands above the page.
    pub fn head(&self, here: Page) -> Head {
        let (now, name) = (self.reader.now, self.name.as_str());
        let first = self.summary.first_end();
        let tabs = PAGES.into_iter().map(|(page, words, path)| Tab {
            name: words,
            count: match page {
                Page::Targets => Some(number(self.summary.targets)),
                Page::Root => Some(format!("v{}", self.summary.root)),
                _ => None,
            },
            address: self.address(path, &[]),
            is_current: page == here,
        });
        let namespace = namespace(name);
        Head {
            gun: pages::Gun::new(name),
            list: ("TUF 1.0", Place::Tuf.address()),
            namespace: (Text::from(namespace), address("/tuf", &[("q", namespace)])),
            verdict: match first {
                _ if self.summary.fault.is_some() => "Clients that verify refuse it",
                Some(first) if first.at <= now && matches!(first.role, Role::Delegated(_)) => {
                    "A part of it has ended, and clients refuse that"
                }
                Some(first) if first.at <= now => "It has ended, so clients that verify refuse it",
                _ if self.summary.targets == 0 => "Good, and it lists nothing",
                _ => "Signed and good",
            },
            reason: self.summary.fault.as_deref().map(Text::from),
            published: None,
            ends: first.map(|first| {
                let words = match first.role {
                    Role::Root => "The root ends",
                    Role::Delegated(_) => "A delegated role ends",
                    _ => "The targets end",
                };
                (words, When::date_and_relative(first.at, now))
            }),
            tabs: tabs.collect(),
        }
    }

    /// The ID of a key that signed the first root, with which clients begin.
    pub async fn first_root_key(&self) -> Result<Option<String>, ApiError> {
        let gun = self.name.gun().clone();
        let state = self.reader.state;
        let first = state
            .with_store(move |store| store.native_file(&gun, "root", 1))
            .await?;
        let root = first.and_then(|bytes| Metadata::parse(&Role::Root, Bytes::from(bytes)).ok());
        let signed = root.map(|root| root.signed_by(&Role::Root)).unwrap_or_default();
        Ok(signed.first().map(|key| key.id().to_string()))
    }

    /// The account behind a key.
    pub fn account_of(&self, key: &PublicKey) -> Option<String> {
        let spki = key.to_notary()?.spki_sha256()?;
        self.reader.account_of(&hex::encode(spki))
    }

    /// A key with the account behind it.
    pub fn named(&self, key: &PublicKey) -> (Digest, Option<Text>) {
        (
            Digest::key(key.id().as_str()),
            self.account_of(key).map(Text::new),
        )
    }
}
