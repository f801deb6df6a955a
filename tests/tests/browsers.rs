//! Requests that a page of another site makes a browser send. The browser adds its user's certificate to them.

use serde_json::json;
use tests::{TestServer, issued_tokens, process::free_port, publisher::Publisher};

const GUN: &str = "reg/app";

#[test]
fn requests_from_pages_of_other_sites_change_nothing() {
    let server = TestServer::builder()
        .signs_locally()
        .set("server.external_url", json!("https://trust.example"))
        .set("audit", json!({"sinks": ["file:audit.json"]}))
        .start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    let before = server.stored();
    let elsewhere: &[&[(&str, &str)]] = &[
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "navigate")],
        &[("Origin", "null")],
        &[("Origin", "https://evil.example")],
        &[
            ("Sec-Fetch-Site", "same-origin"),
            ("Origin", "https://evil.example"),
        ],
        &[("Origin", "http://trust.example")],
    ];
    let form = tests::http::form(&[("targets", &publisher.targets_file(2))]);
    for headers in elsewhere {
        for (method, path) in [
            ("POST", "/v2/reg/app/_trust/tuf/snapshot.key"),
            ("POST", "/v2/reg/app/_trust/tuf/timestamp.key"),
            ("GET", "/v2/reg/new/_trust/tuf/timestamp.key"),
            ("HEAD", "/v2/reg/new/_trust/tuf/timestamp.key"),
            ("DELETE", "/v2/reg/app/_trust/tuf/"),
        ] {
            let refused = alice.request(method, path, headers, &[]);
            assert_eq!(
                refused.status,
                403,
                "{method} {path} {headers:?}: {}",
                refused.text()
            );
            if method != "HEAD" {
                assert_eq!(refused.error()["code"], "CROSS_SITE");
            }
        }
        let mut headers = headers.to_vec();
        headers.push(("Content-Type", tests::http::FORM));
        alice
            .request("POST", "/v2/reg/app/_trust/tuf/", &headers, &form)
            .refuses(403, "CROSS_SITE");
    }
    assert_eq!(server.stored(), before);
    let recorded = std::fs::read_to_string(server.path().join("audit.json")).unwrap();
    assert!(
        recorded.contains("for a page of another site") && recorded.contains("\"principal\":\"alice\""),
        "{recorded}"
    );
    // Reading is not changing, and a browser hands nothing of it to the other page.
    let read = alice.request(
        "GET",
        "/v2/reg/app/_trust/tuf/root.json",
        &[
            ("Sec-Fetch-Site", "cross-site"),
            ("Origin", "https://evil.example"),
        ],
        &[],
    );
    assert!(read.ok().header("access-control-allow-origin").is_none());
}

#[test]
fn pages_of_other_sites_get_no_tokens_and_change_no_images() {
    let builder = issued_tokens::builder()
        // Nothing listens there: what is refused first asks no registry.
        .set(
            "registry",
            json!({"upstream": format!("http://127.0.0.1:{}", free_port()), "host": "reg.example"}),
        );
    let server = issued_tokens::start(builder);
    let alice = server.client("alice");
    let digest = format!("sha256:{}", "0".repeat(64));
    for foreign in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://evil.example"),
    ] {
        for (method, path) in [
            (
                "GET",
                "/auth/token?service=registry&scope=repository:team/app:pull".to_owned(),
            ),
            (
                "HEAD",
                "/auth/token?service=registry&scope=repository:team/app:pull".to_owned(),
            ),
            ("PUT", "/v2/team/app/manifests/1".to_owned()),
            ("DELETE", format!("/v2/team/app/manifests/{digest}")),
            ("DELETE", format!("/v2/team/app/blobs/{digest}")),
            ("POST", "/v2/team/app/blobs/uploads/".to_owned()),
            (
                "POST",
                format!("/v2/team/app/blobs/uploads/?mount={digest}&from=team/other"),
            ),
            ("PATCH", "/v2/team/app/blobs/uploads/x".to_owned()),
            ("PUT", format!("/v2/team/app/blobs/uploads/x?digest={digest}")),
            ("DELETE", "/v2/team/app/blobs/uploads/x".to_owned()),
        ] {
            let refused = alice.request(method, &path, &[foreign], &[]);
            assert_eq!(refused.status, 403, "{method} {path}: {}", refused.text());
            if method != "HEAD" {
                assert_eq!(
                    refused.json()["errors"][0]["code"],
                    "CROSS_SITE",
                    "{method} {path}"
                );
            }
        }
        let form = b"grant_type=password&service=registry&client_id=x&username=alice&password=x";
        let refused = alice.request("POST", "/auth/token", &[foreign, issued_tokens::FORM], form);
        refused.refuses(403, "CROSS_SITE");
    }
    alice
        .get("/auth/token?service=registry&scope=repository:team/app:pull")
        .ok();
}

#[test]
fn this_servers_own_pages_and_programs_still_work() {
    let server = TestServer::builder()
        .signs_locally()
        .set("server.external_url", json!("https://trust.example"))
        .start();
    let alice = server.client("alice");
    Publisher::new(&alice, GUN, GUN).publish_first(&alice, GUN);
    let listener = format!("https://localhost:{}", server.port());
    let ours: &[&[(&str, &str)]] = &[
        &[],
        &[("Sec-Fetch-Site", "none")],
        &[("Sec-Fetch-Site", "same-origin")],
        &[
            ("Sec-Fetch-Site", "same-origin"),
            ("Origin", "https://trust.example"),
        ],
        &[("Origin", &listener)],
    ];
    for headers in ours {
        alice
            .request("POST", "/v2/reg/app/_trust/tuf/snapshot.key", headers, &[])
            .ok();
    }
}

#[test]
fn redirects_stay_on_this_host() {
    let server = TestServer::builder().signs_locally().start();
    let alice = server.client("alice");
    for path in [
        "/%5cevil.example//",
        "/%5C%5cevil.example//x",
        "/.//evil.example//x",
        "/a/..//%5cevil.example//",
    ] {
        let moved = alice.get(path);
        let location = moved.header("location").unwrap_or_default();
        assert_eq!(moved.status, 301, "{path}");
        assert!(
            location.starts_with('/') && !location.starts_with("//") && !location.contains('\\'),
            "{path} leads to {location}"
        );
    }
}
