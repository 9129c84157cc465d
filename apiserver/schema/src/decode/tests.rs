//! Messages, canonical forms, and what no document can do.

mod golden;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{FieldDraft, SchemaBuilder, Shape};
use crate::{builtin, encode};

fn ty(name: &str) -> TypeId {
    builtin().lookup(name).unwrap_or_else(|| panic!("no type {name}"))
}

fn decode(name: &str, text: &str) -> Result<Decoded, DecodeError> {
    Document::parse(text.as_bytes(), Encoding::Json).and_then(|document| document.decode(builtin(), ty(name)))
}

fn error(name: &str, text: &str) -> String {
    decode(name, text).unwrap_err().to_string()
}

fn strict(name: &str, text: &str, encoding: Encoding) -> String {
    let document = Document::parse(text.as_bytes(), encoding).unwrap();
    let decoded = document.decode(builtin(), ty(name)).unwrap();
    decoded.enforce(FieldValidation::Strict).unwrap_err().to_string()
}

fn canonical(name: &str, text: &str) -> String {
    let decoded = decode(name, text).unwrap();
    String::from_utf8(encode(builtin(), ty(name), &decoded.value)).unwrap()
}

#[test]
fn strict_errors_name_unknown_and_repeated_fields_in_order() {
    let text = r#"{"spec":{"unknownField":"x","replicas":1,"replicas":2}}"#;
    assert_eq!(
        strict("apps/v1.Deployment", text, Encoding::Json),
        "strict decoding error: unknown field \"spec.unknownField\", duplicate field \"spec.replicas\""
    );
    let text = r#"{"spec":{"template":{"spec":{"containers":[{"ports":[{}, {"foo":1}]}]}}},"x":1,"x":2}"#;
    assert_eq!(
        strict("apps/v1.Deployment", text, Encoding::Json),
        "strict decoding error: unknown field \"spec.template.spec.containers[0].ports[1].foo\", unknown field \"x\""
    );
    let text = r#"{"metadata":{"labels":{"a":"1","a":"2"},"Name":"x"}}"#;
    assert_eq!(
        strict("core/v1.Pod", text, Encoding::Json),
        "strict decoding error: duplicate field \"metadata.labels.a\", unknown field \"metadata.Name\""
    );
}

#[test]
fn repeated_keys_in_yaml_come_first() {
    let text = "metadata:\n  name: a\nspec:\n  foo: 1\n  replicas: 1\n  replicas: 2\n";
    let expected = "strict decoding error: error converting YAML to JSON: yaml: unmarshal errors:\n  \
                    line 6: key \"replicas\" already set in map, unknown field \"spec.foo\"";
    assert_eq!(strict("apps/v1.Deployment", text, Encoding::Yaml), expected);
}

#[test]
fn warnings_are_the_violations() {
    let decoded = decode("core/v1.Pod", r#"{"foo":1}"#).unwrap();
    let (value, warnings) = decoded.clone().enforce(FieldValidation::Warn).unwrap();
    assert_eq!(warnings, ["unknown field \"foo\""]);
    assert_eq!(decoded.enforce(FieldValidation::Ignore), Ok((value, Vec::new())));
    assert_eq!("".parse(), Ok(FieldValidation::Warn));
    let unknown = "strict".parse::<FieldValidation>().unwrap_err().to_string();
    assert!(unknown.contains("Unsupported value: \"strict\""), "{unknown}");
}

#[test]
fn violations_are_bounded() {
    let fields: Vec<String> = (0..200).map(|at| format!("\"f{at}\":1")).collect();
    let decoded = decode("core/v1.Pod", &format!("{{{}}}", fields.join(","))).unwrap();
    assert_eq!(decoded.violations.len(), 100);
}

/// Type, document, message.
const MISMATCHES: &[(&str, &str, &str)] = &[
    (
        "apps/v1.Deployment",
        r#"{"spec":{"replicas":"3"}}"#,
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    (
        "apps/v1.Deployment",
        r#"{"spec":{"replicas":1.5}}"#,
        "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    (
        "apps/v1.Deployment",
        r#"{"spec":{"replicas":3000000000}}"#,
        "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    (
        "apps/v1.Deployment",
        r#"{"spec":[]}"#,
        "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec",
    ),
    ("apps/v1.Deployment", "[]", "json: cannot unmarshal array into Go value of type v1.Deployment"),
    (
        "core/v1.Pod",
        r#"{"spec":{"containers":{}}}"#,
        "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
    ),
    (
        "core/v1.Pod",
        r#"{"spec":{"containers":[{"args":[1]}]}}"#,
        "json: cannot unmarshal number into Go struct field Container.spec.containers.args of type string",
    ),
    (
        "core/v1.Pod",
        r#"{"spec":{"volumes":[{"hostPath":1}]}}"#,
        "json: cannot unmarshal number into Go struct field Volume.spec.volumes.hostPath of type v1.HostPathVolumeSource",
    ),
    (
        "core/v1.Pod",
        r#"{"metadata":{"labels":{"a":true}}}"#,
        "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
    ),
    (
        "core/v1.Pod",
        r#"{"metadata":{"labels":"a"}}"#,
        "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string",
    ),
    (
        "core/v1.Pod",
        r#"{"metadata":{"creationTimestamp":1}}"#,
        "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
    ),
    (
        "core/v1.Service",
        r#"{"spec":{"ports":[{"targetPort":true}]}}"#,
        "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
    ),
    (
        "core/v1.Service",
        r#"{"spec":{"type":1}}"#,
        "json: cannot unmarshal number into Go struct field ServiceSpec.spec.type of type v1.ServiceType",
    ),
    (
        "core/v1.Secret",
        r#"{"data":{"a":["b"]}}"#,
        "json: cannot unmarshal array into Go struct field Secret.data of type []uint8",
    ),
];

#[test]
fn types_that_do_not_fit_are_described_as_go_does() {
    for (name, text, expected) in MISMATCHES {
        assert_eq!(error(name, text), *expected);
    }
}

#[test]
fn texts_that_do_not_parse_have_upstreams_messages() {
    let limits = |text: &str| {
        format!(r#"{{"spec":{{"containers":[{{"resources":{{"limits":{{"cpu":{text}}}}}}}]}}}}"#)
    };
    assert!(
        error("core/v1.Pod", &limits("\"x\"")).starts_with("quantities must match the regular expression '^")
    );
    assert!(
        error("core/v1.Pod", &limits("true")).starts_with("quantities must match the regular expression '^")
    );
    assert_eq!(error("core/v1.Pod", &limits("\"1i\"")), "unable to parse quantity's suffix");
    assert_eq!(error("core/v1.Secret", r#"{"data":{"a":"b"}}"#), "illegal base64 data at input byte 0");
    assert_eq!(error("core/v1.Secret", r#"{"data":{"a":"AAAA?"}}"#), "illegal base64 data at input byte 4");
    let time = error("core/v1.Pod", r#"{"metadata":{"creationTimestamp":"now"}}"#);
    assert!(time.starts_with("parsing time \"now\" as \"2006-01-02T15:04:05Z07:00\""), "{time}");
    let broken = Document::parse(b"{", Encoding::Json).unwrap_err().to_string();
    assert_eq!(broken, "couldn't get version/kind; json parse error: unexpected end of JSON input");
}

#[test]
fn unset_fields_are_written_as_go_writes_them() {
    assert_eq!(
        canonical(
            "apps/v1.Deployment",
            r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a"}}"#
        ),
        "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"selector\":null,\
         \"template\":{\"metadata\":{},\"spec\":{\"containers\":null}},\"strategy\":{}},\"status\":{}}"
    );
    assert_eq!(
        canonical("core/v1.Event", "{}"),
        "{\"metadata\":{},\"involvedObject\":{},\"source\":{},\"firstTimestamp\":null,\"lastTimestamp\":null,\
         \"eventTime\":null,\"reportingComponent\":\"\",\"reportingInstance\":\"\"}"
    );
}

#[test]
fn nulls_unset_and_empty_values_vanish() {
    let text = r#"{"metadata":{"name":null,"labels":{},"annotations":{"a":null},"creationTimestamp":null},
                   "immutable":false,"data":{"k":null},"type":""}"#;
    assert_eq!(
        canonical("core/v1.Secret", text),
        r#"{"metadata":{"annotations":{"a":""}},"immutable":false,"data":{"k":null}}"#
    );
    let text = r#"{"spec":{"containers":[null,{"name":"a","args":[null],"resources":null}]}}"#;
    assert_eq!(
        canonical("core/v1.Pod", text),
        "{\"metadata\":{},\"spec\":{\"containers\":[{\"name\":\"\",\"resources\":{}},\
         {\"name\":\"a\",\"args\":[\"\"],\"resources\":{}}]},\"status\":{}}"
    );
}

#[test]
fn scalars_are_rewritten() {
    let text = r#"{"metadata":{"creationTimestamp":"2020-01-01T01:00:00.5+01:00"},"data":{"k":"AB==\n"}}"#;
    assert_eq!(
        canonical("core/v1.Secret", text),
        r#"{"metadata":{"creationTimestamp":"2020-01-01T00:00:00Z"},"data":{"k":"AA=="}}"#
    );
    let text = r#"{"status":{"capacity":{"a":1e3,"b":" 1000m","c":0.5,"d":null}}}"#;
    let value = decode("core/v1.Node", text).unwrap().value;
    assert_eq!(value["status"]["capacity"], json!({"a": "1e3", "b": "1", "c": "500m", "d": "0"}));
}

#[test]
fn types_with_several_forms() {
    let schema = |text: &str| {
        let text = format!(
            r#"{{"spec":{{"versions":[{{"schema":{{"openAPIV3Schema":{{"properties":{{"a":{text}}}}}}}}}]}}}}"#
        );
        let decoded = decode("apiextensions/v1.CustomResourceDefinition", &text).unwrap();
        let value =
            decoded.value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["a"].clone();
        (value, decoded.violations.len())
    };
    let same = |text: &str| assert_eq!(schema(text).0, serde_json::from_str::<Value>(text).unwrap());
    same(r#"{"additionalProperties":true}"#);
    same(r#"{"additionalProperties":{"type":"string"}}"#);
    same(r#"{"items":{"type":"string"}}"#);
    same(r#"{"items":[{"type":"string"}]}"#);
    same(r#"{"default":{"b":[1,{"c":null}],"a":0.5},"enum":[null,1]}"#);
    assert_eq!(schema(r#"{"items":{"foo":1}}"#), (json!({"items": {}}), 0));
    assert_eq!(schema(r#"{"foo":1}"#), (json!({}), 1));
}

#[test]
fn documents_say_what_they_are() {
    let meta = |text: &'static str| {
        let document = Document::parse(text.as_bytes(), Encoding::Json).unwrap();
        document.type_meta().map(|meta| (meta.api_version, meta.kind)).map_err(|error| error.to_string())
    };
    assert_eq!(meta(r#"{"apiVersion":"v1","kind":"Pod"}"#), Ok(("v1".into(), "Pod".into())));
    assert_eq!(meta("{}"), Ok((String::new(), String::new())));
    assert!(meta("[]").unwrap_err().starts_with(
        "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct {"
    ));
    assert!(
        meta(r#"{"kind":1}"#)
            .unwrap_err()
            .ends_with("cannot unmarshal number into Go struct field .kind of type string")
    );
}

#[test]
fn documents_that_are_too_long_are_refused() {
    let error = Document::parse(&vec![b' '; MAX_DOCUMENT_BYTES + 1], Encoding::Json).unwrap_err();
    assert_eq!(error.to_string(), "Request entity too large: limit is 3145728");
}

#[test]
fn documents_of_too_many_objects_are_refused() {
    let pod = |containers: u32| {
        let containers = vec!["{}"; containers as usize].join(",");
        let text = format!(r#"{{"spec":{{"containers":[{containers}]}}}}"#);
        let document = Document::parse(text.as_bytes(), Encoding::Json).unwrap();
        document.decode(builtin(), builtin().lookup("core/v1.Pod").unwrap()).map(drop)
    };
    assert_eq!(pod(MAX_OBJECTS - 3), Ok(()));
    let refused = pod(MAX_OBJECTS).unwrap_err();
    assert_eq!(refused.to_string(), "Request entity too large: limit is 100000 objects within one");
}

#[test]
fn the_zero_time_is_unset() {
    let text = r#"{"metadata":{"deletionTimestamp":"0001-01-01T00:00:00Z"}}"#;
    assert_eq!(canonical("core/v1.Secret", text), r#"{"metadata":{}}"#);
}

#[test]
fn values_that_nest_too_deep_are_refused() {
    let deep = (0..200).fold(Value::Null, |inner, _| json!([inner]));
    let error = decode_value(builtin(), ty("apps/v1.ControllerRevision"), json!({"data": deep})).unwrap_err();
    assert_eq!(error, DecodeError::TooDeep);
}

/// A struct that keeps what it does not know, as custom resources may.
#[test]
fn preserved_fields_are_kept_and_checked_for_repetition() {
    let mut builder = SchemaBuilder::new();
    let text = builder.shape("string", Shape::String).unwrap();
    let fields = vec![FieldDraft::optional("a", text)];
    builder.structure("Custom", fields, crate::UnknownFields::Preserve, None, Vec::new()).unwrap();
    let schema = builder.build().unwrap();
    let ty = schema.lookup("Custom").unwrap();
    let text = br#"{"z":{"k":1,"k":1.0},"b":1,"a":"x","b":[{"l":1,"l":2}]}"#;
    let decoded = Document::parse(text, Encoding::Json).unwrap().decode(&schema, ty).unwrap();
    let found: Vec<String> = decoded.violations.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["duplicate field \"z.k\"", "duplicate field \"b\"", "duplicate field \"b[0].l\""]);
    let encoded = String::from_utf8(encode(&schema, ty, &decoded.value)).unwrap();
    assert_eq!(encoded, r#"{"a":"x","b":[{"l":2}],"z":{"k":1}}"#);
}

fn any_json() -> impl Strategy<Value = Value> {
    let names =
        "(apiVersion|kind|metadata|spec|status|name|labels|containers|limits|cpu|template|items|data|x)";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-zA-Z:.+-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((names, inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_panics_and_decoding_is_stable(value in any_json(), at in any::<prop::sample::Index>()) {
        let kinds: Vec<TypeId> =
            builtin().iter().filter(|(_, ty)| ty.kind.is_some()).map(|(id, _)| id).collect();
        let ty = *at.get(&kinds);
        if let Ok(once) = decode_value(builtin(), ty, value) {
            let encoded = encode(builtin(), ty, &once.value);
            let again = Document::parse(&encoded, Encoding::Json).unwrap().decode(builtin(), ty).unwrap();
            prop_assert_eq!(&again.violations, &[]);
            prop_assert_eq!(&again.value, &once.value);
            prop_assert_eq!(encode(builtin(), ty, &again.value), encoded);
        }
    }
}
