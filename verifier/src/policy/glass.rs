//! Breaking the glass: somebody who may do so runs an image without a check, for a short time.

use chrono::{DateTime, TimeDelta, Utc};
use regex::Regex;

use super::RequestContext;

/// Between the number of an incident and the end of the permission, in the annotation's value.
const UNTIL: &str = " until ";

/// Who may run images without a check. An annotation alone is never enough: it is what an object says about itself.
#[derive(Debug, Clone)]
pub(super) struct BreakGlass {
    pub(super) annotation: String,
    /// Matches the whole text before ` until `.
    pub(super) pattern: Regex,
    pub(super) users: Vec<String>,
    pub(super) groups: Vec<String>,
    /// How far away the end may be.
    pub(super) max: TimeDelta,
}

impl BreakGlass {
    /// The incident, if the request carries a valid permission: `INC-7 until 2026-11-29T12:00:00Z`, in the annotation, from
    /// one of the users.
    pub(super) fn incident<'a>(&self, request: &'a RequestContext) -> Option<&'a str> {
        let value = request.annotations.get(&self.annotation)?;
        let may = request
            .user
            .as_ref()
            .is_some_and(|user| self.users.contains(user))
            || request.user.is_some() && request.groups.iter().any(|group| self.groups.contains(group));
        let (incident, until) = value.rsplit_once(UNTIL)?;
        let until = DateTime::parse_from_rfc3339(until).ok()?.with_timezone(&Utc);
        let left = until - request.now;
        let in_time = left > TimeDelta::zero() && left <= self.max;
        (may && in_time && self.pattern.is_match(incident)).then_some(incident)
    }
}
