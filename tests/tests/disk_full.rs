//! A full disk: publishes are refused with the reason, nothing is lost, and the server works again once there is space.

use std::fs;

use serde_json::json;
use tests::{
    Finished, TestServer,
    namespace::{Namespace, Place},
};

const GUN: &str = "reg/app";
/// More publishes than fit on the disk.
const ATTEMPTS: i64 = 100;

#[test]
fn a_publish_that_finds_no_room_is_refused_and_nothing_is_lost() {
    let directory = tempfile::TempDir::new().unwrap();
    let namespace = Namespace::new(directory.path());
    let place = Place::Inside(namespace.clone());
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let mut command = place.command(std::path::Path::new("/bin/mount"));
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk);
        Finished::run(&mut command, "").ok();
    };
    mount("size=3m");
    let url = disk.join("metadata.db").display().to_string();
    let storage = json!({"backend": "sqlite3", "db_url": url});
    let server = TestServer::builder()
        .set("storage", storage)
        .inside(&namespace)
        .start();
    let alice = server.notary("alice");
    alice.run(["init", GUN, "-p"]).ok();
    alice.run(["key", "rotate", GUN, "snapshot", "-r"]).ok();
    let custom = alice.file("custom.json", &json!({"filler": "x".repeat(60_000)}).to_string());
    let digest = hex::encode([7; 32]);
    let publish = |number: i64| {
        let name = format!("v{number}");
        let arguments = ["addhash", GUN, &name, "1", "--sha256", &digest, "--custom"];
        alice.run(arguments.into_iter().chain([custom.to_str().unwrap(), "-p"]))
    };
    let mut acknowledged = Vec::new();
    let refused = (1..ATTEMPTS).map(publish).find_map(|attempt| match attempt.code {
        0 => {
            acknowledged.push(format!("v{}", acknowledged.len() + 1));
            None
        }
        _ => Some(attempt),
    });
    refused
        .expect("the disk never got full")
        .says("unable to reach trust server at this time: 503");
    assert!(acknowledged.len() > 2, "{acknowledged:?}");
    assert!(
        server.log().contains("database or disk is full"),
        "{}",
        server.log()
    );
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(
        sorted(server.notary("bob").targets(GUN)),
        sorted(acknowledged.clone())
    );

    let mut more = place.command(std::path::Path::new("/bin/mount"));
    Finished::run(more.args(["-o", "remount,size=60m"]).arg(&disk), "").ok();
    // What could not be published is still staged.
    alice.run(["publish", GUN]).ok();
    acknowledged.push(format!("v{}", acknowledged.len() + 1));
    assert_eq!(sorted(server.notary("carol").targets(GUN)), sorted(acknowledged));
}
