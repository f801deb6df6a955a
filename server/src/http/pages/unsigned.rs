//! Which repositories have tags in the registry that nobody signed, as far as the registry has told.

use chrono::{DateTime, Utc};

use super::reader::Reader;
use crate::{
    confirmed::catalogue::Summary,
    pages::{length, number},
    registry::Unsigned,
};

/// What is known about the repositories that a page is about.
#[derive(Default)]
pub struct Found<'a> {
    /// Those that have some, in the order in which they were looked at: how many, and whether these are all.
    with: Vec<((&'a str, &'a Summary), u32, bool)>,
    /// When the registry was asked, the longest time ago and the shortest.
    asked: Option<(DateTime<Utc>, DateTime<Utc>)>,
    not_asked: usize,
    failed: usize,
    /// Those with more tags than are looked at, of which those looked at are signed.
    in_part: usize,
    elsewhere: usize,
}

impl<'a> Found<'a> {
    /// Looks at these repositories, and has the registry asked from now on; `None` where there is no registry.
    pub fn among(
        reader: &Reader<'_>,
        repositories: impl Iterator<Item = (&'a str, &'a Summary)>,
    ) -> Option<Self> {
        let registry = reader.state.registry.as_ref()?;
        registry.said().want();
        let words = registry.said().at_once();
        let mut found = Self::default();
        for (gun, summary) in repositories {
            match words.unsigned(gun, &summary.signed) {
                Unsigned::NotAsked if !words.knows(gun) && registry.name_of(gun).is_none() => {
                    found.elsewhere += 1;
                }
                Unsigned::NotAsked => found.not_asked += 1,
                Unsigned::Failed => found.failed += 1,
                Unsigned::Known {
                    count,
                    complete,
                    asked_at,
                } => {
                    let (first, last) = found.asked.unwrap_or((asked_at, asked_at));
                    found.asked = Some((first.min(asked_at), last.max(asked_at)));
                    if count > 0 {
                        found.with.push(((gun, summary), count, complete));
                    } else if !complete {
                        found.in_part += 1;
                    }
                }
            }
        }
        Some(found)
    }

    /// Those that are known to have some.
    pub fn repositories(&self) -> impl Iterator<Item = (&'a str, &'a Summary)> {
        self.with.iter().map(|(found, ..)| *found)
    }

    /// How many a repository has, in words, if it has any.
    pub fn of(&self, gun: &str) -> Option<String> {
        let (_, count, complete) = self.with.iter().find(|((name, _), ..)| *name == gun)?;
        let at_least = if *complete { "" } else { "at least " };
        Some(format!("{at_least}{} not signed", amount(*count)))
    }

    /// The answer in one sentence. It says that there are none only if that is known.
    pub fn sentence(&self) -> String {
        let tags: u64 = self.with.iter().map(|(_, count, _)| u64::from(*count)).sum();
        let tags = number(usize::try_from(tags).unwrap_or(usize::MAX));
        match self.with.len() {
            0 if self.asked.is_none() => {
                "The registry has not told of any of these repositories yet which tags it has.".to_owned()
            }
            0 if self.is_all() => {
                "Every tag that the registry has in these repositories is signed.".to_owned()
            }
            0 => "No tag without a signature is known so far.".to_owned(),
            1 => format!("One repository has tags in the registry that nobody signed, {tags} of them."),
            count => format!(
                "{} repositories have tags in the registry that nobody signed, {tags} in all.",
                number(count)
            ),
        }
    }

    /// How recent that is, and what is not known.
    pub fn age(&self, now: DateTime<Utc>) -> String {
        let ago = |at: DateTime<Utc>| length((now - at).max(chrono::TimeDelta::zero()));
        let mut said = match self.asked {
            Some((first, last)) if ago(first) == ago(last) => {
                format!("The registry was asked {} ago.", ago(last))
            }
            Some((first, last)) => format!(
                "The registry was asked between {} and {} ago.",
                ago(last),
                ago(first)
            ),
            None => "The registry was not asked yet.".to_owned(),
        };
        let parts = [
            (self.not_asked, "not asked about yet, or not since a push"),
            (self.failed, "it did not tell about"),
            (
                self.in_part,
                "with more tags than are looked at, of which those are signed",
            ),
            (self.elsewhere, "of another registry"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what)| format!("{} {what}", number(*count)))
            .collect();
        if !parts.is_empty() {
            said.push_str(" Repositories of which that is not known: ");
            said.push_str(&parts.join("; "));
            said.push('.');
        }
        said
    }

    fn is_all(&self) -> bool {
        self.not_asked + self.failed + self.in_part + self.elsewhere == 0
    }
}

fn amount(count: u32) -> String {
    number(usize::try_from(count).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn that_there_are_none_is_said_only_if_it_is_known() {
        let now = DateTime::UNIX_EPOCH;
        let asked = Some((now - TimeDelta::hours(2), now - TimeDelta::minutes(3)));
        let all = Found {
            asked,
            ..Found::default()
        };
        assert!(all.sentence().starts_with("Every tag"), "{}", all.sentence());
        assert_eq!(
            all.age(now),
            "The registry was asked between 3 minutes and 2 hours ago."
        );
        for part in [
            Found {
                asked,
                not_asked: 1,
                ..Found::default()
            },
            Found {
                asked,
                failed: 1,
                ..Found::default()
            },
            Found {
                asked,
                in_part: 1,
                ..Found::default()
            },
            Found {
                not_asked: 4,
                ..Found::default()
            },
        ] {
            assert!(!part.sentence().starts_with("Every tag"), "{}", part.sentence());
            assert!(part.age(now).contains("not known"), "{}", part.age(now));
        }
    }
}
