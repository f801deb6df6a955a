//! How cost grows with what is stored, connected or denied.

mod axes;
mod list;
mod readings;

use std::{fmt::Write as _, fs, path::PathBuf};

use clap::ValueEnum;

use crate::{
    fault::Result,
    programs::{EngineName, Programs},
    report::{Curve, Figure, curves},
    subject::DatabaseServers,
    workload::Amount,
};

use readings::{Point, Unit};

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Axis {
    /// Repositories on the server.
    Guns,
    /// Tags of the repository that is published and read.
    Tags,
    /// Stored versions of the repository that is published and read.
    Versions,
    /// Open connections.
    Connections,
    /// Entries of the deny list.
    Denials,
    /// Entries of a revocation list.
    RevokedCertificates,
}

impl Axis {
    fn title(self) -> &'static str {
        match self {
            Self::Guns => "Repositories on the server",
            Self::Tags => "Tags in a repository",
            Self::Versions => "Versions of a repository",
            Self::Connections => "Kept connections",
            Self::Denials => "Entries of the deny list",
            Self::RevokedCertificates => "Entries of the revocation list",
        }
    }

    fn file(self, unit: Unit) -> String {
        let axis = self.to_possible_value();
        let axis = axis.as_ref().map_or("", |value| value.get_name());
        format!("growth-{axis}-{}.svg", unit.name())
    }

    /// How far it goes.
    fn sizes(self, quick: bool) -> &'static [usize] {
        let all: &[usize] = match self {
            Self::Guns => &[10, 100, 1000, 10_000, 100_000],
            Self::Tags | Self::Versions => &[1, 10, 100, 1000, 10_000],
            Self::Connections => &[1, 16, 128, 512, 2000],
            Self::Denials | Self::RevokedCertificates => &[0, 100, 1000, 10_000, 100_000],
        };
        if quick { &all[..3] } else { all }
    }
}

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only the first sizes, and for a short time.
    #[arg(long)]
    quick: bool,
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Axis>,
    /// On which database. Repositories and denials are filled in on PostgreSQL only.
    #[arg(long, value_enum, default_value = "postgres")]
    engine: EngineName,
    /// Seconds that each load is measured.
    #[arg(long)]
    seconds: Option<f64>,
    /// Write a page with tables and plots into this directory.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
}

/// Measures each axis, and tells the figures.
///
/// # Errors
/// When something cannot be started, or any answer is wrong.
pub fn run(options: &Options) -> Result<bool> {
    let all = Axis::value_variants();
    let axes = if options.only.is_empty() {
        all
    } else {
        &options.only
    };
    let setup = options.programs.setup()?;
    let seconds = options.seconds.unwrap_or(if options.quick { 0.5 } else { 2.0 });
    let amount = Amount::of(seconds);
    let mut page = String::from(
        "# How cost grows\n\nOurs alone. Made by the program itself; [README.md](README.md) says how.\n",
    );
    for axis in axes {
        let mut servers = DatabaseServers::default();
        let measured = axes::measure(
            *axis,
            axis.sizes(options.quick),
            &axes::World {
                engine: options.engine.into(),
                setup: &setup,
                amount,
            },
            &mut servers,
        )?;
        let table = table(*axis, &measured)?;
        platform::say!("{table}");
        page.push_str(&table);
        if let Some(directory) = &options.out {
            fs::create_dir_all(directory)?;
            for unit in Unit::ALL {
                let found = of_unit(&measured, unit);
                if !found.is_empty() {
                    let figure = Figure {
                        title: axis.title(),
                        x: axis.title(),
                        y: unit.explained(),
                    };
                    let file = axis.file(unit);
                    curves(&directory.join(&file), &figure, &found)?;
                    writeln!(page, "\n![{}: {}]({file})", axis.title(), unit.explained())?;
                }
            }
        }
    }
    if let Some(directory) = &options.out {
        fs::write(directory.join("growth.md"), page)?;
    }
    Ok(true)
}

fn table(axis: Axis, points: &[Point]) -> Result<String> {
    let names = names(points);
    let mut text = format!("\n## {}\n\n| |", axis.title());
    for (name, unit) in &names {
        write!(text, " {name}, {} |", unit.explained())?;
    }
    write!(text, "\n|---|{}\n", "---|".repeat(names.len()))?;
    for point in points {
        write!(text, "| {} |", point.size)?;
        for (name, _) in &names {
            let found = point.readings.iter().find(|reading| reading.name == *name);
            match found {
                Some(reading) if reading.value < 10.0 => write!(text, " {:.2} |", reading.value)?,
                Some(reading) => write!(text, " {:.0} |", reading.value)?,
                None => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    Ok(text)
}

/// The names of all readings, in the order in which they were taken.
fn names(points: &[Point]) -> Vec<(&'static str, Unit)> {
    let mut names = Vec::new();
    for reading in points.iter().flat_map(|point| &point.readings) {
        if !names.contains(&(reading.name, reading.unit)) {
            names.push((reading.name, reading.unit));
        }
    }
    names
}

fn of_unit(points: &[Point], unit: Unit) -> Vec<Curve> {
    let names = names(points).into_iter().filter(|(_, of)| *of == unit);
    let curve = |name: &'static str| Curve {
        name: name.to_owned(),
        points: points
            .iter()
            .filter_map(|point| {
                let found = point.readings.iter().find(|reading| reading.name == name)?;
                Some((point.size as f64, found.value))
            })
            .collect(),
    };
    names.map(|(name, _)| curve(name)).collect()
}
