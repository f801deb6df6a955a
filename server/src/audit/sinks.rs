//! The sinks of audit records. A separate thread writes them, so that a slow disk or reader does not delay requests.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::{fs::OpenOptionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};

use chrono::SecondsFormat;
use serde::Serialize;

use crate::{clock::Clock, config::Sink, telemetry::metrics};

/// How many records may be queued. Further records are dropped, logged and counted.
const QUEUE: usize = 8192;
/// How long the server waits, when it stops, for records to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// The mode of new files: readable for the operator's group at most.
const FILE_MODE: u32 = 0o640;
/// Facility 13 (log audit), severity 6 (informational): RFC 5424, section 6.2.1.
const PRIORITY: u8 = 13 * 8 + 6;

/// Why a sink cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("audit.sinks: cannot write to {}: {cause}", path.display())]
pub struct SinkError {
    path: PathBuf,
    cause: io::Error,
}

enum Message {
    Line(String),
    Reopen,
    Flush(SyncSender<()>),
}

enum Open {
    File(PathBuf, File),
    Stdout,
    Syslog(PathBuf, Option<UnixDatagram>, String),
}

/// A handle to all sinks.
#[derive(Debug)]
pub struct Sinks {
    queue: Option<SyncSender<Message>>,
}

impl Sinks {
    /// Opens the sinks.
    ///
    /// # Errors
    /// When a file cannot be appended to. A missing syslog daemon is no error: it may start later.
    pub fn open(sinks: &[Sink]) -> Result<Self, SinkError> {
        if sinks.is_empty() {
            return Ok(Self { queue: None });
        }
        let mut open: Vec<Open> = sinks.iter().map(Open::new).collect::<Result<_, _>>()?;
        let (queue, messages) = sync_channel(QUEUE);
        let started = thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(&messages, &mut open));
        match started {
            Ok(_) => Ok(Self { queue: Some(queue) }),
            Err(cause) => Err(SinkError {
                path: PathBuf::from("a thread"),
                cause,
            }),
        }
    }

    /// Whether any sink is configured.
    pub fn any(&self) -> bool {
        self.queue.is_some()
    }

    /// Queues a record, which the thread writes soon after.
    pub fn write(&self, record: &impl Serialize) {
        let Some(queue) = &self.queue else { return };
        let sent = serde_json::to_string(record)
            .map_err(|cause| cause.to_string())
            .and_then(|line| match queue.try_send(Message::Line(line)) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(_)) => Err("the sinks cannot keep up".to_owned()),
                Err(TrySendError::Disconnected(_)) => Err("the writing thread has ended".to_owned()),
            });
        if let Err(reason) = sent {
            lost(&reason, 1);
        }
    }

    /// Closes and reopens the files, which log rotation may have renamed.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            let _ = queue.try_send(Message::Reopen);
        }
    }

    /// Waits until all records queued so far are written, but no longer than a fixed time.
    pub fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, written) = sync_channel(1);
        if queue.send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

fn lost(reason: &str, records: u64) {
    metrics::audit_records_lost(records);
    tracing::error!(reason, records, "audit records were lost");
}

fn write_all(messages: &Receiver<Message>, sinks: &mut [Open]) {
    loop {
        match messages.recv_timeout(Duration::from_secs(3600)) {
            Ok(Message::Line(line)) => {
                for sink in &mut *sinks {
                    if let Err(cause) = sink.write(&line) {
                        lost(&format!("{}: {cause}", sink.name()), 1);
                    }
                }
            }
            Ok(Message::Reopen) => sinks.iter_mut().for_each(Open::reopen),
            Ok(Message::Flush(done)) => {
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .open(path)
}

impl Open {
    fn new(sink: &Sink) -> Result<Self, SinkError> {
        Ok(match sink {
            Sink::File(path) => {
                let file = append_to(path).map_err(|cause| SinkError {
                    path: path.clone(),
                    cause,
                })?;
                Self::File(path.clone(), file)
            }
            Sink::Stdout => Self::Stdout,
            Sink::Syslog(path) => Self::Syslog(path.clone(), None, host_name()),
        })
    }

    fn name(&self) -> String {
        match self {
            Self::File(path, _) | Self::Syslog(path, ..) => path.display().to_string(),
            Self::Stdout => "stdout".to_owned(),
        }
    }

    fn reopen(&mut self) {
        if let Self::File(path, file) = self {
            match append_to(path) {
                Ok(new) => *file = new,
                Err(cause) => {
                    let path = path.display();
                    tracing::error!(%path, %cause, "cannot reopen the audit file; still writing to the old one");
                }
            }
        }
    }

    /// Writes each record with one call, so that lines of several processes do not mix, and buffers nothing.
    fn write(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::File(_, file) => file.write_all(format!("{line}\n").as_bytes()),
            Self::Stdout => io::stdout().lock().write_all(format!("{line}\n").as_bytes()),
            Self::Syslog(path, socket, host) => {
                let message = syslog_message(host, line);
                if let Some(connected) = socket
                    && connected.send(message.as_bytes()).is_ok()
                {
                    return Ok(());
                }
                // The daemon was not there yet, or has restarted since.
                let connected = UnixDatagram::unbound()?;
                connected.connect(&*path)?;
                connected.set_write_timeout(Some(Duration::from_secs(1)))?;
                connected.send(message.as_bytes())?;
                *socket = Some(connected);
                Ok(())
            }
        }
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        return "-".to_owned();
    }
    name.to_owned()
}

/// `<PRI>1 TIMESTAMP HOST APP PROCID MSGID SD MSG` of RFC 5424.
fn syslog_message(host: &str, line: &str) -> String {
    let now = Clock::System.now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let process = std::process::id();
    format!("<{PRIORITY}>1 {now} {host} countersign-server {process} audit - {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syslog_message_has_the_fields_of_the_standard() {
        let message = syslog_message("host", "{\"a\": 1}");
        let fields: Vec<&str> = message.splitn(8, ' ').collect();
        assert_eq!(fields[0], "<110>1");
        assert_eq!(fields[2..4], ["host", "countersign-server"]);
        assert_eq!(fields[5..], ["audit", "-", "{\"a\": 1}"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_refused_at_start() {
        let refused = Sinks::open(&[Sink::File("/nonexistent/audit.json".into())]).unwrap_err();
        assert!(refused.to_string().contains("/nonexistent/audit.json"));
    }
}
