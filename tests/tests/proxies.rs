//! Certificates that reverse proxies pass on: accepted from trusted proxies only, and verified again.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::x509::X509;
use serde_json::json;
use tests::{
    Client, ClientFiles, Response, TestServer,
    http::{connection_from, request_bytes},
    process::{Daemon, free_port, installed_program, wait_until},
    server::Builder,
};

/// Where the proxies of these tests are.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ROOT: &str = "/v2/app/_trust/tuf/root.json";
const GUN: &str = "/v2/app/_trust/tuf/";
const IGNORED: &str = "countersign_forwarded_headers_ignored_total";
const FORMATS: [&str; 3] = ["xfcc", "nginx", "rfc9440"];

/// A server behind proxies, where only alice may do anything, so that refusals name the client.
fn behind(format: &str) -> Builder {
    TestServer::builder()
        .set(
            "proxies",
            json!({"trusted": [PROXY.to_string()], "client_certificate": format}),
        )
        .set(
            "policy",
            json!([{"effect": "allow", "principals": ["alice"], "actions": ["*"]}]),
        )
}

fn url_encoded(text: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    let encode = |byte| {
        if plain(byte) {
            char::from(*byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.iter().map(encode).collect()
}

/// The headers that pass on the certificate of `files`.
fn headers(format: &str, files: &ClientFiles) -> Vec<(&'static str, String)> {
    let pem = fs::read(&files.certificate).unwrap();
    let mut chain = X509::stack_from_pem(&pem).unwrap().into_iter();
    let leaf = chain.next().unwrap();
    let issuers: Vec<X509> = chain.collect();
    let sequence = |x509: &X509| format!(":{}:", STANDARD.encode(x509.to_der().unwrap()));
    match format {
        "xfcc" => {
            let whole = url_encoded(&pem);
            let leaf = url_encoded(&leaf.to_pem().unwrap());
            let value = format!("By=spiffe://proxy;Subject=\"CN=x,O=y;z\";Cert=\"{leaf}\";Chain=\"{whole}\"");
            vec![("X-Forwarded-Client-Cert", value)]
        }
        "nginx" => vec![
            ("ssl-client-verify", "SUCCESS".to_owned()),
            ("ssl-client-cert", url_encoded(&pem)),
        ],
        _ => {
            let mut headers = vec![("Client-Cert", sequence(&leaf))];
            if !issuers.is_empty() {
                let chain: Vec<String> = issuers.iter().map(sequence).collect();
                headers.push(("Client-Cert-Chain", chain.join(", ")));
            }
            headers
        }
    }
}

/// Makes a request with headers from an address.
fn ask(client: &Client, port: u16, from: Ipv4Addr, method: &str, headers: &[(&str, String)]) -> Response {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let tcp = connection_from(from, port).unwrap();
    let stream = client.connect_over(tcp).unwrap();
    let path = if method == "DELETE" { GUN } else { ROOT };
    Client::raw_over(stream, &request_bytes(method, path, &headers, &[])).unwrap()
}

#[test]
fn a_certificate_from_a_proxy_counts_and_the_proxys_own_does_not() {
    for format in FORMATS {
        let server = behind(format).start();
        let pki = server.pki();
        server.client("alice").get("/v2/").ok();
        // The proxy's certificate is alice's: a proxy that may do everything must not lend its rights.
        for own in ["alice", "gateway"] {
            let proxy = server.client(own);
            let from_proxy = |headers: &[(&str, String)]| ask(&proxy, server.port(), PROXY, "GET", headers);
            let alice = from_proxy(&headers(format, &pki.user("alice")));
            assert_eq!(alice.status, 404, "{format}: {}", alice.text());
            let bob = from_proxy(&headers(format, &pki.user("bob"))).refuses(403, "DENIED");
            assert!(
                bob["message"].as_str().unwrap().starts_with("bob may not"),
                "{bob}"
            );
            let chained = from_proxy(&headers(format, &pki.behind_intermediate("carol", true)));
            let chained = chained.refuses(403, "DENIED");
            assert!(
                chained["message"].as_str().unwrap().starts_with("carol may not"),
                "{chained}"
            );
            let none = from_proxy(&[]).refuses(401, "UNAUTHORIZED");
            assert_eq!(none["detail"]["reason"], "no_certificate", "{format}");
        }
    }
}

#[test]
fn a_certificate_that_a_proxy_passes_on_is_verified_again() {
    for format in FORMATS {
        let prepared = behind(format)
            .set("revocation.deny_list", json!("deny.json"))
            .prepare();
        let denied = prepared.pki().user("denied");
        let x509 = X509::from_pem(&fs::read(&denied.certificate).unwrap()).unwrap();
        let serial = x509
            .serial_number()
            .to_bn()
            .unwrap()
            .to_hex_str()
            .unwrap()
            .to_string();
        let entry = json!({"denied": [{"serial": serial, "issuer": "CN=Test CA"}]});
        fs::write(prepared.path().join("deny.json"), entry.to_string()).unwrap();
        let server = prepared.start();
        let pki = server.pki();
        let proxy = server.client("gateway");
        for (files, reason) in [
            (pki.expired(), "certificate_expired"),
            (pki.not_yet_valid(), "certificate_not_yet_valid"),
            (pki.stranger("alice"), "unknown_ca"),
            (pki.server_only(), "wrong_purpose"),
            (
                pki.with_key("weak", platform::pki::KeyKind::Rsa(1024)),
                "key_too_weak",
            ),
            (denied, "certificate_revoked"),
        ] {
            let answer = ask(&proxy, server.port(), PROXY, "GET", &headers(format, &files));
            let error = answer.refuses(401, "UNAUTHORIZED");
            assert_eq!(error["detail"]["reason"], reason, "{format}: {error}");
        }
    }
}

#[test]
fn ambiguous_headers_are_refused() {
    for format in FORMATS {
        let server = behind(format).start();
        let alice = headers(format, &server.pki().user("alice"));
        let bob = headers(format, &server.pki().user("bob"));
        let proxy = server.client("gateway");
        let name = alice.last().unwrap().0;
        let with = |value: &str| {
            let mut headers = alice.clone();
            headers.last_mut().unwrap().1 = value.to_owned();
            headers
        };
        let mut wrong = vec![
            [alice.clone(), bob].concat(),
            with("nonsense"),
            with("Cert=\"not closed"),
            with(":AAAA:"),
            with("%00"),
        ];
        if format == "nginx" {
            let verified = |value: &str| vec![("ssl-client-verify", value.to_owned()), alice[1].clone()];
            wrong.extend([
                verified("NONE"),
                verified("FAILED:self signed"),
                vec![alice[1].clone()],
            ]);
        }
        if format == "xfcc" {
            wrong.push(with("Hash=abcdef;Subject=\"CN=alice\""));
            let cert = alice[0].1.clone();
            wrong.push(with(&format!("{cert};{cert}")));
        }
        for headers in wrong {
            let answer = ask(&proxy, server.port(), PROXY, "GET", &headers);
            let error = answer.refuses(401, "UNAUTHORIZED");
            assert_eq!(
                error["detail"]["reason"], "forwarded_certificate_invalid",
                "{format} {name}: {error}"
            );
        }
    }
}

/// Values of a certificate do not become parts of the header, and headers that contradict each other are refused.
#[test]
fn nothing_in_a_value_that_envoy_does_not_quote_is_a_certificate() {
    let server = behind("xfcc").start();
    let pem = |name: &str| url_encoded(&fs::read(server.pki().user(name).certificate).unwrap());
    let (alice, bob) = (pem("alice"), pem("bob"));
    let proxy = server.client("gateway");
    let get = |values: &[String]| {
        let headers: Vec<_> = values
            .iter()
            .map(|value| ("X-Forwarded-Client-Cert", value.clone()))
            .collect();
        ask(&proxy, server.port(), PROXY, "GET", &headers)
    };
    let own = format!("By=spiffe://proxy;Hash=aa;Cert=\"{bob}\";Subject=\"CN=bob\"");
    for harmless in ["", ";URI=spiffe://x/a", ";URI=https://x/a;v=1;DNS=x"] {
        let error = get(&[format!("{own}{harmless}")]).refuses(403, "DENIED");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("bob may not"), "{harmless}: {error}");
    }
    let hash = X509::from_pem(&fs::read(server.pki().user("alice").certificate).unwrap()).unwrap();
    let hash = hex::encode(openssl::sha::sha256(&hash.to_der().unwrap()));
    for injected in [
        format!("{own};URI=spiffe://x/a,Cert=\"{alice}\""),
        format!("{own};URI=spiffe://x/a;Cert=\"{alice}\""),
        format!("{own};DNS=a,By=spiffe://proxy;Hash={hash};Cert=\"{alice}\";Subject=\"CN=alice\""),
        format!("{own};URI=spiffe://x/a;Subject=\"\",Hash={hash};Cert=\"{alice}\""),
        format!("Hash=aa;URI=spiffe://x/a;Cert=\"{alice}\""),
        format!("Hash={hash};Cert=\"{bob}\""),
        format!("Cert=\"{alice}{bob}\""),
        format!("Cert=\"{bob}\";Chain=\"{alice}{bob}\""),
        format!("Cert=\"{alice}\","),
        format!("URI=x,Cert=\"{alice}\""),
    ] {
        let error = get(std::slice::from_ref(&injected)).refuses(401, "UNAUTHORIZED");
        assert_eq!(
            error["detail"]["reason"], "forwarded_certificate_invalid",
            "{injected}: {error}"
        );
    }
    let twice = get(&[format!("Cert=\"{alice}\""), format!("Cert=\"{bob}\"")]);
    twice.refuses(401, "UNAUTHORIZED");
}

/// Also if the handshake asks for no certificate, and there is no policy.
#[test]
fn a_certificate_that_was_passed_on_before_is_refused_once_it_is_denied_or_its_ca_is_trusted_no_more() {
    for format in FORMATS {
        let server = behind(format).requests_certificates().start();
        let (pki, proxy) = (server.pki(), server.client("gateway"));
        let alice = pki.user("alice");
        let passed_on = || ask(&proxy, server.port(), PROXY, "GET", &headers(format, &alice));
        assert_eq!([passed_on().status, passed_on().status], [404; 2], "{format}");
        let certificate = alice.certificate.display().to_string();
        let config = server.path().join("server.json").display().to_string();
        for (how, status) in [("add", 401), ("remove", 404)] {
            let arguments = [how, "--cert", &certificate, "--config", &config];
            server.run_server_program("deny", arguments).ok();
            assert_eq!(passed_on().status, status, "{format}: {how}");
        }
        // The same bytes with another header are another request.
        let mut others = headers(format, &alice);
        if format == "nginx" {
            others[0].1 = "NONE".to_owned();
            let answer = ask(&proxy, server.port(), PROXY, "GET", &others);
            assert_eq!(answer.status, 401, "{}", answer.text());
        }
        // The files are watched: now only another CA's certificates count.
        let other = pki.stranger("gateway");
        fs::copy(pki.stranger_ca(), server.path().join("pki/new-ca.pem")).unwrap();
        let path = server.path().join("server.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(
            &path,
            text.replace(
                "\"client_ca_file\":\"pki/ca.pem\"",
                "\"client_ca_file\":\"pki/new-ca.pem\"",
            ),
        )
        .unwrap();
        let other = server.client_with(&other);
        wait_until("the proxy with the new CA's certificate gets in", || {
            other.get("/v2/").status != 401
        });
        let answer = ask(&other, server.port(), PROXY, "GET", &headers(format, &alice));
        assert_eq!(answer.status, 401, "{format}: {}", answer.text());
    }
}

#[test]
fn clients_without_a_certificate_from_the_proxy_change_nothing() {
    let server = TestServer::builder()
        .set(
            "proxies",
            json!({"trusted": [PROXY.to_string()], "client_certificate": "nginx"}),
        )
        .set("tls.client_auth", json!("off"))
        .start();
    let alice = headers("nginx", &server.pki().user("alice"));
    let client = server.client_without_certificate();
    let delete = |from, headers: &[(&str, String)]| ask(&client, server.port(), from, "DELETE", headers);
    for (from, headers) in [
        (PROXY, &[][..]),
        (Ipv4Addr::LOCALHOST, &[]),
        (Ipv4Addr::LOCALHOST, &alice),
    ] {
        let error = delete(from, headers).refuses(401, "UNAUTHORIZED");
        assert_eq!(error["detail"]["reason"], "no_certificate", "{from}");
    }
    assert_eq!(delete(PROXY, &alice).status, 200);
}

#[test]
fn of_several_elements_the_nearest_proxys_counts() {
    let server = behind("xfcc").start();
    let [alice, bob] = ["alice", "bob"].map(|name| headers("xfcc", &server.pki().user(name))[0].1.clone());
    let both = vec![("X-Forwarded-Client-Cert", format!("{alice},{bob}"))];
    let error = ask(&server.client("gateway"), server.port(), PROXY, "GET", &both).refuses(403, "DENIED");
    assert!(
        error["message"].as_str().unwrap().starts_with("bob may not"),
        "{error}"
    );
}

#[test]
fn headers_from_other_addresses_are_ignored_and_counted() {
    for (format, mode) in [
        ("xfcc", "require"),
        ("nginx", "request"),
        ("rfc9440", "request"),
        ("none", "require"),
    ] {
        let server = behind(format).set("tls.client_auth", json!(mode)).start();
        server.notary("alice").run(["init", "app", "-p"]).ok();
        let before = server.client("alice").get(ROOT).ok().body;
        let bob = server.client("bob");
        let mut forged = 0.0;
        for forged_format in FORMATS {
            let alice = headers(forged_format, &server.pki().user("alice"));
            // From a proxy whose headers nobody reads, too.
            let from = if format == "none" {
                PROXY
            } else {
                Ipv4Addr::LOCALHOST
            };
            for method in ["GET", "DELETE"] {
                let error = ask(&bob, server.port(), from, method, &alice).refuses(403, "DENIED");
                let message = error["message"].as_str().unwrap();
                assert!(message.starts_with("bob may not"), "{error}");
                forged += 1.0;
            }
            if mode == "request" {
                let nobody = server.client_without_certificate();
                let error = ask(&nobody, server.port(), from, "GET", &alice).refuses(401, "UNAUTHORIZED");
                assert_eq!(error["detail"]["reason"], "no_certificate");
                forged += 1.0;
            }
        }
        assert_eq!(server.figure(&bob, IGNORED), forged, "{format}");
        assert_eq!(server.client("alice").get(ROOT).ok().body, before);
    }
}

/// nginx in front of a server, as its documentation has it; ends with its owner.
struct Nginx {
    _daemon: Daemon,
    port: u16,
}

impl Nginx {
    fn start(server: &TestServer) -> Self {
        let port = free_port();
        let directory = server.path().join("nginx");
        fs::create_dir_all(&directory).unwrap();
        let pki = server.path().join("pki");
        let shown = |name: &str| pki.join(name).display().to_string();
        server
            .pki()
            .daemon("front", &[], &[IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        server.pki().user("gateway");
        let configuration = format!(
            "daemon off; master_process off; pid {directory}/pid; error_log stderr; events {{}}\n\
             http {{ access_log off; client_max_body_size 0;\n\
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n\
             fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n\
             server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {front}; ssl_certificate_key {front_key};\n\
             ssl_client_certificate {ca}; ssl_verify_client optional;\n\
             location / {{ proxy_pass https://127.0.0.1:{upstream}; proxy_bind {PROXY}; proxy_http_version 1.1;\n\
             proxy_ssl_certificate {gateway}; proxy_ssl_certificate_key {gateway_key};\n\
             proxy_ssl_trusted_certificate {ca}; proxy_ssl_verify on; proxy_ssl_name localhost;\n\
             proxy_set_header Host $host; proxy_set_header ssl-client-verify $ssl_client_verify;\n\
             proxy_set_header ssl-client-cert $ssl_client_escaped_cert; }} }} }}\n",
            directory = directory.display(),
            front = shown("front.pem"),
            front_key = shown("front-key.pem"),
            ca = shown("ca.pem"),
            gateway = shown("gateway.pem"),
            gateway_key = shown("gateway-key.pem"),
            upstream = server.port(),
        );
        let path = directory.join("nginx.conf");
        fs::write(&path, configuration).unwrap();
        let mut command = Command::new(installed_program("nginx", "nginx-light"));
        command.arg("-p").arg(&directory).arg("-c").arg(&path);
        let mut daemon = Daemon::spawn(&mut command, &directory.join("log"));
        daemon.wait_for("nginx listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            _daemon: daemon,
            port,
        }
    }
}

#[test]
fn the_notary_cli_works_through_nginx_as_whom_its_certificate_names() {
    let server = behind("nginx").start();
    let nginx = Nginx::start(&server);
    let url = format!("https://localhost:{}", nginx.port);
    let alice = server.notary("alice").with_url(&url);
    alice.run(["init", "app", "-p"]).ok();
    alice.add_and_publish("app", "latest", "content");
    assert_eq!(alice.targets("app"), ["latest"]);
    let actors = server.actors();
    assert!(!actors.is_empty());
    for (_, principal, subject) in &actors {
        assert_eq!((principal.as_str(), subject.as_str()), ("alice", "CN=alice"));
    }
    let bob = server.notary("bob").with_url(&url);
    bob.run(["list", "app"]).fails();
    // What a client of nginx says itself is not what nginx says.
    let client = server.client("bob").at_port(nginx.port);
    let forged = headers("nginx", &server.pki().user("alice"));
    let forged: Vec<(&str, &str)> = forged
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let error = client.request("GET", ROOT, &forged, &[]).refuses(403, "DENIED");
    assert!(
        error["message"].as_str().unwrap().starts_with("bob may not"),
        "{error}"
    );
    let nobody = server.client_without_certificate().at_port(nginx.port);
    let error = nobody
        .request("GET", ROOT, &forged, &[])
        .refuses(401, "UNAUTHORIZED");
    assert_eq!(error["detail"]["reason"], "no_certificate", "{error}");
}
