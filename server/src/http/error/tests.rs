use super::*;

#[test]
fn bodies_stay_within_what_clients_read() {
    for filler in ["x", "<", "\u{1}", "ü", "\""] {
        let long = filler.repeat(5000);
        let detail = validation_detail("ErrBadRoot", &long);
        let text = body("INVALID_UPDATE", "Update sent by the client is invalid.", detail);
        assert!(text.len() <= BODY_LIMIT, "{filler:?}: {}", text.len());
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["errors"][0]["detail"]["Name"], "ErrBadRoot");
        let role = body("INVALID_ROLE", "m", json!(shorten(&long)));
        assert!(role.len() <= BODY_LIMIT, "{filler:?}: {}", role.len());
    }
}

#[test]
fn an_error_without_detail_has_the_reference_bytes() {
    let expected = concat!(
        r#"{"errors":[{"code":"METADATA_NOT_FOUND","#,
        r#""message":"You have requested metadata that does not exist."}]}"#,
        "\n"
    );
    assert_eq!(body("METADATA_NOT_FOUND", NOT_FOUND, Value::Null), expected);
}
