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
    for name in [
        "tuf",
        "tuf-native",
        "platform",
        "signing",
        "verifier",
        "client",
        "countersign",
        "signer",
        "server",
        "bench",
    ] {
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

/// Where a path of ARCHITECTURE.md is: those of a crate are below its `src`.
fn place_of(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let below_source = path
        .split_once('/')
        .map(|(name, rest)| root.join(name).join("src").join(rest));
    below_source
        .filter(|place| place.exists())
        .unwrap_or_else(|| root.join(path))
}

#[test]
fn every_path_that_the_architecture_names_is_there() {
    let page = fs::read_to_string(place_of("ARCHITECTURE.md")).unwrap();
    let path =
        Regex::new(r"`((?:server|signer|platform|signing|tuf|tests|docs|migrations|fixtures)/[\w./-]*)`")
            .unwrap();
    let named: BTreeSet<&str> = path
        .captures_iter(&page)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    assert!(named.len() > 40, "the page names {} paths", named.len());
    let missing: Vec<&&str> = named.iter().filter(|path| !place_of(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_room_of_the_server_is_on_the_page_and_imports_only_rooms_below_it() {
    let page = fs::read_to_string(place_of("ARCHITECTURE.md")).unwrap();
    let server = imports(&source_of("server"));
    for room in server.keys() {
        let named = [format!("`server/{room}`"), format!("`server/{room}.rs`")];
        let named = named.iter().any(|name| page.contains(name.as_str()));
        assert!(named, "ARCHITECTURE.md does not say what server/{room} is for");
    }
    let name = Regex::new(r"`server/(\w+)(?:\.rs)?`").unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `server/"));
    let floors: BTreeMap<String, usize> = rows
        .enumerate()
        .flat_map(|(row, line)| {
            let cell = line.split('|').nth(1).unwrap_or_default();
            let names = name.captures_iter(cell).map(|found| found[1].to_owned());
            names.map(|name| (name, row)).collect::<Vec<_>>()
        })
        .collect();
    assert!(floors.len() > 10, "{floors:?}");
    for (room, used) in &server {
        for below in used {
            if let (Some(upper), Some(lower)) = (floors.get(room), floors.get(below)) {
                assert!(upper <= lower, "{room} imports {below}, which is above it");
            }
        }
    }
}
