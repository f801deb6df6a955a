//! What the engine says about its images and containers.

use std::{path::Path, time::Duration};

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// How long the engine may take to answer. It waits for its plugin meanwhile.
const DEADLINE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const ANSWER_LIMIT: usize = 4 << 20;

/// The engine gives no answer that can be used.
#[derive(Debug, Error)]
pub enum EngineError {
    /// It cannot be asked at all.
    #[error("the engine cannot be asked at {path}: {reason}")]
    Unreachable {
        /// Its socket.
        path: String,
        /// Why.
        reason: String,
    },
    /// It answers with an error, or with something else.
    #[error("the engine's answer to {path} cannot be used: {reason}")]
    Answer {
        /// What was asked.
        path: String,
        /// Why.
        reason: String,
    },
}

/// An image as the engine has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LocalImage {
    /// Its ID, `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// `NAME@DIGEST` of each repository that it was pulled from or pushed to. The engine computed the digests.
    #[serde(default)]
    pub repo_digests: Option<Vec<String>>,
}

/// A container as the engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalContainer {
    /// The image as the container's creator wrote it.
    pub image: String,
    /// The ID of the image that it has.
    pub image_id: String,
    /// Images that it mounts, as they were written.
    pub mounts: Vec<String>,
}

/// The engine's interface, over its socket. It is only read, and reading is what its plugin allows without a question:
/// otherwise each question would lead to another one.
pub struct Engine {
    client: Client,
    socket: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerAnswer {
    image: String,
    config: ContainerConfig,
    #[serde(default)]
    host_config: Option<HostConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    mounts: Option<Vec<Mount>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    source: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceAnswer {
    #[serde(default)]
    previous_spec: Option<Value>,
}

impl Engine {
    /// The engine behind a Unix socket. Nothing is asked yet.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn at(socket: &Path) -> Result<Self, EngineError> {
        let name = socket.display().to_string();
        let client = Client::builder()
            .unix_socket(socket)
            .timeout(DEADLINE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|cause| EngineError::Unreachable {
                path: name.clone(),
                reason: cause.to_string(),
            })?;
        Ok(Self { client, socket: name })
    }

    /// The image that the engine finds by a name or ID; `None` if there is none.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn image(&self, name: &str) -> Result<Option<LocalImage>, EngineError> {
        self.ask(&format!("/images/{}/json", encoded(name))).await
    }

    /// The container that the engine finds by a name or ID; `None` if there is none.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn container(&self, id: &str) -> Result<Option<LocalContainer>, EngineError> {
        let answer: Option<ContainerAnswer> = self.ask(&format!("/containers/{}/json", encoded(id))).await?;
        Ok(answer.map(|answer| {
            let mounts = answer.host_config.and_then(|config| config.mounts);
            let mounts = mounts.into_iter().flatten();
            LocalContainer {
                image: answer.config.image,
                image_id: answer.image,
                mounts: mounts
                    .filter(|mount| mount.r#type.eq_ignore_ascii_case("image"))
                    .map(|mount| mount.source)
                    .collect(),
            }
        }))
    }

    /// The image of a service before its last change; `None` if there is no such service, or it had none.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn previous_image(&self, service: &str) -> Result<Option<String>, EngineError> {
        let answer: Option<ServiceAnswer> = self.ask(&format!("/services/{}", encoded(service))).await?;
        let before = answer.and_then(|answer| answer.previous_spec);
        let image = before
            .as_ref()
            .and_then(|before| before.pointer("/TaskTemplate/ContainerSpec/Image"));
        Ok(image.and_then(Value::as_str).map(str::to_owned))
    }

    async fn ask<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<Option<T>, EngineError> {
        let unreachable = |cause: reqwest::Error| EngineError::Unreachable {
            path: self.socket.clone(),
            reason: platform::reason::innermost(&cause),
        };
        let unusable = |reason: String| EngineError::Answer {
            path: path.to_owned(),
            reason,
        };
        // The host is not looked at: the connection goes to the socket.
        let request = self.client.get(format!("http://engine{path}"));
        let mut answer = request.send().await.map_err(unreachable)?;
        match answer.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            status if !status.is_success() => return Err(unusable(format!("status {status}"))),
            _ => {}
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_LIMIT {
                return Err(unusable("it is too large".to_owned()));
            }
        }
        let read = serde_json::from_slice(&body);
        read.map(Some).map_err(|cause| unusable(cause.to_string()))
    }
}

/// A name as it stands in a path: its slashes stay, as the engine's router wants them.
fn encoded(name: &str) -> String {
    let encode =
        |part| percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string();
    name.split('/').map(encode).collect::<Vec<_>>().join("/")
}
