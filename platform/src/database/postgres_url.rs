//! `storage.db_url` for PostgreSQL: what Notary's driver accepts, as libpq wants it.

use std::{fmt::Write, path::PathBuf};

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

use super::reason::TlsFiles;

/// The default of Notary's driver: an encrypted connection, or none.
const DEFAULT_SSLMODE: &str = "require";
/// Seconds for a connection attempt to one host, unless the address says otherwise.
const CONNECT_TIMEOUT: &str = "5";
/// Seconds of silence after which a dead connection is noticed.
const KEEPALIVES: [(&str, &str); 4] = [
    ("keepalives_idle", "15"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];
/// The keywords of libpq that are passed on; any other one is a setting of the session.
const LIBPQ: [&str; 28] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "channel_binding",
    "connect_timeout",
    "client_encoding",
    "options",
    "application_name",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslrootcert",
    "sslcrl",
    "sslsni",
    "ssl_min_protocol_version",
    "krbsrvname",
    "target_session_attrs",
];
/// Parameters of Notary's driver itself, which libpq does not know.
const IGNORED: [&str; 3] = ["binary_parameters", "disable_prepared_binary_result", "sslinline"];
/// The modes that Notary's driver and libpq share.
const SSLMODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// The address of a PostgreSQL database. Its password never appears in output.
#[derive(Clone)]
pub struct PostgresUrl {
    keywords: SecretString,
    place: String,
    files: TlsFiles,
}

/// Why a text is not the address of a PostgreSQL database. The messages never contain the password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresUrlError {
    /// The text has neither of the two forms.
    #[error(
        "postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=FILE, \
         or the same as keywords: host=... user=... dbname=..."
    )]
    Form,
    /// A percent sign that does not start a code.
    #[error("a part of the address is not valid UTF-8 after percent-decoding")]
    Encoding,
    /// An unknown TLS mode.
    #[error("sslmode is not one of disable, allow, prefer, require, verify-ca, verify-full")]
    Sslmode,
    /// A setting whose name cannot be one.
    #[error("{0:?} is not the name of a setting")]
    Setting(String),
    /// Certificates and keys inside of the address, which Notary's driver can read and libpq cannot.
    #[error("sslinline is not supported: name files in sslcert, sslkey and sslrootcert")]
    Inline,
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresUrl({})", self.place)
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.keywords.expose_secret() == other.keywords.expose_secret()
    }
}

impl Eq for PostgresUrl {}

impl PostgresUrl {
    /// Reads a URL or a keyword string.
    ///
    /// The defaults are those of Notary's driver: `sslmode=require`, and `localhost` rather than a socket. Settings of
    /// the session may stand among the connection's keywords.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, PostgresUrlError> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"));
        let pairs = match rest {
            Some(rest) => from_url(rest)?,
            None if text.contains("://") => return Err(PostgresUrlError::Form),
            None => from_keywords(text)?,
        };
        Self::from_pairs(pairs)
    }

    fn from_pairs(pairs: Vec<(String, String)>) -> Result<Self, PostgresUrlError> {
        let mut keywords: Vec<(String, String)> = Vec::new();
        let mut settings = String::new();
        for (key, value) in pairs {
            match key.as_str() {
                "sslmode" if !SSLMODES.contains(&value.as_str()) => return Err(PostgresUrlError::Sslmode),
                "sslinline" if value == "true" => return Err(PostgresUrlError::Inline),
                "options" => settings.push_str(&format!(" {value}")),
                known if LIBPQ.contains(&known) => {
                    keywords.retain(|(other, _)| *other != key);
                    keywords.push((key, value));
                }
                ignored if IGNORED.contains(&ignored) => {}
                setting => {
                    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
                    if setting.is_empty() || !setting.chars().all(valid) {
                        return Err(PostgresUrlError::Setting(key));
                    }
                    let value = value.replace('\\', r"\\").replace(' ', r"\ ");
                    settings.push_str(&format!(" -c {setting}={value}"));
                }
            }
        }
        let mut default = |key: &str, variable: Option<&str>, value: &str| {
            let said = keywords.iter().any(|(known, _)| known == key);
            let in_environment = variable.is_some_and(|name| std::env::var_os(name).is_some());
            if !said && !in_environment {
                keywords.push((key.to_owned(), value.to_owned()));
            }
        };
        default("sslmode", Some("PGSSLMODE"), DEFAULT_SSLMODE);
        default("host", Some("PGHOST"), "localhost");
        default("connect_timeout", Some("PGCONNECT_TIMEOUT"), CONNECT_TIMEOUT);
        default("fallback_application_name", None, "countersign");
        for (key, value) in KEEPALIVES {
            default(key, None, value);
        }
        if !settings.is_empty() {
            keywords.push(("options".into(), settings.trim_start().to_owned()));
        }
        let found = |key: &str| {
            keywords
                .iter()
                .find(|(known, _)| known == key)
                .map(|(_, v)| v.as_str())
        };
        let place = format!(
            "{}:{}/{}",
            found("host").unwrap_or("localhost"),
            found("port").unwrap_or("5432"),
            found("dbname").or(found("user")).unwrap_or_default()
        );
        let file = |key: &str| found(key).filter(|path| !path.is_empty()).map(PathBuf::from);
        let is_encrypted = found("sslmode") != Some("disable");
        let files = TlsFiles {
            ca: file("sslrootcert"),
            certificate: file("sslcert"),
            key: file("sslkey"),
            has_key_password: found("sslpassword").is_some_and(|password| !password.is_empty()),
        };
        let files = if is_encrypted { files } else { TlsFiles::default() };
        let mut text = String::new();
        for (key, value) in &keywords {
            let value = value.replace('\\', r"\\").replace('\'', r"\'");
            // Writing to a string does not fail.
            let _ = write!(text, "{key}='{value}' ");
        }
        Ok(Self {
            keywords: text.into(),
            place,
            files,
        })
    }

    /// Host, port and database name.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The files that TLS needs.
    pub(super) fn tls_files(&self) -> &TlsFiles {
        &self.files
    }

    /// The keyword string for libpq, with the password.
    pub(super) fn for_libpq(&self) -> &str {
        self.keywords.expose_secret()
    }
}

fn decode(text: &str) -> Result<String, PostgresUrlError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| PostgresUrlError::Encoding)
}

/// `[user[:password]@][host[:port][,…]][/database][?key=value[&…]]`
fn from_url(rest: &str) -> Result<Vec<(String, String)>, PostgresUrlError> {
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = address.split_once('/').unwrap_or((address, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').map_or((user, None), |(u, p)| (u, Some(p)));
    let mut pairs = Vec::new();
    let mut add = |key: &str, value: &str| -> Result<(), PostgresUrlError> {
        if !value.is_empty() {
            pairs.push((key.to_owned(), decode(value)?));
        }
        Ok(())
    };
    add("user", user)?;
    add("password", password.unwrap_or_default())?;
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((name, after)) => (name, after.strip_prefix(':').unwrap_or(after)),
            None => host.split_once(':').unwrap_or((host, "")),
        };
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return Err(PostgresUrlError::Form);
        }
        names.push(name);
        ports.push(port);
    }
    add("host", &names.join(","))?;
    if ports.iter().any(|port| !port.is_empty()) {
        add("port", &ports.join(","))?;
    }
    add("dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(PostgresUrlError::Form)?;
        // Only in the query does a plus sign stand for a blank.
        pairs.push((decode(key)?, decode(&value.replace('+', " "))?));
    }
    Ok(pairs)
}

/// `key = value …`, values in single quotes where they hold blanks, a backslash before either.
fn from_keywords(text: &str) -> Result<Vec<(String, String)>, PostgresUrlError> {
    let mut pairs = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        if characters.peek().is_none() {
            break;
        }
        let mut key = String::new();
        while let Some(c) = characters.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        if key.is_empty() || characters.next() != Some('=') {
            return Err(PostgresUrlError::Form);
        }
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = characters.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match characters.next() {
                Some('\\') => value.push(characters.next().ok_or(PostgresUrlError::Form)?),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return Err(PostgresUrlError::Form),
                None => break,
            }
        }
        pairs.push((key, value));
    }
    if pairs.is_empty() {
        return Err(PostgresUrlError::Form);
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(text: &str) -> String {
        PostgresUrl::parse(text).unwrap().for_libpq().to_owned()
    }

    #[test]
    fn urls_become_keywords_with_the_reference_defaults() {
        let text = keywords("postgres://us%40er:p%3Aa%20'ss@db.example:6432/notary%2Fserver");
        for expected in [
            "user='us@er' ",
            r"password='p:a \'ss' ",
            "host='db.example' ",
            "port='6432' ",
            "dbname='notary/server' ",
            "sslmode='require' ",
            "connect_timeout='5' ",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(keywords("postgresql://u@/d").contains("host='localhost' "));
        let hosts = keywords("postgres://u@a:1,[::1]:2/d?sslmode=disable");
        assert!(hosts.contains("host='a,::1' port='1,2' ") && hosts.contains("sslmode='disable' "));
    }

    #[test]
    fn tls_files_and_session_settings_are_passed_on() {
        let text = keywords(
            "postgres://u@h/d?sslmode=verify-ca&sslrootcert=/c/ca.pem&sslcert=/c/c.pem&sslkey=/c/k.pem\
             &search_path=my+schema&binary_parameters=yes",
        );
        for expected in [
            "sslmode='verify-ca' ",
            "sslrootcert='/c/ca.pem' ",
            "sslcert='/c/c.pem' ",
            "sslkey='/c/k.pem' ",
            r"options='-c search_path=my\\ schema' ",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains("binary_parameters"));
    }

    #[test]
    fn keyword_strings_may_quote_and_escape() {
        let text = keywords(r"host = /run/postgresql user='a b' password=it\'s\\ dbname=d port=1");
        for expected in [
            "host='/run/postgresql' ",
            "user='a b' ",
            r"password='it\'s\\' ",
            "dbname='d' ",
            "port='1' ",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            "",
            "mysql://h/d",
            "host",
            "host='x",
            "postgres://h:port/d",
            "postgres://h/d?sslmode",
            "=x",
        ] {
            assert_eq!(
                PostgresUrl::parse(bad).unwrap_err(),
                PostgresUrlError::Form,
                "{bad}"
            );
        }
        assert_eq!(
            PostgresUrl::parse("host=h sslmode=on").unwrap_err(),
            PostgresUrlError::Sslmode
        );
        assert!(PostgresUrl::parse("postgres://h/d?a;b=c").is_err());
    }

    #[test]
    fn the_password_is_not_shown() {
        let url = PostgresUrl::parse("postgres://u:geheim@h:1/d").unwrap();
        assert_eq!(format!("{url:?}"), "PostgresUrl(h:1/d)");
        assert_eq!(url.place(), "h:1/d");
    }
}
