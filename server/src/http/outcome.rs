//! What a handler returns: the response and what was changed, for the later stages.

use actix_web::HttpResponse;

use crate::store::Committed;

/// The outcome of a request that was not refused.
pub struct Outcome {
    /// The response.
    pub response: HttpResponse,
    /// What was changed; `None` for a read.
    pub committed: Option<Committed>,
    /// The rule of the policy that decided, if the handler decided about more than the route does.
    pub rule: Option<String>,
    /// What the record says beside the decision.
    pub remark: Option<String>,
}

impl Outcome {
    /// A change, with its response.
    pub fn changed(response: HttpResponse, committed: Committed) -> Self {
        Self {
            response,
            committed: Some(committed),
            rule: None,
            remark: None,
        }
    }

    /// Sets what the record says beside the decision.
    #[must_use]
    pub fn remarked(mut self, remark: Option<String>) -> Self {
        self.remark = remark;
        self
    }

    /// Sets the rule of the policy that decided.
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
            remark: None,
        }
    }
}
