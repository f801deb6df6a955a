//! Routes and reads: what each route returns, with which headers, and the answer when there is nothing.

use std::collections::BTreeSet;

use openssl::sha::sha256;
use serde_json::json;
use tests::{Client, Response, TestServer, publisher::Publisher};

/// The answer to a path that is not a route.
const NO_ROUTE: &str = concat!(
    r#"{"errors":[{"code":"METADATA_NOT_FOUND","#,
    r#""message":"You have requested metadata that does not exist."}]}"#,
    "\n"
);
const GUN: &str = "reg/app";

/// A server with `reg/app`, whose root, targets and snapshot have version 1.
fn published() -> (TestServer, Client) {
    published_on(TestServer::start())
}

fn published_on(server: TestServer) -> (TestServer, Client) {
    let client = server.client("alice");
    Publisher::new(&client, GUN, GUN).publish_first(&client, GUN);
    (server, client)
}

fn base(gun: &str) -> String {
    format!("/v2/{gun}/_trust/tuf")
}

#[track_caller]
fn no_route(response: &Response) {
    assert_eq!((response.status, response.text().as_str()), (404, NO_ROUTE));
    assert_eq!(
        response.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    uncached(response);
}

#[track_caller]
fn not_stored(response: &Response) {
    let error = response.refuses(404, "METADATA_NOT_FOUND");
    assert_eq!(error["detail"], json!({}));
    uncached(response);
}

#[track_caller]
fn uncached(response: &Response) {
    for name in ["cache-control", "etag", "last-modified", "pragma"] {
        assert_eq!(response.header(name), None, "{name}");
    }
}

#[test]
fn unknown_routes_are_404_with_notarys_bytes() {
    let (_server, client) = published();
    let base = base(GUN);
    let cases = [
        ("GET", "/".to_owned()),
        ("GET", "/v2".to_owned()),
        ("GET", "/v2/_trust/changefeed/".to_owned()),
        ("GET", "/_notary_server/health/".to_owned()),
        ("GET", "/v2/_trust/tuf/root.json".to_owned()),
        ("GET", base.clone()),
        ("GET", format!("{base}/")),
        ("POST", base.clone()),
        ("DELETE", base.clone()),
        ("PUT", format!("{base}/")),
        ("POST", format!("{base}/root.json")),
        ("POST", "/_notary_server/health".to_owned()),
        ("DELETE", "/v2/".to_owned()),
        ("GET", format!("{base}/root.json/")),
        ("GET", format!("{base}/Root.json")),
        ("GET", format!("{base}/mirrors.json")),
        ("GET", format!("{base}/root.key")),
        ("GET", format!("{base}/targets.key")),
        ("GET", format!("{base}/-1.root.json")),
        ("GET", format!("{base}/+1.root.json")),
        ("GET", format!("{base}/1.5.root.json")),
        ("GET", format!("{base}/root.{}.json", "a".repeat(63))),
        ("GET", format!("{base}/targets/a%20b.json")),
        ("GET", "/v2/reg/a*b/_trust/tuf/root.json".to_owned()),
        ("GET", "/v2/reg/a%2Ab/_trust/tuf/root.json".to_owned()),
        ("GET", "/v2/reg/%FF/_trust/tuf/root.json".to_owned()),
    ];
    for (method, path) in cases {
        let response = client.request(method, &path, &[], &[]);
        assert_eq!(response.status, 404, "{method} {path}: {}", response.text());
        no_route(&response);
    }
}

#[test]
fn other_methods_are_405_and_unclean_paths_are_redirected() {
    let (_server, client) = published();
    for method in ["PATCH", "OPTIONS", "PROPFIND"] {
        let response = client.request(method, &format!("{}/root.json", base(GUN)), &[], &[]);
        assert_eq!((response.status, response.body.len()), (405, 0), "{method}");
    }
    let cases = [
        (
            "/v2/reg//_trust/tuf/root.json?x=1&y",
            "/v2/reg/_trust/tuf/root.json?x=1&y",
        ),
        ("/v2/reg/./app/_trust/tuf/", "/v2/reg/app/_trust/tuf/"),
        (
            "/v2/x/../reg/_trust/tuf/root.json",
            "/v2/reg/_trust/tuf/root.json",
        ),
        (
            "/v2/x/%2e%2E/reg/_trust/tuf/root.json",
            "/v2/reg/_trust/tuf/root.json",
        ),
        (
            "/v2/a%20b//_trust/tuf/root.json",
            "/v2/a%20b/_trust/tuf/root.json",
        ),
        ("/v2/../../..//", "/"),
    ];
    for (path, location) in cases {
        for method in ["GET", "HEAD", "POST", "DELETE"] {
            let response = client.request(method, path, &[], &[]);
            assert_eq!(
                (response.status, response.body.len()),
                (301, 0),
                "{method} {path}"
            );
            assert_eq!(response.header("location"), Some(location), "{method} {path}");
        }
    }
    assert_eq!(client.get("/v2/").ok().body, b"{}");
}

#[test]
fn encoded_and_nested_names_name_the_same_repository() {
    let server = TestServer::start();
    let client = server.client("alice");
    let gun = "a b/_trust/tuf/ü:1";
    let encoded = "a%20b/_trust/tuf/%C3%BC:1";
    let publisher = Publisher::new(&client, encoded, gun);
    publisher.publish_first(&client, encoded);
    let root = publisher.root_file(1);
    for spelling in [
        encoded,
        "a%20b%2F_trust%2Ftuf%2F%c3%bc%3a1",
        "%61%20b/_trust/tuf/%C3%BC:1",
    ] {
        let found = client.get(&format!("{}/root.json", base(spelling))).ok();
        assert_eq!(found.json()["signed"]["version"], 1, "{spelling}");
        assert_eq!(found.body.len(), root.len());
    }
    not_stored(&client.get(&format!("{}/root.json", base("A%20b/_trust/tuf/%C3%BC:1"))));
    assert_eq!(
        server.stored().first().map(|(stored, _, _)| stored.as_str()),
        Some(gun)
    );
}

#[test]
fn versions_are_numbers_and_only_stored_ones_are_found() {
    let (_server, client) = published();
    let base = base(GUN);
    let root = client.get(&format!("{base}/root.json")).ok().body;
    for version in ["1", "01", "0000000000000000000000000000000001"] {
        assert_eq!(client.get(&format!("{base}/{version}.root.json")).ok().body, root);
    }
    for version in ["0", "2", "00", "2147483647", "2147483648", "9223372036854775807"] {
        for role in ["root", "targets", "snapshot", "timestamp"] {
            not_stored(&client.get(&format!("{base}/{version}.{role}.json")));
        }
    }
    for number in ["9223372036854775808", "99999999999999999999999"] {
        let error = client
            .get(&format!("{base}/{number}.root.json"))
            .refuses(404, "METADATA_NOT_FOUND");
        assert_eq!(error["detail"], json!({"Func": "Atoi", "Num": number, "Err": {}}));
    }
}

#[test]
fn missing_documents_are_404_with_an_empty_detail() {
    let (_server, client) = published();
    let base = base(GUN);
    let digits = |count: usize| "a".repeat(count);
    for path in [
        format!("{base}/targets/none.json"),
        format!("{base}/targets/None.x.json"),
        format!("{base}/targets/none/below.json"),
        format!("{base}/1.targets/none.json"),
        format!("{base}/root.{}.json", digits(64)),
        format!("{base}/root.{}.json", digits(96)),
        format!("{base}/root.{}.json", digits(128)),
        "/v2/reg/other/_trust/tuf/root.json".to_owned(),
        "/v2/reg/other/_trust/tuf/timestamp.json".to_owned(),
        "/v2/reg/other/_trust/tuf/snapshot.json".to_owned(),
        "/v2/reg/APP/_trust/tuf/root.json".to_owned(),
        "/v2/reg/app%20/_trust/tuf/root.json".to_owned(),
        "/v2/reg/ap/_trust/tuf/root.json".to_owned(),
    ] {
        let response = client.get(&path);
        assert_eq!(response.status, 404, "{path}: {}", response.text());
        not_stored(&response);
    }
}

#[test]
fn head_is_get_without_the_body() {
    let (_server, client) = published();
    let role = |file: &str| format!("{}/{file}", base(GUN));
    for path in [
        "/v2/".to_owned(),
        role("root.json"),
        role("1.targets.json"),
        role("timestamp.json"),
        role("timestamp.key"),
        role("9.root.json"),
        "/v2/_trust/changefeed?records=1".to_owned(),
        "/_notary_server/health".to_owned(),
        "/nowhere".to_owned(),
    ] {
        let (get, head) = (client.get(&path), client.request("HEAD", &path, &[], &[]));
        let headers = |response: &Response| -> BTreeSet<(String, String)> {
            let own = ["date", "x-request-id"];
            let kept = response
                .headers
                .iter()
                .filter(|(name, _)| !own.contains(&name.as_str()));
            kept.cloned().collect()
        };
        assert_eq!(
            (head.status, headers(&head)),
            (get.status, headers(&get)),
            "{path}"
        );
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
        let length = get.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()), "{path}");
    }
}

#[test]
fn a_document_that_the_client_has_is_304() {
    let (_server, client) = published();
    for file in ["root.json", "1.targets.json", "timestamp.json"] {
        let path = format!("{}/{file}", base(GUN));
        let full = client.get(&path).ok();
        let tag = format!("\"{}\"", hex::encode(sha256(&full.body)));
        assert_eq!(full.header("etag"), Some(tag.as_str()));
        let with = |known: &str| client.request("GET", &path, &[("If-None-Match", known)], &[]);
        for known in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".to_owned(),
        ] {
            let unchanged = with(&known);
            assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{known}");
            for name in ["etag", "cache-control", "last-modified"] {
                assert_eq!(unchanged.header(name), full.header(name), "{name}");
            }
        }
        assert_eq!(with("\"another\"").ok().body, full.body);
    }
    let missing = format!("{}/9.root.json", base(GUN));
    not_stored(&client.request("GET", &missing, &[("If-None-Match", "*")], &[]));
}

#[test]
fn cache_headers_say_what_is_configured_and_0_forbids_caching() {
    let configured = |current: u32, consistent: u32| {
        let server = TestServer::builder()
            .set("caching.max_age.current_metadata", json!(current))
            // As text, as environment variables and old files have it.
            .set(
                "caching.max_age.consistent_metadata",
                json!(consistent.to_string()),
            );
        published_on(server.start())
    };
    let headers = |client: &Client, file: &str| {
        let response = client.get(&format!("{}/{file}", base(GUN))).ok();
        let header = |name| response.header(name).unwrap_or_default().to_owned();
        let date = header("last-modified");
        assert!(date.ends_with(" GMT") && chrono::DateTime::parse_from_rfc2822(&date).is_ok());
        (header("cache-control"), header("pragma"))
    };
    let never = ("max-age=0, no-cache, no-store".to_owned(), "no-cache".to_owned());
    let (_server, client) = configured(0, 31_536_000);
    let year = "private, max-age=31536000".to_owned();
    assert_eq!(headers(&client, "timestamp.json"), never);
    assert_eq!(headers(&client, "1.root.json"), (year, String::new()));
    let (_server, client) = configured(60, 0);
    let minute = "private, max-age=60, must-revalidate".to_owned();
    assert_eq!(headers(&client, "targets.json"), (minute, String::new()));
    assert_eq!(headers(&client, "1.targets.json"), never);
    let published = client.publish(GUN, &[]).ok();
    uncached(&published);
    uncached(&client.get(&format!("{}/timestamp.key", base(GUN))).ok());
    uncached(&client.get("/v2/_trust/changefeed?records=1").ok());
}

#[test]
fn a_checksum_finds_only_the_document_of_its_repository_and_role() {
    let (_server, client) = published();
    Publisher::new(&client, "reg/two", "reg/two").publish_first(&client, "reg/two");
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let body = client.get(&format!("{}/{role}.json", base(GUN))).ok().body;
        let checksum = hex::encode(sha256(&body));
        let found = |gun: &str, role: &str| client.get(&format!("{}/{role}.{checksum}.json", base(gun)));
        assert_eq!(found(GUN, role).ok().body, body);
        not_stored(&found("reg/two", role));
        not_stored(&found("reg/never", role));
        for other in ["root", "targets", "snapshot", "timestamp", "targets/a"] {
            if other != role {
                not_stored(&found(GUN, other));
            }
        }
    }
}

#[test]
fn nothing_is_served_after_a_delete_and_others_stay() {
    let (server, client) = published();
    let kept = "reg/app-two";
    Publisher::new(&client, kept, kept).publish_first(&client, kept);
    let mut paths = Vec::new();
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let current = format!("{}/{role}.json", base(GUN));
        let checksum = hex::encode(sha256(&client.get(&current).ok().body));
        let by_checksum = format!("{}/{role}.{checksum}.json", base(GUN));
        paths.extend([current, format!("{}/1.{role}.json", base(GUN)), by_checksum]);
    }
    for path in &paths {
        client.get(path).ok();
    }
    let deleted = client.delete(&format!("{}/", base(GUN))).ok();
    assert_eq!(
        (
            deleted.body.len(),
            deleted.header("content-length"),
            deleted.header("content-type")
        ),
        (0, Some("0"), None)
    );
    for path in &paths {
        not_stored(&client.get(path));
    }
    client.get(&format!("{}/root.json", base(kept))).ok();
    assert!(server.stored().iter().all(|(gun, _, _)| gun == kept));
    // From the beginning, by somebody else.
    Publisher::new(&client, GUN, GUN).publish_first(&client, GUN);
    let root = client.get(&format!("{}/root.json", base(GUN))).ok().json();
    assert_eq!(root["signed"]["version"], 1);
}

#[test]
fn names_that_cannot_be_stored_are_refused_or_not_found() {
    let server = TestServer::start();
    let client = server.client("alice");
    let longest = "a".repeat(255);
    Publisher::new(&client, &longest, "a*").publish_first(&client, &longest);
    for name in ["a%00b", &"a".repeat(256), "a%F0%9F%98%80", "a%0Ab"] {
        let key = format!("{}/timestamp.key", base(name));
        client.get(&key).refuses(400, "INVALID_GUN");
        client.request("POST", &key, &[], &[]).refuses(400, "INVALID_GUN");
        client.publish(name, &[]).refuses(400, "INVALID_GUN");
        not_stored(&client.get(&format!("{}/root.json", base(name))));
        not_stored(&client.delete(&format!("{}/", base(name))));
        not_stored(&client.get(&format!("/v2/{name}/_trust/changefeed?records=1")));
    }
    for star in ["a*b", "a%2ab"] {
        no_route(&client.get(&format!("{}/timestamp.key", base(star))));
        no_route(&client.publish(star, &[]));
        no_route(&client.delete(&format!("{}/", base(star))));
    }
    assert!(server.stored().iter().all(|(gun, _, _)| *gun == longest));
}

#[test]
fn names_outside_of_the_prefixes_are_refused_before_the_client_is_identified() {
    let server = TestServer::builder()
        .requests_certificates()
        .set("repositories.gun_prefixes", json!(["docker.io/", "my.reg/x/"]))
        .start();
    let (alice, nobody) = (server.client("alice"), server.client_without_certificate());
    for client in [&alice, &nobody] {
        for gun in [
            "other/app",
            "docker.io",
            "docker.iox/app",
            "my.reg/y",
            "Docker.io/app",
        ] {
            let error = client.publish(gun, &[]).refuses(400, "INVALID_GUN");
            assert_eq!(
                error["detail"],
                "Require GUNs with prefix: [docker.io/ my.reg/x/]"
            );
            let base = base(gun);
            for file in ["root.json", "1.root.json", "timestamp.key"] {
                no_route(&client.get(&format!("{base}/{file}")));
            }
            no_route(&client.request("POST", &format!("{base}/timestamp.key"), &[], &[]));
            no_route(&client.delete(&format!("{base}/")));
            no_route(&client.get(&format!("/v2/{gun}/_trust/changefeed?records=1")));
        }
    }
    for gun in ["docker.io/library/app", "my.reg/x/app"] {
        let root = format!("{}/root.json", base(gun));
        nobody.get(&root).refuses(401, "UNAUTHORIZED");
        nobody.publish(gun, &[]).refuses(401, "UNAUTHORIZED");
        not_stored(&alice.get(&root));
        Publisher::new(&alice, gun, gun).publish_first(&alice, gun);
        alice.get(&root).ok();
    }
    for path in ["/v2/", "/nowhere", "/v2/_trust/changefeed?records=1"] {
        nobody.get(path).refuses(401, "UNAUTHORIZED");
    }
    alice.get("/v2/_trust/changefeed?records=1").ok();
    nobody.get("/_notary_server/health").ok();
}
