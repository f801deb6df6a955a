//! Checks of messages to operators, and files that cannot be used for various reasons.

use std::{fs, path::Path, process::Command};

use crate::{
    Finished, Stop,
    database::PASSWORD,
    process::{Daemon, built_programs},
    server::{PASSPHRASE, Prepared},
};

/// Fails if a message is a library's own: `error:0A000086:SSL routines:…:../ssl/statem.c:1889:`, `lib(20)`, numbers of
/// the operating system's errors.
#[track_caller]
pub fn in_words(output: &str) {
    let is_code = |code: &str| {
        code.len() > 8 && code.as_bytes()[8] == b':' && code.bytes().take(8).all(|b| b.is_ascii_hexdigit())
    };
    let coded = output
        .match_indices("error:")
        .any(|(at, found)| is_code(&output[at + found.len()..]));
    assert!(!coded, "an error of OpenSSL: {output}");
    for raw in [
        "lib(",
        ".c:",
        "routines:",
        "(os error",
        "ErrorStack",
        "pass phrase",
        "Os {",
    ] {
        assert!(!output.contains(raw), "{raw} in {output}");
    }
    assert!(!output.contains(PASSWORD), "the password is in {output}");
}

/// Checks that all of `parts` are in one line of the output, which is in words.
#[track_caller]
pub fn says(output: &str, parts: &[&str]) {
    in_words(output);
    let plain = output.replace("\\\"", "\"");
    let found = plain
        .lines()
        .any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(found, "no line with {parts:?} in:\n{output}");
}

/// Starts a daemon that waits for something, and checks that its log says why it waits.
#[track_caller]
pub fn daemon_says(directory: &Path, program: &str, config: &str, parts: &[&str]) {
    let mut command = Command::new(built_programs().join(program));
    command.args(["--config", config]).current_dir(directory);
    command.env(PASSPHRASE.0, PASSPHRASE.1);
    let mut daemon = Daemon::spawn(&mut command, &directory.join(format!("{config}.log")));
    daemon.wait_for("the log says why it waits", || {
        let log = daemon_log(directory, config);
        log.lines()
            .any(|line| parts.iter().all(|part| line.contains(part)))
    });
    daemon.stop(Stop::AtOnce);
    says(&daemon_log(directory, config), parts);
}

fn daemon_log(directory: &Path, config: &str) -> String {
    let log = fs::read_to_string(directory.join(format!("{config}.log"))).unwrap_or_default();
    log.replace("\\\"", "\"")
}

/// Runs openssl in the directory of a test.
fn openssl(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    Finished::run(command.current_dir(directory).args(arguments), "").ok();
}

/// Files that are no PEM certificate and no PEM key, in the directory of the configuration.
pub fn wrong_files(prepared: &Prepared) {
    let directory = prepared.path();
    let write = |name: &str, content: &[u8]| fs::write(directory.join(name), content).unwrap();
    write("garbage.pem", b"garbage\n");
    write("empty.pem", b"");
    fs::create_dir(directory.join("directory.pem")).unwrap();
    let block = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    write("base64.pem", block("CERTIFICATE", "AAAA!!!!").as_bytes());
    write("asn1.pem", block("CERTIFICATE", "MIIBAAAA").as_bytes());
    write("asn1-key.pem", block("PRIVATE KEY", "MIIBAAAA").as_bytes());
    let certificate = fs::read(directory.join("pki/server.pem")).unwrap();
    let key = fs::read(directory.join("pki/server-key.pem")).unwrap();
    write("cut.pem", &certificate[..certificate.len() / 2]);
    write("cut-key.pem", &key[..key.len() / 2]);
    let (certificate, key) = ("pki/server.pem", "pki/server-key.pem");
    openssl(
        directory,
        &["x509", "-in", certificate, "-outform", "DER", "-out", "der.pem"],
    );
    openssl(
        directory,
        &["pkey", "-in", key, "-outform", "DER", "-out", "der-key.pem"],
    );
    openssl(directory, &["pkey", "-in", key, "-pubout", "-out", "public.pem"]);
    let encrypted = ["-aes256", "-passout", "pass:x", "-out"];
    openssl(
        directory,
        &[&["pkey", "-in", key][..], &encrypted, &["encrypted-key.pem"]].concat(),
    );
    openssl(
        directory,
        &[&["ec", "-in", key][..], &encrypted, &["encrypted-ec-key.pem"]].concat(),
    );
    let bundle = [
        "pkcs12",
        "-export",
        "-in",
        certificate,
        "-inkey",
        key,
        "-passout",
        "pass:",
        "-out",
        "bundle.p12",
    ];
    openssl(directory, &bundle);
    let weak = [
        "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-days", "9",
    ];
    openssl(
        directory,
        &[&weak[..], &["-keyout", "weak-key.pem", "-out", "weak.pem"]].concat(),
    );
    prepared.pki().user("other");
}

/// Files that hold no usable certificate, and the reason that messages give.
pub const CERTIFICATES: [(&str, &str); 11] = [
    ("nowhere.pem", "No such file"),
    ("directory.pem", "it is a directory, not a file"),
    ("empty.pem", "it is empty"),
    (
        "garbage.pem",
        "it holds no PEM certificate (-----BEGIN CERTIFICATE-----)",
    ),
    (
        "der.pem",
        "it is a certificate in DER: convert it with openssl x509 -inform DER",
    ),
    ("bundle.p12", "it is a PKCS#12 file"),
    ("public.pem", "what it holds: PUBLIC KEY"),
    ("pki/server-key.pem", "what it holds: PRIVATE KEY"),
    ("base64.pem", "damaged or cut off (bad base64 decode)"),
    ("asn1.pem", "damaged or cut off"),
    ("cut.pem", "damaged or cut off"),
];

/// Files that hold no usable private key, and the reason that messages give.
pub const KEYS: [(&str, &str); 12] = [
    ("nowhere.pem", "No such file"),
    ("directory.pem", "it is a directory, not a file"),
    ("empty.pem", "it is empty"),
    ("garbage.pem", "it holds no unencrypted PEM private key"),
    (
        "der-key.pem",
        "it is a private key in DER: convert it with openssl pkey -inform DER",
    ),
    ("bundle.p12", "it is a PKCS#12 file"),
    ("pki/server.pem", "what it holds: CERTIFICATE"),
    ("asn1-key.pem", "damaged, cut off or of an unknown type"),
    ("cut-key.pem", "damaged, cut off or of an unknown type"),
    (
        "encrypted-key.pem",
        "it is encrypted, and this program cannot ask for its password",
    ),
    (
        "encrypted-ec-key.pem",
        "it is encrypted, and this program cannot ask for its password",
    ),
    (
        "pki/other-key.pem",
        "it does not belong to the first certificate of",
    ),
];
