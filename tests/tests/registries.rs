//! What `sign --from-registry` asks registries for, and how it reaches them.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    TestServer,
    person::Person,
    registry::{Registry, get_manifest, push_image, put_manifest},
};

const INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A registry behind a trust server's gateway, which is the way to push to it.
struct Site {
    registry: Registry,
    server: TestServer,
    owner: Person,
    _directory: tempfile::TempDir,
}

impl Site {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::start(directory.path());
        let server = TestServer::builder()
            .set(
                "registry",
                json!({"upstream": registry.url(), "host": "localhost"}),
            )
            .start();
        Self {
            owner: Person::of(&server, "alice"),
            registry,
            server,
            _directory: directory,
        }
    }

    /// Pushes an image to `team/app`; returns its digest.
    fn push(&self, tag: &str) -> String {
        let client = self.server.client("alice");
        push_image(&client, "team/app", tag, tag);
        sha256_of(&get_manifest(&client, "team/app", tag).body)
    }

    /// The owner's configuration of Docker.
    fn docker_config(&self, config: &Value) {
        let directory = self.owner.client.directory().join(".docker");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config.json"), config.to_string()).unwrap();
    }
}

fn sha256_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha256(bytes)))
}

#[test]
fn an_index_for_several_platforms_is_signed_by_its_own_digest_and_its_images_are_not() {
    let site = Site::start();
    let (server, owner) = (&site.server, &site.owner);
    let client = server.client("alice");
    let children = ["amd64", "arm64"].map(|architecture| {
        let digest = site.push(architecture);
        let size = get_manifest(&client, "team/app", architecture).body.len();
        json!({
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "size": size, "digest": digest,
            "platform": {"architecture": architecture, "os": "linux"},
        })
    });
    let child = children[0]["digest"].as_str().unwrap().to_owned();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
    let put = put_manifest(&client, "team/app", "multi", INDEX, &index);
    assert_eq!(put.status, 201, "{}", put.text());
    let digest = sha256_of(index.to_string().as_bytes());
    let name = format!("{}/team/app", server.url().strip_prefix("https://").unwrap());
    let image = format!("{name}:multi");
    let signed = owner.run(&["sign", "--init", &image, "--from-registry"]).ok();
    assert_eq!(signed.stdout.trim(), format!("{image}@{digest}"), "{signed}");
    owner
        .notary
        .run(["lookup", &name, "multi"])
        .ok()
        .says(digest.strip_prefix("sha256:").unwrap());
    // The same by the file, and by the digest that a build gave.
    let file = owner.client.directory().join("index.json");
    fs::write(&file, index.to_string()).unwrap();
    let by_file = owner
        .run(&["sign", &image, "--from-file", file.to_str().unwrap()])
        .ok();
    assert_eq!(by_file.stdout, signed.stdout);
    let by_digest = owner
        .run(&["sign", &image, "--digest", &digest, "--from-registry"])
        .ok();
    assert_eq!(by_digest.stdout, signed.stdout);
    let root = owner.notary.root_key();
    let verify = |image: &str| {
        owner
            .client
            .run_at_server(&["verify", "--root-key", &root, image])
    };
    for allowed in [
        image.clone(),
        format!("{image}@{digest}"),
        format!("{name}@{digest}"),
    ] {
        verify(&allowed).ok().says(&digest);
    }
    // An image of one platform has a digest of its own, which nobody has signed.
    for (denied, reason) in [
        (format!("{name}@{child}"), "digest_not_signed"),
        (format!("{image}@{child}"), "digest_mismatch"),
    ] {
        let finished = verify(&denied);
        assert_eq!(finished.code, 1, "{finished}");
        finished.says(reason);
    }
    owner
        .run(&["sign", &format!("{name}:amd64"), "--from-registry"])
        .ok()
        .says(&child);
    verify(&format!("{name}@{child}")).ok();
    verify(&image).ok().says(&digest);
}

#[test]
fn a_registry_on_this_machine_is_asked_over_plain_http_and_any_other_one_only_when_told_to() {
    let mut site = Site::start();
    let digest = site.push("1.0");
    let name = format!("{}/team/app", site.registry.host());
    let image = format!("{name}:1.0");
    let sign = |site: &Site, arguments: &[&str]| {
        site.owner
            .run(&[&["sign", "--from-registry"], arguments].concat())
    };
    let signed = sign(&site, &["--init", &image]).ok();
    assert_eq!(signed.stdout.trim(), format!("{image}@{digest}"), "{signed}");
    // Under a name that is not this machine's, nothing is asked without TLS.
    let elsewhere = site.registry.host().replace("127.0.0.1", "0.0.0.0");
    let there = format!("{elsewhere}/team/app:1.0");
    sign(&site, &["--init", &there]).fails().says("cannot be asked");
    let insecure = ["--insecure-registry", &elsewhere];
    sign(&site, &[&insecure[..], &["--init", &there]].concat())
        .fails()
        .says("name the digest");
    let with_digest = format!("{there}@{digest}");
    sign(&site, &[&insecure[..], &["--init", &with_digest]].concat()).ok();
    sign(&site, &["--insecure-registry", "other.example", &there])
        .fails()
        .says("is not the registry of");
    site.owner
        .run(&[
            "sign",
            &there,
            "--digest",
            &digest,
            "--size",
            "1",
            insecure[0],
            insecure[1],
        ])
        .fails()
        .says("--from-registry");

    // With a login it is the same, and it stays on this machine.
    site.registry.demand_password("alice", "right");
    let auth = |password: &str| json!({"auth": STANDARD.encode(format!("alice:{password}"))});
    let host = site.registry.host();
    sign(&site, &[&image]).fails().says("does not accept who asks");
    site.docker_config(&json!({"auths": {host.clone(): auth("right"), elsewhere.clone(): auth("right")}}));
    sign(&site, &[&image]).ok();
    sign(&site, &[&insecure[..], &[&with_digest]].concat())
        .fails()
        .says("no password is sent over plain HTTP to another machine");
    site.docker_config(&json!({"auths": {host.clone(): auth("wrong")}}));
    sign(&site, &[&image]).fails().says("does not accept who asks");
    site.docker_config(&json!({"auths": {host.clone(): {}}, "credsStore": "desktop"}));
    sign(&site, &[&image])
        .fails()
        .says("docker-credential-desktop, which is not asked here");
    site.docker_config(&json!({"auths": {host.clone(): {"identitytoken": "t"}}}));
    sign(&site, &[&image]).fails().says("identity token");
    site.docker_config(&json!({"auths": {host: {"auth": "!"}}}));
    sign(&site, &[&image])
        .fails()
        .says("is not the Base64 of NAME:PASSWORD");
}
