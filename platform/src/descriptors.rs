//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit to assume where the system sets none.
const PLENTY: u64 = 1 << 20;

/// Raises the limit as far as the system lets us, and returns it. The usual soft limit of 1024 is for
/// programs that use `select`.
pub fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum.unwrap_or(PLENTY),
        Err(_) => current.unwrap_or(PLENTY),
    }
}
