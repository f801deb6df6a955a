//! The images of a YAML or JSON file, whatever stands in it.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::kubernetes::{ObjectError, places};

/// A file cannot be judged.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// It is no YAML, or says something twice.
    #[error("it is not YAML that can be judged: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// A text in it cannot be told apart from another one.
    #[error("document {0} has keys that are no texts")]
    Keys(usize),
    /// An object of Kubernetes is not what its kind says.
    #[error("document {0}: {1}")]
    Object(usize, ObjectError),
}

/// The containers of a pod, in objects of kinds that are not known.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// The images that the documents of a file name, in their order; the same one as often as it is named.
///
/// # Errors
/// When it cannot be said without doubt.
pub fn images(text: &str) -> Result<Vec<String>, ManifestError> {
    let mut found = Vec::new();
    for (number, document) in parse(text)?.into_iter().enumerate() {
        of_document(number + 1, &document, &mut found)?;
    }
    Ok(found)
}

/// The documents as values. Merge keys, as Compose files use them, are applied.
pub(super) fn parse(text: &str) -> Result<Vec<Value>, ManifestError> {
    let mut documents = Vec::new();
    for (number, document) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
        // This type refuses objects that repeat a key.
        let mut value = serde_yaml_ng::Value::deserialize(document)?;
        value.apply_merge()?;
        let value = serde_json::to_value(value).map_err(|_| ManifestError::Keys(number + 1))?;
        documents.push(value);
    }
    Ok(documents)
}

fn of_document(number: usize, document: &Value, found: &mut Vec<String>) -> Result<(), ManifestError> {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return of_compose(document, found);
    };
    if let Some(items) = document.get("items").and_then(Value::as_array)
        && kind.ends_with("List")
    {
        return items.iter().try_for_each(|item| of_document(number, item, found));
    }
    let group = version.split_once('/').map_or("", |(group, _)| group);
    match places(group, kind, document) {
        Ok(places) => found.extend(places.into_iter().filter_map(|place| place.image)),
        Err(ObjectError::UnknownKind(_)) => deep(document, found),
        Err(reason) => return Err(ManifestError::Object(number, reason)),
    }
    Ok(())
}

fn of_compose(document: &Value, found: &mut Vec<String>) -> Result<(), ManifestError> {
    let services = document.get("services").and_then(Value::as_object);
    let images = services
        .into_iter()
        .flatten()
        .filter_map(|(_, service)| service.get("image")?.as_str());
    found.extend(images.map(str::to_owned));
    Ok(())
}

/// Whatever looks like a list of containers, at any depth: kinds of others have pods in them too.
fn deep(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if CONTAINERS.contains(&name.as_str()) {
                    let containers = member.as_array().into_iter().flatten();
                    let images = containers.filter_map(|container| container.get("image")?.as_str());
                    found.extend(images.map(str::to_owned));
                }
                deep(member, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| deep(element, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_and_compose_name_their_images() {
        let kubernetes = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: a:1\n---\n# nothing\n---\n\
                          apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  spec:\n    template:\n      \
                          spec:\n        initContainers: [{image: b}]\n---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec:\n  \
                          template:\n    spec:\n      containers:\n      - {name: x, image: c}\n---\napiVersion: v1\nkind: ConfigMap\ndata: \
                          {image: not-one}\n";
        assert_eq!(images(kubernetes).unwrap(), ["a:1", "b", "c"]);
        let compose = "x-base: &base\n  image: base:1\nservices:\n  web:\n    <<: *base\n  db:\n    image: \"db:2\"\n  built:\n    build: .\n";
        assert_eq!(images(compose).unwrap(), ["base:1", "db:2"]);
        assert_eq!(images("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_readers_read_differently_is_refused() {
        for text in [
            "services:\n  a:\n    image: x\n    image: y\n",
            "services: {a: {image: x}, a: {image: y}}",
            "{",
            "apiVersion: v1\nkind: Pod\nspec: {containers: {image: x}}\n",
        ] {
            assert!(images(text).is_err(), "{text}");
        }
    }
}
