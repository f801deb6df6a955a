//! A program that is asked for passphrases, as `borg` and `restic` have it: the way to every password manager and agent.

use std::{
    io::Read,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::KeyError;

/// How long a program may take that perhaps asks a person.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether it has ended.
const GLANCE: Duration = Duration::from_millis(10);
/// The longest output that is read, in bytes.
const LIMIT: usize = 4_096;

/// A program with its arguments, which prints a passphrase.
#[derive(Debug, Clone)]
pub struct SecretCommand {
    /// The setting that names it, for messages.
    setting: String,
    program: String,
    arguments: Vec<String>,
    patience: Duration,
}

impl SecretCommand {
    /// Reads a command line: words as a shell separates and quotes them. No shell runs it, so nothing in it is expanded.
    /// `setting` is what names it, for messages.
    ///
    /// # Errors
    /// When there is no word in it, or a quote does not end.
    pub fn parse(setting: &str, line: &str) -> Result<Self, KeyError> {
        let wrong = |reason: &str| KeyError::Command {
            setting: setting.to_owned(),
            reason: reason.to_owned(),
        };
        let words = shlex::split(line)
            .ok_or_else(|| wrong("a quote or a backslash at its end has no counterpart"))?;
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        Ok(Self {
            setting: setting.to_owned(),
            program: program.ok_or_else(|| wrong("it names no program"))?,
            arguments: words.collect(),
            patience: PATIENCE,
        })
    }

    /// The same with another time that it may take.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The setting that names it.
    pub(super) fn setting(&self) -> &str {
        &self.setting
    }

    /// Runs it with these variables besides the environment. Standard input is empty, and standard error that of this process.
    /// It has to print one line and to end without a failure.
    pub(super) fn run(&self, variables: &[(&str, &str)]) -> Result<SecretString, KeyError> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| {
                self.failed(format!(
                    "{} cannot be run: {}",
                    self.program,
                    platform::reason::of_io(&cause)
                ))
            })?;
        let finished = self.finish(&mut child);
        if finished.is_err() {
            // It may have ended meanwhile, and is not waited for longer than that takes.
            let _ = child.kill();
            let _ = child.wait();
        }
        let (printed, status) = finished?;
        if !status.success() {
            return Err(self.failed(format!("{} failed ({status})", self.program)));
        }
        self.one_line(&printed)
    }

    /// Its output and how it ended, if it ends in time.
    fn finish(&self, child: &mut Child) -> Result<(Zeroizing<Vec<u8>>, ExitStatus), KeyError> {
        let end = Instant::now() + self.patience;
        let late = || {
            self.failed(format!(
                "{} did not end within {} seconds, and was stopped",
                self.program,
                self.patience.as_secs()
            ))
        };
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // A thread, because reading cannot be given up: what the program started may keep the output open for ever.
            thread::spawn(move || {
                let mut printed = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
                let read = stdout.take(LIMIT as u64 + 1).read_to_end(&mut printed);
                // This fails if the time is up, because then the receiver is gone.
                let _ = sender.send(read.map(|_| printed));
            });
        }
        let printed = receiver.recv_timeout(self.patience).map_err(|_| late())?;
        let printed = printed.map_err(|cause| self.failed(platform::reason::of_io(&cause)))?;
        if printed.len() > LIMIT {
            return Err(self.failed(format!(
                "{} printed more than {LIMIT} bytes, which is no passphrase",
                self.program
            )));
        }
        loop {
            let status = child.try_wait();
            match status.map_err(|cause| self.failed(platform::reason::of_io(&cause)))? {
                Some(status) => return Ok((printed, status)),
                None if Instant::now() >= end => return Err(late()),
                None => thread::sleep(GLANCE),
            }
        }
    }

    fn one_line(&self, printed: &[u8]) -> Result<SecretString, KeyError> {
        let program = &self.program;
        let text = std::str::from_utf8(printed)
            .map_err(|_| self.failed(format!("what {program} printed is not UTF-8")))?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(self.failed(format!("{program} printed nothing")));
        }
        if line.contains(['\n', '\r', '\0']) {
            return Err(self.failed(format!(
                "{program} printed several lines; it has to print the passphrase and nothing else"
            )));
        }
        Ok(line.into())
    }

    fn failed(&self, reason: String) -> KeyError {
        KeyError::Command {
            setting: self.setting.clone(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn run(script: &str) -> Result<String, String> {
        let line = shlex::try_join(["sh", "-c", script]).unwrap();
        let command = SecretCommand::parse("THE_COMMAND", &line).unwrap();
        let command = command.within(Duration::from_secs(5));
        let printed = command.run(&[("ROLE", "alice")]);
        printed
            .map(|secret| secret.expose_secret().to_owned())
            .map_err(|cause| cause.to_string())
    }

    #[test]
    fn one_line_is_a_passphrase_and_nothing_else_is() {
        for (script, expected) in [
            ("echo two words", "two words"),
            ("printf %s \"$ROLE\"", "alice"),
            ("printf 'x\\r\\n'", "x"),
            ("echo \" x \"; cat", " x "),
        ] {
            assert_eq!(run(script).as_deref(), Ok(expected), "{script}");
        }
        for (script, reason) in [
            ("true", "printed nothing"),
            ("echo", "printed nothing"),
            ("echo a; echo b", "several lines"),
            ("echo secret; exit 3", "exit status: 3"),
            ("kill -9 $$", "signal: 9"),
            ("printf '\\377'", "not UTF-8"),
            ("yes", "more than 4096 bytes"),
        ] {
            let refused = run(script).unwrap_err();
            assert!(
                refused.contains(reason) && refused.contains("THE_COMMAND"),
                "{refused}"
            );
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn a_program_that_hangs_is_given_up() {
        for script in ["exec sleep 600", "echo x; exec >&-; exec sleep 600"] {
            let line = shlex::try_join(["sh", "-c", script]).unwrap();
            let command = SecretCommand::parse("THE_COMMAND", &line).unwrap();
            let begun = Instant::now();
            let refused = command.within(Duration::from_millis(50)).run(&[]).unwrap_err();
            assert!(refused.to_string().contains("did not end"), "{refused}");
            assert!(begun.elapsed() < Duration::from_secs(30));
        }
    }

    #[test]
    fn a_command_line_is_split_as_by_a_shell_and_not_run_by_one() {
        let command = SecretCommand::parse("S", "echo '$HOME *' a\\ b").unwrap();
        assert_eq!(command.run(&[]).unwrap().expose_secret(), "$HOME * a b");
        for line in ["", "  ", "''", "echo 'x", "echo \\"] {
            assert!(SecretCommand::parse("S", line).is_err(), "{line:?}");
        }
        let missing = SecretCommand::parse("S", "/no/such/program").unwrap().run(&[]);
        assert!(missing.unwrap_err().to_string().contains("/no/such/program"));
    }
}
