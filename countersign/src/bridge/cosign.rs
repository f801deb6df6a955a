//! Attests an image as cosign does.

use bytes::Bytes;
use chrono::Utc;
use tuf::Checksum;

use super::{
    Attested, BridgeError, BridgeKey, Place, Recorder, Statement,
    payload::{self, Kind, Payload, Relation},
    signatures::{Signature, Signatures},
};

/// How often signatures are put when others put theirs at the same time.
const ATTEMPTS: usize = 5;

/// Signs the statement, unless a signature of the key says the same already, and puts the signature beside those of others.
/// The statement is recorded before it is signed.
///
/// # Errors
/// When it was not recorded, cannot be signed, or cannot be put there.
pub async fn attest(
    place: &Place,
    key: &BridgeKey,
    statement: &Statement,
    recorder: &impl Recorder,
) -> Result<Attested, BridgeError> {
    let image = &statement.manifest;
    let mut former = Vec::new();
    for signature in read(place, image).await?.all() {
        match relation(place, key, statement, &signature).await? {
            Relation::Same => return Ok(Attested::Already),
            Relation::Former => former.push(signature),
            Relation::Other => {}
        }
    }
    let content = Bytes::from(payload::write(Kind::Cosign, statement, Utc::now())?);
    let checksum = Checksum::of(&content);
    recorder
        .record(statement, Kind::Cosign.name(), key.sha256(), checksum)
        .await?;
    let signature = Signature {
        payload: checksum,
        size: content.len() as u64,
        bytes: key.sign(&content)?,
    };
    place.store(&content).await?;
    // Registries put whatever comes last. So nothing is put over what was not read just before, and what came of it is read.
    for _ in 0..ATTEMPTS {
        let before = place.manifest(image).await?;
        let written = signatures(place, image, before.as_deref())?
            .replacing(&former, &signature)
            .write();
        place.store(&written.config).await?;
        if place.manifest(image).await? != before {
            continue;
        }
        place.put(image, &written.manifest).await?;
        if read(place, image).await?.all().contains(&signature) {
            return Ok(Attested::Now);
        }
    }
    Err(BridgeError::Contended(place.label()))
}

async fn read(place: &Place, image: &Checksum) -> Result<Signatures, BridgeError> {
    let manifest = place.manifest(image).await?;
    signatures(place, image, manifest.as_deref())
}

/// What a manifest says; without one there are no signatures.
fn signatures(place: &Place, image: &Checksum, manifest: Option<&[u8]>) -> Result<Signatures, BridgeError> {
    let Some(manifest) = manifest else {
        return Ok(Signatures::none());
    };
    Signatures::read(manifest).map_err(|reason| BridgeError::Signatures {
        place: format!("{} (sha256:{image})", place.label()),
        reason,
    })
}

/// How a signature stands to the statement; one that the key did not make says something else.
async fn relation(
    place: &Place,
    key: &BridgeKey,
    statement: &Statement,
    signature: &Signature,
) -> Result<Relation, BridgeError> {
    if signature.size > payload::LIMIT {
        return Ok(Relation::Other);
    }
    let content = place.blob(&signature.payload, payload::LIMIT).await?;
    Ok(match content {
        Some(content) if key.verifies(&content, &signature.bytes) => {
            Payload::relation(&content, Kind::Cosign, statement)
        }
        _ => Relation::Other,
    })
}
