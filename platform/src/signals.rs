//! Waiting for the operator to say stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for the operator to say stop, from the moment it is made.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

/// Catches SIGTERM and SIGINT from now on; [`Stop::requested`] reports them.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn stop() -> std::io::Result<Stop> {
    Ok(Stop {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    })
}

impl Stop {
    /// Completes on the first SIGTERM or SIGINT and returns its name.
    pub async fn requested(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The SIGHUPs from now on.
///
/// # Errors
/// When the handler cannot be installed.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}
