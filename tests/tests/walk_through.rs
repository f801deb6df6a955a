//! Runs docs/client-certificates.md and docs/registry.md word for word: every block in a shell, with a real dockerd,
//! registry, notary and headless Chromium. Each has to print what the page shows.

use std::{fs, path::Path};

use tempfile::TempDir;
use tests::{
    TestPki,
    docker::DockerHost,
    namespace::{Namespace, Place},
    process::{Finished, built_programs, installed_program},
};

/// The marker at the start of the output of a block.
const MARK: &str = "=== block ";

/// A block of commands, and the lines it has to print.
#[derive(Debug)]
struct Block {
    commands: String,
    fails: bool,
    prints: Vec<String>,
}

/// The blocks of a page: `sh` or `sh fails`, perhaps with `text` after it.
fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut fence: Option<&str> = None;
    for line in page.lines() {
        match (fence, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                fence = Some(kind);
                if kind.starts_with("sh") {
                    let (commands, prints) = (String::new(), Vec::new());
                    found.push(Block {
                        commands,
                        fails: kind == "sh fails",
                        prints,
                    });
                }
            }
            (Some(_), Some(_)) => fence = None,
            (Some("text"), None) => found.last_mut().unwrap().prints.push(line.to_owned()),
            (Some(kind), None) if kind.starts_with("sh") => {
                let block = found.last_mut().unwrap();
                block.commands.push_str(line);
                block.commands.push('\n');
            }
            _ => {}
        }
    }
    found
}

/// Whether `output` has a line with the parts of `pattern` between its `...` in this order.
fn has_line(output: &str, pattern: &str) -> bool {
    output.lines().any(|line| {
        let mut rest = line;
        pattern
            .split("...")
            .map(str::trim)
            .all(|part| match rest.find(part) {
                Some(position) => {
                    rest = &rest[position + part.len()..];
                    true
                }
                None => false,
            })
    })
}

#[test]
fn the_walk_through_works_word_for_word() {
    for (program, package) in [
        ("chromium", "chromium"),
        ("certutil", "libnss3-tools"),
        ("pk12util", "libnss3-tools"),
        ("notary", "notary"),
        ("docker-registry", "docker-registry"),
    ] {
        installed_program(program, package);
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/client-certificates.md");
    run(page, 15);
}

#[test]
fn the_walk_through_of_a_registry_works_word_for_word() {
    installed_program("docker-registry", "docker-registry");
    run(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/registry.md"), 7);
}

/// Runs a page, which has more than so many blocks.
fn run(page: &str, more_than: usize) {
    let blocks = blocks(&fs::read_to_string(page).unwrap());
    assert!(blocks.len() > more_than, "{}", blocks.len());
    let directory = TempDir::new().unwrap();
    let namespace = Namespace::new(directory.path());
    let host = DockerHost::start(
        &namespace,
        directory.path(),
        &TestPki::new(&directory.path().join("pki")),
        "dockerd",
    );
    private_policies(&Place::Inside(namespace.clone()), directory.path());
    let home = directory.path().join("home");
    let mut script = format!("export PATH='{}':$PATH\n", built_programs().display());
    // What the page starts in the background ends with the page.
    script.push_str("trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\nexec 2>&1\n");
    for (number, block) in blocks.iter().enumerate() {
        script.push_str(&format!("printf '\\n{MARK}{number}\\n'\n"));
        if block.fails {
            script.push_str(&format!(
                "if (\n{}) </dev/null; then echo 'it does not fail'; exit 1; fi\n",
                block.commands
            ));
        } else {
            script.push_str(&block.commands);
        }
    }
    let finished = host.shell(&home, &script);
    let outputs: Vec<&str> = finished.stdout.split(MARK).skip(1).collect();
    for (block, output) in blocks.iter().zip(&outputs) {
        for line in &block.prints {
            assert!(
                has_line(output, line),
                "no line {line:?} after\n{}in\n{output}\n{}",
                block.commands,
                finished.stderr
            );
        }
    }
    assert_eq!((finished.code, outputs.len()), (0, blocks.len()), "{finished}");
}

/// Chromium's policies are the machine's: this page's are seen in the namespace only.
fn private_policies(place: &Place, directory: &Path) {
    let private = directory.join("policies");
    fs::create_dir_all(&private).unwrap();
    fs::create_dir_all("/etc/chromium/policies").unwrap();
    let mut mount = place.command(Path::new("/bin/mount"));
    Finished::run(
        mount.arg("--bind").arg(&private).arg("/etc/chromium/policies"),
        "",
    )
    .ok();
}

#[test]
fn a_pattern_matches_one_line_in_order() {
    assert!(has_line("x\nab 12 cd\n", "ab ... cd"));
    assert!(!has_line("ab\ncd\n", "ab ... cd") && !has_line("cd ab\n", "ab ... cd"));
}
