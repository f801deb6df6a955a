//! A database that was damaged past the server: an answer that hides nothing from the log and leaks nothing.

use diesel::{Connection, RunQueryDsl, SqliteConnection};
use tests::{Engine, TestServer};

#[test]
fn a_damaged_root_is_an_unknown_error_and_the_log_says_which() {
    let server = TestServer::start();
    assert_eq!(server.engine(), Engine::Sqlite);
    server.notary("alice").run(["init", "reg/app", "-p"]).ok();
    let mut connection = SqliteConnection::establish(server.database().to_str().unwrap()).unwrap();
    let damage = "UPDATE tuf_files SET data = x'00', sha256 = '0' WHERE role = 'root'";
    assert_eq!(diesel::sql_query(damage).execute(&mut connection).unwrap(), 1);
    let client = server.client("alice");
    let key = client.get("/v2/reg/app/_trust/tuf/timestamp.key");
    assert_eq!(key.refuses(500, "UNKNOWN")["detail"], serde_json::json!({}));
    client.publish("reg/app", &[]).refuses(500, "UNKNOWN");
    assert!(server.log().contains("root of reg/app"), "{}", server.log());
    client.get("/v2/reg/app/_trust/tuf/targets.json").ok();
}
