//! Lists over a store of one replica.

use serde_json::Value;

use super::*;
use crate::testing;

async fn fill(server: &Server, namespace: &str, names: &[&str]) {
    for name in names {
        let label = if name.len() % 2 == 0 { "even" } else { "odd" };
        let object = testing::config_map(namespace, name, &[("length", label)], name);
        server.objects.create(testing::config_maps(), &object, &[]).await.unwrap();
    }
}

async fn try_list(server: &Arc<Server>, path: &str) -> Result<Value, ApiError> {
    let call = testing::call(server, "GET", path, &[], "");
    let text = testing::body(list(server, &call).await?).await;
    assert!(text.ends_with("}\n"), "{text}");
    Ok(serde_json::from_str(&text).unwrap())
}

async fn get(server: &Arc<Server>, path: &str) -> Value {
    try_list(server, path).await.unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn a_list_has_everything_that_matches_at_one_revision() {
    testing::with_server(async |testing::Site { server, .. }| {
        fill(&server, "a", &["x", "yy", "z"]).await;
        fill(&server, "ab", &["w"]).await;
        let all = get(&server, "/api/v1/configmaps").await;
        assert_eq!((all["kind"].as_str(), all["apiVersion"].as_str()), (Some("ConfigMapList"), Some("v1")));
        assert_eq!(names(&all), ["x", "yy", "z", "w"]);
        assert_eq!(all["metadata"], serde_json::json!({"resourceVersion": "5"}));
        assert_eq!(all["items"][0]["metadata"]["resourceVersion"], "2");
        assert_eq!(names(&get(&server, "/api/v1/namespaces/a/configmaps").await), ["x", "yy", "z"]);
        assert_eq!(names(&get(&server, "/api/v1/namespaces/none/configmaps").await), [""; 0]);
        let cases: [(&str, &[&str]); 6] = [
            ("labelSelector=length%3Deven", &["yy"]),
            ("labelSelector=length!=even", &["x", "z", "w"]),
            ("fieldSelector=metadata.name%3Dw", &["w"]),
            ("fieldSelector=metadata.namespace%3Da,metadata.name!%3Dx", &["yy", "z"]),
            ("fieldSelector=metadata.namespace%3Da,metadata.name%3Dx", &["x"]),
            ("resourceVersion=0", &["x", "yy", "z", "w"]),
        ];
        for (query, expected) in cases {
            assert_eq!(
                names(&get(&server, &format!("/api/v1/configmaps?{query}")).await),
                expected,
                "{query}"
            );
        }
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    testing::with_server(async |testing::Site { server, .. }| {
        let cases = [
            (
                "fieldSelector=spec.x%3D1",
                400,
                "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            ("labelSelector=a%3Db%3Dc", 400, ""),
            ("continue=%21", 400, "invalid continue token: continue key is not valid: "),
            ("resourceVersion=99", 504, "Timeout: Too large resource version: 99, current: 1"),
            ("resourceVersion=99&limit=1", 504, "Timeout: Too large resource version: 99, current: 1"),
        ];
        for (query, code, text) in cases {
            let error = try_list(&server, &format!("/api/v1/configmaps?{query}")).await.unwrap_err();
            assert_eq!(error.code, code, "{query}: {}", error.message);
            assert!(error.message.starts_with(text), "{query}: {}", error.message);
        }
    });
}

/// All pages after the first, with what happens between two of them.
async fn pages(server: &Arc<Server>, query: &str, mut between: impl AsyncFnMut()) -> Vec<Value> {
    let mut pages = vec![get(server, &format!("/api/v1/configmaps?{query}")).await];
    while let Some(token) = pages.last().unwrap()["metadata"]["continue"].as_str() {
        between().await;
        let path = format!("/api/v1/configmaps?{query}&continue={token}");
        pages.push(get(server, &path).await);
    }
    pages
}

#[test]
fn pages_show_the_state_of_the_first_one_whatever_happens_meanwhile() {
    testing::with_server(async |testing::Site { server, .. }| {
        fill(&server, "a", &["a", "bb", "c", "dd", "e"]).await;
        fill(&server, "b", &["f", "gg"]).await;
        let quiet = pages(&server, "limit=3", async || {}).await;
        let mut turn = 0;
        let busy = pages(&server, "limit=3", async || {
            turn += 1;
            fill(&server, "a", &[&format!("dd-{turn}")]).await;
            let victim = server.objects.get(testing::config_maps(), "b", "gg").await.unwrap();
            if let Some(victim) = victim {
                let removed =
                    server.objects.remove(testing::config_maps(), "b", "gg", victim.revision, &[]).await;
                assert!(removed.unwrap().is_some());
            }
        })
        .await;
        assert_eq!(quiet, busy, "no page shows what happened after the first");
        let all: Vec<_> = busy.iter().flat_map(names).collect();
        assert_eq!(all, ["a", "bb", "c", "dd", "e", "f", "gg"]);
        let left: Vec<_> = busy.iter().map(|page| page["metadata"]["remainingItemCount"].as_u64()).collect();
        assert_eq!(left, [Some(4), Some(1), None]);
        let versions: Vec<_> = busy.iter().map(|page| &page["metadata"]["resourceVersion"]).collect();
        assert!(versions.iter().all(|version| *version == "8"), "{versions:?}");
    });
}

#[test]
fn pages_of_a_selection_are_full_and_count_nothing() {
    testing::with_server(async |testing::Site { server, .. }| {
        fill(&server, "a", &["a", "bb", "c", "dd", "e", "ff", "g"]).await;
        let query = "limit=2&labelSelector=length%3Deven";
        let mut first = true;
        let pages = pages(&server, query, async || {
            if std::mem::take(&mut first) {
                fill(&server, "a", &["zz"]).await;
            }
        })
        .await;
        let shown: Vec<_> = pages.iter().map(names).collect();
        assert_eq!(shown[..2], [vec!["bb", "dd"], vec!["ff"]]);
        assert!(pages.iter().all(|page| page["metadata"]["remainingItemCount"].is_null()));
    });
}

#[test]
fn a_list_can_be_of_a_named_revision() {
    testing::with_server(async |testing::Site { server, .. }| {
        fill(&server, "a", &["a", "b", "c"]).await;
        let exact = "/api/v1/configmaps?resourceVersion=3&resourceVersionMatch=Exact";
        let list = get(&server, exact).await;
        assert_eq!((names(&list), list["metadata"]["resourceVersion"].as_str()), (vec!["a", "b"], Some("3")));
        let newer = get(&server, "/api/v1/configmaps?resourceVersion=3").await;
        assert_eq!(names(&newer), ["a", "b", "c"]);
        server.objects.store().compact(keelson_store_core::id::Revision::new(4)).await.unwrap();
        let error = try_list(&server, exact).await.unwrap_err();
        assert_eq!((error.code.as_u16(), error.reason), (410, "Expired"));
        assert_eq!(error.message, "The resourceVersion for the provided list is too old.");
    });
}

#[test]
fn a_list_whose_revision_is_gone_can_be_finished_with_what_is_there_now() {
    testing::with_server(async |testing::Site { server, .. }| {
        fill(&server, "a", &["a", "b", "c"]).await;
        let first = get(&server, "/api/v1/configmaps?limit=1").await;
        fill(&server, "a", &["aa", "d"]).await;
        let newest = server.objects.view().await.unwrap().header().revision;
        server.objects.store().compact(newest).await.unwrap();
        let token = first["metadata"]["continue"].as_str().unwrap();
        let error =
            try_list(&server, &format!("/api/v1/configmaps?limit=1&continue={token}")).await.unwrap_err();
        assert_eq!((error.code.as_u16(), error.reason), (410, "Expired"));
        assert!(
            error.message.starts_with("The provided continue parameter is too old to display a consistent")
        );
        let status = error.status();
        let token = status["metadata"]["continue"].as_str().unwrap();
        let rest = get(&server, &format!("/api/v1/configmaps?limit=2&continue={token}")).await;
        assert_eq!(names(&rest), ["aa", "b"], "the rest begins after the last key that was shown");
        assert_eq!(rest["metadata"]["resourceVersion"], newest.to_string());
        let token = rest["metadata"]["continue"].as_str().unwrap();
        let end = get(&server, &format!("/api/v1/configmaps?limit=9&continue={token}")).await;
        assert_eq!(
            (names(&end), end["metadata"]["resourceVersion"].clone()),
            (vec!["c", "d"], newest.to_string().into())
        );
    });
}

#[test]
fn a_long_list_comes_in_pieces_that_make_a_whole() {
    testing::with_server(async |testing::Site { server, .. }| {
        let large = "x".repeat(30_000);
        for number in 0..10 {
            let object = testing::config_map("a", &number.to_string(), &[], &large);
            server.objects.create(testing::config_maps(), &object, &[]).await.unwrap();
        }
        for accept in ["application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"] {
            let uri = "/api/v1/configmaps?includeObject=Object";
            let call = testing::call(&server, "GET", uri, &[("accept", accept)], "");
            let response = list(&server, &call).await.unwrap();
            let length =
                response.headers().get(CONTENT_LENGTH).map(|value| value.to_str().unwrap().to_owned());
            let text = testing::body(response).await;
            let whole: Value = serde_json::from_str(&text).unwrap();
            match accept {
                "application/json" => {
                    assert_eq!(length, Some(text.len().to_string()), "the length is told beforehand");
                    assert_eq!(whole["items"].as_array().unwrap().len(), 10);
                    assert_eq!(whole["items"][9].get("kind"), None, "the list says it");
                    assert_eq!(whole["items"][9].get("apiVersion"), None);
                }
                _ => assert_eq!(whole["rows"].as_array().unwrap().len(), 10),
            }
        }
        let yaml = testing::call(&server, "GET", "/api/v1/configmaps", &[("accept", "application/yaml")], "");
        let text = testing::body(list(&server, &yaml).await.unwrap()).await;
        assert!(text.starts_with("apiVersion: v1\nitems:\n- data:\n    value: xxx"), "{text:.80}");
        let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
        let call = testing::call(&server, "GET", "/api/v1/configmaps", &[("accept", partial)], "");
        let text = testing::body(list(&server, &call).await.unwrap()).await;
        let whole: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(whole["kind"], "PartialObjectMetadataList");
        assert_eq!(whole["items"][9]["kind"], "PartialObjectMetadata");
        let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
        let call = testing::call(&server, "GET", "/api/v1/configmaps", &[("accept", partial)], "");
        let error = list(&server, &call).await.unwrap_err();
        assert_eq!((error.code.as_u16(), error.reason), (406, "NotAcceptable"));
        assert_eq!(
            error.message,
            "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)"
        );
    });
}

#[test]
fn one_object_is_read_at_its_newest() {
    testing::with_server(async |testing::Site { server, .. }| {
        fill(&server, "a", &["x"]).await;
        let get = async |uri: &str| {
            let call = testing::call(&server, "GET", uri, &[], "");
            match super::super::get::get(&server, &call).await {
                Ok(response) => Ok(testing::body(response).await),
                Err(error) => Err((error.code.as_u16(), error.message)),
            }
        };
        let object = "/api/v1/namespaces/a/configmaps/x";
        assert!(get(object).await.unwrap().contains(r#""resourceVersion":"2""#));
        assert!(get(&format!("{object}?resourceVersion=0")).await.is_ok());
        assert!(get(&format!("{object}?resourceVersion=2")).await.is_ok());
        assert_eq!(get(&format!("{object}?resourceVersion=9")).await.unwrap_err().0, 504);
        assert_eq!(get(&format!("{object}?resourceVersion=x")).await.unwrap_err().0, 400);
        let missing = get("/api/v1/namespaces/a/configmaps/y").await.unwrap_err();
        assert_eq!(missing, (404, "configmaps \"y\" not found".to_owned()));
    });
}

#[test]
fn a_thing_with_two_versions_is_listed_in_the_one_that_is_asked_for() {
    testing::with_server(async |testing::Site { server, .. }| {
        let events = keelson_api_registry::resources::find("", "v1", "events").unwrap();
        for (name, pod) in [("e1", "p1"), ("e2", "p2")] {
            let event = keelson_api_registry::object::Object(serde_json::json!({
                "kind": "Event", "apiVersion": "v1", "metadata": {"name": name, "namespace": "a"},
                "involvedObject": {"kind": "Pod", "name": pod}, "message": "hello",
            }));
            server.objects.create(events, &event, &[]).await.unwrap();
        }
        let core = get(&server, "/api/v1/events?fieldSelector=involvedObject.name%3Dp2").await;
        assert_eq!((names(&core), &core["items"][0]["message"]), (vec!["e2"], &"hello".into()));
        let newer = "/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dp2";
        let list = get(&server, newer).await;
        assert_eq!(
            (list["kind"].as_str(), list["apiVersion"].as_str()),
            (Some("EventList"), Some("events.k8s.io/v1"))
        );
        assert_eq!((names(&list), &list["items"][0]["note"]), (vec!["e2"], &"hello".into()));
        assert_eq!(list["items"][0]["metadata"]["resourceVersion"], "3");
        let older =
            try_list(&server, "/apis/events.k8s.io/v1/events?fieldSelector=involvedObject.name%3Dp2").await;
        assert_eq!(older.unwrap_err().message, "field label not supported: involvedObject.name");
    });
}

/// What a client reads that wants protobuf.
async fn in_protobuf(
    server: &Arc<Server>,
    path: &str,
    accept: &str,
) -> (keelson_api_schema::TypeMeta, Value) {
    use keelson_api_schema::{Document, Encoding, builtin};
    let call = testing::call(server, "GET", path, &[("accept", accept)], "");
    let response = list(server, &call).await.unwrap();
    assert_eq!(response.headers()["content-type"], PROTOBUF);
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let document = Document::parse(&body, Encoding::Protobuf).unwrap();
    let meta = document.type_meta().unwrap();
    let (group, version) = meta.api_version.rsplit_once('/').unwrap_or(("", &meta.api_version));
    let ty = builtin().lookup_kind(group, version, &meta.kind).unwrap();
    let value = document.decode(builtin(), ty).unwrap().value;
    (meta, value)
}

#[test]
fn a_list_in_protobuf_says_what_the_one_in_json_says() {
    testing::with_server(async |testing::Site { server, .. }| {
        fill(&server, "a", &["x", "yy", "z"]).await;
        for page in ["/api/v1/configmaps", "/api/v1/configmaps?limit=2"] {
            let json = get(&server, page).await;
            for _ in 0..2 {
                let (meta, value) = in_protobuf(&server, page, PROTOBUF).await;
                assert_eq!((meta.api_version.as_str(), meta.kind.as_str()), ("v1", "ConfigMapList"));
                assert_eq!((names(&value), names(&json)), (names(&json), names(&value)));
                assert_eq!(value["metadata"]["resourceVersion"], json["metadata"]["resourceVersion"]);
                assert_eq!(value["metadata"]["continue"].is_string(), page.contains("limit"));
                assert_eq!(value["items"][0]["metadata"]["uid"], json["items"][0]["metadata"]["uid"]);
                assert_eq!(value["items"][1]["data"], json["items"][1]["data"]);
            }
        }
        let partial = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
        let (meta, value) = in_protobuf(&server, "/api/v1/configmaps", &partial).await;
        let expected = ("meta.k8s.io/v1", "PartialObjectMetadataList");
        assert_eq!((meta.api_version.as_str(), meta.kind.as_str()), expected);
        assert_eq!(names(&value), ["x", "yy", "z"]);
    });
}
