//! What surrounds every page: navigation, who the reader is, the foot.

use super::{Text, When, assets};

/// The pages that the navigation leads to. One is added when it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What matters now.
    Overview,
    /// Which repositories there are.
    Repositories,
    /// Which TUF 1.0 repositories there are, where they are hosted.
    Tuf,
    /// Everything that ends.
    Expiry,
    /// Who may do what.
    Access,
    /// What was done.
    Audit,
    /// A page that the navigation does not lead to.
    Elsewhere,
}

impl Place {
    /// Those that there are, in their order.
    const THERE: [Self; 6] = [
        Self::Overview,
        Self::Repositories,
        Self::Tuf,
        Self::Expiry,
        Self::Access,
        Self::Audit,
    ];

    /// The name in the navigation.
    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Repositories => "Repositories",
            Self::Tuf => "TUF 1.0",
            Self::Expiry => "Expiry",
            Self::Access => "Access",
            Self::Audit => "Audit",
            Self::Elsewhere => "",
        }
    }

    /// The address.
    pub fn address(self) -> &'static str {
        match self {
            Self::Overview | Self::Elsewhere => "/",
            Self::Repositories => "/repositories",
            Self::Tuf => "/tuf",
            Self::Expiry => "/expiry",
            Self::Access => "/access",
            Self::Audit => "/audit",
        }
    }

    /// Whether there is such a page.
    pub fn is_there(self) -> bool {
        Self::THERE.contains(&self)
    }
}

/// Who reads the page, for the corner of every page.
#[derive(Debug, Clone)]
pub struct Me {
    /// The name; `None` for a reader without an identity.
    pub name: Option<Text>,
    /// How the reader showed who it is, such as `certificate CN=alice`.
    pub by: Option<Text>,
    /// When the certificate ends.
    pub until: Option<When>,
}

/// An entry of the navigation.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// The address.
    pub address: &'static str,
    /// Whether this is the page.
    pub is_current: bool,
    /// A number behind the name, bound by the rights of the reader.
    pub count: Option<String>,
    /// What the number counts, for those who do not see where it stands.
    pub counted: &'static str,
}

/// What surrounds a page.
#[derive(Debug, Clone)]
pub struct Shell {
    /// The page's place.
    pub here: Place,
    /// Who reads.
    pub me: Me,
    /// How many repositories the reader may see, once that is known.
    pub repositories: Option<usize>,
    /// Whether this server hosts TUF 1.0 repositories.
    pub hosts_tuf: bool,
    /// How many of those the reader may see, once that is known.
    pub tuf: Option<usize>,
    /// How many things ended or end within 30 days, once that is known.
    pub ending: Option<usize>,
    /// The host of the server, as clients write it.
    pub host: Text,
}

impl Shell {
    /// The navigation.
    pub fn entries(&self) -> Vec<Entry> {
        let there = Place::THERE.into_iter();
        let entries = there
            .filter(|place| self.hosts_tuf || *place != Place::Tuf)
            .map(|place| {
                let (count, counted) = match place {
                    Place::Repositories => (self.repositories, ""),
                    Place::Tuf => (self.tuf, ""),
                    Place::Expiry => (
                        self.ending.filter(|count| *count > 0),
                        " ended or end within 30 days",
                    ),
                    _ => (None, ""),
                };
                Entry {
                    name: place.name(),
                    address: place.address(),
                    is_current: place == self.here,
                    count: count.map(number),
                    counted,
                }
            });
        entries.collect()
    }

    /// Where the corner with the reader's name leads.
    pub fn about_me(&self) -> &'static str {
        if Place::Access.is_there() {
            "/access"
        } else {
            "/#you"
        }
    }

    /// The address of the style sheet.
    pub fn style(&self) -> &'static str {
        &assets::style().address
    }

    /// The address of the script.
    pub fn script(&self) -> &'static str {
        &assets::script().address
    }

    /// The version of this program.
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// A number with its thousands set apart: `12,000`.
pub fn number(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value), text);
        }
    }
}
