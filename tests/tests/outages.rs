//! The database is away at start, or goes away during use: the server says so in its answers, and recovers by itself.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use tests::{Client, DatabaseServer, SERVED, TestServer, process::wait_until, publisher::Publisher};

/// Longer than an answer takes while the database is away, also on a slow machine.
const SOON: Duration = Duration::from_secs(30);

fn unavailable(client: &Client, path: &str) {
    let started = Instant::now();
    let answer = client.get(path);
    let error = answer.refuses(503, "UNAVAILABLE");
    assert!(answer.header("retry-after").is_some());
    let message = error["message"].as_str().unwrap();
    assert!(
        !message.contains("127.0.0.1"),
        "clients are not told where it is: {message}"
    );
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[test]
fn a_database_that_comes_late_or_goes_and_comes_back_needs_no_restart() {
    for engine in SERVED {
        let mut database = DatabaseServer::start(engine);
        let databases = database.databases();
        database.stop();
        let server = TestServer::builder().databases(databases).start();
        let client = server.client("alice");
        let gun = "example.com/app";
        let root = format!("/v2/{gun}/_trust/tuf/root.json");
        unavailable(&client, &root);
        let log = server.log();
        assert!(
            log.contains("does not answer") && log.contains("127.0.0.1"),
            "{log}"
        );
        for secret in [tests::database::PASSWORD, "a%2Fpassword"] {
            assert!(!log.contains(secret), "{engine:?}: the log holds the password");
        }

        database.resume();
        wait_until("the server has found its database", || {
            client.get(&root).status == 404
        });
        let key = format!("/v2/{gun}/_trust/tuf/timestamp.key");
        wait_until("the signer has found its database", || {
            client.get(&key).status == 200
        });
        let publisher = Publisher::new(&client, gun, gun);
        publisher.publish_first(&client, gun);

        database.stop();
        unavailable(&client, &root);
        let publish = client.publish(gun, &[("targets", &publisher.targets_file(2))]);
        publish.refuses(503, "UNAVAILABLE");
        wait_until("health tells", || {
            client.get("/_notary_server/health").status == 503
        });
        TcpStream::connect(("127.0.0.1", server.port())).unwrap();

        database.resume();
        wait_until("the root is served again", || client.get(&root).status == 200);
        wait_until("publishing works again", || {
            client
                .publish(gun, &[("targets", &publisher.targets_file(2))])
                .status
                == 200
        });
        wait_until("health tells", || {
            client.get("/_notary_server/health").status == 200
        });
    }
}
