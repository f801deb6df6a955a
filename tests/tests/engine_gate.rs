//! A real dockerd whose authorization plugin is `countersign gate serve`.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::{Value, json};
use tests::{
    Finished, Stop, TestServer,
    countersign::{Countersign, Gate},
    docker::{Docker, DockerHost, REGISTRY, debian_cli},
    flows::docker::World,
    namespace::Namespace,
    process::wait_until,
};

/// What dockerd says before the gate's own sentence.
const REFUSED: &str = "authorization denied by plugin countersign: denied: ";

/// An engine with images: signed, half signed, unsigned, exempt, and made on the spot.
struct Site {
    world: World,
    docker: Docker,
    client: Countersign,
    gate: Option<Gate>,
}

/// The name of a repository, or of a tag in it.
fn at(name: &str) -> String {
    format!("{REGISTRY}/{name}")
}

impl Site {
    fn start() -> Self {
        let world = World::start(TestServer::builder());
        let cli = debian_cli();
        let (alice, bob) = (world.user(&cli, "alice"), world.user(&cli, "bob"));
        let (alice_key, bob_key) = (alice.signing_key("alice"), bob.signing_key("bob"));
        let (app, pay) = (at("team/app"), at("team/pay"));
        for (key, name, repository) in [
            (&alice_key, "alice", &app),
            (&alice_key, "alice", &pay),
            (&bob_key, "bob", &pay),
        ] {
            alice
                .run(["trust", "signer", "add", "--key", key, name, repository])
                .ok();
        }
        for image in ["team/app:1.0", "team/app:2.0", "team/pay:1.0", "team/pay:2.0"] {
            alice.make_program(&at(image), image);
            alice.run(["trust", "sign", &at(image)]).ok();
        }
        bob.run(["trust", "sign", &at("team/pay:1.0")]).ok();
        for image in ["team/app:unsigned", "tools/print:1"] {
            alice.make_program(&at(image), image);
            alice.run(["push", &at(image)]).ok();
        }
        alice.make_program("here:1", "made here");
        // Containers that were there before the gate.
        for (name, image) in [
            ("old-here", "here:1".to_owned()),
            ("old-signed", at("team/app:1.0")),
        ] {
            alice
                .run(["create", "--name", name, "--network=none", &image])
                .ok();
        }
        let client = Countersign::of(world.server(), "gate");
        client.policy(&format!(
            "anchors:\n  prod: {{ root_keys: [{:?}] }}\nsigners:\n  alice: {{ keys: [\"@{alice_key}\"] }}\n  bob: {{ keys: \
             [\"@{bob_key}\"] }}\nrules:\n  - {{ match: \"{REGISTRY}/team/**\", anchor: prod }}\n  - {{ match: \
             \"{REGISTRY}/team/pay\", anchor: prod, require: {{ signers: [alice, bob] }} }}\n  - {{ match: \
             \"{REGISTRY}/tools/**\", action: allow }}",
            alice.root_key(),
        ));
        let mut site = Self {
            docker: alice,
            world,
            client,
            gate: None,
        };
        site.start_gate(&[]);
        site.world.host().ask_plugins(&[("countersign", &site.plugin())]);
        site
    }

    fn plugin(&self) -> PathBuf {
        self.client.directory().join("plugin.sock")
    }

    fn start_gate(&mut self, arguments: &[&str]) {
        self.stop_gate();
        let engine = self.world.host().socket_file();
        self.gate = Some(self.client.engine_gate(&self.plugin(), &engine, arguments));
    }

    fn stop_gate(&mut self) {
        if let Some(mut gate) = self.gate.take() {
            assert_eq!(gate.daemon.stop(Stop::Politely), Some(0), "{}", gate.daemon.log());
        }
    }

    /// Runs a container to its end.
    fn run(&self, image: &str) -> Finished {
        self.docker.run(["run", "--rm", "--network=none", image])
    }

    #[track_caller]
    fn runs(&self, image: &str, prints: &str) {
        let finished = self.run(image).ok();
        assert_eq!(finished.stdout, prints, "{finished}");
    }

    #[track_caller]
    fn refuses(&self, image: &str, reason: &str) {
        refused(self.run(image), &format!("{image}: {reason}: "));
    }

    /// What the engine says about an image.
    fn image(&self, image: &str, format: &str) -> String {
        let inspected = self
            .docker
            .run(["image", "inspect", "--format", format, image])
            .ok();
        inspected.stdout.trim().to_owned()
    }

    /// `NAME@DIGEST`, as the engine has it for this image.
    fn digest(&self, image: &str) -> String {
        self.image(image, "{{index .RepoDigests 0}}")
    }

    fn audit(&self) -> Vec<Value> {
        self.gate.as_ref().unwrap().audit()
    }

    fn send(&self, head: &str, body: &[u8]) -> (u16, String) {
        self.world.host().send(head, body)
    }

    /// Sends the engine JSON of a stated length; returns the status and the whole answer.
    fn post(&self, path: &str, body: &str) -> (u16, String) {
        let head = format!(
            "POST {path} HTTP/1.1\nContent-Type: application/json\nContent-Length: {}",
            body.len()
        );
        self.send(&head, body.as_bytes())
    }

    fn containers(&self) -> Vec<String> {
        let listed = self.docker.run(["ps", "--all", "--format", "{{.Names}}"]).ok();
        listed.stdout.lines().map(str::to_owned).collect()
    }
}

#[track_caller]
fn refused(finished: Finished, because: &str) -> Finished {
    finished.fails().says(&format!("{REFUSED}{because}"))
}

#[test]
fn an_engine_runs_what_is_signed_whatever_it_is_called_and_nothing_else() {
    let mut site = Site::start();
    names_digests_and_ids(&site);
    a_moved_tag(&site);
    every_required_signer(&site);
    what_a_rule_lets_in(&site);
    containers_that_were_there(&site);
    content_past_registries(&site);
    bodies_that_hide(&site);
    paths_and_queries_that_hide(&site);
    reading_and_stopping(&site);
    pulling(&site);
    services(&site);
    audit_and_figures(&site);
    what_may_be_allowed(&mut site);
    the_server_is_away(&mut site);
}

fn names_digests_and_ids(site: &Site) {
    let signed = at("team/app:1.0");
    let id = site.image(&signed, "{{.Id}}");
    let digest = site.digest(&signed);
    let (_, hexadecimal) = id.split_once(':').unwrap();
    for image in [
        &*signed,
        &digest,
        &digest.replace("@", ":1.0@"),
        &id,
        hexadecimal,
        &hexadecimal[..12],
    ] {
        site.runs(image, "team/app:1.0");
    }
    let unsigned = at("team/app:unsigned");
    site.refuses(&unsigned, "tag_not_signed");
    site.refuses(&site.digest(&unsigned), "digest_not_signed");
    let id = site.image(&unsigned, "{{.Id}}");
    refused(
        site.run(&id),
        &format!("{}: digest_not_signed: ", site.digest(&unsigned)),
    );
    // No tag is latest.
    site.docker.run(["tag", &signed, &at("team/app")]).ok();
    site.refuses(&at("team/app"), "tag_not_signed");
    site.docker.run(["rmi", &at("team/app")]).ok();
    // What never was in a registry has nothing to compare.
    site.refuses("here:1", "no_rule");
    let id = site.image("here:1", "{{.Id}}");
    refused(site.run(&id), &format!("{id}: no_registry_digest: "));
    // What is not there is pulled first, and only if it is signed.
    let absent = at("team/app:2.0");
    site.docker.run(["rmi", &absent, &unsigned]).ok();
    site.refuses(&unsigned, "tag_not_signed");
    site.runs(&absent, "team/app:2.0");
}

fn a_moved_tag(site: &Site) {
    let (one, two) = (at("team/app:1.0"), at("team/app:2.0"));
    for other in [&*two, "here:1", &at("tools/print:1")] {
        site.docker.run(["tag", other, &one]).ok();
        site.refuses(&one, "other_content");
    }
    site.docker.run(["pull", &one]).ok();
    site.runs(&one, "team/app:1.0");
}

fn every_required_signer(site: &Site) {
    site.runs(&at("team/pay:1.0"), "team/pay:1.0");
    site.refuses(&at("team/pay:2.0"), "signer_missing");
}

fn what_a_rule_lets_in(site: &Site) {
    let exempt = at("tools/print:1");
    site.runs(&exempt, "tools/print:1");
    site.runs(&site.image(&exempt, "{{.Id}}"), "tools/print:1");
    // Its name does not let in what was made here.
    let borrowed = at("tools/print:2");
    site.docker.run(["tag", "here:1", &borrowed]).ok();
    site.refuses(&borrowed, "no_registry_digest");
    site.docker.run(["rmi", &borrowed]).ok();
}

fn containers_that_were_there(site: &Site) {
    for command in ["start", "restart"] {
        refused(site.docker.run([command, "old-here"]), "here:1: no_rule: ");
        site.docker.run([command, "old-signed"]).ok();
    }
    site.docker
        .run(["start", "no-such-container"])
        .fails()
        .says("No such container");
    let state = [
        "container",
        "inspect",
        "--format",
        "{{.State.Status}}",
        "old-here",
    ];
    assert_eq!(site.docker.run(state).ok().stdout.trim(), "created");
    // Neither is it changed.
    refused(
        site.docker.run(["update", "--restart=always", "old-here"]),
        "here:1: no_rule: ",
    );
}

fn content_past_registries(site: &Site) {
    let home = site.docker.home().to_path_buf();
    fs::create_dir_all(home.join("context")).unwrap();
    fs::write(
        home.join("context/Dockerfile"),
        "FROM scratch\nCOPY Dockerfile /\n",
    )
    .unwrap();
    let archive = home.join("saved.tar").display().to_string();
    site.docker.run(["save", "--output", &archive, "here:1"]).ok();
    refused(site.docker.run(["build", "context"]), "build: ");
    refused(site.docker.run(["load", "--input", &archive]), "load: ");
    refused(site.docker.run(["import", &archive, "new:1"]), "import: ");
    refused(site.docker.run(["commit", "old-signed", "new:1"]), "commit: ");
    for (path, word) in [
        ("/session", "build"),
        ("/grpc", "build"),
        ("/v1.41/plugins/pull?remote=vieux/sshfs&name=x", "plugin"),
        ("/v1.41/plugins/create?name=x", "plugin"),
        ("/v1.41/plugins/vieux/sshfs/upgrade?remote=x", "plugin"),
    ] {
        let (status, answer) = site.post(path, "[]");
        assert_eq!(status, 403, "{path}: {answer}");
        assert!(answer.contains(&format!("{REFUSED}{word}: ")), "{path}: {answer}");
    }
}

/// A container of one image, in a body that may be anything.
fn bodies_that_hide(site: &Site) {
    let (good, bad) = (at("team/app:1.0"), at("team/app:unsigned"));
    // What is not there is not judged yet: there is nothing to make a container of.
    let (status, answer) = site.post("/v1.41/containers/create", &json!({"Image": &bad}).to_string());
    assert_eq!(status, 404, "{answer}");
    site.docker.run(["tag", "here:1", &bad]).ok();
    let before = site.containers();
    let chunked = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let of = |image: &str| json!({"Image": image}).to_string();
    let create = "POST /v1.41/containers/create HTTP/1.1";
    let length = of(&bad).len();
    let large = json!({"Image": &bad, "Labels": {"large": "x".repeat(1 << 20)}}).to_string();
    let empty_first =
        format!("{create}\nContent-Type: application/json\nContent-Length: 0\nTransfer-Encoding: chunked");
    for (what, head, body) in [
        (
            "chunked",
            format!("{create}\nContent-Type: application/json\nTransfer-Encoding: chunked"),
            chunked(&of(&bad)),
        ),
        ("chunked with a length", empty_first, chunked(&of(&bad))),
        (
            "of another type",
            format!("{create}\nContent-Type: text/plain\nContent-Length: {length}"),
            of(&bad),
        ),
        (
            "without a type",
            format!("{create}\nContent-Length: {length}"),
            of(&bad),
        ),
        (
            "of two types",
            format!(
                "{create}\nContent-Type: text/plain\nContent-Type: application/json\nContent-Length: {length}"
            ),
            of(&bad),
        ),
        (
            "of two types, the other way round",
            format!(
                "{create}\nContent-Type: application/json\nContent-Type: text/plain\nContent-Length: {length}"
            ),
            of(&bad),
        ),
        (
            "too large",
            format!(
                "{create}\nContent-Type: application/json\nContent-Length: {}",
                large.len()
            ),
            large,
        ),
        (
            "of no length",
            format!("{create}\nContent-Type: application/json"),
            of(&bad),
        ),
    ] {
        let (status, answer) = site.send(&head, body.as_bytes());
        assert_eq!(status, 403, "a body {what}: {answer}");
        assert!(
            answer.contains("authorization denied by plugin countersign"),
            "a body {what}: {answer}"
        );
    }
    for body in [
        format!(r#"{{"Image":"{good}","image":"{bad}"}}"#),
        format!(r#"{{"image":"{bad}","Image":"{good}"}}"#),
        format!(r#"{{"Image":"{good}","Image":"{bad}"}}"#),
        format!(r#"{{"Image":"{good}","\u0049mage":"{bad}"}}"#),
        format!(r#"{{"Image":"{good}"}} {{"Image":"{bad}"}}"#),
        format!(r#"{{"Image":"{good}","HostConfig":{{}},"ho\u017ftConfig":{{}}}}"#),
        format!(r#"{{"iMAGE":"{bad}"}}"#),
        r#"{"Image":""}"#.to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
    ] {
        let (status, answer) = site.post("/v1.41/containers/create", &body);
        assert_eq!(status, 403, "{body}: {answer}");
    }
    assert_eq!(site.containers(), before);
    // The same by hand, with nothing to hide.
    let (status, answer) = site.post("/containers/create?name=by-hand", &of(&good));
    assert_eq!(status, 201, "{answer}");
    site.docker.run(["rm", "by-hand"]).ok();
}

fn paths_and_queries_that_hide(site: &Site) {
    let bad = json!({"Image": at("team/app:unsigned")}).to_string();
    let containers = site.containers();
    for path in [
        "/containers/create",
        "/v1.24/containers/create",
        "//containers/create",
        "/v1.41//containers/create",
        "/v1.41/./containers/create",
        "/v1.41/images/../containers/create",
        "/v1.41/containers/%63reate",
        "/v1.41/containers%2fcreate",
        "/v1.41/containers/create/",
        "/v1.41/containers/create?",
        "http://engine/v1.41/containers/create",
    ] {
        let (status, answer) = site.post(path, &bad);
        // The engine's router itself sends clients elsewhere, or knows no such path.
        assert!([301, 403, 404].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("No such image"), "{path}: {answer}");
    }
    assert_eq!(site.containers(), containers);
    // Images of the same second are listed in any order.
    let images = || -> BTreeSet<String> {
        let listed = site
            .docker
            .run([
                "images",
                "--no-trunc",
                "--format={{.Repository}}:{{.Tag}} {{.ID}}",
            ])
            .ok();
        listed.stdout.lines().map(str::to_owned).collect()
    };
    let before = images();
    // A form in the body goes before the query.
    let (good, form) = (
        "fromImage=registry.test%3A5000%2Fteam%2Fapp&tag=1.0",
        "fromImage=&fromSrc=-&repo=formed",
    );
    for head in [
        format!(
            "Content-Type: application/x-www-form-urlencoded\nContent-Length: {}",
            form.len()
        ),
        format!(
            "Content-Type: application/x-www-form-urlencoded\nContent-Type: application/json\nContent-Length: {}",
            form.len()
        ),
    ] {
        let head = format!("POST /v1.41/images/create?{good} HTTP/1.1\n{head}");
        let (status, answer) = site.send(&head, form.as_bytes());
        assert_eq!(status, 403, "{head}: {answer}");
    }
    let head = "Content-Type: application/x-www-form-urlencoded\nTransfer-Encoding: chunked";
    let head = format!("POST /v1.41/images/create?{good} HTTP/1.1\n{head}");
    let body = format!("{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
    let (status, answer) = site.send(&head, body.as_bytes());
    assert_eq!(status, 403, "{head}: {answer}");
    for query in [
        format!("{good}&tag=unsigned"),
        format!("{good}&fromSrc=-"),
        format!("{good};tag=unsigned"),
    ] {
        let (status, answer) = site.post(&format!("/images/create?{query}"), "");
        assert_eq!(status, 403, "{query}: {answer}");
    }
    assert_eq!(images(), before);
}

fn reading_and_stopping(site: &Site) {
    let signed = at("team/app:1.0");
    let run = [
        "run",
        "--detach",
        "--name=long",
        "--network=none",
        &signed,
        "sh",
        "-c",
        "echo up; sleep 600",
    ];
    site.docker.run(run).ok();
    for command in [
        &["ps", "--all"][..],
        &["images"],
        &["info"],
        &["version"],
        &["inspect", "long", "old-here"],
        &["history", "here:1"],
        &["logs", "long"],
        &["top", "long"],
        &["exec", "long", "cat", "/content"],
        &["cp", "long:/content", "copied"],
        &["cp", "copied", "long:/copied"],
        &["diff", "long"],
        &["stats", "--no-stream", "long"],
        &["volume", "create", "some"],
        &["volume", "rm", "some"],
        &["network", "ls"],
        &["rename", "long", "longer"],
        &["pause", "longer"],
        &["unpause", "longer"],
        &["stop", "--time=0", "longer"],
        &["rm", "longer"],
        &["tag", "here:1", "there:1"],
        &["rmi", "there:1"],
    ] {
        site.docker.run(command).ok();
    }
}

fn pulling(site: &Site) {
    let signed = at("team/app:2.0");
    site.docker.run(["pull", &signed]).ok();
    site.docker.run(["pull", &site.digest(&signed)]).ok();
    refused(
        site.docker.run(["pull", &at("team/app:unsigned")]),
        &format!("{}: tag_not_signed: ", at("team/app:unsigned")),
    );
    // Every tag of a repository at once.
    refused(
        site.docker.run(["pull", "--all-tags", &at("team/app")]),
        &at("team/app"),
    );
    refused(
        site.docker.run(["pull", "elsewhere.example/app:1"]),
        "elsewhere.example/app:1: no_rule: ",
    );
}

fn services(site: &Site) {
    let signed = at("team/app:1.0");
    let (tagged, pinned) = (signed.clone(), site.digest(&signed).replace('@', ":1.0@"));
    site.docker
        .run(["swarm", "init", "--advertise-addr=127.0.0.1"])
        .ok();
    let create = |name: &str, image: &str| {
        let body = json!({"Name": name, "TaskTemplate": {"ContainerSpec": {"Image": image}}, "Mode": {"Replicated": {"Replicas": 0}}});
        site.post("/v1.41/services/create", &body.to_string())
    };
    for (image, told) in [
        (&tagged, "not_pinned"),
        (&at("team/app:unsigned"), "tag_not_signed"),
        (&site.digest(&at("team/pay:2.0")), "signer_missing"),
    ] {
        let (status, answer) = create("refused", image);
        assert_eq!(status, 403, "{image}: {answer}");
        assert!(answer.contains(told), "{image}: {answer}");
    }
    let (_, answer) = create("refused", &tagged);
    assert!(answer.contains(&pinned), "{answer}");
    let (status, answer) = create("pinned", &pinned);
    assert_eq!(status, 201, "{answer}");
    // The CLI finds the digest by itself.
    site.docker
        .run([
            "service",
            "create",
            "--detach",
            "--name=by-cli",
            "--replicas=0",
            "--no-resolve-image",
            &tagged,
        ])
        .fails()
        .says("not_pinned");
    let update = ["service", "update", "--detach", "--no-resolve-image", "--image"];
    site.docker
        .run(update.iter().copied().chain([&*tagged, "pinned"]))
        .fails()
        .says("not_pinned");
    site.docker
        .run(["service", "update", "--detach", "--label-add=a=b", "pinned"])
        .ok();
    site.docker
        .run(["service", "rollback", "--detach", "pinned"])
        .ok();
    site.docker.run(["service", "rm", "pinned"]).ok();
    site.docker.run(["swarm", "leave", "--force"]).ok();
    // Another swarm's managers would start what they like here.
    let join = json!({"ListenAddr": "127.0.0.1", "RemoteAddrs": ["127.0.0.1:1"], "JoinToken": "x"});
    let (status, answer) = site.post("/v1.41/swarm/join", &join.to_string());
    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains(&format!("{REFUSED}swarm-join: ")), "{answer}");
}

fn audit_and_figures(site: &Site) {
    let lines = site.audit();
    let has = |event: &str, image: &Value, verdict: &str| {
        lines
            .iter()
            .any(|line| line["event"] == event && line["image"] == *image && line["verdict"] == verdict)
    };
    assert!(has("decision", &json!(at("team/app:1.0")), "allow"));
    assert!(has("decision", &json!(at("team/app:unsigned")), "deny"));
    assert!(has("refusal", &Value::Null, "deny"));
    let create = lines
        .iter()
        .find(|line| line["reason"] == "signer_missing")
        .unwrap();
    assert_eq!(create["skin"], "engine");
    assert!(
        create["object"].as_str().unwrap().starts_with("POST /v1."),
        "{create}"
    );
    assert_eq!(create["evidence"]["gun"], at("team/pay"));
    // Queries hold the arguments of builds.
    assert!(
        lines
            .iter()
            .all(|line| !line["object"].as_str().unwrap().contains('?'))
    );
    let figures = site.gate.as_ref().unwrap().plain("/metrics");
    for figure in [
        r#"verdict="allow",reason="signed""#,
        r#"verdict="deny",reason="tag_not_signed""#,
        r#"verdict="deny",reason="signer_missing""#,
        r#"countersign_gate_refusals_total{skin="engine"}"#,
    ] {
        assert!(figures.contains(figure), "no {figure} in {figures}");
    }
}

fn what_may_be_allowed(site: &mut Site) {
    site.start_gate(&["--allow", "build,load,import,commit,plugin,swarm-join"]);
    let archive = site.docker.home().join("saved.tar").display().to_string();
    site.docker.run(["build", "--tag=built:1", "context"]).ok();
    site.docker.run(["load", "--input", &archive]).ok();
    site.docker.run(["import", &archive, "imported:1"]).ok();
    site.docker.run(["commit", "old-signed", "committed:1"]).ok();
    // They are here, and run no more than before.
    for image in ["built:1", "here:1", "imported:1", "committed:1"] {
        site.refuses(image, "no_rule");
        refused(site.run(&site.image(image, "{{.Id}}")), "");
    }
    let allowed = |word: &str| {
        let lines = site.audit();
        lines
            .iter()
            .any(|line| line["event"] == "exemption" && line["what"] == word && line["permitted"] == true)
    };
    for word in ["build", "load", "import", "commit"] {
        assert!(allowed(word), "{word}");
    }
    site.start_gate(&[]);
}

fn the_server_is_away(site: &mut Site) {
    site.world.stop_server();
    site.runs(&at("team/app:1.0"), "team/app:1.0");
    let unknown = at("team/never:1");
    refused(
        site.docker.run(["pull", &unknown]),
        &format!("{unknown}: server_unreachable: "),
    );
    // Also after a restart, and for a repository of which nothing is known.
    site.start_gate(&[]);
    site.runs(&at("team/app:1.0"), "team/app:1.0");
}

#[test]
fn without_its_gate_an_engine_does_nothing_and_requests_wait_for_one_that_comes_back() {
    let directory = tempfile::TempDir::new().unwrap();
    let namespace = Namespace::new(directory.path());
    let server = TestServer::builder().inside(&namespace).start();
    let host = &DockerHost::start_alone(&namespace, directory.path());
    let client = Countersign::of(&server, "gate");
    client.policy("rules: []");
    let socket = client.directory().join("plugin.sock");
    let start = || client.engine_gate(&socket, &host.socket_file(), &[]);
    let mut gate = start();
    host.ask_plugins(&[("countersign", &socket)]);
    gate.daemon.stop(Stop::AtOnce);
    // The engine tries for half a minute.
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let asked = [
            "GET /v1.41/containers/json",
            "POST /v1.41/containers/create",
            "POST /v1.41/volumes/create",
        ]
        .map(|call| scope.spawn(move || host.send(&format!("{call} HTTP/1.1"), b"")));
        asked.map(|asked| asked.join().unwrap()).into()
    });
    for (status, answer) in answers {
        assert_eq!(status, 500, "{answer}");
        assert!(
            answer.contains("plugin countersign failed with error"),
            "{answer}"
        );
    }
    let attempts = || host.log().matches("Unable to connect to plugin").count();
    let before = attempts();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| host.send("GET /v1.41/containers/json HTTP/1.1", b""));
        wait_until("the engine has tried for the first time", || attempts() > before);
        gate = start();
        assert_eq!(waits.join().unwrap().0, 200);
    });
}
