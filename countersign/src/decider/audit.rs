//! One line of JSON for each decision.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use verifier::Verdict;

use super::Asked;

/// How many lines wait for a slow reader before decisions wait too.
const BUFFERED_LINES: usize = 65_536;

/// Where audit lines go.
#[derive(Debug, Clone)]
pub enum Sink {
    /// Standard output.
    Output,
    /// A file, which is appended to.
    File(PathBuf),
}

/// Writes the lines on a thread of its own. None is dropped: if the reader is slow, decisions wait in the end.
pub struct Audit {
    lines: NonBlocking,
    file: Option<Arc<Reopened>>,
    _guard: WorkerGuard,
}

/// A file that is opened anew when it was moved away.
struct Reopened {
    path: PathBuf,
    file: Mutex<File>,
}

struct Lines(Option<Arc<Reopened>>);

impl Audit {
    /// Opens the sink.
    ///
    /// # Errors
    /// When the file cannot be appended to.
    pub fn open(sink: &Sink) -> io::Result<Self> {
        let file = match sink {
            Sink::Output => None,
            Sink::File(path) => Some(Arc::new(Reopened {
                path: path.clone(),
                file: Mutex::new(append(path)?),
            })),
        };
        let builder = NonBlockingBuilder::default()
            .lossy(false)
            .buffered_lines_limit(BUFFERED_LINES);
        let (lines, guard) = builder.finish(Lines(file.clone()));
        Ok(Self {
            lines,
            file,
            _guard: guard,
        })
    }

    /// Opens the file again, after it was moved away.
    ///
    /// # Errors
    /// When that is not possible; the old file is written to then.
    pub fn reopen(&self) -> io::Result<()> {
        if let Some(file) = &self.file {
            let fresh = append(&file.path)?;
            *file.file.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(())
    }

    /// Records a verdict.
    pub fn verdict(&self, asked: &Asked, verdict: &Verdict, took: Duration) {
        let mut line = json!({
            "event": "decision",
            "verdict": if verdict.allow { "allow" } else { "deny" },
            "permitted": verdict.permits(),
        });
        self.common(
            &mut line,
            asked.skin,
            asked.context.user.as_deref(),
            asked.object.as_deref(),
        );
        let decided = serde_json::to_value(verdict);
        let decided = decided.ok().and_then(|value| match value {
            Value::Object(members) => Some(members),
            _ => None,
        });
        if let Some(members) = line.as_object_mut() {
            members.extend(decided.into_iter().flatten());
            members.insert("namespace".into(), json!(asked.context.namespace));
            members.insert("dry_run".into(), asked.dry_run.into());
            members.insert("duration_ms".into(), json!(took.as_secs_f64() * 1_000.0));
        }
        self.write(&line);
    }

    /// Records that something was refused without a verdict about an image.
    pub fn refusal(&self, skin: &str, user: Option<&str>, object: Option<&str>, reason: &str) {
        let mut line = json!({"event": "refusal", "verdict": "deny", "permitted": false, "sentence": reason});
        self.common(&mut line, skin, user, object);
        self.write(&line);
    }

    /// Records that something was allowed without a verdict about an image.
    pub fn exemption(&self, skin: &str, user: Option<&str>, object: &str, what: &str) {
        let mut line = json!({"event": "exemption", "verdict": "allow", "permitted": true, "what": what});
        self.common(&mut line, skin, user, Some(object));
        self.write(&line);
    }

    fn common(&self, line: &mut Value, skin: &str, user: Option<&str>, object: Option<&str>) {
        if let Some(members) = line.as_object_mut() {
            let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            members.insert("time".into(), time.into());
            members.insert("skin".into(), skin.into());
            members.insert("user".into(), json!(user));
            members.insert("object".into(), json!(object));
        }
    }

    fn write(&self, line: &Value) {
        let mut text = line.to_string();
        text.push('\n');
        if let Err(reason) = self.lines.clone().write_all(text.as_bytes()) {
            tracing::error!(%reason, "an audit line was lost");
        }
    }
}

impl Write for Lines {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &self.0 {
            None => io::stdout().lock().write(data),
            Some(reopened) => reopened
                .file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.0 {
            None => io::stdout().lock().flush(),
            Some(reopened) => reopened
                .file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .flush(),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
