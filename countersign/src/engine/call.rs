//! Which call of the engine's interface a request is, and what of it has to be judged.

use serde_json::Value;
use thiserror::Error;

use super::authorization::Authorization;
use crate::strict_json::{self, Names};

/// What a request does, as far as it matters for what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Nothing that brings in or runs an image.
    Harmless,
    /// Pulls an image.
    Pull {
        /// The image.
        image: String,
        /// Whether it pulls every tag of the repository.
        every_tag: bool,
    },
    /// Makes a container of an image, and mounts others.
    Create {
        /// The image, as the client wrote it: a name, or an ID.
        image: String,
        /// Images that are mounted.
        mounts: Vec<String>,
    },
    /// Starts a container that is there, or changes it.
    Start(String),
    /// Makes or changes a service of a swarm, whose workers pull past this engine.
    Service {
        /// The image of its tasks; `None` where a service is changed without one.
        image: Option<String>,
    },
    /// Brings a service of a swarm back to what it was before.
    Rollback(String),
    /// Brings in content that no registry vouches for, or runs some without a container.
    Unverifiable(Unverifiable),
}

/// What cannot be compared with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverifiable {
    /// `docker build`, and the sessions of BuildKit.
    Build,
    /// `docker load`.
    Load,
    /// `docker import`.
    Import,
    /// `docker commit`.
    Commit,
    /// `docker plugin install`, `create` and `upgrade`: plugins run as root.
    Plugin,
    /// `docker swarm join`: the managers of another swarm start on this engine what they like.
    SwarmJoin,
}

impl Unverifiable {
    /// The word by which a policy allows it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Load => "load",
            Self::Import => "import",
            Self::Commit => "commit",
            Self::Plugin => "plugin",
            Self::SwarmJoin => "swarm-join",
        }
    }

    /// Why it is refused, as a sentence.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Build | Self::Load | Self::Import | Self::Commit => {
                "what comes into this engine past a registry carries no signature"
            }
            Self::Plugin => "plugins of the engine run as root, and nothing compares them with a signature",
            Self::SwarmJoin => "the managers of a swarm start on its nodes what they like, past this gate",
        }
    }
}

/// A request that cannot be judged; it is denied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// The path can be read in several ways.
    #[error("the path {0:?} is not written as the engine's clients write it")]
    Path(String),
    /// No call that this gate knows.
    #[error(
        "{method} {path} is not a call that this gate knows, so it cannot say whether an unsigned image would run: \
         update countersign, or take the call out of use"
    )]
    Unknown {
        /// The method.
        method: String,
        /// The path without version.
        path: String,
    },
    /// What would go on is no image.
    #[error(
        "a container cannot be started from a checkpoint here: its memory may have been anything: start it anew"
    )]
    Checkpoint,
    /// The query states something twice, or not at all.
    #[error("the query of {0} is not one that can be judged: {1}")]
    Query(&'static str, &'static str),
    /// The body is hidden, no JSON, or one that readers read differently.
    #[error("{0}")]
    Body(String),
}

/// The calls by POST and PUT, below the version, that neither bring in nor run an image. `*` stands for one segment.
const HARMLESS: &[&str] = &[
    "auth",
    "build/cancel",
    "build/prune",
    "configs/create",
    "configs/*/update",
    "containers/prune",
    "containers/*/archive",
    "containers/*/attach",
    "containers/*/checkpoints",
    "containers/*/copy",
    "containers/*/exec",
    "containers/*/kill",
    "containers/*/pause",
    "containers/*/rename",
    "containers/*/resize",
    "containers/*/stop",
    "containers/*/unpause",
    "containers/*/wait",
    "exec/*/resize",
    "exec/*/start",
    "images/prune",
    "networks/create",
    "networks/prune",
    "networks/*/connect",
    "networks/*/disconnect",
    "nodes/*/update",
    "plugins/*/disable",
    "plugins/*/enable",
    "plugins/*/push",
    "plugins/*/set",
    "secrets/create",
    "secrets/*/update",
    "swarm/init",
    "swarm/leave",
    "swarm/unlock",
    "swarm/update",
    "volumes/create",
    "volumes/prune",
    "volumes/*",
];

impl Call {
    /// Reads what a request does.
    ///
    /// # Errors
    /// When it cannot be said without doubt.
    pub fn of(request: &Authorization) -> Result<Self, CallError> {
        if matches!(request.method.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS") {
            // The engine pulls, makes and starts nothing by these.
            return Ok(Self::Harmless);
        }
        let (path, query) = request.uri.split_once('?').unwrap_or((&request.uri, ""));
        let segments = segments(path)?;
        let unknown = || CallError::Unknown {
            method: request.method.clone(),
            path: segments.join("/"),
        };
        if !matches!(request.method.as_str(), "POST" | "PUT") {
            return Err(unknown());
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        // Names of images have slashes of their own.
        if let ["images", name @ .., "push" | "tag"] = segments.as_slice()
            && !name.is_empty()
        {
            // A tag gives content another name, by which it is judged when a container is made of it.
            return Ok(Self::Harmless);
        }
        if let ["plugins", name @ .., last] = segments.as_slice()
            && !name.is_empty()
        {
            return match *last {
                "disable" | "enable" | "push" | "set" => Ok(Self::Harmless),
                "upgrade" => Ok(Self::Unverifiable(Unverifiable::Plugin)),
                _ => Err(unknown()),
            };
        }
        match segments.as_slice() {
            ["images", "create"] => pull(request, query),
            ["containers", "create"] => create(request),
            ["containers", id, "start"] => start(request, query, id),
            ["containers", id, "restart" | "update"] => Ok(Self::Start((*id).to_owned())),
            ["services", "create"] => service(request, true),
            ["services", id, "update"] => match parameter(query, "rollback", "services/update")? {
                None => service(request, false),
                Some(_) => Ok(Self::Rollback((*id).to_owned())),
            },
            ["swarm", "join"] => Ok(Self::Unverifiable(Unverifiable::SwarmJoin)),
            ["build"] | ["session"] | ["grpc"] => Ok(Self::Unverifiable(Unverifiable::Build)),
            ["images", "load"] => Ok(Self::Unverifiable(Unverifiable::Load)),
            ["commit"] => Ok(Self::Unverifiable(Unverifiable::Commit)),
            ["plugins", "pull" | "create"] => Ok(Self::Unverifiable(Unverifiable::Plugin)),
            _ if HARMLESS.iter().any(|known| is(known, &segments)) => Ok(Self::Harmless),
            _ => Err(unknown()),
        }
    }
}

fn is(known: &str, segments: &[&str]) -> bool {
    let known: Vec<&str> = known.split('/').collect();
    known.len() == segments.len()
        && known
            .iter()
            .zip(segments)
            .all(|(known, segment)| *known == "*" || known == segment)
}

/// The segments of a path, decoded, without the version. A path that a router could clean up is refused.
fn segments(path: &str) -> Result<Vec<String>, CallError> {
    let refused = || CallError::Path(path.to_owned());
    let mut segments = Vec::new();
    for segment in path.strip_prefix('/').ok_or_else(refused)?.split('/') {
        let decoded = percent_encoding::percent_decode_str(segment).decode_utf8();
        let decoded = decoded.map_err(|_| refused())?;
        if matches!(&*decoded, "" | "." | "..") || decoded.contains(['/', '\\', '\0']) {
            return Err(refused());
        }
        segments.push(decoded.into_owned());
    }
    if segments.first().is_some_and(|first| is_version(first)) {
        segments.remove(0);
    }
    Ok(segments)
}

fn is_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A parameter that may be there once; `None` if it is missing or empty.
fn parameter(query: &str, wanted: &str, call: &'static str) -> Result<Option<String>, CallError> {
    // Some readers also take `;` for a separator.
    if query.contains(';') {
        return Err(CallError::Query(call, "it contains a semicolon"));
    }
    let values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
    let values: Vec<String> = values.map(|(_, value)| value.into_owned()).collect();
    match values.as_slice() {
        [] => Ok(None),
        [value] if value.is_empty() => Ok(None),
        [value] => Ok(Some(value.clone())),
        _ => Err(CallError::Query(call, "it names a parameter twice")),
    }
}

/// Nothing that the engine does not show may go before the query.
fn without_form(request: &Authorization, call: &'static str) -> Result<(), CallError> {
    if request.may_hide_a_form() {
        return Err(CallError::Query(
            call,
            "the body may hold a form that goes before it: send no body, and Content-Length: 0",
        ));
    }
    Ok(())
}

fn pull(request: &Authorization, query: &str) -> Result<Call, CallError> {
    const CALL: &str = "images/create";
    let name = parameter(query, "fromImage", CALL)?;
    let tag = parameter(query, "tag", CALL)?;
    let name = match (name, parameter(query, "fromSrc", CALL)?) {
        (None, Some(_)) => return Ok(Call::Unverifiable(Unverifiable::Import)),
        (None, None) => return Err(CallError::Query(CALL, "it names no image")),
        (Some(_), Some(_)) => return Err(CallError::Query(CALL, "it names an image and a file")),
        (Some(name), None) => name,
    };
    // What is imported comes in the body.
    without_form(request, CALL)?;
    let (named, digest) = match name.split_once('@') {
        Some((named, digest)) => (named, format!("@{digest}")),
        None => (name.as_str(), String::new()),
    };
    let (path, last) = named
        .rsplit_once('/')
        .map_or(("", named), |(path, last)| (path, last));
    let image = match &tag {
        None => name.clone(),
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => {
            // A tag takes the place of one that the name has.
            let last = last.split(':').next().unwrap_or_default();
            let slash = if path.is_empty() { "" } else { "/" };
            format!("{path}{slash}{last}:{tag}{digest}")
        }
    };
    let every_tag = tag.is_none() && digest.is_empty() && !last.contains(':');
    Ok(Call::Pull { image, every_tag })
}

fn start(request: &Authorization, query: &str, id: &str) -> Result<Call, CallError> {
    const CALL: &str = "containers/start";
    without_form(request, CALL)?;
    match parameter(query, "checkpoint", CALL)? {
        None => Ok(Call::Start(id.to_owned())),
        Some(_) => Err(CallError::Checkpoint),
    }
}

fn body(request: &Authorization) -> Result<Value, CallError> {
    let text = request.visible_body().map_err(CallError::Body)?;
    strict_json::parse(text, Names::AnyCase)
        .map_err(|reason| CallError::Body(format!("the request's body cannot be judged: {reason}")))
}

fn create(request: &Authorization) -> Result<Call, CallError> {
    let body = body(request)?;
    let wrong = |what: &str| CallError::Body(format!("the request to make a container has no usable {what}"));
    let image = body
        .get("image")
        .and_then(Value::as_str)
        .filter(|image| !image.is_empty());
    let image = image.ok_or_else(|| wrong("image"))?.to_owned();
    let mut mounts = Vec::new();
    // Engines of older days also take what belongs into HostConfig beside it.
    for place in ["/hostconfig/mounts", "/mounts"] {
        match body.pointer(place) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for mount in list {
                    let text = |name: &str| mount.get(name).and_then(Value::as_str).unwrap_or_default();
                    if text("type").eq_ignore_ascii_case("image") {
                        mounts.push(text("source").to_owned());
                    }
                }
            }
            Some(_) => return Err(wrong("list of mounts")),
        }
    }
    Ok(Call::Create { image, mounts })
}

fn service(request: &Authorization, new: bool) -> Result<Call, CallError> {
    let body = body(request)?;
    let template = body.get("tasktemplate");
    if template.is_some_and(|template| template.get("pluginspec").is_some_and(|plugin| !plugin.is_null())) {
        return Ok(Call::Unverifiable(Unverifiable::Plugin));
    }
    let image = body
        .pointer("/tasktemplate/containerspec/image")
        .and_then(Value::as_str);
    let image = image.filter(|image| !image.is_empty()).map(str::to_owned);
    if new && image.is_none() {
        return Err(CallError::Body(
            "the request to make a service names no image".to_owned(),
        ));
    }
    Ok(Call::Service { image })
}

#[cfg(test)]
mod tests;
