//! A certificate authority run with the openssl program: certificates with any contents, revocation lists, and an OCSP
//! responder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use platform::pki::Issued;

use crate::{
    pki::ClientFiles,
    process::{Daemon, Finished, free_port, installed_program},
};

/// The extensions of a client's certificate.
pub const CLIENT: &str =
    "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n";
/// The extensions of the certificate of an intermediate CA.
pub const INTERMEDIATE: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";

/// An authority with its database of what it has revoked.
pub struct Authority {
    directory: PathBuf,
    /// The CA that the clients trust.
    server_ca: PathBuf,
    /// The certificates between what it issues and the root, nearest first.
    chain: Vec<PathBuf>,
}

/// A responder of an authority; ends with its owner.
pub struct Responder {
    _daemon: Daemon,
    port: u16,
}

impl Authority {
    /// The authority with the key of `issued`, in a directory of its own. Its clients trust `server_ca`.
    pub fn new(issued: &Issued, directory: &Path, server_ca: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("ca.pem"), issued.certificate_pem().unwrap()).unwrap();
        fs::write(directory.join("ca-key.pem"), issued.key_pem().unwrap()).unwrap();
        Self::in_directory(directory, server_ca, Vec::new())
    }

    fn in_directory(directory: &Path, server_ca: &Path, chain: Vec<PathBuf>) -> Self {
        fs::write(directory.join("index.txt"), "").unwrap();
        fs::write(directory.join("crlnumber"), "01\n").unwrap();
        Self {
            directory: directory.to_path_buf(),
            server_ca: server_ca.to_path_buf(),
            chain,
        }
    }

    /// Its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Runs openssl in its directory.
    pub fn openssl(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(installed_program("openssl", "openssl"));
        Finished::run(command.current_dir(&self.directory).args(arguments), "").ok()
    }

    /// Issues a certificate for a subject such as `/CN=alice`; `extensions` as openssl's configuration has
    /// them, `more` for `openssl x509`. The file holds the chain, too.
    pub fn issue(&self, name: &str, subject: &str, extensions: &str, more: &[&str]) -> ClientFiles {
        let [key, request, certificate, said] =
            ["-key.pem", ".csr", ".pem", ".ext"].map(|ending| format!("{name}{ending}"));
        fs::write(self.directory.join(&said), extensions).unwrap();
        let curve = "ec_paramgen_curve:prime256v1";
        self.openssl(&[
            "req", "-new", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-keyout", &key, "-subj", subject,
            "-out", &request,
        ]);
        let mut arguments = vec![
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca-key.pem",
        ];
        arguments.extend([
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            &said,
            "-out",
            &certificate,
        ]);
        arguments.extend(more);
        self.openssl(&arguments);
        let path = self.directory.join(&certificate);
        let mut pem = fs::read(&path).unwrap();
        for issuer in &self.chain {
            pem.extend(fs::read(issuer).unwrap());
        }
        fs::write(&path, pem).unwrap();
        ClientFiles {
            ca: self.server_ca.clone(),
            certificate: path,
            key: self.directory.join(&key),
        }
    }

    /// An authority below this one, or a holder of a certificate who poses as one.
    #[must_use]
    pub fn below(&self, name: &str, extensions: &str) -> Self {
        let files = self.issue(name, &format!("/CN={name}"), extensions, &[]);
        self.played_by(&files)
    }

    /// The holder of a certificate as an authority.
    #[must_use]
    pub fn played_by(&self, files: &ClientFiles) -> Self {
        let directory = files.certificate.with_extension("authority");
        fs::create_dir_all(&directory).unwrap();
        fs::copy(&files.certificate, directory.join("ca.pem")).unwrap();
        fs::copy(&files.key, directory.join("ca-key.pem")).unwrap();
        let chain = vec![directory.join("ca.pem")];
        Self::in_directory(&directory, &self.server_ca, chain)
    }

    fn ca(&self, arguments: &[&str], list_extensions: &str) {
        let configuration = format!(
            "[ca]\ndefault_ca=this\n[this]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\n\
             certificate=ca.pem\nprivate_key=ca-key.pem\nunique_subject=no\ncrl_extensions=said\n\
             [said]\nauthorityKeyIdentifier=keyid:always\n{list_extensions}\n"
        );
        fs::write(self.directory.join("ca.cnf"), configuration).unwrap();
        let mut all = vec!["ca", "-config", "ca.cnf"];
        all.extend(arguments);
        self.openssl(&all);
    }

    /// Revokes a certificate. It takes effect with the next list.
    pub fn revoke(&self, files: &ClientFiles) {
        self.ca(&["-revoke", &files.certificate.display().to_string()], "");
    }

    /// Registers a certificate, so that the responder reports it as good.
    pub fn register(&self, files: &ClientFiles) {
        self.ca(&["-valid", &files.certificate.display().to_string()], "");
    }

    /// A list, valid for a day.
    pub fn list(&self) -> Vec<u8> {
        self.list_with(&["-crldays", "1"], "")
    }

    /// A list with these dates and extensions, in PEM.
    pub fn list_with(&self, dates: &[&str], extensions: &str) -> Vec<u8> {
        let mut arguments = vec!["-gencrl", "-out", "list.pem"];
        arguments.extend(dates);
        self.ca(&arguments, extensions);
        fs::read(self.directory.join("list.pem")).unwrap()
    }

    /// A responder that signs with the key of `signer`, or of the authority itself.
    pub fn responder(&self, signer: Option<&ClientFiles>) -> Responder {
        self.responder_at(free_port(), signer)
    }

    /// The same, at a port that certificates name already. It knows the certificates that are registered and revoked
    /// now.
    pub fn responder_at(&self, port: u16, signer: Option<&ClientFiles>) -> Responder {
        let own = (self.directory.join("ca.pem"), self.directory.join("ca-key.pem"));
        let (certificate, key) = signer.map_or(own, |files| (files.certificate.clone(), files.key.clone()));
        let mut command = Command::new(installed_program("openssl", "openssl"));
        command
            .current_dir(&self.directory)
            .args(["ocsp", "-index", "index.txt", "-CA", "ca.pem"]);
        command.arg("-rsigner").arg(certificate).arg("-rkey").arg(key);
        command.args(["-ndays", "1", "-text", "-ignore_err", "-port", &port.to_string()]);
        let log = self.directory.join(format!("ocsp-{port}.log"));
        fs::write(&log, "").unwrap();
        let mut daemon = Daemon::spawn(&mut command, &log);
        // Do not test this by connecting, because the responder would wait for a request.
        daemon.wait_for("the responder listens", || {
            fs::read_to_string(&log)
                .unwrap()
                .contains("waiting for OCSP client connections")
        });
        Responder {
            _daemon: daemon,
            port,
        }
    }
}

impl Responder {
    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}
