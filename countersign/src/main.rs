//! The client for people and CI, and the gates that run only signed images.

fn main() {}
