//! The modules of each crate import one another in one direction only: every crate's rooms, the modules directly below
//! its `src`, form no circle. Nobody imports what puts the server together, and records know nothing of storage.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

type Imports = BTreeMap<String, BTreeSet<String>>;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The name of what stands directly below a directory.
fn room(source: &Path, path: &Path) -> String {
    let below = path.strip_prefix(source).unwrap().components().next().unwrap();
    Path::new(below.as_os_str())
        .file_stem()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

/// The first segments of the paths in the braces that `text` begins after.
fn first_segments(text: &str) -> Vec<String> {
    let (mut depth, mut begins, mut found) = (0, true, Vec::new());
    let name = Regex::new(r"^\s*(\w+)").unwrap();
    for (position, character) in text.char_indices() {
        if begins && let Some(captured) = name.captures(&text[position..]) {
            found.push(captured[1].to_owned());
            begins = false;
        }
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ => {}
        }
    }
    found
}

/// Who imports whom within a crate. Unit tests may use what they like.
fn imports(source: &Path) -> Imports {
    let mut files = Vec::new();
    sources(source, &mut files);
    let rooms: BTreeSet<String> = files.iter().map(|path| room(source, path)).collect();
    let (comment, single, grouped) = (
        Regex::new(r"//.*").unwrap(),
        Regex::new(r"\bcrate::(\w+)").unwrap(),
        Regex::new(r"\bcrate::\{").unwrap(),
    );
    let mut imports = Imports::new();
    for path in &files {
        let name = path.file_name().unwrap().to_string_lossy();
        if ["lib.rs", "main.rs", "tests.rs"].contains(&name.as_ref()) {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let text = comment.replace_all(text, "");
        let of = room(source, path);
        let used = single.captures_iter(&text).map(|found| found[1].to_owned());
        let within = grouped
            .find_iter(&text)
            .flat_map(|found| first_segments(&text[found.end()..]));
        let used = used
            .chain(within)
            .filter(|used| rooms.contains(used) && *used != of);
        imports.entry(of.clone()).or_default().extend(used);
    }
    imports
}

/// A way from a room back to it, if there is one.
fn circle(imports: &Imports, from: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in imports.get(way.last()?).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next.clone());
            if next == from {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

fn source_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name)
        .join("src")
}

#[test]
fn no_crate_has_a_circle_of_rooms() {
    for name in ["platform", "signing", "server"] {
        let imports = imports(&source_of(name));
        for from in imports.keys() {
            let circle = circle(&imports, from);
            assert!(circle.is_none(), "{name}: {}", circle.unwrap().join(" -> "));
        }
    }
}

#[test]
fn a_circle_would_be_found() {
    let text = "use crate::{\n    access::{Access, Denied},\n    store,\n};\n";
    assert_eq!(
        first_segments(&text[text.find('{').unwrap() + 1..]),
        ["access", "store"]
    );
    let imports = |pairs: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in pairs {
            imports
                .entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        imports
    };
    assert_eq!(
        circle(&imports(&[("a", "b"), ("b", "c"), ("c", "a")]), "a").unwrap(),
        ["a", "b", "c", "a"]
    );
    assert!(circle(&imports(&[("a", "b"), ("b", "c"), ("a", "c")]), "a").is_none());
}

#[test]
fn nobody_imports_what_puts_the_server_together_and_records_know_nothing_of_storage() {
    let server = imports(&source_of("server"));
    let users = |room: &str| -> Vec<&str> {
        let users = server.iter().filter(|(_, used)| used.contains(room));
        users.map(|(user, _)| user.as_str()).collect()
    };
    assert_eq!(
        users("app"),
        ["commands"],
        "only the command that serves runs the server"
    );
    assert_eq!(users("commands"), Vec::<&str>::new());
    for (room, foreign) in [
        ("audit", "store"),
        ("store", "revocation"),
        ("store", "identity"),
        ("identity", "generation"),
        ("identity", "state"),
        ("access", "state"),
        ("revocation", "state"),
    ] {
        assert!(!server[room].contains(foreign), "{room} imports {foreign}");
    }
    assert_eq!(
        server.get("config").map(BTreeSet::len).unwrap_or_default(),
        0,
        "{:?}",
        server["config"]
    );
}
