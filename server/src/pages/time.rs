//! Times: relative or as a date, always with the exact one beside it for programs and on hover.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A moment, seen from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct When {
    at: DateTime<Utc>,
    now: DateTime<Utc>,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Style {
    Relative,
    Date,
    DateAndRelative,
    Clock,
}

impl When {
    /// `3 hours ago`, `in 12 days`.
    pub fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            at,
            now,
            style: Style::Relative,
        }
    }

    /// `7 Dec 2026`.
    pub fn date(at: DateTime<Utc>) -> Self {
        Self {
            at,
            now: at,
            style: Style::Date,
        }
    }

    /// `7 Dec 2026, in 12 days`.
    pub fn date_and_relative(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            at,
            now,
            style: Style::DateAndRelative,
        }
    }

    /// `7 Dec 2026, 09:00:00`, in UTC.
    pub fn clock(at: DateTime<Utc>) -> Self {
        Self {
            at,
            now: at,
            style: Style::Clock,
        }
    }

    /// The moment.
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<time datetime=\"{}\" title=\"{}\">",
            self.at.to_rfc3339_opts(SecondsFormat::Secs, true),
            exact(self.at)
        )?;
        match self.style {
            Style::Relative => write!(f, "{}</time>", relative(self.at, self.now)),
            Style::Date => write!(f, "{}</time>", day(self.at)),
            Style::DateAndRelative => write!(
                f,
                "{}</time>, <span class=\"soft nb\">{}</span>",
                day(self.at),
                relative(self.at, self.now)
            ),
            Style::Clock => write!(f, "{}</time>", self.at.format("%-d %b %Y, %H:%M:%S")),
        }
    }
}

impl HtmlSafe for When {}

/// `7 Dec 2026`
pub fn day(at: DateTime<Utc>) -> String {
    at.format("%-d %b %Y").to_string()
}

/// `7 December 2026, 09:00:00 UTC`
pub fn exact(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M:%S UTC").to_string()
}

/// `in 12 days`, `3 hours ago`, `now`.
pub fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let distance = at - now;
    if distance.abs() < TimeDelta::seconds(1) {
        "now".to_owned()
    } else if distance > TimeDelta::zero() {
        format!("in {}", length(distance))
    } else {
        format!("{} ago", length(-distance))
    }
}

/// A length of time in its largest sensible unit: `90 minutes`, `35 hours`, `59 days`, `23 months`, `7 years`.
pub fn length(length: TimeDelta) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    // A month and a year of the Gregorian calendar, on average.
    const MONTH: i64 = 2_629_746;
    const YEAR: i64 = 31_556_952;
    let seconds = length.num_seconds();
    // Each unit up to where the next one says it better.
    let units = [
        (90, 1, "second"),
        (90 * MINUTE, MINUTE, "minute"),
        (36 * HOUR, HOUR, "hour"),
        (60 * DAY, DAY, "day"),
        (2 * YEAR, MONTH, "month"),
    ];
    let (count, unit) = units
        .into_iter()
        .find(|(limit, ..)| seconds < *limit)
        .map_or((seconds / YEAR, "year"), |(_, unit, name)| {
            ((seconds + unit / 2) / unit, name)
        });
    if count == 1 {
        format!("1 {unit}")
    } else {
        format!("{count} {unit}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_relative_and_exact_on_hover() {
        let now = at("2026-11-25T15:40:00Z");
        for (moment, words) in [
            ("2026-11-25T15:40:00Z", "now"),
            ("2026-11-25T15:39:56Z", "4 seconds ago"),
            ("2026-11-25T14:52:00Z", "48 minutes ago"),
            ("2026-11-25T12:31:08Z", "3 hours ago"),
            ("2026-11-24T11:05:31Z", "29 hours ago"),
            ("2026-11-23T18:40:02Z", "2 days ago"),
            ("2026-12-07T09:00:00Z", "in 12 days"),
            ("2026-09-14T13:20:00Z", "2 months ago"),
            ("2028-03-01T00:00:00Z", "in 15 months"),
            ("2034-03-03T00:00:00Z", "in 7 years"),
        ] {
            assert_eq!(relative(at(moment), now), words, "{moment}");
        }
        assert_eq!(
            When::date_and_relative(at("2026-12-07T09:00:00Z"), now).to_string(),
            "<time datetime=\"2026-12-07T09:00:00Z\" title=\"7 December 2026, 09:00:00 UTC\">7 Dec 2026</time>, \
             <span class=\"soft nb\">in 12 days</span>"
        );
    }
}
