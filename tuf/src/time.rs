//! Times as Go reads, writes and prints them.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};

/// The meaning of a missing time: the first second of year 1, so the document has expired.
pub(crate) fn zero() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(1, 1, 1)
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map_or(DateTime::<Utc>::MIN_UTC, |time| time.and_utc())
}

/// Reads an RFC 3339 time, strictly: Go 1.19 and older also read an hour of one digit, a fraction after a comma, and
/// any two numbers as the offset; newer clients refuse the document.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = split(date, '-')?;
    let day = NaiveDate::from_ymd_opt(digits(year, 4)?.cast_signed(), digits(month, 2)?, digits(day, 2)?)?;

    let zone = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone)?;
    let (clock, nanos) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, nanoseconds(fraction)?),
        None => (clock, 0),
    };
    let [hour, minute, second] = split(clock, ':')?;
    let local = day.and_hms_nano_opt(digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?, nanos)?;
    local.checked_sub_signed(offset(zone)?).map(|time| time.and_utc())
}

/// Writes an expiry the way a Go program would write the same time.
pub(crate) fn write(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The time as it stands in messages: `Wed Jan 1 00:00:00 UTC 2020`.
pub(crate) fn print(time: DateTime<Utc>) -> String {
    time.format("%a %b %-d %H:%M:%S UTC %Y").to_string()
}

fn split(text: &str, separator: char) -> Option<[&str; 3]> {
    let mut parts = text.split(separator);
    let three = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(three)
}

fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// A fraction of a second; digits after the ninth are dropped.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nine = fraction.get(..9).unwrap_or(fraction);
    nine.parse::<u32>()
        .ok()
        .map(|n| n * 10_u32.pow(9 - nine.len() as u32))
}

fn offset(zone: &str) -> Option<TimeDelta> {
    let sign = match zone.get(..1)? {
        "Z" => return (zone.len() == 1).then(TimeDelta::zero),
        "+" => 1,
        _ => -1,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    TimeDelta::try_minutes(sign * i64::from(hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn offsets_and_fractions_are_read() {
        for (text, utc) in [
            ("2026-12-05T22:47:22.774936143Z", "2026-12-05T22:47:22.774936143Z"),
            ("2026-12-05T22:47:22.12Z", "2026-12-05T22:47:22.120Z"),
            ("2026-12-05T22:47:22.5-05:00", "2026-12-06T03:47:22.5Z"),
            (
                "2026-12-05T22:47:22.1234567899Z",
                "2026-12-05T22:47:22.123456789Z",
            ),
            ("2026-12-05T22:47:22+23:59", "2026-12-04T22:48:22Z"),
            ("2026-12-05T22:47:22-00:00", "2026-12-05T22:47:22Z"),
        ] {
            assert_eq!(parse(text), Some(at(utc)), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2026-12-05T22:47:22,5Z",
            "2026-12-05T2:47:22Z",
            "2026-12-05T22:47:22+25:00",
            "2026-12-05T22:47:22+24:00",
            "2026-12-05T22:47:22-05:60",
            "2026-12-05",
            "2026-12-05 22:47:22Z",
            "2026-12-05t22:47:22Z",
            "2026-12-05T22:47:22z",
            "2026-12-05T22:47:22",
            "2026-12-05T24:00:00Z",
            "2026-12-05T22:60:00Z",
            "2026-12-05T22:47:60Z",
            "2026-13-05T22:47:22Z",
            "2026-02-30T22:47:22Z",
            "12026-12-05T22:47:22Z",
            "2026-12-05T22:47:22.Z",
            "2026-12-05T22:47:22Zx",
            "2026-12-05T22:47Z",
            "2026-1-05T22:47:22Z",
            "2026-12-05T22:47:22+0100",
            "2026-12-05T22:47:22\u{e9}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let time = at("2026-12-05T22:47:22Z");
        assert_eq!(write(time), "2026-12-05T22:47:22Z");
        assert_eq!(parse(&write(time)), Some(time));
    }

    #[test]
    fn messages_show_the_day_without_padding() {
        assert_eq!(print(at("2020-01-01T00:00:00Z")), "Wed Jan 1 00:00:00 UTC 2020");
    }

    #[test]
    fn no_time_at_all_is_long_ago() {
        assert_eq!(Some(zero()), parse("0001-01-01T00:00:00Z"));
    }
}
