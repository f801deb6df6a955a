//! The trust server: knows its clients by certificate, validates and stores TUF metadata.
//!
//! Data flows one way: [`http`] accepts a connection, [`identity`] makes a principal of its certificate,
//! [`access`] grants the action, [`publish`] validates, signs and stores, [`store`] holds the documents. Operators
//! have [`quickstart`], [`issuing`], [`check`], [`doctor`] and [`moving`].

#![forbid(unsafe_code)]

pub mod access;
pub mod accounts;
pub mod app;
pub mod audit;
pub mod check;
pub mod clients;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod findings;
pub mod generation;
pub mod http;
pub mod identity;
pub mod issuing;
pub mod moving;
pub mod publish;
pub mod quickstart;
pub mod refresh;
pub mod reload;
pub mod revocation;
pub mod server_ca;
pub mod store;
pub mod sweeping;
pub mod telemetry;
