//! A file with digests written into it, and otherwise as it was, comments included.

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use super::documents::{ManifestError, images, parse};

/// The digests cannot be written.
#[derive(Debug, Error)]
pub enum RewriteError {
    /// The file cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// An image is written in a way that cannot be replaced in the text, such as over several lines.
    #[error(
        "{0} is written in a way that cannot be replaced in the text: write it as `image: {0}` on a line of its own"
    )]
    Place(String),
}

/// The keys whose value is an image.
const KEYS: [&str; 2] = ["image", "reference"];

/// The text with each image of `pinned` replaced by what it maps to. Nothing else of the text, and nothing else of what
/// it means, differs.
///
/// # Errors
/// When that cannot be done; then nothing should be written.
pub fn rewrite(text: &str, pinned: &BTreeMap<String, String>) -> Result<String, RewriteError> {
    let mut written = String::with_capacity(text.len() + 128);
    for line in text.split_inclusive('\n') {
        match replaced(line, pinned) {
            Some(line) => written.push_str(&line),
            None => written.push_str(line),
        }
    }
    let expected: Vec<String> = images(text)?
        .into_iter()
        .map(|image| pinned.get(&image).cloned().unwrap_or(image))
        .collect();
    let found = images(&written)?;
    if let Some((missed, _)) = expected
        .iter()
        .zip(&found)
        .find(|(expected, found)| expected != found)
    {
        let written_as = pinned.iter().find(|(_, pinned)| *pinned == missed);
        let image = written_as.map_or(missed, |(image, _)| image);
        return Err(RewriteError::Place(image.clone()));
    }
    let mut before = parse(text)?;
    before.iter_mut().for_each(|document| mark(document, pinned));
    let mut after = parse(&written)?;
    after.iter_mut().for_each(|document| mark(document, pinned));
    if before != after || expected.len() != found.len() {
        let image = pinned.keys().next().cloned().unwrap_or_default();
        return Err(RewriteError::Place(image));
    }
    Ok(written)
}

/// Makes values that differ in their images alone the same.
fn mark(value: &mut Value, pinned: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if KEYS.contains(&name.as_str())
                    && let Value::String(image) = member
                    && let Some(digest) = pinned.get(image)
                {
                    image.clone_from(digest);
                }
                mark(member, pinned);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| mark(element, pinned)),
        _ => {}
    }
}

/// The line with another image, if it is one that names an image of `pinned`: `image: NAME`, with or without quotes, as
/// the first key of a list's element, and before a comment.
fn replaced(line: &str, pinned: &BTreeMap<String, String>) -> Option<String> {
    let trimmed = line.trim_start_matches([' ', '\t']);
    let start = trimmed.trim_start_matches("- ").trim_start_matches(' ');
    let key = KEYS.into_iter().find(|key| {
        start
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with(':'))
    });
    let quoted = |key: &&'static str| start.strip_prefix(&format!("\"{key}\"")).is_some();
    let key_length = match key {
        Some(key) => key.len(),
        None => KEYS.into_iter().find(quoted)?.len() + 2,
    };
    let after = start.get(key_length..)?.trim_start().strip_prefix(':')?;
    let value_start = line.len() - after.trim_start().len();
    let value = line.get(value_start..)?;
    let (image, end) = match value.chars().next()? {
        quote @ ('"' | '\'') => {
            let image = value.get(1..)?.split(quote).next()?;
            (image, image.len() + 2)
        }
        _ => {
            let image = value.split([' ', '\t', '\r', '\n', ',', '}']).next()?;
            (image, image.len())
        }
    };
    let digest = pinned.get(image)?;
    let quote = value
        .get(..1)
        .filter(|first| matches!(*first, "\"" | "'"))
        .unwrap_or_default();
    Some(format!(
        "{}{quote}{digest}{quote}{}",
        line.get(..value_start)?,
        value.get(end..)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned() -> BTreeMap<String, String> {
        BTreeMap::from([("a:1".to_owned(), "a:1@sha256:ab".to_owned())])
    }

    #[test]
    fn digests_are_written_and_everything_else_stays() {
        let text = "# first\napiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: a:1   # ours\n    name: x\n  - name: y\n    image: \
                    \"a:1\"\n  - name: z\n    image: b\r\n";
        let expected = text
            .replace("a:1   #", "a:1@sha256:ab   #")
            .replace("\"a:1\"", "\"a:1@sha256:ab\"");
        assert_eq!(rewrite(text, &pinned()).unwrap(), expected);
    }

    #[test]
    fn json_in_lines_is_rewritten_too() {
        let text = "{\"services\": {\"x\": {\n  \"image\": \"a:1\"\n}}}\n";
        assert_eq!(
            rewrite(text, &pinned()).unwrap(),
            text.replace("a:1", "a:1@sha256:ab")
        );
    }

    #[test]
    fn what_cannot_be_replaced_without_doubt_is_refused() {
        for text in [
            "services:\n  x: {image: a:1}\n",
            "services:\n  x:\n    image: >-\n      a:1\n",
            "services:\n  x:\n    image: &i a:1\n  y:\n    image: *i\n",
        ] {
            assert!(rewrite(text, &pinned()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_text_elsewhere_stays() {
        let text = "services:\n  x:\n    image: a:1\n    command: [\"image:\", \"a:1\"]\n    labels:\n      note: a:1\n";
        let expected = text.replacen("a:1", "a:1@sha256:ab", 1);
        assert_eq!(rewrite(text, &pinned()).unwrap(), expected);
    }
}
