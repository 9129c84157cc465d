//! Forms of answers.

use keelson_api_schema::Document;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing;

fn wanted(accept: &str) -> Option<(Media, Form)> {
    Wanted::parse(accept).ok().map(|wanted| (wanted.media, wanted.form))
}

#[test]
fn the_most_wanted_form_that_is_known_is_taken() {
    use Media::{Json, Protobuf, Yaml};
    let table = Form::Table(Include::Metadata);
    let cases = [
        ("", Some((Json, Form::Object))),
        ("*/*", Some((Json, Form::Object))),
        ("application/json", Some((Json, Form::Object))),
        ("application/yaml", Some((Yaml, Form::Object))),
        ("application/json;q=0.5, application/yaml", Some((Yaml, Form::Object))),
        ("application/json;q=0, application/yaml;q=0.1", Some((Yaml, Form::Object))),
        ("application/vnd.kubernetes.protobuf,application/json", Some((Protobuf, Form::Object))),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", None),
        ("application/cbor, application/json;q=0.9", Some((Json, Form::Object))),
        ("application/vnd.kubernetes.protobuf", Some((Protobuf, Form::Object))),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Some((Protobuf, Form::Partial(Count::One))),
        ),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", Some((Json, table))),
        (
            "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            Some((Json, table)),
        ),
        (
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some((Json, Form::Partial(Count::Many))),
        ),
        ("application/json;as=Table;v=v9;g=meta.k8s.io", None),
        ("application/json;stream=watch", Some((Json, Form::Object))),
        ("text/html, */*;q=0.1", Some((Json, Form::Object))),
        ("text/html", None),
    ];
    for (accept, expected) in cases {
        assert_eq!(wanted(accept), expected, "{accept}");
    }
    let error = Wanted::parse("text/html").unwrap_err();
    assert_eq!((error.code.as_u16(), error.reason), (406, "NotAcceptable"));
    assert!(Wanted::parse("application/yaml").unwrap().streamed().is_err());
}

#[test]
fn bodies_are_json_yaml_or_protobuf() {
    let encoding =
        |text: &str| encoding_of(Some(&text.parse().unwrap())).map_err(|error| error.code.as_u16());
    assert_eq!(encoding_of(None).unwrap(), Encoding::Json);
    assert_eq!(encoding("application/json; charset=utf-8"), Ok(Encoding::Json));
    assert_eq!(encoding("application/yaml"), Ok(Encoding::Yaml));
    assert_eq!(encoding("application/vnd.kubernetes.protobuf"), Ok(Encoding::Protobuf));
    assert_eq!(encoding("application/cbor"), Err(415));
    let refused = encoding_of(Some(&"text/plain".parse().unwrap())).unwrap_err();
    assert_eq!(
        refused.message,
        "the body of the request was in an unknown format - accepted media types include: \
         application/json, application/yaml, application/vnd.kubernetes.protobuf"
    );
    assert_eq!(encoding("text/plain"), Err(415));
}

#[test]
fn pretty_json_is_indented_as_go_does() {
    let json = br#"{"a":[1,{"b":"x\",{:["}],"c":{},"d":[]}"#;
    let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x\\\",{:[\"\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}\n";
    assert_eq!(String::from_utf8(indented(json)).unwrap(), expected);
}

#[test]
fn yaml_looks_as_upstreams() {
    let value = json!({
        "apiVersion": "v1",
        "data": {"script": "#!/bin/sh\necho 'a: b'\n", "one": "1", "yes": "yes", "empty": "", "keep": "a\n\n"},
        "items": [{"name": "x", "ports": [{"port": 80}, {"port": 81}]}, [1, [2]], {}, []],
        "image": "example.com/app:v1",
        "created": "2024-01-01T00:00:00Z",
        "nothing": null,
    });
    let expected = "\
apiVersion: v1
created: \"2024-01-01T00:00:00Z\"
data:
  empty: \"\"
  keep: |+
    a

  one: \"1\"
  script: |
    #!/bin/sh
    echo 'a: b'
  \"yes\": \"yes\"
image: example.com/app:v1
items:
- name: x
  ports:
  - port: 80
  - port: 81
- - 1
  - - 2
- {}
- []
nothing: null
";
    assert_eq!(String::from_utf8(yaml(value.to_string().as_bytes())).unwrap(), expected);
}

fn value() -> impl Strategy<Value = Value> {
    let text = "[a-zA-Z0-9 :#\\-\n'\"\\\\{}\\[\\],&*!|>%@`~=?\té\u{85}\u{feff}.+_/]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text.prop_map(Value::from),
        prop::sample::select(vec![
            "yes", "~", "null", ".inf", "0x1F", "1e3", "1_000", "12:30:45", "<<", "=", "-", "? x", "a #b",
            "---", "...", "a\nb\n\n", "\n", " a\nb", "a\n b"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn yaml_comes_back(value in value()) {
        let text = yaml(value.to_string().as_bytes());
        let read = Document::parse(&text, Encoding::Yaml).and_then(Document::decode_untyped);
        let shown = String::from_utf8(text).unwrap();
        prop_assert_eq!(read.map(|read| read.value).map_err(|error| error.to_string()), Ok(value), "{}", shown);
    }

    #[test]
    fn indentation_changes_nothing(value in value()) {
        let text = indented(value.to_string().as_bytes());
        prop_assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), value);
    }
}

#[test]
fn a_warning_is_told_once_and_many_do_not_fill_the_head() {
    let mut headers = HeaderMap::new();
    for warning in ["one", "two", "one"] {
        warn(&mut headers, warning);
    }
    assert_eq!(headers.get_all(WARNING).iter().count(), 2);
    for number in 0..100 {
        warn(&mut headers, &format!("{number}{}", "x".repeat(1000)));
    }
    let sizes: Vec<usize> = headers.get_all(WARNING).iter().map(HeaderValue::len).collect();
    assert!(sizes.iter().sum::<usize>() <= MAX_ALL_WARNINGS + 10, "{sizes:?}");
    assert!(sizes.iter().any(|size| *size > 1000), "{sizes:?}");
    assert!(sizes.iter().any(|size| (MAX_FURTHER_WARNING..300).contains(size)), "{sizes:?}");
}

#[test]
fn warnings_are_headers_and_cannot_break_them() {
    let text = |warning: &str| warning_value(warning).unwrap().to_str().unwrap().to_owned();
    assert_eq!(text("unknown field \"x\""), r#"299 - "unknown field \"x\"""#);
    assert_eq!(text("a\r\nSet-Cookie: x"), r#"299 - "a  Set-Cookie: x""#);
}

#[test]
fn one_object_goes_out_in_every_form() {
    testing::with_server(async |testing::Site { server, .. }| {
        let object = testing::config_map("a", "x", &[], "1");
        let stored = server.objects.create(testing::config_maps(), &object, &[]).await.unwrap();
        let answer = async |accept: &str, query: &str| {
            let uri = format!("/api/v1/namespaces/a/configmaps/x?{query}");
            let call = testing::call(&server, "GET", &uri, &[("accept", accept)], "");
            testing::body(respond(&call, StatusCode::OK, &stored, &[]).unwrap()).await
        };
        let json = answer("application/json", "").await;
        assert_eq!(json.as_bytes(), [&stored.json[..], b"\n"].concat());
        let yaml = answer("application/yaml", "").await;
        assert!(
            yaml.starts_with("apiVersion: v1\ndata:\n  value: \"1\"\nkind: ConfigMap\nmetadata:\n"),
            "{yaml}"
        );
        let version = stored.revision;
        let partial = answer("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "").await;
        let metadata = format!(
            r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"x","namespace":"a","uid":"uid-x","resourceVersion":"{version}"}}}}"#
        );
        assert_eq!(partial, format!("{metadata}\n"));
        let list = [("accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")];
        let call = testing::call(&server, "GET", "/api/v1/namespaces/a/configmaps/x", &list, "");
        let error = respond(&call, StatusCode::OK, &stored, &[]).unwrap_err();
        assert_eq!(
            (error.code.as_u16(), error.message.as_str()),
            (
                406,
                "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)"
            )
        );
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let shown: Value = serde_json::from_str(&answer(table, "").await).unwrap();
        assert_eq!(shown["kind"], "Table");
        assert_eq!(shown["metadata"]["resourceVersion"], version.to_string());
        assert_eq!(shown["rows"][0]["object"], serde_json::from_str::<Value>(&metadata).unwrap());
        assert_eq!(shown["rows"][0]["cells"][0], "x");
        assert_eq!(shown["columnDefinitions"][0]["format"], "name");
        let bare: Value = serde_json::from_str(&answer(table, "includeObject=None").await).unwrap();
        assert_eq!(bare["rows"][0]["object"], Value::Null);
        let whole: Value = serde_json::from_str(&answer(table, "includeObject=Object").await).unwrap();
        assert_eq!(whole["rows"][0]["object"], stored.object.0);
    });
}

#[test]
fn what_has_no_metadata_is_no_row() {
    testing::with_server(async |testing::Site { server, .. }| {
        let review =
            Object(json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}));
        let uri = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
        let call = testing::call(&server, "POST", uri, &accept, "");
        let error = respond(&call, StatusCode::CREATED, &review, &[]).unwrap_err();
        assert_eq!((error.code.as_u16(), error.reason), (406, "NotAcceptable"));
    });
}
