//! All mutations of single fields of a JSON document.

use serde_json::{Map, Value, json};

/// A copy of a document with one change.
pub struct Mutation {
    /// Where the change is: names and indices, joined by dots; empty for the document itself.
    pub path: String,
    /// The kind of change.
    pub kind: &'static str,
    /// The result.
    pub document: Value,
}

/// All mutations of a document: every value in it removed, given each other type, and changed within its
/// type.
pub fn mutations(document: &Value) -> Vec<Mutation> {
    let mut found = Vec::new();
    visit(document, &mut Vec::new(), &mut |path, value| {
        if !path.is_empty() {
            found.push(mutation(document, path, "removed", None));
        }
        let changes = retyped(value).into_iter().chain(changed(value));
        let changes = changes.filter(|(_, changed)| changed != value);
        found.extend(changes.map(|(kind, changed)| mutation(document, path, kind, Some(changed))));
    });
    found
}

#[derive(Clone)]
enum Step {
    Member(String),
    Element(usize),
}

fn visit(value: &Value, path: &mut Vec<Step>, found: &mut impl FnMut(&[Step], &Value)) {
    found(path, value);
    let below: Vec<(Step, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (Step::Member(name.clone()), value))
            .collect(),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .map(|(index, value)| (Step::Element(index), value))
            .collect(),
        _ => Vec::new(),
    };
    for (step, value) in below {
        path.push(step);
        visit(value, path, found);
        path.pop();
    }
}

/// The same place with a value of every other type.
fn retyped(value: &Value) -> Vec<(&'static str, Value)> {
    let mut others = vec![("null", Value::Null)];
    let kinds = [
        ("boolean", json!(true), value.is_boolean()),
        ("number", json!(7), value.is_number()),
        // Base64, so that it is wrong for its type alone.
        ("text", json!("eHh4"), value.is_string()),
        ("list", json!([]), value.is_array()),
        ("object", json!({}), value.is_object()),
    ];
    others.extend(
        kinds
            .into_iter()
            .filter(|(_, _, own)| !own)
            .map(|(kind, other, _)| (kind, other)),
    );
    if value.is_number() {
        others.push(("fraction", json!(1.5)));
    }
    others
}

/// Other values of the same type.
fn changed(value: &Value) -> Vec<(&'static str, Value)> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(flag) => vec![("negated", json!(!flag))],
        Value::Number(number) => {
            let number = number.as_i64().unwrap();
            vec![
                ("raised", json!(number + 1)),
                ("zero", json!(0)),
                ("negative", json!(-1)),
                ("huge", json!(1_i64 << 53)),
            ]
        }
        Value::String(text) => {
            let mut changes = vec![("empty", json!("")), ("longer", json!(format!("{text}x")))];
            if let Some(first) = text.chars().next() {
                let other = if first == 'A' { "B" } else { "A" };
                let rest = &text[first.len_utf8()..];
                changes.push(("altered", json!(format!("{other}{rest}"))));
            }
            changes
        }
        Value::Array(elements) => {
            let mut doubled = elements.clone();
            doubled.extend(elements.first().cloned());
            vec![("emptied", json!([])), ("doubled", json!(doubled))]
        }
        Value::Object(members) => {
            let mut extended = members.clone();
            extended.insert("x".into(), json!("eHh4"));
            vec![
                ("emptied", Value::Object(Map::new())),
                ("extended", Value::Object(extended)),
            ]
        }
    }
}

/// `None` removes the value.
fn mutation(document: &Value, path: &[Step], kind: &'static str, changed: Option<Value>) -> Mutation {
    let names: Vec<String> = path
        .iter()
        .map(|step| match step {
            Step::Member(name) => name.clone(),
            Step::Element(index) => index.to_string(),
        })
        .collect();
    let mut mutated = document.clone();
    match (path.split_last(), changed) {
        (None, changed) => mutated = changed.unwrap_or_default(),
        (Some((last, above)), changed) => {
            let mut node = &mut mutated;
            for step in above {
                node = match step {
                    Step::Member(name) => &mut node[name],
                    Step::Element(index) => &mut node[index],
                };
            }
            match (last, changed) {
                (Step::Member(name), Some(changed)) => node[name] = changed,
                (Step::Element(index), Some(changed)) => node[index] = changed,
                (Step::Member(name), None) => drop(node.as_object_mut().unwrap().shift_remove(name)),
                (Step::Element(index), None) => drop(node.as_array_mut().unwrap().remove(*index)),
            }
        }
    }
    Mutation {
        path: names.join("."),
        kind,
        document: mutated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_removed_retyped_and_changed_and_nothing_else_is_touched() {
        let document = json!({"a": [1], "b": "t"});
        let all = mutations(&document);
        let of = |path: &str| -> Vec<(&str, String)> {
            let here = all.iter().filter(|mutation| mutation.path == path);
            here.map(|mutation| (mutation.kind, mutation.document.to_string()))
                .collect()
        };
        assert!(of("").contains(&("extended", json!({"a": [1], "b": "t", "x": "eHh4"}).to_string())));
        assert!(of("a").contains(&("removed", json!({"b": "t"}).to_string())));
        assert!(of("a").contains(&("doubled", json!({"a": [1, 1], "b": "t"}).to_string())));
        assert!(of("a.0").contains(&("removed", json!({"a": [], "b": "t"}).to_string())));
        assert!(of("a.0").contains(&("raised", json!({"a": [2], "b": "t"}).to_string())));
        assert!(of("b").contains(&("altered", json!({"a": [1], "b": "A"}).to_string())));
        assert!(
            all.iter()
                .all(|mutation| mutation.document != document && !mutation.kind.is_empty())
        );
        assert_eq!(all.len(), 7 + 8 + 11 + 9);
    }
}
