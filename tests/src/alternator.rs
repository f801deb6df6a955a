//! A proxy that distributes connections to several servers in turn.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::namespace::Place;

/// Forwards each connection to the next server in turn. Stock clients make a new one for each request.
pub struct Alternator {
    port: u16,
    served: Arc<[AtomicUsize]>,
}

impl Alternator {
    /// Starts forwarding what comes to `listener` to servers in `place`. The thread ends with the test process.
    pub fn start(listener: TcpListener, place: Place, servers: Vec<SocketAddr>) -> Self {
        let port = listener.local_addr().unwrap().port();
        let served: Arc<[AtomicUsize]> = servers.iter().map(|_| AtomicUsize::new(0)).collect();
        let count = served.clone();
        std::thread::spawn(move || {
            place.enter();
            // Keep no reference to the namespace, because it must end with the test.
            drop(place);
            for (number, client) in listener.incoming().flatten().enumerate() {
                let turn = number % servers.len();
                count[turn].fetch_add(1, Ordering::Relaxed);
                // The two ends notice a broken connection themselves.
                let _ = forward(client, servers[turn]);
            }
        });
        Self { port, served }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections each server has received.
    pub fn served(&self) -> Vec<usize> {
        self.served
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect()
    }
}

fn forward(client: TcpStream, server: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
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
