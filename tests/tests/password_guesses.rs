//! Guessing passwords: the limits for names and addresses, and their effect on other users.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    thread,
    time::Instant,
};

use serde_json::{Value, json};
use tests::{
    password_users::{as_user, basic, bcrypt_of, builder, settings, start},
    process::{free_port, wait_until},
};

#[test]
fn guessing_ends_after_a_few_attempts_and_troubles_nobody_else() {
    let server = start(builder());
    let nobody = server.client_without_certificate();
    let status = |user: &str, password: &str| as_user(&nobody, user, password, "GET", "/v2/").status;
    assert_eq!(status("bob", "p:ässwort"), 200);
    for user in ["alice", "nobody"] {
        let guessed: Vec<u16> = (0..12)
            .map(|number| status(user, &format!("guess {number}")))
            .collect();
        assert_eq!(guessed[..10], [401; 10], "{user}");
        assert_eq!(guessed[10..], [429; 2], "{user}");
    }
    // Not even the right one, or guesses would go on.
    let refused = as_user(&nobody, "alice", "correct horse", "GET", "/v2/");
    refused.refuses(429, "TOO_MANY_REQUESTS");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(status("bob", "p:ässwort"), 200);
    server.client("alice").get("/v2/").ok();
}

#[test]
fn guesses_do_not_go_on_while_their_victim_is_logged_in() {
    let server = start(builder());
    let nobody = server.client_without_certificate();
    let status = |password: &str| as_user(&nobody, "alice", password, "GET", "/v2/").status;
    // Remembered from here on.
    assert_eq!(status("correct horse"), 200);
    for number in 0..10 {
        assert_eq!(status(&format!("guess {number}")), 401);
    }
    assert_eq!(status("correct horse"), 429, "this might be the eleventh guess");
}

#[test]
fn clients_of_one_proxy_do_not_use_up_each_others_attempts() {
    let port = free_port();
    let plain = |proxies: Value| {
        let server = start(
            builder()
                .set("auth", json!({"password": settings()}))
                .set("proxies", proxies)
                .set(
                    "listeners",
                    json!([{"name": "plain", "address": format!("127.0.0.1:{port}"), "tls": false}]),
                ),
        );
        wait_until("it listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        server
    };
    let status = |from: &str, password: &str| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let head = format!(
            "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: {from}\r\n\
             Authorization: {}\r\n\r\n",
            basic("alice", password)
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let server = plain(json!({"trusted": ["127.0.0.1"]}));
    for number in 0..12 {
        // What a client writes there itself stands before what the proxy adds.
        let from = format!("198.51.100.{number}, 203.0.113.7");
        let expected = if number < 10 { "401" } else { "429" };
        assert_eq!(status(&from, "guess"), expected, "{number}");
    }
    assert_eq!(status("203.0.113.7", "correct horse"), "429");
    assert_eq!(status("203.0.113.8", "correct horse"), "200");
    drop(server);
    // Of somebody who is no proxy, or where proxies say nothing of it, the header says nothing.
    for proxies in [
        json!({"trusted": ["127.0.0.1"], "client_address": "none"}),
        json!({"trusted": ["192.0.2.1"]}),
    ] {
        let server = plain(proxies);
        for number in 0..11 {
            status(&format!("203.0.113.{number}"), "guess");
        }
        assert_eq!(status("203.0.113.200", "guess"), "429");
        drop(server);
    }
}

#[test]
fn a_hundred_guesses_at_once_are_counted_too() {
    let server = start(builder());
    let tried: Vec<u16> = thread::scope(|scope| {
        let running: Vec<_> = (0..40)
            .map(|number| {
                let server = &server;
                scope.spawn(move || {
                    let nobody = server.client_without_certificate();
                    as_user(&nobody, "alice", &format!("guess {number}"), "GET", "/v2/").status
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        tried.iter().filter(|status| **status == 401).count(),
        10,
        "{tried:?}"
    );
    assert_eq!(
        tried.iter().filter(|status| **status == 429).count(),
        30,
        "{tried:?}"
    );
}

#[test]
fn an_unknown_name_takes_as_long_as_a_known_one() {
    let prepared = builder().prepare();
    let users = format!("alice:{}\n", bcrypt_of("correct horse", 9));
    fs::write(prepared.path().join("users"), users).unwrap();
    let server = prepared.start();
    let nobody = server.client_without_certificate();
    let fastest = |user: &str| {
        let attempts = (0..4).map(|number| {
            let started = Instant::now();
            as_user(&nobody, user, &format!("guess {number}"), "GET", "/v2/").refuses(401, "UNAUTHORIZED");
            started.elapsed()
        });
        attempts.min().unwrap()
    };
    let (known, unknown) = (fastest("alice"), fastest("mallory"));
    assert!(
        unknown * 2 > known && known * 2 > unknown,
        "{known:?} and {unknown:?}"
    );
}
