//! What is promised of migrations, shown by example.

use serde_json::Value;

use super::*;
use crate::fake_api::{Call, Calls, fake_api, refusal};

/// What the API serves: Widgets, which can be written, and Reviews, which can only be made.
fn served(path: &str) -> Value {
    let resource = |plural: &str, kind: &str, verbs: &[&str]| json!({"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": verbs});
    let items = match path {
        "/api" => json!([]),
        _ => json!([{"metadata": {"name": "shop.example"}, "versions": [
            {"version": "v2", "resources": [resource("widgets", "Widget", &["list", "patch"])]},
            {"version": "v1", "resources": [
                resource("widgets", "Widget", &["list", "patch"]),
                resource("reviews", "Review", &["create"]),
            ]},
        ]}]),
    };
    json!({"apiVersion": "apidiscovery.k8s.io/v2", "kind": "APIGroupDiscoveryList", "metadata": {}, "items": items})
}

/// Three widgets in two pages: the second is newer than the migration.
fn widgets() -> Value {
    let widget = |name: &str, version: &str| {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"namespace": "shop", "name": name, "uid": format!("u-{name}"), "resourceVersion": version},
        })
    };
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {"resourceVersion": "50"},
        "items": [widget("a", "7"), widget("b", "51"), widget("c", "50")],
    })
}

fn migration(plural: &str, age: i64, status: &Value) -> StorageVersionMigration {
    let made = (Timestamp::now() - SignedDuration::from_secs(age)).to_string();
    serde_json::from_value(json!({
        "metadata": {"name": "m", "creationTimestamp": made},
        "spec": {"resource": {"group": "shop.example", "resource": plural}},
        "status": status,
    }))
    .unwrap()
}

/// One round; `patch` is what becomes of patches.
async fn reconcile(
    migration: StorageVersionMigration,
    patch: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
) -> (Result<Next, Error>, Calls) {
    let (client, calls) = fake_api(move |call| match (call.method.as_str(), call.path.as_str()) {
        ("GET", path @ ("/api" | "/apis")) => (200, served(path)),
        ("GET", _) => (200, widgets()),
        ("PATCH", _) => patch(call),
        _ => (200, call.body.clone()),
    });
    let controller = Controller { client, migrations: Informer::detached() };
    controller.migrations.apply(migration);
    (controller.reconcile(&ObjectKey::new("", "m")).await, calls)
}

fn written(call: &Call) -> (u16, Value) {
    (
        200,
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": call.body["metadata"]}),
    )
}

/// The calls that change something, and the conditions that were told.
fn told(calls: &Calls) -> (Vec<String>, Vec<String>) {
    let lines = calls.lines().into_iter().filter(|line| !line.starts_with("GET")).collect();
    let all = calls.all();
    let status = all.last().map(|call| call.body["status"]["conditions"].clone()).unwrap_or_default();
    let conditions = status.as_array().into_iter().flatten();
    (lines, conditions.map(|it| format!("{}: {}", it["type"], it["message"]).replace('"', "")).collect())
}

const STATUS: &str = "PUT /apis/storagemigration.k8s.io/v1/storageversionmigrations/m/status";

#[tokio::test]
async fn a_migration_begins_where_the_resource_is_now() {
    let (next, calls) = reconcile(migration("widgets", 0, &json!({})), written).await;
    assert_eq!(next.unwrap(), Next::Done);
    assert_eq!(told(&calls), (vec![STATUS.into()], vec!["Running: The migration is running".into()]));
    assert_eq!(calls.all().last().unwrap().body["status"]["resourceVersion"], "50");
}

#[tokio::test]
async fn what_is_older_is_written_again_in_the_preferred_version_and_who_was_faster_counts_as_done() {
    let begun = json!({"resourceVersion": "50"});
    let patch = |call: &Call| match call.path.ends_with("/c") {
        true => refusal(409, "Conflict", "the object has been modified"),
        false => written(call),
    };
    let (next, calls) = reconcile(migration("widgets", 0, &begun), patch).await;
    assert_eq!(next.unwrap(), Next::Done);
    let path = "/apis/shop.example/v2/namespaces/shop/widgets";
    let (lines, conditions) = told(&calls);
    assert_eq!(lines, [format!("PATCH {path}/a"), format!("PATCH {path}/c"), STATUS.into()]);
    let running = "Running: The migration is running, 3 objects verified migrated";
    assert_eq!(conditions, [running, "Succeeded: Migration completed"]);
    let first = calls.all().into_iter().find(|call| call.method == "PATCH").unwrap();
    let metadata = json!({"uid": "u-a", "resourceVersion": "7"});
    assert_eq!(first.body, json!({"apiVersion": "shop.example/v2", "kind": "Widget", "metadata": metadata}));
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_and_an_object_that_cannot_be_written_ends_the_migration() {
    let begun = || migration("widgets", 0, &json!({"resourceVersion": "50"}));
    let (next, calls) = reconcile(begun(), |_| refusal(503, "ServiceUnavailable", "later")).await;
    assert!(matches!(next, Err(Error::Patch(_))), "{next:?}");
    assert!(!calls.lines().contains(&STATUS.to_owned()));
    let (next, calls) = reconcile(begun(), |_| refusal(422, "Invalid", "no widget")).await;
    assert_eq!(next.unwrap(), Next::Done);
    let (_, conditions) = told(&calls);
    assert!(conditions[0].starts_with("Failed: ") && conditions[0].contains("no widget"), "{conditions:?}");
}

#[tokio::test]
async fn a_resource_may_take_a_minute_to_appear_and_has_to_be_one_that_is_written() {
    let (next, calls) = reconcile(migration("gadgets", 10, &json!({})), written).await;
    assert_eq!((next.unwrap(), told(&calls).0), (Next::After(PAUSE), vec![]));
    for (plural, why) in [
        ("gadgets", "Failed: resource does not exist in discovery"),
        ("reviews", "Failed: resource cannot be listed and patched"),
    ] {
        let (next, calls) = reconcile(migration(plural, 90, &json!({})), written).await;
        assert_eq!((next.unwrap(), told(&calls).1), (Next::Done, vec![why.to_owned()]));
    }
}

#[tokio::test]
async fn a_migration_that_has_ended_is_left_alone() {
    let condition = json!({
        "type": "Succeeded", "status": "True", "reason": "R", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let (next, calls) =
        reconcile(migration("widgets", 0, &json!({"conditions": [condition]})), written).await;
    assert_eq!((next.unwrap(), calls.lines()), (Next::Done, vec![]));
}
