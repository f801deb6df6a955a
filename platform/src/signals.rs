//! Waiting for the operator to say stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Completes on the first SIGTERM or SIGINT from the call on, also before it is awaited, and returns its name.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn stop() -> std::io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Completes on the first SIGTERM or SIGINT once it is awaited, and returns its name.
///
/// # Errors
/// When the handlers cannot be installed.
pub async fn stop_requested() -> std::io::Result<&'static str> {
    Ok(stop()?.await)
}

/// The SIGHUPs from now on.
///
/// # Errors
/// When the handler cannot be installed.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}
