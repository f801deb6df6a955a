//! One address for two servers: every connection goes to the other one than the last.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::process::free_port;

/// Forwards connections by turns. Stock clients make a new one for each request.
pub struct Alternator {
    port: u16,
    served: Arc<[AtomicUsize; 2]>,
}

impl Alternator {
    /// Starts forwarding to two ports of this machine. The thread ends with the test process.
    pub fn start(ports: [u16; 2]) -> Self {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let served = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let count = served.clone();
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let turn = number % 2;
                count[turn].fetch_add(1, Ordering::Relaxed);
                // A broken connection is for its two ends to notice.
                let _ = forward(client, ports[turn]);
            }
        });
        Self { port, served }
    }

    /// The URL of both servers.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// How many connections each has got.
    pub fn served(&self) -> [usize; 2] {
        [0, 1].map(|turn| self.served[turn].load(Ordering::Relaxed))
    }
}

fn forward(client: TcpStream, port: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
