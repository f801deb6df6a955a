//! The gate as Kubernetes' API server and others ask it. The requests are those that a real API server sent.

use std::{fs, path::Path, time::Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    Client, Stop, TestServer,
    countersign::{Countersign, Gate},
    process::wait_until,
    publisher::Publisher,
};

const GUN: &str = "registry.test/team/app";
const TAG: &str = "registry.test/team/app:1.0";

/// A request that a real API server sent to a webhook.
fn recorded(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/gates")
        .join(format!("{name}.request.json"));
    let recorded: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    recorded["body"].clone()
}

struct Cluster {
    server: TestServer,
    countersign: Countersign,
    gate: Gate,
    api_server: Client,
    root_key: String,
}

impl Cluster {
    /// A gate whose policy demands signatures for the registry of the recorded requests.
    fn start() -> Self {
        let server = TestServer::start();
        let notary = server.notary("alice");
        notary.run(["init", GUN, "-p"]).ok();
        notary.add_and_publish(GUN, "1.0", "first");
        let root_key = notary.root_key();
        let countersign = Countersign::of(&server, "gate-reader");
        countersign.policy(&policy(&root_key, "enforce"));
        let files = server.pki().daemon("gate", &[], &[]);
        let ca = server.pki().ca().display().to_string();
        let gate = countersign.gate(&files, &["--client-ca", &ca]);
        let api_server = gate.client(&server.pki().user("kube-apiserver"));
        Self {
            server,
            countersign,
            gate,
            api_server,
            root_key,
        }
    }

    #[track_caller]
    fn ask(&self, path: &str, body: &Value) -> Value {
        let answer = self
            .api_server
            .request("POST", path, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    #[track_caller]
    fn admits(&self, path: &str, body: &Value) -> Value {
        let answer = self.ask(path, body);
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        let response = answer["response"].clone();
        assert_eq!(response["uid"], body["request"]["uid"]);
        response
    }
}

fn policy(root_key: &str, mode: &str) -> String {
    format!(
        "anchors: {{ prod: {{ root_keys: [{root_key:?}] }} }}\nrules:\n  - {{ match: \"registry.test/**\", anchor: prod, mode: {mode} \
         }}\n  - {{ match: \"registry.k8s.io/**\", action: allow }}\nnamespaces: {{ exempt: [kube-system], audit: [\"team-*\"] }}"
    )
}

fn signed_digest(content: &str) -> String {
    format!("sha256:{}", hex::encode(sha256(content.as_bytes())))
}

fn with_image(image: &str) -> Value {
    let mut review = recorded("mutate-pod-create");
    review["request"]["object"]["spec"]["containers"][0]["image"] = json!(image);
    review
}

/// What the API server makes of the object.
fn patched(review: &Value, response: &Value) -> Value {
    let mut object = review["request"]["object"].clone();
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    json_patch::patch(&mut object, &patch).unwrap();
    object
}

#[test]
fn digests_are_written_into_objects_of_every_kind_and_unsigned_ones_are_denied() {
    let cluster = Cluster::start();
    let pinned = format!("{TAG}@{}", signed_digest("first"));
    let review = recorded("mutate-pod-create");
    let response = cluster.admits("/admission/v1/mutate", &review);
    assert_eq!(response["allowed"], true, "{response}");
    let object = patched(&review, &response);
    let mut expected = review["request"]["object"].clone();
    expected["spec"]["containers"][0]["image"] = json!(pinned);
    assert_eq!(object, expected);
    // The validating webhook sees the digest, has nothing to patch, and refuses an object that came past the other one.
    let validating = with_image(&pinned);
    let response = cluster.admits("/admission/v1/validate/pinned", &validating);
    assert_eq!(response["allowed"], true);
    assert_eq!(response["patch"], Value::Null);
    let response = cluster.admits("/admission/v1/validate/pinned", &review);
    assert_eq!(response["allowed"], false);
    assert!(
        response["status"]["message"]
            .as_str()
            .unwrap()
            .contains("not_pinned")
    );
    let response = cluster.admits("/admission/v1/validate", &review);
    assert_eq!(
        (&response["allowed"], &response["patch"]),
        (&json!(true), &Value::Null)
    );

    // A recorded digest that nobody signed, an unsigned tag, and an image of another registry.
    for (review, reason) in [
        (recorded("validate-pod-create"), "digest_mismatch"),
        (with_image("registry.test/team/app:2.0"), "tag_not_signed"),
        (with_image("elsewhere.test/app:1"), "no_rule"),
        (with_image("!"), "invalid_reference"),
    ] {
        let response = cluster.admits("/admission/v1/mutate", &review);
        assert_eq!(response["allowed"], false, "{reason}");
        assert_eq!(response["status"]["code"], 403);
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.contains(reason), "{message}");
        assert_eq!(response["patch"], Value::Null);
    }

    // Every place of every kind; one unsigned image among them denies the object.
    let pod = |extra: &str| {
        json!({
            "initContainers": [{"name": "i", "image": TAG}],
            "containers": [{"name": "c", "image": TAG}, {"name": "p", "image": "registry.k8s.io/pause:3"}],
            "ephemeralContainers": [{"name": "e", "image": extra}],
            "volumes": [{"name": "v", "image": {"reference": TAG}}],
        })
    };
    let object_of = |group: &str, kind: &str, spec: Value| {
        let mut review = recorded("mutate-pod-create");
        review["request"]["kind"] = json!({"group": group, "version": "v1", "kind": kind});
        review["request"]["object"] = json!({"kind": kind, "metadata": {"name": "x"}, "spec": spec});
        review
    };
    let template = |extra: &str| json!({"template": {"metadata": {}, "spec": pod(extra)}});
    for (group, kind) in [
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("batch", "Job"),
        ("", "ReplicationController"),
        ("", "Pod"),
        ("batch", "CronJob"),
    ] {
        let spec = |extra: &str| match kind {
            "Pod" => pod(extra),
            "CronJob" => json!({"jobTemplate": {"spec": template(extra)}}),
            _ => template(extra),
        };
        let review = object_of(group, kind, spec(TAG));
        let response = cluster.admits("/admission/v1/mutate", &review);
        assert_eq!(response["allowed"], true, "{kind}: {response}");
        let text = patched(&review, &response).to_string();
        assert_eq!(text.matches(&pinned).count(), 4, "{kind}: {text}");
        assert!(text.contains("\"registry.k8s.io/pause:3\""), "{text}");
        let review = object_of(group, kind, spec("registry.test/team/app:unsigned"));
        let response = cluster.admits("/admission/v1/mutate", &review);
        assert_eq!(response["allowed"], false, "{kind}");
    }
    let response = cluster.admits(
        "/admission/v1/mutate",
        &object_of("argoproj.io", "Rollout", template(TAG)),
    );
    assert_eq!(response["allowed"], false);
}

#[test]
fn updates_that_keep_images_and_deletions_pass_whatever_objects_say_of_themselves() {
    let cluster = Cluster::start();
    let allowed = |review: &Value| cluster.admits("/admission/v1/mutate", review)["allowed"] == true;
    let unsigned = with_image("registry.test/team/app:unsigned");
    assert!(!allowed(&unsigned));
    let mut update = unsigned.clone();
    update["request"]["operation"] = json!("UPDATE");
    assert!(!allowed(&update), "there is no old object");
    update["request"]["oldObject"] = update["request"]["object"].clone();
    update["request"]["object"]["metadata"]["labels"] = json!({"new": "label"});
    assert!(allowed(&update));
    let other = json!("registry.test/team/app:other");
    update["request"]["object"]["spec"]["containers"][0]["image"] = other;
    assert!(!allowed(&update));
    // That it is being deleted has to be stored already.
    let moment = json!("2026-11-21T23:13:12Z");
    update["request"]["object"]["metadata"]["deletionTimestamp"] = moment.clone();
    assert!(!allowed(&update));
    update["request"]["oldObject"]["metadata"]["deletionTimestamp"] = moment;
    assert!(allowed(&update));
    let mut delete = unsigned.clone();
    delete["request"]["operation"] = json!("DELETE");
    delete["request"]["object"] = Value::Null;
    assert!(allowed(&delete));
    // Owners, labels and annotations are what an object says of itself; its namespace is what the API server says.
    let mut claims = unsigned.clone();
    claims["request"]["object"]["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "1", "controller": true}]);
    claims["request"]["object"]["metadata"]["labels"] = json!({"countersign": "ignore"});
    claims["request"]["object"]["metadata"]["namespace"] = json!("kube-system");
    assert!(!allowed(&claims));
    claims["request"]["namespace"] = json!("kube-system");
    assert!(allowed(&claims));
    claims["request"]["namespace"] = json!("team-blue");
    let response = cluster.admits("/admission/v1/mutate", &claims);
    assert_eq!(response["allowed"], true);
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("audit only") && warning.chars().count() <= 120,
        "{warning}"
    );
    assert_eq!(response["patch"], Value::Null);
    // A dry run is answered like any other.
    let mut dry = unsigned;
    dry["request"]["dryRun"] = json!(true);
    assert!(!allowed(&dry));
    wait_until("the dry run is recorded as what it was", || {
        let lines = cluster.gate.audit();
        let last = lines.last().unwrap_or(&Value::Null);
        last["dry_run"] == true && last["permitted"] == false
    });
}

#[test]
fn image_reviews_gatekeeper_and_plain_questions_are_answered_by_the_same_rules() {
    let cluster = Cluster::start();
    let mut review = recorded("image-review");
    let answer = cluster.ask("/image-review", &review);
    assert_eq!(answer["kind"], "ImageReview");
    assert_eq!(answer["status"]["allowed"], false);
    assert!(answer["status"]["reason"].as_str().unwrap().contains("no_rule"));
    review["spec"]["containers"] = json!([{"image": TAG}, {"image": "registry.k8s.io/pause:3"}]);
    assert_eq!(cluster.ask("/image-review", &review)["status"]["allowed"], true);
    let question = json!({
        "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
        "kind": "ProviderRequest",
        "request": {"keys": [TAG, "registry.test/team/app:2"]},
    });
    let answer = cluster.ask("/gatekeeper/v1/validate", &question);
    let items = answer["response"]["items"].as_array().unwrap();
    assert_eq!(items[0]["value"], format!("{TAG}@{}", signed_digest("first")));
    assert!(items[1]["error"].as_str().unwrap().contains("tag_not_signed"));
    let answer = cluster.ask("/verify", &json!({"images": [TAG]}));
    assert_eq!(
        (&answer["allowed"], &answer["verdicts"][0]["allow"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(cluster.ask("/verify", &json!({"images": []}))["allowed"], false);

    // What is no question is refused, and so is whoever has no certificate.
    for (path, body) in [
        ("/admission/v1/mutate", "{}"),
        ("/admission/v1/mutate", "[1"),
        (
            "/image-review",
            r#"{"apiVersion":"imagepolicy.k8s.io/v1alpha1","kind":"ImageReview","spec":{}}"#,
        ),
        ("/gatekeeper/v1/validate", "{}"),
        ("/verify", r#"{"images":["a"],"images":["b"]}"#),
        ("/verify", r#"{"image":"a"}"#),
    ] {
        let answer = cluster.api_server.request("POST", path, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
    }
    assert_eq!(cluster.api_server.get("/verify").status, 405);
    assert_eq!(cluster.api_server.get("/elsewhere").status, 404);
    let files = cluster.server.pki().user("kube-apiserver");
    let nobody = Client::new(cluster.gate.port(), &files, false);
    assert!(nobody.try_request("POST", "/verify", &[], b"{}").is_err());
    let stranger = cluster.server.pki().stranger("kube-apiserver");
    let stranger = Client::new(cluster.gate.port(), &stranger, true);
    assert!(stranger.try_request("POST", "/verify", &[], b"{}").is_err());
    // Probes need none, and learn nothing else.
    assert_eq!(cluster.gate.plain("/ready"), "ok\n");
    let metrics = cluster.gate.plain("/metrics");
    for wanted in [
        r#"reason="tag_not_signed""#,
        r#"skin="gatekeeper""#,
        r#"verdict="allow""#,
        "countersign_gate_metadata_age_seconds",
    ] {
        assert!(metrics.contains(wanted), "{wanted} is not in {metrics}");
    }
}

#[test]
fn a_changed_policy_is_taken_up_and_a_broken_one_is_not() {
    let cluster = Cluster::start();
    let unsigned = with_image("registry.test/team/app:unsigned");
    let allowed = || cluster.admits("/admission/v1/mutate", &unsigned)["allowed"] == true;
    assert!(!allowed());
    cluster.countersign.policy(&policy(&cluster.root_key, "audti"));
    wait_until("the gate has seen the broken policy", || {
        cluster
            .gate
            .plain("/metrics")
            .contains("countersign_gate_reload_failures_total 1")
    });
    assert!(!allowed());
    assert!(cluster.gate.daemon.log().contains("audit"));
    cluster.countersign.policy(&policy(&cluster.root_key, "audit"));
    wait_until("the gate has taken up the policy", allowed);
}

#[test]
fn decisions_go_on_for_a_while_without_the_trust_server() {
    let mut cluster = Cluster::start();
    let ask = |cluster: &Cluster, image: &str| cluster.admits("/admission/v1/mutate", &with_image(image));
    assert_eq!(ask(&cluster, TAG)["allowed"], true);
    cluster.server.stop_server(Stop::AtOnce);
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(ask(&cluster, TAG)["allowed"], true);
        assert!(begun.elapsed().as_secs() < 3);
    }
    let response = ask(&cluster, "registry.test/team/never-seen:1");
    assert_eq!(response["allowed"], false);
    assert!(
        response["status"]["message"]
            .as_str()
            .unwrap()
            .contains("server_unreachable")
    );
    cluster
        .countersign
        .policy(&policy(&cluster.root_key, "enforce, max_staleness: 1s"));
    wait_until("what is known is too old", || {
        let response = ask(&cluster, TAG);
        let message = response["status"]["message"].as_str().unwrap_or_default();
        response["allowed"] == false && message.contains("too_stale")
    });
    cluster.server.start_server();
    wait_until("the server is asked again", || {
        ask(&cluster, TAG)["allowed"] == true
    });
}

#[test]
fn during_400_publishes_no_verdict_is_wrong_and_warm_ones_take_less_than_2_ms() {
    const PUBLISHES: usize = 400;
    let server = TestServer::start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    let countersign = Countersign::of(&server, "gate-reader");
    countersign.policy(&format!(
        "anchors: {{ prod: {{ cert_ids: [{:?}] }} }}\nrules: [ {{ match: \"**\", anchor: prod }} ]",
        publisher.root.id
    ));
    let gate = countersign.gate(&server.pki().daemon("gate", &[], &[]), &[]);
    let reader = gate.client(&server.pki().user("reader"));
    // Every version names this tag.
    let signed = signed_digest("what is signed");
    let body = json!({"images": [format!("{GUN}:v1"), format!("{GUN}:unsigned")]}).to_string();
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            for version in 2..=PUBLISHES + 1 {
                let file = publisher.targets_file(i64::try_from(version).unwrap());
                alice.publish(GUN, &[("targets", &file)]).ok();
            }
        });
        let mut verdicts = 0;
        let mut kept = reader.open();
        while !publishing.is_finished() {
            let answer = kept.post("/verify", body.as_bytes());
            let answer = answer.json();
            assert_eq!(answer["verdicts"][0]["allow"], true, "{answer}");
            assert_eq!(answer["verdicts"][0]["digest"], signed, "{answer}");
            assert_eq!(answer["verdicts"][1]["reason"], "tag_not_signed", "{answer}");
            verdicts += 2;
        }
        assert!(verdicts > 100, "{verdicts}");
    });
    let durations = gate.audit();
    let mut allowed: Vec<f64> = durations
        .iter()
        .filter(|line| line["verdict"] == "allow")
        .map(|line| line["duration_ms"].as_f64().unwrap())
        .collect();
    allowed.sort_by(f64::total_cmp);
    let median = allowed[allowed.len() / 2];
    assert!(median < 2.0, "{median} ms");
}
