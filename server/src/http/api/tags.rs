//! `GET /api/v0/repositories/{namespace}/{name}/tags`: who signed which digest, in which role, until when.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tuf::{Document, Gun, RoleName};
use utoipa::ToSchema;

use super::{
    json,
    repositories::{Found, find},
};
use crate::{
    access::{Identified, Right, policy::Action},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    identity::Principal,
    state::State,
    store::{Store, StoreError},
};

/// A signed tag.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    pub(in crate::http) name: String,
    /// `sha256:` and the digest in hex.
    pub(in crate::http) digest: String,
    /// The length of the signed content, in bytes.
    pub(in crate::http) size: i64,
    /// Whether somebody signed it. Without a registry behind this server, only signed tags are known.
    pub(in crate::http) in_notary: bool,
    /// Whether roles disagree about the digest, or the registry has another one under this tag.
    pub(in crate::http) hash_mismatch: bool,
    /// The role from which clients take the tag; empty if nobody signed it.
    pub(in crate::http) role: String,
    /// Every role that signed this tag.
    pub(in crate::http) signatures: Vec<TagSignature>,
}

/// A role that signed a tag.
#[derive(Serialize, ToSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub struct TagSignature {
    pub(in crate::http) role: String,
    pub(in crate::http) digest: String,
    /// When the role's document expires.
    pub(in crate::http) expires: DateTime<Utc>,
    /// The keys that signed the role's document.
    pub(in crate::http) signers: Vec<Signer>,
}

/// A key that signed.
#[derive(Serialize, ToSchema, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// The key ID as listed in the metadata.
    pub(in crate::http) key_id: String,
    /// The SHA-256 of the public key, in hex.
    #[serde(rename = "spkiSHA256")]
    pub(in crate::http) spki_sha256: Option<String>,
    /// The account to which the key is registered.
    pub(in crate::http) account: Option<String>,
}

/// The signed tags of a repository.
#[utoipa::path(get, path = "/api/v0/repositories/{namespace}/{name}/tags", tag = "repositories",
    params(("namespace" = String, Path, description = "Everything between the host and the name; _ for none"),
           ("name" = String, Path, description = "The last part of the name")),
    responses((status = 200, description = "The signed tags", body = Vec<Tag>),
              (status = 403, description = "The caller may list the repository, but not pull it", body = super::openapi::Errors),
              (status = 404, description = "No such repository, or the caller may not see it", body = super::openapi::Errors)))]
pub async fn tags(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let (state, access, principal) = (exchange.state, exchange.access(), grant.principal());
    let path = exchange.target.selector.as_deref().unwrap_or_default();
    let Found::One(gun) = find(exchange, principal, path).await? else {
        return Err(ApiError::NotFound);
    };
    let gun = Gun::parse(&gun).map_err(|_| ApiError::NotFound)?;
    // A caller that may list the repository knows that it exists; its tags are only for those that may pull it.
    access.check(principal, &Right::To(Action::Pull), Some(&gun))?;
    json(&of(state, gun).await?)
}

/// One signed tag of a repository.
#[utoipa::path(get, path = "/api/v0/repositories/{namespace}/{name}/tags/{tag}", tag = "repositories",
    params(("namespace" = String, Path, description = "Everything between the host and the name; _ for none"),
           ("name" = String, Path, description = "The last part of the name"),
           ("tag" = String, Path, description = "The tag")),
    responses((status = 200, description = "The signed tag", body = Tag),
              (status = 403, description = "The caller may list the repository, but not pull it", body = super::openapi::Errors),
              (status = 404, description = "No such tag (NO_SUCH_TAG), or no such repository, or the caller may not see it", body = super::openapi::Errors)))]
pub async fn tag(
    exchange: &Exchange<'_>,
    principal: &Principal,
    path: &str,
    name: &str,
) -> Result<Outcome, ApiError> {
    let Found::One(gun) = find(exchange, principal, path).await? else {
        return Err(ApiError::NotFound);
    };
    let gun = Gun::parse(&gun).map_err(|_| ApiError::NotFound)?;
    exchange
        .access()
        .check(principal, &Right::To(Action::Pull), Some(&gun))?;
    let tags = of(exchange.state, gun).await?;
    match tags.iter().find(|tag| tag.name == name) {
        Some(tag) => json(tag),
        None => Err(ApiError::NoSuchTag(name.to_owned())),
    }
}

/// The tags that are signed, and those that the registry behind this server has.
pub(in crate::http) async fn of(state: &State, gun: Gun) -> Result<Vec<Tag>, ApiError> {
    let listed = match &state.registry {
        Some(registry) => match registry.name_of(gun.as_str()) {
            Some(name) => registry.tags(name).await.unwrap_or_else(|reason| {
                // What is signed is known all the same.
                tracing::warn!(repo.gun = %gun, %reason, "the registry does not tell its tags");
                Vec::new()
            }),
            None => Vec::new(),
        },
        None => Vec::new(),
    };
    let mut tags = state.with_store(move |store| read(store, &gun)).await?;
    for found in listed {
        match tags.get_mut(&found.name) {
            Some(tag) => tag.hash_mismatch |= tag.digest != found.digest,
            None => tags.add(Tag {
                name: found.name,
                digest: found.digest,
                size: found.size,
                in_notary: false,
                hash_mismatch: false,
                role: String::new(),
                signatures: Vec::new(),
            }),
        }
    }
    Ok(tags.0.into_values().collect())
}

/// Tags by their names: a repository may have thousands.
#[derive(Default)]
struct ByName(BTreeMap<String, Tag>);

impl ByName {
    fn get_mut(&mut self, name: &str) -> Option<&mut Tag> {
        self.0.get_mut(name)
    }

    fn add(&mut self, tag: Tag) {
        self.0.insert(tag.name.clone(), tag);
    }
}

fn read(store: &Store, gun: &Gun) -> Result<ByName, StoreError> {
    let documents = store.current_set(gun)?;
    let mut tags = ByName::default();
    let mut roles: Vec<&Document> = documents
        .iter()
        .filter(|document| document.role.is_targets_type())
        .collect();
    // Docker prefers a tag in targets/releases to one in targets.
    roles.sort_by_key(|document| (rank(&document.role), document.role.as_str().to_owned()));
    for document in roles {
        let signers = signers(store, document, &documents)?;
        let expires = tuf::expires(&document.bytes).unwrap_or_default();
        for target in tuf::signed_targets(&document.role, &document.bytes).unwrap_or_default() {
            let signature = TagSignature {
                role: document.role.to_string(),
                digest: target
                    .sha256
                    .map_or_else(String::new, |hash| format!("sha256:{hash}")),
                expires,
                signers: signers.clone(),
            };
            match tags.get_mut(&target.name) {
                Some(tag) => {
                    tag.hash_mismatch |= tag.digest != signature.digest;
                    tag.signatures.push(signature);
                }
                None => tags.add(Tag {
                    name: target.name,
                    digest: signature.digest.clone(),
                    size: target.length,
                    in_notary: true,
                    hash_mismatch: false,
                    role: signature.role.clone(),
                    signatures: vec![signature],
                }),
            }
        }
    }
    Ok(tags)
}

fn rank(role: &RoleName) -> u8 {
    match role.as_str() {
        "targets/releases" => 0,
        "targets" => 1,
        _ => 2,
    }
}

/// The keys whose signatures are valid according to the document that declares them.
fn signers(store: &Store, document: &Document, all: &[Document]) -> Result<Vec<Signer>, StoreError> {
    let declaring = document.role.parent().unwrap_or(RoleName::Root);
    let Some(parent) = all.iter().find(|candidate| candidate.role == declaring) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for key in tuf::signers(&parent.role, &parent.bytes, &document.role, &document.bytes).unwrap_or_default()
    {
        let spki_sha256 = key.spki_sha256().map(hex::encode);
        let account = match &spki_sha256 {
            Some(hash) => store.account_by_key(std::slice::from_ref(hash))?,
            None => None,
        };
        found.push(Signer {
            key_id: key.id().to_string(),
            spki_sha256,
            account: account.map(|account| account.name),
        });
    }
    Ok(found)
}
