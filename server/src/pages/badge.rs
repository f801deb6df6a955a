//! States and facts as small labels: a shape and a word; colour only repeats them.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;

use super::text::write_text;

/// What a label judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// A person has to do something, soon.
    Warn,
    /// Something does not hold any more.
    Bad,
    /// A fact without judgement.
    Plain,
    /// Done by the server itself.
    Automatic,
}

impl State {
    /// The class of the style sheet; empty if there is nothing to judge.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain | Self::Automatic => "",
        }
    }

    /// The name of its symbol.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "off",
            Self::Automatic => "auto",
        }
    }
}

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badge {
    state: State,
    words: String,
}

impl Badge {
    /// A label with these words.
    pub fn new(state: State, words: impl Into<String>) -> Self {
        Self {
            state,
            words: words.into(),
        }
    }

    /// What it judges.
    pub fn state(&self) -> State {
        self.state
    }
}

impl Display for Badge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (class, symbol) = (self.state.class(), self.state.symbol());
        let gap = if class.is_empty() { "" } else { " " };
        write!(
            f,
            "<span class=\"badge{gap}{class}\"><svg class=\"i\" aria-hidden=\"true\"><use href=\"#{symbol}\"/></svg>"
        )?;
        write_text(f, &self.words)?;
        f.write_str("</span>")
    }
}

impl HtmlSafe for Badge {}
