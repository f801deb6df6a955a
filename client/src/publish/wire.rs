//! The requests of a publisher.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{
    StatusCode,
    multipart::{Form, Part},
};
use serde::Deserialize;
use tuf::{Gun, KeyType, PublicKey, RoleName};

use crate::failure::ReadError;
use crate::reading::has_address;
use crate::server::{Access, Server};

/// The largest key that clients read, in bytes.
const KEY_LIMIT: u64 = 256 << 10;
/// The largest answer to an upload.
const ANSWER_LIMIT: u64 = 64 << 10;

#[derive(Deserialize)]
struct Key {
    keytype: String,
    keyval: Value,
}

#[derive(Deserialize)]
struct Value {
    public: String,
}

/// Which of the server's keys is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one it has, or a first one.
    Current,
    /// A new one, which replaces it when a root names it.
    New,
}

impl Server {
    /// The server's key for the snapshot or timestamp of a repository.
    pub(super) async fn server_key(
        &self,
        gun: &Gun,
        role: &RoleName,
        which: Which,
    ) -> Result<PublicKey, ReadError> {
        let file = format!("{}.key", role.as_str());
        let address = self.checked(gun, &file)?;
        let access = match which {
            Which::Current => Access::Push,
            Which::New => Access::Everything,
        };
        let answer = self
            .exchange(gun, access, &file, KEY_LIMIT, |client| match which {
                Which::Current => client.get(address.clone()),
                Which::New => client.post(address.clone()),
            })
            .await?;
        if !answer.status.is_success() {
            return Err(if answer.status.is_client_error() {
                self.rejection(&answer)
            } else {
                self.unexpected(&answer)
            });
        }
        let malformed = |what: String| ReadError::Malformed {
            server: self.label().to_owned(),
            what: format!("its {file} cannot be read: {what}"),
        };
        let key: Key = serde_json::from_slice(&answer.body).map_err(|cause| malformed(cause.to_string()))?;
        let public = STANDARD
            .decode(&key.keyval.public)
            .map_err(|cause| malformed(cause.to_string()))?;
        Ok(PublicKey::new(KeyType::parse(&key.keytype), public))
    }

    /// Uploads documents of a repository: all of them are published, or none.
    pub(super) async fn upload(&self, gun: &Gun, documents: &[(RoleName, Bytes)]) -> Result<(), ReadError> {
        let address = self.checked(gun, "")?;
        let answer = self
            .exchange(gun, Access::Push, "the answer", ANSWER_LIMIT, |client| {
                // The names of roles stand in the form as they are.
                let mut form = Form::new().percent_encode_noop();
                for (role, bytes) in documents {
                    let part = Part::stream(bytes.clone()).file_name(role.as_str().to_owned());
                    form = form.part("files", part);
                }
                client.post(address.clone()).multipart(form)
            })
            .await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            status if status.is_client_error() => Err(self.rejection(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// Deletes everything that the server has of a repository.
    ///
    /// # Errors
    /// When the server refuses, or cannot be reached.
    pub async fn delete(&self, gun: &Gun) -> Result<(), ReadError> {
        let address = self.checked(gun, "")?;
        let answer = self
            .exchange(gun, Access::Everything, "the answer", ANSWER_LIMIT, |client| {
                client.delete(address.clone())
            })
            .await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            status if status.is_client_error() => Err(self.rejection(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// The address of a file of a repository, or of all of them.
    fn checked(&self, gun: &Gun, file: &str) -> Result<reqwest::Url, ReadError> {
        if !has_address(gun) {
            return Err(ReadError::Name { gun: gun.to_string() });
        }
        // Without a file the address ends with a slash.
        Ok(self.address(gun, ["tuf", file]))
    }
}
