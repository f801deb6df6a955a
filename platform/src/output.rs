//! What a command prints. `println!` panics if standard output cannot be written to. A command that has begun to
//! change something must finish even then, and end with a status that says so.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

/// The first reason why standard output could not be written to.
static FAILED: Mutex<Option<ErrorKind>> = Mutex::new(None);

/// Prints a line on standard output, like `println!`, but never panics.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => { $crate::output::say(format_args!($($what)*)) };
}

/// Prints a line on standard error, like `eprintln!`, but never panics.
#[macro_export]
macro_rules! complain {
    ($($what:tt)*) => { $crate::output::complain(format_args!($($what)*)) };
}

/// See the macro of the same name. Once a line could not be written, the following ones are not tried.
pub fn say(line: Arguments<'_>) {
    note(|| {
        let mut out = io::stdout().lock();
        out.write_fmt(line)?;
        out.write_all(b"\n")
    });
}

/// See the macro of the same name. There is nowhere to report that standard error cannot be written to.
pub fn complain(line: Arguments<'_>) {
    let mut out = io::stderr().lock();
    let _ = out.write_fmt(line).and_then(|()| out.write_all(b"\n"));
}

/// The exit status of a command: `code`, or a failure if its output could not be written. A reader that closed the
/// pipe, such as `head`, is no failure.
pub fn finish(code: ExitCode) -> ExitCode {
    note(|| io::stdout().lock().flush());
    match *FAILED.lock().unwrap_or_else(PoisonError::into_inner) {
        None | Some(ErrorKind::BrokenPipe) => code,
        Some(kind) => {
            complain(format_args!(
                "cannot write to standard output: {kind}; the command itself went on to its end"
            ));
            ExitCode::FAILURE
        }
    }
}

fn note(write: impl FnOnce() -> io::Result<()>) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        *failed = write().err().map(|cause| cause.kind());
    }
}
