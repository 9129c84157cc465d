//! The difference between what the API says of a pod and what it shall say, as a strategic merge patch.
//!
//! In: both statuses. Out: a patch that touches only what a node owns, and names the pod's uid, so that it never hits a
//! later pod of the same name. Pure.

use k8s_openapi::api::core::v1::{PodCondition, PodStatus};
use serde_json::{Map, Value, json};

use super::conditions::{OWNED, PASSING};

/// Fields that are written as they are.
const PLAIN: [&str; 10] = [
    "containerStatuses",
    "ephemeralContainerStatuses",
    "hostIP",
    "initContainerStatuses",
    "message",
    "observedGeneration",
    "phase",
    "podIP",
    "qosClass",
    "reason",
];

/// Lists that the API would merge, and that are meant to be replaced.
const REPLACED: [&str; 2] = ["hostIPs", "podIPs"];

/// The patch that turns `known` into `wanted`; `None` if there is nothing to say.
pub(crate) fn patch(uid: &str, known: &PodStatus, wanted: &PodStatus) -> Option<Value> {
    let (old, new) = (object(known), object(wanted));
    let mut changes = Map::new();
    for key in PLAIN {
        if old.get(key) != new.get(key) {
            changes.insert(key.to_owned(), new.get(key).cloned().unwrap_or(Value::Null));
        }
    }
    for key in REPLACED {
        if old.get(key) != new.get(key) {
            changes.insert(key.to_owned(), replacement(new.get(key)));
        }
    }
    // The API keeps the time when the pod was first seen.
    if known.start_time.is_none()
        && let Some(start) = new.get("startTime")
    {
        changes.insert("startTime".to_owned(), start.clone());
    }
    let conditions = changed_conditions(known, wanted);
    if !conditions.is_empty() {
        changes.insert("conditions".to_owned(), Value::Array(conditions));
    }
    (!changes.is_empty()).then(|| json!({"metadata": {"uid": uid}, "status": changes}))
}

fn object(status: &PodStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    }
}

fn replacement(list: Option<&Value>) -> Value {
    let mut items = list.and_then(Value::as_array).cloned().unwrap_or_default();
    items.push(json!({"$patch": "replace"}));
    Value::Array(items)
}

fn changed_conditions(known: &PodStatus, wanted: &PodStatus) -> Vec<Value> {
    let owned = wanted.conditions.iter().flatten().filter(|it| OWNED.contains(&it.type_.as_str()));
    let changed = owned.filter(|new| {
        let old = known.conditions.iter().flatten().find(|old| old.type_ == new.type_);
        old.is_none_or(|old| !is_same(old, new))
    });
    let is_over = |kind: &str| {
        let has = |status: &PodStatus| status.conditions.iter().flatten().any(|it| it.type_ == kind);
        has(known) && !has(wanted)
    };
    let over = PASSING.into_iter().filter(|kind| is_over(kind));
    changed.map(whole_condition).chain(over.map(|kind| json!({"type": kind, "$patch": "delete"}))).collect()
}

/// Probe times are nobody's business here.
fn is_same(a: &PodCondition, b: &PodCondition) -> bool {
    let facts = |it: &PodCondition| {
        (it.status.clone(), it.reason.clone(), it.message.clone(), it.observed_generation)
    };
    facts(a) == facts(b)
}

/// With a null for what is absent: it may have been there before.
fn whole_condition(condition: &PodCondition) -> Value {
    json!({
        "type": condition.type_,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": condition.observed_generation,
        "lastTransitionTime": condition.last_transition_time,
        "lastProbeTime": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> PodStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_condition_that_is_there_only_while_it_is_true_is_removed() {
        let condition = |kind: &str| {
            let at = "2026-01-01T00:00:00Z";
            status(json!({"conditions": [{"type": kind, "status": "True", "lastTransitionTime": at}]}))
        };
        let changes = patch("u", &condition("PodResizeInProgress"), &PodStatus::default()).unwrap();
        let removed = json!([{"type": "PodResizeInProgress", "$patch": "delete"}]);
        assert_eq!(changes["status"]["conditions"], removed);
        assert_eq!(patch("u", &condition("Ready"), &PodStatus::default()), None);
    }

    #[test]
    fn nothing_is_said_twice() {
        let told = status(
            json!({"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}], "startTime": "2026-01-01T00:00:00Z",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}),
        );
        assert_eq!(patch("u", &told, &told), None);
        // Another idea of when it began is no news.
        let mut later = told.clone();
        later.start_time = status(json!({"startTime": "2026-01-01T00:00:09Z"})).start_time;
        assert_eq!(patch("u", &told, &later), None);
    }

    #[test]
    fn only_what_changed_is_sent_with_the_pods_uid() {
        let known = status(json!({"phase": "Running", "reason": "X", "hostIP": "1.1.1.1"}));
        let wanted = status(json!({"phase": "Failed", "hostIP": "1.1.1.1"}));
        let expected = json!({"metadata": {"uid": "u"}, "status": {"phase": "Failed", "reason": null}});
        assert_eq!(patch("u", &known, &wanted), Some(expected));
    }

    #[test]
    fn conditions_of_others_are_left_alone_and_own_ones_lose_their_reasons() {
        let known = status(json!({"conditions": [
            {"type": "example.com/gate", "status": "True"},
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "m"},
            {"type": "PodScheduled", "status": "True"},
        ]}));
        let wanted = status(json!({"conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "PodScheduled", "status": "True"},
        ]}));
        let patch = patch("u", &known, &wanted).unwrap();
        assert_eq!(
            patch["status"],
            json!({"conditions": [{"type": "Ready", "status": "True", "reason": null,
            "message": null, "observedGeneration": null, "lastTransitionTime": "2026-01-01T00:00:00Z",
            "lastProbeTime": null}]})
        );
    }

    #[test]
    fn addresses_are_replaced_not_added() {
        let known = status(json!({"podIPs": [{"ip": "10.0.0.1"}]}));
        let wanted = status(json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}));
        let patch = patch("u", &known, &wanted).unwrap();
        assert_eq!(patch["status"]["podIPs"], json!([{"ip": "10.0.0.2"}, {"$patch": "replace"}]));
    }
}
