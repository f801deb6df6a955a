//! Starts everything, and measures round by round: A B A B, so that whatever slows the machine down for a time slows all
//! of them.

use crate::{
    fault::Result,
    measurement::{Measurement, Whose, median},
    options::Run,
    report::{Idle, Results, mebibytes},
    subject::{DatabaseServers, Subject},
    workload::{Prepared, Workload},
};

/// Measures what the options say; false if any answer was wrong.
///
/// # Errors
/// When something cannot be started, or cannot be measured at all.
pub fn run(options: &Run) -> Result<bool> {
    let setup = options.setup()?;
    // Subjects are declared after the database servers, so that they end first.
    let mut servers = DatabaseServers::default();
    let mut subjects = Vec::new();
    for kind in options.kinds() {
        let subject = Subject::start(kind, &setup, &mut servers)?;
        let (server, signer) = subject.processes();
        let [memory, of_signer] = subject.started().map(mebibytes);
        let signer = signer.map_or(String::new(), |signer| {
            format!(", signer {signer} ({of_signer} MiB)")
        });
        platform::say!("{kind}: process {server} ({memory} MiB){signer}");
        subjects.push(subject);
    }
    let mut measured = Vec::new();
    for workload in options.workloads() {
        for rounds in measure(workload, &subjects, &servers, options)? {
            if let Some(measurement) = median(&rounds) {
                tell(&measurement);
                measured.push((workload, measurement));
            }
        }
    }
    let idle = subjects.iter().map(|subject| Idle {
        kind: subject.kind,
        started: subject.started(),
        ended: subject.memory(),
    });
    let results = Results {
        measured,
        idle: idle.collect(),
        command: std::env::args()
            .skip(1)
            .fold("countersign-bench".to_owned(), |command, argument| {
                format!("{command} {argument}")
            }),
    };
    if let Some(directory) = &options.out {
        results.write(directory, &servers)?;
    }
    Ok(results
        .measured
        .iter()
        .all(|(_, measurement)| measurement.failures == 0))
}

/// The rounds of each subject.
fn measure(
    workload: Workload,
    subjects: &[Subject],
    servers: &DatabaseServers,
    options: &Run,
) -> Result<Vec<Vec<Measurement>>> {
    let concerned = subjects.iter().filter(|subject| workload.is_for(subject.kind));
    let prepared = concerned
        .map(|subject| Ok((subject, workload.prepare(subject)?)))
        .collect::<Result<Vec<(&Subject, Prepared)>>>()?;
    let mut measured = vec![Vec::new(); prepared.len()];
    for _ in 0..options.rounds() {
        for ((subject, prepared), measured) in prepared.iter().zip(&mut measured) {
            measured.push(prepared.run(subject, servers, options.amount())?);
        }
    }
    Ok(measured)
}

fn tell(measurement: &Measurement) {
    let [p50, p95, p99] = measurement.percentiles.map(|latency| latency.as_secs_f64() * 1e3);
    let cpu: Vec<String> = Whose::ALL
        .iter()
        .zip(measurement.cpu)
        .filter(|(_, used)| !used.is_zero())
        .map(|(whose, used)| format!("{whose} {:.1}", used.as_secs_f64() * 1e6))
        .collect();
    let statements = measurement
        .statements
        .map_or(String::new(), |count| format!(", {count:.2} statements"));
    platform::say!(
        "{:<16} {:<20} {:>9.1}/s  p50 {p50:.3} p95 {p95:.3} p99 {p99:.3} ms  CPU µs/request: {}{statements}, peak {} MiB",
        measurement.workload,
        measurement.kind.to_string(),
        measurement.rate,
        cpu.join(", "),
        mebibytes(measurement.peak[0]),
    );
    if let Some(reason) = &measurement.first_failure {
        platform::complain!("    {} failures, the first: {reason}", measurement.failures);
    }
}
