//! Node: its pod ranges, its taints, what it has.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_label_value;
use serde_json::{Value, json};

use crate::{
    columns::{AGE, NAME, NONE, UNKNOWN, or_none},
    field::FieldError,
    kinds::{
        address::{check_cidr, warn_cidr},
        metadata,
        pod::{resources, scheduling::EFFECTS},
    },
    object::Object,
    place::Place,
    resources::Column,
    strategy::{Strategy, drop_unless_used},
};

/// Labels that say what a node is for: `node-role.kubernetes.io/<role>`, or the older one with the role as value.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE_LABEL: &str = "kubernetes.io/role";

/// What an alpha feature would know: whether pods make room on the node for others that grow.
const PREEMPTION: &[&str] = &["spec", "podPreemptionPolicy"];

/// Where nodes once had their configuration from. What has one keeps it, but nothing gets one any more.
const CONFIG_SOURCE: [&str; 2] = ["spec", "configSource"];

/// The columns of Nodes.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Status", "string", |object, _| status(object).into()),
    Column::new("Roles", "string", |object, _| roles(object).into()),
    AGE,
    Column::new("Version", "string", |object, _| info(object, "kubeletVersion", "").into()),
    Column::wide("Internal-IP", "string", |object, _| address(object, "InternalIP").into()),
    Column::wide("External-IP", "string", |object, _| address(object, "ExternalIP").into()),
    Column::wide("OS-Image", "string", |object, _| info(object, "osImage", UNKNOWN).into()),
    Column::wide("Kernel-Version", "string", |object, _| info(object, "kernelVersion", UNKNOWN).into()),
    Column::wide("Container-Runtime", "string", |object, _| {
        info(object, "containerRuntimeVersion", UNKNOWN).into()
    }),
];

/// The rules of Nodes.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        drop_unless_used(object, None, PREEMPTION);
        object.remove(&CONFIG_SOURCE);
        object.remove(&["status", "config"]);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_unless_used(object, Some(old), PREEMPTION);
        if old.get(&CONFIG_SOURCE).is_none() {
            object.remove(&CONFIG_SOURCE);
        }
        match old.get(&["status"]) {
            Some(status) => object.set(&["status"], status.clone()),
            None => drop(object.remove(&["status"])),
        }
    }

    fn default(&self, object: &mut Object) {
        synchronize_ranges(object);
        let capacity = object.get(&["status", "capacity"]).cloned();
        if let Some(capacity) = capacity
            && object.get(&["status", "allocatable"]).is_none()
        {
            object.set(&["status", "allocatable"], capacity);
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        // Upstream's path for the taints.
        taints(&Place::at(object, &["spec", "taints"]).shown_as("metadata.taints"), &mut errors);
        amounts(object, &mut errors);
        ranges(&Place::at(object, &["spec", "podCIDRs"]), &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for (field, name) in [("podCIDRs", "podCIDR"), ("providerID", "providerID")] {
            let path = ["spec", field];
            let before = old.get(&path).filter(|value| **value != json!([]) && **value != json!(""));
            if before.is_some() && before != object.get(&path) {
                let detail = format!("node updates may not change {name} except from \"\" to valid");
                errors.push(FieldError::forbidden(path.join("."), detail));
            }
        }
        let id = ["spec", "externalID"];
        if object.text(&id) != old.text(&id) {
            errors.push(FieldError::forbidden("spec.externalID", "may not be updated"));
        }
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        amounts(object, &mut errors);
        let mut seen = BTreeSet::new();
        for address in Place::at(object, &["status", "addresses"]).items() {
            if !seen.insert((address.child("type").text(), address.child("address").text())) {
                errors.push(address.duplicate());
            }
        }
        errors
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        if object.get(&CONFIG_SOURCE).is_some() {
            warnings.push("spec.configSource: the feature is removed".to_owned());
        }
        if !object.text(&["spec", "externalID"]).is_empty() {
            let what = "this field is deprecated, and is unused by Kubernetes";
            warnings.push(format!("spec.externalID: {what}"));
        }
        let ranges = Place::at(object, &["spec", "podCIDRs"]);
        ranges.items().for_each(|range| warn_cidr(&range, &mut warnings));
        warnings
    }

    fn field_value(&self, object: &Object, field: &str) -> String {
        let path: Vec<&str> = field.split('.').collect();
        Place::at(object, &path).flag().to_string()
    }
}

/// `podCIDR` is the first of `podCIDRs`; either may be written.
fn synchronize_ranges(object: &mut Object) {
    let one = object.text(&["spec", "podCIDR"]).to_owned();
    let first =
        object.list(&["spec", "podCIDRs"]).first().and_then(Value::as_str).unwrap_or_default().to_owned();
    if !one.is_empty() && first != one {
        object.set(&["spec", "podCIDRs"], json!([one]));
    } else if !first.is_empty() {
        object.set(&["spec", "podCIDR"], first);
    }
}

fn taints(taints: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.child("key"), taint.child("value"), taint.child("effect"));
        metadata::label_key(key.text(), &key, errors);
        let wrong = check_label_value(value.text());
        if !wrong.is_empty() {
            errors.push(value.invalid(wrong.join(";")));
        }
        match effect.text() {
            "" => errors.push(effect.required("")),
            _ => effect.one_of(EFFECTS, errors),
        }
        if !seen.insert((effect.text(), key.text())) {
            let detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(FieldError { detail, ..taint.duplicate() });
        }
    }
}

fn amounts(object: &Object, errors: &mut Vec<FieldError>) {
    for list in ["capacity", "allocatable"] {
        let amounts = Place::at(object, &["status", list]);
        for (name, amount) in amounts.entries() {
            let path = format!("{}.{name}", amounts.path());
            resources::quantity(name, &amount.shown_as(&path), errors);
        }
    }
}

fn ranges(ranges: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (mut seen, mut families) = (BTreeSet::new(), BTreeSet::new());
    for range in ranges.items() {
        check_cidr(&range, errors);
        families.insert(range.text().contains(':'));
        if !seen.insert(range.text()) {
            errors.push(range.duplicate());
        }
    }
    if ranges.len() > families.len() {
        errors.push(ranges.invalid("may specify no more than one CIDR for each IP family"));
    }
}

fn status(object: &Object) -> String {
    let conditions = object.list(&["status", "conditions"]);
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if Place::at(object, &["spec", "unschedulable"]).flag() {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(object: &Object) -> String {
    let labels = object.map(&["metadata", "labels"]).into_iter().flatten();
    let roles: BTreeSet<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None if key == ROLE_LABEL => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    or_none(roles.into_iter().collect::<Vec<_>>().join(","))
}

fn address(object: &Object, kind: &str) -> String {
    let addresses = object.list(&["status", "addresses"]);
    let found = addresses.iter().find(|address| address["type"] == kind);
    found.and_then(|address| address["address"].as_str()).unwrap_or(NONE).to_owned()
}

fn info(object: &Object, field: &str, unknown: &str) -> String {
    match object.text(&["status", "nodeInfo", field]) {
        "" => unknown.to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    #[test]
    fn one_range_is_the_first_of_all() {
        let mut object = Object(json!({"spec": {"podCIDR": "10.1.0.0/24"}}));
        Rules.default(&mut object);
        assert_eq!(object.0["spec"], json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"]}));
        let mut object =
            Object(json!({"spec": {"podCIDRs": ["10.1.0.0/24"]}, "status": {"capacity": {"cpu": "1"}}}));
        Rules.default(&mut object);
        assert_eq!(object.text(&["spec", "podCIDR"]), "10.1.0.0/24");
        assert_eq!(object.0["status"]["allocatable"], json!({"cpu": "1"}));
    }

    #[test]
    fn what_an_alpha_feature_would_know_is_dropped() {
        let mut object = Object(json!({"spec": {"podPreemptionPolicy": {}}}));
        Rules.prepare_create(&mut object);
        assert_eq!(object.get(PREEMPTION), None);
    }

    #[test]
    fn ranges_and_ids_are_given_once() {
        let new = Object(json!({"spec": {"podCIDRs": ["10.1.0.0/24"], "providerID": "a"}}));
        assert_eq!(Rules.validate_update(&new, &Object(json!({"spec": {}}))), []);
        assert_eq!(
            texts(&Rules.validate_update(&Object(json!({"spec": {"providerID": "b"}})), &new)),
            [
                "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
                "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
            ]
        );
    }

    #[test]
    fn taints_ranges_and_amounts_are_checked() {
        let object = Object(json!({
            "spec": {
                "taints": [
                    {"key": "a", "effect": "NoSchedule"},
                    {"key": "a", "effect": "NoSchedule", "value": "x"},
                    {"key": "a", "effect": "Never"}
                ],
                "podCIDRs": ["10.0.0.0/8", "10.1.0.0"]
            },
            "status": {"capacity": {"cpu": "-1"}}
        }));
        assert_eq!(
            texts(&Rules.validate(&object)),
            [
                "metadata.taints[1]: Duplicate value: {\"effect\":\"NoSchedule\",\"key\":\"a\",\"value\":\"x\"}: \
                 taints must be unique by key and effect pair",
                "metadata.taints[2].effect: Unsupported value: \"Never\": \
                 supported values: \"NoExecute\", \"NoSchedule\", \"PreferNoSchedule\"",
                "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
                "spec.podCIDRs[1]: Invalid value: \"10.1.0.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                "spec.podCIDRs: Invalid value: [\"10.0.0.0/8\",\"10.1.0.0\"]: may specify no more than one CIDR for each IP family",
            ]
        );
    }

    #[test]
    fn rows_are_upstreams() {
        let object = Object(json!({
            "metadata": {"name": "n1", "labels": {
                "node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge", "node-role.kubernetes.io/": ""
            }},
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1.37.0"}
            }
        }));
        let cells = COLUMNS.iter().map(|column| (column.cell)(&object, OffsetDateTime::UNIX_EPOCH));
        let row: Vec<_> = cells.map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(
            row,
            [
                "n1",
                "Ready,SchedulingDisabled",
                "edge,worker",
                "<unknown>",
                "v1.37.0",
                "10.0.0.1",
                "<none>",
                "<unknown>",
                "<unknown>",
                "<unknown>"
            ]
        );
        assert_eq!(Rules.field_value(&object, "spec.unschedulable"), "true");
        assert_eq!(Rules.field_value(&Object(json!({})), "spec.unschedulable"), "false");
    }

    #[test]
    fn fields_that_nothing_reads_and_unusual_ranges_are_warned_of() {
        let mut new =
            Object(json!({"spec": {"configSource": {}, "externalID": "x"}, "status": {"config": {}}}));
        let old = new.clone();
        let id = "spec.externalID: this field is deprecated, and is unused by Kubernetes";
        assert_eq!(Rules.warnings(&old, Some(&old)), ["spec.configSource: the feature is removed", id]);
        Rules.prepare_update(&mut new, &Object(json!({})));
        assert_eq!(Rules.warnings(&new, Some(&old)), [id]);
        let mut created = old.clone();
        Rules.prepare_create(&mut created);
        assert_eq!(created.0, json!({"spec": {"externalID": "x"}, "status": {}}));
        let ranges = json!({"spec": {"podCIDRs": ["10.1.0.0/24", "FD00::/64"]}});
        assert_eq!(
            Rules.warnings(&Object(ranges), None),
            [
                "spec.podCIDRs[1]: IPv6 CIDR value \"FD00::/64\" should be in RFC 5952 canonical format (\"fd00::/64\")"
            ]
        );
    }
}
