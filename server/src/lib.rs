//! The trust server: knows its clients by certificate, validates and stores TUF metadata.
