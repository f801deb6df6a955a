//! The program gpg, which has the OpenPGP keys of whoever runs this (GNUPGHOME) and asks for their passphrases by its agent.

use std::{
    ffi::OsString,
    io::{ErrorKind, Read, Write},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use tempfile::NamedTempFile;

use super::{BridgeError, payload};

/// The largest signature, or complaint, of gpg that is read, in bytes.
const LIMIT: u64 = 1 << 20;
/// What begins a line for programs.
const STATUS: &str = "[GNUPG:] ";

/// The fingerprint of an OpenPGP key, in upper case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(String);

/// A key of gpg's.
pub struct Gpg {
    key: Fingerprint,
    passphrase: Option<PathBuf>,
}

/// What gpg printed, and said for programs.
struct Told {
    output: Vec<u8>,
    status: String,
}

impl Fingerprint {
    /// Reads a whole fingerprint: anything shorter can be that of somebody else's key too.
    pub fn parse(text: &str) -> Option<Self> {
        let is_whole = [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_whole.then(|| Self(text.to_ascii_uppercase()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Gpg {
    /// The key of this fingerprint. Its passphrase is the first line of the file, if one is named.
    pub fn new(key: Fingerprint, passphrase: Option<PathBuf>) -> Self {
        Self { key, passphrase }
    }

    /// The fingerprint.
    pub fn key(&self) -> &Fingerprint {
        &self.key
    }

    /// Signs, and verifies what came of it.
    ///
    /// # Errors
    /// When gpg does not sign with this very key.
    pub(super) fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, BridgeError> {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(file) = &self.passphrase {
            arguments.extend(["--pinentry-mode", "loopback", "--passphrase-file"].map(OsString::from));
            arguments.push(file.into());
        }
        // With the mark it is this key that signs, and no subkey, which older readers do not accept.
        let key = format!("{}!", self.key.0);
        arguments.extend(["--local-user", &key, "--output", "-", "--sign"].map(OsString::from));
        let signature = run(&arguments, payload)?.output;
        match self.signed(&signature)? {
            Some(content) if content == payload => Ok(signature),
            _ => Err(BridgeError::Unverified(format!(
                "gpg did not sign with {}",
                self.key.0
            ))),
        }
    }

    /// What a signature is about; `None` unless this key made it and it is good now.
    ///
    /// # Errors
    /// When gpg cannot be run.
    pub(super) fn signed(&self, signature: &[u8]) -> Result<Option<Vec<u8>>, BridgeError> {
        let limit = payload::LIMIT.to_string();
        let arguments = ["--max-output", &limit, "--output", "-", "--verify"].map(OsString::from);
        let told = match run(&arguments, signature) {
            Ok(told) => told,
            // Of others, or damaged.
            Err(BridgeError::Gpg(_)) => return Ok(None),
            Err(cause) => return Err(cause),
        };
        let lines: Vec<Vec<&str>> = told
            .status
            .lines()
            .filter_map(|line| line.strip_prefix(STATUS))
            .map(|line| line.split(' ').collect())
            .collect();
        let of = |keyword: &str| -> Vec<&Vec<&str>> {
            lines
                .iter()
                .filter(|line| line.first() == Some(&keyword))
                .collect()
        };
        let is_ours = match (of("NEWSIG").as_slice(), of("VALIDSIG").as_slice()) {
            ([_], [valid]) => valid.get(1).is_some_and(|key| *key == self.key.0),
            _ => false,
        };
        let is_good = is_ours && of("GOODSIG").len() == 1;
        Ok(is_good.then_some(told.output))
    }
}

/// Runs gpg with this input.
fn run(arguments: &[OsString], input: &[u8]) -> Result<Told, BridgeError> {
    let failed = |what: &str, cause: &std::io::Error| {
        BridgeError::Gpg(format!("{what}: {}", platform::reason::of_io(cause)))
    };
    let mut status = NamedTempFile::new().map_err(|cause| failed("a temporary file", &cause))?;
    let spawned = Command::new("gpg")
        .args([
            "--batch",
            "--no-tty",
            "--yes",
            "--no-auto-key-retrieve",
            "--status-file",
        ])
        .arg(status.path())
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => {
            BridgeError::Gpg("there is no such program; install GnuPG (Debian's gnupg)".to_owned())
        }
        _ => failed("it cannot be run", &cause),
    })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (output, complaints) = thread::scope(|scope| {
        // It may end before it has read everything, which its exit code tells.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        let complaints = scope.spawn(move || bounded(stderr));
        let output = bounded(stdout);
        (output, complaints.join().unwrap_or_default())
    });
    let ended = child.wait().map_err(|cause| failed("it cannot be run", &cause))?;
    if !ended.success() {
        let complaints = String::from_utf8_lossy(&complaints);
        let last = complaints
            .lines()
            .map(|line| line.trim_start_matches("gpg: "))
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        let last: String = last
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(500)
            .collect();
        return Err(BridgeError::Gpg(last));
    }
    let mut text = String::new();
    status
        .read_to_string(&mut text)
        .map_err(|cause| failed("its status", &cause))?;
    Ok(Told { output, status: text })
}

fn bounded(from: Option<impl Read>) -> Vec<u8> {
    let mut content = Vec::new();
    if let Some(from) = from {
        // What is cut off does not verify.
        let _ = from.take(LIMIT).read_to_end(&mut content);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_fingerprints_name_a_key() {
        let whole = "C8EE87CCBF28DA4894891C8678A73A73DED23BFE";
        assert_eq!(Fingerprint::parse(&whole.to_lowercase()).unwrap().as_str(), whole);
        for other in [
            "",
            "DED23BFE",
            "78A73A73DED23BFE",
            &format!("0x{whole}"),
            &whole[1..],
            "alice",
        ] {
            assert_eq!(Fingerprint::parse(other), None, "{other}");
        }
    }
}
