//! Target files, whose content counts only if it is what was signed. tough finds what is signed, and its content is read without
//! it: in names such as `registry:5000/app` it takes what stands before the colon for the scheme of an address.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use openssl::sha::Sha256;
use tempfile::NamedTempFile;
use tough::TargetName;

use super::{NativeError, NativeRepository};

impl NativeRepository {
    /// Downloads a target below a directory, under its name, and verifies it before it gets that name. The path of the file.
    ///
    /// # Errors
    /// When there is no such target, or its content cannot be read or does not verify.
    pub async fn download(&self, target: &str, directory: &Path) -> Result<PathBuf, NativeError> {
        let absent = || NativeError::NoTarget {
            name: self.name.to_string(),
            target: target.to_owned(),
        };
        let name = TargetName::new(target).map_err(|_| absent())?;
        let signed = self.loaded().targets().signed.find_target(&name, false);
        let signed = signed.map_err(|_| absent())?;
        let sha256 = hex::encode(&signed.hashes.sha256);
        let below = Path::new(name.resolved());
        let path = directory.join(below);
        let failed = |reason: String| NativeError::File {
            path: path.clone(),
            reason,
        };
        // What is signed has no such name. Nothing is written elsewhere if it has.
        if !below
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(failed("its name leads out of the directory".to_owned()));
        }
        let address = self.server.native_target(&self.name, target, &sha256);
        let begun = self.server.begin_file(self.name.gun(), &address).await?;
        let mut response = begun.ok_or_else(|| failed("nobody keeps its content".to_owned()))?;
        let io = |cause: std::io::Error| failed(platform::reason::of_io(&cause));
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(io)?;
        let mut file = NamedTempFile::new_in(parent).map_err(io)?;
        let (mut hash, mut length) = (Sha256::new(), 0_u64);
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|cause| self.server.broken(&cause))?
        {
            length = length.saturating_add(piece.len() as u64);
            if length > signed.length {
                return Err(failed(format!(
                    "its content has more than the {} bytes that are signed",
                    signed.length
                )));
            }
            hash.update(&piece);
            file.write_all(&piece).map_err(io)?;
        }
        if length != signed.length || hex::encode(hash.finish()) != sha256 {
            return Err(failed("its content is not what is signed".to_owned()));
        }
        // Temporary files are only their owner's.
        let readable = fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(readable).map_err(io)?;
        file.persist(&path).map_err(|cause| io(cause.error))?;
        Ok(path)
    }
}
