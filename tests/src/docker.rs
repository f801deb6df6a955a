//! A docker host of its own: dockerd and a registry in a network and mount namespace.
//!
//! Docker programs treat every name that resolves to a loopback address as insecure. So the host has another address,
//! names for it, and an `/etc/docker` of its own.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    namespace::{ADDRESS, Namespace, Place, REGISTRY_NAME, TRUST_NAME},
    pki::{ClientFiles, TestPki},
    process::{Daemon, Finished, PATIENCE, installed_program, wait_until},
};

/// The registry, as image names begin.
pub const REGISTRY: &str = "registry.test:5000";
const REGISTRY_PORT: u16 = 5000;
/// The passphrases that docker would ask for.
const PASSPHRASES: [(&str, &str); 6] = [
    ("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "root passphrase"),
    (
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
        "repository passphrase",
    ),
    ("NOTARY_ROOT_PASSPHRASE", "root passphrase"),
    ("NOTARY_TARGETS_PASSPHRASE", "repository passphrase"),
    ("NOTARY_SNAPSHOT_PASSPHRASE", "repository passphrase"),
    ("NOTARY_DELEGATION_PASSPHRASE", "repository passphrase"),
];

/// dockerd and a registry that asks for client certificates.
pub struct DockerHost {
    directory: PathBuf,
    place: Place,
    namespace: Arc<Namespace>,
    dockerd: Daemon,
    _registry: Option<Daemon>,
}

impl DockerHost {
    /// Starts both in `place`; the daemon has `user`'s certificate for the registry.
    pub fn start(namespace: &Arc<Namespace>, directory: &Path, pki: &TestPki, user: &str) -> Self {
        Self::start_with(namespace, directory, pki, user, |_| {})
    }

    /// The same with changes to the registry's configuration.
    pub fn start_with(
        namespace: &Arc<Namespace>,
        directory: &Path,
        pki: &TestPki,
        user: &str,
        configure: impl FnOnce(&mut Value),
    ) -> Self {
        let place = Place::Inside(namespace.clone());
        let registry = start_registry(&place, directory, pki, configure);
        let host = Self::start_daemon(namespace, directory, Some(registry));
        host.is_at(REGISTRY, &pki.user(user));
        host
    }

    /// Starts the daemon alone, for a registry that is there already.
    pub fn start_alone(namespace: &Arc<Namespace>, directory: &Path) -> Self {
        Self::start_daemon(namespace, directory, None)
    }

    /// From now on the daemon has this certificate for a registry.
    pub fn is_at(&self, registry: &str, files: &ClientFiles) {
        write_docker_certificates(&self.directory.join("etc-docker/certs.d").join(registry), files);
    }

    fn start_daemon(namespace: &Arc<Namespace>, directory: &Path, registry: Option<Daemon>) -> Self {
        let place = Place::Inside(namespace.clone());
        let root = directory.join("dockerd");
        fs::create_dir_all(&root).unwrap();
        // In the process namespace too: containerd and whatever else it starts must end with it.
        let mut command = namespace.command(&["--mount", "--net", "--pid"]);
        command.arg(installed_program("dockerd", "docker.io"));
        for (option, file) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(root.join(file));
        }
        command
            .arg("--host")
            .arg(format!("unix://{}", root.join("socket").display()));
        command.args([
            "--bridge=none",
            "--iptables=false",
            "--ip-masq=false",
            "--storage-driver=vfs",
        ]);
        // /etc/docker holds certificates and what tests put there.
        command.arg("--config-file").arg(root.join("daemon.json"));
        let config = root.join("daemon.json");
        if !config.exists() {
            fs::write(config, "{}").unwrap();
        }
        let dockerd = Daemon::spawn(&mut command, &directory.join("dockerd.log"));
        let namespace = namespace.clone();
        let host = Self {
            directory: directory.into(),
            place,
            namespace,
            dockerd,
            _registry: registry,
        };
        wait_until("dockerd answers", || {
            host.docker(&debian_cli(), "probe").run(["version"]).code == 0
        });
        host
    }

    /// Gives the daemon another certificate for the registry, or none; returns the directory that has it.
    pub fn present(&self, files: Option<&ClientFiles>) -> PathBuf {
        let directory = certificates_of_daemon(&self.directory);
        match files {
            Some(files) => write_docker_certificates(&directory, files),
            None => {
                for name in ["client.cert", "client.key"] {
                    fs::remove_file(directory.join(name)).unwrap();
                }
            }
        }
        directory
    }

    /// A docker CLI without any configuration.
    pub fn docker(&self, program: &Path, user: &str) -> Docker {
        let home = self.directory.join(format!("home-{user}"));
        fs::create_dir_all(&home).unwrap();
        Docker {
            place: self.place.clone(),
            program: program.to_path_buf(),
            home,
            socket: self.socket(),
            trust_server: None,
            content_trust: false,
        }
    }

    /// A docker CLI of a person with a certificate for the trust server on `port`.
    pub fn user(&self, program: &Path, name: &str, files: &ClientFiles, port: u16) -> Docker {
        // "docker trust sign" names the signer of a new repository after the user it finds here.
        let docker = self.user_with_password(program, (name, "unused"), &files.ca, port);
        let server = format!("{TRUST_NAME}:{port}");
        write_docker_certificates(&docker.home.join("tls").join(&server), files);
        docker
    }

    /// A docker CLI of a person with a certificate for a registry that is the trust server as well, and nothing else: it
    /// finds the one by the other's name.
    pub fn user_at(&self, program: &Path, name: &str, files: &ClientFiles, registry: &str) -> Docker {
        let docker = self.docker(program, name);
        write_docker_certificates(&docker.home.join("tls").join(registry), files);
        let login = STANDARD.encode(format!("{name}:unused"));
        let config = json!({"auths": {registry: {"auth": login}}});
        fs::write(docker.home.join("config.json"), config.to_string()).unwrap();
        docker
    }

    /// A docker CLI of a person without a certificate, logged in at the registry with a name and a password.
    pub fn user_with_password(
        &self,
        program: &Path,
        (name, password): (&str, &str),
        ca: &Path,
        port: u16,
    ) -> Docker {
        let mut docker = self.docker(program, name);
        let server = format!("{TRUST_NAME}:{port}");
        let trusted = docker.home.join("tls").join(&server);
        fs::create_dir_all(&trusted).unwrap();
        fs::copy(ca, trusted.join("ca.crt")).unwrap();
        docker.trust_server = Some(format!("https://{server}"));
        let login = STANDARD.encode(format!("{name}:{password}"));
        let config = json!({"auths": {REGISTRY: {"auth": login}}});
        fs::write(docker.home.join("config.json"), config.to_string()).unwrap();
        docker
    }

    /// Runs a shell script as a person with the home directory `home` and no other configuration; passphrases are in
    /// the environment.
    pub fn shell(&self, home: &Path, script: &str) -> Finished {
        fs::create_dir_all(home).unwrap();
        // In the process namespace too: there /proc is that of its processes, and whatever goes on ends with it.
        let mut command = self.namespace.command(&["--mount", "--net", "--pid"]);
        command.arg("/usr/bin/env");
        command
            .arg("--chdir")
            .arg(home)
            .args(["/bin/bash", "-euc", script])
            .env_clear();
        command
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", home)
            .env("DOCKER_HOST", self.socket());
        for (name, value) in PASSPHRASES {
            command.env(name, value);
        }
        Finished::run(&mut command, "")
    }

    /// From now on the daemon asks these authorization plugins, each of which listens on a socket.
    pub fn ask_plugins(&self, plugins: &[(&str, &Path)]) {
        let specifications = self.directory.join("etc-docker/plugins");
        fs::create_dir_all(&specifications).unwrap();
        for (name, socket) in plugins {
            let url = format!("unix://{}", socket.display());
            fs::write(specifications.join(format!("{name}.spec")), url).unwrap();
        }
        let names: Vec<&str> = plugins.iter().map(|(name, _)| *name).collect();
        let config = json!({"authorization-plugins": names});
        fs::write(self.directory.join("dockerd/daemon.json"), config.to_string()).unwrap();
        self.signal("HUP");
        // Without a body there is nothing to judge, which the daemon itself answers with 400.
        wait_until("dockerd asks its plugins", || {
            let (status, _) = self.send("POST /v1.41/containers/create HTTP/1.1", b"");
            (status == 403) != plugins.is_empty()
        });
    }

    /// Sends the daemon a request as it is written, with `\n` for the ends of lines; returns the status and the whole
    /// answer.
    pub fn send(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = UnixStream::connect(self.socket_file()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = head.replace('\n', "\r\n");
        let mut request = format!("{head}\r\nHost: engine\r\nConnection: close\r\n\r\n").into_bytes();
        request.extend(body);
        // The daemon may answer and close the connection before it has read everything.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer to {head}: {answer:?}"));
        (status, answer)
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        self.dockerd.log()
    }

    /// The daemon's socket.
    pub fn socket_file(&self) -> PathBuf {
        self.directory.join("dockerd/socket")
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.socket_file().display())
    }

    /// Sends the daemon a signal: the process that counts is inside.
    fn signal(&self, signal: &str) {
        if let Ok(id) = fs::read_to_string(self.directory.join("dockerd/pid")) {
            let mut kill = self.namespace.command(&["--mount", "--pid"]);
            Finished::run(
                kill.args(["/bin/sh", "-c", &format!("kill -{signal} {}", id.trim())]),
                "",
            );
        }
    }

    /// Where its programs run.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for DockerHost {
    /// dockerd stops what it started itself.
    fn drop(&mut self) {
        if self.directory.join("dockerd/pid").exists() {
            self.signal("TERM");
            self.dockerd.wait();
        }
    }
}

/// One person's docker CLI.
#[derive(Clone)]
pub struct Docker {
    place: Place,
    program: PathBuf,
    home: PathBuf,
    socket: String,
    trust_server: Option<String>,
    content_trust: bool,
}

impl Docker {
    /// The same with `DOCKER_CONTENT_TRUST=1`.
    #[must_use]
    pub fn with_content_trust(&self) -> Self {
        Self {
            content_trust: true,
            ..self.clone()
        }
    }

    /// The canonical ID of the person's root key: the name of its file.
    pub fn root_key(&self) -> String {
        let files = fs::read_dir(self.home().join("trust/private")).unwrap();
        let mut keys = files.map(|file| file.unwrap().path());
        let is_root = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("role: root");
        let root = keys.find(is_root).unwrap();
        root.file_stem().unwrap().to_str().unwrap().to_owned()
    }

    /// A key for signing under a name; returns the file with its public half.
    pub fn signing_key(&self, name: &str) -> String {
        self.run(["trust", "key", "generate", name])
            .ok()
            .says("Successfully generated and loaded private key");
        self.home().join(format!("{name}.pub")).display().to_string()
    }

    /// Its configuration directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Runs a command in its configuration directory.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Finished {
        // Entering the namespaces leaves a command in their root directory.
        let mut command = self.place.command(Path::new("/usr/bin/env"));
        command
            .arg("--chdir")
            .arg(&self.home)
            .arg(&self.program)
            .args(arguments)
            .env_clear();
        command
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", &self.home);
        command
            .env("DOCKER_CONFIG", &self.home)
            .env("DOCKER_HOST", &self.socket);
        command.env("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "root passphrase");
        command.env(
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
            "repository passphrase",
        );
        if let Some(server) = &self.trust_server {
            command.env("DOCKER_CONTENT_TRUST_SERVER", server);
        }
        if self.content_trust {
            command.env("DOCKER_CONTENT_TRUST", "1");
        }
        Finished::run(&mut command, "")
    }

    /// Makes an image with one file in it, without a daemon's build.
    pub fn make_image(&self, reference: &str, content: &str) {
        let directory = self.home.join("image");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("content"), content).unwrap();
        let archive = self.home.join("image.tar");
        let mut tar = Command::new("tar");
        Finished::run(
            tar.arg("-cf")
                .arg(&archive)
                .arg("-C")
                .arg(&directory)
                .arg("content"),
            "",
        )
        .ok();
        self.run(["import", archive.to_str().unwrap(), reference]).ok();
    }

    /// Makes an image that prints `content` when it runs, without a daemon's build.
    pub fn make_program(&self, reference: &str, content: &str) {
        let directory = self.home.join("image");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("content"), content).unwrap();
        let archive = self.home.join("image.tar");
        // This machine's shell, with the libraries that it is linked with.
        let pack = r#"tar --create --dereference --file "$1" --directory "$2" content --directory / \
            $(ldd /bin/sh /bin/cat /bin/sleep | grep --only-matching '/[^ :]* (' | cut --delimiter ' ' --fields 1 | sort --unique | cut --characters 2-) \
            bin/sh bin/cat bin/sleep"#;
        let mut command = Command::new("/bin/sh");
        command.args(["-euc", pack, "pack"]).arg(&archive).arg(&directory);
        Finished::run(&mut command, "").ok();
        let archive = archive.to_str().unwrap();
        self.run([
            "import",
            "--change",
            r#"CMD ["cat", "/content"]"#,
            archive,
            reference,
        ])
        .ok();
    }
}

/// The CLI of the Debian package, at its own path.
pub fn debian_cli() -> PathBuf {
    let path = PathBuf::from("/usr/bin/docker");
    assert!(
        path.exists(),
        "docker.io is not installed: run \"make test\", or apt-get install docker.io"
    );
    path
}

/// A CLI of another version, if there is one on this machine.
pub fn other_cli() -> Option<PathBuf> {
    let path = std::env::var("COUNTERSIGN_DOCKER_CLI").unwrap_or_else(|_| "/usr/local/bin/docker".into());
    Some(PathBuf::from(path)).filter(|path| path.exists())
}

/// The files of a directory below `certs.d` or `tls`, whose names decide what they are used for.
fn write_docker_certificates(directory: &Path, files: &ClientFiles) {
    fs::create_dir_all(directory).unwrap();
    let named = [
        (&files.ca, "ca.crt"),
        (&files.certificate, "client.cert"),
        (&files.key, "client.key"),
    ];
    for (file, name) in named {
        fs::copy(file, directory.join(name)).unwrap();
    }
    fs::set_permissions(directory.join("client.key"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Where the daemon's certificates for the registry are.
fn certificates_of_daemon(directory: &Path) -> PathBuf {
    directory.join("etc-docker/certs.d").join(REGISTRY)
}

fn start_registry(
    place: &Place,
    directory: &Path,
    pki: &TestPki,
    configure: impl FnOnce(&mut Value),
) -> Daemon {
    let files = pki.daemon("registry", &[REGISTRY_NAME], &[ADDRESS]);
    let mut config = json!({
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": directory.join("registry")}},
        "http": {
            "addr": format!("{ADDRESS}:{REGISTRY_PORT}"),
            "tls": {"certificate": files.certificate, "key": files.key, "clientcas": [files.ca]},
        },
    });
    configure(&mut config);
    // JSON is YAML.
    let path = directory.join("registry.yml");
    fs::write(&path, config.to_string()).unwrap();
    let mut command = place.command(&installed_program("docker-registry", "docker-registry"));
    command.arg("serve").arg(&path);
    let mut registry = Daemon::spawn(&mut command, &directory.join("registry.log"));
    registry.wait_for("the registry listens", || place.reachable(ADDRESS, REGISTRY_PORT));
    registry
}
