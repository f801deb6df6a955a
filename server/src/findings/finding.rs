//! What was found.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// In order.
    Fine,
    /// Worth knowing, or soon broken.
    Note,
    /// Somebody gets stuck on it.
    Broken,
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What is so.
    pub what: String,
    /// The sentence that a client shows because of it.
    pub shown: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// Whether it prevents a start and a reload.
    pub refuses_start: bool,
}

impl Finding {
    /// Something is in order.
    pub fn fine(what: impl Into<String>) -> Self {
        Self {
            level: Level::Fine,
            what: what.into(),
            shown: None,
            fix: None,
            refuses_start: false,
        }
    }

    /// A problem that prevents a start and a reload. Often `what` itself says what to do, so there is no `fix`.
    pub fn refusal(what: impl Into<String>) -> Self {
        Self {
            level: Level::Broken,
            refuses_start: true,
            ..Self::fine(what)
        }
    }

    /// Something is worth knowing.
    pub fn note(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            what: what.into(),
            shown: None,
            fix: Some(fix.into()),
            refuses_start: false,
        }
    }

    /// A note whose `what` already says what to do.
    pub fn remark(what: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            ..Self::fine(what)
        }
    }

    /// Somebody gets stuck on it.
    pub fn broken(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Broken,
            ..Self::note(what, fix)
        }
    }

    /// Sets what to do about it.
    #[must_use]
    pub fn fixed_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// `what` and `fix` in one line.
    pub fn sentence(&self) -> String {
        match &self.fix {
            Some(fix) => format!("{}; {fix}", self.what),
            None => self.what.clone(),
        }
    }

    /// With the sentence that a client shows.
    #[must_use]
    pub fn shown_as(mut self, sentence: impl Into<String>) -> Self {
        self.shown = Some(sentence.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Fine => "fine",
            Level::Note => "note",
            Level::Broken => "broken",
        };
        write!(f, "{level}: {}", self.what)?;
        if let Some(shown) = &self.shown {
            write!(f, "\n  clients say: {shown}")?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  fix: {fix}")?;
        }
        Ok(())
    }
}
