//! Revocation lists of any length.

use std::{fmt::Write as _, fs, path::Path};

use tests::{Authority, TestPki};

use crate::fault::Result;

/// The file in a server's directory.
pub const FILE: &str = "list.pem";

/// Writes a list with so many certificates, none of them anybody's, into a server's directory.
///
/// # Errors
/// When it cannot be written.
pub fn write(directory: &Path, pki: &TestPki, entries: usize) -> Result<()> {
    let place = directory.join(format!("authority-{entries}"));
    let authority = Authority::new(pki.authority(), &place, &pki.ca());
    let mut revoked = String::new();
    for number in 0..entries {
        // Status, end of validity, time of revocation, serial number, file, subject.
        writeln!(
            revoked,
            "R\t400101000000Z\t250101000000Z\t{:016X}\tunknown\t/CN=revoked-{number}",
            0x7000_0000_0000_0000_u64 + u64::try_from(number)?
        )?;
    }
    fs::write(place.join("index.txt"), revoked)?;
    // A server does not go back to an older list.
    fs::write(place.join("crlnumber"), format!("{:08X}\n", entries + 1))?;
    fs::write(directory.join(FILE), authority.list())?;
    Ok(())
}
