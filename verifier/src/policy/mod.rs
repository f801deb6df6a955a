//! The policy: which images need which signatures.

mod describe;
mod error;
mod glass;
mod judge;
mod node;
mod parse;
mod requirement;
mod rule;
mod signers;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tuf::{Checksum, DelegationName, Version};

pub use error::PolicyError;
pub use judge::Freshness;

use glass::BreakGlass;
use requirement::{Condition, SignerName};
use rule::{Action, DEFAULT_STALENESS, Demands, Rule, Tie, most_specific};
use signers::Signers;

use crate::anchor::Anchor;
use crate::pattern::{Pattern, wildcard};
use crate::reason::{Denial, Reason};
use crate::reference::{ImageReference, matched_name};
use crate::server::ServerRule;
use crate::trust_roots::{TrustRoots, VouchedRoot};
use crate::verdict::{Mode, Verdict};

/// A policy file after it was read and checked.
#[derive(Debug, Clone)]
pub struct Policy {
    defaults: Defaults,
    servers: Vec<ServerRule>,
    /// Those of every anchor, whether a rule uses it or not.
    trust_roots: Vec<TrustRoots>,
    signers: Signers,
    rules: Vec<Rule>,
    exempt: Vec<String>,
    audit: Vec<String>,
    break_glass: Option<BreakGlass>,
    /// Whether signers were demanded beside the file, so that nothing is allowed without a check.
    demanded: bool,
}

#[derive(Debug, Clone, Copy)]
struct Defaults {
    /// Whether an image runs that no rule matches.
    allow: bool,
    mode: Mode,
    keep_tag: bool,
    ever_signed: Option<TimeDelta>,
    max_staleness: Option<TimeDelta>,
}

/// Who asks, from where, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// The Kubernetes namespace.
    pub namespace: Option<String>,
    /// The authenticated user, never what an object says about itself.
    pub user: Option<String>,
    /// The authenticated user's groups.
    pub groups: Vec<String>,
    /// Annotations of the object or the review.
    pub annotations: BTreeMap<String, String>,
    /// The moment of the decision.
    pub now: DateTime<Utc>,
}

/// What a policy says about an image.
#[derive(Debug)]
pub enum Plan<'a> {
    /// The decision needs no trust data.
    Decided(Box<Verdict>),
    /// The decision needs the repository.
    Check(Check<'a>),
}

/// The part of a policy that judges an image, once there is a repository.
#[derive(Debug, Clone)]
pub struct Check<'a> {
    signers: &'a Signers,
    rule: &'a Rule,
    demands: &'a Demands,
    mode: Mode,
    /// Whether nothing counts but what is signed now, by documents that have not expired.
    current_only: bool,
    /// What takes the place of the rule's anchor, where that leaves it to an operator.
    vouched: Option<Box<Anchor>>,
}

impl Policy {
    /// A policy for one command without a file: every image is checked from this anchor.
    pub fn ad_hoc(anchor: Anchor) -> Self {
        let defaults = Defaults::default();
        let trust_roots = match &anchor {
            Anchor::TrustRoots(roots) => vec![TrustRoots::clone(roots)],
            _ => Vec::new(),
        };
        Self {
            defaults,
            servers: Vec::new(),
            trust_roots,
            signers: Signers::new(),
            rules: vec![Rule {
                pattern: Pattern::everything(),
                mode: defaults.mode,
                keep_tag: defaults.keep_tag,
                action: Action::Check(Demands {
                    anchor,
                    conditions: Vec::new(),
                    ever_signed: None,
                    max_staleness: None,
                }),
            }],
            exempt: Vec::new(),
            audit: Vec::new(),
            break_glass: None,
            demanded: false,
        }
    }

    /// The same policy, demanding all of these signers too: names of the policy, or, where it defines none, names of
    /// delegations (`alice` for `targets/alice`; whoever the owner gave that role). Nothing is allowed without a check then.
    ///
    /// # Errors
    /// For names that the policy does not define, or that are no delegations.
    pub fn with_signers(mut self, names: &[&str]) -> Result<Self, PolicyError> {
        const PATH: &str = "--signer";
        let mut of = Vec::new();
        for &name in names {
            let name = if self.signers.is_empty() {
                let role = format!("targets/{name}");
                let role = DelegationName::parse(&role).map_err(|_| {
                    PolicyError::at(
                        PATH,
                        format!("{name:?} is not the name of a delegation below targets"),
                    )
                })?;
                SignerName::Role(role.to_string())
            } else if self.signers.contains_key(name) {
                SignerName::Defined(name.to_owned())
            } else {
                let defined = self.signers.keys().map(String::as_str);
                return Err(PolicyError::undefined(PATH, "signer", name, defined));
            };
            if !of.contains(&name) {
                of.push(name);
            }
        }
        if of.is_empty() {
            return Err(PolicyError::at(PATH, "no signer is named"));
        }
        for rule in &mut self.rules {
            if let Action::Check(demands) = &mut rule.action {
                let at_least = of.len();
                demands.conditions.push(Condition::Signers {
                    at_least,
                    of: of.clone(),
                });
            }
        }
        self.demanded = true;
        Ok(self)
    }

    /// The rules by which servers are chosen, as written.
    pub fn servers(&self) -> &[ServerRule] {
        &self.servers
    }

    /// The server of an image's trust data; `None` if the policy names none, or two equally well.
    pub fn server_for(&self, image: &ImageReference) -> Option<&ServerRule> {
        most_specific(&self.servers, |server| &server.pattern, image.matched_name())
            .ok()
            .flatten()
    }

    /// The server that the policy names for a repository of trust roots; `None` if it names none, or two equally well.
    pub fn server_of<'a>(&'a self, roots: &'a TrustRoots) -> Option<&'a ServerRule> {
        let name = matched_name(&roots.repository);
        let by_name = || most_specific(&self.servers, |server| &server.pattern, &name);
        roots.server.as_ref().or_else(|| by_name().ok().flatten())
    }

    /// The repositories of trust roots that its anchors name.
    pub fn trust_roots(&self) -> &[TrustRoots] {
        &self.trust_roots
    }

    /// What the policy says about an image.
    pub fn plan<'a>(&'a self, image: &ImageReference, request: &RequestContext) -> Plan<'a> {
        let namespace = request.namespace.as_deref();
        let is_in = |patterns: &[String]| {
            namespace.is_some_and(|namespace| patterns.iter().any(|pattern| wildcard(pattern, namespace)))
        };
        let mode = |mode| if is_in(&self.audit) { Mode::Audit } else { mode };
        if is_in(&self.exempt) {
            let sentence = format!(
                "the namespace {} is exempt from checks",
                namespace.unwrap_or_default()
            );
            return self.unchecked(
                image,
                mode(self.defaults.mode),
                None,
                Reason::ExemptNamespace,
                sentence,
            );
        }
        if let Some(incident) = self
            .break_glass
            .as_ref()
            .and_then(|glass| glass.incident(request))
        {
            let user = request.user.as_deref().unwrap_or_default();
            let sentence = format!("{user} runs it without a check because of {incident}");
            return self.unchecked(
                image,
                mode(self.defaults.mode),
                None,
                Reason::BreakGlass,
                sentence,
            );
        }
        let matching = most_specific(&self.rules, |rule| &rule.pattern, image.matched_name());
        let rule = match matching {
            Ok(Some(rule)) => rule,
            Ok(None) if self.defaults.allow => {
                let sentence = "no rule matches, and the policy allows what no rule matches".to_owned();
                return self.unchecked(
                    image,
                    mode(self.defaults.mode),
                    None,
                    Reason::AllowedByRule,
                    sentence,
                );
            }
            Ok(None) => {
                let sentence = format!("no rule of the policy matches {}; add one", image.name());
                return denied(image, mode(self.defaults.mode), None, Reason::NoRule, sentence);
            }
            Err(Tie(one, other)) => {
                let sentence = format!(
                    "the rules {one} and {other} match {} equally well; make one of them more specific",
                    image.name()
                );
                return denied(
                    image,
                    mode(self.defaults.mode),
                    None,
                    Reason::AmbiguousRules,
                    sentence,
                );
            }
        };
        let mode = mode(rule.mode);
        match &rule.action {
            Action::Allow => {
                let sentence = format!("the rule {} lets it run without a check", rule.pattern);
                self.unchecked(image, mode, Some(rule), Reason::AllowedByRule, sentence)
            }
            Action::Deny => {
                let sentence = format!("the rule {} lets nothing run", rule.pattern);
                denied(image, mode, Some(rule), Reason::DeniedByRule, sentence)
            }
            Action::Check(demands) => Plan::Check(Check {
                signers: &self.signers,
                rule,
                demands,
                mode,
                current_only: false,
                vouched: None,
            }),
        }
    }

    fn unchecked(
        &self,
        image: &ImageReference,
        mode: Mode,
        rule: Option<&Rule>,
        reason: Reason,
        sentence: String,
    ) -> Plan<'_> {
        if self.demanded {
            let sentence = format!("signers are demanded, but {sentence}; write a rule that checks it");
            return denied(image, mode, rule, Reason::SignerMissing, sentence);
        }
        Plan::Decided(Box::new(Verdict {
            image: image.to_string(),
            allow: true,
            mode,
            rule: rule.map(|rule| rule.pattern.to_string()),
            digest: None,
            pinned: None,
            reason: Some(reason),
            sentence,
            evidence: None,
        }))
    }
}

fn denied<'a>(
    image: &ImageReference,
    mode: Mode,
    rule: Option<&Rule>,
    reason: Reason,
    sentence: String,
) -> Plan<'a> {
    Plan::Decided(Box::new(Verdict {
        mode,
        rule: rule.map(|rule| rule.pattern.to_string()),
        ..Verdict::denied(image.to_string(), &Denial::new(reason, sentence))
    }))
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            allow: false,
            mode: Mode::Enforce,
            keep_tag: true,
            ever_signed: None,
            max_staleness: None,
        }
    }
}

impl Check<'_> {
    /// The same without what a rule lets run although nobody signs it now: what was signed once, and what has expired since
    /// the server was last reached.
    #[must_use]
    pub fn of_what_is_signed_now(self) -> Self {
        Self {
            current_only: true,
            ..self
        }
    }

    /// Where trust begins.
    pub fn anchor(&self) -> &Anchor {
        self.vouched.as_deref().unwrap_or(&self.demands.anchor)
    }

    /// The same check, where an operator says where trust begins: with this root, which the operator's repository, verified
    /// from the policy's [`TrustRoots`], has for the image's repository. `None` if the policy says itself where trust begins.
    pub fn vouched(&self, version: Version, sha256: Checksum) -> Option<Self> {
        let Anchor::TrustRoots(roots) = &self.demands.anchor else {
            return None;
        };
        let root = VouchedRoot {
            repository: roots.repository.clone(),
            version,
            sha256,
        };
        Some(Self {
            vouched: Some(Box::new(Anchor::Vouched(root))),
            ..self.clone()
        })
    }

    /// For how long decisions go on after the server last confirmed the documents.
    pub fn max_staleness(&self) -> TimeDelta {
        self.demands.max_staleness.unwrap_or(DEFAULT_STALENESS)
    }

    /// The pattern of the rule.
    pub fn rule(&self) -> &str {
        self.rule.pattern.as_str()
    }

    /// Whether a denial counts.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}
