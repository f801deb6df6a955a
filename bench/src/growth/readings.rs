//! What is read at each size.

use crate::{
    fault::{Fault, Result},
    measurement::Measurement,
};

/// The unit of a reading; those of one unit share a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Requests per second.
    Rate,
    /// Milliseconds.
    Time,
    /// Memory in MiB.
    Memory,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rate, Self::Time, Self::Memory];

    /// In names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Time => "time",
            Self::Memory => "memory",
        }
    }

    /// In tables and on axes.
    pub fn explained(self) -> &'static str {
        match self {
            Self::Rate => "requests/s",
            Self::Time => "ms",
            Self::Memory => "MiB",
        }
    }
}

/// One figure.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Of what.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// The figure.
    pub value: f64,
}

/// All figures at one size.
#[derive(Debug, Clone)]
pub struct Point {
    /// The size.
    pub size: usize,
    /// The figures.
    pub readings: Vec<Reading>,
}

impl Point {
    /// At this size, nothing read yet.
    pub fn at(size: usize) -> Self {
        Self {
            size,
            readings: Vec::new(),
        }
    }

    /// Adds a figure.
    pub fn read(&mut self, name: &'static str, unit: Unit, value: f64) {
        self.readings.push(Reading { name, unit, value });
    }

    /// Adds the memory of a process in bytes.
    pub fn memory(&mut self, name: &'static str, bytes: u64) {
        self.read(name, Unit::Memory, bytes as f64 / (1024.0 * 1024.0));
    }

    /// Adds the rate of a measurement.
    ///
    /// # Errors
    /// When any answer was wrong.
    pub fn rate(&mut self, name: &'static str, measurement: &Measurement) -> Result<()> {
        if let Some(reason) = &measurement.first_failure {
            return Err(Fault::new(format!("{name} at {}: {reason}", self.size)));
        }
        self.read(name, Unit::Rate, measurement.rate);
        Ok(())
    }
}
