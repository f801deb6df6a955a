//! Passphrases of private keys: from a file, the environment, a program that is asked, or a person at a terminal.

use std::{
    collections::BTreeMap,
    env,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use secrecy::{ExposeSecret, SecretString};

use super::prompt::ask;
use super::{KeyError, SecretCommand};

/// How often a person is asked.
const ATTEMPTS: usize = 3;
/// The shortest passphrase that a person may choose, in characters. That is notary's rule.
const SHORTEST: usize = 8;
/// The variable that counts for every key.
const OURS: &str = "COUNTERSIGN_PASSPHRASE";

type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where passphrases come from. Nobody is asked unless standard input and standard error are a terminal.
pub struct Passphrases {
    file: Option<PathBuf>,
    command: Option<SecretCommand>,
    variables: Variables,
    terminal: bool,
    /// Passphrases that the user typed, by key ID, so that none is asked for twice.
    typed: Mutex<BTreeMap<String, SecretString>>,
}

impl Passphrases {
    /// Passphrases from a file (its first line), then from the environment, then from a program that is asked for each key;
    /// without such a program from the terminal, if there is one.
    pub fn new(file: Option<PathBuf>, command: Option<SecretCommand>) -> Self {
        Self {
            file,
            command,
            variables: Box::new(|name| env::var(name).ok()),
            terminal: is_terminal(),
            typed: Mutex::default(),
        }
    }

    /// Passphrases from these variables alone.
    pub fn of(variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            file: None,
            command: None,
            variables: Box::new(variables),
            terminal: false,
            typed: Mutex::default(),
        }
    }

    /// Opens something with the first passphrase that `attempt` takes.
    pub(super) fn open<T>(
        &self,
        id: &str,
        role: &str,
        mut attempt: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T, KeyError> {
        if let Some(known) = self.typed().get(id)
            && let Some(opened) = attempt(known.expose_secret().as_bytes())
        {
            return Ok(opened);
        }
        let candidates = self.candidates(role)?;
        for (_, passphrase) in &candidates {
            if let Some(opened) = attempt(passphrase.expose_secret().as_bytes()) {
                return Ok(opened);
            }
        }
        let mut tried: Vec<String> = candidates.into_iter().map(|(source, _)| source).collect();
        if let Some(command) = &self.command {
            // Only now: it may ask a person.
            let passphrase = command.run(&about(id, role, "key"))?;
            if let Some(opened) = attempt(passphrase.expose_secret().as_bytes()) {
                return Ok(opened);
            }
            tried.push(format!("what the program of {} printed", command.setting()));
        } else if self.terminal {
            for _ in 0..ATTEMPTS {
                let passphrase = ask(&format!("Passphrase of the {role} key {}: ", short(id)))?;
                if let Some(opened) = attempt(passphrase.expose_secret().as_bytes()) {
                    self.typed().insert(id.to_owned(), passphrase);
                    return Ok(opened);
                }
            }
            tried.push("what was typed".into());
        }
        let tried = match tried.as_slice() {
            [] => "no passphrase was given".to_owned(),
            sources => format!("it is not opened by {}", sources.join(", nor by ")),
        };
        Err(KeyError::Passphrase {
            id: id.to_owned(),
            role: role.to_owned(),
            tried,
            variables: variables(role).join(" or "),
        })
    }

    /// A passphrase for a new key.
    pub(super) fn choose(&self, id: &str, role: &str) -> Result<SecretString, KeyError> {
        if let Some((_, first)) = self.candidates(role)?.into_iter().next() {
            return Ok(first);
        }
        if let Some(command) = &self.command {
            return command.run(&about(id, role, "new-key"));
        }
        if self.terminal {
            for _ in 0..ATTEMPTS {
                let first = ask(&format!("New passphrase for the {role} key {}: ", short(id)))?;
                if first.expose_secret().chars().count() < SHORTEST {
                    platform::complain!("A passphrase has at least {SHORTEST} characters.");
                    continue;
                }
                if ask("The same again: ")?.expose_secret() == first.expose_secret() {
                    self.typed().insert(id.to_owned(), first.clone());
                    return Ok(first);
                }
                platform::complain!("The two differ.");
            }
        }
        Err(KeyError::Passphrase {
            id: id.to_owned(),
            role: role.to_owned(),
            tried: "no passphrase was given".into(),
            variables: variables(role).join(" or "),
        })
    }

    fn typed(&self) -> MutexGuard<'_, BTreeMap<String, SecretString>> {
        self.typed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there without asking anybody, each with where it comes from.
    fn candidates(&self, role: &str) -> Result<Vec<(String, SecretString)>, KeyError> {
        let mut found = Vec::new();
        if let Some(path) = &self.file {
            found.push((format!("the passphrase in {}", path.display()), first_line(path)?));
        }
        for name in variables(role) {
            if let Some(value) = (self.variables)(name).filter(|value| !value.is_empty()) {
                found.push((name.to_owned(), value.into()));
            }
        }
        Ok(found)
    }
}

/// What a program is told of the key whose passphrase is wanted, in its environment.
fn about<'a>(id: &'a str, role: &'a str, purpose: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("COUNTERSIGN_KEY_ID", id),
        ("COUNTERSIGN_KEY_ROLE", role),
        ("COUNTERSIGN_PASSPHRASE_FOR", purpose),
    ]
}

/// The variables that hold the passphrase of a key of this role, as notary and docker name them.
fn variables(role: &str) -> Vec<&'static str> {
    let (notary, docker) = match role {
        "root" => ("NOTARY_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"),
        "targets" => (
            "NOTARY_TARGETS_PASSPHRASE",
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
        ),
        "snapshot" => (
            "NOTARY_SNAPSHOT_PASSPHRASE",
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
        ),
        _ => (
            "NOTARY_DELEGATION_PASSPHRASE",
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
        ),
    };
    vec![OURS, notary, docker]
}

pub(super) fn first_line(path: &Path) -> Result<SecretString, KeyError> {
    let text = platform::files::read_to_string(path).map_err(|cause| KeyError::File {
        path: path.to_path_buf(),
        reason: cause.to_string(),
    })?;
    let text = zeroize::Zeroizing::new(text);
    Ok(text.lines().next().unwrap_or_default().into())
}

/// Whether a user at a terminal can be asked.
pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn short(id: &str) -> &str {
    id.get(..7).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &'static [(&'static str, &'static str)]) -> Passphrases {
        let value = |name: &str| pairs.iter().find(|(known, _)| *known == name);
        Passphrases::of(move |name| value(name).map(|(_, value)| (*value).to_owned()))
    }

    fn opened(passphrases: &Passphrases, role: &str, right: &'static str) -> Result<(), KeyError> {
        passphrases.open("0123456789", role, |tried| {
            (tried == right.as_bytes()).then_some(())
        })
    }

    #[test]
    fn the_variables_of_all_three_programs_are_tried_in_order() {
        let all = set(&[
            ("COUNTERSIGN_PASSPHRASE", "ours"),
            ("NOTARY_ROOT_PASSPHRASE", "root"),
            ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "docker"),
        ]);
        for (role, right) in [
            ("root", "ours"),
            ("root", "root"),
            ("alice", "docker"),
            ("targets", "docker"),
        ] {
            assert_eq!(opened(&all, role, right), Ok(()));
        }
        assert_eq!(all.choose("0", "root").unwrap().expose_secret(), "ours");
        let refused = opened(&all, "root", "docker").unwrap_err().to_string();
        assert!(
            refused.contains("COUNTERSIGN_PASSPHRASE, nor by NOTARY_ROOT_PASSPHRASE"),
            "{refused}"
        );
    }

    #[test]
    fn a_program_is_asked_after_everything_that_is_there_already() {
        let with_program = |pairs, line: &str| Passphrases {
            command: Some(SecretCommand::parse("THE_COMMAND", line).unwrap()),
            ..set(pairs)
        };
        let variables = "sh -c 'echo $COUNTERSIGN_KEY_ID $COUNTERSIGN_KEY_ROLE $COUNTERSIGN_PASSPHRASE_FOR'";
        let asked = with_program(&[("COUNTERSIGN_PASSPHRASE", "ours")], variables);
        assert_eq!(opened(&asked, "alice", "0123456789 alice key"), Ok(()));
        let refused = opened(&asked, "alice", "x").unwrap_err().to_string();
        assert!(
            refused.contains("COUNTERSIGN_PASSPHRASE, nor by what the program of THE_COMMAND printed"),
            "{refused}"
        );
        // It is not run if it is not needed.
        let failing = with_program(&[("COUNTERSIGN_PASSPHRASE", "ours")], "false");
        assert_eq!(opened(&failing, "alice", "ours"), Ok(()));
        assert_eq!(failing.choose("0", "alice").unwrap().expose_secret(), "ours");
        assert!(matches!(
            opened(&failing, "alice", "x"),
            Err(KeyError::Command { .. })
        ));
        let chosen = with_program(&[], variables).choose("0", "alice").unwrap();
        assert_eq!(chosen.expose_secret(), "0 alice new-key");
    }

    #[test]
    fn nobody_is_asked_without_a_terminal() {
        let none = set(&[]);
        let refused = opened(&none, "alice", "x").unwrap_err().to_string();
        assert!(
            refused.contains("no passphrase was given") && refused.contains("NOTARY_DELEGATION_PASSPHRASE")
        );
        assert!(none.choose("0", "root").is_err());
    }
}
