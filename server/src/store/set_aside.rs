//! Sets aside documents of a delegation that conflict with a new one.
//!
//! If the current keys do not verify a stored document, it does not prevent a new one that they do verify: the signer
//! was replaced, and the new signer's client, which cannot read the document, starts at version 1. The conflicting row
//! is set aside. It is marked as deleted, as Notary marks rows, and gets a negative version, because role and version
//! are unique: the negated version, or the next one that is free. The rules are in
//! `docs/decisions/0002-replaced-signers.md`.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use platform::database::{DbConnection, exact, first_only};
use tuf::{Gun, RoleName};

use super::{Store, StoreError, schema::tuf_files};
use crate::audit::record::StoredDocument;

impl Store {
    /// Whether any document of a role with at least this stated version satisfies `wanted`. Considers the stored
    /// documents and, with `set_aside`, those set aside.
    ///
    /// # Errors
    /// When the database fails.
    pub fn any_document(
        &self,
        gun: &Gun,
        role: &RoleName,
        version: i64,
        set_aside: bool,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, StoreError> {
        let Ok(version) = i32::try_from(version) else {
            return Ok(false);
        };
        self.at_one_moment(|connection| {
            let of_role = || {
                tuf_files::table
                    .filter(exact(tuf_files::gun, gun.as_str()))
                    .filter(exact(tuf_files::role, role.as_str()))
                    .select(tuf_files::id)
            };
            let mut ids: Vec<i32> = of_role()
                .filter(tuf_files::deleted_at.is_null())
                .filter(tuf_files::version.ge(version))
                .order(tuf_files::version.desc())
                .load(connection)?;
            if set_aside {
                let more: Vec<i32> = of_role()
                    .filter(tuf_files::deleted_at.is_not_null())
                    .filter(tuf_files::version.le(version.saturating_neg()))
                    .order(tuf_files::version)
                    .load(connection)?;
                ids.extend(more);
            }
            for id in ids {
                // Loaded one at a time, because there may be many.
                let data: Vec<u8> =
                    first_only(tuf_files::table.find(id).select(tuf_files::data)).get_result(connection)?;
                if wanted(&data) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

/// A document that is to be set aside, and the version that its row gets.
pub(super) struct Conflicting {
    id: i32,
    free: i32,
    document: StoredDocument,
}

/// Every document of a role with at least this version. Must be called within the transaction that sets them aside, while
/// the name of the GUN is held.
pub(super) fn conflicting(
    connection: &mut DbConnection,
    gun: &Gun,
    role: &RoleName,
    version: i32,
) -> QueryResult<Vec<Conflicting>> {
    let of_role = || {
        tuf_files::table
            .filter(exact(tuf_files::gun, gun.as_str()))
            .filter(exact(tuf_files::role, role.as_str()))
    };
    let taken: Vec<i32> = of_role()
        .filter(tuf_files::version.lt(0))
        .select(tuf_files::version)
        .load(connection)?;
    let mut taken: BTreeSet<i32> = taken.into_iter().collect();
    let rows: Vec<(i32, i32, Option<String>)> = of_role()
        .filter(tuf_files::deleted_at.is_null())
        .filter(tuf_files::version.ge(version))
        .select((tuf_files::id, tuf_files::version, tuf_files::sha256))
        .order(tuf_files::version)
        .load(connection)?;
    let mut found = Vec::with_capacity(rows.len());
    for (id, version, sha256) in rows {
        // A version is positive, and far fewer rows exist than numbers, so one is free.
        let free = (i32::MIN..=version.saturating_neg())
            .rev()
            .find(|free| !taken.contains(free))
            .ok_or(diesel::result::Error::NotFound)?;
        taken.insert(free);
        found.push(Conflicting {
            id,
            free,
            document: StoredDocument {
                role: role.to_string(),
                version,
                // Other database engines pad these columns with spaces.
                sha256: sha256.unwrap_or_default().trim_end().to_owned(),
            },
        });
    }
    Ok(found)
}

/// Sets documents aside; returns them.
pub(super) fn set_aside(
    connection: &mut DbConnection,
    found: Vec<Conflicting>,
    now: NaiveDateTime,
) -> QueryResult<Vec<StoredDocument>> {
    let mut documents = Vec::with_capacity(found.len());
    for Conflicting { id, free, document } in found {
        diesel::update(tuf_files::table.find(id))
            .set((
                tuf_files::version.eq(free),
                tuf_files::deleted_at.eq(now),
                tuf_files::updated_at.eq(now),
            ))
            .execute(connection)?;
        documents.push(document);
    }
    Ok(documents)
}
