//! Messages that upstream's writers never make, in hand-made bytes. What they do make is compared with its JSON in the
//! tests of `decode`, on upstream's golden objects.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Document, Encoding, builtin};

/// A field that is written as a length and bytes.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(content);
    out
}

/// A body of some kind.
fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, api_version), field(2, kind)].concat();
    [MAGIC.to_vec(), field(1, meta), field(2, raw)].concat()
}

fn decode(name: &str, raw: &[u8]) -> Result<Value, String> {
    let ty = builtin().lookup(name).unwrap();
    let body = body("", "", raw);
    let document = Document::parse(&body, Encoding::Protobuf).unwrap();
    document.decode(builtin(), ty).map(|decoded| decoded.value).map_err(|error| error.to_string())
}

fn refused(name: &str, raw: &[u8]) -> String {
    decode(name, raw).unwrap_err()
}

#[test]
fn the_frame_names_the_kind_and_may_be_wrong() {
    let body = body("v1", "ServiceAccount", &field(1, field(1, "till")));
    let document = Document::parse(&body, Encoding::Protobuf).unwrap();
    let expected = TypeMeta { api_version: "v1".into(), kind: "ServiceAccount".into() };
    assert_eq!(document.type_meta().unwrap(), expected);
    let ty = builtin().lookup("core/v1.ServiceAccount").unwrap();
    let decoded = document.decode(builtin(), ty).unwrap();
    assert_eq!(
        decoded.value,
        json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "till"}})
    );
    let error = |bytes: &[u8]| Document::parse(bytes, Encoding::Protobuf).unwrap_err().to_string();
    assert_eq!(error(b""), "empty data");
    assert_eq!(error(b"k8s\0"), "empty body");
    let prefix = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
    assert_eq!(error(b"{}"), prefix);
    assert_eq!(error(b"k8s\0\x0a\x05"), "unexpected EOF");
    assert_eq!(error(b"k8s\0\x10\x05"), "proto: wrong wireType = 0 for field Raw");
    let long = vec![b'k'; crate::MAX_DOCUMENT_BYTES + 1];
    assert!(error(&long).starts_with("Request entity too large"));
}

#[test]
fn malformed_messages_are_refused_in_gogos_words() {
    let table: &[(&[u8], &str)] = &[
        (b"\x0a", "unexpected EOF"),
        (b"\x0a\x01", "unexpected EOF"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: negative length found during unmarshaling"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: integer overflow"),
        (b"\x08\x01", "proto: wrong wireType = 0 for field ObjectMeta"),
        (b"\x22\x00", "proto: wrong wireType = 2 for field AutomountServiceAccountToken"),
        (b"\x02\x00", "proto: ServiceAccount: illegal tag 0 (wire type 2)"),
        (b"\x0c", "proto: ServiceAccount: wiretype end group for non-group"),
        (b"\x0f", "proto: illegal wireType 7"),
        (b"\xfb\x01\x08\x01", "unexpected EOF"),
        (b"\x0a\x02\x0a\x05", "unexpected EOF"),
    ];
    for (raw, expected) in table {
        assert_eq!(refused("core/v1.ServiceAccount", raw), *expected, "{raw:?}");
    }
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let unknown: &[u8] =
        b"\xf8\x01\x07\xf9\x0112345678\xfa\x01\x03abc\xfb\x01\x08\x01\x13\x14\xfc\x01\xfd\x011234";
    let raw = [unknown, &field(1, field(1, "a")), unknown].concat();
    assert_eq!(decode("core/v1.ServiceAccount", &raw), Ok(json!({"metadata": {"name": "a"}})));
}

#[test]
fn of_repeated_single_fields_the_last_counts_and_messages_merge() {
    let raw = [field(1, field(1, "a")), field(1, field(3, "shop")), field(1, field(1, "b"))].concat();
    let expected = json!({"metadata": {"name": "b", "namespace": "shop"}});
    assert_eq!(decode("core/v1.ServiceAccount", &raw), Ok(expected));
    let entry = |value| field(2, [field(1, "k"), field(2, value)].concat());
    let raw = [entry("1"), field(2, ""), entry("2")].concat();
    assert_eq!(decode("core/v1.ConfigMap", &raw), Ok(json!({"metadata": {}, "data": {"k": "2", "": ""}})));
}

#[test]
fn packed_and_single_numbers_make_one_list() {
    let raw = [field(4, [1, 2]), vec![0x20, 3]].concat();
    let expected = json!({"supplementalGroups": [1, 2, 3]});
    assert_eq!(decode("core/v1.PodSecurityContext", &raw), Ok(expected));
}

#[test]
fn times_quantities_and_other_scalars_are_written_as_in_json() {
    let meta = |time: &[u8]| decode("meta/v1.ObjectMeta", &field(8, time));
    assert_eq!(meta(b""), Ok(json!({})));
    assert_eq!(meta(b"\x10\x07"), Ok(json!({"creationTimestamp": "1970-01-01T00:00:00Z"})));
    // The zero time of Go, written out.
    assert_eq!(meta(b"\x08\x80\x92\xb8\xc3\x98\xfe\xff\xff\xff\x01"), Ok(json!({})));
    let error = meta(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f").unwrap_err();
    assert_eq!(error, "protobuf: time: year out of range");
    let micro =
        |time: &[u8]| decode("coordination/v1.LeaseSpec", &field(3, time)).unwrap()["acquireTime"].clone();
    assert_eq!(micro(b"\x08\x01\x10\x88\x27"), json!("1970-01-01T00:00:01.000005Z"));
    assert_eq!(
        micro(b"\x08\x01\x10\x98\xf8\xff\xff\xff\xff\xff\xff\xff\x01"),
        json!("1970-01-01T00:00:00.999999Z")
    );
    let limits = |quantity: &[u8]| {
        let entry = [field(1, "cpu"), field(2, quantity)].concat();
        decode("core/v1.ResourceRequirements", &field(1, entry))
    };
    assert_eq!(limits(&field(1, "1000m")), Ok(json!({"limits": {"cpu": "1"}})));
    assert_eq!(limits(b""), Ok(json!({"limits": {"cpu": "0"}})));
    assert!(limits(&field(1, "x")).unwrap_err().starts_with("quantities must match the regular expression"));
    let port = |raw: &[u8]| decode("core/v1.HTTPGetAction", &field(2, raw)).map(|got| got["port"].clone());
    assert_eq!(port(b"\x10\x50"), Ok(json!(80)));
    assert_eq!(port(b"\x08\x01\x1a\x04http"), Ok(json!("http")));
    assert_eq!(port(b"\x08\x02"), Err("impossible IntOrString.Type".to_owned()));
    assert_eq!(decode("core/v1.LocalObjectReference", &field(1, b"a\xff")), Ok(json!({"name": "a\u{fffd}"})));
}

#[test]
fn schemas_of_custom_resources_are_read() {
    let maximum = [b"\x49".as_slice(), &1.5f64.to_le_bytes()].concat();
    let read = |raw: &[u8]| decode("apiextensions/v1.JSONSchemaProps", raw);
    assert_eq!(read(&maximum), Ok(json!({"maximum": 1.5})));
    let not_a_number = [b"\x49".as_slice(), &f64::NAN.to_le_bytes()].concat();
    assert_eq!(read(&not_a_number), Err("json: unsupported value: NaN".to_owned()));
    let default = |json: &str| read(&field(8, field(1, json)));
    assert_eq!(default("{\"a\":[1,null]}"), Ok(json!({"default": {"a": [1, null]}})));
    assert_eq!(default("{"), Err("json: unexpected end of JSON input".to_owned()));
    // Fields 30 and 24, whose tags take two bytes.
    let or_bool =
        |content: &[u8]| read(&[&[0xf2, 0x01, u8::try_from(content.len()).unwrap()], content].concat());
    assert_eq!(or_bool(b"\x08\x01"), Ok(json!({"additionalProperties": true})));
    assert_eq!(or_bool(b""), Ok(json!({"additionalProperties": false})));
    assert_eq!(or_bool(&field(2, field(5, "x"))), Ok(json!({"additionalProperties": {"type": "x"}})));
    let or_list =
        |content: &[u8]| read(&[&[0xc2, 0x01, u8::try_from(content.len()).unwrap()], content].concat());
    assert_eq!(or_list(&field(1, field(5, "x"))), Ok(json!({"items": {"type": "x"}})));
    assert_eq!(or_list(&field(2, field(5, "x"))), Ok(json!({"items": [{"type": "x"}]})));
}

#[test]
fn depth_is_bounded() {
    // `not`, again and again: field 28.
    let nested = |levels: usize| {
        (0..levels).fold(Vec::new(), |inner, _| {
            let mut out = field(2, inner);
            out.splice(..1, [0xe2, 0x01]);
            out
        })
    };
    assert!(decode("apiextensions/v1.JSONSchemaProps", &nested(119)).is_ok());
    for levels in [120, 5_000] {
        let error = refused("apiextensions/v1.JSONSchemaProps", &nested(levels));
        assert_eq!(error, "json: exceeded max depth");
    }
    // JSON inside counts along.
    let list = |levels: usize| field(8, field(1, "[".repeat(levels) + &"]".repeat(levels)));
    assert!(decode("apiextensions/v1.JSONSchemaProps", &list(119)).is_ok());
    assert_eq!(refused("apiextensions/v1.JSONSchemaProps", &list(120)), "json: exceeded max depth");
    let groups = [0xfb, 0x01].repeat(1_000_000);
    assert_eq!(refused("core/v1.Pod", &groups), "unexpected EOF");
}

#[test]
fn the_number_of_values_is_bounded() {
    let error = "protobuf: more than 1048576 values";
    let ports = field(4, vec![1; 1_100_000]);
    assert_eq!(refused("core/v1.PodSecurityContext", &ports), error);
    let finalizers = [0x72, 0x00].repeat(1_100_000);
    assert_eq!(refused("meta/v1.ObjectMeta", &finalizers), error);
}

#[test]
fn every_number_of_a_message_leads_to_its_field() {
    for (_, ty) in builtin().iter() {
        let Some(fields) = ty.as_struct() else { continue };
        let inner = |at| fields.embedded.iter().any(|run| (run.start..run.start + run.len).contains(&at));
        for (at, field) in (0u16..).zip(&fields.fields).filter(|(at, _)| !inner(*at)) {
            let Some(proto) = field.proto else { continue };
            let found = message::slot(fields, proto.number);
            assert_eq!(found, Some(message::Slot::Field(at.into())), "{} {}", ty.name, field.name);
        }
        for (at, run) in fields.embedded.iter().enumerate() {
            let Some(proto) = run.proto else { continue };
            assert_eq!(message::slot(fields, proto.number), Some(message::Slot::Embedded(at)), "{}", ty.name);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(raw in proptest::collection::vec(any::<u8>(), 0..96), at in any::<prop::sample::Index>()) {
        let kinds: Vec<TypeId> = builtin().iter().filter(|(_, ty)| ty.as_struct().is_some()).map(|(id, _)| id).collect();
        let framed = body("v1", "Pod", &raw);
        for bytes in [framed.as_slice(), &[MAGIC, &raw].concat()] {
            if let Ok(document) = Document::parse(bytes, Encoding::Protobuf) {
                drop(document.decode(builtin(), *at.get(&kinds)));
            }
        }
    }

    /// Bytes that look like messages get deeper than arbitrary ones, and what is read is canonical.
    #[test]
    fn what_is_read_is_canonical(
        records in proptest::collection::vec((1..16u8, proptest::collection::vec(0..16u8, 0..24)), 0..6),
        at in any::<prop::sample::Index>(),
    ) {
        let kinds: Vec<TypeId> = builtin().iter().filter(|(_, ty)| ty.as_struct().is_some()).map(|(id, _)| id).collect();
        let ty = *at.get(&kinds);
        let raw: Vec<u8> = records.iter().flat_map(|(number, content)| field(*number, content)).collect();
        let body = body("", "", &raw);
        if let Ok(decoded) = Document::parse(&body, Encoding::Protobuf).unwrap().decode(builtin(), ty) {
            let again = crate::decode_value(builtin(), ty, decoded.value.clone()).unwrap();
            prop_assert_eq!(again, decoded);
        }
    }
}

/// The message inside of a written frame.
fn written(name: &str, value: &Value) -> Vec<u8> {
    let ty = crate::builtin().lookup(name).unwrap();
    let frame = crate::encode_protobuf(crate::builtin(), ty, value);
    // Frame: magic, type meta (empty: nothing here names itself), raw, contentEncoding, contentType.
    let raw = frame.strip_prefix(b"k8s\0\x0a\x04\x0a\x00\x12\x00\x12").unwrap();
    let message = raw.strip_suffix(b"\x1a\x00\x22\x00").unwrap();
    let (length, message) = message.split_first().unwrap();
    assert_eq!(usize::from(*length), message.len(), "short enough for one byte");
    message.to_vec()
}

#[test]
fn what_go_holds_by_value_is_written_always_and_pointers_when_they_are_set() {
    use serde_json::json;
    let port = |value| written("core/v1.ServicePort", &value);
    let number = b"\x22\x06\x08\x00\x10\x50\x1a\x00";
    let expected = [&b"\x0a\x01a\x12\x03TCP\x18\x50"[..], number, b"\x28\x00"].concat();
    assert_eq!(port(json!({"name": "a", "protocol": "TCP", "port": 80, "targetPort": 80})), expected);
    let named = [&b"\x0a\x00\x12\x00\x18\x00"[..], b"\x22\x08\x08\x01\x10\x00\x1a\x02hi\x28\x00"].concat();
    assert_eq!(port(json!({"targetPort": "hi", "appProtocol": null})), named);
    let with_pointer = port(json!({"targetPort": "hi", "appProtocol": ""}));
    assert_eq!(with_pointer, [&named[..], b"\x32\x00"].concat());
}

#[test]
fn maps_are_written_by_key_and_times_in_seconds() {
    use serde_json::json;
    let requirements = json!({"limits": {"memory": "1Gi", "cpu": "0"}});
    let expected = b"\x0a\x0a\x0a\x03cpu\x12\x03\x0a\x010\x0a\x0f\x0a\x06memory\x12\x05\x0a\x031Gi";
    assert_eq!(written("core/v1.ResourceRequirements", &requirements), expected);
    let running = |value| written("core/v1.ContainerStateRunning", &json!({"startedAt": value}));
    assert_eq!(running(json!("1970-01-01T00:01:00Z")), b"\x0a\x04\x08\x3c\x10\x00");
    assert_eq!(running(json!(null)), b"\x0a\x00");
}
