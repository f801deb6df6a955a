//! The rules of a policy.

use chrono::TimeDelta;

use super::requirement::Condition;
use crate::anchor::Anchor;
use crate::pattern::Pattern;
use crate::verdict::Mode;

/// For how long decisions go on while the server cannot be reached, where the policy does not say.
pub(super) const DEFAULT_STALENESS: TimeDelta = TimeDelta::hours(1);

/// What is done with the images that a pattern matches.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    pub(super) mode: Mode,
    pub(super) keep_tag: bool,
    pub(super) action: Action,
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    Allow,
    Deny,
    Check(Demands),
}

/// What a checked image needs.
#[derive(Debug, Clone)]
pub(super) struct Demands {
    pub(super) anchor: Anchor,
    /// Empty: `targets/releases`, or else `targets`, names it.
    pub(super) conditions: Vec<Condition>,
    /// For how long a digest may run after it was signed last; `None`: only while it is signed.
    pub(super) ever_signed: Option<TimeDelta>,
    /// `None`: [`DEFAULT_STALENESS`], and nothing that has expired.
    pub(super) max_staleness: Option<TimeDelta>,
}

/// Several patterns match equally well.
pub(super) struct Tie<'a>(pub(super) &'a Pattern, pub(super) &'a Pattern);

/// The most specific of the patterns that match a name.
pub(super) fn most_specific<'a, T>(
    items: &'a [T],
    pattern: impl Fn(&T) -> &Pattern,
    name: &str,
) -> Result<Option<&'a T>, Tie<'a>>
where
    T: 'a,
{
    let mut best: Option<&'a T> = None;
    let mut tied: Option<&'a T> = None;
    for item in items.iter().filter(|item| pattern(item).matches(name)) {
        match best.map(|best| pattern(item).specificity().cmp(&pattern(best).specificity())) {
            None | Some(std::cmp::Ordering::Greater) => (best, tied) = (Some(item), None),
            Some(std::cmp::Ordering::Equal) => tied = Some(item),
            Some(std::cmp::Ordering::Less) => {}
        }
    }
    match (best, tied) {
        (Some(best), Some(tied)) => Err(Tie(pattern_of(best, &pattern), pattern_of(tied, &pattern))),
        _ => Ok(best),
    }
}

fn pattern_of<'a, T>(item: &'a T, pattern: &impl Fn(&T) -> &Pattern) -> &'a Pattern {
    pattern(item)
}
