//! Command lines in the style of the Go programs, and the options that both programs have.

use std::path::PathBuf;

/// The option of every subcommand that needs a configuration.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Gives every long option its second dash and leaves the rest alone. The Go programs accept `-config FILE` as well
/// as `--config FILE`, and clap would read the former as a bundle of one-letter options.
pub fn with_double_dashes(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    arguments
        .into_iter()
        .map(|argument| {
            let mut characters = argument.chars();
            let single_dash_word = characters.next() == Some('-')
                && characters.next().is_some_and(|c| c.is_ascii_alphabetic())
                && characters.next().is_some();
            if single_dash_word {
                format!("-{argument}")
            } else {
                argument
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dash_words_get_a_second_dash_and_nothing_else_changes() {
        let given = [
            "server",
            "-config",
            "a.json",
            "-logf=json",
            "-h",
            "--debug",
            "-",
            "--",
        ];
        let expected = [
            "server",
            "--config",
            "a.json",
            "--logf=json",
            "-h",
            "--debug",
            "-",
            "--",
        ];
        assert_eq!(with_double_dashes(given.map(String::from)), expected);
    }
}
