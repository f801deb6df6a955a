//! One measurement: a load on a subject, and what it cost.

use std::{fmt, time::Duration};

use crate::{
    fault::Result,
    load::Load,
    processes,
    statements::Counter,
    subject::{DatabaseServers, Kind, Subject},
};

/// Whose CPU time or memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The trust server, or the bare acceptor.
    Server,
    /// The signer.
    Signer,
    /// All processes of the database server.
    Database,
    /// This program.
    Generator,
}

impl Whose {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 4] = [Self::Server, Self::Signer, Self::Database, Self::Generator];
}

impl fmt::Display for Whose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Server => "server",
            Self::Signer => "signer",
            Self::Database => "database",
            Self::Generator => "generator",
        })
    }
}

/// What came of a load on a subject.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// What was asked.
    pub workload: String,
    /// Who was asked.
    pub kind: Kind,
    /// Answered requests per second.
    pub rate: f64,
    /// Latencies: half of the requests, 95 of 100 and 99 of 100 took at most this long.
    pub percentiles: [Duration; 3],
    /// CPU time per request, in the order of [`Whose::ALL`].
    pub cpu: [Duration; 4],
    /// Statements to the database per request, where they can be counted.
    pub statements: Option<f64>,
    /// The most memory of server and signer meanwhile, in bytes.
    pub peak: [u64; 2],
    /// Requests that failed, or whose answer was wrong.
    pub failures: u64,
    /// The reason of the first.
    pub first_failure: Option<String>,
}

/// The processes of a subject, and what they have used so far.
pub struct Watch<'a> {
    servers: &'a DatabaseServers,
    subject: &'a Subject,
    processes: (u32, Option<u32>),
    counter: Option<Counter>,
    statements: Option<u64>,
}

impl<'a> Watch<'a> {
    /// Begins to watch. Statements are counted from now on.
    ///
    /// # Errors
    /// When the database does not tell.
    pub fn begin(subject: &'a Subject, servers: &'a DatabaseServers) -> Result<Self> {
        let processes = subject.processes();
        for process in [Some(processes.0), processes.1].into_iter().flatten() {
            processes::forget_peak(process);
        }
        let counter = Counter::of(subject);
        let mut watch = Self {
            servers,
            subject,
            processes,
            counter,
            statements: None,
        };
        watch.statements = watch.statements_now()?;
        Ok(watch)
    }

    fn statements_now(&self) -> Result<Option<u64>> {
        self.counter
            .as_ref()
            .map(|counter| counter.read(self.servers))
            .transpose()
    }

    /// CPU times so far, in the order of [`Whose::ALL`].
    pub fn cpu(&self) -> [Duration; 4] {
        let engine = self.subject.engine();
        let database = engine.and_then(|engine| self.servers.running(engine));
        let database = database.map(|server| server.processes()).unwrap_or_default();
        [
            processes::cpu(&[self.processes.0]),
            processes::cpu(self.processes.1.as_slice()),
            processes::cpu(&database),
            processes::cpu(&[std::process::id()]),
        ]
    }

    /// What a load came to, of which CPU times were taken when it began and when it ended.
    ///
    /// # Errors
    /// When the database does not tell.
    pub fn end(self, workload: &str, load: &Load, cpu: [[Duration; 4]; 2]) -> Result<Measurement> {
        let measured = u32::try_from(load.latencies.len())?.max(1);
        let statements = self.statements_now()?;
        let statements = statements
            .zip(self.statements)
            .map(|(after, before)| after - before);
        let [before, after] = cpu;
        let mut used = [Duration::ZERO; 4];
        for ((used, after), before) in used.iter_mut().zip(after).zip(before) {
            *used = after.saturating_sub(before) / measured;
        }
        let peak = |process: Option<u32>| process.map_or(0, processes::peak);
        Ok(Measurement {
            workload: workload.to_owned(),
            kind: self.subject.kind,
            rate: load.latencies.len() as f64 / load.elapsed.as_secs_f64(),
            percentiles: [50, 95, 99].map(|percent| percentile(&load.latencies, percent)),
            cpu: used,
            statements: statements.map(|count| count as f64 / load.all.max(1) as f64),
            peak: [peak(Some(self.processes.0)), peak(self.processes.1)],
            failures: load.failures,
            first_failure: load.first_failure.clone(),
        })
    }
}

/// The least latency that so many percent of the requests did not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Several rounds of the same as one: the medians of everything, the highest peak, all failures.
pub fn median(rounds: &[Measurement]) -> Option<Measurement> {
    let first = rounds.first()?;
    let mut all = first.clone();
    all.rate = middle(rounds.iter().map(|round| round.rate));
    let seconds = |of: &dyn Fn(&Measurement) -> Duration| {
        Duration::from_secs_f64(middle(rounds.iter().map(|round| of(round).as_secs_f64())))
    };
    for number in 0..all.percentiles.len() {
        all.percentiles[number] = seconds(&|round| round.percentiles[number]);
    }
    for number in 0..all.cpu.len() {
        all.cpu[number] = seconds(&|round| round.cpu[number]);
    }
    if all.statements.is_some() {
        all.statements = Some(middle(rounds.iter().filter_map(|round| round.statements)));
    }
    for number in 0..all.peak.len() {
        all.peak[number] = rounds
            .iter()
            .map(|round| round.peak[number])
            .max()
            .unwrap_or_default();
    }
    all.failures = rounds.iter().map(|round| round.failures).sum();
    all.first_failure = rounds.iter().find_map(|round| round.first_failure.clone());
    Some(all)
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let latencies: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&latencies, 50), Duration::from_millis(100));
        assert_eq!(percentile(&latencies, 99), Duration::from_millis(198));
        assert_eq!(percentile(&latencies[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(middle([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(middle([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}
