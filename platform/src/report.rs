//! What a check prints, a line a finding, and whether anything was broken.

/// Prints findings on standard output as they come.
#[derive(Debug, Default)]
pub struct Report {
    broken: u64,
}

impl Report {
    /// Something is in order.
    pub fn fine(&self, what: impl std::fmt::Display) {
        crate::say!("fine: {what}");
    }

    /// Something is worth knowing.
    pub fn note(&self, what: impl std::fmt::Display) {
        crate::say!("note: {what}");
    }

    /// Something would fail.
    pub fn broken(&mut self, what: impl std::fmt::Display) {
        self.broken += 1;
        crate::say!("broken: {what}");
    }

    /// How much would fail.
    pub fn count_broken(&self) -> u64 {
        self.broken
    }

    /// The last line, about the `checked` pieces; true if nothing is broken.
    pub fn end(&self, checked: impl std::fmt::Display) -> bool {
        match self.broken {
            0 => crate::say!("{checked} checked, nothing is broken; nothing was changed"),
            count => crate::say!("{checked} checked, {count} broken; nothing was changed"),
        }
        self.broken == 0
    }
}
