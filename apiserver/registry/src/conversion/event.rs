//! Events of the core group and of `events.k8s.io/v1`: one thing under two names.
//!
//! In: a canonical Event of one of the two. Out: the same Event as the other, canonical again. Nothing is lost
//! on the way there and back: the two differ in the names of seven fields and in what Go's `omitempty` leaves out.
//!
//! Source: `pkg/apis/core/v1/conversion.go` and `pkg/apis/events/v1/conversion.go` of Kubernetes.

use keelson_api_schema::{DecodeError, builtin, decode_value};
use serde_json::Value;

use crate::object::Object;

/// The names of the core group, and what `events.k8s.io` calls the same.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The `events.k8s.io/v1` Event of a core Event.
///
/// # Errors
/// The first place where `event` is no Event; a canonical one has none.
pub fn from_core(event: Object) -> Result<Object, DecodeError> {
    let names = RENAMED.iter().copied();
    convert(event, "events.k8s.io", names)
}

/// The core Event of an `events.k8s.io/v1` Event.
///
/// # Errors
/// The first place where `event` is no Event; a canonical one has none.
pub fn to_core(event: Object) -> Result<Object, DecodeError> {
    let names = RENAMED.iter().map(|&(core, events)| (events, core));
    convert(event, "", names)
}

fn convert<'n>(
    mut event: Object,
    group: &str,
    names: impl Iterator<Item = (&'n str, &'n str)>,
) -> Result<Object, DecodeError> {
    if let Value::Object(fields) = &mut event.0 {
        for (from, to) in names {
            if let Some(value) = fields.remove(from) {
                fields.insert(to.to_owned(), value);
            }
        }
    }
    let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    event.set(&["apiVersion"], api_version);
    let ty = builtin()
        .lookup_kind(group, "v1", "Event")
        .expect("the schema has both Events: a test converts them");
    decode_value(builtin(), ty, event.0).map(|decoded| Object(decoded.value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn core_event() -> Object {
        let event = json!({
            "kind": "Event", "apiVersion": "v1",
            "metadata": {"name": "web.1", "namespace": "shop"},
            "involvedObject": {"kind": "Pod", "name": "web", "namespace": "shop"},
            "reason": "Started", "message": "Started container", "type": "Normal",
            "source": {"component": "kubelet", "host": "n1"},
            "firstTimestamp": "2026-11-23T01:02:03Z", "lastTimestamp": "2026-11-23T01:02:03Z", "count": 2,
            "reportingComponent": "kubelet", "reportingInstance": "n1",
        });
        let ty = builtin().lookup_kind("", "v1", "Event").unwrap();
        Object(decode_value(builtin(), ty, event).unwrap().value)
    }

    #[test]
    fn a_core_event_reads_as_the_other_groups_and_comes_back_whole() {
        let core = core_event();
        let other = from_core(core.clone()).unwrap();
        assert_eq!(other.text(&["apiVersion"]), "events.k8s.io/v1");
        assert_eq!(other.text(&["regarding", "name"]), "web");
        assert_eq!(other.text(&["note"]), "Started container");
        assert_eq!(other.text(&["deprecatedSource", "host"]), "n1");
        assert_eq!(other.integer(&["deprecatedCount"]), Some(2));
        assert_eq!(other.text(&["reportingController"]), "kubelet");
        assert_eq!(other.get(&["involvedObject"]), None);
        assert_eq!(to_core(other).unwrap(), core);
    }

    #[test]
    fn the_series_and_the_time_of_a_new_event_have_the_same_names_in_both() {
        let series = json!({"count": 3, "lastObservedTime": "2026-11-23T01:02:03.000004Z"});
        let event = json!({
            "kind": "Event", "apiVersion": "events.k8s.io/v1",
            "metadata": {"name": "web.2", "namespace": "shop"},
            "eventTime": "2026-11-23T01:02:03.000004Z", "series": series, "action": "Binding",
            "reportingController": "scheduler", "reportingInstance": "s1", "note": "bound",
            "regarding": {"kind": "Pod"}, "reason": "Scheduled", "type": "Normal",
        });
        let core = to_core(Object(event)).unwrap();
        assert_eq!(core.get(&["series"]), Some(&series));
        assert_eq!(core.text(&["eventTime"]), "2026-11-23T01:02:03.000004Z");
        assert_eq!(core.text(&["reportingComponent"]), "scheduler");
    }
}
