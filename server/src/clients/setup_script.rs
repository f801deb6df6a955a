//! A shell script that sets a client up.

/// The script for a server at `url` whose certificate the CA in `ca_pem` issued.
pub fn script(url: &str, ca_pem: &str) -> String {
    format!("#!/bin/sh\n# {url}\n# {}\n", ca_pem.len())
}
