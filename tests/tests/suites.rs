//! All suites, in one program: it is linked once, suites run beside each other, and those of one engine share a database
//! server. Run one with `cargo test --package tests NAME::`.

mod accounts;
mod air_gap;
mod api;
mod attacks;
mod attesting;
mod attesting_hostile;
mod attesting_refused;
mod audit;
mod audit_table;
mod browsers;
mod bundle;
mod certificate_table;
mod changes;
mod checking;
mod client_certificates;
mod client_setup;
mod cluster;
mod consistency;
mod crashes;
mod damage;
mod database_messages;
mod database_rights;
mod database_tls;
mod denials;
mod disk_full;
mod docker_content_trust;
mod doctor;
mod engine_gate;
mod engines;
mod events;
mod findings;
mod findings_of_certificates;
mod floods;
mod gate_currency;
mod gates;
mod gateway;
mod gateway_docker;
mod gateway_signed;
mod issued_tokens;
mod issuing;
mod keys_and_changes;
mod keys_of_others;
mod kubernetes_gate;
mod limits;
mod listeners;
mod messages;
mod migrations;
mod notary_flows;
mod ocsp;
mod one_meaning;
mod open_connections;
mod outages;
mod outputs;
mod own_bundles;
mod own_tokens;
mod pages;
mod pages_access;
mod pages_browser;
mod pages_registry;
mod pages_tuf;
mod passphrase_commands;
mod password_guesses;
mod passwords;
mod pending_keys;
mod policy;
mod policy_routes;
mod policy_test;
mod prompts;
mod proxies;
mod proxy_protocol;
mod publish_mutations;
mod publish_races;
mod publish_refusals;
mod quickstart;
mod reading;
mod refreshing;
mod refusals_shown;
mod registries;
mod registry_tokens;
mod reloading;
mod replaced_delegates;
mod requirements;
mod revocation_lists;
mod revocation_succession;
mod rooms;
mod side_by_side;
mod side_by_side_docker;
mod signers;
mod signing;
mod slow_clients;
mod starting;
mod statements;
mod stopping;
mod take_over;
mod token_keys;
mod tokens;
mod transfer;
mod tuf_attested_mirror;
mod tuf_command;
mod tuf_hosting;
mod tuf_interoperability;
mod tuf_migration;
mod tuf_operators;
mod tuf_properties;
mod tuf_serving;
mod tuf_trust_roots;
mod unknown_keys;
mod upload_memory;
mod uploaded_snapshots;
mod verifying;
mod verifying_docker;
mod walk_through;
mod watching;
mod whoami;
mod wrong_certificates;

/// A file that is not named above would never run.
#[test]
fn every_suite_is_among_them() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let suite = name.strip_suffix(".rs").unwrap();
        let is_named = include_str!("suites.rs").contains(&format!("\nmod {suite};\n"));
        assert!(is_named || suite == "suites", "{name}");
    }
}

/// A name that is none would run nothing.
#[test]
fn the_suites_that_run_on_every_engine_are_among_them() {
    let makefile = include_str!("../../Makefile");
    let list = makefile.split_once("SUITE = $(addsuffix ::,").unwrap().1;
    let list = list.split_once(')').unwrap().0.replace('\\', " ");
    assert!(list.split_whitespace().count() > 30);
    for suite in list.split_whitespace() {
        let is_named = include_str!("suites.rs").contains(&format!("\nmod {suite};\n"));
        assert!(is_named, "{suite}");
    }
}
