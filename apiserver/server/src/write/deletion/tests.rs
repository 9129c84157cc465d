//! What a DELETE means, case by case.

use keelson_api_registry::{resources, strategy::Plain};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-23 01:02:03 UTC);

/// A kind that is deleted gracefully: 30 s unless the client says otherwise.
struct Graceful;

impl Strategy for Graceful {
    fn grace_period(&self, _object: &Object, wish: Option<i64>) -> Option<i64> {
        Some(wish.unwrap_or(30))
    }
}

/// A kind whose dependents stay unless the client says otherwise.
struct Orphaning;

impl Strategy for Orphaning {
    fn orphans_dependents(&self) -> bool {
        true
    }
}

fn resource(strategy: &'static dyn Strategy) -> ResourceInfo {
    let config_maps = resources::find("", "v1", "configmaps").unwrap();
    ResourceInfo {
        group: config_maps.group,
        version: config_maps.version,
        kind: config_maps.kind,
        plural: config_maps.plural,
        singular: config_maps.singular,
        short_names: config_maps.short_names,
        categories: config_maps.categories,
        scope: config_maps.scope,
        verbs: config_maps.verbs,
        subresources: config_maps.subresources,
        storage: config_maps.storage,
        columns: config_maps.columns,
        selectable: config_maps.selectable,
        strategy,
    }
}

fn object(metadata: Value) -> Object {
    let mut object = Object::default();
    object.set(&["metadata"], metadata);
    object.set(&["metadata", "name"], "a");
    object
}

fn decide(strategy: &'static dyn Strategy, metadata: Value, options: &DeleteOptions) -> Plan {
    plan(&resource(strategy), &object(metadata), options, NOW).unwrap()
}

fn marked(plan: Plan) -> Object {
    match plan {
        Plan::Mark(object) => object,
        other => panic!("it should be marked, not {other:?}"),
    }
}

fn removed(plan: Plan) -> Object {
    match plan {
        Plan::MarkAndRemove(object) => object,
        other => panic!("it should be marked and removed, not {other:?}"),
    }
}

fn after(seconds: i64) -> DeleteOptions {
    DeleteOptions { grace_period_seconds: Some(seconds), ..DeleteOptions::default() }
}

fn propagating(policy: Propagation) -> DeleteOptions {
    DeleteOptions { propagation_policy: Some(policy), ..DeleteOptions::default() }
}

#[test]
fn what_nobody_waits_for_goes_at_once() {
    assert_eq!(decide(&Plain, json!({}), &DeleteOptions::default()), Plan::Remove);
    assert_eq!(decide(&Plain, json!({}), &after(30)), Plan::Remove, "no agent ends a ConfigMap");
    let hurried = removed(decide(&Graceful, json!({"generation": 1}), &after(0)));
    assert_eq!(hurried.text(&["metadata", "deletionTimestamp"]), "2026-11-23T01:02:03Z");
    assert_eq!(hurried.integer(&["metadata", "deletionGracePeriodSeconds"]), Some(0));
    assert_eq!(hurried.generation(), 2);
}

#[test]
fn finalizers_keep_an_object_that_is_marked() {
    let object = marked(decide(&Plain, json!({"finalizers": ["a/b"], "generation": 2}), &after(9)));
    assert_eq!(object.text(&["metadata", "deletionTimestamp"]), "2026-11-23T01:02:03Z");
    assert_eq!(object.integer(&["metadata", "deletionGracePeriodSeconds"]), Some(0));
    assert_eq!(object.generation(), 3);
    let again = plan(&resource(&Plain), &object, &DeleteOptions::default(), NOW + Duration::HOUR);
    assert_eq!(again.unwrap(), Plan::Wait);
}

#[test]
fn propagation_is_noted_in_finalizers() {
    let foreground = marked(decide(&Plain, json!({}), &propagating(Propagation::Foreground)));
    assert_eq!(foreground.finalizers().collect::<Vec<_>>(), ["foregroundDeletion"]);
    let changed = plan(&resource(&Plain), &foreground, &propagating(Propagation::Orphan), NOW).unwrap();
    assert_eq!(marked(changed).finalizers().collect::<Vec<_>>(), ["orphan"]);
    let kept = plan(&resource(&Plain), &foreground, &DeleteOptions::default(), NOW).unwrap();
    assert_eq!(kept, Plan::Wait, "a wish that was noted holds until another one comes");
    let dropped = plan(&resource(&Plain), &foreground, &propagating(Propagation::Background), NOW).unwrap();
    assert_eq!(dropped, Plan::Remove);
}

#[test]
fn a_kind_may_orphan_by_default() {
    let orphaned = marked(decide(&Orphaning, json!({}), &DeleteOptions::default()));
    assert_eq!(orphaned.finalizers().collect::<Vec<_>>(), ["orphan"]);
    assert_eq!(decide(&Orphaning, json!({}), &propagating(Propagation::Background)), Plan::Remove);
}

#[test]
fn a_graceful_deletion_waits_and_can_only_be_hurried() {
    let begun = marked(decide(&Graceful, json!({"generation": 1}), &DeleteOptions::default()));
    assert_eq!(begun.text(&["metadata", "deletionTimestamp"]), "2026-11-23T01:02:33Z");
    assert_eq!(begun.integer(&["metadata", "deletionGracePeriodSeconds"]), Some(30));
    assert_eq!(begun.generation(), 2);
    let again = |options: &DeleteOptions| plan(&resource(&Graceful), &begun, options, NOW).unwrap();
    assert_eq!(again(&DeleteOptions::default()), Plan::Wait);
    assert_eq!(again(&after(60)), Plan::Wait);
    let hurried = marked(again(&after(10)));
    assert_eq!(hurried.text(&["metadata", "deletionTimestamp"]), "2026-11-23T01:02:13Z");
    assert_eq!(hurried.generation(), 2);
    let ended = removed(again(&after(0)));
    assert_eq!(ended.integer(&["metadata", "deletionGracePeriodSeconds"]), Some(0));
}

#[test]
fn a_graceful_deletion_of_nobody_knows_how_long_stays_a_time() {
    let begun = marked(decide(&Graceful, json!({}), &after(i64::MAX)));
    let at = begun.text(&["metadata", "deletionTimestamp"]);
    assert!(OffsetDateTime::parse(at, &Rfc3339).is_ok(), "{at}");
}

#[test]
fn the_last_finalizer_ends_an_object_unless_its_agent_is_awaited() {
    let config_maps = resource(&Plain);
    let waiting = object(json!({"deletionTimestamp": "x", "finalizers": ["a/b"]}));
    let free = object(json!({"deletionTimestamp": "x"}));
    assert!(is_finished(&config_maps, &free, &waiting));
    assert!(!is_finished(&config_maps, &waiting, &waiting));
    let graceful = object(json!({"deletionTimestamp": "x", "deletionGracePeriodSeconds": 30}));
    assert!(!is_finished(&config_maps, &graceful, &graceful));
    assert!(!is_finished(&config_maps, &object(json!({})), &object(json!({}))));
}

#[test]
fn preconditions_are_told_in_upstreams_words() {
    let refused = |options: &DeleteOptions| {
        let object = object(json!({"uid": "u1", "resourceVersion": "7"}));
        plan(&resource(&Plain), &object, options, NOW).unwrap_err()
    };
    let uid = refused(&DeleteOptions { uid: Some("u2".to_owned()), ..DeleteOptions::default() });
    assert_eq!(
        (uid.code.as_u16(), uid.message.as_str()),
        (
            409,
            "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (u2) does not match the \
             UID in record (u1). The object might have been deleted and then recreated"
        )
    );
    let version = DeleteOptions { resource_version: Some("6".to_owned()), ..DeleteOptions::default() };
    assert_eq!(
        refused(&version).message,
        "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (6) does not \
         match the ResourceVersion in record (7). The object might have been modified"
    );
}

#[test]
fn a_namespace_turns_terminating_and_waits_to_be_emptied() {
    let namespaces = resources::find("", "v1", "namespaces").unwrap();
    let namespace = Object(json!({
        "metadata": {"name": "shop", "uid": "u1"},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    }));
    let decide = |namespace: &Object| plan(namespaces, namespace, &DeleteOptions::default(), NOW).unwrap();
    let terminating = marked(decide(&namespace));
    assert_eq!(terminating.text(&["status", "phase"]), "Terminating");
    assert_eq!(terminating.text(&["metadata", "deletionTimestamp"]), "2026-11-23T01:02:03Z");
    assert_eq!(decide(&terminating), Plan::Wait);
    let mut emptied = terminating.clone();
    emptied.remove(&["spec", "finalizers"]);
    assert!(is_finished(namespaces, &emptied, &terminating));
    assert!(!is_finished(namespaces, &terminating, &terminating));
    assert_eq!(decide(&emptied), Plan::Remove);
    let other = DeleteOptions { uid: Some("u2".to_owned()), ..DeleteOptions::default() };
    assert_eq!(
        plan(namespaces, &namespace, &other, NOW).unwrap_err().message,
        "Operation cannot be fulfilled on namespaces \"shop\": Precondition failed: UID in precondition: u2, UID in \
         object meta: u1"
    );
}
