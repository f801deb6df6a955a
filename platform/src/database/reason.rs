//! Why a connection failed, from the messages of the database drivers.

use std::path::{Path, PathBuf};

use crate::tls;

/// A failed attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing answers there, or TLS fails.
    Unreachable(String),
    /// The database server answered, and refused.
    Refused(String),
    /// It is a node of a cluster, and does not take part in the cluster.
    WithoutCluster(String),
    /// The file of an embedded database cannot be used.
    Unusable(String),
}

/// The files that a connection with TLS needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) ca: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    /// Whether the address has a password for the key.
    pub(super) has_key_password: bool,
}

impl TlsFiles {
    /// The failure for an encrypted key without a password, for which the driver would ask on the terminal.
    pub(super) fn encrypted_key(&self) -> Option<Failure> {
        let key = self.key.as_deref().filter(|_| !self.has_key_password)?;
        let content = crate::files::read(key).ok()?;
        if !tls::is_encrypted(&content) {
            return None;
        }
        self.fault().map(Failure::Unreachable)
    }

    /// What is wrong with the files themselves. The drivers say that in OpenSSL's words or not at all.
    fn fault(&self) -> Option<String> {
        let named = |path: &Path| path.as_os_str() != "system";
        if let Some(ca) = self.ca.as_deref().filter(|ca| named(ca))
            && let Err(wrong) = tls::read_certificates("the CA file of the database", ca)
        {
            return Some(wrong.to_string());
        }
        let (certificate, key) = (self.certificate.as_deref()?, self.key.as_deref()?);
        if self.has_key_password {
            return None;
        }
        let (what, whose) = (
            "the client certificate for the database",
            "the client key for the database",
        );
        tls::read_key_pair(what, certificate, whose, key)
            .err()
            .map(|wrong| wrong.to_string())
    }

    /// The failure, with a better reason if it is about TLS and one of the files is wrong.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Unreachable(reason) if is_about_tls(&reason) => {
                Failure::Unreachable(self.fault().unwrap_or(reason))
            }
            other => other,
        }
    }
}

fn is_about_tls(reason: &str) -> bool {
    ["certificate", "private key", "SSL", "TLS"]
        .iter()
        .any(|word| reason.contains(word))
}

/// From libpq's message, which has a line for every address of a host, and hints.
pub(super) fn postgres(text: &str) -> Failure {
    let mut refused = false;
    let mut reasons: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("Is the server running") {
            continue;
        }
        let said = match line.split_once(" failed: ") {
            Some((before, after)) if before.starts_with("connection to server") => after,
            _ => line,
        };
        let said = match said.strip_prefix("FATAL:") {
            Some(said) => {
                refused = true;
                said.trim()
            }
            None => said,
        };
        let reason = match said {
            "Connection refused" => "the connection was refused; is it running there?".to_owned(),
            "timeout expired" => "no answer in time".to_owned(),
            "SSL error: certificate verify failed" => {
                "its certificate could not be verified: none of the CAs in sslrootcert issued it, or it is not valid \
                 now (certificate verify failed)"
                    .to_owned()
            }
            "server does not support SSL, but SSL was required" => {
                "it does not speak TLS, which sslmode asks for".to_owned()
            }
            said => said.replacen("could not translate host name", "there is no address for the host name", 1),
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let reason = reasons.join("; ");
    if refused {
        Failure::Refused(reason)
    } else {
        Failure::Unreachable(reason)
    }
}

/// From the message of MariaDB's client library, which ends with the number of an error.
pub(super) fn mysql(text: &str) -> Failure {
    let text = text.trim();
    let without_number = match text.rsplit_once(" (") {
        Some((before, number)) if number.trim_end_matches(')').parse::<i32>().is_ok() => before,
        _ => text,
    };
    let unreachable = |reason: String| Failure::Unreachable(reason);
    if without_number.starts_with("Can't connect") {
        return unreachable("no connection to its host and port; is it running there?".into());
    }
    if let Some(host) = without_number.strip_prefix("Unknown server host ") {
        return unreachable(format!("there is no address for the host name {host}"));
    }
    if without_number.contains("TLS/SSL error") || without_number.contains("SSL connection error") {
        let reason = without_number
            .rsplit_once("error: ")
            .map_or(without_number, |(_, reason)| reason);
        return unreachable(format!(
            "TLS failed, because of ssl-ca, ssl-cert or ssl-key: {reason}"
        ));
    }
    if without_number.starts_with("Lost connection") || without_number.contains("server has gone away") {
        return unreachable(format!("it closed the connection ({without_number})"));
    }
    if without_number.starts_with("Access denied") && without_number.contains("using password") {
        return Failure::Refused(format!(
            "{without_number}; the user or the password is wrong, or this account must use TLS"
        ));
    }
    Failure::Refused(without_number.to_owned())
}

/// From SQLite's message.
pub(super) fn sqlite(path: &Path, text: &str) -> Failure {
    Failure::Unusable(if path.is_dir() {
        "it is a directory, not a file".into()
    } else if text.contains("file is not a database") {
        "it is not an SQLite database (file is not a database)".into()
    } else if text.contains("unable to open database file") || text.contains("readonly database") {
        format!("this process may not write to it or to its directory ({text})")
    } else {
        text.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpq_is_understood() {
        let refused = "connection to server at \"localhost\" (::1), port 1 failed: Connection refused\n\tIs the server \
                       running on that host and accepting TCP/IP connections?\nconnection to server at \"localhost\" \
                       (127.0.0.1), port 1 failed: Connection refused\n\tIs the server running on that host and \
                       accepting TCP/IP connections?\n";
        let expected = "the connection was refused; is it running there?";
        assert_eq!(postgres(refused), Failure::Unreachable(expected.into()));
        let password = "connection to server at \"h\", port 1 failed: FATAL:  password authentication failed for user \
                        \"u\"\n";
        let expected = "password authentication failed for user \"u\"";
        assert_eq!(postgres(password), Failure::Refused(expected.into()));
    }

    #[test]
    fn mariadbs_library_is_understood() {
        assert_eq!(
            mysql("Unknown server host 'h' (-2)"),
            Failure::Unreachable("there is no address for the host name 'h'".into())
        );
        assert_eq!(
            mysql("Unknown database 'nodb'"),
            Failure::Refused("Unknown database 'nodb'".into())
        );
    }
}
