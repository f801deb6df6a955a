//! A registry of images as Debian has it, and images put together by hand.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use openssl::sha::sha256;
use serde_json::{Value, json};

use crate::{
    http::{Client, Response},
    namespace::Place,
    process::{Daemon, Stop, free_port, installed_program},
};

/// The media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of a list of images for several platforms.
pub const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What a client asks for that takes both.
pub const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
                          application/vnd.docker.distribution.manifest.list.v2+json, \
                          application/vnd.oci.image.manifest.v1+json";

/// A registry on this machine that anybody may use, without TLS.
pub struct Registry {
    daemon: Daemon,
    place: Place,
    directory: PathBuf,
    port: u16,
}

impl Registry {
    /// Starts one that keeps its files in `directory`.
    pub fn start(directory: &Path) -> Self {
        Self::start_at(&Place::Here, directory)
    }

    /// The same, in another place.
    pub fn start_at(place: &Place, directory: &Path) -> Self {
        let port = free_port();
        let config = json!({
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": directory.join("registry")},
                "delete": {"enabled": true},
            },
            "http": {"addr": format!("127.0.0.1:{port}"), "secret": "of no one"},
        });
        // JSON is YAML.
        fs::write(directory.join("registry.yml"), config.to_string()).unwrap();
        Self {
            daemon: run(place, directory, port),
            place: place.clone(),
            directory: directory.to_path_buf(),
            port,
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on it asks for this name and password.
    pub fn demand_password(&mut self, name: &str, password: &str) {
        let hash = bcrypt::hash(password, bcrypt::DEFAULT_COST.min(5)).unwrap();
        let users = self.directory.join("users");
        fs::write(&users, format!("{name}:{hash}\n")).unwrap();
        let path = self.directory.join("registry.yml");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["auth"] = json!({"htpasswd": {"realm": "registry", "path": users}});
        fs::write(&path, config.to_string()).unwrap();
        self.stop();
        self.start_again();
    }

    /// Its host and port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.daemon.stop(Stop::AtOnce);
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.daemon = run(&self.place, &self.directory, self.port);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

fn run(place: &Place, directory: &Path, port: u16) -> Daemon {
    let mut command = place.command(&installed_program("docker-registry", "docker-registry"));
    command.arg("serve").arg(directory.join("registry.yml"));
    let mut daemon = Daemon::spawn(&mut command, &directory.join("registry.log"));
    daemon.wait_for("the registry listens", || {
        place.reachable(Ipv4Addr::LOCALHOST.into(), port)
    });
    daemon
}

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha256(bytes)))
}

/// The path and query of a place, which may be a whole URL.
pub fn path_of(place: &str) -> String {
    match place.split_once("://") {
        Some((_, rest)) => rest[rest.find('/').unwrap()..].to_owned(),
        None => place.to_owned(),
    }
}

/// Starts an upload; returns where it goes on.
#[track_caller]
pub fn begin_upload(client: &Client, name: &str) -> String {
    let begun = client.request("POST", &format!("/v2/{name}/blobs/uploads/"), &[], &[]);
    assert_eq!(begun.status, 202, "{}", begun.text());
    path_of(begun.header("location").unwrap())
}

/// Adds a parameter to a path that may have some.
pub fn with_parameter(path: &str, parameter: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}{parameter}")
}

/// Pushes a blob; returns its digest.
#[track_caller]
pub fn push_blob(client: &Client, name: &str, bytes: &[u8]) -> String {
    let digest = digest(bytes);
    let place = begin_upload(client, name);
    let kind = ("Content-Type", "application/octet-stream");
    let put = client.request(
        "PUT",
        &with_parameter(&place, &format!("digest={digest}")),
        &[kind],
        bytes,
    );
    assert_eq!(put.status, 201, "{}", put.text());
    digest
}

/// Pushes a manifest under a tag or digest.
pub fn put_manifest(client: &Client, name: &str, reference: &str, kind: &str, manifest: &Value) -> Response {
    let path = format!("/v2/{name}/manifests/{reference}");
    client.request(
        "PUT",
        &path,
        &[("Content-Type", kind)],
        manifest.to_string().as_bytes(),
    )
}

/// Pushes an image with one layer; returns its manifest.
#[track_caller]
pub fn push_image(client: &Client, name: &str, tag: &str, content: &str) -> Value {
    let config = json!({"architecture": "amd64", "os": "linux", "note": content}).to_string();
    let described = |kind: &str, bytes: &[u8]| {
        let digest = push_blob(client, name, bytes);
        json!({"mediaType": kind, "size": bytes.len(), "digest": digest})
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described("application/vnd.docker.container.image.v1+json", config.as_bytes()),
        "layers": [described("application/vnd.docker.image.rootfs.diff.tar.gzip", content.as_bytes())],
    });
    let put = put_manifest(client, name, tag, MANIFEST, &manifest);
    assert_eq!(put.status, 201, "{}", put.text());
    manifest
}

/// Asks for a manifest, as a client does that takes every kind.
pub fn get_manifest(client: &Client, name: &str, reference: &str) -> Response {
    client.request(
        "GET",
        &format!("/v2/{name}/manifests/{reference}"),
        &[("Accept", ACCEPT)],
        &[],
    )
}
