//! Client certificates of every kind, good and bad, and the client CAs that are to verify them.

mod issuers;
mod leaves;

use std::path::Path;

use openssl::bn::BigNum;

use crate::{
    craft::{Made, Wanted},
    pki::ClientFiles,
};

/// A certificate of the table: its name there, and the files.
pub type Row = (&'static str, ClientFiles);

/// The client CAs of both servers, and the certificates to test.
pub struct Table {
    /// The file of client CAs, in PEM.
    pub anchors: Vec<u8>,
    /// The certificates.
    pub rows: Vec<Row>,
}

/// Makes them, with files in a directory, for clients that trust `server_ca`.
pub fn table(directory: &Path, server_ca: &Path) -> Table {
    let root = Wanted::authority("Root").self_signed();
    let mut maker = Maker {
        directory,
        server_ca,
        anchors: root.certificate.to_pem().unwrap(),
        rows: Vec::new(),
        root,
    };
    leaves::purposes(&mut maker);
    leaves::numbers_and_dates(&mut maker);
    leaves::names(&mut maker);
    leaves::keys_and_signatures(&mut maker);
    issuers::intermediates(&mut maker);
    issuers::anchors(&mut maker);
    Table {
        anchors: maker.anchors,
        rows: maker.rows,
    }
}

/// A table that is being made.
struct Maker<'a> {
    directory: &'a Path,
    server_ca: &'a Path,
    /// A client CA.
    root: Made,
    anchors: Vec<u8>,
    rows: Vec<Row>,
}

impl Maker<'_> {
    /// Adds a certificate, with these issuers in its file.
    fn add(&mut self, name: &'static str, made: &Made, issuers: &[&Made]) {
        let file = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let files = made.files(self.directory, &file, issuers, self.server_ca);
        self.rows.push((name, files));
    }

    /// Adds a certificate by the root.
    fn leaf(&mut self, name: &'static str, wanted: Wanted) {
        self.add(name, &self.root.issue(&wanted), &[]);
    }

    /// Adds an ordinary certificate by an intermediate of the root, which it returns.
    fn below(&mut self, name: &'static str, intermediate: Wanted) -> Made {
        let intermediate = self.root.issue(&intermediate);
        self.add(name, &intermediate.issue(&client()), &[&intermediate]);
        intermediate
    }

    /// Adds a client CA, and a certificate without its issuers.
    fn anchor(&mut self, name: &'static str, authority: &Made, client: &Made) {
        self.trust(authority);
        self.add(name, client, &[]);
    }

    /// Adds a client CA that signed itself, and an ordinary certificate by it.
    fn by(&mut self, name: &'static str, authority: Wanted) {
        let authority = authority.self_signed();
        self.anchor(name, &authority, &authority.issue(&client()));
    }

    /// Adds a client CA.
    fn trust(&mut self, authority: &Made) {
        self.anchors.extend(authority.certificate.to_pem().unwrap());
    }
}

fn client() -> Wanted {
    Wanted::client("client")
}

fn number(decimal: &str) -> BigNum {
    BigNum::from_dec_str(decimal).unwrap()
}
