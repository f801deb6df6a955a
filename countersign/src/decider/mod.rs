//! Decides about images: the policy, the trust data it needs, and the record of each decision. Commands and gates ask
//! here, and nobody else decides.

mod audit;
mod carried;
mod generation;
mod metrics;
mod trust_roots;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use client::{Bundles, Current, Demand, Repositories, Server};
use futures_util::future::join_all;
use thiserror::Error;
use verifier::{Anchor, Check, Denial, Freshness, ImageReference, Plan, Reason, RequestContext, Verdict};

pub use self::{
    audit::{Audit, Sink},
    generation::{Generation, PolicySource, TrustSettings},
    metrics::Metrics,
    trust_roots::Operators,
};
use carried::Carried;

/// Who asks, and what is to be recorded beside the verdict.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The way in which it is asked, such as `admission-mutate`.
    pub skin: &'static str,
    /// What the image is for, in words.
    pub object: Option<String>,
    /// Whether nothing will come of it.
    pub dry_run: bool,
    /// What the policy looks at beside the image.
    pub context: RequestContext,
}

impl Asked {
    /// A question about which nothing else is known.
    pub fn by(skin: &'static str) -> Self {
        Self {
            skin,
            ..Self::default()
        }
    }
}

/// The policy or what it needs cannot be used.
#[derive(Debug, Error)]
pub enum DeciderError {
    /// The policy file cannot be read, or says something that is not understood.
    #[error("{}: {reason}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A required signer is not one of the policy's, or no anchor was given.
    #[error("{0}")]
    Demand(String),
    /// An operator's repository of trust roots cannot be used as it is named.
    #[error("the trust roots of {repository}: {reason}")]
    TrustRoots {
        /// The repository.
        repository: String,
        /// What is wrong.
        reason: String,
    },
    /// A trust server cannot be asked with what was configured.
    #[error("the trust server for {pattern}: {reason}")]
    Server {
        /// The images.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
}

/// Decides about images.
pub struct Decider {
    source: PolicySource,
    trust: TrustSettings,
    generation: ArcSwap<Generation>,
    repositories: Repositories,
    operators: Operators,
    carried: Option<Carried>,
    current_only: bool,
    audit: Option<Audit>,
    metrics: Option<Metrics>,
}

impl Decider {
    /// Loads the policy. Nothing is asked yet.
    ///
    /// # Errors
    /// When it, or a file that it names, cannot be used.
    pub fn load(
        source: PolicySource,
        trust: TrustSettings,
        repositories: Repositories,
    ) -> Result<Self, DeciderError> {
        let generation = Generation::load(&source, &trust)?;
        Ok(Self {
            source,
            trust,
            generation: ArcSwap::from_pointee(generation),
            operators: Operators::new(&repositories),
            repositories,
            carried: None,
            current_only: false,
            audit: None,
            metrics: None,
        })
    }

    /// Asks no server from now on: trust data is that of the bundles.
    #[must_use]
    pub fn deciding_by(mut self, bundles: Bundles) -> Self {
        self.carried = Some(Carried::new(bundles));
        self
    }

    /// Allows nothing from now on by what was signed once, or has expired since the server was last reached, whatever the
    /// policy says: for those who tell others that an image is signed.
    #[must_use]
    pub fn by_what_is_signed_now(mut self) -> Self {
        self.current_only = true;
        self
    }

    /// Records each decision.
    #[must_use]
    pub fn recording(mut self, audit: Audit, metrics: Metrics) -> Self {
        self.audit = Some(audit);
        self.metrics = Some(metrics);
        self
    }

    /// Loads the policy again. If that fails, everything stays as it was.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn reload(&self) -> Result<(), DeciderError> {
        let fresh = Generation::load(&self.source, &self.trust)?;
        self.generation.store(Arc::new(fresh));
        Ok(())
    }

    /// Opens the audit file anew, after it was moved away. If that fails, the old one is written to.
    pub fn reopen_audit(&self) {
        if let Some(Err(reason)) = self.audit.as_ref().map(Audit::reopen) {
            tracing::error!(reason = %platform::reason::of_io(&reason), "the audit file cannot be opened anew");
        }
    }

    /// Counts a reload that was refused.
    pub fn reload_failed(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.reload_failed();
        }
    }

    /// The policy file; the working directory's own name where there is none.
    pub fn policy_file(&self) -> PathBuf {
        self.source.file().unwrap_or_default()
    }

    /// The files that the policy names.
    pub fn files(&self) -> Vec<PathBuf> {
        self.generation.load().files().to_vec()
    }

    /// The figures about decisions, in Prometheus' text format.
    pub fn metrics(&self) -> String {
        self.metrics.as_ref().map(Metrics::render).unwrap_or_default()
    }

    /// Records that something was refused without a verdict about an image.
    pub fn record_refusal(&self, skin: &str, user: Option<&str>, object: Option<&str>, reason: &str) {
        if let Some(audit) = &self.audit {
            audit.refusal(skin, user, object, reason);
        }
        if let Some(metrics) = &self.metrics {
            metrics.refusal(skin);
        }
    }

    /// Records that something was allowed of which the operator said that it needs no signature.
    pub fn record_exemption(&self, skin: &str, user: Option<&str>, object: &str, what: &str) {
        if let Some(audit) = &self.audit {
            audit.exemption(skin, user, object, what);
        }
        if let Some(metrics) = &self.metrics {
            metrics.exemption(skin, what);
        }
    }

    /// Decides about several images together, each within the deadline. There are as many verdicts as images, in the
    /// same order.
    pub async fn decide_all(&self, images: &[&str], asked: &Asked, deadline: Duration) -> Vec<Verdict> {
        let mut once: BTreeMap<&str, Option<Verdict>> = images.iter().map(|image| (*image, None)).collect();
        let names: Vec<&str> = once.keys().copied().collect();
        let verdicts = join_all(
            names
                .iter()
                .map(|image| self.decide_within(image, asked, deadline)),
        )
        .await;
        for (slot, verdict) in once.values_mut().zip(verdicts) {
            *slot = Some(verdict);
        }
        let verdict = |image: &&str| once.get(image).cloned().flatten();
        images.iter().filter_map(verdict).collect()
    }

    /// Decides about an image, without a deadline beyond that of each request to a trust server.
    pub async fn decide(&self, image: &str, asked: &Asked) -> Verdict {
        self.decide_within(image, asked, self.trust.deadline).await
    }

    async fn decide_within(&self, image: &str, asked: &Asked, deadline: Duration) -> Verdict {
        let begun = Instant::now();
        let generation = self.generation.load_full();
        let verdict = self.judge(&generation, image, asked, deadline).await;
        let took = begun.elapsed();
        if let Some(metrics) = &self.metrics {
            metrics.decision(asked.skin, &verdict, took);
        }
        if let Some(audit) = &self.audit {
            audit.verdict(asked, &verdict, took);
        }
        verdict
    }

    async fn judge(
        &self,
        generation: &Generation,
        image: &str,
        asked: &Asked,
        deadline: Duration,
    ) -> Verdict {
        let reference = match ImageReference::parse(image) {
            Ok(reference) => reference,
            Err(reason) => {
                let denial = Denial::new(Reason::InvalidReference, reason.to_string());
                return Verdict::denied(image, &denial);
            }
        };
        let context = RequestContext {
            now: Utc::now(),
            ..asked.context.clone()
        };
        match generation.policy().plan(&reference, &context) {
            Plan::Decided(verdict) => *verdict,
            Plan::Check(check) => {
                let check = if self.current_only {
                    check.of_what_is_signed_now()
                } else {
                    check
                };
                self.check(generation, &check, &reference, deadline).await
            }
        }
    }

    async fn check(
        &self,
        generation: &Generation,
        check: &Check<'_>,
        reference: &ImageReference,
        deadline: Duration,
    ) -> Verdict {
        if let Some(carried) = &self.carried {
            return self.check_carried(generation, carried, check, reference).await;
        }
        let never = Freshness {
            age: TimeDelta::MAX,
            reachable: false,
        };
        let server = match generation.server(reference) {
            Ok(server) => server,
            Err(denial) => return check.judge(reference, Err(&denial), never, Utc::now()),
        };
        let max_age = check.max_staleness().min(self.trust.max_age);
        let asked = Utc::now();
        let demand = Demand::within(max_age, deadline);
        let (verdict, confirmed) = self.asking(generation, check, reference, &server, demand).await;
        let is_old = confirmed.is_some_and(|confirmed| confirmed < asked);
        if verdict.allow || !is_old || max_age.is_zero() {
            return verdict;
        }
        // What was just published must not be refused because it is not known here yet.
        let left = deadline.saturating_sub((Utc::now() - asked).to_std().unwrap_or_default());
        let (verdict, _) = self
            .asking(generation, check, reference, &server, Demand::now(left))
            .await;
        verdict
    }

    /// Decides by what servers say, and when they last did, all that the decision rests on.
    async fn asking(
        &self,
        generation: &Generation,
        check: &Check<'_>,
        reference: &ImageReference,
        server: &Arc<Server>,
        demand: Demand,
    ) -> (Verdict, Option<DateTime<Utc>>) {
        let gun = reference.gun();
        let anchored = self.operators.anchored(generation, check, gun, demand).await;
        let (check, vouched_at) = match anchored {
            Ok(anchored) => anchored,
            Err((denial, asked_at)) => {
                let never = Freshness {
                    age: TimeDelta::MAX,
                    reachable: false,
                };
                return (check.judge(reference, Err(&denial), never, Utc::now()), asked_at);
            }
        };
        let current = self
            .repositories
            .current(server, gun, check.anchor(), demand)
            .await;
        let verdict = self.judged(&check, reference, &current);
        if current.repository.is_ok() {
            generation.follow(&self.repositories, server, gun, check.anchor());
        }
        let confirmed = match vouched_at {
            Some(vouched_at) => current.contact.last.map(|last| last.min(vouched_at)),
            None => current.contact.last,
        };
        (verdict, confirmed)
    }

    async fn check_carried(
        &self,
        generation: &Generation,
        carried: &Carried,
        check: &Check<'_>,
        reference: &ImageReference,
    ) -> Verdict {
        let repository = match (generation.address(reference), check.anchor()) {
            (_, Anchor::TrustRoots(roots)) => {
                let sentence = format!(
                    "where trust in it begins, the policy leaves to {}, which no bundle holds, and no server is asked; pin \
                     root_keys in the policy that is used here",
                    roots.repository
                );
                Err(Denial::new(Reason::NotInBundle, sentence))
            }
            (Ok(address), anchor) => {
                carried
                    .repository(&self.repositories, &address, reference.gun(), anchor)
                    .await
            }
            (Err(denial), _) => Err(denial),
        };
        // Nothing that could be believed says when the documents were taken. What bounds their age is that they expire, the
        // timestamp first.
        let freshness = Freshness::just_read();
        check.judge(reference, repository.as_deref(), freshness, Utc::now())
    }

    /// The server of an image's trust data.
    ///
    /// # Errors
    /// When what was configured for it cannot be used.
    pub fn server(&self, image: &ImageReference) -> Result<Arc<Server>, Denial> {
        self.generation.load().server(image)
    }

    /// The documents on which the verdicts about these images rest, of each repository.
    pub fn documents(&self, images: &[&str], asked: &Asked) -> Bundles {
        let generation = self.generation.load_full();
        let context = RequestContext {
            now: Utc::now(),
            ..asked.context.clone()
        };
        let mut bundles = Bundles::default();
        for image in images {
            let Ok(reference) = ImageReference::parse(image) else {
                continue;
            };
            let Plan::Check(check) = generation.policy().plan(&reference, &context) else {
                continue;
            };
            let Ok(server) = generation.server(&reference) else {
                continue;
            };
            let gun = reference.gun();
            if let Some(documents) = self.repositories.verified_documents(&server, gun, check.anchor()) {
                bundles.insert(gun.clone(), documents);
            }
        }
        bundles
    }

    /// The documents on which the verdict about an image rests that was just allowed, also where an operator says where
    /// trust begins.
    pub async fn documents_of(
        &self,
        reference: &ImageReference,
        asked: &Asked,
    ) -> Option<verifier::Documents> {
        let generation = self.generation.load_full();
        let context = RequestContext {
            now: Utc::now(),
            ..asked.context.clone()
        };
        let Plan::Check(check) = generation.policy().plan(reference, &context) else {
            return None;
        };
        let server = generation.server(reference).ok()?;
        let gun = reference.gun();
        let demand = Demand::within(TimeDelta::hours(1), Duration::from_secs(10));
        let anchored = self.operators.anchored(&generation, &check, gun, demand).await;
        let (check, _) = anchored.ok()?;
        self.repositories.verified_documents(&server, gun, check.anchor())
    }

    fn judged(&self, check: &Check<'_>, reference: &ImageReference, current: &Current) -> Verdict {
        let now = Utc::now();
        let freshness = current.contact.freshness(now);
        if let Some(metrics) = &self.metrics {
            if current.contact.failure.is_some() {
                metrics.read_failed();
            }
            if current.repository.is_ok() {
                metrics.age(reference.name(), freshness.age.to_std().unwrap_or_default());
            }
        }
        let repository = current.repository.as_ref().map(|repository| &**repository);
        check.judge(reference, repository, freshness, now)
    }
}
