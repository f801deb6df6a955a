//! Asks a person before something is done that cannot be taken back.

use std::io::{self, IsTerminal};

use crate::commands::Failure;

/// Shows a question, and says whether it was answered with `yes`.
///
/// # Errors
/// When nobody can be asked, with what to do `instead`.
pub(in crate::commands) fn is_confirmed(question: &str, instead: &str) -> Result<bool, Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure(format!(
            "nobody can be asked without a terminal: {instead}"
        )));
    }
    platform::complain!("{question}");
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|cause| Failure(platform::reason::of_io(&cause)))?;
    Ok(answer.trim() == "yes")
}
