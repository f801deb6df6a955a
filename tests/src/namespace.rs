//! Namespaces for network, mounts and processes. Everything started inside ends with them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    alternator::Alternator,
    process::{Daemon, wait_until},
};

/// The host's address, on its own loopback device.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 26, 0, 1));
/// The name of the trust server.
pub const TRUST_NAME: &str = "trust.test";
/// The name of the registry.
pub const REGISTRY_NAME: &str = "registry.test";

/// Where a program runs.
#[derive(Clone)]
pub enum Place {
    /// On this machine.
    Here,
    /// In the namespaces of a [`Namespace`].
    Inside(Arc<Namespace>),
}

impl Place {
    /// A command that runs there.
    pub fn command(&self, program: &Path) -> Command {
        match self {
            Self::Here => Command::new(program),
            Self::Inside(namespace) => {
                let mut command = namespace.command(&["--mount", "--net"]);
                command.arg(program);
                command
            }
        }
    }

    /// Makes this thread create its sockets in the namespace's network from now on.
    pub fn enter(&self) {
        if let Self::Inside(namespace) = self {
            let network = File::open(format!("/proc/{}/ns/net", namespace.inner)).unwrap();
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        }
    }

    /// The address that servers listen on there.
    pub fn address(&self) -> IpAddr {
        match self {
            Self::Here => Ipv4Addr::LOCALHOST.into(),
            Self::Inside(_) => ADDRESS,
        }
    }

    /// The URL of the trust server that listens there on `port`.
    pub fn url(&self, port: u16) -> String {
        match self {
            Self::Here => format!("https://localhost:{port}"),
            Self::Inside(_) => format!("https://{TRUST_NAME}:{port}"),
        }
    }

    /// A listener in the namespace's network, for a thread outside of it.
    pub fn listen(&self, address: IpAddr, port: u16) -> TcpListener {
        self.within(|| TcpListener::bind((address, port))).unwrap()
    }

    /// Whether something accepts connections there.
    pub fn reachable(&self, address: IpAddr, port: u16) -> bool {
        self.within(|| TcpStream::connect((address, port))).is_ok()
    }

    /// A connection to the server that listens there on `port`.
    ///
    /// # Errors
    /// When none does.
    pub fn connect(&self, port: u16) -> io::Result<TcpStream> {
        self.within(|| TcpStream::connect((self.address(), port)))
    }

    /// Runs a function that needs the namespace's network on a thread that enters it.
    fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let entered = || {
            self.enter();
            work()
        };
        std::thread::scope(|scope| scope.spawn(entered).join().unwrap())
    }
}

/// Namespaces for network, mounts and processes; what runs in the last one ends with it.
pub struct Namespace {
    _holder: Daemon,
    inner: String,
    let_in: Mutex<BTreeSet<u16>>,
}

impl Namespace {
    /// Makes the namespaces, keeping private files in `directory`.
    ///
    /// # Panics
    /// When this is not allowed: the docker tests need root.
    pub fn new(directory: &Path) -> Arc<Self> {
        let hosts = directory.join("hosts");
        fs::write(
            &hosts,
            format!("127.0.0.1 localhost\n{ADDRESS} {TRUST_NAME} {REGISTRY_NAME}\n"),
        )
        .unwrap();
        fs::create_dir_all(directory.join("etc-docker")).unwrap();
        fs::create_dir_all("/etc/docker").expect("the docker tests have to be run by root");
        let ready = directory.join("ready");
        let set_up = format!(
            "set -e; ip link set lo up; ip address add {ADDRESS}/32 dev lo; \
             mount --bind {0}/hosts /etc/hosts; mount --bind {0}/etc-docker /etc/docker; \
             touch {1}; exec sleep infinity",
            directory.display(),
            ready.display()
        );
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]);
        command.args(["--propagation", "private", "sh", "-c", &set_up]);
        let holder = Daemon::spawn(&mut command, &directory.join("namespace.log"));
        wait_until("the namespaces are ready (this needs root)", || ready.exists());
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let inner = fs::read_to_string(children).unwrap().trim().to_owned();
        Arc::new(Self {
            _holder: holder,
            inner,
            let_in: Mutex::default(),
        })
    }

    /// Lets programs inside reach a port of this machine's loopback interface, at the same address.
    pub fn let_in(self: &Arc<Self>, port: u16) {
        if self.let_in.lock().unwrap().insert(port) {
            let address = Ipv4Addr::LOCALHOST.into();
            let listener = Place::Inside(self.clone()).listen(address, port);
            Alternator::start(listener, Place::Here, vec![SocketAddr::new(address, port)]);
        }
    }

    /// A command for a program in some of the namespaces.
    pub fn command(&self, namespaces: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.inner]).args(namespaces).arg("--");
        command
    }
}
