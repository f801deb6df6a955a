//! A directory of private keys as notary and docker keep it: `private/<key ID>.key` below `~/.docker/trust` or
//! `~/.notary`.

use std::{
    env, fs,
    fs::File,
    io::{ErrorKind, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use platform::reason;
use secrecy::ExposeSecret;
use tempfile::NamedTempFile;
use tuf::{Gun, KeyId, PublicKey};
use zeroize::Zeroizing;

use super::pem::{self, Closed, KeyFile};
use super::{KeyError, KeyInfo, KeyStore, Passphrases, PrivateKey, SigningKey, UNKNOWN_ROLE, check_role};

/// The keys of a directory.
pub struct KeyDirectory {
    path: PathBuf,
    passphrases: Passphrases,
}

impl KeyDirectory {
    /// The keys of the trust directory `path`, which holds the directory `private`. Nothing is made yet.
    pub fn new(path: &Path, passphrases: Passphrases) -> Self {
        Self {
            path: path.join("private"),
            passphrases,
        }
    }

    /// `$DOCKER_CONFIG/trust`, or `~/.docker/trust`; `None` without a home.
    pub fn default_path() -> Option<PathBuf> {
        let set = |name: &str| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let docker = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")));
        docker.map(|docker| docker.join("trust"))
    }

    /// Reads a private key from a file of any form: PEM of PKCS#8, EC (SEC 1) or RSA (PKCS#1), each with or without a
    /// passphrase, those of notary and docker, and the same in DER.
    ///
    /// # Errors
    /// When it cannot be read or opened, or is of a kind that is of no use.
    pub fn read_file(&self, path: &Path, role: &str) -> Result<PrivateKey, KeyError> {
        let content = fs::read(path).map_err(|cause| wrong(path, reason::of_io(&cause)))?;
        let content = Zeroizing::new(content);
        let text = std::str::from_utf8(&content).ok();
        let Some(file) = text.and_then(KeyFile::read) else {
            let key = openssl::pkey::PKey::private_key_from_der(&content)
                .map_err(|_| wrong(path, "it holds no private key in PEM or DER"))?;
            return PrivateKey::new(key);
        };
        self.opened(&file, path, &path.display().to_string(), role)
    }

    fn file(&self, id: &KeyId) -> PathBuf {
        self.path.join(format!("{}.key", id.as_str()))
    }

    fn read(&self, path: &Path) -> Result<KeyFile, KeyError> {
        let text = fs::read_to_string(path).map_err(|cause| wrong(path, reason::of_io(&cause)))?;
        let text = Zeroizing::new(text);
        KeyFile::read(&text)
            .ok_or_else(|| wrong(path, "it holds no private key as notary and docker write it"))
    }

    fn opened(&self, file: &KeyFile, path: &Path, id: &str, role: &str) -> Result<PrivateKey, KeyError> {
        let damaged = || {
            wrong(
                path,
                "it holds a private key that is damaged, or of an unknown kind",
            )
        };
        if !file.is_encrypted() {
            return PrivateKey::new(file.open(b"").map_err(|_| damaged())?);
        }
        let key = self
            .passphrases
            .open(id, role, |passphrase| match file.open(passphrase) {
                Ok(key) => Some(Ok(key)),
                Err(Closed::Passphrase) => None,
                Err(Closed::Damaged) => Some(Err(damaged())),
            })??;
        PrivateKey::new(key)
    }
}

impl KeyStore for KeyDirectory {
    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(wrong(&self.path, reason::of_io(&cause))),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry
                .map_err(|cause| wrong(&self.path, reason::of_io(&cause)))?
                .path();
            let name = path.file_name().and_then(|name| name.to_str());
            let id = name.and_then(|name| KeyId::parse(name.strip_suffix(".key")?).ok());
            // Whatever else lies here is none of ours.
            let Some(id) = id else {
                continue;
            };
            let file = self.read(&path)?;
            found.push(KeyInfo {
                id,
                role: file.header("role").unwrap_or(UNKNOWN_ROLE).to_owned(),
                gun: file.header("gun").map(str::to_owned),
                place: path.display().to_string(),
            });
        }
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }

    fn open(&self, id: &KeyId) -> Result<Box<dyn SigningKey>, KeyError> {
        let path = self.file(id);
        if !path.exists() {
            return Err(KeyError::Missing {
                id: id.as_str().to_owned(),
                place: self.path.display().to_string(),
            });
        }
        let file = self.read(&path)?;
        let role = file.header("role").unwrap_or(UNKNOWN_ROLE);
        let key = self.opened(&file, &path, id.as_str(), role)?;
        if key.id() != id {
            return Err(wrong(
                &path,
                format!("it holds another key, {}", key.id().as_str()),
            ));
        }
        Ok(Box::new(key))
    }

    fn generate(&self, role: &str, gun: Option<&Gun>) -> Result<PublicKey, KeyError> {
        let key = PrivateKey::generate()?;
        self.add(&key, role, gun)?;
        Ok(key.public().clone())
    }

    fn add(&self, key: &PrivateKey, role: &str, gun: Option<&Gun>) -> Result<(), KeyError> {
        check_role(role)?;
        let path = self.file(key.id());
        if path.exists() {
            return Ok(());
        }
        let passphrase = self.passphrases.choose(key.id().as_str(), role)?;
        let passphrase = passphrase.expose_secret().as_bytes();
        let text = pem::write(key.pkey(), role, gun.map(Gun::as_str), passphrase)
            .map_err(|cause| KeyError::OpenSsl(reason::of_openssl(&cause)))?;
        let text = Zeroizing::new(text);
        let write = || {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.path)?;
            // Only the owner may read a temporary file.
            let mut file = NamedTempFile::new_in(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist_noclobber(&path).map_err(|cause| cause.error)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|cause: std::io::Error| wrong(&path, reason::of_io(&cause)))
    }

    fn remove(&self, id: &KeyId) -> Result<bool, KeyError> {
        let path = self.file(id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(wrong(&path, reason::of_io(&cause))),
        }
    }
}

fn wrong(path: &Path, reason: impl Into<String>) -> KeyError {
    KeyError::File {
        path: path.to_path_buf(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_come_back_as_they_were_kept() {
        let home = tempfile::tempdir().unwrap();
        let keys = KeyDirectory::new(home.path(), Passphrases::of(|_| Some("secret".into())));
        assert_eq!(keys.list(), Ok(Vec::new()));
        let key = PrivateKey::generate().unwrap();
        let gun = Gun::parse("reg.example/app").unwrap();
        keys.add(&key, "targets", Some(&gun)).unwrap();
        keys.add(&key, "targets", Some(&gun)).unwrap();
        let listed = keys.list().unwrap();
        assert_eq!((listed.len(), &listed[0].id), (1, key.id()));
        assert_eq!(
            (listed[0].role.as_str(), listed[0].gun.as_deref()),
            ("targets", Some("reg.example/app"))
        );
        assert_eq!(
            fs::metadata(&listed[0].place).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(keys.open(key.id()).unwrap().public(), key.public());
        let other = KeyDirectory::new(home.path(), Passphrases::of(|_| Some("other".into())));
        assert!(matches!(other.open(key.id()), Err(KeyError::Passphrase { .. })));
        let misnamed = home.path().join(format!("private/{}.key", "0".repeat(64)));
        fs::copy(&listed[0].place, misnamed).unwrap();
        assert!(keys.open(&KeyId::parse(&"0".repeat(64)).unwrap()).is_err());
        assert_eq!(
            (keys.remove(key.id()), keys.remove(key.id())),
            (Ok(true), Ok(false))
        );
        assert!(matches!(keys.add(&key, "a\nb", None), Err(KeyError::Role(_))));
    }
}
