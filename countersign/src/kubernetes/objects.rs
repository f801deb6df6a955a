//! Where the objects of Kubernetes name images.

use serde_json::Value;
use thiserror::Error;

/// A place in an object that names an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A JSON pointer (RFC 6901) to the image's name.
    pub pointer: String,
    /// The image as it is written there; `None` where a container has none, which the API server refuses by itself
    /// unless a controller fills it in.
    pub image: Option<String>,
}

/// The object cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ObjectError {
    /// An object of a kind whose images this gate cannot find.
    #[error(
        "this gate does not know where {0} names images: take the kind out of the webhook's rules, or judge the pods it \
         makes"
    )]
    UnknownKind(String),
    /// Something that should be a list, an object or a text is none.
    #[error("{0} is not {1}")]
    WrongType(String, &'static str),
}

/// The lists of containers in a pod's `spec`.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// All images that an object of this API group and kind names, in the order in which they run.
///
/// # Errors
/// For kinds whose images are not known, and for objects that are not what their kind says.
pub fn places(group: &str, kind: &str, object: &Value) -> Result<Vec<Place>, ObjectError> {
    let Some(path) = pod_path(group, kind) else {
        let name = match group {
            "" => kind.to_owned(),
            group => format!("{kind}.{group}"),
        };
        return Err(ObjectError::UnknownKind(name));
    };
    let mut found = Vec::new();
    let mut pointer = String::new();
    let mut pod = Some(object);
    for name in path {
        pod = member(pod, name, &mut pointer)?;
    }
    let Some(pod) = pod else {
        return Ok(found);
    };
    for name in CONTAINERS {
        for (position, container) in list(pod, name, &pointer)? {
            let pointer = format!("{pointer}/{name}/{position}");
            let image = text(container, "image", &pointer)?;
            found.push(Place {
                pointer: format!("{pointer}/image"),
                image,
            });
        }
    }
    for (position, volume) in list(pod, "volumes", &pointer)? {
        let mut pointer = format!("{pointer}/volumes/{position}");
        if let Some(source) = member(Some(volume), "image", &mut pointer)? {
            let image = text(source, "reference", &pointer)?;
            found.push(Place {
                pointer: format!("{pointer}/reference"),
                image,
            });
        }
    }
    Ok(found)
}

/// Whether a kind names images at all. What does not passes a gate that was asked about it by mistake.
pub fn names_no_images(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("autoscaling", "Scale")
            | ("extensions", "Scale")
            | ("", "Binding")
            | ("policy", "Eviction")
            | ("authentication.k8s.io", "TokenRequest")
    )
}

/// The way from an object to the `spec` of the pods that it makes.
fn pod_path(group: &str, kind: &str) -> Option<&'static [&'static str]> {
    const TEMPLATE: &[&str] = &["spec", "template", "spec"];
    Some(match (group, kind) {
        ("", "Pod") => &["spec"],
        ("", "PodTemplate") => &["template", "spec"],
        ("", "ReplicationController")
        | ("apps" | "extensions", "Deployment" | "ReplicaSet" | "DaemonSet")
        | ("apps", "StatefulSet")
        | ("batch", "Job") => TEMPLATE,
        ("batch", "CronJob") => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => return None,
    })
}

fn member<'a>(
    object: Option<&'a Value>,
    name: &str,
    pointer: &mut String,
) -> Result<Option<&'a Value>, ObjectError> {
    let object = match object {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(ObjectError::WrongType(place(pointer), "an object")),
    };
    pointer.push('/');
    pointer.push_str(name);
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(found @ Value::Object(_)) => Ok(Some(found)),
        Some(_) => Err(ObjectError::WrongType(place(pointer), "an object")),
    }
}

fn list<'a>(
    object: &'a Value,
    name: &str,
    pointer: &str,
) -> Result<impl Iterator<Item = (usize, &'a Value)>, ObjectError> {
    let wrong = |what| ObjectError::WrongType(format!("{pointer}/{name}"), what);
    let elements: &[Value] = match object.get(name) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(elements)) => elements,
        Some(_) => return Err(wrong("a list")),
    };
    if elements.iter().any(|element| !element.is_object()) {
        return Err(wrong("a list of objects"));
    }
    Ok(elements.iter().enumerate())
}

fn text(object: &Value, name: &str, pointer: &str) -> Result<Option<String>, ObjectError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ObjectError::WrongType(format!("{pointer}/{name}"), "a text")),
    }
}

fn place(pointer: &str) -> String {
    if pointer.is_empty() {
        "the object".to_owned()
    } else {
        pointer.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn images(group: &str, kind: &str, object: &Value) -> Vec<String> {
        let places = places(group, kind, object).unwrap();
        for place in &places {
            let at = object.pointer(&place.pointer).and_then(Value::as_str);
            assert_eq!(at, place.image.as_deref(), "{}", place.pointer);
        }
        places.into_iter().filter_map(|place| place.image).collect()
    }

    #[test]
    fn every_place_of_a_pod_is_found() {
        let spec = json!({
            "containers": [{"image": "c1"}, {"image": "c2"}],
            "initContainers": [{"image": "i"}],
            "ephemeralContainers": [{"image": "e"}],
            "volumes": [{"emptyDir": {}}, {"name": "v", "image": {"reference": "vol", "pullPolicy": "Always"}}],
        });
        let expected = ["i", "c1", "c2", "e", "vol"];
        let template = json!({"metadata": {}, "spec": spec});
        assert_eq!(images("", "Pod", &template), expected);
        assert_eq!(
            images("", "PodTemplate", &json!({"template": template})),
            expected
        );
        for (group, kind) in [
            ("apps", "Deployment"),
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
            ("apps", "DaemonSet"),
            ("extensions", "Deployment"),
            ("", "ReplicationController"),
            ("batch", "Job"),
        ] {
            assert_eq!(
                images(group, kind, &json!({"spec": {"template": template}})),
                expected
            );
        }
        let job = json!({"spec": {"template": template}});
        let cron = json!({"spec": {"jobTemplate": job}});
        assert_eq!(images("batch", "CronJob", &cron), expected);
    }

    #[test]
    fn unknown_kinds_are_refused_by_name() {
        for (group, kind) in [
            ("argoproj.io", "Rollout"),
            ("example", "Deployment"),
            ("", "deployment"),
        ] {
            assert!(places(group, kind, &json!({})).is_err(), "{group} {kind}");
        }
    }

    #[test]
    fn what_is_not_of_the_right_type_is_refused() {
        for spec in [
            json!([]),
            json!({"containers": {}}),
            json!({"containers": ["x"]}),
            json!({"containers": [{"image": 1}]}),
            json!({"volumes": [{"image": "x"}]}),
        ] {
            assert!(places("", "Pod", &json!({"spec": spec})).is_err(), "{spec}");
        }
    }

    #[test]
    fn a_container_without_image_has_a_place_without_one() {
        let places = places("", "Pod", &json!({"spec": {"containers": [{"image": ""}, {}]}})).unwrap();
        assert_eq!(places.len(), 2);
        assert!(places.iter().all(|place| place.image.is_none()));
    }
}
