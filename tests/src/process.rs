//! Finds, starts, watches and ends the programs under test.

use std::{
    fs::File,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    fs::FlockOperation,
    process::{Pid, Signal, kill_process},
};

/// How long anything may take before a test gives up on it. Where others write much to the same disk, a database may need a
/// minute and more to write its own few bytes.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How often a condition is tested.
const GLANCE: Duration = Duration::from_millis(20);

/// The environment variable with the directory of programs that were built otherwise, such as with an OpenSSL of their
/// own.
const PROGRAMS: &str = "COUNTERSIGN_TEST_PROGRAMS";

/// The directory with the programs of this workspace, built as they are now.
pub fn built_programs() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        if let Some(directory) = std::env::var_os(PROGRAMS) {
            return std::path::absolute(directory).unwrap();
        }
        let test = std::env::current_exe().unwrap();
        let directory = test.ancestors().nth(2).unwrap().to_path_buf();
        let mut build = Command::new(env!("CARGO"));
        // All of them, as "make test" builds them: a part would be built with other features of the same crates.
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        build
            .arg("--manifest-path")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
        build.arg("--target-dir").arg(directory.parent().unwrap());
        if directory.ends_with("release") {
            build.arg("--release");
        }
        assert!(
            build.status().unwrap().success(),
            "the programs under test cannot be built"
        );
        directory
    })
}

/// A program of a Debian package, or a failure that says how to get it.
pub fn installed_program(name: &str, package: &str) -> PathBuf {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/sbin"];
    let found = places
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| path.exists());
    found
        .unwrap_or_else(|| panic!("{name} is not installed: run \"make test\", or apt-get install {package}"))
}

/// The library that makes a program believe that it is another time.
pub fn fake_time_library() -> PathBuf {
    let directories = std::fs::read_dir("/usr/lib").unwrap();
    let mut found = directories.map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.exists()).unwrap_or_else(|| {
        panic!("faketime is not installed: run \"make test\", or apt-get install faketime")
    })
}

/// A free port on the loopback interface. It is below the range of outgoing connections, so that it stays free while a
/// daemon restarts. A lock reserves it for this process until it ends.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let locks = std::env::temp_dir().join("countersign-test-ports");
    std::fs::create_dir_all(&locks).unwrap();
    let offset = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
    loop {
        let port = FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let lock = File::create(locks.join(port.to_string())).unwrap();
        let is_ours = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if is_ours && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            TAKEN.lock().unwrap().push(lock);
            return port;
        }
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not hold in time.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(GLANCE);
    }
}

/// How a daemon is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: it may finish what it does.
    Politely,
    /// SIGKILL: it may not.
    AtOnce,
}

/// A daemon that ends with its owner.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a daemon whose output goes to `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        let mut daemon = Self::spawn_into(command, [output.try_clone().unwrap().into(), output.into()]);
        log.clone_into(&mut daemon.log);
        daemon
    }

    /// Starts a daemon whose standard output and standard error are these.
    pub fn spawn_into(command: &mut Command, [stdout, stderr]: [Stdio; 2]) -> Self {
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = command
            .spawn()
            .unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
        Self {
            child,
            log: PathBuf::from("/dev/null"),
        }
    }

    /// Waits until `condition` holds, or fails as soon as the daemon has ended.
    pub fn wait_for(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        wait_until(what, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("waited until {what}, but it ended with {status}:\n{}", self.log());
            }
            condition()
        });
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it that it should look at its files again.
    pub fn hang_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// Stops it and waits until it is gone; returns its exit code, if it ended by itself.
    pub fn stop(&mut self, how: Stop) -> Option<i32> {
        let signal = match how {
            Stop::Politely => Signal::TERM,
            Stop::AtOnce => Signal::KILL,
        };
        let _ = kill_process(Pid::from_child(&self.child), signal);
        self.wait()
    }

    /// Waits until it is gone; returns its exit code, if it ended by itself.
    pub fn wait(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until(&format!("process {} ends", self.child.id()), || {
            match self.child.try_wait().unwrap() {
                Some(status) => {
                    code = status.code();
                    true
                }
                None => false,
            }
        });
        code
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- the end of {}:", self.log.display());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that ran to its end.
#[derive(Debug)]
pub struct Finished {
    /// The command as it would be typed.
    pub command: String,
    /// Its exit code; -1 after a signal.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// Runs a command with `input` on its standard input.
    pub fn run(command: &mut Command, input: &str) -> Self {
        let shown = format!("{command:?}");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|cause| panic!("{shown}: {cause}"));
        // A command that does not read its input is no failure.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Self {
            command: shown,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Everything it printed.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Checks that it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// Checks that it failed.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert_ne!(self.code, 0, "{self}");
        self
    }

    /// Checks that it printed `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.output().contains(text), "no {text:?} in: {self}");
        self
    }

    /// Checks that it did not print `text`.
    #[track_caller]
    pub fn does_not_say(self, text: &str) -> Self {
        assert!(!self.output().contains(text), "{text:?} in: {self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} ended with {}\n{}\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}
