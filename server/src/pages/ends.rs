//! Things that end, on a line of time and in tables.

use askama::Template;

use super::{Badge, Choice, Command, Gun, Shell, Text, When};

/// Who acts, as the shape of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The reader: a diamond.
    You,
    /// Somebody else: a square.
    Other,
    /// The server by itself: a ring.
    Server,
}

/// Something that ends.
#[derive(Debug, Clone)]
pub struct End {
    /// What it is.
    pub what: &'static str,
    /// What it is of, for the drawing.
    pub plain: String,
    /// The repository and its page.
    pub gun: Option<(Gun, String)>,
    /// What it is of, where that is no repository.
    pub subject: Option<Text>,
    /// When.
    pub at: When,
    /// The day, for the drawing.
    pub day: String,
    /// How far away that is, in words.
    pub distance: String,
    /// Who acts.
    pub who: Text,
    /// The shape of its mark.
    pub actor: Actor,
    /// Whether a person has to act within 30 days.
    pub is_soon: bool,
    /// How urgent it is.
    pub state: Badge,
    /// What to do, as a sentence.
    pub advice: &'static str,
    /// What to run.
    pub command: Option<Command>,
    /// Where on the line of time, in per cent of its width.
    pub x: String,
    /// In the drawing of several: how far from the top.
    pub y: usize,
    /// Whether the words stand before the mark, near the end of the line.
    pub is_late: bool,
}

/// A place of the scale.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Where, in per cent.
    pub x: String,
    /// Its words.
    pub words: &'static str,
    /// Whether it is left out where there is little room.
    pub is_wide: bool,
}

/// Everything that ends.
#[derive(Debug, Template)]
#[template(path = "expiry.html")]
pub struct Expiry {
    /// What surrounds the page.
    pub shell: Shell,
    /// The answer in one sentence.
    pub lead: String,
    /// How far reading is, while not everything is known.
    pub reading: Option<String>,
    /// Who acts.
    pub who: Vec<Choice>,
    /// Within how many days.
    pub days: Vec<Choice>,
    /// What kind.
    pub kinds: Vec<Choice>,
    /// What names of repositories have to contain.
    pub q: String,
    /// What the table shows.
    pub caption: String,
    /// The scale.
    pub scale: Vec<Mark>,
    /// What has ended, first of all, and what ends.
    pub ends: Vec<End>,
    /// What has ended already.
    pub ended: Vec<End>,
    /// What the reader acts on.
    pub yours: Vec<End>,
    /// What others act on.
    pub others: Vec<End>,
    /// What the server does by itself.
    pub by_itself: String,
}

/// A change on the overview.
#[derive(Debug, Clone)]
pub struct Recent {
    /// When.
    pub at: When,
    /// Who.
    pub by: Text,
    /// What.
    pub did: Text,
    /// Where, and its page.
    pub gun: Gun,
    /// The page.
    pub address: String,
}

/// A part of the server and how it is.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// How it is.
    pub state: Badge,
    /// What was seen.
    pub seen: Text,
}

/// What matters now.
#[derive(Debug, Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// What surrounds the page.
    pub shell: Shell,
    /// The answer in one sentence.
    pub lead: String,
    /// How far reading is, while not everything is known.
    pub reading: Option<String>,
    /// Numbers: repositories, signed tags, signers.
    pub figures: [String; 3],
    /// How high the drawing is.
    pub height: usize,
    /// The scale of the drawing.
    pub scale: Vec<Mark>,
    /// What ends within 90 days.
    pub ends: Vec<End>,
    /// How many more there are.
    pub more: Option<String>,
    /// The last changes.
    pub recent: Vec<Recent>,
    /// The parts of the server.
    pub health: Vec<Part>,
    /// The reader's groups.
    pub groups: Vec<Text>,
    /// Who issued the reader's certificate, and its number.
    pub certificate: Option<(Text, Text)>,
}
