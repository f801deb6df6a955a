//! Waiting for the operator to say stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Completes on the first SIGTERM or SIGINT and returns its name.
///
/// # Errors
/// When the handlers cannot be installed.
pub async fn stop_requested() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// The SIGHUPs from now on.
///
/// # Errors
/// When the handler cannot be installed.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}
