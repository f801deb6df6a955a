//! The client for people and CI, and the gates that run only signed images.

#![forbid(unsafe_code)]

mod bridge;
pub mod commands;
mod decider;
pub mod engine;
mod gate;
pub mod gatekeeper;
pub mod kubernetes;
mod line;
pub mod manifests;
pub mod strict_json;
