//! What was to be reached, and whether it was.

use std::fmt::Write as _;

use tests::Engine;

use super::Results;
use crate::{
    fault::Result,
    measurement::Measurement,
    subject::Kind,
    workload::{KEYS, Workload},
};

const OURS: Kind = Kind::Ours(Engine::Postgres);
const NOTARY: Kind = Kind::Notary(Engine::Postgres);
/// The memory that our server may use while it has no requests.
const IDLE: u64 = 40 * 1024 * 1024;
/// The part of its rate that a flat curve may lose.
const FLAT: f64 = 0.8;

/// One target: what, how it was measured, how much is needed and how much there is.
struct Target {
    what: &'static str,
    needed: String,
    found: String,
    reached: bool,
}

impl Target {
    fn at_least(what: &'static str, unit: &str, needed: f64, found: Option<f64>) -> Option<Self> {
        let found = found?;
        Some(Self {
            what,
            needed: format!("at least {needed:.2} {unit}"),
            found: format!("{found:.2} {unit}"),
            reached: found >= needed,
        })
    }

    fn at_most(what: &'static str, unit: &str, most: f64, found: Option<f64>) -> Option<Self> {
        let found = found?;
        Some(Self {
            what,
            needed: format!("at most {most:.2} {unit}"),
            found: format!("{found:.2} {unit}"),
            reached: found <= most,
        })
    }
}

fn rate(measurement: &Measurement) -> f64 {
    measurement.rate
}

/// The table of those for which there are figures.
pub fn table(results: &Results) -> Result<String> {
    let ratio = |one: (Workload, Kind), other: (Workload, Kind), of: fn(&Measurement) -> f64| {
        let [one, other] = [one, other].map(|(workload, kind)| results.of(workload, kind).map(of));
        one.zip(other).map(|(one, other)| one / other)
    };
    let by_notary = |workload| ratio((workload, OURS), (workload, NOTARY), rate);
    let greeting = Workload::Greeting;
    let connection = Workload::NewConnection;
    let server_cpu = |measurement: &Measurement| measurement.cpu[0].as_secs_f64();
    let idle = results.idle.iter().find(|idle| idle.kind == OURS);
    let mebibytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
    let [few_keys, many_keys] = [KEYS[0], KEYS[KEYS.len() - 1]].map(Workload::CreateKeyAmong);
    let targets = [
        Target::at_least(
            "`/v2/`, kept connections",
            "of the bare acceptor",
            0.6,
            ratio((greeting, OURS), (greeting, Kind::Floor), rate),
        ),
        Target::at_least(
            "current timestamp",
            "x Notary",
            16.0,
            by_notary(Workload::Timestamp),
        ),
        Target::at_least(
            "current timestamp",
            "of our `/v2/`",
            0.5,
            ratio((Workload::Timestamp, OURS), (greeting, OURS), rate),
        ),
        Target::at_least("current targets", "x Notary", 20.0, by_notary(Workload::Targets)),
        Target::at_least("by version", "x Notary", 20.0, by_notary(Workload::ByVersion)),
        Target::at_least("by checksum", "x Notary", 20.0, by_notary(Workload::ByChecksum)),
        Target::at_most(
            "new connection and a read, CPU of the server",
            "of the bare acceptor",
            1.25,
            ratio((connection, OURS), (connection, Kind::Floor), server_cpu),
        ),
        Target::at_least(
            "new connection and a read",
            "x Notary",
            1.4,
            by_notary(connection),
        ),
        Target::at_least(
            "publish, 10 tags",
            "x Notary",
            10.0,
            by_notary(Workload::Publish(10)),
        ),
        Target::at_least(
            "publish, 1,000 tags",
            "x Notary",
            10.0,
            by_notary(Workload::Publish(1000)),
        ),
        Target::at_least("Sign, 8 callers", "x Notary", 10.0, by_notary(Workload::Sign(8))),
        Target::at_least(
            "CreateKey, flat at 500,000 keys",
            "of its rate at 0 keys",
            FLAT,
            ratio((many_keys, OURS), (few_keys, OURS), rate),
        ),
        Target::at_most(
            "memory of the idle server",
            "MiB",
            mebibytes(IDLE),
            idle.map(|idle| mebibytes(idle.started[0])),
        ),
    ];
    let mut text = String::from(
        "## Targets\n\nOurs on PostgreSQL. Notary and the bare acceptor were measured in the same run, in turn.\n\n\
         | what | target | measured | |\n|---|---|---|---|\n",
    );
    for target in targets.into_iter().flatten() {
        let verdict = if target.reached {
            "reached"
        } else {
            "**not reached**"
        };
        writeln!(
            text,
            "| {} | {} | {} | {verdict} |",
            target.what, target.needed, target.found
        )?;
    }
    Ok(text)
}
