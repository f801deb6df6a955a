//! `countersign gate render`: what has to be configured elsewhere.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::{Failure, Outcome};

/// What is printed.
#[derive(Debug, Subcommand)]
pub enum What {
    /// The two webhook configurations, to be applied with kubectl.
    Webhooks(Webhooks),
    /// The API server's admission configuration and kubeconfig, with a client certificate for the webhooks and for
    /// ImagePolicyWebhook.
    ApiServer(ApiServer),
    /// The program that containerd runs, and its configuration.
    Containerd(Containerd),
    /// systemd units for Docker Engine's plugin, and the engine's configuration.
    Systemd(Systemd),
}

/// How the API server reaches the gate.
#[derive(Debug, Args)]
pub struct Webhooks {
    /// The gate as a URL, such as https://gate.example:8443. Else it is a service of the cluster.
    #[arg(long, value_name = "URL", conflicts_with = "service")]
    url: Option<String>,
    /// The gate as a service of the cluster.
    #[arg(
        long,
        value_name = "NAMESPACE/NAME[:PORT]",
        default_value = "countersign/gate"
    )]
    service: String,
    /// The CAs of the gate's certificate.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Namespaces whose objects never come to the gate; that of the gate itself is always among them.
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        default_value = "kube-system"
    )]
    exempt: Vec<String>,
    /// How long the API server waits, in seconds. The gate itself answers within 2.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u8).range(3..=30))]
    timeout: u8,
}

/// The files as the API server finds them.
#[derive(Debug, Args)]
pub struct ApiServer {
    /// The gate as a URL, such as https://gate.example:8443.
    #[arg(long, value_name = "URL")]
    url: String,
    /// The CAs of the gate's certificate, as the API server finds them.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The API server's client certificate.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The key of this certificate.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The host by which webhook configurations name the gate, where it is not that of the URL: for a service,
    /// NAME.NAMESPACE.svc.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

/// How the program is called.
#[derive(Debug, Args)]
pub struct Containerd {
    /// The policy file.
    #[arg(long, value_name = "FILE", default_value = "/etc/countersign/policy.yaml")]
    policy: PathBuf,
    /// The countersign program.
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/countersign")]
    program: PathBuf,
    /// The directory in which containerd looks for verifiers.
    #[arg(long, value_name = "DIRECTORY", default_value = "/opt/image-verifier/bin")]
    directory: PathBuf,
}

/// How the plugin is called.
#[derive(Debug, Args)]
pub struct Systemd {
    /// The policy file.
    #[arg(long, value_name = "FILE", default_value = "/etc/countersign/policy.yaml")]
    policy: PathBuf,
    /// The countersign program.
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/countersign")]
    program: PathBuf,
}

/// Prints it.
///
/// # Errors
/// When a file that belongs into it cannot be read.
pub fn run(what: &What) -> Result<Outcome, Failure> {
    match what {
        What::Webhooks(options) => webhooks(options)?,
        What::ApiServer(options) => api_server(options)?,
        What::Containerd(options) => containerd(options),
        What::Systemd(options) => systemd(options),
    }
    Ok(Outcome::Done)
}

fn webhooks(options: &Webhooks) -> Result<(), Failure> {
    let ca = platform::tls::read_certificates("the CA file", &options.ca)?;
    let mut bundle = Vec::new();
    for certificate in ca {
        bundle.extend(certificate.to_pem()?);
    }
    let mut exempt = options.exempt.clone();
    let at = |path: &str| -> Result<(Value, Option<String>), Failure> {
        let bundle = STANDARD.encode(&bundle);
        if let Some(url) = &options.url {
            let base = https(url)?;
            return Ok((json!({"url": format!("{base}{path}"), "caBundle": bundle}), None));
        }
        let unusable = || {
            Failure(format!(
                "{} is not NAMESPACE/NAME or NAMESPACE/NAME:PORT",
                options.service
            ))
        };
        let (namespace, name) = options.service.split_once('/').ok_or_else(unusable)?;
        let (name, port) = match name.split_once(':') {
            Some((name, port)) => (name, port.parse::<u16>().map_err(|_| unusable())?),
            None => (name, 443),
        };
        let service = json!({"namespace": namespace, "name": name, "port": port, "path": path});
        Ok((
            json!({"service": service, "caBundle": bundle}),
            Some(namespace.to_owned()),
        ))
    };
    let (mutating, own) = at("/admission/v1/mutate")?;
    let (validating, _) = at("/admission/v1/validate/pinned")?;
    // A gate that judges its own pods cannot be started again once it is down.
    exempt.extend(own.filter(|own| !options.exempt.contains(own)));
    let webhook = |name: &str, client: &Value| {
        json!({
            "name": name,
            "admissionReviewVersions": ["v1"],
            "clientConfig": client,
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "timeoutSeconds": options.timeout,
            "namespaceSelector": {"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": exempt},
            ]},
            "rules": rules(),
        })
    };
    let documents = [
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "countersign"},
            // Other webhooks may add containers after this one was asked: then it is asked again.
            "webhooks": [with(webhook("mutate.countersign.gate", &mutating), "reinvocationPolicy", "IfNeeded")],
        }),
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "countersign"},
            "webhooks": [webhook("validate.countersign.gate", &validating)],
        }),
    ];
    print(&documents)
}

fn rules() -> Value {
    let rule = |group: &str, versions: &[&str], resources: &[&str]| {
        json!({
            "apiGroups": [group],
            "apiVersions": versions,
            "operations": ["CREATE", "UPDATE"],
            "resources": resources,
            "scope": "Namespaced",
        })
    };
    json!([
        rule(
            "",
            &["v1"],
            &[
                "pods",
                "pods/ephemeralcontainers",
                "podtemplates",
                "replicationcontrollers"
            ]
        ),
        rule(
            "apps",
            &["v1"],
            &["deployments", "replicasets", "statefulsets", "daemonsets"]
        ),
        rule("batch", &["v1"], &["jobs", "cronjobs"]),
    ])
}

fn with(mut object: Value, name: &str, value: &str) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
    object
}

fn https(url: &str) -> Result<String, Failure> {
    let url = url.trim_end_matches('/');
    match url.strip_prefix("https://") {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#']) => Ok(url.to_owned()),
        _ => Err(Failure(format!("{url:?} is not of the form https://HOST[:PORT]"))),
    }
}

fn api_server(options: &ApiServer) -> Result<(), Failure> {
    let base = https(&options.url)?;
    let host = base.trim_start_matches("https://");
    let user = options.host.as_deref().unwrap_or(host);
    let path = |path: &PathBuf| path.display().to_string();
    let identity = json!({
        "client-certificate": path(&options.cert),
        "client-key": path(&options.key),
    });
    platform::say!("# Save each document under the name above it; start the API server with");
    platform::say!(
        "#   --enable-admission-plugins=...,ImagePolicyWebhook (if it is wanted beside the webhooks)"
    );
    platform::say!("#   --admission-control-config-file=/etc/countersign/admission.yaml");
    platform::say!("# /etc/countersign/admission.yaml");
    print(&[json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            plugin("MutatingAdmissionWebhook"),
            plugin("ValidatingAdmissionWebhook"),
            {"name": "ImagePolicyWebhook", "configuration": {"imagePolicy": {
                "kubeConfigFile": "/etc/countersign/image-policy.kubeconfig",
                "allowTTL": 30,
                "denyTTL": 5,
                "retryBackoff": 500,
                "defaultAllow": false,
            }}},
        ],
    })])?;
    platform::say!("# /etc/countersign/webhooks.kubeconfig: the user is named like the host of the webhooks");
    print(&[json!({
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{"name": user, "user": identity}],
    })])?;
    platform::say!("# /etc/countersign/image-policy.kubeconfig");
    print(&[json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "gate", "cluster": {
            "server": format!("{base}/image-review"),
            "certificate-authority": path(&options.ca),
        }}],
        "users": [{"name": "api-server", "user": identity}],
        "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "api-server"}}],
        "current-context": "gate",
    })])
}

fn plugin(name: &str) -> Value {
    json!({"name": name, "configuration": {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": "/etc/countersign/webhooks.kubeconfig",
    }})
}

fn containerd(options: &Containerd) {
    let (program, policy) = (shell(&options.program), shell(&options.policy));
    platform::say!("#!/bin/sh");
    platform::say!(
        "# Save this as {}/countersign and make it executable.",
        options.directory.display()
    );
    platform::say!("# In /etc/containerd/config.toml (containerd 2.0 and newer):");
    platform::say!("#   [plugins.\"io.containerd.image-verifier.v1.bindir\"]");
    platform::say!("#     bin_dir = \"{}\"", options.directory.display());
    platform::say!("#     max_verifiers = 10");
    platform::say!("#     per_verifier_timeout = \"10s\"");
    platform::say!("exec {program} gate containerd --policy {policy} --state /var/lib/countersign -- \"$@\"");
}

fn systemd(options: &Systemd) {
    let (program, policy) = (options.program.display(), options.policy.display());
    platform::say!("# /etc/systemd/system/countersign-gate.socket");
    platform::say!("[Unit]");
    platform::say!("Description=The authorization plugin of Docker Engine");
    platform::say!("Before=docker.service");
    platform::say!("");
    platform::say!("[Socket]");
    platform::say!("ListenStream=/run/docker/plugins/countersign.sock");
    platform::say!("SocketMode=0600");
    platform::say!("");
    platform::say!("[Install]");
    platform::say!("WantedBy=sockets.target");
    platform::say!("");
    platform::say!("# /etc/systemd/system/countersign-gate.service");
    platform::say!("[Unit]");
    platform::say!("Description=Runs only signed images");
    platform::say!("Requires=countersign-gate.socket");
    platform::say!("");
    platform::say!("[Service]");
    platform::say!(
        "ExecStart={program} gate serve --policy {policy} --docker-plugin /run/docker/plugins/countersign.sock \
         --state /var/lib/countersign"
    );
    platform::say!("StateDirectory=countersign");
    platform::say!("Restart=always");
    platform::say!("NoNewPrivileges=yes");
    platform::say!("ProtectSystem=strict");
    platform::say!("ProtectHome=yes");
    platform::say!("");
    platform::say!("# /etc/docker/daemon.json: the engine refuses everything while the gate is down");
    platform::say!("{}", json!({"authorization-plugins": ["countersign"]}));
}

/// A path as one word of a shell.
fn shell(path: &std::path::Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

fn print(documents: &[Value]) -> Result<(), Failure> {
    for document in documents {
        platform::say!("---");
        platform::say!("{}", serde_yaml_ng::to_string(document)?.trim_end());
    }
    Ok(())
}
