//! Web pages for people, as a browser asks for them.

use regex::Regex;
use serde_json::json;
use tests::{
    Engine, TestServer, Whose,
    http::{Client, Response},
    issued_tokens,
    process::wait_until,
    publisher::{Key, Publisher, hashes, sign},
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
        ("referrer-policy", "same-origin"),
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

/// A repository with two versions of targets and a delegation that signs too.
fn publish_twice(server: &TestServer, gun: &str) -> (Publisher, Key) {
    let client = server.client("alice");
    let publisher = Publisher::new(&client, gun, gun);
    publisher.publish_first(&client, gun);
    let releases = Key::generate();
    let mut targets = Publisher::delegating(2, "targets/releases", &releases);
    targets["targets"] = json!({"v1": hashes(b"moved"), "new": hashes(b"new")});
    let targets = sign(&targets, &[&publisher.targets]);
    let mut delegated = Publisher::targets(1);
    delegated["targets"] = json!({"r1": hashes(b"released")});
    let delegated = sign(&delegated, &[&releases]);
    client
        .publish(gun, &[("targets", &targets), ("targets/releases", &delegated)])
        .ok();
    (publisher, releases)
}

/// The page, once everything is read.
#[track_caller]
fn complete(client: &Client, address: &str) -> String {
    let mut seen = String::new();
    wait_until("all repositories are read", || {
        seen = page(client, address);
        !seen.contains("The server is reading its repositories")
    });
    seen
}

fn sha256(content: &[u8]) -> String {
    hex::encode(openssl::sha::sha256(content))
}

#[test]
fn repositories_are_searched_filtered_sorted_and_paged() {
    let server = TestServer::builder().requests_certificates().start();
    for number in 0..3 {
        publish(&server, &format!("reg.example/team/app{number}"));
    }
    publish(&server, "reg.example/other/tool");
    let alice = server.client("alice");
    let all = complete(&alice, "/repositories");
    shows(
        &all,
        &[
            "4 of 4 repositories that you may see, by name",
            "4 repositories, all of which verify.",
            "<b>4</b>",
            "href=\"/repository?gun=reg.example/team/app0\"",
            "by <bdi>alice</bdi>",
            "</svg>Good</span>",
            "<option value=\"reg.example/team\">",
        ],
    );
    let found = page(&alice, "/repositories?q=app1");
    shows(&found, &["1 of 4 repositories", "gun=reg.example/team/app1\""]);
    assert!(!found.contains("gun=reg.example/team/app0\""), "{found}");
    let of_other = page(&alice, "/repositories?ns=reg.example%2Fother");
    assert!(
        of_other.contains("tool") && !of_other.contains("app0"),
        "{of_other}"
    );
    shows(
        &page(&alice, "/repositories?q=nothing%3Cb%3E"),
        &["has “nothing&lt;", "Nothing here", "Show all 4"],
    );
    shows(&page(&alice, "/repositories?state=bad"), &["Nothing here"]);
    // Everything was published in this order.
    let newest = page(&alice, "/repositories?sort=published");
    let place = |name: &str| newest.find(&format!("gun=reg.example/{name}\"")).unwrap();
    assert!(place("other/tool") < place("team/app2") && place("team/app2") < place("team/app0"));
    // What is published and deleted later shows at once, whoever does it.
    publish(&server, "reg.example/team/later");
    shows(
        &page(&alice, "/repositories"),
        &["5 of 5 repositories", "gun=reg.example/team/later\""],
    );
    alice.delete("/v2/reg.example/team/later/_trust/tuf/").ok();
    let fewer = page(&alice, "/repositories");
    assert!(
        fewer.contains("4 of 4 repositories") && !fewer.contains("later"),
        "{fewer}"
    );
}

/// How many repositories the interface counts for a caller, and which it finds in a namespace.
#[track_caller]
fn told(client: &Client, namespace: &str) -> (String, Vec<String>) {
    let counted = client.get("/api/v0/repositories?count=true").ok();
    let found = client.get(&format!("/api/v0/repositories/{namespace}"));
    let found = match found.status {
        404 => Vec::new(),
        _ => {
            let found = found.ok().json()["repositories"].clone();
            let all = found.as_array().unwrap().iter();
            all.map(|found| found["gun"].as_str().unwrap().to_owned())
                .collect()
        }
    };
    (counted.header("x-resource-count").unwrap().to_owned(), found)
}

#[test]
fn the_interface_counts_and_finds_the_same_whether_or_not_pages_have_read_everything() {
    for odd in [false, true] {
        let server = TestServer::builder()
            .requests_certificates()
            .signs_locally()
            .set(
                "policy",
                json!([
                    {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
                    {"effect": "allow", "principals": ["bob"], "actions": ["pull"], "guns": ["reg.example/team/**"]},
                    {"effect": "allow", "principals": ["carol"], "actions": ["list"], "guns": ["reg.example/team/one"]},
                ]),
            )
            .start();
        for gun in [
            "reg.example/team/one",
            "other.example/team/one",
            "reg.example/team/two",
            "reg.example/secret/app",
        ] {
            publish(&server, gun);
        }
        if odd {
            // A name that no client can ask for. It counts all the same, so the copy in memory cannot answer.
            server.execute(
                Whose::Server,
                "UPDATE tuf_files SET gun = 'reg.example/team/t*o' WHERE gun = 'reg.example/team/two'",
            );
        }
        let two = if odd {
            "reg.example/team/t*o"
        } else {
            "reg.example/team/two"
        };
        let readers = ["alice", "bob", "carol", "eve"].map(|name| server.client(name));
        let all = || readers.each_ref().map(|client| told(client, "team"));
        let expected = |of_alice: &[&str], of_bob: &[&str], count: usize| {
            let of = |count: usize, names: &[&str]| {
                (
                    count.to_string(),
                    names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
                )
            };
            [
                of(count, of_alice),
                of(of_bob.len(), of_bob),
                of(1, &["reg.example/team/one"]),
                of(0, &[]),
            ]
        };
        let one = "reg.example/team/one";
        let before = expected(&["other.example/team/one", one, two], &[one, two], 4);
        assert_eq!(all(), before);
        complete(&readers[0], "/repositories");
        assert_eq!(all(), before);
        // What is published and deleted since counts at once.
        publish(&server, "reg.example/team/three");
        let three = "reg.example/team/three";
        let mut of_alice = vec!["other.example/team/one", one, two, three];
        let mut of_bob = vec![one, two, three];
        of_alice.sort_unstable();
        of_bob.sort_unstable();
        assert_eq!(all(), expected(&of_alice, &of_bob, 5));
        readers[0].delete(&format!("/v2/{three}/_trust/tuf/")).ok();
        assert_eq!(all(), before);
        // One is found by namespace and name, but not if several hosts have it.
        let found = readers[1].get("/api/v0/repositories/team/one").ok().json();
        assert_eq!(found["gun"], one);
        assert_eq!(readers[0].get("/api/v0/repositories/team/one").status, 400);
        assert_eq!(readers[2].get("/api/v0/repositories/secret/app").status, 404);
    }
}

#[test]
fn a_reader_sees_and_counts_only_what_it_may_pull() {
    let server = TestServer::builder()
        .requests_certificates()
        .set(
            "policy",
            json!([
                {"name": "owner", "effect": "allow", "principals": ["alice"], "actions": ["*"]},
                {"name": "readers", "effect": "allow", "principals": ["bob"], "actions": ["pull"], "guns": ["reg.example/open/**"]},
                {"name": "names", "effect": "allow", "principals": ["bob"], "actions": ["list"], "guns": ["reg.example/named/**"]},
            ]),
        )
        .start();
    for gun in [
        "reg.example/open/app",
        "reg.example/secret/app",
        "reg.example/named/app",
    ] {
        publish(&server, gun);
    }
    complete(&server.client("alice"), "/repositories");
    let bob = server.client("bob");
    for address in [
        "/repositories",
        "/",
        "/repositories?state=bad",
        "/repositories?q=secret",
    ] {
        let seen = complete(&bob, address);
        for hidden in ["secret/", "named/", "<b>3</b>", "<b>2</b>", " of 3", " of 2"] {
            assert!(!seen.contains(hidden), "{hidden} on {address}: {seen}");
        }
    }
    // Who published is for those who may read the changes.
    let seen = page(&bob, "/repositories");
    assert!(
        seen.contains("1 of 1 repositories") && !seen.contains("alice"),
        "{seen}"
    );
    let below = [
        "",
        "/tag",
        "/signers",
        "/root",
        "/activity",
        "/documents",
        "/commands",
    ];
    for path in below {
        let address = format!("/repository{path}?gun=reg.example%2Fsecret%2Fapp&tag=v1");
        let refused = look(&bob, &address);
        assert_eq!(refused.status, 403, "{address}");
        shows(
            &refused.text(),
            &[
                "bob may not pull reg.<wbr>".replace("<wbr>", "").as_str(),
                "No rule of the policy allows it",
            ],
        );
        // The same is said of what does not exist.
        let nowhere = look(
            &bob,
            &format!("/repository{path}?gun=reg.example%2Fsecret%2Fnothing&tag=v1"),
        );
        assert_eq!(nowhere.status, 403);
        let open = look(
            &bob,
            &format!("/repository{path}?gun=reg.example%2Fopen%2Fapp&tag=v1"),
        );
        assert_eq!(open.status, 200, "{}", open.text());
        assert!(!open.text().contains("alice"), "{}", open.text());
        assert_eq!(look(&bob, &format!("/repository{path}")).status, 404);
        assert_eq!(
            look(
                &bob,
                &format!("/repository{path}?gun=reg.example%2Fopen%2Fnothing")
            )
            .status,
            404
        );
    }
}

#[test]
fn a_repository_shows_what_is_signed_by_whom_since_when_and_what_was_before() {
    let server = TestServer::builder().requests_certificates().start();
    let gun = "reg.example/team/app";
    let (publisher, releases) = publish_twice(&server, gun);
    let alice = server.client("alice");
    let tags = page(&alice, &format!("/repository?gun={gun}"));
    shows(
        &tags,
        &[
            "Signed and good.",
            "3 of 3 signed tags",
            "Tags <b>3</b>",
            "Trust root <b>v1</b>",
            &sha256(b"moved"),
            &sha256(b"released"),
            &format!("title=\"Key ID {}\"", releases.id),
            &format!(
                "moved from <span class=\"nb\"><code title=\"sha256:{}\"",
                sha256(b"what is signed")
            ),
        ],
    );
    assert!(!page(&alice, &format!("/repository?gun={gun}&q=r1")).contains(&sha256(b"moved")));
    let tag = page(&alice, &format!("/repository/tag?gun={gun}&tag=v1"));
    shows(
        &tag,
        &[
            "<b>Verifies</b>",
            "Root version 1",
            "Timestamp version 2",
            "Snapshot version 2",
            "targets version 2",
            "History of this tag",
            &sha256(b"moved"),
            &sha256(b"what is signed"),
            "countersign verify --explain reg.example/",
        ],
    );
    let delegated = page(&alice, &format!("/repository/tag?gun={gun}&tag=r1"));
    shows(
        &delegated,
        &["targets/<wbr>releases version 1", "It hands on to the role below"],
    );
    assert_eq!(
        look(&alice, &format!("/repository/tag?gun={gun}&tag=never")).status,
        404
    );
    shows(
        &page(&alice, &format!("/repository/signers?gun={gun}")),
        &[
            "aria-label=\"Role root\"",
            "aria-label=\"Role targets/releases\"",
            &format!("Key ID {}", publisher.targets.id),
            &format!("Key ID {}", releases.id),
            "1 key, 1 signature",
            "Signed this version",
            "signer of this server",
            "CN=reg.example/",
        ],
    );
    shows(
        &page(&alice, &format!("/repository/root?gun={gun}")),
        &[
            "The chain is whole.",
            "Version 1",
            "published by <bdi>alice</bdi>",
            &publisher.root.id,
            "countersign inspect",
        ],
    );
    shows(
        &page(&alice, &format!("/repository/activity?gun={gun}")),
        &[
            "added new, r1, moved v1",
            "<b><bdi>alice</bdi></b>",
            "added v1",
            "<code><bdi>127.0.0.1</bdi></code>",
        ],
    );
    let compared = page(&alice, &format!("/repository/activity?gun={gun}&from=1&to=2"));
    shows(
        &compared,
        &[
            "Between the two: 2 added, 1 moved, 0 removed.",
            "<ins>+ added</ins>",
            "~ moved",
        ],
    );
    let documents = page(
        &alice,
        &format!("/repository/documents?gun={gun}&role=targets&version=1"),
    );
    shows(
        &documents,
        &[
            "targets</bdi>, version 1",
            "&#34;_type&#34;: <wbr>&#34;Targets&#34;"
                .replace(": <wbr>", ":<wbr> ")
                .as_str(),
        ],
    );
    let raw = documents
        .split("href=\"")
        .find(|rest| rest.starts_with("/v2/"))
        .unwrap();
    let raw = raw.split('"').next().unwrap();
    assert_eq!(alice.get(raw).ok().json()["signed"]["_type"], "Root");
    shows(
        &page(&alice, &format!("/repository/documents?gun={gun}&version=77")),
        &["Not stored"],
    );
    shows(
        &page(&alice, &format!("/repository/commands?gun={gun}")),
        &["docker trust sign", "countersign sign", "notary -s https:"],
    );
}

#[test]
fn hostile_names_of_repositories_roles_and_tags_are_only_text() {
    let server = TestServer::builder().requests_certificates().start();
    let client = server.client("alice");
    let gun = "reg.example/\u{202e}<script>alert(1)</script>&'x";
    let in_path = "reg.example/%E2%80%AE%3Cscript%3Ealert(1)%3C%2Fscript%3E%26'x";
    let in_query = "reg.example/%E2%80%AE%3Cscript%3Ealert(1)%3C%2Fscript%3E%26%27x";
    let publisher = Publisher::new(&client, in_path, gun);
    let tag = "\"><img src=x onerror=alert(1)>\u{202e}\u{200b}";
    let mut targets = Publisher::targets(1);
    targets["targets"] = json!({tag: hashes(b"x")});
    targets["targets"][tag]["custom"] = json!({"a": "<script>alert(2)</script>"});
    client
        .publish(
            in_path,
            &[
                ("root", &publisher.root_file(1)),
                ("targets", &sign(&targets, &[&publisher.targets])),
            ],
        )
        .ok();
    let mut pages = vec![complete(&client, "/repositories"), page(&client, "/")];
    let tag = "%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%E2%80%AE%E2%80%8B";
    for path in [
        "",
        "/tag",
        "/signers",
        "/root",
        "/activity",
        "/documents",
        "/commands",
    ] {
        pages.push(page(
            &client,
            &format!("/repository{path}?gun={in_query}&tag={tag}&q=%22%3E%3Cu%3E"),
        ));
    }
    pages.push(page(
        &client,
        &format!("/repository/documents?gun={in_query}&role=targets&version=1"),
    ));
    // What a form sends back has to be what it was given; nobody reads it there.
    let sent_back = Regex::new(r#" value="[^"]*""#).unwrap();
    for seen in &pages {
        let seen = sent_back.replace_all(seen, "");
        for wrong in ["<script>", "<img", "\u{202e}", "\"><u>"] {
            assert!(!seen.contains(wrong), "{wrong:?} in {seen}");
        }
    }
    assert!(pages[0].contains("⟨U+202E⟩") && pages[3].contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(pages.last().unwrap().contains("&lt;script&gt;alert(2)"));
}

#[test]
fn pages_show_what_another_server_on_the_database_committed_before() {
    let server = TestServer::builder()
        .requests_certificates()
        .database(Engine::Postgres)
        .start();
    let gun = "reg.example/team/app";
    publish(&server, gun);
    let alice = server.client("alice");
    shows(&complete(&alice, "/repositories"), &["1 of 1 repositories"]);
    let other = TestServer::builder()
        .requests_certificates()
        .beside(&server)
        .start();
    publish(&other, "reg.example/team/other");
    shows(
        &page(&alice, "/repositories"),
        &["2 of 2 repositories", "team/other\""],
    );
    let client = other.client("alice");
    client.delete(&format!("/v2/{gun}/_trust/tuf/")).ok();
    let seen = page(&alice, "/repositories");
    assert!(
        seen.contains("1 of 1 repositories") && !seen.contains("team/app\""),
        "{seen}"
    );
    assert_eq!(look(&alice, &format!("/repository?gun={gun}")).status, 404);
    // Made again, it is another repository, and seen anew.
    publish(&other, gun);
    shows(&page(&alice, "/repositories"), &["2 of 2 repositories"]);
    shows(
        &page(&alice, &format!("/repository/activity?gun={gun}")),
        &["deleted the repository", "added v1"],
    );
}

#[test]
fn what_ends_names_who_acts_and_the_command() {
    let server = TestServer::builder().requests_certificates().start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, "reg.example/soon", "reg.example/soon");
    let mut targets = Publisher::targets(1);
    targets["expires"] = json!(tests::publisher::in_days(20));
    client
        .publish(
            "reg.example/soon",
            &[
                ("root", &publisher.root_file(1)),
                ("targets", &sign(&targets, &[&publisher.targets])),
            ],
        )
        .ok();
    publish(&server, "reg.example/later");
    let overview = complete(&client, "/");
    shows(
        &overview,
        &[
            "2 repositories that you may see, and all verify.",
            "Targets of <a href=\"/repository?gun=reg.example/soon\">",
            "in 20 days",
            "the holder of key <bdi>".replace("<bdi>", "").as_str(),
            "<svg class=\"time\" width=\"100%\"",
        ],
    );
    assert!(
        !overview.contains("gun=reg.example/later\">Targets"),
        "{overview}"
    );
    let expiry = page(&client, "/expiry");
    shows(
        &expiry,
        &[
            "Expiry <b>",
            "countersign witness reg.<wbr>".replace("<wbr>", "").as_str(),
            "For others",
            "Timestamps of 2 repositories",
            "None is late.",
        ],
    );
    let within = page(&client, "/expiry?days=30&kind=metadata&q=later");
    shows(&within, &["Nothing of this kind ends within this time."]);
    shows(
        &page(&client, "/expiry?who=server&days=30"),
        &["Timestamp of <a href="],
    );
    shows(
        &page(&client, "/repositories?state=30"),
        &["1 of 2 repositories", "Ends in 20 days"],
    );
}

#[test]
fn a_browser_is_told_about_certificates_where_programs_are_asked_for_tokens() {
    let prepared = issued_tokens::prepare(issued_tokens::builder());
    let realm = format!("https://localhost:{}/auth/token", prepared.port());
    issued_tokens::asks_for_its_own_tokens(&prepared, &realm);
    let server = prepared.start();
    let program = server.client_without_certificate().get("/basic_info");
    assert_eq!(program.status, 401);
    assert!(
        program
            .header("www-authenticate")
            .is_some_and(|asks| asks.starts_with("Bearer"))
    );
    let nobody = server.client_without_certificate();
    let refused = look(&nobody, "/");
    assert_eq!(refused.status, 401);
    shows(&refused.text(), &["Your browser showed no certificate"]);
    let repository = look(&nobody, "/repository?gun=reg.example/team/app");
    assert_eq!(repository.status, 401);
}
