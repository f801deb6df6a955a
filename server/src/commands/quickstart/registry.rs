//! `quickstart --registry`: a registry behind the server.

use std::path::Path;

use serde_json::{Value, json};

use super::Ports;
use crate::issuing::{IssuingError, files::Directory};

/// The registry's configuration.
const REGISTRY_CONFIG: &str = "registry/config.yml";
/// What it is made from.
const TEMPLATE: &str = include_str!("../../../../fixtures/registry/docker-registry.yml");
/// Where the template stores images, and listens.
const TEMPLATE_STORAGE: &str = "/var/lib/docker-registry";
const TEMPLATE_ADDRESS: &str = "127.0.0.1:5000";

/// Makes the configuration of the registry, and adds to that of the server what leads to it.
pub(super) fn configure(
    directory: &Directory,
    server: &mut Value,
    host: &str,
    ports: Ports,
) -> Result<(), IssuingError> {
    let (name, address) = (
        format!("{host}:{}", ports.server),
        format!("127.0.0.1:{}", ports.registry),
    );
    server["server"]["external_url"] = json!(format!("https://{name}"));
    server["registry"] = json!({
        "upstream": format!("http://{address}"),
        "enforce": [{"pattern": "**", "mode": "signed"}],
    });
    // Whoever may push is not bound by the enforcement, so that images can be signed after they were pushed.
    server["policy"] = json!([
        {
            "name": "own", "effect": "allow", "principals": ["*"], "actions": ["*"],
            "guns": ["${principal}/**", format!("{name}/${{principal}}/**")],
        },
        {"name": "everybody", "effect": "allow", "principals": ["*"], "actions": ["pull", "list"]},
    ]);
    let storage = directory.path().join("registry/data");
    let storage = std::path::absolute(&storage).unwrap_or(storage);
    let registry = TEMPLATE
        .replace(TEMPLATE_STORAGE, &json!(storage).to_string())
        .replace(TEMPLATE_ADDRESS, &address);
    directory.write_new(REGISTRY_CONFIG, registry.as_bytes())?;
    Ok(())
}

pub(super) fn print_next_steps(directory: &Path, address: &str, users: &[String]) {
    let directory = directory.display();
    let user = users.first().map_or("alice", String::as_str);
    platform::say!(
        "\nStart the signer, the registry, then the server:\n\
         \n  . {directory}/signer/env.sh && countersign-signer --config {directory}/signer/config.json &\
         \n  docker-registry serve {directory}/registry/config.yml &\
         \n  countersign-server --config {directory}/server/config.json &\n\
         \nBe {user} on a machine with docker, then push and sign; without the signature nobody else can pull:\n\
         \n  cp -r {directory}/users/{user}/certs.d/. /etc/docker/certs.d/\
         \n  mkdir -p ~/.docker && cp -r {directory}/users/{user}/docker/. ~/.docker/\
         \n  docker push {address}/{user}/app:1\
         \n  docker trust sign {address}/{user}/app:1\n"
    );
    if address.starts_with("localhost:") {
        platform::say!(
            "docker uses no certificates for localhost: give a name of this machine with --host for it.\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_has_what_is_replaced() {
        for place in [TEMPLATE_STORAGE, TEMPLATE_ADDRESS] {
            assert_eq!(TEMPLATE.matches(place).count(), 1, "{place}");
        }
    }
}
