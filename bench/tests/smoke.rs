//! The benchmark runs, and tells of every workload that it was asked for.

use std::{fs, process::Command};

use tempfile::TempDir;
use tests::{Finished, process::built_programs};

#[test]
fn a_short_run_measures_what_it_was_asked_for_and_finds_every_answer_right() {
    const ASKED: [&str; 6] = [
        "v2",
        "timestamp",
        "new-connection",
        "publish-10",
        "mixed",
        "sign-8",
    ];
    let directory = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-bench"));
    command.args([
        "--engine",
        "sqlite",
        "--skip-peer",
        "--seconds",
        "0.2",
        "--rounds",
        "1",
    ]);
    command.arg("--only").arg(ASKED.join(","));
    command.arg("--programs").arg(built_programs());
    command.arg("--out").arg(directory.path());
    Finished::run(&mut command, "").ok().does_not_say("failures");
    let page = fs::read_to_string(directory.path().join("results.md")).unwrap();
    for workload in ASKED {
        let (_, figures) = page.split_once(&format!("### {workload}: ")).unwrap();
        let row = figures
            .lines()
            .find(|line| line.starts_with("| ours, SQLite |"))
            .unwrap();
        let rate = row.split('|').nth(2).unwrap().trim();
        assert!(rate.parse::<f64>().unwrap() > 0.0, "{row}");
        assert!(row.ends_with("| 0 |"), "{row}");
    }
    for plot in ["reads.svg", "publishes.svg", "signer.svg"] {
        let plot = fs::read_to_string(directory.path().join(plot)).unwrap();
        assert!(plot.contains("ours, SQLite") && plot.contains("</svg>"), "{plot}");
    }
}

#[test]
fn the_decisions_of_a_gate_are_measured_and_right_also_while_somebody_publishes() {
    let directory = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-bench"));
    command.args([
        "gate",
        "--seconds",
        "0.3",
        "--repositories",
        "2",
        "--connections",
        "2",
    ]);
    command.arg("--programs").arg(built_programs());
    command.arg("--out").arg(directory.path());
    Finished::run(&mut command, "").ok();
    let page = fs::read_to_string(directory.path().join("gate.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `/"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 3, "{page}");
    for row in &rows {
        assert!(row[2].parse::<f64>().unwrap() > 0.0, "{page}");
        assert_eq!(row[8], "0", "{page}");
    }
    assert!(rows[2][7].parse::<u64>().unwrap() > 0, "{page}");
}

#[test]
fn an_unknown_workload_is_refused_with_the_names_of_those_that_exist() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-bench"));
    Finished::run(command.args(["--only", "nothing"]), "")
        .fails()
        .says("new-connection");
}

#[test]
fn every_page_is_measured_and_shows_what_it_should() {
    let directory = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-bench"));
    command.args(["pages", "--quick", "--times", "2"]);
    command.arg("--programs").arg(built_programs());
    command.arg("--out").arg(directory.path());
    // Programs that were built for debugging may be too slow; that is said by the status.
    let finished = Finished::run(&mut command, "");
    assert!(finished.code < 2, "{finished}");
    let page = fs::read_to_string(directory.path().join("pages.md")).unwrap();
    for row in [
        "| overview |",
        "| … with unsigned tags |",
        "| expiry |",
        "| audit |",
    ] {
        let figures = page.lines().find(|line| line.starts_with(row)).unwrap();
        let took = figures.split('|').nth(2).unwrap().trim();
        assert!(took.parse::<f64>().unwrap() > 0.0, "{figures}");
    }
}
