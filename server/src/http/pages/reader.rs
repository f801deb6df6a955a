//! Who reads a page, and what of the repositories that reader may see.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{ends::TufEnd, only_browsers, shell::shell};
use crate::{
    confirmed::catalogue::{Lines, Progress, Sight, Signer, Standing, Summary},
    http::{api::rights_of, error::ApiError, exchange::Exchange},
    identity::Principal,
    pages::{Badge, Place, Shell, State as Judgement, number, relative},
    state::{ServiceError, State},
    store::Security,
};

/// What ends within this many days is for somebody to act on.
pub const SOON: i64 = 30;

/// A reader of a page.
pub struct Reader<'a> {
    pub state: &'a State,
    pub exchange: &'a Exchange<'a>,
    pub principal: &'a Principal,
    pub now: DateTime<Utc>,
    pub progress: Progress,
    /// What people sign in TUF 1.0 repositories that the reader may see.
    pub tuf_ends: Vec<TufEnd>,
    /// How many such repositories there are, and how many more are still to be read; `None` where they are not hosted.
    pub tuf: Option<(usize, usize)>,
    /// Those that the reader may see.
    #[cfg(feature = "native")]
    pub tuf_lines: Vec<crate::confirmed::native::Line>,
    security: Arc<Security>,
    sight: Arc<Sight>,
}

impl<'a> Reader<'a> {
    /// The reader of a request, with the catalogue of repositories as of now.
    pub async fn new(exchange: &'a Exchange<'a>, principal: &'a Principal) -> Result<Self, ApiError> {
        only_browsers(exchange.request)?;
        let state = exchange.state;
        let progress = state.catalogue.refresh().await.map_err(ServiceError::from)?;
        let security = Arc::clone(&exchange.moment().await?.security);
        #[cfg_attr(not(feature = "native"), allow(unused_mut))]
        let mut reader = Self {
            state,
            exchange,
            principal,
            now: state.clock.now(),
            progress,
            tuf_ends: Vec::new(),
            tuf: None,
            #[cfg(feature = "native")]
            tuf_lines: Vec::new(),
            security,
            sight: state.catalogue.sight(rights_of(exchange, principal)),
        };
        #[cfg(feature = "native")]
        if state.config.native.is_some() {
            let (lines, left) = super::native::lines(&reader).await?;
            reader.tuf_ends = lines.iter().flat_map(super::native::ends).collect();
            reader.tuf = Some((lines.len(), left));
            reader.tuf_lines = lines;
        }
        Ok(reader)
    }

    /// The lines of the repositories that the reader may read, by name.
    pub fn seen<'l>(&self, lines: &'l Lines) -> Vec<(&'l str, &'l Summary)> {
        let access = self.exchange.access();
        self.sight
            .of(lines.iter(), |gun| access.reads(self.principal, gun))
    }

    /// What surrounds the page.
    pub fn shell(&self, here: Place) -> Shell {
        let lines = self.state.catalogue.lines();
        self.shell_with(here, &self.seen(&lines))
    }

    /// The same, where it is known what the reader may see.
    pub fn shell_with(&self, here: Place, seen: &[(&str, &Summary)]) -> Shell {
        let soon = self.now + TimeDelta::days(SOON);
        let late = self.late();
        let of_repositories = seen.iter().flat_map(|(_, summary)| summary.ends.of_people(late));
        let of_reader = self
            .principal
            .certificate()
            .map(|verified| verified.certificate.not_after());
        let ending = of_repositories
            .chain(of_reader)
            .chain(self.tuf_ends.iter().map(|end| end.at))
            .filter(|end| *end <= soon)
            .count();
        let mut shell = shell(
            &self.state.config,
            &self.exchange.generation,
            self.exchange.request,
            Some(self.principal),
            here,
        );
        if self.progress == Progress::Complete {
            shell.repositories = Some(seen.len());
            shell.ending = Some(ending);
        }
        shell.tuf = self
            .tuf
            .filter(|(_, left)| *left == 0)
            .map(|(repositories, _)| repositories);
        shell
    }

    /// A snapshot that ends by then would have been renewed by the server, if that held its key.
    pub fn late(&self) -> DateTime<Utc> {
        self.now + self.state.config.refresh.before_expiry / 2
    }

    /// What the page says while not everything is known.
    pub fn reading(&self) -> Option<String> {
        match self.progress {
            Progress::Complete => None,
            Progress::Reading { of: 0, .. } => {
                Some("The server is reading its repositories; this page is not complete yet.".to_owned())
            }
            Progress::Reading { done, of } => Some(format!(
                "The server is reading its repositories: {} of {} so far. This page is not complete yet.",
                number(done.min(of)),
                number(of)
            )),
        }
    }

    /// The name of somebody who signed: the account of the key, otherwise the delegation in full, otherwise the key. Whoever
    /// owns a repository may call a delegation like somebody's account, and must not pass for them.
    pub fn name_of(&self, signer: &Signer<'_>) -> String {
        if let Some(account) = self.account_of(signer.spki_sha256) {
            return account;
        }
        match signer.role.starts_with("targets/") {
            true => signer.role.to_owned(),
            false => format!("key {}", signer.key_id.chars().take(8).collect::<String>()),
        }
    }

    /// Whether the reader may learn who made changes to a repository.
    pub fn tells_actors(&self, gun: &str) -> bool {
        self.exchange.access().tells_actors(self.principal, gun)
    }

    /// The account to which a key is registered.
    pub fn account_of(&self, spki_sha256: &str) -> Option<String> {
        let account = self.security.account_by_key(&[spki_sha256.to_owned()])?;
        Some(account.name.clone())
    }
}

/// The state of a repository in a word or two.
pub fn judgement(reader: &Reader<'_>, summary: &Summary) -> Badge {
    let now = reader.now;
    if summary.standing != Standing::Verifies {
        return Badge::new(Judgement::Bad, "Does not verify");
    }
    match summary.ends.whole() {
        Some(end) if end <= now => return Badge::new(Judgement::Bad, "Ended"),
        _ => {}
    }
    match summary.ends.first(reader.late()) {
        Some(end) if end <= now => Badge::new(Judgement::Warn, "A part ended"),
        Some(end) if end <= now + TimeDelta::days(SOON) => {
            Badge::new(Judgement::Warn, format!("Ends {}", relative(end, now)))
        }
        _ if summary.tags == 0 => Badge::new(Judgement::Plain, "Nothing signed"),
        _ => Badge::new(Judgement::Good, "Good"),
    }
}
