//! The pages Access and Audit: the reader's rights and why, changes by forms, whose certificate it is, and what was done.

use std::fs;

use regex::Regex;
use serde_json::{Value, json};
use tests::{
    Client, ClientFiles, TestServer, Whose, http::Response, process::wait_until, publisher::Publisher,
    server::Builder,
};

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const OURS: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
/// A name that does harm wherever it is not escaped, and turns the text after it.
const HOSTILE: &str = "reg/<img src=x onerror=alert(1)>\"'&/\u{202e}gpj";

fn builder() -> Builder {
    TestServer::builder().administered_by(
        "root",
        &[
            json!({"name": "team", "effect": "allow", "principals": ["alice", "bob"], "actions": ["pull", "push", "init"],
                   "guns": ["reg/team/**"]}),
            json!({"name": "secret", "effect": "allow", "principals": ["bob"], "actions": ["*"], "guns": ["reg/secret/**"]}),
            json!({"name": "keep", "effect": "deny", "principals": ["*"], "actions": ["delete"], "guns": ["reg/team/**"],
                   "unless": ["group:admins", "root"]}),
        ],
    )
}

#[track_caller]
fn page(client: &Client, address: &str) -> String {
    let response = client.request("GET", address, &[BROWSER], &[]);
    assert_eq!(response.status, 200, "{address}: {}", response.text());
    response.text()
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        text.bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[track_caller]
fn token(page: &str) -> String {
    let found = Regex::new(r#"name="token" value="([0-9a-f]{64})""#).unwrap();
    found
        .captures(page)
        .unwrap_or_else(|| panic!("no form in {page}"))[1]
        .to_owned()
}

fn send(client: &Client, path: &str, fields: &[(&str, &str)]) -> Response {
    client.request("POST", path, &[BROWSER, FORM, OURS], encoded(fields).as_bytes())
}

/// Sends a form as a browser does that was shown a page of this server.
fn change(client: &Client, fields: &[(&str, &str)]) -> Response {
    let token = token(&page(client, "/access"));
    send(
        client,
        "/access/change",
        &[&[("token", token.as_str())], fields].concat(),
    )
}

#[track_caller]
fn done(response: &Response, place: &str) {
    assert_eq!(response.status, 303, "{}", response.text());
    assert_eq!(response.header("location"), Some(place));
}

fn client(server: &TestServer, name: &str) -> (Client, ClientFiles) {
    let files = server.pki().user(name);
    (server.client_with(&files), files)
}

#[test]
fn readers_learn_their_rights_and_the_rule_but_not_the_rules_of_others() {
    let server = builder().start();
    let alice = server.client("alice");
    let seen = page(&alice, "/access");
    assert!(
        seen.contains("You are <bdi>alice") || seen.contains("You are alice"),
        "{seen}"
    );
    assert!(
        !seen.contains("For administrators")
            && !seen.contains("name=\"as\"")
            && !seen.contains("name=\"token\"")
    );
    let asked = page(&alice, "/access?gun=reg/team/app&action=push");
    assert!(
        asked.contains("<b>Yes.</b>") && asked.contains("The rule team allows it"),
        "{asked}"
    );
    let denied = page(&alice, "/access?gun=reg/team/app&action=delete");
    assert!(
        denied.contains("<b>No.</b>") && denied.contains("rule keep denies it"),
        "{denied}"
    );
    let nothing = page(
        &alice,
        "/access?gun=reg/secret/app&action=pull&as=bob&groups=admins",
    );
    assert!(nothing.contains("alice may not pull"), "{nothing}");
    for page in [&asked, &denied, &nothing] {
        assert!(
            !page.contains("secret</bdi>") && !page.contains("What every rule says"),
            "{page}"
        );
    }
    for (query, why) in [
        ("action=frobnicate", "There is no action"),
        ("action=pull&gun=a%0Ab", "No repository is called"),
        ("action=push:targets/releases&gun=reg/team/app", "<b>Yes.</b>"),
    ] {
        let told = page(&alice, &format!("/access?{query}"));
        assert!(told.contains(why), "{query}: {told}");
    }
    // An administrator asks about anybody, and sees what every rule says, as `policy test` prints it.
    let root = server.client("root");
    let told = page(&root, "/access?gun=reg/secret/app&action=pull&as=bob");
    assert!(
        told.contains("<b>Yes.</b>") && told.contains("What every rule says") && told.contains(">keep"),
        "{told}"
    );
    let told = page(&root, "/access?action=admin&as=somebody&groups=admins");
    assert!(told.contains("<b>Yes.</b>"), "{told}");
    for shown in [
        "Listeners",
        "Test CA",
        "requires",
        "accounts",
        "reg/<wbr>secret/<wbr>**",
        "registered-key",
        "Reload now",
    ] {
        assert!(told.contains(shown) || shown == "requires", "{shown} in {told}");
    }
    // What administrators see, others do not, by any address.
    for address in [
        "/access/account",
        "/access/account?name=alice",
        "/access/confirm?do=deny&principal=root",
    ] {
        let refused = alice.request("GET", address, &[BROWSER], &[]);
        assert_eq!(refused.status, 403, "{address}");
        assert!(refused.text().contains("may not admin"), "{}", refused.text());
    }
    for path in ["/access/change", "/access/whose"] {
        assert_eq!(
            send(&alice, path, &[("do", "reload"), ("token", "x")]).status,
            403,
            "{path}"
        );
    }
}

#[test]
fn accounts_keys_and_denials_are_changed_by_forms_and_changed_back() {
    let server = builder().start();
    let root = server.client("root");
    let (employee, files) = client(&server, "employee-4711");
    let of_alice = "/access/account?name=alice";
    let put = [
        ("do", "account.put"),
        ("name", "alice"),
        ("full_name", "Alice A."),
        ("groups", "ops, dev"),
    ];
    done(&change(&root, &put), of_alice);
    let pem = fs::read_to_string(&files.certificate)
        .unwrap()
        .replace('\n', "\r\n");
    let key = [
        ("do", "key.add"),
        ("name", "alice"),
        ("pem", &*pem),
        ("label", "laptop"),
        ("note", "held offline"),
    ];
    done(&change(&root, &key), of_alice);
    assert_eq!(employee.get("/basic_info").ok().json()["User"]["name"], "alice");
    let seen = page(&root, of_alice);
    for shown in ["Alice A.", "dev, ops", "laptop", "held offline", "Active"] {
        assert!(seen.contains(shown), "{shown} in {seen}");
    }
    assert!(page(&root, "/access").contains("alice"));

    // What is noted about a key is changed by its own form. Nothing else of the key changes, and an empty text removes what was noted.
    let keys = || root.get("/api/v0/accounts/alice/publicKeys").ok().json()["accountPublicKeys"].clone();
    let before = keys()[0].clone();
    let id = before["id"].as_str().unwrap().to_owned();
    let note = |label: &str, note: &str| {
        let fields = [
            ("do", "key.note"),
            ("name", "alice"),
            ("key", &*id),
            ("label", label),
            ("note", note),
        ];
        change(&root, &fields)
    };
    done(&note("laptop <1>", "in the safe"), of_alice);
    let mut expected = before.clone();
    expected["label"] = json!("laptop <1>");
    expected["note"] = json!("in the safe");
    expected["certificates"][0]["label"] = json!("laptop <1>");
    assert_eq!(keys(), json!([expected]));
    let seen = page(&root, of_alice);
    assert!(
        seen.contains("value=\"laptop &#60;1&#62;\"") && seen.contains("value=\"in the safe\""),
        "{seen}"
    );
    done(&note("", ""), of_alice);
    assert_eq!(
        (&keys()[0]["label"], &keys()[0]["note"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(note("laptop", &"x".repeat(256)).status, 400);
    let foreign = [
        ("do", "key.note"),
        ("name", "alice"),
        ("key", &*id),
        ("note", "x"),
        ("token", "0"),
    ];
    let refused = send(&root, "/access/change", &foreign);
    assert!(
        refused.status == 409
            && refused
                .text()
                .contains("Change what is noted about a key of alice?"),
        "{}",
        refused.text()
    );
    let link = root.request("GET", "/access/confirm?do=key.note&name=alice", &[BROWSER], &[]);
    assert_eq!(link.status, 400);
    let other = [("do", "key.note"), ("name", "alice"), ("key", "0"), ("note", "x")];
    assert_eq!(change(&root, &other).status, 404);
    done(&note("laptop", "held offline"), of_alice);

    // It is asked for once more, and the name has to be typed.
    let disable = page(&root, "/access/confirm?do=account.disable&name=alice");
    assert!(
        disable.contains("Disable alice?")
            && disable.contains("name=\"sure\"")
            && !disable.contains("lock-out")
    );
    let fields = [
        ("do", "account.disable"),
        ("name", "alice"),
        ("reason", "has left"),
    ];
    let untyped = change(&root, &fields);
    assert_eq!(untyped.status, 409);
    assert!(
        untyped.text().contains("type alice to say that you mean it"),
        "{}",
        untyped.text()
    );
    employee.get("/v2/").ok();
    let typed = [fields.as_slice(), &[("sure", "alice")]].concat();
    done(&change(&root, &typed), of_alice);
    employee.get("/v2/").refuses(401, "UNAUTHORIZED");
    assert!(page(&root, of_alice).contains("has left"));
    done(
        &change(&root, &[("do", "account.enable"), ("name", "alice")]),
        of_alice,
    );
    employee.get("/v2/").ok();

    let id = root.get("/api/v0/accounts/alice/publicKeys").ok().json()["accountPublicKeys"][0]["id"].clone();
    let remove = [
        ("do", "key.remove"),
        ("name", "alice"),
        ("key", id.as_str().unwrap()),
    ];
    done(&change(&root, &remove), of_alice);
    assert_eq!(
        employee.get("/basic_info").ok().json()["User"]["name"],
        "employee-4711"
    );
    let remove = [("do", "account.remove"), ("name", "alice"), ("sure", "alice")];
    done(&change(&root, &remove), "/access#accounts");

    let ask = page(&root, "/access/confirm?do=deny&principal=employee-4711");
    assert!(ask.contains("Deny principal employee-4711?"), "{ask}");
    let deny = [
        ("do", "deny"),
        ("principal", "employee-4711"),
        ("sure", "employee-4711"),
        ("reason", "lost laptop"),
    ];
    done(&change(&root, &deny), "/access#denials");
    employee.get("/v2/").refuses(401, "UNAUTHORIZED");
    let seen = page(&root, "/access");
    assert!(seen.contains("lost laptop"), "{seen}");
    let id = Regex::new(r#"name="id" value="([^"]+)""#)
        .unwrap()
        .captures(&seen)
        .unwrap()[1]
        .to_owned();
    done(&change(&root, &[("do", "undo"), ("id", &id)]), "/access#denials");
    employee.get("/v2/").ok();
    done(&change(&root, &[("do", "reload")]), "/access#reload");
    assert!(page(&root, "/access").contains("Generation 2"));

    let audit = page(&root, "/audit");
    for shown in [
        "account.add",
        "account.disable",
        "has left",
        "deny.add",
        "lost laptop",
        "CN=root",
    ] {
        assert!(audit.contains(shown), "{shown} in {audit}");
    }
    let decisions = fs::read_to_string(server.path().join("audit.json")).unwrap();
    assert!(decisions.contains(r#""action":"change-access""#) && decisions.contains("generation 2 taken up"));
    server.command_line("audit verify").ok();
}

#[test]
fn a_form_without_the_token_of_its_sender_changes_nothing() {
    let server = builder().start();
    let (root, files) = client(&server, "root");
    let good = token(&page(&root, "/access"));
    let put = [("do", "account.put"), ("name", "mallory"), ("admin", "yes")];
    let with = |token: &str| {
        [&[("token", token)], put.as_slice()]
            .concat()
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect::<Vec<_>>()
    };
    let sent = |client: &Client, fields: &[(String, String)], origin: &[(&str, &str)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        client.request(
            "POST",
            "/access/change",
            &[&[BROWSER, FORM], origin].concat(),
            encoded(&fields).as_bytes(),
        )
    };
    // Another administrator's, and one of another certificate of the same name.
    server.command_line("account add ann --admin").ok();
    let (ann, ann_files) = client(&server, "ann-4711");
    let config = server.path().join("server.json").display().to_string();
    let certificate = ann_files.certificate.display().to_string();
    server
        .run_server_program(
            "account",
            ["key", "add", "ann", "--cert", &certificate, "--config", &config],
        )
        .ok();
    let of_ann = token(&page(&ann, "/access"));
    let renewed = server.client("root");
    for (client, token) in [
        (&root, ""),
        (&root, "0".repeat(64).as_str()),
        (&root, &of_ann),
        (&renewed, &good),
        (&ann, &good),
    ] {
        let refused = sent(client, &with(token), &[OURS]);
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(
            refused.text().contains("look at it once more"),
            "{}",
            refused.text()
        );
    }
    // A foreign page has no token, and would be refused with one.
    for origin in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ] {
        assert_eq!(sent(&root, &with(&good), &[origin]).status, 403, "{origin:?}");
    }
    // What a link may lead to is only asked about where it takes access away.
    for query in [
        "do=account.put&name=mallory&admin=yes",
        "do=key.add&name=ann",
        "do=reload",
        "do=",
    ] {
        let asked = root.request("GET", &format!("/access/confirm?{query}"), &[BROWSER], &[]);
        assert_eq!(asked.status, 400, "{query}");
    }
    // Fields twice, another content type, other methods.
    let twice = [("token", &*good), ("do", "reload"), ("do", "reload")];
    assert_eq!(send(&root, "/access/change", &twice).status, 400);
    let json = root.request(
        "POST",
        "/access/change",
        &[BROWSER, OURS, ("Content-Type", "application/json")],
        b"{}",
    );
    assert_eq!(json.status, 400);
    assert_eq!(
        send(&root, "/access/change", &[("token", &good), ("do", "something")]).status,
        400
    );
    let large = vec![b'a'; 200_000];
    assert_eq!(
        root.request("POST", "/access/change", &[BROWSER, FORM, OURS], &large)
            .status,
        413
    );
    // After a reload other rules may be in force: what was shown before is asked once more.
    done(&change(&root, &[("do", "reload")]), "/access#reload");
    assert_eq!(sent(&root, &with(&good), &[OURS]).status, 409);
    let names: Vec<Value> = root.get("/api/v0/accounts").ok().json()["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["name"].clone())
        .collect();
    assert_eq!(names, ["ann"]);
    // And with the token of now it works.
    let root = server.client_with(&files);
    done(&change(&root, &put), "/access/account?name=mallory");
}

#[test]
fn who_would_be_locked_out_reads_so_before_it_happens() {
    let server = builder().start();
    let (root, files) = client(&server, "root");
    let own = fs::read_to_string(&files.certificate).unwrap();
    let ask = page(&root, "/access/confirm?do=deny&principal=root");
    assert!(
        ask.contains("You would lock yourself out") && ask.contains("no other administrator is known"),
        "{ask}"
    );
    let deny = [("do", "deny"), ("principal", "root"), ("sure", "root")];
    let refused = change(&root, &deny);
    assert_eq!(refused.status, 409);
    assert!(
        refused.text().contains("name=\"confirm\" value=\"lock-out\""),
        "{}",
        refused.text()
    );
    root.get("/v2/").ok();
    // With this key root would be an account without rights.
    server.command_line("account add nothing").ok();
    let key = [("do", "key.add"), ("name", "nothing"), ("pem", &*own)];
    let refused = change(&root, &key);
    assert_eq!(refused.status, 409);
    assert!(
        refused.text().contains("name=\"confirm\" value=\"lock-out\""),
        "{}",
        refused.text()
    );
    done(
        &change(&root, &[deny.as_slice(), &[("confirm", "lock-out")]].concat()),
        "/access#denials",
    );
    root.get("/v2/").refuses(401, "UNAUTHORIZED");
}

#[test]
fn whose_certificate_it_is_is_told_and_nothing_of_it_is_stored() {
    let server = builder().start();
    let root = server.client("root");
    let ask = |pem: &str| {
        let token = token(&page(&root, "/access"));
        let response = send(&root, "/access/whose", &[("token", &token), ("pem", pem)]);
        assert_eq!(response.status, 200);
        response.text()
    };
    let text = |files: &ClientFiles| fs::read_to_string(&files.certificate).unwrap();
    let before = server.contents(Whose::Server);
    let told = ask(&text(&server.pki().user("bob")));
    assert!(
        told.contains("CN=bob is bob, in no group, by the identity rule names"),
        "{told}"
    );
    assert!(told.contains("Deny this certificate") && told.contains("What every identity rule says"));
    let told = ask(&text(&server.pki().stranger("bob")));
    assert!(told.contains("no client CA verifies it"), "{told}");
    let told = ask(&text(&server.pki().expired()));
    assert!(told.contains("comes in nowhere"), "{told}");
    for garbage in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "</textarea><script>alert(1)</script>",
    ] {
        let told = ask(garbage);
        assert!(!told.contains("<script>alert"), "{told}");
        assert!(told.contains("note bad"), "{told}");
    }
    assert_eq!(server.contents(Whose::Server), before);
    server.command_line("deny add --principal bob").ok();
    let told = ask(&text(&server.pki().user("bob")));
    assert!(told.contains("who is barred from this server"), "{told}");
}

#[test]
fn the_audit_shows_what_was_changed_to_those_who_may_read_it_and_what_was_refused_to_whom_it_was() {
    let server = builder().start();
    let (root, alice, bob) = (
        server.client("root"),
        server.client("alice"),
        server.client("bob"),
    );
    Publisher::new(&alice, "reg/team/app", "reg/team/app").publish_first(&alice, "reg/team/app");
    Publisher::new(&bob, "reg/secret/x", "reg/secret/x").publish_first(&bob, "reg/secret/x");
    server.command_line("account add carol").ok();
    assert_eq!(
        alice
            .request("DELETE", "/v2/reg/team/app/_trust/tuf/", &[], &[])
            .status,
        403
    );
    assert_eq!(
        bob.request("GET", "/v2/reg/other/_trust/tuf/root.json", &[], &[])
            .status,
        403
    );

    // A thread of its own writes them.
    wait_until("the refusals are written", || {
        page(&root, "/audit").contains("bob may not pull")
    });
    let seen = page(&root, "/audit");
    for shown in [
        "reg/<wbr></span>",
        "secret/",
        "account.add",
        "Fits",
        "alice may not delete",
        "bob may not pull",
        "rule keep",
    ] {
        assert!(seen.contains(shown), "{shown} in {seen}");
    }
    // Alice sees what she did, and why she was refused; nothing of others.
    let seen = page(&alice, "/audit");
    assert!(
        seen.contains("alice may not delete") && seen.contains("publish"),
        "{seen}"
    );
    for hidden in ["secret", "carol", "bob"] {
        assert!(!seen.contains(hidden), "{hidden} in {seen}");
    }
    // Bob may read the changes of the secret repository.
    let seen = page(&bob, "/audit?gun=secret");
    assert!(seen.contains("One change, by bob"), "{seen}");

    for (query, there, absent) in [
        ("who=alice", "app", "secret"),
        ("what=account", "carol", "publish</bdi>"),
        ("gun=secret", "secret", "account.add"),
        (
            "from=2020-01-01&to=2020-01-02",
            "No change that you may see",
            "account.add",
        ),
        ("from=2020-01-01", "account.add", "No change that you may see"),
    ] {
        let seen = page(&root, &format!("/audit?{query}"));
        let changes = seen.split("id=\"h-refusals\"").next().unwrap();
        assert!(
            changes.contains(there) && !changes.contains(absent),
            "{query}: {changes}"
        );
    }
    assert_eq!(
        root.request("GET", "/audit?from=yesterday", &[BROWSER], &[])
            .status,
        400
    );

    let lines = root.get("/audit.jsonl").ok();
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = lines
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["record"]["action"], "account.add");
    assert_eq!(lines[0]["hash"].as_str().unwrap().len(), 64);
    let own: Vec<Value> = alice
        .get("/audit.jsonl")
        .ok()
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0]["record"]["gun"], "reg/team/app");

    let whole = page(&root, "/audit?follow=yes");
    assert!(
        whole.contains("All chains are whole") && whole.contains("3 records in 3 chains"),
        "{whole}"
    );
    server.execute(
        Whose::Server,
        "UPDATE audit_log SET record = replace(record, 'carol', 'mallo') WHERE chain = 'accounts'",
    );
    let broken = page(&root, "/audit?follow=yes");
    assert!(
        broken.contains("Chains break:") && broken.contains("A record does not fit the one before it"),
        "{broken}"
    );
    assert!(
        broken.contains("(accounts, record 1)") && broken.contains("Broken"),
        "{broken}"
    );
    // Who may not see it is not told of it either.
    assert!(!page(&alice, "/audit?follow=yes").contains("Chains break"));
}

#[test]
fn the_address_of_a_form_opened_again_leads_to_its_page() {
    let server = builder().start();
    let alice = server.client("alice");
    for address in ["/access/change", "/access/whose", "/access/certificate"] {
        done(&alice.request("GET", address, &[BROWSER], &[]), "/access");
        assert_eq!(alice.get(address).status, 404);
    }
}

#[test]
fn administrators_have_what_the_server_signs_renewed() {
    let server = builder().start();
    let (root, alice) = (server.client("root"), server.client("alice"));
    let gun = "reg/team/app";
    Publisher::new(&alice, gun, gun).publish_first(&alice, gun);
    let commands = format!("/repository/commands?{}", encoded(&[("gun", gun)]));
    assert!(!page(&alice, &commands).contains("Renew now"));
    assert!(page(&root, &commands).contains("Renew now"));
    let renewed = change(&root, &[("do", "renew"), ("gun", gun)]);
    assert_eq!(renewed.status, 303, "{}", renewed.text());
    let place = renewed.header("location").unwrap().to_owned();
    assert!(page(&root, &place).contains("Nothing was renewed"), "{place}");
    assert_eq!(change(&root, &[("do", "renew"), ("gun", "reg/none")]).status, 404);
    let refused = send(&alice, "/access/change", &[("do", "renew"), ("gun", gun)]);
    assert_eq!(refused.status, 403);
}

#[test]
fn every_refusal_is_found_page_by_page_by_whoever_was_refused() {
    let server = builder().start();
    let alice = server.client("alice");
    for number in 0..60 {
        let address = format!("/v2/reg/team/refused-{number}/_trust/tuf/");
        assert_eq!(alice.request("DELETE", &address, &[], &[]).status, 403);
    }
    let bob = server.client("bob");
    assert_eq!(bob.get("/v2/reg/other/_trust/tuf/root.json").status, 403);
    wait_until("the refusals are written", || {
        page(&bob, "/audit").contains("bob may not pull")
    });

    let refused = |seen: &str| {
        let name = Regex::new("refused-([0-9]+)").unwrap();
        let mut numbers: Vec<u32> = name
            .captures_iter(seen)
            .map(|found| found[1].parse().unwrap())
            .collect();
        // The sentence that says why names the repository too.
        numbers.dedup();
        numbers
    };
    let seen = page(&alice, "/audit?gun=refused");
    let first = refused(&seen);
    assert!(!seen.contains("bob"), "{seen}");
    let link = Regex::new(r##"href="(/audit\?[^"]*refused_before=[0-9]+)#h-refusals""##).unwrap();
    let earlier = link.captures(&seen).expect("a link to earlier refusals")[1].replace("&amp;", "&");
    let earlier = earlier.replace("&#38;", "&");
    let second = refused(&page(&alice, &earlier));
    let mut all = [first, second].concat();
    assert!(all.is_sorted_by(|one, other| one > other), "{all:?}");
    all.reverse();
    assert_eq!(all, (0..60).collect::<Vec<_>>());
    assert_eq!(
        alice
            .request("GET", "/audit?refused_before=-1", &[BROWSER], &[])
            .status,
        400
    );
}

#[test]
fn nothing_that_somebody_chose_reaches_these_pages_as_markup() {
    let server = builder().start();
    let root = server.client("root");
    let gun: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(
        server
            .client("alice")
            .get(&format!("/v2/{gun}/_trust/tuf/root.json"))
            .status,
        403
    );
    let name = "<b onclick=x>\"'&";
    let added = root.request(
        "POST",
        "/api/v0/accounts",
        &[("Content-Type", "application/json")],
        json!({"name": name, "fullName": name, "groups": [name]})
            .to_string()
            .as_bytes(),
    );
    assert_eq!(added.status, 201, "{}", added.text());
    let denied = root.request(
        "POST",
        "/api/v0/denials",
        &[("Content-Type", "application/json")],
        json!({"principal": name, "reason": format!("{name}\u{202e}")})
            .to_string()
            .as_bytes(),
    );
    assert_eq!(denied.status, 201, "{}", denied.text());
    let query = encoded(&[
        ("name", name),
        ("gun", HOSTILE),
        ("action", name),
        ("as", name),
        ("groups", name),
        ("who", name),
        ("principal", name),
    ]);
    let typed = Regex::new(r#" value="[^"]*""#).unwrap();
    let inline = Regex::new(r#"<[a-z]+[^<>]*\s(style|on[a-z]+)\s*="#).unwrap();
    for address in [
        "/access".to_owned(),
        "/audit".to_owned(),
        format!("/access?{query}"),
        format!("/audit?{query}"),
        format!("/access/account?{query}"),
        format!("/access/confirm?do=account.disable&{query}"),
        format!("/access/confirm?do=deny&{}", encoded(&[("principal", name)])),
    ] {
        let seen = page(&root, &address);
        // What was typed stands in its field as it was typed.
        let seen = typed.replace_all(&seen, "").into_owned();
        for harm in ["<b onclick", "<img src", "\u{202e}", "onerror=alert(1)>\""] {
            assert!(!seen.contains(harm), "{harm} in {address}: {seen}");
        }
        assert!(!inline.is_match(&seen), "{address}: {seen}");
    }
}
