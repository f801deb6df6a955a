//! Puts files where programs look for them. Identical files are left alone, and a copy of each replaced file is kept.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::SetUpError;

/// Which values are kept if a configuration already has some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefer {
    New,
    Existing,
}

/// Writes files or, in a dry run, only says what it would write.
pub(super) struct Installer {
    pub dry_run: bool,
    pub now: DateTime<Utc>,
}

impl Installer {
    /// Writes a file with these permissions, unless it is identical.
    pub(super) fn put(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), SetUpError> {
        if fs::read(path).is_ok_and(|present| present == content) {
            if !self.dry_run {
                let permissions = fs::Permissions::from_mode(mode);
                fs::set_permissions(path, permissions).map_err(|cause| failed(path, cause))?;
            }
            platform::say!("same     {}", path.display());
            return Ok(());
        }
        self.back_up(path)?;
        if !self.dry_run {
            make_parent(path)?;
            let unfinished = beside(path, ".unfinished");
            let _ = fs::remove_file(&unfinished);
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&unfinished)
                .and_then(|mut file| file.write_all(content))
                .and_then(|()| fs::rename(&unfinished, path))
                .map_err(|cause| failed(path, cause))?;
        }
        self.report_written(path);
        Ok(())
    }

    /// Adds values to the JSON object in a file, and leaves its other keys alone.
    pub(super) fn merge(&self, path: &Path, new: &Value, prefer: Prefer) -> Result<(), SetUpError> {
        let present = match fs::read(path) {
            Ok(text) => Some(text),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
            Err(cause) => return Err(failed(path, cause)),
        };
        let Some(text) = present else {
            if !self.dry_run {
                make_parent(path)?;
                fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .and_then(|mut file| writeln!(file, "{new:#}"))
                    .map_err(|cause| failed(path, cause))?;
            }
            self.report_written(path);
            return Ok(());
        };
        let present: Value = serde_json::from_slice(&text).map_err(|cause| SetUpError::Json {
            path: path.to_path_buf(),
            cause,
        })?;
        let result = match prefer {
            Prefer::New => merged(present.clone(), new.clone()),
            Prefer::Existing => merged(new.clone(), present.clone()),
        };
        if result == present {
            platform::say!("same     {}", path.display());
            return Ok(());
        }
        self.back_up(path)?;
        if !self.dry_run {
            // Writes into the existing file: it may be a link, and its owner chose its mode.
            fs::write(path, format!("{result:#}\n")).map_err(|cause| failed(path, cause))?;
        }
        self.report_written(path);
        Ok(())
    }

    fn back_up(&self, path: &Path) -> Result<(), SetUpError> {
        if !path.exists() {
            return Ok(());
        }
        let copy = beside(path, &format!(".before-{}", self.now.format("%Y%m%dT%H%M%SZ")));
        if !self.dry_run {
            fs::copy(path, &copy).map_err(|cause| failed(&copy, cause))?;
        }
        platform::say!("kept     {}, a copy of what is replaced", copy.display());
        Ok(())
    }

    fn report_written(&self, path: &Path) {
        if self.dry_run {
            platform::say!("would write {}", path.display());
        } else {
            platform::say!("wrote    {}", path.display());
        }
    }
}

/// Merges `over` into `base`, object by object.
fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let value = match base.remove(&key) {
                    Some(present) => merged(present, value),
                    None => value,
                };
                base.insert(key, value);
            }
            Value::Object(base)
        }
        (_, over) => over,
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn make_parent(path: &Path) -> Result<(), SetUpError> {
    let parent = path.parent().unwrap_or(path);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(parent)
        .map_err(|cause| failed(parent, cause))
}

fn failed(path: &Path, cause: std::io::Error) -> SetUpError {
    SetUpError::File {
        path: path.to_path_buf(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merged;

    #[test]
    fn objects_are_merged_and_everything_else_is_replaced() {
        let base = json!({"a": {"b": 1, "c": [1]}, "d": 2});
        let result = merged(base, json!({"a": {"c": [2], "e": 3}}));
        assert_eq!(result, json!({"a": {"b": 1, "c": [2], "e": 3}, "d": 2}));
    }
}
