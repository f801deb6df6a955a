//! Debian's Chromium with people's certificates, driven by the scripts in `scripts/browser`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use openssl::{
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    x509::X509,
};
use serde_json::Value;

use crate::{
    TestServer,
    pki::ClientFiles,
    process::{Finished, installed_program},
};

/// The password of every PKCS#12 file here.
pub const PASSWORD: &str = "password";

fn scripts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/browser"))
}

/// Writes certificate and key of a client as a PKCS#12 file, as people are given them.
pub fn pkcs12(name: &str, files: &ClientFiles) -> PathBuf {
    let certificate = X509::from_pem(&fs::read(&files.certificate).unwrap()).unwrap();
    let key: PKey<Private> = PKey::private_key_from_pem(&fs::read(&files.key).unwrap()).unwrap();
    let mut builder = Pkcs12::builder();
    builder.name(name).pkey(&key).cert(&certificate);
    let path = files.certificate.with_extension("p12");
    fs::write(&path, builder.build2(PASSWORD).unwrap().to_der().unwrap()).unwrap();
    path
}

/// The home directory of somebody whose browser trusts the CA of `server` and has the certificate of `files`, if any.
pub fn home(server: &TestServer, name: &str, files: Option<&ClientFiles>) -> PathBuf {
    let file = files.map(|files| pkcs12(name, files));
    home_with(server, name, file.as_deref().map(|file| (file, PASSWORD)))
}

/// The same with a PKCS#12 file and its password.
pub fn home_with(server: &TestServer, name: &str, file: Option<(&Path, &str)>) -> PathBuf {
    let home = server.path().join("homes").join(name);
    let store = home.join(".pki/nssdb");
    fs::create_dir_all(&store).unwrap();
    let store = format!("sql:{}", store.display());
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(installed_program(program, "libnss3-tools"));
        Finished::run(command.args(["-d", &store]).args(arguments), "").ok();
    };
    run("certutil", &["-N", "--empty-password"]);
    let ca = server.pki().ca().display().to_string();
    run("certutil", &["-A", "-n", "ca", "-t", "C,,", "-i", &ca]);
    if let Some((file, password)) = file {
        run("pk12util", &["-i", &file.display().to_string(), "-W", password]);
    }
    home
}

/// Runs a tour of `scripts/browser` through the pages of `server`, with what it needs to know. It ends when its browsers do, and they
/// end with it.
#[track_caller]
pub fn tour(server: &TestServer, name: &str, mut setup: Value) -> Finished {
    installed_program("chromium", "chromium");
    assert!(
        scripts().join("node_modules/playwright-core").exists(),
        "playwright-core is not installed: run \"make requirements\", or npm ci in scripts/browser"
    );
    let url = server.url();
    setup["url"] = url.as_str().into();
    let file = server.path().join("tour.json");
    fs::write(&file, setup.to_string()).unwrap();
    let mut command = Command::new(scripts().join("with-policy.sh"));
    command
        .args([&url, "node"])
        .arg(scripts().join("tour.mjs"))
        .arg(name)
        .arg(file)
        .env("TMPDIR", server.path());
    let finished = Finished::run(&mut command, "");
    assert!(
        !["unshare:", "mount:", "mkdir:"]
            .iter()
            .any(|program| finished.stderr.contains(program)),
        "Chromium cannot be given a policy of its own, which says which certificate to show: run the tests as root, or where \
         users may make mount namespaces: {finished}"
    );
    assert!(
        finished.code == 0 && finished.stdout.trim_end().ends_with("nothing found"),
        "{finished}"
    );
    finished
}
