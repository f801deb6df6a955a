use super::*;

fn request(method: &str, uri: &str, body: Option<&str>) -> Authorization {
    Authorization {
        user: None,
        method: method.to_owned(),
        uri: uri.to_owned(),
        body: body.map(|body| body.as_bytes().to_vec()),
        content_length: body.map(|body| body.len() as u64),
        content_type: body.map(|_| "application/json".to_owned()),
    }
}

fn call(method: &str, uri: &str, body: &str) -> Result<Call, CallError> {
    Call::of(&request(method, uri, Some(body)))
}

#[test]
fn pulls_name_their_image_with_and_without_version() {
    for prefix in ["", "/v1.41", "/v1.24"] {
        let pulled = |query: &str| match call("POST", &format!("{prefix}/images/create?{query}"), "") {
            Ok(Call::Pull {
                image,
                every_tag: false,
            }) => image,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            pulled("fromImage=reg.example%3A5000%2Fa&tag=1"),
            "reg.example:5000/a:1"
        );
        assert_eq!(pulled("fromImage=a%3A2&tag=1"), "a:1");
        assert_eq!(pulled("tag=sha256%3Aab&fromImage=a"), "a@sha256:ab");
        assert_eq!(pulled("fromImage=a%3A5000%2Fb%3A2"), "a:5000/b:2");
        assert_eq!(pulled("fromImage=a%40sha256%3Aab&tag=1"), "a:1@sha256:ab");
    }
    for every in ["fromImage=a", "fromImage=reg.example%3A5000%2Fa&tag="] {
        let call = call("POST", &format!("/images/create?{every}"), "");
        assert!(matches!(call, Ok(Call::Pull { every_tag: true, .. })), "{every}");
    }
    for refused in [
        "",
        "tag=1",
        "fromImage=a&fromImage=b",
        "fromImage=a&tag=1&tag=2",
        "fromImage=a;fromImage=b",
        "fromImage=a&fromSrc=-",
    ] {
        assert!(
            call("POST", &format!("/images/create?{refused}"), "").is_err(),
            "{refused}"
        );
    }
    let import = call("POST", "/images/create?fromSrc=-&repo=x", "");
    assert_eq!(import, Ok(Call::Unverifiable(Unverifiable::Import)));
}

#[test]
fn the_image_of_a_container_is_read_in_any_case_and_never_twice() {
    for body in [r#"{"Image":"a:1"}"#, r#"{"IMAGE":"a:1"}"#] {
        let expected = Call::Create {
            image: "a:1".into(),
            mounts: vec![],
        };
        assert_eq!(
            call("POST", "/v1.41/containers/create?name=x", body),
            Ok(expected)
        );
    }
    let mounted = r#"{"Image":"a","HostConfig":{"Mounts":[{"Type":"bind","Source":"/"},{"type":"IMAGE","SOURCE":"b"}]},
                      "mounts":[{"Type":"image","Source":"c"}]}"#;
    let expected = Call::Create {
        image: "a".into(),
        mounts: vec!["b".into(), "c".into()],
    };
    assert_eq!(call("POST", "/containers/create", mounted), Ok(expected));
    for refused in [
        r#"{"Image":"a:1","image":"b"}"#,
        r#"{"Image":""}"#,
        r#"{"Image":1}"#,
        "{}",
        "",
        r#"{"Image":"a"} {"Image":"b"}"#,
    ] {
        assert!(call("POST", "/containers/create", refused).is_err(), "{refused}");
    }
}

#[test]
fn a_body_that_the_engine_hides_is_refused() {
    assert!(Call::of(&request("POST", "/containers/create", None)).is_err());
    let mut cut = request("POST", "/containers/create", Some(r#"{"Image":"a"}"#));
    cut.content_length = Some(2_000_000);
    assert!(Call::of(&cut).is_err());
}

#[test]
fn a_form_in_a_body_that_is_not_shown_goes_before_no_query() {
    let pull = "/images/create?fromImage=a&tag=1";
    for uri in [pull, "/containers/x/start"] {
        let mut hiding = request("POST", uri, None);
        hiding.content_type = Some("application/x-www-form-urlencoded".into());
        assert!(matches!(Call::of(&hiding), Err(CallError::Query(..))), "{uri}");
        // What comes in chunks states no length. The type that is shown need not be the one that counts.
        hiding.content_type = Some("application/json".into());
        assert!(Call::of(&hiding).is_err(), "{uri}");
        hiding.content_length = Some(10);
        assert!(Call::of(&hiding).is_err(), "{uri}");
        hiding.content_length = Some(0);
        assert!(Call::of(&hiding).is_ok(), "{uri}");
        assert!(Call::of(&request("POST", uri, None)).is_ok(), "{uri}");
        assert!(call("POST", uri, "{}").is_ok(), "{uri}");
    }
}

#[test]
fn paths_that_a_router_would_clean_are_refused_and_encoded_ones_are_read() {
    for path in [
        "/containers//create",
        "/./containers/create",
        "/v1.41/x/../containers/create",
        "//build",
        "/build/",
    ] {
        assert!(
            matches!(call("POST", path, "{}"), Err(CallError::Path(_))),
            "{path}"
        );
    }
    let encoded = call("POST", "/containers/%63reate", r#"{"Image":"a"}"#);
    assert!(matches!(encoded, Ok(Call::Create { .. })));
    assert!(call("POST", "/containers%2fcreate", r#"{"Image":"a"}"#).is_err());
}

#[test]
fn what_is_not_known_is_refused_and_reading_is_not_judged() {
    for (method, path) in [
        ("POST", "/v1.99/containers/conjure"),
        ("PATCH", "/containers/x"),
        ("POST", "/build/x"),
    ] {
        assert!(
            matches!(call(method, path, "{}"), Err(CallError::Unknown { .. })),
            "{method} {path}"
        );
    }
    for (method, path) in [
        ("GET", "/v1.41/images/json"),
        ("HEAD", "/_ping"),
        ("DELETE", "/v1.41/containers/x"),
        ("POST", "/v1.41/containers/x/stop?t=1"),
        ("POST", "/v1.41/images/reg.example:5000/a/b/tag?repo=x"),
        ("PUT", "/v1.41/containers/x/archive?path=/"),
    ] {
        assert_eq!(call(method, path, ""), Ok(Call::Harmless), "{method} {path}");
    }
}

#[test]
fn content_that_nobody_signed_is_told_apart() {
    for (path, kind) in [
        ("/v1.41/build?t=x", Unverifiable::Build),
        ("/session", Unverifiable::Build),
        ("/grpc", Unverifiable::Build),
        ("/images/load", Unverifiable::Load),
        ("/commit?container=x", Unverifiable::Commit),
        ("/plugins/pull?remote=x", Unverifiable::Plugin),
        ("/plugins/vieux/sshfs/upgrade", Unverifiable::Plugin),
        ("/swarm/join", Unverifiable::SwarmJoin),
    ] {
        assert_eq!(call("POST", path, "{}"), Ok(Call::Unverifiable(kind)), "{path}");
    }
}

#[test]
fn a_container_is_started_and_not_resumed_from_a_file() {
    let start = "/v1.41/containers/x/start";
    assert_eq!(
        call("POST", &format!("{start}?detachKeys=a"), ""),
        Ok(Call::Start("x".into()))
    );
    let resumed = call("POST", &format!("{start}?checkpoint=y&checkpoint-dir=/tmp"), "");
    assert_eq!(resumed, Err(CallError::Checkpoint));
}

#[test]
fn services_name_the_image_of_their_tasks() {
    let body = r#"{"TaskTemplate":{"ContainerSpec":{"Image":"a:1@sha256:ab"}}}"#;
    let expected = Call::Service {
        image: Some("a:1@sha256:ab".into()),
    };
    assert_eq!(call("POST", "/services/create", body), Ok(expected.clone()));
    assert_eq!(call("POST", "/services/x/update?version=1", body), Ok(expected));
    assert!(call("POST", "/services/create", "{}").is_err());
    let back = call("POST", "/services/x/update?version=1&rollback=previous", body);
    assert_eq!(back, Ok(Call::Rollback("x".into())));
    let plugin = r#"{"TaskTemplate":{"PluginSpec":{"Remote":"x"}}}"#;
    assert!(matches!(
        call("POST", "/services/create", plugin),
        Ok(Call::Unverifiable(_))
    ));
}
