//! A person at a terminal: `script` of util-linux gives a program one of its own.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use crate::process::{installed_program, wait_until};

/// What Ctrl-C sends.
pub const CTRL_C: &str = "\u{3}";

/// A program that runs at a terminal. It ends with its owner.
pub struct Terminal {
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Ends when nothing more can come.
    reader: Option<JoinHandle<()>>,
    /// How much of the screen was waited for already.
    seen: usize,
}

impl Terminal {
    /// Runs a line of shell in a directory that is the person's home.
    pub fn run(home: &Path, line: &str) -> Self {
        let mut command = Command::new(installed_program("script", "bsdutils"));
        command
            .args(["--quiet", "--return", "--flush", "--command", line, "/dev/null"])
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .env("SHELL", "/bin/sh")
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let keyboard = child.stdin.take();
        let mut output = child.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                shown.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Self {
            child,
            keyboard,
            screen,
            reader: Some(reader),
            seen: 0,
        }
    }

    /// Everything that was shown so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until this is shown, after what was waited for before.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        let mut screen = String::new();
        let (seen, shown) = (self.seen, &self.screen);
        let mut found = None;
        wait_until(&format!("{text:?} is shown"), || {
            screen = String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
            found = screen.get(seen..).and_then(|rest| rest.find(text));
            found.is_some()
        });
        self.seen += found.unwrap() + text.len();
    }

    /// Types this.
    pub fn types(&mut self, text: &str) {
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(text.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Waits for the end; returns the status and everything that was shown.
    pub fn ends(mut self) -> (i32, String) {
        let mut status = None;
        wait_until("the program at the terminal ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status.unwrap().code().unwrap_or(-1), self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the terminal shows:\n{}", self.screen());
        }
        drop(self.keyboard.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
