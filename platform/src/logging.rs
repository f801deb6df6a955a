//! Log lines on standard error, at a level that can be changed while running.

use std::{
    io::{self, BufWriter, Write},
    str::FromStr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// How many lines may wait until standard error takes them. Lines beyond that are dropped and counted, because a
/// reader that does not keep up must not delay requests.
const WAITING_LINES: usize = 32_768;

/// How long lines gather before they are written together. Without it a busy server would wake the thread that writes,
/// and make a system call, for every line.
const GATHERING: Duration = Duration::from_millis(5);

/// How many bytes are written at once at most, if no line is longer.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

/// Counts the lines that were lost.
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// This workspace's crates. Messages of libraries below `warn` do not help operators; they are logged at `trace` only.
const OURS: [&str; 5] = ["platform", "server", "signer", "signing", "tuf"];

/// The level names of the Notary configuration, least verbose first.
pub const LEVELS: [(&str, Level); 8] = [
    ("panic", Level::Fatal),
    ("fatal", Level::Fatal),
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("warning", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only what ends the process. (The Notary names `panic` and `fatal`.)
    Fatal,
    /// Failures somebody has to look at.
    Error,
    /// Things that will become failures.
    Warn,
    /// One line for each request and each change. The default.
    Info,
    /// Everything needed to follow one request.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const ALL: [Level; 6] = [
        Level::Fatal,
        Level::Error,
        Level::Warn,
        Level::Info,
        Level::Debug,
        Level::Trace,
    ];

    fn filter(self) -> Targets {
        let level = self.threshold();
        let libraries = if self == Level::Trace {
            level
        } else {
            level.min(LevelFilter::WARN)
        };
        Targets::new()
            .with_default(libraries)
            .with_targets(OURS.map(|ours| (ours, level)))
    }

    fn threshold(self) -> LevelFilter {
        match self {
            Level::Fatal | Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        }
    }

    fn shifted(self, by: isize) -> Option<Level> {
        let position = Self::ALL.iter().position(|level| *level == self)?;
        Self::ALL.get(position.checked_add_signed(by)?).copied()
    }

    fn name(self) -> &'static str {
        LEVELS
            .iter()
            .find(|(_, level)| *level == self)
            .map_or("error", |(name, _)| name)
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.to_ascii_lowercase();
        LEVELS
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, level)| *level)
            .ok_or(())
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// `key=value` pairs.
    Logfmt,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "logfmt" => Ok(Self::Logfmt),
            _ => Err("allowed: json, logfmt".to_owned()),
        }
    }
}

/// How many log lines were lost because nobody read them.
pub fn lost_lines() -> u64 {
    LOST.get()
        .map_or(0, |lost| u64::try_from(lost.dropped_lines()).unwrap_or(u64::MAX))
}

/// The running log. A thread of its own writes the lines; dropping this writes those that wait.
#[must_use = "lines are written for as long as this lasts"]
pub struct Log {
    control: LevelControl,
    _writer: WorkerGuard,
}

impl Log {
    /// What changes the level.
    pub fn control(&self) -> &LevelControl {
        &self.control
    }
}

/// Writes whole lines in few calls. It is flushed whenever no line is waiting, and then leaves time for more to gather.
struct Gathered<W: Write>(BufWriter<W>);

impl<W: Write> Gathered<W> {
    fn new(to: W) -> Self {
        Self(BufWriter::with_capacity(WRITTEN_AT_ONCE, to))
    }
}

impl<W: Write> Write for Gathered<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(GATHERING);
        Ok(())
    }
}

/// Changes the level of the running process.
#[derive(Clone)]
pub struct LevelControl {
    handle: reload::Handle<Targets, Registry>,
    level: Arc<Mutex<Level>>,
}

/// Starts logging; to be called once, before anything is logged.
pub fn start(level: Level, format: Format) -> Log {
    let (filter, handle) = reload::Layer::new(level.filter());
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(Gathered::new(io::stderr()));
    let lost = writer.error_counter();
    let json = || {
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
        lines.with_target(false).with_writer(writer.clone())
    };
    let logfmt = || {
        tracing_logfmt::builder()
            .with_target(false)
            .layer()
            .with_writer(writer.clone())
    };
    let registry = tracing_subscriber::registry().with(filter);
    // A second call (tests in one process) keeps the first subscriber.
    let started = match format {
        Format::Json => registry.with(json()).try_init(),
        Format::Logfmt => registry.with(logfmt()).try_init(),
    };
    if started.is_ok() {
        let _ = LOST.set(lost);
    }
    Log {
        control: LevelControl {
            handle,
            level: Arc::new(Mutex::new(level)),
        },
        _writer: guard,
    }
}

impl LevelControl {
    /// Logs at this level from now on.
    pub fn set(&self, level: Level) {
        let mut now = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != level && self.handle.reload(level.filter()).is_ok() {
            *now = level;
        }
    }

    fn step(&self, by: isize) -> Result<Level, Level> {
        let mut now = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        match now.shifted(by) {
            Some(next) if self.handle.reload(next.filter()).is_ok() => {
                *now = next;
                Ok(next)
            }
            _ => Err(*now),
        }
    }

    /// SIGUSR1 makes the log more verbose, SIGUSR2 less, one step each, for as long as the process runs.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub async fn follow_signals(self) -> io::Result<()> {
        let mut more = signal(SignalKind::user_defined1())?;
        let mut less = signal(SignalKind::user_defined2())?;
        loop {
            let (step, direction) = tokio::select! {
                _ = more.recv() => (1, "more"),
                _ = less.recv() => (-1, "less"),
            };
            match self.step(step) {
                Ok(level) => crate::say!("Successfully setting log level to {}", level.name()),
                Err(level) => crate::say!(
                    "The log level stays at {}: it cannot be {direction} verbose",
                    level.name()
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_names_are_read_in_any_case_and_numbers_are_not() {
        assert_eq!("WARNING".parse(), Ok(Level::Warn));
        assert_eq!("panic".parse(), Ok(Level::Fatal));
        assert_eq!("2".parse::<Level>(), Err(()));
    }

    #[test]
    fn levels_stop_at_both_ends() {
        assert_eq!(Level::Info.shifted(1), Some(Level::Debug));
        assert_eq!(Level::Trace.shifted(1), None);
        assert_eq!(Level::Fatal.shifted(-1), None);
    }
}
