//! A database that was damaged outside of the server: the log has the details, and the answer reveals none.

use tests::{Engine, TestServer, Whose};

#[test]
fn a_damaged_root_is_an_unknown_error_and_the_log_says_which() {
    let server = TestServer::start();
    server.notary("alice").run(["init", "reg/app", "-p"]).ok();
    let data = match server.engine() {
        Engine::Postgres => r"'\x00'",
        Engine::Sqlite | Engine::Mysql => "x'00'",
    };
    let damage = format!("UPDATE tuf_files SET data = {data}, sha256 = '0' WHERE role = 'root'");
    server.execute(Whose::Server, &damage);
    let client = server.client("alice");
    let key = client.get("/v2/reg/app/_trust/tuf/timestamp.key");
    assert_eq!(key.refuses(500, "UNKNOWN")["detail"], serde_json::json!({}));
    client.publish("reg/app", &[]).refuses(500, "UNKNOWN");
    assert!(server.log().contains("root of reg/app"), "{}", server.log());
    client.get("/v2/reg/app/_trust/tuf/targets.json").ok();
}
