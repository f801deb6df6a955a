//! What was done, by whom.

use askama::Template;

use super::{Badge, Gun, Shell, Text, When};

/// What is looked for. The values stand in a form, so they are plain.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The name of whoever did it.
    pub who: String,
    /// What was done.
    pub what: String,
    /// What the name of the repository contains.
    pub gun: String,
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
}

/// A kind of change to choose.
#[derive(Debug, Clone, Copy)]
pub struct ChangeKind {
    /// The value.
    pub value: &'static str,
    /// The words.
    pub words: &'static str,
}

/// A change.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was made.
    pub at: When,
    /// Who made it.
    pub who: Text,
    /// By which certificate, if any.
    pub by: Option<Text>,
    /// What was done.
    pub did: Text,
    /// To which repository.
    pub gun: Option<Gun>,
    /// The address of the page of that, where the reader may see it; otherwise empty.
    pub address: String,
    /// To what else.
    pub subject: Option<Text>,
    /// The new state.
    pub detail: Option<Text>,
    /// From where.
    pub from: Text,
    /// Whether it fits the record before it.
    pub chain: Badge,
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// When it was.
    pub at: When,
    /// Who was refused.
    pub who: Text,
    /// What was asked for.
    pub asked: Text,
    /// Of which repository.
    pub gun: Option<Gun>,
    /// Why it was refused.
    pub why: Text,
    /// The number of the request.
    pub request: Text,
    /// From where.
    pub from: Text,
}

/// What came of following every chain from its beginning.
#[derive(Debug, Clone)]
pub struct Followed {
    /// How many chains there are.
    pub chains: usize,
    /// How many records.
    pub records: usize,
    /// Where they break.
    pub broken: Vec<Text>,
}

/// What was done.
#[derive(Debug, Template)]
#[template(path = "audit.html")]
pub struct Audit {
    /// What surrounds the page.
    pub shell: Shell,
    /// The answer in one sentence.
    pub lead: Text,
    /// What is looked for.
    pub search: Search,
    /// What may be chosen.
    pub choices: Vec<ChangeKind>,
    /// Whether some record that is shown does not fit.
    pub misfit: bool,
    /// What came of following the chains, if that was asked for.
    pub followed: Option<Followed>,
    /// Whether the reader may have them followed.
    pub may_follow: bool,
    /// The changes, newest first.
    pub records: Vec<Record>,
    /// Where older ones are.
    pub older: Option<String>,
    /// Where they can be had as JSON lines.
    pub download: String,
    /// Where earlier refusals are.
    pub earlier_refusals: Option<String>,
    /// The refusals, newest first; `None` if they are kept nowhere that this server reads.
    pub refusals: Option<Vec<Refusal>>,
}
