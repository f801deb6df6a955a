//! Unknown keys of a configuration: which cause warnings, and which are errors.

use std::fs;

use serde_json::json;
use tests::{
    TestServer,
    startup::{SERVER, SIGNER, changed, run, run_with},
};

#[test]
fn unknown_keys_of_other_programs_are_warnings_with_the_nearest_known_key() {
    let builder = || {
        TestServer::builder()
            .set("storage.bakend", json!("x"))
            .set("quite.another", json!(1))
            .set(
                "policy",
                json!([{"effect": "allow", "principals": ["*"], "actions": ["*"]}]),
            )
            .set_signer("server.grpc_adr", json!("x"))
    };
    let prepared = builder().prepare();
    let (code, output) = run(
        SERVER,
        prepared.path(),
        &["check-config", "--config", "server.json"],
    );
    assert_eq!(code, Some(0), "{output}");
    let warnings: Vec<&str> = output.lines().collect();
    let expected = [
        "warning: unknown key quite.another",
        "warning: unknown key storage.bakend; did you mean storage.backend?",
        "server.json is fine",
    ];
    assert_eq!(warnings, expected);
    let server = builder().start();
    assert!(server.log().contains("storage.bakend") && server.log().contains("storage.backend"));
    let signer = fs::read_to_string(server.path().join("signer.log")).unwrap();
    assert!(
        signer.contains("server.grpc_adr") && signer.contains("server.grpc_addr"),
        "{signer}"
    );
}

#[test]
fn a_misspelt_security_key_is_an_error_at_start_and_in_every_command() {
    let prepared = TestServer::builder().prepare();
    let deny = json!([{"effect": "deny", "principals": ["*"], "actions": ["*"]}]);
    for (key, value, meant) in [
        ("polcy", deny.clone(), "did you mean policy?"),
        ("policies", deny.clone(), "did you mean policy?"),
        ("server.policy", deny.clone(), "did you mean policy?"),
        (
            "server.client_ca_fil",
            json!("pki/ca.pem"),
            "did you mean server.client_ca_file?",
        ),
        ("auth.tpye", json!("token"), "did you mean auth.type?"),
        (
            "revocaton.deny_list",
            json!("x"),
            "did you mean revocation.deny_list?",
        ),
        ("audit.sink", json!(["stdout"]), "did you mean audit.sinks?"),
        ("limits.whatever", json!(1), "unknown key limits.whatever"),
    ] {
        let file = changed(prepared.path(), SERVER, &[(key, value)]);
        for arguments in [
            vec!["--config", &file],
            vec!["check-config", "--config", &file],
            vec!["check", "--config", &file],
            vec!["doctor", "--config", &file],
            vec![
                "policy", "test", "--config", &file, "--as", "a", "--action", "pull",
            ],
            vec!["deny", "list", "--config", &file],
        ] {
            let (code, output) = run(SERVER, prepared.path(), &arguments);
            assert_eq!(code, Some(1), "{arguments:?} with {key}: {output}");
            assert!(output.contains(meant), "{arguments:?} with {key}: {output}");
        }
    }
    for (key, meant) in [
        ("server.allowed_client", "did you mean server.allowed_clients?"),
        ("signing.polcy", "did you mean signing.policy?"),
    ] {
        let file = changed(prepared.path(), SIGNER, &[(key, json!("x"))]);
        for arguments in [vec!["--config", &file], vec!["check", "--config", &file]] {
            let (code, output) = run(SIGNER, prepared.path(), &arguments);
            assert_eq!(code, Some(1), "{arguments:?} with {key}: {output}");
            assert!(output.contains(meant), "{arguments:?} with {key}: {output}");
        }
    }
    // Variables of the environment are judged alike.
    for (program, file, variable, meant) in [
        (
            SERVER,
            "server.json",
            "NOTARY_SERVER_POLCY",
            "did you mean policy?",
        ),
        (
            SIGNER,
            "signer.json",
            "NOTARY_SIGNER_SERVER_CLIENT_CA_FLE",
            "did you mean server.client_ca_file?",
        ),
    ] {
        let (code, output) = run_with(program, prepared.path(), &["--config", file], &[(variable, "x")]);
        assert_eq!(code, Some(1), "{variable}: {output}");
        assert!(output.contains(meant) && output.contains(variable), "{output}");
    }
    // With --strict nothing unknown passes at all.
    let file = changed(prepared.path(), SERVER, &[("quite.another", json!(1))]);
    for arguments in [
        vec!["check-config", "--strict", "--config", &file],
        vec!["check", "--strict", "--config", &file],
        vec!["doctor", "--strict", "--config", &file],
        vec!["--strict", "--config", &file],
    ] {
        let (code, output) = run(SERVER, prepared.path(), &arguments);
        assert_eq!(code, Some(1), "{output}");
        assert!(output.contains("unknown key quite.another"), "{output}");
    }
}
