//! Documents, repeated keys, anchors and their limits.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn value(text: &str) -> Value {
    parse(text.as_bytes()).unwrap().node.into_value().unwrap()
}

#[test]
fn documents() {
    assert_eq!(value("a: 1\nb: [x, 'true', yes]\n"), json!({"a": 1, "b": ["x", "true", true]}));
    assert_eq!(value(""), Value::Null);
    assert_eq!(value("# only a comment\n"), Value::Null);
    assert_eq!(value("---\na: b\n---\nc: d\n"), json!({"a": "b"}));
    assert_eq!(value("{\"a\": \"1\"}"), json!({"a": "1"}));
    assert_eq!(value("1: a\ntrue: b\n"), json!({"1": "a", "true": "b"}));
    assert_eq!(value("a: !!str 1\nb: !!int '2'\n"), json!({"a": "1", "b": 2}));
    assert_eq!(value("a: |\n  x\n  y\n"), json!({"a": "x\ny\n"}));
}

#[test]
fn repeated_keys_are_reported_with_their_line() {
    let yaml = parse(b"a:\n  foo: 1\n  foo: 2\n").unwrap();
    assert_eq!(yaml.repeated, ["line 3: key \"foo\" already set in map"]);
    assert_eq!(yaml.node.into_value(), Ok(json!({"a": {"foo": 2}})));
}

#[test]
fn anchors_and_merges() {
    assert_eq!(value("a: &x {b: 1}\nc: *x\n"), json!({"a": {"b": 1}, "c": {"b": 1}}));
    assert_eq!(value("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n")["d"], json!({"b": 1, "c": 3}));
    assert_eq!(
        parse(b"a: {<<: 1}\n").unwrap_err(),
        "yaml: line 1: map merge requires map or sequence of maps as the value"
    );
}

#[test]
fn aliases_cannot_multiply_without_end() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{},", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(parse(bomb.as_bytes()).unwrap_err().ends_with("document contains excessive aliasing"));

    let plain = format!("[{}x]", "x,".repeat(1_200_000));
    assert!(parse(plain.as_bytes()).is_ok(), "what is written out multiplies nothing");

    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(10_000));
    assert!(parse(long.as_bytes()).unwrap_err().ends_with("document contains excessive aliasing"));
}

#[test]
fn depth_is_bounded() {
    let nested = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
    assert!(parse(nested.as_bytes()).unwrap_err().contains("exceeded max depth"));
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(parse(chain.as_bytes()).unwrap_err().contains("exceeded max depth"));
}

#[test]
fn broken_documents_name_their_line() {
    assert!(parse(b"a: 1\n b: 2\n").unwrap_err().starts_with("yaml: line 2: "));
    assert!(parse(b"a: [1\n").is_err());
    assert_eq!(parse(b"\xff").unwrap_err(), "yaml: invalid leading UTF-8 octet");
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a&*<\\-:\\[\\]{},\"' \\n|!1]{0,40}") {
        let _ = parse(text.as_bytes());
    }
}
