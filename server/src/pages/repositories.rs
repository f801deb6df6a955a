//! The page of all repositories.

use askama::Template;

use super::{Badge, Gun, Shell, Text, When};

/// One of the values of a filter.
#[derive(Debug, Clone)]
pub struct Choice {
    /// As it stands in the address.
    pub value: String,
    /// As it is shown.
    pub shown: String,
    /// Whether it is the chosen one.
    pub is_chosen: bool,
}

/// A column that the table can be sorted by.
#[derive(Debug, Clone)]
pub struct Sorting {
    /// Where the table is sorted by it.
    pub address: String,
    /// Whether it is.
    pub is_current: bool,
}

/// A line of the table.
#[derive(Debug, Clone)]
pub struct RepositoryRow {
    /// The name.
    pub gun: Gun,
    /// The page of it.
    pub address: String,
    /// How many tags are signed.
    pub tags: String,
    /// How many tags of it in the registry nobody signed, in words, as far as that is known.
    pub unsigned: Option<String>,
    /// Who signed.
    pub signers: Vec<Text>,
    /// When it was last published to.
    pub published: Option<When>,
    /// By whom.
    pub publisher: Option<Text>,
    /// When the first of what people renew ends.
    pub ends: Option<When>,
    /// The state.
    pub state: Badge,
}

/// The repositories that the reader may see.
#[derive(Debug, Template)]
#[template(path = "repositories.html")]
pub struct Repositories {
    /// What surrounds the page.
    pub shell: Shell,
    /// The answer in one sentence.
    pub lead: Text,
    /// How recent the registry's word is, and of how many repositories there is none; where the answer rests on it.
    pub asked: Option<String>,
    /// How far reading is, while not everything is known.
    pub reading: Option<String>,
    /// What names have to contain.
    pub q: String,
    /// The namespaces.
    pub namespaces: Vec<Choice>,
    /// The signers.
    pub signers: Vec<Choice>,
    /// The states.
    pub states: Vec<Choice>,
    /// The orders.
    pub orders: Vec<Choice>,
    /// Sorted by name, by the last publish, by what ends first.
    pub sorting: [Sorting; 3],
    /// What the table shows.
    pub caption: String,
    /// The lines.
    pub rows: Vec<RepositoryRow>,
    /// How many the reader may see in all.
    pub total: String,
    /// The first page, unless this is it.
    pub first: Option<String>,
    /// The next page, and how many lines it has.
    pub next: Option<(String, String)>,
}
