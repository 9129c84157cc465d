//! Watches over a store of one replica.

use http_body_util::BodyExt;
use keelson_api_registry::object::Object;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::{
    answer::Body,
    storage::ClaimChange,
    testing::{self, config_map, config_maps},
};

mod web_socket;

/// How long a test waits for a line before it fails: longer than bookmarks take, on a clock that tests may move.
const PATIENCE: Duration = Duration::from_secs(90);

/// The client's end of a watch.
struct Client {
    body: Body,
    /// What has come and is not a whole line yet.
    rest: Vec<u8>,
}

impl Client {
    async fn open(server: &Arc<Server>, query: &str) -> Self {
        Self::accepting(server, query, "application/json").await
    }

    async fn accepting(server: &Arc<Server>, query: &str, accept: &str) -> Self {
        let uri = format!("/api/v1/namespaces/a/configmaps?watch=true&{query}");
        let call = testing::call(server, "GET", &uri, &[("accept", accept)], "");
        let response = watch(server, &call).await.unwrap();
        Self { body: response.into_body(), rest: Vec::new() }
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("a line comes in time")?;
            self.rest.extend_from_slice(frame.unwrap().data_ref().unwrap());
        }
    }

    /// The next line as `ADDED x 5`.
    async fn told(&mut self) -> String {
        let line = self.line().await.expect("the watch goes on");
        let metadata = &line["object"]["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let words = [text(&line["type"]), text(&metadata["name"]), text(&metadata["resourceVersion"])];
        words.join(" ")
    }
}

async fn create(server: &Server, name: &str, label: &str) -> Revision {
    let object = config_map("a", name, &[("l", label)], "");
    server.objects.create(config_maps(), &object, &[]).await.unwrap().revision
}

async fn relabel(server: &Server, name: &str, label: &str) -> Revision {
    let old = server.objects.get(config_maps(), "a", name).await.unwrap().unwrap();
    let new: Object = config_map("a", name, &[("l", label)], "");
    let change = ClaimChange::default();
    server.objects.replace(config_maps(), &new, old.revision, change).await.unwrap().unwrap().revision
}

async fn delete(server: &Server, name: &str) -> Revision {
    let old = server.objects.get(config_maps(), "a", name).await.unwrap().unwrap();
    server.objects.remove(config_maps(), "a", name, old.revision, &[]).await.unwrap().unwrap()
}

#[test]
fn a_watch_without_a_revision_begins_with_what_is_there() {
    testing::with_server(async |testing::Site { server, .. }| {
        create(&server, "x", "1").await;
        let elsewhere = config_map("b", "z", &[], "");
        server.objects.create(config_maps(), &elsewhere, &[]).await.unwrap();
        for query in ["", "resourceVersion=0"] {
            let mut client = Client::open(&server, query).await;
            assert_eq!(client.told().await, "ADDED x 2", "{query:?}");
            let name = format!("y{}", query.len());
            let new = create(&server, &name, "1").await;
            assert_eq!(client.told().await, format!("ADDED {name} {new}"));
            let gone = delete(&server, &name).await;
            assert_eq!(client.told().await, format!("DELETED {name} {gone}"), "with the deletion's revision");
        }
    });
}

#[test]
fn a_watch_from_a_revision_tells_what_came_after_it() {
    testing::with_server(async |testing::Site { server, .. }| {
        let first = create(&server, "x", "1").await;
        let second = relabel(&server, "x", "2").await;
        let mut client = Client::open(&server, &format!("resourceVersion={first}")).await;
        assert_eq!(client.told().await, format!("MODIFIED x {second}"));
        let third = delete(&server, "x").await;
        assert_eq!(client.told().await, format!("DELETED x {third}"));
    });
}

#[test]
fn an_object_that_comes_to_match_is_added_and_one_that_no_longer_does_is_deleted() {
    testing::with_server(async |testing::Site { server, .. }| {
        let start = create(&server, "x", "no").await;
        let mut client =
            Client::open(&server, &format!("resourceVersion={start}&labelSelector=l%3Dyes")).await;
        let on = relabel(&server, "x", "yes").await;
        assert_eq!(client.told().await, format!("ADDED x {on}"));
        let still = relabel(&server, "x", "yes").await;
        assert_eq!(client.told().await, format!("MODIFIED x {still}"));
        let off = relabel(&server, "x", "no").await;
        let line = client.line().await.unwrap();
        assert_eq!(
            (line["type"].as_str(), &line["object"]["metadata"]["labels"]["l"]),
            (Some("DELETED"), &json!("yes"))
        );
        assert_eq!(line["object"]["metadata"]["resourceVersion"], off.to_string());
        delete(&server, "x").await;
        let next = create(&server, "y", "yes").await;
        assert_eq!(client.told().await, format!("ADDED y {next}"), "what never matched is not told");
    });
}

#[test]
fn a_watch_list_ends_its_beginning_with_a_bookmark() {
    testing::with_server(async |testing::Site { server, .. }| {
        create(&server, "x", "1").await;
        let newest = create(&server, "y", "1").await;
        let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        for start in ["", "&resourceVersion=2"] {
            let mut client = Client::open(&server, &format!("{query}{start}")).await;
            assert_eq!(client.told().await, "ADDED x 2");
            assert_eq!(client.told().await, "ADDED y 3");
            let bookmark = client.line().await.unwrap();
            assert_eq!(
                bookmark,
                json!({"type": "BOOKMARK", "object": {
                    "kind": "ConfigMap", "apiVersion": "v1",
                    "metadata": {
                        "resourceVersion": newest.to_string(),
                        "annotations": {"k8s.io/initial-events-end": "true"},
                    },
                }})
            );
        }
        let empty = format!("{query}&fieldSelector=metadata.name%3Dnobody");
        let mut client = Client::open(&server, &empty).await;
        assert_eq!(client.line().await.unwrap()["type"], "BOOKMARK", "also when there is nothing");
    });
}

#[test]
fn a_watch_ends_at_its_time_with_a_bookmark() {
    testing::with_server(async |testing::Site { server, .. }| {
        create(&server, "x", "1").await;
        let query = "resourceVersion=1&timeoutSeconds=1&allowWatchBookmarks=true";
        let mut client = Client::open(&server, query).await;
        assert_eq!(client.told().await, "ADDED x 2");
        assert_eq!(client.told().await, "BOOKMARK  2");
        assert_eq!(client.line().await, None);
    });
}

#[test]
fn watches_end_when_the_server_stops() {
    testing::with_server(async |testing::Site { server, .. }| {
        let mut client = Client::open(&server, "").await;
        let (line, ()) = tokio::join!(client.line(), async { server.begin_stop() });
        assert_eq!(line, None);
    });
}

/// Changes the object `x` so many times.
async fn churn(server: &Server, rounds: usize) {
    for _ in 0..rounds {
        relabel(server, "x", "again").await;
    }
}

#[test]
fn what_the_cache_has_forgotten_comes_from_the_store_and_nothing_is_lost_in_between() {
    testing::with_server(async |testing::Site { server, .. }| {
        let first = create(&server, "x", "1").await;
        // A second cache over the same store has seen none of this, as after a restart.
        churn(&server, 30).await;
        let late = testing::site(server.objects.store().clone()).server;
        let mut client = Client::open(&late, &format!("resourceVersion={first}")).await;
        for round in 1..=30 {
            assert_eq!(client.told().await, format!("MODIFIED x {}", first.get() + round));
        }
        let last = delete(&server, "x").await;
        assert_eq!(client.told().await, format!("DELETED x {last}"));
        late.begin_stop();
    });
}

#[test]
fn a_watch_from_before_what_was_compacted_is_told_410_in_its_stream() {
    testing::with_server(async |testing::Site { server, .. }| {
        let first = create(&server, "x", "1").await;
        churn(&server, 5).await;
        let newest = server.objects.view().await.unwrap().header().revision;
        server.objects.store().compact(newest).await.unwrap();
        let late = testing::site(server.objects.store().clone()).server;
        let mut client = Client::open(&late, &format!("resourceVersion={first}")).await;
        let line = client.line().await.unwrap();
        assert_eq!(line["type"], "ERROR");
        assert_eq!(
            line["object"],
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
                "reason": "Expired", "message": format!("too old resource version: {first} ({newest})"),
            })
        );
        assert_eq!(client.line().await, None, "an error is the end");
        late.begin_stop();
    });
}

#[test]
fn a_watch_can_be_of_rows_and_of_metadata() {
    testing::with_server(async |testing::Site { server, .. }| {
        create(&server, "x", "1").await;
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let mut rows = Client::accepting(&server, "", table).await;
        let first = rows.line().await.unwrap();
        assert_eq!(
            (first["type"].as_str(), first["object"]["kind"].as_str()),
            (Some("ADDED"), Some("Table"))
        );
        assert!(!first["object"]["columnDefinitions"].as_array().unwrap().is_empty());
        assert_eq!(first["object"]["rows"][0]["cells"][0], "x");
        relabel(&server, "x", "2").await;
        let second = rows.line().await.unwrap();
        assert_eq!(second["object"]["columnDefinitions"], json!([]), "the client has them already");
        let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
        let mut metadata = Client::accepting(&server, "", partial).await;
        let line = metadata.line().await.unwrap();
        assert_eq!(line["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(line["object"]["data"], Value::Null);
    });
}

#[test]
fn the_changes_of_one_revision_come_in_one_piece() {
    testing::with_server(async |testing::Site { server, .. }| {
        use keelson_store_core::command::{Op, PutRequest, Txn};
        let put = |name: &str| {
            let object = config_map("a", name, &[], "");
            let json = serde_json::to_vec(&object.0).unwrap();
            let value = crate::envelope::encode("v1", &json).unwrap().into();
            let key = format!("/registry/configmaps/a/{name}").into();
            Op::Put(PutRequest { key, value, ..PutRequest::default() })
        };
        let mut client = Client::open(&server, "resourceVersion=1").await;
        let txn = Txn { success: vec![put("x"), put("y")], ..Txn::default() };
        server.objects.store().txn(txn).await.unwrap();
        let frame = timeout(PATIENCE, client.body.frame()).await.unwrap().unwrap().unwrap();
        let text = String::from_utf8(frame.data_ref().unwrap().to_vec()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
    });
}

#[test]
fn a_client_that_reads_slowly_misses_nothing_and_delays_nobody() {
    testing::with_server(async |testing::Site { server, .. }| {
        create(&server, "x", "1").await;
        let mut slow = Client::open(&server, "resourceVersion=1").await;
        assert_eq!(slow.told().await, "ADDED x 2");
        // More than the cache remembers.
        churn(&server, 4500).await;
        let mut swift = Client::open(&server, "resourceVersion=4501").await;
        assert_eq!(swift.told().await, "MODIFIED x 4502");
        for round in 3..=4502 {
            assert_eq!(slow.told().await, format!("MODIFIED x {round}"));
        }
        let last = delete(&server, "x").await;
        assert_eq!(slow.told().await, format!("DELETED x {last}"));
        assert_eq!(swift.told().await, format!("DELETED x {last}"));
    });
}

#[test]
fn a_client_that_wants_bookmarks_hears_every_minute_how_far_it_has_come() {
    testing::with_server(async |testing::Site { server, .. }| {
        let mut client = Client::open(&server, "resourceVersion=1&allowWatchBookmarks=true").await;
        let mut silent = Client::open(&server, "resourceVersion=1").await;
        // Something that this watch does not see moves the store on.
        let elsewhere = config_map("b", "z", &[], "");
        let newest = server.objects.create(config_maps(), &elsewhere, &[]).await.unwrap().revision;
        tokio::time::pause();
        for _ in 0..2 {
            assert_eq!(client.told().await, format!("BOOKMARK  {newest}"));
        }
        tokio::time::resume();
        let seen = create(&server, "x", "1").await;
        assert_eq!(silent.told().await, format!("ADDED x {seen}"), "who wants none hears none");
    });
}

#[test]
fn what_makes_no_sense_is_refused_before_the_stream() {
    testing::with_server(async |testing::Site { server, .. }| {
        for (query, accept, code) in [
            ("sendInitialEvents=true", "application/json", 422),
            ("resourceVersion=x", "application/json", 422),
            ("", "application/yaml", 406),
        ] {
            let uri = format!("/api/v1/configmaps?watch=true&{query}");
            let call = testing::call(&server, "GET", &uri, &[("accept", accept)], "");
            let error = watch(&server, &call).await.map(|_| ()).unwrap_err();
            assert_eq!(error.code, code, "{query} {accept}: {}", error.message);
        }
    });
}

#[test]
fn a_revision_that_is_yet_to_come_is_told_in_the_stream() {
    testing::with_server(async |testing::Site { server, .. }| {
        let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99";
        let mut client = Client::open(&server, query).await;
        let line = client.line().await.unwrap();
        assert_eq!((&line["type"], &line["object"]["code"]), (&json!("ERROR"), &json!(504)), "{line}");
        assert_eq!(line["object"]["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    });
}

/// The next frame of a watch in protobuf: its type, and the object in JSON.
async fn frame(client: &mut Client) -> (String, Value) {
    use keelson_api_schema::{Document, Encoding, builtin};
    while client.rest.len() < 4 {
        let piece = timeout(PATIENCE, client.body.frame()).await.expect("a frame comes").unwrap().unwrap();
        client.rest.extend_from_slice(piece.data_ref().unwrap());
    }
    let length: Vec<u8> = client.rest.drain(..4).collect();
    let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
    let event: Vec<u8> = client.rest.drain(..length).collect();
    // The type comes first, the object at the end.
    let kind = String::from_utf8(event[2..2 + usize::from(event[1])].to_vec()).unwrap();
    let object = event.windows(4).position(|bytes| bytes == b"k8s\0").expect("the object is framed");
    let document = Document::parse(&event[object..], Encoding::Protobuf).unwrap();
    let name = document.type_meta().unwrap().kind;
    let ty =
        builtin().lookup_kind("", "v1", &name).or_else(|| builtin().lookup_kind("meta.k8s.io", "v1", &name));
    (kind, document.decode(builtin(), ty.unwrap()).unwrap().value)
}

#[test]
fn a_watch_in_protobuf_tells_the_same_in_frames() {
    testing::with_server(async |testing::Site { server, .. }| {
        let first = create(&server, "x", "1").await;
        let accept = "application/vnd.kubernetes.protobuf;stream=watch,application/json";
        let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let mut client = Client::accepting(&server, query, accept).await;
        let (kind, object) = frame(&mut client).await;
        assert_eq!((kind.as_str(), object["metadata"]["name"].as_str()), ("ADDED", Some("x")));
        assert_eq!(object["metadata"]["resourceVersion"], first.to_string());
        let (kind, object) = frame(&mut client).await;
        assert_eq!((kind.as_str(), object["kind"].as_str()), ("BOOKMARK", Some("ConfigMap")));
        assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        relabel(&server, "x", "2").await;
        let (kind, object) = frame(&mut client).await;
        assert_eq!((kind.as_str(), object["metadata"]["labels"]["l"].as_str()), ("MODIFIED", Some("2")));
        delete(&server, "x").await;
        assert_eq!(frame(&mut client).await.0, "DELETED");
    });
}
