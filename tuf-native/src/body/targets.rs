//! What targets, or a delegated role, says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tuf::KeyId;

use crate::fields::{Fields, path_problem};
use crate::key::PublicKey;
use crate::paths::Paths;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::signers::{Signers, read_keys};

/// Names of targets, and delegations.
#[derive(Debug)]
pub(crate) struct TargetsBody {
    pub(crate) targets: BTreeSet<String>,
    /// In the order in which clients visit them.
    pub(crate) delegations: Vec<Delegation>,
}

/// A role that is delegated to.
#[derive(Debug, Clone)]
pub(crate) struct Delegation {
    pub(crate) role: Role,
    pub(crate) signers: Signers,
    pub(crate) paths: Paths,
}

impl TargetsBody {
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, Refusal> {
        let mut targets = BTreeSet::new();
        for (path, value) in fields.object("targets")? {
            let place = format!("targets.{path:?}");
            let target = Fields::of(fields.role, &place, value)?;
            if let Some(problem) = path_problem(path) {
                return Err(target.refuse("", format!("the path {problem}")));
            }
            check_target(&target)?;
            targets.insert(path.clone());
        }
        let mut body = Self {
            targets,
            delegations: Vec::new(),
        };
        if let Some(value) = fields.get("delegations") {
            body.read_delegations(&Fields::of(fields.role, "delegations", value)?)?;
        }
        Ok(body)
    }

    fn read_delegations(&mut self, fields: &Fields<'_>) -> Result<(), Refusal> {
        fields.only(&["keys", "roles"])?;
        let keys = read_keys(fields.role, "delegations.keys", fields.object("keys")?)?;
        for (at, value) in fields.array("roles")?.iter().enumerate() {
            let place = format!("delegations.roles[{at}]");
            let delegation = read_delegation(&Fields::of(fields.role, &place, value)?, &keys)?;
            if self.delegation(&delegation.role).is_some() {
                let problem = format!(
                    "the role {} is there twice: leave out one of them",
                    delegation.role
                );
                return Err(fields.refuse("roles", problem));
            }
            self.delegations.push(delegation);
        }
        Ok(())
    }

    pub(crate) fn delegation(&self, role: &Role) -> Option<&Delegation> {
        self.delegations
            .iter()
            .find(|delegation| delegation.role == *role)
    }
}

fn check_target(target: &Fields<'_>) -> Result<(), Refusal> {
    target.only(&["length", "hashes", "custom"])?;
    target.number("length")?;
    let hashes = Fields::of(
        target.role,
        "hashes",
        target.get("hashes").unwrap_or(&Value::Null),
    );
    let hashes = hashes.map_err(|_| target.refuse("hashes", "must be an object with sha256"))?;
    let wrong = |name: &str, digits: usize| {
        target.refuse(
            &format!("hashes.{name}"),
            format!("must be {digits} lower case hexadecimal digits"),
        )
    };
    hashes
        .only(&["sha256", "sha512"])
        .map_err(|_| target.refuse("hashes", "clients know sha256 and sha512: leave others out"))?;
    hashes.hash("sha256", 32).map_err(|_| wrong("sha256", 64))?;
    if hashes.get("sha512").is_some() {
        hashes.hash("sha512", 64).map_err(|_| wrong("sha512", 128))?;
    }
    match target.get("custom") {
        None => Ok(()),
        Some(Value::Object(custom)) if !custom.is_empty() => Ok(()),
        Some(_) => Err(target.refuse(
            "custom",
            "must be an object with members: leave it out where there is nothing to say",
        )),
    }
}

fn read_delegation(fields: &Fields<'_>, keys: &BTreeMap<KeyId, PublicKey>) -> Result<Delegation, Refusal> {
    fields.only(&[
        "name",
        "keyids",
        "threshold",
        "paths",
        "path_hash_prefixes",
        "terminating",
    ])?;
    let role = Role::parse(fields.text("name")?).map_err(|e| fields.refuse("name", e.to_string()))?;
    if !matches!(role, Role::Delegated(_)) {
        return Err(fields.refuse("name", "must not be that of a top-level role"));
    }
    fields.boolean("terminating")?;
    Ok(Delegation {
        role,
        signers: Signers::read(fields, keys)?,
        paths: Paths::read(fields)?,
    })
}
