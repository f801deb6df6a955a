//! The registry behind the server: who gets through, what passes, and what does not.

use std::{
    fs,
    io::{Read, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use openssl::sha::Sha256;
use serde_json::{Value, json};
use tests::{
    Client, TestServer,
    http::Response,
    process::wait_until,
    registry::{
        MANIFEST, Registry, begin_upload, digest, get_manifest, path_of, push_blob, push_image, put_manifest,
        with_parameter,
    },
    revocation::authority,
    server::Builder,
    web::{Said, Web},
};

const HOST: &str = "reg.example";

/// Alice pushes for the team, the reader pulls what it pushes, and carol has repositories of her own.
fn policy() -> Value {
    json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["*"], "guns": ["reg.example/team/**"]},
        {"effect": "allow", "principals": ["reader"], "actions": ["pull"], "guns": ["reg.example/team/**"]},
        {"effect": "allow", "principals": ["carol"], "actions": ["pull", "push"], "guns": ["carol/**"]},
    ])
}

fn builder(upstream: &str) -> Builder {
    TestServer::builder()
        .signs_locally()
        .set("registry", json!({"upstream": upstream, "host": HOST}))
        .set("policy", policy())
        .set("audit", json!({"sinks": ["file:audit.jsonl"]}))
}

/// A registry with the server in front of it.
struct World {
    server: TestServer,
    registry: Registry,
    _directory: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        Self::with(|builder| builder)
    }

    fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::start(directory.path());
        Self {
            server: change(builder(&registry.url())).start(),
            registry,
            _directory: directory,
        }
    }

    fn client(&self, name: &str) -> Client {
        self.server.client(name)
    }

    fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.server.path().join("audit.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// What an upstream of the test's own was asked, in order: path, headers, body.
type Seen = Arc<Mutex<Vec<(String, Vec<(String, String)>, Vec<u8>)>>>;

/// An upstream that notes what it sees.
fn recorder(answer: impl Fn(&str) -> Said + Send + Sync + 'static) -> (Web, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let web = Web::start(move |asked| {
        let entry = (asked.path.clone(), asked.headers.clone(), asked.body.clone());
        noted.lock().unwrap().push(entry);
        answer(&asked.path)
    });
    (web, seen)
}

#[track_caller]
fn raw(client: &Client, request: &str) -> Response {
    client.raw(request.as_bytes()).unwrap()
}

#[test]
fn an_image_is_pushed_and_pulled_by_those_who_may() {
    let world = World::start();
    let (alice, reader, carol) = (
        world.client("alice"),
        world.client("reader"),
        world.client("carol"),
    );
    let ping = reader.get("/v2/").ok();
    assert_eq!(ping.text(), "{}");
    assert_eq!(
        ping.header("docker-distribution-api-version"),
        Some("registry/2.0")
    );
    let manifest = push_image(&alice, "team/app", "1.0", "the first").to_string();

    let pulled = get_manifest(&reader, "team/app", "1.0").ok();
    assert_eq!(pulled.text(), manifest);
    assert_eq!(pulled.header("content-type"), Some(MANIFEST));
    assert_eq!(
        pulled.header("docker-content-digest"),
        Some(digest(manifest.as_bytes()).as_str())
    );
    assert!(pulled.header("etag").is_some());
    let layer = serde_json::from_str::<Value>(&manifest).unwrap()["layers"][0]["digest"].clone();
    let blob = format!("/v2/team/app/blobs/{}", layer.as_str().unwrap());
    assert_eq!(reader.get(&blob).ok().text(), "the first");
    let tags = reader.get("/v2/team/app/tags/list").ok();
    assert_eq!(tags.json(), json!({"name": "team/app", "tags": ["1.0"]}));

    // HEAD says how long it would be, and a part is a part.
    let head = reader.request("HEAD", &blob, &[], &[]).ok();
    assert_eq!((head.header("content-length"), head.body.len()), (Some("9"), 0));
    let part = reader.request("GET", &blob, &[("Range", "bytes=4-7")], &[]);
    assert_eq!((part.status, part.text().as_str()), (206, "firs"));
    assert_eq!(part.header("content-range"), Some("bytes 4-7/9"));
    let unchanged = [("If-None-Match", pulled.header("etag").unwrap())];
    let unchanged = reader.request("GET", "/v2/team/app/manifests/1.0", &unchanged, &[]);
    assert!([200, 304].contains(&unchanged.status), "{}", unchanged.status);

    // The reader pushes nothing, and nobody reaches what is another's.
    let refused = reader.request("POST", "/v2/team/app/blobs/uploads/", &[], &[]);
    let error = refused.refuses(403, "DENIED");
    assert_eq!(error["message"], "reader may not push reg.example/team/app");
    put_manifest(&reader, "team/app", "1.0", MANIFEST, &json!({})).refuses(403, "DENIED");
    reader.delete("/v2/team/app/manifests/1.0").refuses(403, "DENIED");
    for path in [
        blob.as_str(),
        "/v2/team/app/manifests/1.0",
        "/v2/team/app/tags/list",
    ] {
        carol.get(path).refuses(403, "DENIED");
    }
    // Rules name repositories with the registry's host or without.
    push_image(&carol, "carol/tool", "x", "hers");
    alice.get("/v2/carol/tool/tags/list").refuses(403, "DENIED");
    get_manifest(&carol, "carol/tool", "x").ok();

    // What was not found is told as the registry tells it.
    let missing = get_manifest(&reader, "team/app", "2.0");
    assert_eq!(
        (missing.status, missing.json()["errors"][0]["code"].as_str()),
        (404, Some("MANIFEST_UNKNOWN"))
    );

    let records = world.records();
    let of = |action: &str, decision: &str| {
        let found = records
            .iter()
            .find(|record| record["action"] == action && record["decision"] == decision);
        found
            .cloned()
            .unwrap_or_else(|| panic!("no record of {action} {decision}"))
    };
    assert_eq!(of("push", "allowed")["gun"], "reg.example/team/app");
    assert_eq!(of("push", "denied")["principal"], "reader");
    assert_eq!(of("pull", "allowed")["policy_rule"], "policy[1]");
    let tagged = records
        .iter()
        .any(|record| record["action"] == "push" && record["reference"] == "1.0");
    assert!(tagged, "the tag that was pushed is recorded");
    let figures = alice.get("/metrics").ok().text();
    assert!(
        figures.contains("RegistryManifest") && figures.contains("RegistryUpload"),
        "{figures}"
    );
}

#[test]
fn without_a_registry_everything_is_as_before() {
    let server = TestServer::builder().signs_locally().start();
    let alice = server.client("alice");
    assert_eq!(
        alice.get("/v2/").ok().header("docker-distribution-api-version"),
        None
    );
    alice
        .get("/v2/team/app/manifests/1.0")
        .refuses(404, "METADATA_NOT_FOUND");
    assert_eq!(
        alice.request("PATCH", "/v2/a/blobs/uploads/u", &[], &[]).status,
        405
    );
    let moved = alice.get("/v2/a//manifests/x");
    assert_eq!(
        (moved.status, moved.header("location")),
        (301, Some("/v2/a/manifests/x"))
    );
}

#[test]
fn a_blob_is_uploaded_in_parts_and_goes_on_where_it_broke_off() {
    let mut world = World::start();
    let alice = world.client("alice");
    let place = begin_upload(&alice, "team/parts");
    assert!(place.starts_with("/v2/team/parts/blobs/uploads/"), "{place}");
    let (first, second) = ("0123456789".repeat(1000), "abcdefghij".repeat(500));
    let kind = ("Content-Type", "application/octet-stream");
    let part = alice.request(
        "PATCH",
        &place,
        &[kind, ("Content-Range", "0-9999")],
        first.as_bytes(),
    );
    assert_eq!(
        (part.status, part.header("range")),
        (202, Some("0-9999")),
        "{}",
        part.text()
    );
    let place = path_of(part.header("location").unwrap());

    // In chunks, with 100-continue.
    let uuid = part.header("docker-upload-uuid").unwrap().to_owned();
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\n\
         Transfer-Encoding: chunked\r\nContent-Type: application/octet-stream\r\nContent-Range: 10000-14999\r\n\r\n"
    );
    let mut stream = alice.connect().unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    for piece in second.as_bytes().chunks(700) {
        stream
            .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
            .unwrap();
        stream.write_all(piece).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    let part = Client::raw_over(stream, b"0\r\n\r\n").unwrap();
    assert_eq!(
        (part.status, part.header("range")),
        (202, Some("0-14999")),
        "{}",
        part.text()
    );
    let place = path_of(part.header("location").unwrap());

    // A body that breaks off is not taken for a whole one. What has arrived stays at the registry.
    let broken = format!(
        "PATCH {place} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/octet-stream\r\n\r\n5\r\nxxxxx\r\n5\r\nyy"
    );
    let mut stream = alice.connect().unwrap();
    stream.write_all(broken.as_bytes()).unwrap();
    drop(stream);
    let status = || alice.get(&place);
    wait_until("the upload can be asked about", || status().status == 204);
    let answer = status();
    assert_eq!(answer.header("docker-upload-uuid"), Some(uuid.as_str()));
    // The registry keeps whole uploads across a restart of its own.
    world.registry.stop();
    status().refuses(502, "UNAVAILABLE");
    world.registry.start_again();
    let has: usize = status()
        .header("range")
        .unwrap()
        .split_once('-')
        .unwrap()
        .1
        .parse()
        .unwrap();
    assert!((14_999..15_010).contains(&has), "{has}");
    let begun = begin_upload(&alice, "team/parts");
    let whole = format!("{first}{second}");
    let digest = digest(whole.as_bytes());
    let put = alice.request(
        "PUT",
        &with_parameter(&begun, &format!("digest={digest}")),
        &[kind],
        whole.as_bytes(),
    );
    assert_eq!(
        (put.status, put.header("docker-content-digest")),
        (201, Some(digest.as_str()))
    );
    assert_eq!(
        path_of(put.header("location").unwrap()),
        format!("/v2/team/parts/blobs/{digest}")
    );
    assert_eq!(alice.delete(&place).status, 204);
    // A wrong digest is refused by the registry, in its own words.
    let begun = begin_upload(&alice, "team/parts");
    let put = alice.request(
        "PUT",
        &with_parameter(&begun, &format!("digest={digest}")),
        &[kind],
        b"other",
    );
    assert_eq!(
        (put.status, put.json()["errors"][0]["code"].as_str()),
        (400, Some("DIGEST_INVALID"))
    );
}

#[test]
fn a_body_that_breaks_off_is_not_a_whole_one() {
    let world = World::start();
    let alice = world.client("alice");
    // What has arrived when it breaks off is exactly what the digest names.
    let arrived = "what has arrived";
    let digest = digest(arrived.as_bytes());
    let length = arrived.len();
    for (name, head, chunk) in [
        (
            "chunked",
            "Transfer-Encoding: chunked".to_owned(),
            format!("{length:x}\r\n{arrived}\r\n5\r\n"),
        ),
        (
            "sized",
            format!("Content-Length: {}", length + 1),
            arrived.to_owned(),
        ),
    ] {
        let name = format!("team/{name}");
        let path = with_parameter(&begin_upload(&alice, &name), &format!("digest={digest}"));
        let request = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n{head}\r\n\r\n{chunk}"
        );
        let mut stream = alice.connect().unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        // Time enough to reach the registry; if it does not, it is given up all the same.
        std::thread::sleep(Duration::from_millis(100));
        drop(stream);
        wait_until("the registry has given it up", || {
            let put = format!("PUT /v2/{name}/");
            world.registry.log().contains(&put)
        });
        let blob = alice.get(&format!("/v2/{name}/blobs/{digest}"));
        assert_eq!(blob.status, 404, "{name}");
    }
}

#[test]
fn places_in_answers_are_those_that_clients_know() {
    let world = World::with(Builder::tells_its_url);
    let (alice, url) = (world.client("alice"), world.server.url());
    let begun = alice.request("POST", "/v2/team/app/blobs/uploads/", &[], &[]);
    let place = begun.header("location").unwrap();
    assert!(
        place.starts_with(&format!("{url}/v2/team/app/blobs/uploads/")),
        "{place}"
    );
    push_blob(&alice, "team/app", b"something");
    push_image(&alice, "team/app", "a", "1");
    push_image(&alice, "team/app", "b", "2");

    // A place elsewhere is for the client itself to go to; the registry's own is not.
    let (web, _) = recorder(|path| Said {
        status: "307 Temporary Redirect",
        headers: vec![
            if path.contains("elsewhere") {
                "Location: https://s3.example/blob?signature=x"
            } else {
                "Location: /v2/team/other/tags/list"
            }
            .to_owned(),
            "Set-Cookie: session=1".to_owned(),
            "Access-Control-Allow-Origin: *".to_owned(),
        ],
        body: Vec::new(),
    });
    let server = builder(&web.url("")).start();
    let alice = server.client("alice");
    let elsewhere = alice.get("/v2/team/elsewhere/tags/list");
    assert_eq!(elsewhere.status, 307);
    assert_eq!(
        elsewhere.header("location"),
        Some("https://s3.example/blob?signature=x")
    );
    assert_eq!(
        (
            elsewhere.header("set-cookie"),
            elsewhere.header("access-control-allow-origin")
        ),
        (None, None)
    );
    assert_eq!(
        alice.get("/v2/team/app/tags/list").header("location"),
        Some("/v2/team/other/tags/list")
    );
}

#[test]
fn a_blob_is_mounted_only_from_where_its_client_may_pull() {
    let world = World::start();
    let (alice, carol) = (world.client("alice"), world.client("carol"));
    let secret = push_blob(&alice, "team/secret", b"of the team");
    let own = push_blob(&carol, "carol/one", b"of carol");
    let mount = |client: &Client, to: &str, parameters: &str, headers: &[(&str, &str)], body: &str| {
        client.request(
            "POST",
            &format!("/v2/{to}/blobs/uploads/?{parameters}"),
            headers,
            body.as_bytes(),
        )
    };
    let is_there = |digest: &str| carol.get(&format!("/v2/carol/two/blobs/{digest}")).status == 200;

    let mounted = mount(
        &carol,
        "carol/two",
        &format!("mount={own}&from=carol/one"),
        &[],
        "",
    );
    assert_eq!(
        (mounted.status, is_there(&own)),
        (201, true),
        "{}",
        mounted.text()
    );
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let smuggled = format!("mount={secret}&from=team/secret");
    let parts = format!(
        "--b\r\nContent-Disposition: form-data; name=\"mount\"\r\n\r\n{secret}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"from\"\r\n\r\nteam/secret\r\n--b--\r\n"
    );
    let none: &[(&str, &str)] = &[];
    let cases = [
        (format!("mount={secret}&from=team/secret"), none, ""),
        (format!("from=team%2Fsecret&mount={secret}"), none, ""),
        (
            format!("mount={secret}&from=carol/one&from=team/secret"),
            none,
            "",
        ),
        (
            format!("mount={secret}&from=team/secret&from=carol/one"),
            none,
            "",
        ),
        (format!("mount={secret}&from=carol/../team/secret"), none, ""),
        (format!("mount={secret}"), none, ""),
        (
            format!("mount={secret}&from=carol/one;from=team/secret"),
            none,
            "",
        ),
        // Registries read these from a body as well.
        (String::new(), &[form], smuggled.as_str()),
        (
            String::new(),
            &[("Content-Type", "multipart/form-data; boundary=b")],
            parts.as_str(),
        ),
    ];
    for (parameters, headers, body) in cases {
        let answer = mount(&carol, "carol/two", &parameters, headers, body);
        assert_eq!(
            (answer.status, is_there(&secret)),
            (202, false),
            "{parameters} {body}: {}",
            answer.text()
        );
    }
    // Who may pull there may mount.
    let mounted = mount(
        &alice,
        "team/copy",
        &format!("mount={secret}&from=team/secret"),
        &[],
        "",
    );
    assert_eq!(mounted.status, 201);
}

#[test]
fn the_catalog_has_what_its_reader_may_see() {
    let world = World::start();
    let (alice, carol, reader) = (
        world.client("alice"),
        world.client("carol"),
        world.client("reader"),
    );
    for name in ["carol/a", "carol/z"] {
        push_image(&carol, name, "1", "hers");
    }
    for name in ["team/a", "team/b", "team/c"] {
        push_image(&alice, name, "1", "theirs");
    }
    let list = |client: &Client, query: &str| client.get(&format!("/v2/_catalog{query}")).ok();
    assert_eq!(
        list(&carol, "").json(),
        json!({"repositories": ["carol/a", "carol/z"]})
    );
    assert_eq!(
        list(&reader, "").json(),
        json!({"repositories": ["team/a", "team/b", "team/c"]})
    );
    assert_eq!(
        list(&world.client("stranger"), "").json(),
        json!({"repositories": []})
    );
    let page = list(&alice, "?n=2");
    assert_eq!(page.json(), json!({"repositories": ["team/a", "team/b"]}));
    assert_eq!(
        page.header("link"),
        Some("</v2/_catalog?n=2&last=team%2Fb>; rel=\"next\"")
    );
    let page = list(&alice, "?n=2&last=team%2Fb");
    assert_eq!(
        (page.json(), page.header("link")),
        (json!({"repositories": ["team/c"]}), None)
    );
    // A page that is exactly full is the last one, and does not tell of what comes after.
    let page = list(&carol, "?n=2");
    assert_eq!(
        (page.json(), page.header("link")),
        (json!({"repositories": ["carol/a", "carol/z"]}), None)
    );
    carol
        .get("/v2/_catalog?n=x")
        .refuses(400, "PAGINATION_NUMBER_INVALID");
}

#[test]
fn nothing_is_sent_on_that_could_be_read_otherwise() {
    let (web, seen) = recorder(|_| Said::ok(b"{}".to_vec()));
    let server = builder(&web.url("")).start();
    let alice = server.client("alice");
    let sha = digest(b"x");
    for path in [
        "/v2/team/app/../secret/manifests/x".to_owned(),
        "/v2/team/%2e%2e/carol/manifests/x".to_owned(),
        "/v2/team%2fapp/manifests/x".to_owned(),
        "/v2/team//app/manifests/x".to_owned(),
        "//v2/team/app/manifests/x".to_owned(),
        "/v2/team/app/manifests/x/".to_owned(),
        "/v2/team/app/manifests/%78".to_owned(),
        "/v2/Team/app/manifests/x".to_owned(),
        "/v2/team/app/manifests/x%0d%0aX:y".to_owned(),
        "/v2/team/_trust/manifests/x%20".to_owned(),
        "/v2/team/app/_trust/../manifests/x".to_owned(),
        "/v2/team/app/blobs/uploads/..".to_owned(),
        format!("/v2/team/app/blobs/{sha}/x"),
        "/v2/team".to_owned(),
        "/%76%32/team/app/manifests/x".to_owned(),
        "http://localhost/v2/team/app/manifests/x".to_owned(),
        "http://other/v2/team/app/manifests/x".to_owned(),
    ] {
        let answer = raw(
            &alice,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        );
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        if !path.contains("_trust/manifests") {
            answer.refuses(400, "NAME_INVALID");
        }
    }
    for (method, path) in [
        ("PATCH", "/v2/team/app/manifests/x"),
        ("POST", "/v2/_catalog"),
        ("TRACE", "/v2/team/app/tags/list"),
        ("OPTIONS", "/v2/team/app/tags/list"),
    ] {
        alice.request(method, path, &[], &[]).refuses(405, "UNSUPPORTED");
    }
    // Two lengths, two of the same header, and lengths that are none.
    let post = "POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "Content-Length: +4\r\n\r\nabcd",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = raw(&alice, &format!("{post}{lengths}"));
        assert!(
            (400..500).contains(&answer.status),
            "{lengths:?}: {}",
            answer.status
        );
    }
    assert_eq!(seen.lock().unwrap().len(), 0, "{:?}", seen.lock().unwrap());
    // A client without a right to anything is told so, and one without a certificate nothing at all.
    server
        .client("stranger")
        .get("/v2/team/app/tags/list")
        .refuses(403, "DENIED");
    assert_eq!(seen.lock().unwrap().len(), 0);
    // What is left of a body is not a request of its own.
    let hidden = "GET /v2/carol/app/tags/list HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = hidden.len();
    let open = format!(
        "GET /v2/team/app/tags/list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    raw(&alice, &format!("{open}{hidden}"));
    let paths: Vec<String> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(path, ..)| path.clone())
        .collect();
    assert_eq!(paths, ["/v2/team/app/tags/list"]);
}

#[test]
fn the_registry_sees_no_credentials_but_ours() {
    let (web, seen) = recorder(|path| match path {
        path if path.contains("locked") => Said {
            status: "401 Unauthorized",
            headers: vec!["WWW-Authenticate: Basic realm=\"upstream\"".to_owned()],
            body: Vec::new(),
        },
        _ => Said::ok(b"{}".to_vec()),
    });
    let prepared = builder(&web.url(""))
        .set("registry.upstream_token_file", json!("token"))
        .set("server.external_url", json!("https://reg.example:5443"))
        .prepare();
    fs::write(prepared.path().join("token"), "the-server's-token\n").unwrap();
    let server = prepared.start();
    let alice = server.client("alice");
    let claims = [
        ("Authorization", "Basic YWxpY2U6c2VjcmV0"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Cookie", "session=1"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", "for=10.0.0.1"),
        ("ssl-client-cert", "x"),
        ("ssl-client-verify", "SUCCESS"),
        ("X-Forwarded-Client-Cert", "x"),
        ("Client-Cert", ":x:"),
        ("X-Remote-User", "root"),
        ("X-Original-URL", "/v2/other"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Upgrade", "websocket"),
        ("TE", "trailers"),
        ("Keep-Alive", "timeout=5"),
        ("User-Agent", "docker/20.10"),
        ("Accept", MANIFEST),
    ];
    alice
        .request("GET", "/v2/team/app/tags/list?n=5", &claims, &[])
        .ok();
    let (path, mut headers, _) = seen.lock().unwrap().remove(0);
    headers.retain(|(name, _)| !["host", "via", "x-request-id"].contains(&name.as_str()));
    headers.sort();
    assert_eq!(path, "/v2/team/app/tags/list?n=5");
    let expected = [
        ("accept", MANIFEST),
        ("authorization", "Bearer the-server's-token"),
        ("user-agent", "docker/20.10"),
        ("x-forwarded-host", "reg.example:5443"),
        ("x-forwarded-proto", "https"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(headers, expected);
    // Its challenge would have clients log in there.
    let locked = alice.get("/v2/team/locked/tags/list");
    locked.refuses(502, "UNAVAILABLE");
    assert_eq!(locked.header("www-authenticate"), None);
    assert!(!server.log().contains("the-server's-token"));
}

/// Everything that somebody does who pushes, on a connection of its own each time.
#[track_caller]
fn does_nothing(alice: &Client, upload: &str) {
    for (method, path) in [
        ("GET", "/v2/team/app/tags/list"),
        ("GET", "/v2/team/app/manifests/1"),
        ("GET", "/v2/_catalog"),
        ("POST", "/v2/team/app/blobs/uploads/"),
        ("PATCH", upload),
        ("DELETE", "/v2/team/app/manifests/1"),
    ] {
        alice.request(method, path, &[], &[]).refuses(401, "UNAUTHORIZED");
    }
}

#[test]
fn a_denied_client_does_nothing_from_the_next_request_on() {
    let world = World::start();
    let alice = world.client("alice");
    push_image(&alice, "team/app", "1", "x");
    let mut open = alice.open();
    assert_eq!(open.get("/v2/team/app/tags/list").status, 200);
    let upload = begin_upload(&alice, "team/app");
    world.server.command_line("deny add --principal alice").ok();
    assert_eq!(open.get("/v2/team/app/tags/list").status, 401);
    does_nothing(&alice, &upload);
    get_manifest(&world.client("reader"), "team/app", "1").ok();
}

#[test]
fn a_revoked_certificate_does_nothing_from_the_next_request_on() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::start(directory.path());
    let prepared = builder(&registry.url())
        .requests_certificates()
        .set("revocation.crl.files", json!(["list.pem"]))
        .prepare();
    let authority = authority(&prepared);
    let list = prepared.path().join("list.pem");
    fs::write(&list, authority.list()).unwrap();
    let server = prepared.start();
    let files = server.pki().user("alice");
    let (alice, reader) = (server.client_with(&files), server.client("reader"));
    push_image(&alice, "team/app", "1", "x");
    let mut open = alice.open();
    assert_eq!(open.get("/v2/team/app/tags/list").status, 200);
    let upload = begin_upload(&alice, "team/app");
    authority.revoke(&files);
    fs::write(&list, authority.list()).unwrap();
    server.reload(&reader);
    let refused = open.get("/v2/team/app/tags/list").refuses(401, "UNAUTHORIZED");
    assert_eq!(refused["detail"]["reason"], "certificate_revoked");
    does_nothing(&alice, &upload);
    get_manifest(&reader, "team/app", "1").ok();
}

#[test]
fn a_registry_that_is_away_or_hangs_is_told_in_time() {
    let mut world = World::with(|builder| builder.set("registry.answer_timeout", json!("1s")));
    let reader = world.client("reader");
    world.registry.stop();
    let begun = Instant::now();
    let error = reader.get("/v2/team/app/manifests/1").refuses(502, "UNAVAILABLE");
    assert_eq!(
        error["message"],
        "The registry behind this server cannot be reached. Try again."
    );
    reader.get("/v2/_catalog").refuses(502, "UNAVAILABLE");
    assert_eq!(reader.get("/v2/").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(world.server.log().contains("the registry cannot be reached: "));
    world.registry.start_again();
    assert_eq!(get_manifest(&reader, "team/app", "1").status, 404);

    let (web, _) = recorder(|_| {
        std::thread::sleep(Duration::from_secs(20));
        Said::ok(Vec::new())
    });
    let server = builder(&web.url(""))
        .set("registry.answer_timeout", json!("1s"))
        .start();
    let begun = Instant::now();
    server
        .client("reader")
        .get("/v2/team/app/manifests/1")
        .refuses(504, "UNAVAILABLE");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_upload_that_stands_still_or_that_the_registry_refuses_at_once_ends() {
    let world = World::with(|builder| builder.set("registry.idle_timeout", json!("1s")));
    let alice = world.client("alice");
    let place = begin_upload(&alice, "team/app");
    let head = format!("PATCH {place} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nabc");
    let answer = raw(&alice, &head);
    answer.refuses(408, "BLOB_UPLOAD_INVALID");
    // The registry answers before it has read anything, and closes the connection.
    let unknown = format!("/v2/team/app/blobs/uploads/{}", "0".repeat(36));
    let begun = Instant::now();
    let body = vec![0; 8 * 1024 * 1024];
    let refused = alice.request(
        "PATCH",
        &unknown,
        &[("Content-Type", "application/octet-stream")],
        &body,
    );
    assert_eq!(refused.status, 404, "{}", refused.text());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// A figure of a process in KiB.
fn memory(process: u32, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_gibibyte_passes_in_both_directions_in_little_memory() {
    const SIZE: usize = 1024 * 1024 * 1024;
    let world = World::start();
    let alice = world.client("alice");
    let place = begin_upload(&alice, "team/large");
    // Zeros but for the counter at its start, so that no two pieces are alike.
    let mut piece = vec![0_u8; 1024 * 1024];
    let count = SIZE / piece.len();
    let fill = |piece: &mut Vec<u8>, number: usize| piece[..8].copy_from_slice(&number.to_le_bytes());
    let mut hash = Sha256::new();
    for number in 0..count {
        fill(&mut piece, number);
        hash.update(&piece);
    }
    let digest = format!("sha256:{}", hex::encode(hash.finish()));
    let mut stream = alice.connect().unwrap();
    let path = with_parameter(&place, &format!("digest={digest}"));
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {SIZE}\r\n\r\n"
    );
    let begun = Instant::now();
    stream.write_all(head.as_bytes()).unwrap();
    for number in 0..count {
        fill(&mut piece, number);
        stream.write_all(&piece).unwrap();
    }
    let put = Client::raw_over(stream, b"").unwrap();
    assert_eq!(put.status, 201, "{}", put.text());
    let pushed = begun.elapsed();

    let reader = world.client("reader");
    let mut stream = reader.connect().unwrap();
    let head =
        format!("GET /v2/team/large/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let (mut received, mut hash, mut head) = (0, Sha256::new(), Vec::new());
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        hash.update(&piece[..read]);
        received += read;
    }
    assert_eq!(received, SIZE, "{}", String::from_utf8_lossy(&head));
    assert_eq!(format!("sha256:{}", hex::encode(hash.finish())), digest);
    let peak = memory(world.server.server_id(), "VmHWM:") / 1024;
    println!(
        "pushed in {pushed:?}, pulled in {:?}, peak {peak} MiB",
        begun.elapsed() - pushed
    );
    assert!(peak < 100, "{peak} MiB");
}

#[test]
fn somebody_who_reads_slowly_holds_little() {
    const SIZE: usize = 64 * 1024 * 1024;
    const READERS: usize = 4;
    let world = World::start();
    let alice = world.client("alice");
    let digest = push_blob(&alice, "team/large", &vec![7; SIZE]);
    let request = format!("GET /v2/team/large/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut stream = alice.connect().unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 1024]).unwrap();
            stream
        })
        .collect();
    // The server has read as much as it holds when its peak no longer grows for a while.
    let (mut peak, mut looks) = (0, 0);
    wait_until("the server reads no more", || {
        let now = memory(world.server.server_id(), "VmHWM:");
        looks = if now == peak { looks + 1 } else { 0 };
        peak = now;
        looks >= 50
    });
    let peak = peak / 1024;
    assert!(peak < 100, "{peak} MiB");
    drop(readers);
}

#[test]
fn a_registry_that_leads_back_here_is_noticed() {
    let prepared = builder("http://127.0.0.1:1").prepare();
    let (port, path) = (prepared.port(), prepared.path().join("server.json"));
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["registry"]["upstream"] = json!(format!("https://localhost:{port}"));
    config["registry"]["upstream_ca"] = json!("pki/ca.pem");
    config["registry"]["upstream_client_cert"] = json!("pki/alice.pem");
    config["registry"]["upstream_client_key"] = json!("pki/alice-key.pem");
    prepared.pki().user("alice");
    fs::write(path, config.to_string()).unwrap();
    let server = prepared.start();
    let answer = server.client("alice").get("/v2/team/app/tags/list");
    let error = answer.refuses(502, "UNAVAILABLE");
    assert_eq!(
        error["message"],
        "The registry behind this server is this server itself."
    );
}

#[test]
fn the_registry_may_ask_for_a_certificate_of_ours() {
    // A second server of this kind, without a registry, stands for one that asks for certificates.
    let behind = TestServer::builder().signs_locally().start();
    let ours = |with: bool| {
        let prepared = builder(&format!("https://localhost:{}", behind.port())).prepare();
        fs::copy(behind.pki().ca(), prepared.path().join("upstream-ca.pem")).unwrap();
        let gateway = behind.pki().user("gateway");
        let path = prepared.path().join("server.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["registry"]["upstream_ca"] = json!("upstream-ca.pem");
        if with {
            config["registry"]["upstream_client_cert"] = json!(gateway.certificate);
            config["registry"]["upstream_client_key"] = json!(gateway.key);
        }
        fs::write(path, config.to_string()).unwrap();
        prepared.start()
    };
    let with = ours(true).client("alice").get("/v2/team/app/tags/list");
    assert_eq!(
        (with.status, with.json()["errors"][0]["code"].as_str()),
        (404, Some("METADATA_NOT_FOUND"))
    );
    ours(false)
        .client("alice")
        .get("/v2/team/app/tags/list")
        .refuses(502, "UNAVAILABLE");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_its_cause_and_cure() {
    let refused = |changes: &[(&'static str, Value)]| {
        let mut builder = builder("http://127.0.0.1:5000");
        for (key, value) in changes {
            builder = builder.set(key, value.clone());
        }
        builder.prepare().check_config().fails().output()
    };
    let cases: [(&[(&'static str, Value)], &str); 7] = [
        (
            &[("registry.upstream", json!("http://registry.internal"))],
            "use https://",
        ),
        (
            &[("registry.upstream_ca", json!("nowhere.pem"))],
            "registry.upstream_ca",
        ),
        (
            &[("registry.upstream_token_file", json!("nowhere"))],
            "registry.upstream_token_file",
        ),
        (
            &[("registry.upsteam_ca", json!("x"))],
            "did you mean registry.upstream_ca?",
        ),
        (
            &[("registry.enforce", json!([{"pattern": "**"}]))],
            "registry.enforce[0].mode",
        ),
        (
            &[(
                "registry.enforce",
                json!([{"pattern": "${principal}", "mode": "signed"}]),
            )],
            "registry.enforce[0].pattern",
        ),
        (&[("registry.host", Value::Null)], "registry.host"),
    ];
    for (changes, expected) in cases {
        let output = refused(changes);
        assert!(output.contains(expected), "{changes:?}: {output}");
    }
    let demands = json!([{"pattern": "**", "mode": "signed"}]);
    let toothless = TestServer::builder()
        .set(
            "registry",
            json!({"upstream": "http://127.0.0.1:5000", "host": HOST, "enforce": demands}),
        )
        .prepare()
        .check_config();
    toothless
        .ok()
        .says("whoever may push to a repository may pull unsigned images");
}
