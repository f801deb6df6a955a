//! Attests an image by simple signing, as podman and skopeo do.

use chrono::Utc;
use tuf::Checksum;

use super::{
    Attested, BridgeError, Gpg, Lookaside, Recorder, Statement,
    payload::{self, Kind, Payload, Relation},
};

/// Signs the statement, unless a good signature of the key says the same already, and keeps the signature beside those of
/// others. The statement is recorded before it is signed.
///
/// # Errors
/// When it was not recorded, cannot be signed, or cannot be kept.
pub async fn attest(
    lookaside: &Lookaside,
    gpg: &Gpg,
    statement: &Statement,
    recorder: &impl Recorder,
) -> Result<Attested, BridgeError> {
    let (gun, image) = (&statement.gun, &statement.manifest);
    let mut former = None;
    for (position, signature) in lookaside.all(gun, image)?.iter().enumerate() {
        let Some(content) = gpg.signed(signature)? else {
            continue;
        };
        match Payload::relation(&content, Kind::SimpleSigning, statement) {
            Relation::Same => return Ok(Attested::Already),
            Relation::Former => former = Some(position + 1),
            Relation::Other => {}
        }
    }
    let content = payload::write(Kind::SimpleSigning, statement, Utc::now())?;
    let kind = Kind::SimpleSigning.name();
    recorder
        .record(statement, kind, gpg.key().as_str(), Checksum::of(&content))
        .await?;
    let signature = gpg.sign(&content)?;
    lookaside.put(gun, image, &signature, former)?;
    Ok(Attested::Now)
}
