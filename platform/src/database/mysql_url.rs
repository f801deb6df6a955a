//! `storage.db_url` for MySQL and MariaDB: the form of Notary's driver, and URLs.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::reason::TlsFiles;

/// The default port.
const PORT: u16 = 3306;
/// The default socket, as in Notary's driver.
const SOCKET: &str = "/tmp/mysql.sock";
/// Parameters of Notary's driver that are accepted and ignored, because diesel does not let us choose.
const IGNORED: [&str; 18] = [
    "parseTime",
    "loc",
    "charset",
    "collation",
    "interpolateParams",
    "multiStatements",
    "clientFoundRows",
    "columnsWithAlias",
    "allowNativePasswords",
    "allowOldPasswords",
    "maxAllowedPacket",
    "rejectReadOnly",
    "checkConnLiveness",
    "strict",
    "timeout",
    "readTimeout",
    "writeTimeout",
    "allowCleartextPasswords",
];

/// The address of a MySQL or MariaDB database. Its password never appears in output.
#[derive(Clone)]
pub struct MysqlUrl {
    url: SecretString,
    place: String,
    encrypted: bool,
    settings: Vec<(String, String)>,
    files: TlsFiles,
}

/// Why a text is not the address of a MySQL database. The messages never contain the password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MysqlUrlError {
    /// The text has neither of the two forms.
    #[error(
        "user:password@tcp(host:3306)/database, user:password@unix(/path)/database, \
         or mysql://user:password@host:3306/database"
    )]
    Form,
    /// A percent sign that does not start a code.
    #[error("a part of the address is not valid UTF-8 after percent-decoding")]
    Encoding,
    /// TLS settings that cannot be honoured.
    #[error(
        "TLS needs the CA of the database server: tls=true&ssl-ca=FILE (its chain is verified, its name is \
         not); without TLS: tls=false"
    )]
    Tls,
    /// A setting whose name or value cannot be one.
    #[error("{0:?} is not a setting of a session")]
    Setting(String),
}

impl std::fmt::Debug for MysqlUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MysqlUrl({})", self.place)
    }
}

impl PartialEq for MysqlUrl {
    fn eq(&self, other: &Self) -> bool {
        self.url.expose_secret() == other.url.expose_secret() && self.settings == other.settings
    }
}

impl Eq for MysqlUrl {}

enum Host {
    Tcp(String, u16),
    Socket(String),
}

struct Parts {
    user: String,
    password: String,
    host: Host,
    database: String,
    parameters: Vec<(String, String)>,
}

impl MysqlUrl {
    /// Reads either form.
    ///
    /// # Errors
    /// When it is neither, or asks for TLS that this client cannot do.
    pub fn parse(text: &str) -> Result<Self, MysqlUrlError> {
        let parts = if text.starts_with("mysql://") {
            from_url(text)?
        } else {
            from_dsn(text)?
        };
        Self::from_parts(parts)
    }

    fn from_parts(parts: Parts) -> Result<Self, MysqlUrlError> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
        // diesel does not percent-decode the name.
        if parts.database.is_empty() || !parts.database.chars().all(plain) {
            return Err(MysqlUrlError::Form);
        }
        let (authority, place, mut query) = match &parts.host {
            Host::Tcp(host, port) => {
                let shown = if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                };
                (shown.clone(), shown, Vec::new())
            }
            Host::Socket(path) => (
                "localhost".into(),
                path.clone(),
                vec![("unix_socket", path.clone())],
            ),
        };
        let mut tls = None;
        let mut settings = Vec::new();
        for (key, value) in parts.parameters {
            match key.replace('_', "-").as_str() {
                "tls" | "ssl-mode" => tls = Some(value.to_lowercase()),
                "ssl-ca" => query.push(("ssl_ca", value)),
                "ssl-cert" => query.push(("ssl_cert", value)),
                "ssl-key" => query.push(("ssl_key", value)),
                "unix-socket" | "socket" => query.push(("unix_socket", value)),
                _ if IGNORED.contains(&key.as_str()) => {}
                _ => settings.push(setting(key, value)?),
            }
        }
        let has_ca = query.iter().any(|(key, _)| *key == "ssl_ca");
        let encrypted = match tls.as_deref() {
            None => has_ca,
            Some("false" | "disabled") if !has_ca => false,
            // MariaDB's client library speaks TLS only with a CA to verify against.
            Some("true" | "custom" | "verify-ca" | "verify_ca" | "skip-verify" | "required") if has_ca => {
                true
            }
            Some("preferred") => has_ca,
            // It does not verify host names either. Refuse rather than promise that it does.
            Some(_) => return Err(MysqlUrlError::Tls),
        };
        let file = |key: &str| {
            query
                .iter()
                .find(|(known, _)| *known == key)
                .map(|(_, path)| path.into())
        };
        let files = TlsFiles {
            ca: file("ssl_ca"),
            certificate: file("ssl_cert"),
            key: file("ssl_key"),
            has_key_password: false,
        };
        let query: Vec<String> = query
            .iter()
            .map(|(key, value)| format!("{key}={}", encoded(value)))
            .collect();
        let url = format!(
            "mysql://{}:{}@{authority}/{}?{}",
            encoded(&parts.user),
            encoded(&parts.password),
            parts.database,
            query.join("&")
        );
        Ok(Self {
            url: url.into(),
            place: format!("{place}/{}", parts.database),
            encrypted,
            settings,
            files,
        })
    }

    /// Host, port and database name.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether a connection must be encrypted.
    pub(super) fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// The files that TLS needs.
    pub(super) fn tls_files(&self) -> &TlsFiles {
        &self.files
    }

    /// Session variables to set, checked to be names and literals.
    pub(super) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// The URL for diesel, with the password.
    pub(super) fn for_diesel(&self) -> &str {
        self.url.expose_secret()
    }
}

/// Notary's driver sets unknown parameters as variables of the session, the values as they stand.
fn setting(key: String, value: String) -> Result<(String, String), MysqlUrlError> {
    let name = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let quoted = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let literal = quoted
        .unwrap_or(&value)
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || " _-.,:+/".contains(c));
    if name && literal && !value.is_empty() {
        Ok((key, value))
    } else {
        Err(MysqlUrlError::Setting(key))
    }
}

fn decode(text: &str) -> Result<String, MysqlUrlError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| MysqlUrlError::Encoding)
}

fn parameters(query: &str) -> Result<Vec<(String, String)>, MysqlUrlError> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or(MysqlUrlError::Form)?;
            Ok((key.to_owned(), decode(&value.replace('+', " "))?))
        })
        .collect()
}

fn host_and_port(text: &str) -> Result<Host, MysqlUrlError> {
    let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, after)) => (host, after.strip_prefix(':').unwrap_or(after)),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = if port.is_empty() {
        PORT
    } else {
        port.parse().map_err(|_| MysqlUrlError::Form)?
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if !host.chars().all(valid) {
        return Err(MysqlUrlError::Form);
    }
    // The client library takes the name localhost for a socket.
    let host = if matches!(host, "" | "localhost") {
        "127.0.0.1"
    } else {
        host
    };
    Ok(Host::Tcp(host.to_owned(), port))
}

/// `[user[:password]@][net[(address)]]/database[?key=value[&…]]`; nothing before the parameters is encoded.
fn from_dsn(text: &str) -> Result<Parts, MysqlUrlError> {
    let (before, after) = text.rsplit_once('/').ok_or(MysqlUrlError::Form)?;
    let (before, after) = if let Some(question) = text.find(")/").filter(|_| before.contains('?')) {
        // A slash in a parameter's value.
        let (before, after) = text.split_at(question + 1);
        (before, after.trim_start_matches('/'))
    } else {
        (before, after)
    };
    if before.contains("://") {
        return Err(MysqlUrlError::Form);
    }
    let (database, query) = after.split_once('?').unwrap_or((after, ""));
    let (user, net) = before.rsplit_once('@').unwrap_or(("", before));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (net, address) = match net.split_once('(') {
        Some((net, address)) => (net, address.strip_suffix(')').ok_or(MysqlUrlError::Form)?),
        None => (net, ""),
    };
    let host = match net {
        "" | "tcp" | "tcp6" => host_and_port(address)?,
        "unix" if address.is_empty() => Host::Socket(SOCKET.to_owned()),
        "unix" => Host::Socket(address.to_owned()),
        _ => return Err(MysqlUrlError::Form),
    };
    Ok(Parts {
        user: user.to_owned(),
        password: password.to_owned(),
        host,
        database: decode(database)?,
        parameters: parameters(query)?,
    })
}

/// `mysql://[user[:password]@]host[:port]/database[?key=value[&…]]`, read by the library that diesel's driver reads it
/// with.
fn from_url(text: &str) -> Result<Parts, MysqlUrlError> {
    let url = Url::parse(text).map_err(|_| MysqlUrlError::Form)?;
    let database = url.path().strip_prefix('/').ok_or(MysqlUrlError::Form)?;
    let mut host = url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = url.port() {
        host = format!("{host}:{port}");
    }
    Ok(Parts {
        user: decode(url.username())?,
        password: decode(url.password().unwrap_or_default())?,
        host: host_and_port(&host)?,
        database: decode(database)?,
        parameters: parameters(url.query().unwrap_or_default())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        MysqlUrl::parse(text).unwrap().for_diesel().to_owned()
    }

    #[test]
    fn the_form_of_notarys_driver_is_read() {
        assert_eq!(
            url("server:p@ss:w/ord@tcp(mysql:3307)/notaryserver?parseTime=True"),
            "mysql://server:p%40ss%3Aw%2Ford@mysql:3307/notaryserver?"
        );
        assert_eq!(url("u@tcp(localhost)/d"), "mysql://u:@127.0.0.1:3306/d?");
        assert_eq!(url("u@/d"), "mysql://u:@127.0.0.1:3306/d?");
        assert_eq!(url("/d"), "mysql://:@127.0.0.1:3306/d?");
        assert_eq!(url("u@tcp([::1]:1)/d"), "mysql://u:@[::1]:1/d?");
        assert_eq!(
            url("u:p@unix(/run/my sql.sock)/d?loc=Local"),
            "mysql://u:p@localhost/d?unix_socket=%2Frun%2Fmy%20sql%2Esock"
        );
    }

    #[test]
    fn urls_are_read() {
        assert_eq!(
            url("mysql://us%40er:p%2Fw@db.example/n?ssl-ca=/c/ca.pem"),
            "mysql://us%40er:p%2Fw@db.example:3306/n?ssl_ca=%2Fc%2Fca%2Epem"
        );
    }

    #[test]
    fn tls_is_never_weaker_than_asked_for() {
        let encrypted = |text: &str| MysqlUrl::parse(text).map(|url| url.encrypted());
        assert_eq!(encrypted("u@tcp(h)/d"), Ok(false));
        assert_eq!(encrypted("u@tcp(h)/d?tls=false"), Ok(false));
        assert_eq!(encrypted("u@tcp(h)/d?tls=skip-verify&ssl-ca=/ca.pem"), Ok(true));
        assert_eq!(encrypted("u@tcp(h)/d?tls=true&ssl-ca=/ca.pem"), Ok(true));
        assert_eq!(
            encrypted("mysql://u@h/d?ssl_mode=verify_ca&ssl_ca=/ca.pem"),
            Ok(true)
        );
        for unverifiable in [
            "u@tcp(h)/d?tls=true",
            "u@tcp(h)/d?tls=skip-verify",
            "u@tcp(h)/d?tls=custom",
            "mysql://u@h/d?ssl-mode=verify_identity&ssl-ca=/ca.pem",
        ] {
            assert_eq!(encrypted(unverifiable), Err(MysqlUrlError::Tls), "{unverifiable}");
        }
    }

    #[test]
    fn other_parameters_are_settings_of_the_session() {
        let url = MysqlUrl::parse("u@tcp(h)/d?innodb_lock_wait_timeout=5&charset=utf8").unwrap();
        assert_eq!(url.settings(), [("innodb_lock_wait_timeout".into(), "5".into())]);
        for bad in ["u@tcp(h)/d?a=1;DROP", "u@tcp(h)/d?a%20b=1"] {
            assert!(
                matches!(MysqlUrl::parse(bad), Err(MysqlUrlError::Setting(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            "",
            "u@tcp(h)",
            "u@tcp(h/d",
            "u@pipe(x)/d",
            "postgres://u@h/d",
            "u@tcp(h:x)/d",
            "mysql://h",
        ] {
            assert_eq!(MysqlUrl::parse(bad).unwrap_err(), MysqlUrlError::Form, "{bad}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let url = MysqlUrl::parse("u:geheim@tcp(h:1)/d").unwrap();
        assert_eq!(format!("{url:?}"), "MysqlUrl(h:1/d)");
    }
}
