//! The content of targets or of a delegated role.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tuf::{Checksum, Version};

use crate::authoring::root::members;
use crate::authoring::{bind, draft, extensions, key_ids, key_map, next};
use crate::draft::Draft;
use crate::fields::write_time;
use crate::metadata::Metadata;
use crate::name::RepositoryName;
use crate::online::SPEC_VERSION;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::signers::Signers;
use crate::statement::Statement;

/// The content of targets or of a delegated role, to be edited and written.
#[derive(Debug, Clone)]
pub struct TargetsContent {
    /// The role.
    pub role: Role,
    /// Its version.
    pub version: Version,
    /// When it ends; fractions of seconds are dropped. What is an attested mirror ends with its sources at the latest.
    pub expires: DateTime<Utc>,
    /// The targets, by path.
    pub targets: BTreeMap<String, Target>,
    /// The roles that it delegates to, in the order in which clients visit them.
    pub delegations: Vec<Delegate>,
    /// Further signed members, whose names begin with `x-`.
    pub extensions: Map<String, Value>,
}

/// What is signed of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: Checksum,
    /// Its SHA-512 in lower case hexadecimal, if that is signed too.
    pub sha512: Option<String>,
    /// What the application says about it. An empty object is written as none.
    pub custom: Map<String, Value>,
}

/// A role that is delegated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegate {
    /// The role.
    pub role: Role,
    /// Who signs it.
    pub signers: Signers,
    /// The targets that it is trusted with.
    pub paths: DelegatedPaths,
    /// Whether clients look no further for these targets.
    pub terminating: bool,
}

/// The targets that a role is trusted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelegatedPaths {
    /// Paths, and patterns of paths with `*` and `?`.
    Patterns(Vec<String>),
    /// Beginnings of the SHA-256 of a path, in lower case hexadecimal.
    HashPrefixes(Vec<String>),
}

impl DelegatedPaths {
    /// Every path: the 16 beginnings of one digit.
    pub fn everything() -> Self {
        Self::HashPrefixes((0..16).map(|digit| format!("{digit:x}")).collect())
    }
}

impl TargetsContent {
    /// The first version of a role, with nothing in it.
    pub fn first(repository: &RepositoryName, role: Role, expires: DateTime<Utc>) -> Self {
        let mut extensions = Map::new();
        bind(&mut extensions, repository);
        Self {
            role,
            version: Version::FIRST,
            expires,
            targets: BTreeMap::new(),
            delegations: Vec::new(),
            extensions,
        }
    }

    /// The file that follows another, with the same content but for version and date.
    ///
    /// # Errors
    /// When there is no version above it.
    pub fn following(file: &Metadata, expires: DateTime<Utc>) -> Result<Self, Refusal> {
        let signed = file.signed();
        let targets = signed.get("targets").and_then(Value::as_object);
        let roles = signed.get("delegations").and_then(|value| value.get("roles"));
        let roles = roles.and_then(Value::as_array);
        let delegate = |value: &Value| {
            let role = value.get("name").and_then(Value::as_str);
            let role = role.and_then(|name| Role::parse(name).ok())?;
            let (_, signers) = file.delegations().find(|(name, _)| **name == role)?;
            Some(Delegate {
                signers: signers.clone(),
                paths: delegated_paths(value),
                terminating: value
                    .get("terminating")
                    .and_then(Value::as_bool)
                    .unwrap_or_default(),
                role,
            })
        };
        Ok(Self {
            role: file.role().clone(),
            version: next(file.role(), file.version())?,
            expires,
            targets: targets
                .into_iter()
                .flatten()
                .filter_map(|(path, value)| Some((path.clone(), target(value)?)))
                .collect(),
            delegations: roles.into_iter().flatten().filter_map(delegate).collect(),
            extensions: extensions(signed),
        })
    }

    /// Delegates to a role, in the place of an earlier delegation to it or after all others.
    pub fn delegate(&mut self, delegate: Delegate) {
        match self
            .delegations
            .iter_mut()
            .find(|known| known.role == delegate.role)
        {
            Some(known) => *known = delegate,
            None => self.delegations.push(delegate),
        }
    }

    /// No longer delegates to a role; whether it did.
    pub fn undelegate(&mut self, role: &Role) -> bool {
        let before = self.delegations.len();
        self.delegations.retain(|known| known.role != *role);
        self.delegations.len() < before
    }

    /// When it ends as it is written: with the first of the sources that it mirrors, if it mirrors any, at the latest.
    pub fn end(&self) -> DateTime<Utc> {
        let statements = self.targets.values().map(|target| &target.custom);
        let sources = statements
            .filter_map(Statement::of_custom)
            .map(|statement| statement.expires);
        sources
            .min()
            .map_or(self.expires, |first| first.min(self.expires))
    }

    /// Writes it, without signatures.
    ///
    /// # Errors
    /// When the content is not what clients read alike: a path that begins with a slash, for example.
    pub fn draft(&self) -> Result<Draft, Refusal> {
        let targets: Map<String, Value> = self
            .targets
            .iter()
            .map(|(path, target)| (path.clone(), target.to_json()))
            .collect();
        let mut signed = members(json!({
            "_type": "targets",
            "expires": write_time(self.end()),
            "spec_version": SPEC_VERSION,
            "targets": targets,
            "version": self.version.get(),
        }));
        if !self.delegations.is_empty() {
            let keys = self
                .delegations
                .iter()
                .flat_map(|delegate| delegate.signers.keys());
            let roles: Vec<Value> = self.delegations.iter().map(Delegate::to_json).collect();
            signed.insert(
                "delegations".to_owned(),
                json!({"keys": key_map(keys), "roles": roles}),
            );
        }
        draft(&self.role, signed, &self.extensions)
    }
}

impl Target {
    /// The target of this content.
    pub fn of(content: &[u8]) -> Self {
        Self {
            length: content.len() as u64,
            sha256: Checksum::of(content),
            sha512: None,
            custom: Map::new(),
        }
    }

    fn to_json(&self) -> Value {
        let mut hashes = Map::from_iter([("sha256".to_owned(), self.sha256.as_hex().into())]);
        if let Some(sha512) = &self.sha512 {
            hashes.insert("sha512".to_owned(), sha512.as_str().into());
        }
        let mut target = Map::from_iter([
            ("hashes".to_owned(), hashes.into()),
            ("length".to_owned(), self.length.into()),
        ]);
        if !self.custom.is_empty() {
            target.insert("custom".to_owned(), self.custom.clone().into());
        }
        target.into()
    }
}

impl Delegate {
    fn to_json(&self) -> Value {
        let (member, paths) = match &self.paths {
            DelegatedPaths::Patterns(paths) => ("paths", paths),
            DelegatedPaths::HashPrefixes(prefixes) => ("path_hash_prefixes", prefixes),
        };
        json!({
            "keyids": key_ids(&self.signers),
            "name": self.role.as_str(),
            member: paths,
            "terminating": self.terminating,
            "threshold": self.signers.threshold(),
        })
    }
}

fn target(value: &Value) -> Option<Target> {
    let hashes = value.get("hashes")?;
    let text = |name: &str| hashes.get(name).and_then(Value::as_str);
    Some(Target {
        length: value.get("length")?.as_u64()?,
        sha256: Checksum::parse(text("sha256")?).ok()?,
        sha512: text("sha512").map(str::to_owned),
        custom: value
            .get("custom")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
    })
}

fn delegated_paths(value: &Value) -> DelegatedPaths {
    let list = |name: &str| {
        let texts = value.get(name)?.as_array()?.iter();
        Some(
            texts
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect(),
        )
    };
    match list("path_hash_prefixes") {
        Some(prefixes) => DelegatedPaths::HashPrefixes(prefixes),
        None => DelegatedPaths::Patterns(list("paths").unwrap_or_default()),
    }
}
