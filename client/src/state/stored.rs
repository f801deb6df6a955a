//! The form of the file that holds what was verified: a line with the SHA-256 of the rest, then JSON.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tuf::Gun;
use verifier::{Documents, Seen};

use super::Kept;
use crate::reading::Known;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    format: u32,
    server: Cow<'a, str>,
    gun: Cow<'a, str>,
    seen: Cow<'a, Seen>,
    etag: Option<Cow<'a, str>>,
    roots: Vec<String>,
    timestamp: String,
    snapshot: String,
    targets: BTreeMap<String, String>,
}

/// Writes what is kept.
pub(super) fn encode(kept: &Kept, server: &str, gun: &Gun) -> Result<Vec<u8>, String> {
    let documents = &kept.known.documents;
    let encoded = |bytes: &Bytes| STANDARD.encode(bytes);
    let stored = Stored {
        format: FORMAT,
        server: server.into(),
        gun: gun.as_str().into(),
        seen: Cow::Borrowed(&kept.seen),
        etag: kept.known.etag.as_deref().map(Cow::Borrowed),
        roots: documents.roots.iter().map(encoded).collect(),
        timestamp: encoded(&documents.timestamp),
        snapshot: encoded(&documents.snapshot),
        targets: documents
            .targets
            .iter()
            .map(|(role, bytes)| (role.clone(), encoded(bytes)))
            .collect(),
    };
    let json = serde_json::to_vec(&stored).map_err(|cause| cause.to_string())?;
    let mut text = hex::encode(openssl::sha::sha256(&json)).into_bytes();
    text.push(b'\n');
    text.extend(json);
    Ok(text)
}

/// Reads what is kept, and says what is wrong with it otherwise.
pub(super) fn decode(text: &[u8], server: &str, gun: &Gun) -> Result<Kept, String> {
    let line = text.iter().position(|b| *b == b'\n').ok_or("it is cut off")?;
    let (hash, json) = (&text[..line], &text[line + 1..]);
    if hash != hex::encode(openssl::sha::sha256(json)).as_bytes() {
        return Err("its content does not have the checksum of its first line".into());
    }
    let stored: Stored<'_> = serde_json::from_slice(json).map_err(|cause| cause.to_string())?;
    if stored.format != FORMAT {
        return Err(format!(
            "it has format {}, and this program reads {FORMAT}",
            stored.format
        ));
    }
    if stored.server != server || stored.gun != gun.as_str() {
        return Err(format!("it is of {} at {}", stored.gun, stored.server));
    }
    let decoded = |text: &String| {
        STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|cause| cause.to_string())
    };
    let mut targets = BTreeMap::new();
    for (role, text) in &stored.targets {
        targets.insert(role.clone(), decoded(text)?);
    }
    Ok(Kept {
        known: Known {
            documents: Documents {
                roots: stored.roots.iter().map(decoded).collect::<Result<_, _>>()?,
                timestamp: decoded(&stored.timestamp)?,
                snapshot: decoded(&stored.snapshot)?,
                targets,
            },
            etag: stored.etag.map(Cow::into_owned),
        },
        seen: stored.seen.into_owned(),
    })
}
