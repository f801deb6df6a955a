//! MKE: "run only signed images".

use toml::{Table, Value};

use super::write::{Draft, list, note_others, quoted};
use super::{ImportError, Imported};

const SECTION: &str = "trust_configuration";

/// From MKE's configuration: the table `trust_configuration` (TOML).
///
/// Its names of users become signers, each with the certificate of their client bundle, and names with a slash become teams,
/// a member of each of which has to sign. MKE pins no root keys; the policy has to.
///
/// # Errors
/// See [`ImportError`].
pub fn import_mke(text: &str) -> Result<Imported, ImportError> {
    let table: Table = toml::from_str(text).map_err(|cause| ImportError::Syntax {
        format: "TOML",
        cause: cause.to_string(),
    })?;
    let section = table.get(SECTION).ok_or(ImportError::Missing(SECTION))?;
    let section = section
        .as_table()
        .ok_or_else(|| ImportError::kind(SECTION, "a table"))?;
    let mut draft = Draft::of("MKE's trust_configuration");
    let known = ["require_content_trust", "require_signature_from", "allow_repos"];
    note_others(&mut draft, SECTION, section.keys().cloned(), &known);

    let required = match section.get("require_content_trust") {
        None => false,
        Some(Value::Boolean(required)) => *required,
        Some(_) => {
            return Err(ImportError::kind(
                "trust_configuration.require_content_trust",
                "true or false",
            ));
        }
    };
    if !required {
        draft.audit = true;
        draft.note(
            "require_content_trust is not set, so MKE runs everything: the policy is in audit mode, which tells what it would \
             deny; remove mode: audit to enforce it",
        );
    }
    draft.anchors.push((
        "mke".to_owned(),
        r#"{ root_keys: ["FILL IN: the root key's ID"] }"#.to_owned(),
    ));
    draft.note(
        "MKE trusts the first root key that it sees; fill in the IDs of your root keys (notary key list, or countersign key \
         list), or name an authority with ca_file",
    );

    let mut signers = Vec::new();
    for name in texts(section, "require_signature_from")? {
        if name.contains(['/', ':']) {
            draft.teams.push(name.to_owned());
            draft.note(format!(
                "fill in the members of the team {name}, and define each of them as a signer"
            ));
        } else {
            let certificate = format!("{{ certs: [{}] }}", quoted(&format!("{name}/cert.pem")));
            draft.signers.push((name.to_owned(), certificate));
            draft.note(format!(
                "put the certificate of {name}'s client bundle (cert.pem) at {name}/cert.pem beside the policy; if {name} is a \
                 team, make it one under teams"
            ));
            signers.push(name);
        }
    }
    let mut require = Vec::new();
    if !signers.is_empty() {
        require.push(format!("signers: {}", list(signers)));
    }
    if !draft.teams.is_empty() {
        require.push(format!(
            "every_team: {}",
            list(draft.teams.iter().map(String::as_str))
        ));
    }
    let mut rest = "anchor: mke".to_owned();
    if !require.is_empty() {
        rest.push_str(&format!(", require: {{ {} }}", require.join(", ")));
    }
    draft.rule("**", rest);
    for repository in texts(section, "allow_repos")? {
        draft.rule(&Draft::completed(repository), "action: allow".to_owned());
    }
    Ok(draft.finish())
}

fn texts<'a>(section: &'a Table, key: &str) -> Result<Vec<&'a str>, ImportError> {
    let wrong = || ImportError::kind(format!("{SECTION}.{key}"), "a list of texts");
    let Some(value) = section.get(key) else {
        return Ok(Vec::new());
    };
    let elements = value.as_array().ok_or_else(wrong)?;
    elements
        .iter()
        .map(|element| element.as_str().ok_or_else(wrong))
        .collect()
}
