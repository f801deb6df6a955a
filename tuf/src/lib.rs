//! The Notary v1 flavour of TUF: formats and rules, without I/O, SQL or a clock of its own.
