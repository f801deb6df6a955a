//! Examines a client's machine: files with wrong names, keys that others can read, and programs that behave
//! unexpectedly.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use openssl::x509::X509;

use crate::findings::Finding;

/// The first version of the docker CLI without content trust.
const WITHOUT_CONTENT_TRUST: u64 = 29;
/// The first version in which "docker trust signer remove" removes nothing.
const BROKEN_REMOVAL: u64 = 26;

/// The certificates of a CA file.
pub(super) fn authorities(path: &Path) -> Result<Vec<X509>, Finding> {
    let fix = "fetch the server's CA: curl -k https://HOST:PORT/ca -o ca.crt, and compare its fingerprint with the server's log";
    let pem = platform::files::read(path)
        .map_err(|cause| Finding::broken(format!("{}: {cause}", path.display()), fix))?;
    let found = X509::stack_from_pem(&pem).unwrap_or_default();
    if found.is_empty() {
        return Err(
            Finding::broken(format!("{} holds no PEM certificate", path.display()), fix)
                .shown_as("x509: certificate signed by unknown authority"),
        );
    }
    Ok(found)
}

/// Checks whether others may read a key.
pub(super) fn key_mode(path: &Path) -> Option<Finding> {
    let mode = match fs::metadata(path) {
        Ok(about) => about.permissions().mode() & 0o777,
        Err(cause) => {
            return Some(Finding::broken(
                format!("{}: {cause}", path.display()),
                "let the program's user read it, or name another file",
            ));
        }
    };
    if let Err(cause) = fs::File::open(path) {
        return Some(Finding::broken(
            format!("{}: {cause}", path.display()),
            "let the program's user read it: chown or chmod",
        ));
    }
    (mode & 0o077 != 0).then(|| {
        Finding::broken(
            format!("the key {} is open to others (mode {mode:03o})", path.display()),
            format!("chmod 600 {}", path.display()),
        )
        .shown_as(format!(
            "refusing to load key from {}: private key file {} must not be readable or writable by others",
            path.display(),
            path.display()
        ))
    })
}

/// Examines each directory below `~/.docker/tls` or `/etc/docker/certs.d`.
pub(super) fn directories(above: &Path, findings: &mut Vec<Finding>) {
    let mut hosts: Vec<_> = fs::read_dir(above)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    hosts.sort();
    for directory in hosts.iter().filter(|path| path.is_dir()) {
        let before = findings.len();
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let names: BTreeSet<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        for name in &names {
            findings.extend(file(directory, name, &names));
        }
        if findings.len() == before {
            findings.push(Finding::fine(format!("the names in {}", directory.display())));
        }
    }
}

/// Docker recognises files by their names: X.crt is a CA, X.cert with X.key is a client's certificate and key.
fn file(directory: &Path, name: &str, names: &BTreeSet<String>) -> Option<Finding> {
    let path = directory.join(name);
    let shown = path.display();
    let (stem, extension) = name.rsplit_once('.')?;
    match extension {
        "cert" if !names.contains(&format!("{stem}.key")) => Some(
            Finding::broken(
                format!("{shown} has no key beside it"),
                format!("put its key there as {stem}.key, or if it is a CA, call it {stem}.crt"),
            )
            .shown_as(format!(
                "missing key {stem}.key for client certificate {name}. CA certificates must use the extension .crt"
            )),
        ),
        "key" if !names.contains(&format!("{stem}.cert")) => Some(
            Finding::broken(
                format!("{shown} has no certificate beside it"),
                format!("put its certificate there as {stem}.cert (not .crt and not .pem)"),
            )
            .shown_as(format!("missing client certificate {stem}.cert for key {name}")),
        ),
        "key" => key_mode(&path),
        "pem" => {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let fix = if text.contains("PRIVATE KEY") {
                format!("call a client's key {stem}.key, beside {stem}.cert")
            } else {
                format!("call a CA {stem}.crt, and a client's certificate {stem}.cert, beside {stem}.key")
            };
            Some(
                Finding::broken(format!("{shown} is not read by docker, because its name ends in .pem"), fix)
                    .shown_as("x509: certificate signed by unknown authority"),
            )
        }
        _ => None,
    }
}

/// What the docker CLI of this machine does not do as expected.
pub(super) fn docker_version() -> Vec<Finding> {
    let output = Command::new("docker")
        .args(["version", "--format", "{{.Client.Version}}"])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else { return Vec::new() };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Some(major) = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u64>().ok())
    else {
        return Vec::new();
    };
    let mut findings = vec![Finding::note(
        "BuildKit ignores DOCKER_CONTENT_TRUST: docker build takes base images that nobody signed",
        "build with DOCKER_BUILDKIT=0, or name base images by their digests",
    )];
    if major >= WITHOUT_CONTENT_TRUST {
        findings.push(
            Finding::broken(
                format!(
                    "docker {version} has no content trust: push, pull and run ignore DOCKER_CONTENT_TRUST"
                ),
                "use docker 28 or older, or verify with notary before use",
            )
            .shown_as("(nothing: unsigned images just pass)"),
        );
    } else if major >= BROKEN_REMOVAL {
        findings.push(Finding::note(
            format!("docker {version}: \"docker trust signer remove\" ends with success and removes nothing"),
            "use notary delegation remove REPOSITORY targets/NAME --yes --publish",
        ));
    }
    findings
}
