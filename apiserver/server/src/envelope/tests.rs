//! Splicing is the same as setting the field, whatever the object looks like.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn spliced(json: &str, revision: u64) -> String {
    let stored: Bytes = encode("v1", json.as_bytes()).unwrap().into();
    let spliced = decode(&stored).unwrap().at(Revision::new(revision));
    String::from_utf8(spliced.json.to_vec()).unwrap()
}

#[test]
fn the_resource_version_stands_after_the_uid() {
    let cases = [
        (
            r#"{"kind":"A","metadata":{"name":"a","uid":"u","generation":1},"x":{"uid":"v"}}"#,
            r#"{"kind":"A","metadata":{"name":"a","uid":"u","resourceVersion":"7","generation":1},"x":{"uid":"v"}}"#,
        ),
        (r#"{"metadata":{}}"#, r#"{"metadata":{"resourceVersion":"7"}}"#),
        (
            r#"{"metadata":{"labels":{"uid":"x"}}}"#,
            r#"{"metadata":{"resourceVersion":"7","labels":{"uid":"x"}}}"#,
        ),
        (r#"{"metadata":{"name":"a"}}"#, r#"{"metadata":{"name":"a","resourceVersion":"7"}}"#),
        (r#"{"metadata":{"name":"a\"}"}}"#, r#"{"metadata":{"name":"a\"}","resourceVersion":"7"}}"#),
    ];
    for (stored, sent) in cases {
        assert_eq!(spliced(stored, 7), sent);
    }
}

#[test]
fn an_old_resource_version_is_dropped() {
    for stored in [
        r#"{"metadata":{"resourceVersion":"3"}}"#,
        r#"{"metadata":{"resourceVersion":"3","labels":{}}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":"3"}}"#,
        r#"{"metadata":{"name":"a","resourceVersion":"3","labels":{}}}"#,
    ] {
        assert_eq!(spliced(stored, 12), stored.replace("\"3\"", "\"12\""));
    }
}

#[test]
fn what_is_no_object_with_metadata_is_refused() {
    for json in ["", "{}", "[]", r#"{"metadata":3}"#, r#"{"metadata":{"name""#, r#"{"spec":{"metadata":{}}}"#]
    {
        assert!(encode("v1", json.as_bytes()).is_err(), "{json}");
    }
    assert_eq!(decode(&Bytes::from_static(b"\x02")), Err(EnvelopeError::Format(2)));
    assert!(decode(&Bytes::new()).is_err());
}

fn metadata() -> impl Strategy<Value = Map<String, Value>> {
    let text = "[a-z\\\\\"{}:,é\n]{0,6}";
    let field = prop_oneof![prop::sample::select(vec![
        "name",
        "namespace",
        "uid",
        "labels",
        "zeta",
        "resourceVersion"
    ])];
    prop::collection::btree_map(field, text, 0..6).prop_map(|fields| {
        let value = |(name, text): (&str, String)| match name {
            "labels" => (name.to_owned(), json!({ text.clone(): text })),
            _ => (name.to_owned(), Value::String(text)),
        };
        fields.into_iter().map(value).collect()
    })
}

proptest! {
    #[test]
    fn splicing_sets_the_field(meta in metadata(), rest in "[a-z{}\"\\\\]{0,8}", first in 0..u64::MAX, then in 0..u64::MAX) {
        let mut object = json!({"a": [rest, {"metadata": {}}], "metadata": meta, "n": -1.5e3});
        let stored = Bytes::from(encode("apps/v1", object.to_string().as_bytes()).unwrap());
        let envelope = decode(&stored).unwrap();
        prop_assert_eq!(&envelope.api_version, "apps/v1");
        let at_first = envelope.at(Revision::new(first));
        for (spliced, revision) in [(at_first.moved_to(Revision::new(then)), then), (at_first, first)] {
            object["metadata"]["resourceVersion"] = revision.to_string().into();
            prop_assert_eq!(&serde_json::from_slice::<Value>(&spliced.json).unwrap(), &object);
            prop_assert_eq!(&serde_json::from_slice::<Value>(&spliced.metadata()).unwrap(), &object["metadata"]);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), json in "[{}\\[\\]:,\"\\\\a1 ]{0,24}") {
        if let Ok(envelope) = decode(&bytes.into()) {
            envelope.at(Revision::MAX);
        }
        if let Ok(stored) = encode("v1", json.as_bytes()) {
            decode(&stored.into()).unwrap().at(Revision::MAX);
        }
    }
}
