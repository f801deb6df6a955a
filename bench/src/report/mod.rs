//! What a run found out, as a page with tables and plots.

pub mod machine;
mod plots;
mod targets;

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use crate::{
    fault::Result,
    measurement::{Measurement, Whose},
    subject::{DatabaseServers, Kind},
    workload::Workload,
};

pub use plots::{Curve, Figure, curves};

/// The memory of one subject while it has no requests.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Who.
    pub kind: Kind,
    /// The memory of server and signer right after the start, in bytes.
    pub started: [u64; 2],
    /// The same after everything that was asked.
    pub ended: [u64; 2],
}

/// All figures of a run.
pub struct Results {
    /// The medians of each workload and subject, in the order in which they were measured.
    pub measured: Vec<(Workload, Measurement)>,
    /// The memory of each.
    pub idle: Vec<Idle>,
    /// How it was called, for those who want to do it again.
    pub command: String,
}

impl Results {
    /// The medians of one workload and subject.
    pub fn of(&self, workload: Workload, kind: Kind) -> Option<&Measurement> {
        let mut found = self.measured.iter();
        let found = found.find(|(of, measurement)| *of == workload && measurement.kind == kind);
        found.map(|(_, measurement)| measurement)
    }

    /// Writes `results.md` and the plots beside it.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, directory: &Path, servers: &DatabaseServers) -> Result<()> {
        fs::create_dir_all(directory)?;
        let mut page =
            String::from("# Results\n\nMade by the program itself; [README.md](README.md) says how.\n\n");
        page.push_str(&machine::described(servers, &self.command)?);
        page.push_str(&targets::table(self)?);
        let plots = plots::rates(directory, self)?;
        page.push_str("\n## Plots\n\n");
        for (title, file) in plots {
            writeln!(page, "![{title}]({file})")?;
        }
        page.push_str(&self.memory()?);
        page.push_str(&self.figures()?);
        fs::write(directory.join("results.md"), page)?;
        Ok(())
    }

    fn memory(&self) -> Result<String> {
        let mut text = String::from(
            "\n## Memory without requests, in MiB\n\n\
             | who | server, started | signer, started | server, after all | signer, after all |\n\
             |---|---|---|---|---|\n",
        );
        for idle in &self.idle {
            let [started, ended] = [idle.started, idle.ended].map(|both| both.map(mebibytes));
            writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                idle.kind, started[0], started[1], ended[0], ended[1]
            )?;
        }
        Ok(text)
    }

    fn figures(&self) -> Result<String> {
        let mut text = String::from(
            "\n## All figures\n\nLatencies in milliseconds, CPU times in microseconds per request, memory in MiB.\n",
        );
        let mut last = None;
        for (workload, measurement) in &self.measured {
            if last.replace(workload) != Some(workload) {
                writeln!(text, "\n### {workload}: {}\n", workload.explained())?;
                text.push_str(
                    "| who | requests/s | p50 | p95 | p99 | CPU server | signer | database | generator | statements | \
                     peak server | peak signer | failures |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
                );
            }
            let [p50, p95, p99] = measurement.percentiles.map(|latency| latency.as_secs_f64() * 1e3);
            write!(
                text,
                "| {} | {} | {p50:.2} | {p95:.2} | {p99:.2} |",
                measurement.kind,
                shown(measurement.rate)
            )?;
            for (_, used) in Whose::ALL.iter().zip(measurement.cpu) {
                write!(text, " {} |", microseconds(used))?;
            }
            let statements = measurement
                .statements
                .map_or("".into(), |count| format!("{count:.2}"));
            let [server, signer] = measurement.peak.map(mebibytes);
            writeln!(
                text,
                " {statements} | {server} | {signer} | {} |",
                measurement.failures
            )?;
        }
        Ok(text)
    }
}

/// Bytes in MiB; nothing for nothing.
pub fn mebibytes(bytes: u64) -> String {
    if bytes == 0 {
        return String::new();
    }
    format!("{:.1}", bytes as f64 / (1024.0 * 1024.0))
}

fn microseconds(time: Duration) -> String {
    if time.is_zero() {
        return String::new();
    }
    let time = time.as_secs_f64() * 1e6;
    if time < 100.0 {
        format!("{time:.1}")
    } else {
        format!("{time:.0}")
    }
}

/// A rate with three or more digits, and no more than it can be relied on.
fn shown(rate: f64) -> String {
    if rate < 100.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}
