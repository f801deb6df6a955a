//! What the signed values of files say.

pub(crate) mod meta;
pub(crate) mod root;
pub(crate) mod targets;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tuf::Version;

use crate::body::meta::MetaFiles;
use crate::body::root::RootBody;
use crate::body::targets::TargetsBody;
use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::role::Role;

/// The signed member that names the repository which a file is for.
pub const REPOSITORY_MEMBER: &str = "x-countersign-repository";

/// The signed value of a file.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) version: Version,
    pub(crate) expires: DateTime<Utc>,
    pub(crate) repository: Option<String>,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Root(RootBody),
    Targets(TargetsBody),
    /// Snapshot or timestamp.
    Meta(MetaFiles),
}

impl Body {
    pub(crate) fn read(role: &Role, signed: &Map<String, Value>) -> Result<Self, Refusal> {
        let fields = Fields::new(role, "", signed);
        let stated = fields.text("_type")?;
        if stated != role.stated_type() {
            let problem = format!(
                "is {stated:?}, and files of this role state {:?}",
                role.stated_type()
            );
            return Err(fields.refuse("_type", problem));
        }
        check_members(&fields, role, signed)?;
        if !is_spec_version(fields.text("spec_version")?) {
            return Err(fields.refuse("spec_version", "must be 1.0.x, such as 1.0.34"));
        }
        let repository = match fields.get(REPOSITORY_MEMBER) {
            None => None,
            Some(_) => Some(fields.text(REPOSITORY_MEMBER)?.to_owned()),
        };
        let content = match role {
            Role::Root => Content::Root(RootBody::read(&fields)?),
            Role::Targets | Role::Delegated(_) => Content::Targets(TargetsBody::read(&fields)?),
            Role::Snapshot | Role::Timestamp => Content::Meta(MetaFiles::read(&fields)?),
        };
        Ok(Self {
            version: fields.version("version")?,
            expires: fields.expires()?,
            repository,
            content,
        })
    }

    pub(crate) fn root(&self) -> Option<&RootBody> {
        match &self.content {
            Content::Root(root) => Some(root),
            _ => None,
        }
    }

    pub(crate) fn targets(&self) -> Option<&TargetsBody> {
        match &self.content {
            Content::Targets(targets) => Some(targets),
            _ => None,
        }
    }

    pub(crate) fn meta(&self) -> Option<&MetaFiles> {
        match &self.content {
            Content::Meta(meta) => Some(meta),
            _ => None,
        }
    }
}

/// Members of the specification, and those that begin with `x-`, which clients keep and do not read.
fn check_members(fields: &Fields<'_>, role: &Role, signed: &Map<String, Value>) -> Result<(), Refusal> {
    let own: &[&str] = match role {
        Role::Root => &["consistent_snapshot", "keys", "roles"],
        Role::Targets | Role::Delegated(_) => &["targets", "delegations"],
        Role::Snapshot | Role::Timestamp => &["meta"],
    };
    let common = ["_type", "spec_version", "version", "expires"];
    let known = |name: &str| common.contains(&name) || own.contains(&name) || name.starts_with("x-");
    match signed.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => {
            let problem = "clients do not know this member: leave it out, or begin its name with x-";
            Err(fields.refuse(name, problem))
        }
    }
}

fn is_spec_version(text: &str) -> bool {
    text.strip_prefix("1.0.")
        .is_some_and(|patch| (1..=4).contains(&patch.len()) && patch.bytes().all(|b| b.is_ascii_digit()))
}
