//! What a handler hands back: the answer, and what was changed, for the stages after it.

use actix_web::HttpResponse;

use crate::store::Committed;

/// The outcome of a request that was not refused.
pub struct Outcome {
    /// The answer.
    pub response: HttpResponse,
    /// What was changed; nothing for a read.
    pub committed: Option<Committed>,
    /// The rule of the policy that decided, if the handler decided about more than the route does.
    pub rule: Option<String>,
}

impl Outcome {
    /// A change, with its answer.
    pub fn changed(response: HttpResponse, committed: Committed) -> Self {
        Self {
            response,
            committed: Some(committed),
            rule: None,
        }
    }

    /// With the rule that decided.
    #[must_use]
    pub fn by_rule(mut self, rule: Option<&str>) -> Self {
        self.rule = rule.map(str::to_owned);
        self
    }
}

impl From<HttpResponse> for Outcome {
    fn from(response: HttpResponse) -> Self {
        Self {
            response,
            committed: None,
            rule: None,
        }
    }
}
