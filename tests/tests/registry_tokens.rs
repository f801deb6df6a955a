//! Debian's registry with tokens of ours: dockerd and skopeo get them with certificates alone, or with a password.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tests::{
    Finished, TestServer,
    docker::{DockerHost, REGISTRY, debian_cli},
    issued_tokens::{self, ISSUER},
    namespace::{Namespace, TRUST_NAME},
    process::wait_until,
};

struct World {
    host: DockerHost,
    server: TestServer,
    _directory: tempfile::TempDir,
}

/// A trust server that issues tokens, a registry that wants them, and a dockerd with alice's certificate.
fn world() -> World {
    let directory = tempfile::TempDir::new().unwrap();
    let namespace = Namespace::new(directory.path());
    let builder = issued_tokens::builder()
        .inside(&namespace)
        .set("token_service.services", json!([{"name": "registry", "host": REGISTRY}]))
        .set("token_service.refresh_lifetime", json!("30d"))
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["alice"], "actions": ["*"], "guns": [format!("{REGISTRY}/team/**")]},
                {"effect": "allow", "principals": ["bob"], "actions": ["pull"], "guns": [format!("{REGISTRY}/team/**")]},
            ]),
        );
    let server = issued_tokens::start(builder);
    let auth = json!({"token": {
        "realm": format!("https://{TRUST_NAME}:{}/auth/token", server.port()),
        "service": "registry",
        "issuer": ISSUER,
        "rootcertbundle": server.path().join("token.crt"),
    }});
    let host = DockerHost::start_with(&namespace, directory.path(), server.pki(), "alice", |config| {
        config["auth"] = auth;
        // Who somebody is, the token says.
        config["http"]["tls"].as_object_mut().unwrap().remove("clientcas");
    });
    World {
        host,
        server,
        _directory: directory,
    }
}

#[test]
fn certificates_push_and_pull_without_a_login_as_far_as_the_policy_goes() {
    let world = world();
    let (host, server) = (&world.host, &world.server);
    let (image, other) = (
        format!("{REGISTRY}/team/app:1"),
        format!("{REGISTRY}/other/app:1"),
    );
    let docker = host.docker(&debian_cli(), "somebody");
    docker.make_image(&image, "one");
    docker.run(["push", &image]).ok();
    docker.run(["tag", &image, &other]).ok();
    let denied = "denied: requested access to the resource is denied";
    docker.run(["push", &other]).fails().says(denied);

    let bob = server.pki().user("bob");
    let certificates = host.present(Some(&bob));
    docker.run(["rmi", &image]).ok();
    docker.run(["pull", &image]).ok();
    docker
        .run(["tag", &image, &format!("{REGISTRY}/team/app:2")])
        .ok();
    docker
        .run(["push", &format!("{REGISTRY}/team/app:2")])
        .fails()
        .says(denied);
    docker
        .run(["pull", &other])
        .fails()
        .says(&format!("pull access denied for {REGISTRY}/other/app"));
    let copied = docker.home().join("copied");
    let skopeo = || {
        let mut skopeo = host.place().command(Path::new("/usr/bin/skopeo"));
        skopeo.args(["--insecure-policy", "copy", "--src-cert-dir"]);
        skopeo.arg(&certificates).arg(format!("docker://{image}"));
        skopeo.arg(format!("dir:{}", copied.display()));
        skopeo.env("HOME", docker.home());
        Finished::run(&mut skopeo, "")
    };
    skopeo().ok();
    assert!(copied.join("manifest.json").exists());

    host.present(None);
    let missing = "neither a client certificate nor a user name and a password was presented";
    docker
        .run(["pull", &image])
        .fails()
        .says(&format!("unauthorized: {missing}"));
    skopeo().fails().says(missing);

    let alice = server.pki().user("alice");
    host.present(Some(&alice));
    docker.run(["push", &image]).ok();
    server.command_line("deny add --principal alice").ok();
    docker
        .run(["push", &image])
        .fails()
        .says("unauthorized: alice is barred from this server");
    host.present(Some(&server.pki().expired()));
    docker
        .run(["pull", &image])
        .fails()
        .says("unauthorized: client certificate rejected: ");

    // The registry's configuration and ours do not fit together.
    server.configure("token_service.services", json!([{"name": "another"}]));
    server.hang_up();
    wait_until("the server has reloaded", || {
        server.log().contains("reloaded certificates")
    });
    host.present(Some(&bob));
    docker
        .run(["pull", &image])
        .fails()
        .says("no tokens are issued here for the service \"registry\"");
}

#[test]
fn docker_login_keeps_a_token_instead_of_the_password() {
    let world = world();
    let (host, server) = (&world.host, &world.server);
    let image = format!("{REGISTRY}/team/app:1");
    let docker = host.docker(&debian_cli(), "somebody");
    docker.make_image(&image, "one");
    docker.run(["push", &image]).ok();
    host.present(None);
    docker
        .run(["login", REGISTRY, "-u", "bob", "-p", "wrong"])
        .fails()
        .says("the user name \"bob\" or its password is wrong");
    docker
        .run(["login", REGISTRY, "-u", "bob", "-p", "p:ässwort"])
        .ok();
    let stored = fs::read(docker.home().join("config.json")).unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert!(stored["auths"][REGISTRY]["identitytoken"].is_string(), "{stored}");
    docker.run(["rmi", &image]).ok();
    docker.run(["pull", &image]).ok();
    docker
        .run(["push", &image])
        .fails()
        .says("denied: requested access to the resource is denied");
    server.command_line("deny add --principal bob").ok();
    docker
        .run(["pull", &image])
        .fails()
        .says("bob is barred from this server");
}
