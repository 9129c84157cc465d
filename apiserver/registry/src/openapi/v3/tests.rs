//! The bytes of small documents by hand, and of all documents by a reader.

use serde_json::{Value, json};

use super::*;
use crate::openapi::builtin;

mod reader;

#[test]
fn fields_have_gnostics_numbers() {
    assert_eq!(encode(&json!({"openapi": "3.0.0"})), b"\x0a\x053.0.0");
    // Document 5, schemas 1, additional_properties 1: name 1 "T", value 2: schema 1: type 25 "string".
    let document = json!({"components": {"schemas": {"T": {"type": "string"}}}});
    assert_eq!(encode(&document), b"\x2a\x14\x0a\x12\x0a\x10\x0a\x01T\x12\x0b\x0a\x09\xca\x01\x06string");
    // Extensions are YAML: Document 9, name 1, value 2, yaml 2.
    assert_eq!(encode(&json!({"x-a": [1]})), b"\x4a\x0c\x0a\x03x-a\x12\x05\x12\x03[1]");
}

#[test]
fn a_reference_says_that_it_is_one() {
    let document = |schema: Value| encode(&json!({"components": {"schemas": {"T": schema}}}));
    // As above; then reference 2: _ref 1 "#/a", and schema 1 with all_of 26 of such a reference.
    let reference = json!({"$ref": "#/a"});
    assert_eq!(&document(reference.clone())[6..], b"\x0a\x01T\x12\x07\x12\x05\x0a\x03#/a".as_slice());
    assert_eq!(
        &document(json!({"allOf": [reference]}))[6..],
        b"\x0a\x01T\x12\x0c\x0a\x0a\xd2\x01\x07\x12\x05\x0a\x03#/a".as_slice()
    );
}

#[test]
fn defaults_are_scalars_or_only_there() {
    let default = |value: Value| {
        let document = encode(&json!({"components": {"schemas": {"T": {"default": value}}}}));
        // Schema 33, after the two bytes that begin the schema.
        let at = document.windows(2).position(|bytes| bytes == b"\x8a\x02").unwrap();
        document[at + 2..].to_vec()
    };
    assert_eq!(default(json!(0)), b"\x09\x09\0\0\0\0\0\0\0\0");
    assert_eq!(default(json!(1)), b"\x09\x09\0\0\0\0\0\0\xf0\x3f");
    assert_eq!(default(json!(false)), b"\x02\x10\x00");
    assert_eq!(default(json!("")), b"\x02\x1a\x00");
    assert_eq!(default(json!("a")), b"\x03\x1a\x01a");
    assert_eq!(default(json!({})), b"\x00");
}

/// What the messages cannot say stands in the document as they say it. Keys may be names, of properties.
fn as_messages_say(document: &mut Value, are_names: bool) {
    match document {
        Value::Object(fields) => {
            for (key, value) in fields {
                if !are_names && key == "default" && (value.is_object() || value.is_array()) {
                    *value = json!({});
                }
                as_messages_say(value, !are_names && key == "properties");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| as_messages_say(item, false)),
        Value::Number(number) => *document = json!(number.as_f64()),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Every schema, operation, parameter, answer, reference and extension of every document.
#[test]
fn nothing_of_any_document_is_lost() {
    let index = builtin().document("/openapi/v3", None).unwrap();
    let index: Value = serde_json::from_slice(&index.body).unwrap();
    let names: Vec<&String> = index["paths"].as_object().unwrap().keys().collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let get =
            |accept: &str| &builtin().document(&format!("/openapi/v3/{name}"), Some(accept)).unwrap().body;
        let mut expected: Value = serde_json::from_slice(get("application/json")).unwrap();
        as_messages_say(&mut expected, false);
        let found = reader::read("Document", get(MEDIA_TYPES[0]));
        same(&found, &expected, name);
    }
}

/// Panics with the first place where they differ: the documents are too long to be printed.
fn same(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            let (mut left_keys, mut right_keys) = (keys(left), keys(right));
            left_keys.sort_unstable();
            right_keys.sort_unstable();
            assert_eq!(left_keys, right_keys, "{place}");
            left.iter().for_each(|(key, value)| same(value, &right[key], &format!("{place} {key}")));
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len(), "{place}");
            left.iter().zip(right).for_each(|(left, right)| same(left, right, place));
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}
