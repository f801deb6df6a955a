//! Docker's own programs push, pull and sign at one host, with nothing but certificates.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use tests::{
    Finished, TestServer,
    docker::{Docker, DockerHost},
    flows::docker::clis,
    namespace::{Namespace, Place},
    process::installed_program,
    registry::{Registry, digest},
    server::Builder,
};

/// One host name for the registry and the trust server.
struct World {
    host: DockerHost,
    server: TestServer,
    name: String,
    _registry: Registry,
    _directory: tempfile::TempDir,
}

fn policy() -> Value {
    json!([
        {"effect": "allow", "principals": ["alice0", "alice1"], "actions": ["*"], "guns": ["team/**", "trust.test:*/team/**"]},
        {"effect": "allow", "principals": ["reader"], "actions": ["pull"], "guns": ["team/**", "trust.test:*/team/**"]},
        {"effect": "allow", "principals": ["carol"], "actions": ["*"], "guns": ["carol/**", "trust.test:*/carol/**"]},
    ])
}

impl World {
    fn start(enforce: &Value) -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        let namespace = Namespace::new(directory.path());
        let registry = Registry::start_at(&Place::Inside(namespace.clone()), directory.path());
        let server = TestServer::builder()
            .inside(&namespace)
            .set("registry.upstream", json!(registry.url()))
            .set("registry.enforce", enforce.clone())
            .set("policy", policy());
        let server = Builder::tells_its_url(server).start();
        Self {
            host: DockerHost::start_alone(&namespace, directory.path()),
            name: format!("trust.test:{}", server.port()),
            server,
            _registry: registry,
            _directory: directory,
        }
    }

    /// A person at a machine whose daemon has the same person's certificate.
    fn user(&self, cli: &Path, name: &str) -> Docker {
        let files = self.server.pki().user(name);
        self.host.is_at(&self.name, &files);
        self.host.user_at(cli, name, &files, &self.name)
    }

    fn skopeo(&self, name: &str, arguments: &[&str]) -> Finished {
        // The directory has the names that docker has in its own.
        self.user(&tests::docker::debian_cli(), name);
        let mut command: Command = self.host.place().command(&installed_program("skopeo", "skopeo"));
        command
            .args(["--insecure-policy", "--override-os", "linux"])
            .args(arguments);
        Finished::run(&mut command, "")
    }
}

#[test]
fn docker_pushes_pulls_and_signs_at_one_host_with_certificates_alone() {
    let world = World::start(&json!([{"pattern": "team/**", "mode": "signed"}]));
    for (number, cli) in clis().iter().enumerate() {
        let name = format!("alice{number}");
        let repository = format!("{}/team/app{number}", world.name);
        let image = format!("{repository}:1.0");
        let alice = world.user(cli, &name);
        alice.make_image(&image, &format!("the image of {name}"));
        alice.run(["push", &image]).ok();

        // Nothing that is not signed leaves, but for those who sign.
        let reader = world.user(cli, "reader");
        reader.run(["rmi", &image]).ok();
        reader.run(["pull", &image]).fails().says(&format!(
            "denied: only signed images may be pulled from {repository}, and nothing in it is signed"
        ));
        reader.make_image(&image, "something else");
        reader
            .run(["push", &image])
            .fails()
            .says(&format!("denied: reader may not push {repository}"));
        reader.run(["rmi", &image]).ok();

        let alice = world.user(cli, &name);
        alice.run(["pull", &image]).ok();
        alice.run(["trust", "key", "generate", &name]).ok();
        let public = alice.home().join(format!("{name}.pub")).display().to_string();
        alice
            .run(["trust", "signer", "add", "--key", &public, &name, &repository])
            .ok()
            .says("Successfully added signer");
        alice
            .run(["trust", "sign", &image])
            .ok()
            .says("Successfully signed");
        let inspected = alice.run(["trust", "inspect", &image]).ok();
        let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
        assert_eq!(inspected[0]["SignedTags"][0]["Signers"], json!([name]));
        alice.run(["rmi", &image]).ok();

        let reader = world.user(cli, "reader");
        reader.run(["pull", &image]).ok();
        reader.run(["rmi", &image]).ok();
        reader
            .with_content_trust()
            .run(["pull", &image])
            .ok()
            .says("Tagging");

        // Somebody else's repositories are out of reach.
        let carol = world.user(cli, "carol");
        carol
            .run(["pull", &image])
            .fails()
            .says(&format!("denied: carol may not pull {repository}"));
        let own = format!("{}/carol/app{number}:1", world.name);
        carol.make_image(&own, "hers");
        carol.run(["push", &own]).ok();

        let alice = world.user(cli, &name);
        alice
            .run(["trust", "revoke", &image])
            .ok()
            .says("Successfully deleted signature");
        let reader = world.user(cli, "reader");
        reader.run(["rmi", &image]).ok();
        reader.run(["pull", &image]).fails().says("is not signed");

        // A denied certificate pushes nothing from the next request on.
        world
            .server
            .command_line(&format!("deny add --principal {name}"))
            .ok();
        let alice = world.user(cli, &name);
        alice.make_image(&image, "after the denial");
        alice.run(["push", &image]).fails();
    }
}

#[test]
fn skopeo_copies_what_is_signed_and_nothing_else() {
    let world = World::start(&json!([{"pattern": "**", "mode": "signed"}]));
    let docker = &clis()[0];
    let image = format!("{}/team/app:1.0", world.name);
    let alice = world.user(docker, "alice0");
    alice.make_image(&image, "copied");
    let archive = alice.home().join("saved.tar").display().to_string();
    alice.run(["save", "--output", &archive, &image]).ok();
    let source = format!("docker-archive:{archive}");
    let (pushed, pulled) = (format!("docker://{image}"), |to: &str| {
        format!("dir:{}/{to}", alice.home().display())
    });
    world.skopeo("alice0", &["copy", &source, &pushed]).ok();
    world
        .skopeo("reader", &["copy", &pushed, &pulled("unsigned")])
        .fails()
        .says("nothing in it is signed");
    world
        .skopeo("reader", &["copy", &source, &pushed])
        .fails()
        .says("denied");

    let alice = world.user(docker, "alice0");
    alice.run(["pull", &image]).ok();
    alice
        .with_content_trust()
        .run(["push", &image])
        .ok()
        .says("Successfully signed");
    world.skopeo("reader", &["copy", &pushed, &pulled("signed")]).ok();
    let inspected = world.skopeo("reader", &["inspect", &pushed]).ok();
    let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
    assert_eq!(inspected["RepoTags"], json!(["1.0"]));
    world
        .skopeo("carol", &["inspect", &pushed])
        .fails()
        .says("carol may not pull");
}

/// Writes an image of one platform into an OCI layout; returns its descriptor.
fn write_image(layout: &Path, [layer, compressed]: &[Vec<u8>; 2], architecture: &str) -> Value {
    let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
    let compressed = write_blob(layout, kind, compressed);
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    });
    let kind = "application/vnd.oci.image.config.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": write_blob(layout, kind, config.to_string().as_bytes()), "layers": [compressed],
    });
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let mut described = write_blob(layout, kind, manifest.to_string().as_bytes());
    described["platform"] = json!({"os": "linux", "architecture": architecture});
    described
}

/// Writes a blob into an OCI layout; returns its descriptor.
fn write_blob(layout: &Path, kind: &str, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(digest.strip_prefix("sha256:").unwrap()), bytes).unwrap();
    json!({"mediaType": kind, "size": bytes.len(), "digest": digest})
}

#[test]
fn an_index_of_two_platforms_is_signed_with_notary_and_pulled_with_docker() {
    let world = World::start(&json!([{"pattern": "**", "mode": "signed"}]));
    let clis = clis();
    let repository = format!("{}/team/multi", world.name);
    let image = format!("{repository}:1.0");
    let alice = world.user(&clis[0], "alice0");
    let (layout, content) = (alice.home().join("layout"), alice.home().join("content"));
    std::fs::create_dir_all(&layout).unwrap();
    std::fs::write(&content, "the same for both").unwrap();
    let archive = alice.home().join("layer.tar");
    let mut tar = Command::new("tar");
    Finished::run(
        tar.arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(alice.home())
            .arg("content"),
        "",
    )
    .ok();
    Finished::run(Command::new("gzip").arg("--keep").arg(&archive), "").ok();
    let layer = [archive.clone(), alice.home().join("layer.tar.gz")].map(|path| std::fs::read(path).unwrap());
    let manifests = ["amd64", "arm64"].map(|architecture| write_image(&layout, &layer, architecture));
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests}).to_string();
    let mut described = write_blob(&layout, kind, index.as_bytes());
    described["annotations"] = json!({"org.opencontainers.image.ref.name": "1.0"});
    let entry = json!({"schemaVersion": 2, "manifests": [described]}).to_string();
    std::fs::write(layout.join("index.json"), entry).unwrap();
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let source = format!("oci:{}:1.0", layout.display());
    world
        .skopeo(
            "alice0",
            &[
                "copy",
                "--all",
                "--preserve-digests",
                &source,
                &format!("docker://{image}"),
            ],
        )
        .ok();

    let reader = world.user(&clis[0], "reader");
    reader
        .run(["pull", &image])
        .fails()
        .says("nothing in it is signed");
    let notary = world.server.notary("alice0");
    notary.run(["init", &repository, "-p"]).ok();
    let (size, sum) = (index.len().to_string(), digest(index.as_bytes()));
    let sum = sum.strip_prefix("sha256:").unwrap();
    notary
        .run(["addhash", &repository, "1.0", &size, "--sha256", sum, "-p"])
        .ok();
    for cli in &clis {
        let reader = world.user(cli, "reader");
        reader.run(["pull", &image]).ok();
        reader.with_content_trust().run(["pull", &image]).ok();
        reader.run(["rmi", "--force", &image]).ok();
    }
    let inside = world.skopeo("reader", &["inspect", "--raw", &format!("docker://{image}")]);
    assert_eq!(inside.ok().stdout.trim_end(), index);
}
