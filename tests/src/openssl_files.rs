//! Keys and certificates for delegations, made with the openssl program as people do.

use std::process::Command;

use crate::{Finished, Notary};

/// A private key and its public half: the paths of both.
pub fn key_pair(notary: &Notary, name: &str) -> (String, String) {
    let (private, public) = (format!("{name}-key.pem"), format!("{name}-pub.pem"));
    openssl(
        notary,
        &[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            &private,
        ],
    );
    openssl(notary, &["ec", "-in", &private, "-pubout", "-out", &public]);
    absolute(notary, private, public)
}

/// A private key and a certificate for it: the paths of both.
pub fn certificate(notary: &Notary, name: &str, algorithm: &[&str]) -> (String, String) {
    let (private, public) = (format!("{name}-key.pem"), format!("{name}-cert.pem"));
    let subject = format!("/CN={name}");
    let mut arguments = vec!["req", "-x509", "-nodes", "-days", "30", "-subj", &subject];
    arguments.extend(["-keyout", &private, "-out", &public, "-newkey"]);
    arguments.extend(algorithm);
    openssl(notary, &arguments);
    // The notary CLI imports traditional PEM keys.
    let kind = if algorithm.contains(&"rsa:2048") {
        "rsa"
    } else {
        "ec"
    };
    let traditional: &[&str] = if kind == "rsa" { &["-traditional"] } else { &[] };
    let mut convert = vec![kind, "-in", &private, "-out", &private];
    convert.extend(traditional);
    openssl(notary, &convert);
    absolute(notary, private, public)
}

fn absolute(notary: &Notary, private: String, public: String) -> (String, String) {
    let path = |name: String| notary.trust().join(name).display().to_string();
    (path(private), path(public))
}

fn openssl(notary: &Notary, arguments: &[&str]) {
    Finished::run(
        Command::new("openssl")
            .current_dir(notary.trust())
            .args(arguments),
        "",
    )
    .ok();
}
