//! Prints findings about repositories.

use platform::report::Report;
use tuf::{Finding, Gun, Severity};

/// Prints a finding and counts it if something is broken.
pub(super) fn finding(report: &mut Report, gun: &Gun, finding: &Finding) {
    let version = finding.version.map(|version| format!(" version {version}"));
    let what = format!(
        "{gun}: {}{}: {}",
        finding.role,
        version.unwrap_or_default(),
        finding.sentence
    );
    match finding.severity {
        Severity::Broken => report.broken(what),
        Severity::Harmless => report.note(what),
        other => platform::say!("{other}: {what}"),
    }
}

/// `1 repository`, `2 repositories`.
pub(super) fn repositories(count: u64) -> String {
    match count {
        1 => "1 repository".to_owned(),
        _ => format!("{count} repositories"),
    }
}
