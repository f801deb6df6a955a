//! The directory in which podman and skopeo look for signatures of simple signing (`lookaside` in containers-registries.d(5)):
//! `PATH@sha256=DIGEST/signature-1` and so on, up to the first number that is missing. PATH is the repository without its host.

use std::path::PathBuf;

use tuf::{Checksum, Gun};

use super::{
    BridgeError,
    files::{make_directory, read, write, write_new},
};

/// The largest signature that is read, in bytes.
const SIGNATURE_LIMIT: u64 = 1 << 20;
/// How many signatures of one image are looked at.
const MOST: usize = 1000;

/// A directory with signatures.
pub struct Lookaside(PathBuf);

impl Lookaside {
    /// The directory. Nothing is made yet.
    pub fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    fn of(&self, gun: &Gun, image: &Checksum) -> PathBuf {
        let path = gun.as_str().split_once('/').map_or("", |(_, path)| path);
        self.0.join(format!("{path}@sha256={image}"))
    }

    /// The signatures of an image, the first one first.
    pub(super) fn all(&self, gun: &Gun, image: &Checksum) -> Result<Vec<Vec<u8>>, BridgeError> {
        let directory = self.of(gun, image);
        let mut found = Vec::new();
        while let Some(signature) = read(
            &directory.join(format!("signature-{}", found.len() + 1)),
            SIGNATURE_LIMIT,
        )? {
            found.push(signature);
            if found.len() > MOST {
                return Err(BridgeError::Signatures {
                    place: directory.display().to_string(),
                    reason: format!("it has more than {MOST} signatures; remove those that nobody needs"),
                });
            }
        }
        Ok(found)
    }

    /// Keeps a signature of an image: in place of the one of this number, from 1, or after all others.
    pub(super) fn put(
        &self,
        gun: &Gun,
        image: &Checksum,
        signature: &[u8],
        in_place_of: Option<usize>,
    ) -> Result<(), BridgeError> {
        let directory = self.of(gun, image);
        make_directory(&directory)?;
        let path = |number: usize| directory.join(format!("signature-{number}"));
        if let Some(number) = in_place_of {
            return write(&path(number), signature);
        }
        // Others may add theirs at the same time.
        for number in self.all(gun, image)?.len() + 1..=MOST {
            if write_new(&path(number), signature)? {
                return Ok(());
            }
        }
        Err(BridgeError::Contended(directory.display().to_string()))
    }
}
