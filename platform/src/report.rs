//! What a check prints: one line for each finding, and at the end whether anything is broken.

/// Prints findings on standard output at once, and counts those that are failures.
#[derive(Debug, Default)]
pub struct Report {
    broken: u64,
}

impl Report {
    /// Prints that something is in order.
    pub fn fine(&self, what: impl std::fmt::Display) {
        crate::say!("fine: {what}");
    }

    /// Prints something that an operator should know.
    pub fn note(&self, what: impl std::fmt::Display) {
        crate::say!("note: {what}");
    }

    /// Prints something that would fail in use.
    pub fn broken(&mut self, what: impl std::fmt::Display) {
        self.broken += 1;
        crate::say!("broken: {what}");
    }

    /// The number of findings that would fail in use.
    pub fn count_broken(&self) -> u64 {
        self.broken
    }

    /// Prints the last line, which names the `checked` pieces; true if nothing is broken.
    pub fn end(&self, checked: impl std::fmt::Display) -> bool {
        match self.broken {
            0 => crate::say!("{checked} checked, nothing is broken; nothing was changed"),
            count => crate::say!("{checked} checked, {count} broken; nothing was changed"),
        }
        self.broken == 0
    }
}
