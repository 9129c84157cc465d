//! Server-side apply as a dialogue: who writes what, and the object and its managers then. And what holds for all.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{builtin, decode_value, encode};

mod dialogue;

const NOW: &str = "2026-11-23T01:02:03Z";

fn manager<'a>(name: &'a str, reset: &'a FieldSet) -> FieldManager<'a> {
    FieldManager {
        schema: builtin(),
        ty: builtin().lookup("core/v1.ServiceAccount").unwrap(),
        api_version: "v1",
        kind: "ServiceAccount",
        reset,
        name,
        subresource: "",
        now: NOW,
        versions: None,
    }
}

/// A configuration with maps, a list by keys and a set.
fn configuration() -> impl Strategy<Value = Value> {
    let texts = || prop::collection::btree_map("[a-c]", "[x-y]", 0..3);
    let secrets = prop::collection::btree_set("[a-e]", 0..4);
    (texts(), texts(), secrets, prop::collection::btree_set("[a-d]/[a-b]", 0..4)).prop_map(
        |(labels, annotations, secrets, finalizers)| {
            let mut object = json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "a", "namespace": "shop"},
            });
            let mut put = |parent: &str, name: &str, value: Value| {
                if value.as_object().is_some_and(|map| !map.is_empty())
                    || value.as_array().is_some_and(|list| !list.is_empty())
                {
                    let place = if parent.is_empty() { &mut object } else { &mut object[parent] };
                    place[name] = value;
                }
            };
            put("metadata", "labels", json!(labels));
            put("metadata", "annotations", json!(annotations));
            put("metadata", "finalizers", json!(finalizers));
            put("", "secrets", secrets.iter().map(|name| json!({"name": name})).collect());
            object
        },
    )
}

fn canonical(object: Value) -> Value {
    let ty = builtin().lookup("core/v1.ServiceAccount").unwrap();
    decode_value(builtin(), ty, object).unwrap().value
}

fn without_entries(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"].as_object_mut().map(|metadata| metadata.remove("managedFields"));
    object
}

/// Lists whose items are told apart are compared whatever their order.
fn sorted(mut object: Value) -> Value {
    for list in ["/secrets", "/metadata/finalizers"] {
        if let Some(Value::Array(items)) = object.pointer_mut(list) {
            items.sort_by_key(ToString::to_string);
        }
    }
    object
}

proptest! {
    #[test]
    fn what_one_manager_applies_is_what_is_read_back(first in configuration(), second in configuration()) {
        let nothing = FieldSet::default();
        let me = manager("me", &nothing);
        let one = canonical(me.apply(None, &first, false).unwrap());
        prop_assert_eq!(without_entries(&one), canonical(first));
        let other = canonical(me.apply(Some(&one), &second, false).unwrap());
        prop_assert_eq!(without_entries(&other), canonical(second.clone()));
        let again = canonical(me.apply(Some(&other), &second, false).unwrap());
        prop_assert_eq!(again, other);
    }

    #[test]
    fn what_another_manager_applies_alone_stays_whatever_one_does(
        theirs in configuration(), first in configuration(), second in configuration(),
    ) {
        let nothing = FieldSet::default();
        let (me, them) = (manager("me", &nothing), manager("them", &nothing));
        let object = canonical(them.apply(None, &theirs, false).unwrap());
        let object = canonical(me.apply(Some(&object), &first, true).unwrap());
        let object = canonical(me.apply(Some(&object), &second, true).unwrap());
        let merged = merge::merge(place::Place::root(builtin(), me.ty), &theirs, &second);
        // Values that both set are the last one's; a value that was taken over and given up is nobody's.
        let field = |object: &Value, list: &str, name: &str| object.pointer(list).and_then(|map| map.get(name)).cloned();
        for list in ["/metadata/labels", "/metadata/annotations"] {
            for name in ["a", "b", "c"] {
                let taken = field(&first, list, name).is_some_and(|value| Some(value) != field(&theirs, list, name));
                let given_up = taken && field(&second, list, name).is_none();
                let wanted = if given_up { None } else { field(&merged, list, name) };
                prop_assert_eq!(field(&object, list, name), wanted, "{}{}", list, name);
            }
        }
        for list in ["secrets", "finalizers"] {
            let path = if list == "secrets" { "/secrets" } else { "/metadata/finalizers" };
            let pick = |object: &Value| sorted(object.clone()).pointer(path).cloned();
            prop_assert_eq!(pick(&object), pick(&merged), "{}", list);
        }
    }

    #[test]
    fn an_update_owns_what_it_changes_and_takes_it_from_others(theirs in configuration(), mine in configuration()) {
        let nothing = FieldSet::default();
        let object = canonical(manager("them", &nothing).apply(None, &theirs, false).unwrap());
        let mut wanted = canonical(mine);
        let managed = manager("me", &nothing).update(Some(&object), &wanted);
        let entries = managers::read(managed.as_ref()).unwrap();
        for one in &entries {
            for other in entries.iter().filter(|other| !other.is_of(one)) {
                prop_assert!(one.fields.intersection(&other.fields).is_empty(), "{:?} {:?}", one, other);
            }
        }
        if let Some(managed) = managed {
            wanted["metadata"]["managedFields"] = managed;
        }
        prop_assert_eq!(manager("me", &nothing).update(Some(&wanted), &wanted), wanted["metadata"].get("managedFields").cloned());
    }

    #[test]
    fn whatever_is_applied_is_refused_or_done(config in anything(), live in configuration()) {
        let nothing = FieldSet::default();
        let mut wanted = config;
        if let Some(object) = wanted.as_object_mut() {
            object.insert("apiVersion".to_owned(), "v1".into());
            object.insert("kind".to_owned(), "ServiceAccount".into());
        }
        let live = canonical(live);
        let _ = manager("me", &nothing).apply(Some(&live), &wanted, true);
        if let Ok(set) = FieldSet::read(&wanted) {
            prop_assert_eq!(FieldSet::read(&set.clone().write()), Ok(set));
        }
    }
}

/// Values that look like objects, in one way or another.
fn anything() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        "[a-z.:]{0,4}",
        Just("metadata".to_owned()),
        Just("secrets".to_owned()),
        Just("labels".to_owned()),
        Just("name".to_owned()),
        Just("f:a".to_owned()),
        Just(r#"k:{"name": "a"}"#.to_owned()),
        Just("v:1".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

#[test]
fn items_that_both_sides_have_stand_in_the_order_of_the_configuration() {
    let names =
        |list: &str| -> Value { list.chars().map(|name| json!({"name": name.to_string()})).collect() };
    // From structured-merge-diff's own cases: (object, configuration, merged).
    let table = [
        ("", "a", "a"),
        ("a", "b", "ab"),
        ("ab", "ba", "ba"),
        ("abc", "c", "abc"),
        ("abc", "cb", "acb"),
        ("abcd", "ea", "eabcd"),
        ("abcdef", "gf", "abcdegf"),
        ("1a2b3", "ba", "12b3a"),
        ("abc", "dcba", "dcba"),
    ];
    let place = place::Place::root(builtin(), builtin().lookup("core/v1.ServiceAccount").unwrap());
    for (object, configuration, merged) in table {
        let of = |list| json!({"secrets": names(list)});
        let found = merge::merge(place, &of(object), &of(configuration));
        let found: String =
            found["secrets"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!(found, merged, "{configuration} into {object}");
    }
}

#[test]
fn fields_are_written_and_described_as_upstream_does() {
    let fields = json!({"f:spec": {".": {}, "f:ports": {"k:{\"protocol\":\"TCP\", \"port\":80}": {".": {}, "f:port": {}}}},
                        "f:x": {"v:\"a\"": {}, "i:3": {}}, "z:later": {}});
    let set = FieldSet::read(&fields).unwrap();
    let written = set.clone().write();
    let key = r#"k:{"port":80,"protocol":"TCP"}"#;
    assert_eq!(written["f:spec"]["f:ports"][key], json!({".": {}, "f:port": {}}));
    let mut paths = Vec::new();
    set.describe("", &mut paths);
    let port = r#".spec.ports[port=80,protocol="TCP"]"#;
    assert_eq!(paths, [".spec", port, &format!("{port}.port"), ".x[3]", ".x[=\"a\"]"]);
    let mut text = Vec::new();
    encode::untyped(&written, &mut text);
    assert!(String::from_utf8(text).unwrap().starts_with(r#"{"f:spec":{".":{},"f:ports":{"#));
    assert_eq!(FieldSet::read(&json!({"f": {}})), Err("key must be 2 characters long:f".to_owned()));
}

#[test]
fn the_oldest_updates_are_gathered_when_there_are_more_than_ten() {
    let nothing = FieldSet::default();
    let mut object = json!({"metadata": {"name": "a", "uid": "u"}});
    for at in 0..13 {
        let mut wanted = object.clone();
        wanted["metadata"]["labels"][format!("l{at:02}")] = "x".into();
        let (name, now) = (format!("m{at:02}"), format!("2026-11-23T01:02:{at:02}Z"));
        let me = FieldManager { now: &now, ..manager(&name, &nothing) };
        let live = (at > 0).then_some(&object);
        let managed = me.update(live, &wanted).unwrap();
        wanted["metadata"]["managedFields"] = managed;
        object = wanted;
    }
    let entries = managers::read(object["metadata"].get("managedFields")).unwrap();
    assert_eq!(entries.len(), 10);
    assert_eq!(
        (entries[0].manager.as_str(), entries[0].time.as_str()),
        ("ancient-changes", "2026-11-23T01:02:03Z")
    );
    let mut gathered = Vec::new();
    entries[0].fields.describe("", &mut gathered);
    let labels: Vec<_> = gathered.iter().filter(|path| path.starts_with(".metadata.labels.")).collect();
    assert_eq!(labels.len(), 4, "{gathered:?}");
}
