//! What is promised of the deployment template, shown by example.

use proptest::prelude::*;
use serde_json::{from_value, json};

use super::*;

fn of(template: Value) -> Canonical {
    let template: PodTemplateSpec = from_value(template).unwrap();
    Canonical::of(&template)
}

fn with(field: &str, value: Value) -> Canonical {
    let mut container = json!({"name": "web"});
    container[field] = value;
    of(json!({"spec": {"containers": [container]}}))
}

#[test]
fn nothing_and_empty_are_the_same() {
    let plain = of(json!({"spec": {"containers": [{"name": "web"}]}}));
    let empty = of(json!({
        "metadata": {"labels": {}, "annotations": {}, "finalizers": [], "creationTimestamp": null},
        "spec": {"containers": [{"name": "web", "env": [], "command": []}], "nodeSelector": {}, "volumes": []},
    }));
    assert_eq!(plain, empty);
}

#[test]
fn an_empty_structure_means_something() {
    let volume = |volume: Value| of(json!({"spec": {"containers": [], "volumes": [volume]}}));
    assert_ne!(volume(json!({"name": "a"})), volume(json!({"name": "a", "emptyDir": {}})));
}

#[test]
fn the_label_of_the_hash_does_not_count_and_other_labels_do() {
    let labeled = |labels: Value| of(json!({"metadata": {"labels": labels}}));
    assert_eq!(labeled(json!({"a": "b", HASH_LABEL: "x"})), labeled(json!({"a": "b"})));
    assert_eq!(labeled(json!({HASH_LABEL: "x"})), labeled(json!({})));
    assert_ne!(labeled(json!({"a": "b"})), labeled(json!({"a": "c"})));
}

#[test]
fn the_same_amount_is_the_same() {
    let limits = |cpu: &str, memory: &str| {
        with("resources", json!({"limits": {"cpu": cpu, "memory": memory}, "requests": {}}))
    };
    assert_eq!(limits("1500m", "1Gi"), limits("1.500", "1024Mi"));
    assert_ne!(limits("1500m", "1Gi"), limits("1501m", "1Gi"));
    let divided = |divisor: &str| {
        let field = json!({"resource": "limits.cpu", "divisor": divisor});
        with("env", json!([{"name": "CPUS", "valueFrom": {"resourceFieldRef": field}}]))
    };
    assert_eq!(divided("0"), divided("0m"));
    assert_ne!(divided("1"), divided("1m"));
}

#[test]
fn words_of_the_user_are_not_amounts() {
    let labeled = |value: &str| of(json!({"metadata": {"labels": {"divisor": value, "limits": value}}}));
    assert_ne!(labeled("1"), labeled("1000m"));
}

#[test]
fn hashes_are_safe_in_names_and_stay_what_they_are() {
    let template = with("image", json!("web:1"));
    // Part of the names of sets in clusters that exist. They are found by their templates, so another hash harms no
    // pod; but it does not come about unnoticed.
    assert_eq!(template.hash(0), "558479bd7d");
    assert_ne!(template.hash(1), template.hash(0));
    assert_ne!(with("image", json!("web:2")).hash(0), template.hash(0));
}

proptest! {
    #[test]
    fn a_hash_is_part_of_any_name(image in ".*", collisions in 0..i32::MAX) {
        let hash = with("image", json!(image)).hash(collisions);
        prop_assert!((1..=10).contains(&hash.len()));
        prop_assert!(hash.bytes().all(|byte| SAFE.contains(&byte)));
    }
}
