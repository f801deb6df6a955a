//! Patterns for names with slashes: `*` matches anything without a slash, `**` matches anything at all, `${principal}`
//! stands for the name of the principal that asks. Every other character stands for itself.

/// The reference to the principal that asks.
const PRINCIPAL: &str = "${principal}";

/// A pattern. It matches names as a whole, byte by byte.
#[derive(Debug, Clone)]
pub struct Glob {
    written: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    WithinSegment,
    AcrossSegments,
    Principal,
}

/// One step of a pattern after the principal's name has been filled in.
#[derive(Clone, Copy)]
enum Step {
    Byte(u8),
    AnyButSlash,
    Any,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = written;
        while !rest.is_empty() {
            let (part, after) = next(rest)?;
            parts.push(part);
            rest = after;
        }
        if parts.is_empty() {
            return Err("a pattern must not be empty".into());
        }
        Ok(Self {
            written: written.to_owned(),
            parts,
        })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it refers to the principal.
    pub fn names_principal(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Principal))
    }

    /// Whether it matches `name`. Stars in the principal's name are literal; without a principal, a pattern that
    /// refers to it matches nothing. Takes time in proportion to the product of both lengths.
    pub fn matches(&self, name: &str, principal: Option<&str>) -> bool {
        let Some(steps) = self.steps(principal) else {
            return false;
        };
        reached(&steps, name).last().copied().unwrap_or(false)
    }

    /// Everything in it that stands for itself.
    pub(super) fn literal(&self) -> String {
        let parts = self.parts.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            _ => None,
        });
        parts.collect()
    }

    /// What every name that it matches begins with.
    pub(super) fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// Whether it may match a name with this beginning, whoever asks.
    pub(super) fn may_begin_with(&self, beginning: &str) -> bool {
        let anybody = self.parts.iter().map(|part| match part {
            Part::Principal => Part::AcrossSegments,
            other => other.clone(),
        });
        let open = Self {
            written: String::new(),
            parts: anybody.collect(),
        };
        let steps = open.steps(None).unwrap_or_default();
        let places = reached(&steps, beginning);
        places.contains(&true)
    }

    fn steps(&self, principal: Option<&str>) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => steps.extend(text.bytes().map(Step::Byte)),
                Part::WithinSegment => steps.push(Step::AnyButSlash),
                Part::AcrossSegments => steps.push(Step::Any),
                Part::Principal => steps.extend(principal?.bytes().map(Step::Byte)),
            }
        }
        Some(steps)
    }
}

/// Which steps may come next after a text; the last place is the end.
fn reached(steps: &[Step], text: &str) -> Vec<bool> {
    let mut places = vec![false; steps.len() + 1];
    enter(steps, &mut places, 0);
    for byte in text.bytes() {
        let mut next = vec![false; steps.len() + 1];
        for (place, step) in steps.iter().enumerate() {
            if !places.get(place).copied().unwrap_or(false) {
                continue;
            }
            match step {
                Step::Byte(expected) if *expected == byte => enter(steps, &mut next, place + 1),
                Step::Any => enter(steps, &mut next, place),
                Step::AnyButSlash if byte != b'/' => enter(steps, &mut next, place),
                _ => {}
            }
        }
        places = next;
    }
    places
}

/// A star may also stand for nothing, so its place and the next are both entered.
fn enter(steps: &[Step], places: &mut [bool], mut place: usize) {
    loop {
        match places.get_mut(place) {
            Some(entered) if !*entered => *entered = true,
            _ => return,
        }
        match steps.get(place) {
            Some(Step::Any | Step::AnyButSlash) => place += 1,
            _ => return,
        }
    }
}

/// The first part of a pattern, and the rest of the text.
fn next(rest: &str) -> Result<(Part, &str), String> {
    if let Some(after) = rest.strip_prefix(PRINCIPAL) {
        return Ok((Part::Principal, after));
    }
    if rest.starts_with("${") {
        return Err("the only reference that a pattern may contain is ${principal}".into());
    }
    if rest.starts_with("***") {
        return Err("use * (stops at a slash) or ** (does not); three stars are not allowed".into());
    }
    if let Some(after) = rest.strip_prefix("**") {
        return Ok((Part::AcrossSegments, after));
    }
    if let Some(after) = rest.strip_prefix('*') {
        return Ok((Part::WithinSegment, after));
    }
    let stars = rest.find('*');
    let references = rest.find("${");
    let end = stars.into_iter().chain(references).min().unwrap_or(rest.len());
    let (text, after) = rest.split_at(end);
    Ok((Part::Literal(text.to_owned()), after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(name, Some("a*b"))
    }

    #[test]
    fn a_star_stops_at_a_slash_and_two_do_not() {
        assert!(matches("reg/*", "reg/app") && matches("reg/*", "reg/"));
        assert!(!matches("reg/*", "reg/a/b") && !matches("reg/*", "reg") && !matches("reg/*", "REG/app"));
        assert!(matches("reg/**", "reg/a/b") && matches("**", "") && matches("**/b", "x/y/b"));
        assert!(!matches("reg/**", "reg") && !matches("reg/**", "regx/a"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "axb") && matches("[a]?", "[a]?"));
    }

    #[test]
    fn the_name_of_who_asks_is_no_pattern() {
        assert!(matches("u/${principal}/**", "u/a*b/x") && !matches("u/${principal}/**", "u/axb/x"));
        assert!(!Glob::parse("u/${principal}").unwrap().matches("u/", None));
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for wrong in ["", "a/***", "${group}/x", "${principal", "a${"] {
            assert!(Glob::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// The same result by trying every possibility.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=name.len()).any(|end| naive(rest, &name[end..])),
            [b'*', rest @ ..] => {
                let end = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
                (0..=end).any(|end| naive(rest, &name[end..]))
            }
            [byte, rest @ ..] => name.first() == Some(byte) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_what_trying_everything_finds(pattern in "(a|/|b|\\*){1,8}", name in "[ab/]{0,8}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                prop_assert_eq!(glob.matches(&name, None), naive(pattern.as_bytes(), name.as_bytes()));
            }
        }
    }
}
