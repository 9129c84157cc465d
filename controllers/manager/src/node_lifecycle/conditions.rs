//! What the status says of a node that is not heard of any more: pure.
//!
//! In: the node. Out: the conditions that are not known any more, to be written into it.

use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What only the node itself can know. Whether its network is there is said by others.
const OWN: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// The conditions to write, empty if all of them are unknown already.
pub(super) fn unknown(node: &Node, now: &Time) -> Vec<NodeCondition> {
    let posted = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let changed =
        OWN.iter().filter_map(|kind| match posted.iter().find(|condition| condition.type_ == *kind) {
            Some(condition) if condition.status == "Unknown" => None,
            Some(condition) => Some(NodeCondition {
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusUnknown".to_owned()),
                message: Some("Kubelet stopped posting node status.".to_owned()),
                last_transition_time: Some(now.clone()),
                ..condition.clone()
            }),
            None => Some(NodeCondition {
                type_: (*kind).to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(now.clone()),
            }),
        });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::super::testing::node;
    use super::*;

    #[test]
    fn what_was_posted_becomes_unknown_and_what_was_not_is_said_so() {
        let node = node("a")
            .ready("True")
            .condition("MemoryPressure", "Unknown")
            .condition("NetworkUnavailable", "False")
            .heartbeat(7)
            .build();
        let now = Time(Timestamp::from_second(60).unwrap());
        let stopped = json!({
            "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastHeartbeatTime": "1970-01-01T00:00:07Z", "lastTransitionTime": "1970-01-01T00:01:00Z",
        });
        let never = |kind: &str| {
            json!({
                "type": kind, "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": "1970-01-01T00:00:00Z", "lastTransitionTime": "1970-01-01T00:01:00Z",
            })
        };
        assert_eq!(
            serde_json::to_value(unknown(&node, &now)).unwrap(),
            json!([stopped, never("DiskPressure"), never("PIDPressure")])
        );
    }

    #[test]
    fn what_is_unknown_already_is_not_written_again() {
        let node = OWN.iter().fold(node("a"), |node, kind| node.condition(kind, "Unknown")).build();
        assert_eq!(unknown(&node, &Time(Timestamp::UNIX_EPOCH)), []);
    }
}
