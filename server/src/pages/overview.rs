//! The first page.

use askama::Template;

use super::{Badge, Gun, Shell, Text, When};

/// A repository on the overview.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub gun: Gun,
    /// Its state.
    pub state: Badge,
    /// When the first document that only people can renew ends.
    pub ends: Option<When>,
}

/// What matters now.
#[derive(Debug, Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// What surrounds the page.
    pub shell: Shell,
    /// The answer in one sentence.
    pub lead: Text,
    /// The first repositories.
    pub rows: Vec<Row>,
    /// The reader's groups.
    pub groups: Vec<Text>,
}
