//! MCR: `content-trust` of the engine's `daemon.json`.

use super::write::{Draft, flag, json, list, members, note_others, texts};
use super::{ImportError, Imported};

const SECTION: &str = "content-trust";

/// From the engine's `daemon.json`: `content-trust`.
///
/// `cert-ids` go before `root-keys` for the same pattern. What is not pinned is denied, as the engine does.
///
/// # Errors
/// See [`ImportError`].
pub fn import_engine(text: &str) -> Result<Imported, ImportError> {
    let document = json(text)?;
    let section = document.get(SECTION).ok_or(ImportError::Missing(SECTION))?;
    let section = members(section, SECTION)?;
    let mut draft = Draft::of("the engine's content-trust (daemon.json)");
    let known = ["mode", "trust-pinning", "allow-expired-cached-trust-data"];
    note_others(&mut draft, SECTION, section.keys().cloned(), &known);
    match section.get("mode").map(|mode| mode.as_str()) {
        Some(Some("enforced")) => {}
        Some(Some("permissive")) => draft.audit = true,
        None | Some(Some("disabled" | "")) => {
            draft.audit = true;
            draft.note("the mode is disabled, so the engine checks nothing: the policy is in audit mode");
        }
        Some(_) => {
            return Err(ImportError::kind(
                "content-trust.mode",
                "disabled, permissive or enforced",
            ));
        }
    }
    let mut rest = String::new();
    if let Some(expired) = section.get("allow-expired-cached-trust-data")
        && flag(expired, "content-trust.allow-expired-cached-trust-data")?
    {
        rest.push_str(", max_staleness: 24h");
        draft.note(
            "expired trust data from the cache is used for 24 hours while the server is away (max_staleness); the engine has no \
             such limit",
        );
    }
    let Some(pinning) = section.get("trust-pinning") else {
        draft.note("there is no trust-pinning, which is an error to the engine too: everything is denied until a rule is written");
        return Ok(draft.finish());
    };
    let pinning = members(pinning, "content-trust.trust-pinning")?;
    let known = ["root-keys", "cert-ids", "official-library-images"];
    note_others(
        &mut draft,
        "content-trust.trust-pinning",
        pinning.keys().cloned(),
        &known,
    );
    for (section, kind) in [("cert-ids", "cert_ids"), ("root-keys", "root_keys")] {
        let Some(pins) = pinning.get(section) else {
            continue;
        };
        let place = format!("content-trust.trust-pinning.{section}");
        for (pattern, ids) in members(pins, &place)? {
            let ids = texts(ids, &format!("{place}.{pattern}"))?;
            if ids.is_empty() {
                draft.note(format!(
                    "{pattern} has no IDs in {section}, so its images are denied"
                ));
                continue;
            }
            let anchor = format!("{kind} of {pattern}");
            draft.rule(
                &Draft::completed(pattern),
                format!("anchor: {}{rest}", super::write::quoted(&anchor)),
            );
            draft
                .anchors
                .push((anchor, format!("{{ {kind}: {} }}", list(ids))));
            if pattern.ends_with("/*") {
                draft.note(format!(
                    "{pattern} matches names without a further slash; write ** instead of * for those with one"
                ));
            }
        }
    }
    if let Some(official) = pinning.get("official-library-images")
        && flag(official, "content-trust.trust-pinning.official-library-images")?
    {
        draft.note(
            "official-library-images trusts a key that is built into the engine: find out its ID and pin it by root_keys in a \
             rule for docker.io/library/*; until then these images are denied",
        );
    }
    Ok(draft.finish())
}
