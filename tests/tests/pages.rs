//! Web pages for people, as a browser asks for them.

use regex::Regex;
use serde_json::json;
use tests::{
    TestServer,
    http::{Client, Response},
    publisher::Publisher,
};

/// What browsers say that they accept.
const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
/// Everything that a page may do.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

fn publish(server: &TestServer, gun: &str) {
    let client = server.client("alice");
    Publisher::new(&client, gun, gun).publish_first(&client, gun);
}

/// What a browser gets.
fn look(client: &Client, address: &str) -> Response {
    let response = client.request("GET", address, &[BROWSER], b"");
    if response
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"))
    {
        is_guarded(&response);
    }
    response
}

/// A page that is there.
#[track_caller]
fn page(client: &Client, address: &str) -> String {
    let response = look(client, address);
    assert_eq!(response.status, 200, "{address}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    response.text()
}

/// Nothing but this server's own files is loaded, nothing is inline, nobody keeps or frames the page.
#[track_caller]
fn is_guarded(response: &Response) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "private, no-store"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    let page = response.text();
    let inline = Regex::new(r#"<[a-z]+[^<>]*\s(style|on[a-z]+)\s*=|<style|href="[^"/#?]"#).unwrap();
    if let Some(found) = inline.find(&page) {
        panic!("{} in {page}", found.as_str());
    }
    for script in page.split("<script").skip(1) {
        assert!(script.starts_with(" src=\"/assets/"), "{script}");
    }
}

#[track_caller]
fn shows(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

#[test]
fn a_certificate_in_the_browser_is_the_login_and_there_is_no_logout() {
    let server = TestServer::builder().requests_certificates().start();
    publish(&server, "reg.example/org/a&b");
    let seen = page(&server.client("alice"), "/");
    shows(
        &seen,
        &[
            "You are signed in as ",
            "<b><bdi>alice</bdi></b>",
            "by <bdi>certificate CN=alice",
            "until <time datetime=",
            "a&amp;b</bdi>",
            "<a class=\"skip\" href=\"#main\">",
            "<main id=\"main\">",
            "aria-current=\"page\">Overview",
        ],
    );
    for word in ["log out", "logout", "sign out", "password"] {
        assert!(
            !seen.to_lowercase().contains(word)
                || word == "log out" && seen.contains("nothing to log out of")
        );
    }
    // Programs get what a Notary server says.
    let program = server.client("alice").get("/");
    program.refuses(404, "METADATA_NOT_FOUND");
}

#[test]
fn style_sheet_and_script_come_from_this_server_and_may_be_kept() {
    let server = TestServer::builder().requests_certificates().start();
    let stranger = server.client_without_certificate();
    let seen = look(&stranger, "/").text();
    let addresses: Vec<&str> = seen
        .split('"')
        .filter(|part| part.starts_with("/assets/"))
        .collect();
    assert_eq!(addresses.len(), 2, "{seen}");
    for (address, kind) in addresses
        .iter()
        .zip(["text/css; charset=utf-8", "text/javascript; charset=utf-8"])
    {
        let file = stranger.get(address).ok();
        assert_eq!(file.header("content-type"), Some(kind));
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            file.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        let tag = file.header("etag").unwrap();
        let again = stranger.request("GET", address, &[("If-None-Match", tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    // A page of another version of this server, beside this one, still gets a style sheet.
    let other = stranger.get("/assets/style-0123456789abcdef.css").ok();
    assert_eq!(other.header("cache-control"), Some("no-cache"));
    assert_eq!(stranger.get("/assets/nothing.css").status, 404);
}

#[test]
fn who_comes_without_a_good_certificate_is_told_how_to_get_in() {
    let server = TestServer::builder().requests_certificates().start();
    let nobody = look(&server.client_without_certificate(), "/");
    assert_eq!(nobody.status, 401);
    let words = nobody.text();
    shows(
        &words,
        &[
            "Your browser showed no certificate",
            "no client certificate was presented",
            ".p12",
            "Firefox, on every system",
            "macOS: Safari, Chrome, Edge",
            "Keychain Access",
            "Certificate Import Wizard",
            "Linux: Chrome, Chromium",
            "openssl pkcs12 -export",
        ],
    );
    assert!(!words.contains("aria-label=\"Main\""), "{words}");
    let expired = look(&server.client_with(&server.pki().expired()), "/");
    assert_eq!(expired.status, 401);
    shows(
        &expired.text(),
        &[
            "Your certificate has ended",
            "certificate has expired",
            "What your browser showed",
        ],
    );
    let stranger = look(&server.client_with(&server.pki().stranger("mallory")), "/");
    assert_eq!(stranger.status, 401);
    shows(
        &stranger.text(),
        &["Your certificate is not accepted here", "CN=mallory"],
    );
}

#[test]
fn transport_security_is_promised_only_where_clients_come_by_https() {
    let told = TestServer::builder().tells_its_url().start();
    let header = "strict-transport-security";
    assert_eq!(
        look(&told.client("alice"), "/").header(header),
        Some("max-age=31536000")
    );
    let silent = TestServer::builder().requests_certificates().start();
    assert_eq!(look(&silent.client("alice"), "/").header(header), None);
}

#[test]
fn a_hostile_common_name_is_only_text() {
    let server = TestServer::builder()
        .requests_certificates()
        .set(
            "identity",
            json!([{"name": "all", "match": {"cn": "(?P<n>.*)"}, "principal": "p"}]),
        )
        .start();
    let name = "<img src=x onerror=alert(1)>\"'&\u{202e}evil";
    let seen = page(&server.client(name), "/");
    shows(
        &seen,
        // The text form of a subject escapes some of them already.
        &["\\3Cimg src=x onerror=alert(1)\\3E\\22&#39;&amp;<span class=\"unseen\">⟨U+202E⟩</span>evil"],
    );
    assert!(!seen.contains("<img") && !seen.contains('\u{202e}'), "{seen}");
}
