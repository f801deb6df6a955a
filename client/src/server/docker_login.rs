//! The logins for registries in Docker's `config.json`, where `docker login` keeps them without a program of its own for
//! that: `auths`, by host, each the Base64 of `NAME:PASSWORD`.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::settings::{Credentials, SettingsError};

/// Under which name Docker keeps the login for Docker Hub.
const HUB_LOGIN: &str = "index.docker.io";

/// What Docker knows of a login.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// Name and password.
    pub(super) credentials: Credentials,
    /// Why there is a login that is not used here, as a sentence.
    pub(super) unused: Option<String>,
}

/// Reads the login for a registry; none if Docker has none.
///
/// # Errors
/// When the file cannot be read, or says something that is no login.
pub(super) fn read(docker: &Path, registry: &str, hub: &str) -> Result<Login, SettingsError> {
    let path = docker.join("config.json");
    if !path.exists() {
        return Ok(Login::default());
    }
    let wrong = |reason: String| SettingsError::File {
        path: path.clone(),
        reason,
    };
    let text = platform::files::read_to_string(&path).map_err(|cause| wrong(cause.to_string()))?;
    let config: Value = serde_json::from_str(&text)
        .map_err(|cause| wrong(format!("it is not the JSON of Docker's configuration: {cause}")))?;
    let host = if registry == hub { HUB_LOGIN } else { registry };
    let entries = config["auths"].as_object().into_iter().flatten();
    let entry = entries
        .filter(|(name, _)| host_of(name) == host)
        .map(|(_, entry)| entry)
        .next();
    let written = |name: &str| {
        let text = entry.and_then(|entry| entry[name].as_str());
        text.filter(|text| !text.is_empty())
    };
    if let Some(encoded) = written("auth") {
        // Some programs leave zeros behind the password.
        let bytes = STANDARD.decode(encoded.trim()).ok();
        let pair = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = pair.as_deref().map(|pair| pair.trim_end_matches('\0'));
        let Some((name, password)) = pair.and_then(|pair| pair.split_once(':')) else {
            return Err(wrong(format!(
                "auths.{host}.auth is not the Base64 of NAME:PASSWORD"
            )));
        };
        return Ok(Login {
            credentials: Credentials::User {
                name: name.to_owned(),
                password: password.into(),
            },
            unused: None,
        });
    }
    let helper = config["credHelpers"][host].as_str();
    let helper = helper.or_else(|| config["credsStore"].as_str().filter(|_| entry.is_some()));
    let unused = match helper.filter(|helper| !helper.is_empty()) {
        Some(helper) => Some(format!(
            "{} leaves the login for {host} to the program docker-credential-{helper}, which is not asked here: put `auths` \
             with the login into a config.json of its own, and name its directory with DOCKER_CONFIG",
            path.display()
        )),
        None => written("identitytoken").map(|_| {
            format!(
                "{} has an identity token for {host}, which is not used here: log in with a password or an access token",
                path.display()
            )
        }),
    };
    Ok(Login {
        credentials: Credentials::None,
        unused,
    })
}

/// The host of a name in `auths`, which may be an address.
fn host_of(name: &str) -> &str {
    let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    fn login(config: &str, registry: &str) -> Result<Login, SettingsError> {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("config.json"), config).unwrap();
        read(home.path(), registry, "docker.io")
    }

    fn pair(login: &Login) -> (String, String) {
        match &login.credentials {
            Credentials::User { name, password } => (name.clone(), password.expose_secret().to_owned()),
            _ => (String::new(), String::new()),
        }
    }

    #[test]
    fn a_login_is_for_its_own_host() {
        let config = r#"{"auths": {"https://reg:5000/v1/": {"auth": "YTpiOmM="}, "reg": {"auth": "eDp5"},
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"}}}"#;
        let found = |registry: &str| pair(&login(config, registry).unwrap());
        assert_eq!(found("reg:5000"), ("a".into(), "b:c".into()));
        assert_eq!(found("reg"), ("x".into(), "y".into()));
        assert_eq!(found("docker.io"), ("hub".into(), "pw".into()));
        assert_eq!(found("reg:5001").0, "");
        assert!(login(r#"{"auths": {"reg": {"auth": "eA=="}}}"#, "reg").is_err());
        assert!(login("{", "reg").is_err());
        assert!(read(Path::new("/absent"), "reg", "docker.io").is_ok());
    }

    #[test]
    fn logins_that_are_kept_elsewhere_are_named() {
        let unused =
            |config: &str, registry: &str| login(config, registry).unwrap().unused.unwrap_or_default();
        let store = r#"{"auths": {"reg": {}}, "credsStore": "desktop", "credHelpers": {"ecr": "ecr-login"}}"#;
        assert!(unused(store, "reg").contains("docker-credential-desktop"));
        assert!(unused(store, "ecr").contains("docker-credential-ecr-login"));
        assert_eq!(unused(store, "other"), "");
        let token = r#"{"auths": {"reg": {"identitytoken": "t"}}}"#;
        assert!(unused(token, "reg").contains("identity token"));
    }
}
