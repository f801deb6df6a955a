//! Limits how far the version of a document may be above the last one.

use std::collections::BTreeMap;

use crate::metadata::MetadataError;
use crate::rejection::Rejection;
use crate::role::RoleName;
use crate::upload::Upload;
use crate::version::Version;

/// Checks that no uploaded document has a version more than `limit` above the highest stored one of its role, which is
/// 0 for a role that has none. Without a limit a single publish could use up all versions that can be stored.
///
/// # Errors
///
/// Refuses the first document that goes further.
pub fn check_steps(
    upload: &Upload,
    highest: &BTreeMap<RoleName, Version>,
    limit: u32,
) -> Result<(), Rejection> {
    for (role, version) in upload.versions() {
        let last = highest.get(&role).map_or(0, |version| i64::from(version.get()));
        if version.saturating_sub(last) > i64::from(limit) {
            let error = MetadataError::VersionStep {
                role: role.clone(),
                version,
                last,
                limit,
            };
            return Err(Rejection::uploaded(&role, &error));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: Option<i64>, to: i64) -> Result<(), Rejection> {
        let document = format!(r#"{{"signed":{{"version":{to}}}}}"#);
        let upload = Upload::from_parts([(Some("targets".to_owned()), document.into())]).unwrap();
        let stored = from.map(|version| (RoleName::Targets, Version::new(version).unwrap()));
        check_steps(&upload, &stored.into_iter().collect(), 1000)
    }

    #[test]
    fn a_version_goes_as_far_as_the_limit_and_no_further() {
        for (from, to) in [
            (None, 1000),
            (Some(1), 1001),
            (Some(2_000_000_000), 2_000_001_000),
            (Some(7), 3),
        ] {
            assert_eq!(step(from, to), Ok(()), "{from:?} {to}");
        }
        for (from, to) in [(None, 1001), (Some(1), 1002), (Some(5), 1 << 53)] {
            assert!(
                matches!(step(from, to), Err(Rejection::BadTargets(_))),
                "{from:?} {to}"
            );
        }
        let text = step(Some(5), 2_147_483_647).unwrap_err().to_string();
        assert_eq!(
            text,
            "targets version 2147483647 is too far beyond 5, the last one: at most 1000 (the server's \
             limits.version_step)"
        );
    }
}
