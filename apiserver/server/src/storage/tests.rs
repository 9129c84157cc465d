//! Objects and claims in a store of one replica.

use keelson_api_registry::{field::FieldError, resources};

use super::*;
use crate::testing::{config_map, config_maps, with_store};

fn claim(key: &str) -> Claim {
    let taken = FieldError::invalid("spec.claim", key, "it is taken");
    Claim { key: key.to_owned(), taken, object: None }
}

async fn create(objects: &ObjectStore, name: &str, claims: &[Claim]) -> Result<Stored, WriteFailure> {
    objects.create(config_maps(), &config_map("a", name, &[], "1"), claims).await
}

/// Whose key a claim holds.
async fn owner(objects: &ObjectStore, key: &str) -> Option<String> {
    let request = RangeRequest::new(KeyRange::Single(format!("/claims/{key}").into()));
    let found = objects.store().range(&request, Consistency::Linearizable).await.unwrap();
    found.answer.kvs.first().map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
}

#[test]
fn an_object_is_created_read_replaced_and_removed() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let created = create(&objects, "x", &[]).await.unwrap();
        assert_eq!(created.object.resource_version(), created.revision.to_string());
        let read = objects.get(config_maps(), "a", "x").await.unwrap().unwrap();
        assert_eq!((read.json.clone(), read.object), (created.json.clone(), created.object.clone()));
        let text = std::str::from_utf8(&read.json).unwrap();
        let version = created.revision;
        assert_eq!(
            text,
            format!(
                r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"x","namespace":"a","uid":"uid-x","resourceVersion":"{version}"}},"data":{{"value":"1"}}}}"#
            )
        );

        let newer = config_map("a", "x", &[], "2");
        let replaced =
            objects.replace(config_maps(), &newer, version, ClaimChange::default()).await.unwrap().unwrap();
        assert!(replaced.revision > version);
        let stale = objects.replace(config_maps(), &newer, version, ClaimChange::default()).await.unwrap();
        assert!(stale.is_none(), "somebody was faster");
        assert_eq!(objects.remove(config_maps(), "a", "x", version, &[]).await.unwrap(), None);
        let removed = objects.remove(config_maps(), "a", "x", replaced.revision, &[]).await.unwrap();
        assert!(removed > Some(replaced.revision));
        assert!(objects.get(config_maps(), "a", "x").await.unwrap().is_none());
        let gone = objects.replace(config_maps(), &newer, version, ClaimChange::default()).await.unwrap();
        assert!(gone.is_none(), "what is gone is not created by an update");
    });
}

#[test]
fn an_object_that_is_too_long_to_be_replicated_is_refused() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let created = create(&objects, "x", &[]).await.unwrap();
        let long = config_map("a", "x", &[], &"1".repeat(MAX_OBJECT_BYTES));
        let claims = ClaimChange::default();
        let refused = objects.replace(config_maps(), &long, created.revision, claims).await.unwrap_err();
        let refused = ApiError::from(refused);
        assert_eq!((refused.code.as_u16(), refused.reason), (413, "RequestEntityTooLarge"));
        let read = objects.get(config_maps(), "a", "x").await.unwrap().unwrap();
        assert_eq!(read.revision, created.revision);
    });
}

#[test]
fn a_name_is_given_once() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        create(&objects, "x", &[]).await.unwrap();
        let error = ApiError::from(create(&objects, "x", &[]).await.unwrap_err());
        assert_eq!((error.code.as_u16(), error.reason), (409, "AlreadyExists"));
        assert_eq!(error.message, "configmaps \"x\" already exists");
    });
}

#[test]
fn a_claim_is_had_by_one_object_and_goes_with_it() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let (one, two, three) = (claim("1"), claim("2"), claim("3"));
        let first = create(&objects, "x", &[one.clone(), two.clone()]).await.unwrap();
        let lost = create(&objects, "y", &[three.clone(), two.clone()]).await.unwrap_err();
        assert!(matches!(&lost, WriteFailure::Taken { claim, .. } if *claim == two), "{lost:?}");
        assert_eq!(
            ApiError::from(lost).message,
            "ConfigMap \"y\" is invalid: spec.claim: Invalid value: \"2\": it is taken"
        );
        assert_eq!(owner(&objects, "3").await, None, "a write that fails claims nothing");
        assert!(objects.get(config_maps(), "a", "y").await.unwrap().is_none());

        let second = create(&objects, "y", std::slice::from_ref(&three)).await.unwrap();
        let wish = ClaimChange::between(std::slice::from_ref(&three), std::slice::from_ref(&one));
        let failed = objects.replace(config_maps(), &second.object, second.revision, wish.clone()).await;
        assert!(matches!(failed, Err(WriteFailure::Taken { claim, .. }) if claim == one));
        let change = ClaimChange::between(&[one.clone(), two], std::slice::from_ref(&one));
        let first =
            objects.replace(config_maps(), &first.object, first.revision, change).await.unwrap().unwrap();
        assert_eq!(owner(&objects, "1").await.as_deref(), Some("/registry/configmaps/a/x"));
        assert_eq!(owner(&objects, "2").await, None, "what is no longer claimed is free");
        objects.remove(config_maps(), "a", "x", first.revision, &[one]).await.unwrap().unwrap();
        let moved = objects.replace(config_maps(), &second.object, second.revision, wish).await.unwrap();
        assert!(moved.is_some(), "a claim is free when its object is gone");
    });
}

#[test]
fn names_cannot_lead_elsewhere() {
    for (namespace, name) in [("a", ""), ("", "x"), ("a", "x/y"), ("a/b", "x")] {
        assert_eq!(ObjectKey::new(config_maps(), namespace, name).unwrap_err().code, 400);
    }
    let nodes = resources::find("", "v1", "nodes").unwrap();
    assert_eq!(ObjectKey::new(nodes, "", "x").unwrap().bytes(), "/registry/nodes/x");
    let range = collection(config_maps(), "a").unwrap();
    assert!(range.contains(b"/registry/configmaps/a/x") && !range.contains(b"/registry/configmaps/aa/x"));
}

#[test]
fn an_event_is_one_thing_in_both_of_its_versions() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let newer = resources::find("events.k8s.io", "v1", "events").unwrap();
        let older = resources::find("", "v1", "events").unwrap();
        let event = Object(serde_json::json!({
            "kind": "Event", "apiVersion": "events.k8s.io/v1",
            "metadata": {"name": "e", "namespace": "a"},
            "regarding": {"kind": "Pod", "name": "p"}, "note": "hello",
        }));
        let stored = objects.create(newer, &event, &[]).await.unwrap();
        assert!(stored.json.starts_with(br#"{"kind":"Event","apiVersion":"events.k8s.io/v1""#));
        let core = objects.get(older, "a", "e").await.unwrap().unwrap();
        assert_eq!(core.object.text(&["involvedObject", "name"]), "p");
        assert_eq!(core.object.text(&["message"]), "hello");
        let again = objects.get(newer, "a", "e").await.unwrap().unwrap();
        assert_eq!(again.json, stored.json);
    });
}

#[test]
fn a_damaged_value_is_said_to_be_damaged() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let key = ObjectKey::new(config_maps(), "a", "x").unwrap().bytes();
        let txn = Txn { success: vec![put(key.clone(), "nonsense".into(), LeaseId::NONE)], ..Txn::default() };
        objects.store().txn(txn).await.unwrap();
        let error = objects.get(config_maps(), "a", "x").await.unwrap_err();
        assert!(error.message.contains("/registry/configmaps/a/x: format"), "{}", error.message);
        let everything = Selection::default();
        let error = objects.list(config_maps(), "", &everything).await.unwrap_err();
        assert!(error.message.contains("/registry/configmaps/a/x: format"), "{}", error.message);
        assert!(objects.list(config_maps(), "b", &everything).await.unwrap().is_empty());
        let newest = Txn { success: vec![claims::delete(key)], ..Txn::default() };
        objects.store().txn(newest).await.unwrap();
        assert!(objects.list(config_maps(), "", &everything).await.unwrap().is_empty());
    });
}

#[test]
fn events_hang_on_a_lease_that_those_of_a_minute_share_and_other_objects_stay() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let events = resources::find("", "v1", "events").unwrap();
        let event = |name: &str| {
            Object(serde_json::json!({
                "kind": "Event", "apiVersion": "v1", "metadata": {"name": name, "namespace": "a", "uid": name},
            }))
        };
        let lease = async |resource: &'static ResourceInfo, name: &str| {
            let key = ObjectKey::new(resource, "a", name).unwrap().bytes();
            let request = RangeRequest::new(KeyRange::Single(key));
            let found = objects.store().range(&request, Consistency::Linearizable).await.unwrap();
            found.answer.kvs[0].lease
        };
        objects.create(events, &event("one"), &[]).await.unwrap();
        objects.create(events, &event("two"), &[]).await.unwrap();
        let shared = lease(events, "one").await;
        assert_ne!(shared, LeaseId::NONE);
        assert_eq!(lease(events, "two").await, shared);
        create(&objects, "x", &[]).await.unwrap();
        assert_eq!(lease(config_maps(), "x").await, LeaseId::NONE);

        // A lease that has gone takes its events along; the next write is told to try again, and gets another.
        objects.store().revoke_lease(shared).await.unwrap();
        assert!(objects.get(events, "a", "one").await.unwrap().is_none());
        let refused = objects.create(events, &event("three"), &[]).await.unwrap_err();
        assert_eq!(ApiError::from(refused).code, 503);
        objects.create(events, &event("three"), &[]).await.unwrap();
        assert_ne!(lease(events, "three").await, shared);
    });
}
