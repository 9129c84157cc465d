//! The bytes of small documents, by hand.

use serde_json::json;

use super::wire::encode;

#[test]
fn fields_have_gnostics_numbers() {
    assert_eq!(encode(&json!({"swagger": "2.0"})), b"\x0a\x032.0");
    // Document 9, additional_properties 1: name 1 "T", value 2: type 22, value 1 "string".
    let document = json!({"definitions": {"T": {"type": "string"}}});
    assert_eq!(encode(&document), b"\x4a\x12\x0a\x10\x0a\x01T\x12\x0b\xb2\x01\x08\x0a\x06string");
    // Extensions are YAML: Document 16, name 1, value 2, yaml 2.
    assert_eq!(encode(&json!({"x-a": [1]})), b"\x82\x01\x0c\x0a\x03x-a\x12\x05\x12\x03[1]");
}

#[test]
fn parameters_are_told_apart_by_their_place() {
    let with = |place: &str| {
        encode(&json!({"paths": {"/": {"parameters": [{"in": place, "name": "n", "required": true}]}}}))
    };
    // parameter 1, then body_parameter 1, or non_body_parameter 2 with query 3 or path 4.
    assert!(with("body").windows(4).any(|bytes| bytes == b"\x0a\x0d\x0a\x0b"));
    assert!(with("query").windows(6).any(|bytes| bytes == b"\x0a\x10\x12\x0e\x1a\x0c"));
    assert!(with("path").windows(6).any(|bytes| bytes == b"\x0a\x0f\x12\x0d\x22\x0b"));
}

#[test]
fn long_contents_have_long_lengths() {
    let title = "t".repeat(300);
    let document = encode(&json!({"info": {"title": title}}));
    assert_eq!(&document[..6], b"\x12\xaf\x02\x0a\xac\x02");
}

#[test]
fn schemes_that_are_wanted_together_stay_together() {
    // Document 12, additional_properties 1 twice: name 1, value 2.
    let document = json!({"security": [{"A": [], "B": ["c"]}]});
    assert_eq!(encode(&document), b"\x62\x11\x0a\x05\x0a\x01A\x12\x00\x0a\x08\x0a\x01B\x12\x03\x0a\x01c");
}
