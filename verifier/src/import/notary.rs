//! Notary: `trust_pinning` of the client's `config.json`.

use super::write::{Draft, flag, json, list, members, note_others, quoted, texts};
use super::{ImportError, Imported};

const SECTION: &str = "trust_pinning";

/// From Notary's `config.json`: `trust_pinning`.
///
/// A star at the end of a name, and every name of an authority's, stands for all names that begin so. Trust on first use, which
/// the client falls back to, is not carried over.
///
/// # Errors
/// See [`ImportError`].
pub fn import_notary(text: &str) -> Result<Imported, ImportError> {
    let document = json(text)?;
    let section = document.get(SECTION).ok_or(ImportError::Missing(SECTION))?;
    let section = members(section, SECTION)?;
    let mut draft = Draft::of("Notary's trust_pinning (config.json)");
    note_others(
        &mut draft,
        SECTION,
        section.keys().cloned(),
        &["certs", "ca", "disable_tofu"],
    );
    if let Some(pins) = section.get("certs") {
        for (name, ids) in members(pins, "trust_pinning.certs")? {
            let ids = texts(ids, &format!("trust_pinning.certs.{name}"))?;
            if ids.is_empty() {
                draft.note(format!("{name} has no IDs in certs, so its images are denied"));
                continue;
            }
            let anchor = format!("certs of {name}");
            let pattern = match name.strip_suffix('*') {
                Some(beginning) => format!("{beginning}**"),
                None => Draft::completed(name),
            };
            draft.rule(&pattern, format!("anchor: {}", quoted(&anchor)));
            draft
                .anchors
                .push((anchor, format!("{{ cert_ids: {} }}", list(ids))));
        }
    }
    if let Some(authorities) = section.get("ca") {
        for (prefix, file) in members(authorities, "trust_pinning.ca")? {
            let place = format!("trust_pinning.ca.{prefix}");
            let file = file
                .as_str()
                .ok_or_else(|| ImportError::kind(place, "the name of a file"))?;
            let anchor = format!("ca of {prefix}");
            draft.rule(&format!("{prefix}**"), format!("anchor: {}", quoted(&anchor)));
            draft.anchors.push((
                anchor,
                format!("{{ ca_file: {}, common_name: gun }}", quoted(file)),
            ));
            draft.note(format!("the file {file} is looked for beside the policy"));
        }
    }
    let disabled = section
        .get("disable_tofu")
        .map_or(Ok(false), |value| flag(value, "trust_pinning.disable_tofu"))?;
    if !disabled {
        draft.note(
            "the client trusts the first root of every other repository that it sees; here these are denied. Where you want that, \
             write an anchor with tofu: true and a scope",
        );
    }
    Ok(draft.finish())
}
