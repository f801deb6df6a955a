//! Figures about decisions, in Prometheus' text format.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use verifier::{Mode, Verdict};

const DECISIONS: &str = "countersign_gate_decisions_total";
const SECONDS: &str = "countersign_gate_decision_seconds";
const REFUSALS: &str = "countersign_gate_refusals_total";
const EXEMPTIONS: &str = "countersign_gate_exemptions_total";
const BREAK_GLASS: &str = "countersign_gate_break_glass_total";
const AGE: &str = "countersign_gate_metadata_age_seconds";
const FAILURES: &str = "countersign_gate_refresh_failures_total";
const POLICY_FAILURES: &str = "countersign_gate_reload_failures_total";

/// The figures of this process.
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Begins to count. Only once in a process.
    ///
    /// # Errors
    /// When the process counts already.
    pub fn install() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(
                metrics_exporter_prometheus::Matcher::Full(SECONDS.to_owned()),
                &[
                    0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0,
                ],
            )?
            .install_recorder()?;
        describe_counter!(DECISIONS, "Decisions, by verdict, reason, rule, mode and skin.");
        describe_histogram!(SECONDS, "How long decisions took.");
        describe_counter!(
            REFUSALS,
            "Requests that were refused without a decision about an image."
        );
        describe_counter!(
            EXEMPTIONS,
            "Requests that were allowed without a decision about an image, because --allow names their kind."
        );
        describe_counter!(BREAK_GLASS, "Images that run because somebody broke the glass.");
        describe_gauge!(
            AGE,
            "How long ago a trust server last confirmed what is known of a repository."
        );
        describe_counter!(FAILURES, "Decisions whose trust server could not be asked.");
        describe_counter!(POLICY_FAILURES, "Changed files that could not be loaded.");
        Ok(Self { handle })
    }

    /// The text.
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// Counts a decision.
    pub fn decision(&self, skin: &'static str, verdict: &Verdict, took: Duration) {
        let reason = verdict.reason.map_or("signed", |reason| reason.code());
        counter!(
            DECISIONS,
            "verdict" => if verdict.allow { "allow" } else { "deny" },
            "reason" => reason,
            "rule" => verdict.rule.clone().unwrap_or_default(),
            "mode" => match verdict.mode { Mode::Enforce => "enforce", Mode::Audit => "audit" },
            "skin" => skin,
        )
        .increment(1);
        histogram!(SECONDS).record(took.as_secs_f64());
        if verdict.reason == Some(verifier::Reason::BreakGlass) {
            counter!(BREAK_GLASS).increment(1);
        }
    }

    /// Counts a refusal.
    pub fn refusal(&self, skin: &str) {
        counter!(REFUSALS, "skin" => skin.to_owned()).increment(1);
    }

    /// Counts what was allowed without a decision.
    pub fn exemption(&self, skin: &str, what: &str) {
        counter!(EXEMPTIONS, "skin" => skin.to_owned(), "what" => what.to_owned()).increment(1);
    }

    /// Notes how old what is known of a repository is.
    pub fn age(&self, gun: &str, age: Duration) {
        gauge!(AGE, "gun" => gun.to_owned()).set(age.as_secs_f64());
    }

    /// Counts a failed attempt to read trust data.
    pub fn read_failed(&self) {
        counter!(FAILURES).increment(1);
    }

    /// Counts a reload that was refused.
    pub fn reload_failed(&self) {
        counter!(POLICY_FAILURES).increment(1);
    }
}
