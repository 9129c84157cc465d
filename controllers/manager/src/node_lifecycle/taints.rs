//! Which taints a node should have because of its state: pure.
//!
//! In: the node, and whether its pods may be evicted now. Out: the whole list of taints, if it differs. Taints of others
//! stay as they are.

use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::health::Readiness;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Which taint follows from a condition that is true.
const OF_CONDITIONS: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

const NO_SCHEDULE: &str = "NoSchedule";
const NO_EXECUTE: &str = "NoExecute";

/// What to do about the taint that evicts a node's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// Take it away: the node is well, or no node is.
    No,
    /// Leave it as it is: it is not the node's turn.
    AsItIs,
    /// Put it there.
    Yes,
}

/// The taint with which pods are evicted from such a node.
fn evicting(readiness: Readiness) -> Option<&'static str> {
    match readiness {
        Readiness::Ready | Readiness::Unreported => None,
        Readiness::NotReady => Some(NOT_READY),
        Readiness::Unknown => Some(UNREACHABLE),
    }
}

/// Whether one of the two taints that evict pods is there, and if so whether it is the one for the node's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evicting {
    Not,
    ForThisState,
    ForAnotherState,
}

/// Whether the node's pods are being evicted.
pub(super) fn is_evicting(node: &Node) -> Evicting {
    let key = evicting(Readiness::of(node));
    let present = |key: &str| current(node).iter().any(|taint| is(taint, key, NO_EXECUTE));
    if key.is_some_and(present) {
        Evicting::ForThisState
    } else if present(NOT_READY) || present(UNREACHABLE) {
        Evicting::ForAnotherState
    } else {
        Evicting::Not
    }
}

/// The taints that the node should have; `None` if it has them.
pub(super) fn plan(node: &Node, eviction: Eviction, now: &Time) -> Option<Vec<Taint>> {
    let mut wanted: Vec<(&str, &str)> = unsuitable(node).into_iter().map(|key| (key, NO_SCHEDULE)).collect();
    match eviction {
        Eviction::No => {}
        Eviction::AsItIs => {
            let present = current(node).iter().filter(|taint| taint.effect == NO_EXECUTE);
            wanted.extend(present.map(|taint| (taint.key.as_str(), NO_EXECUTE)));
        }
        Eviction::Yes => wanted.extend(evicting(Readiness::of(node)).map(|key| (key, NO_EXECUTE))),
    }
    let is_wanted = |taint: &Taint| wanted.iter().any(|(key, effect)| is(taint, key, effect));
    let mut taints: Vec<Taint> =
        current(node).iter().filter(|taint| !is_ours(taint) || is_wanted(taint)).cloned().collect();
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| is(taint, key, effect)) {
            taints.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                time_added: Some(now.clone()),
                value: None,
            });
        }
    }
    (taints != current(node)).then_some(taints)
}

/// Why new pods should go elsewhere.
fn unsuitable(node: &Node) -> Vec<&'static str> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is_true =
        |kind: &str| conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True");
    let mut keys: Vec<&'static str> = evicting(Readiness::of(node)).into_iter().collect();
    keys.extend(OF_CONDITIONS.iter().filter(|(kind, _)| is_true(kind)).map(|(_, key)| *key));
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        keys.push(UNSCHEDULABLE);
    }
    keys
}

/// Whether the taint says something that is decided here.
fn is_ours(taint: &Taint) -> bool {
    let key = taint.key.as_str();
    match taint.effect.as_str() {
        NO_EXECUTE => [NOT_READY, UNREACHABLE].contains(&key),
        NO_SCHEDULE => {
            [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&key)
                || OF_CONDITIONS.iter().any(|(_, of_condition)| *of_condition == key)
        }
        _ => false,
    }
}

fn current(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

fn is(taint: &Taint, key: &str, effect: &str) -> bool {
    taint.key == key && taint.effect == effect
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::super::testing::{NodeBuilder, node};
    use super::*;

    fn now() -> Time {
        Time(Timestamp::from_second(60).unwrap())
    }

    /// `key:effect` of every taint that should be there; `None` if nothing has to change.
    fn planned(node: NodeBuilder, eviction: Eviction) -> Option<Vec<String>> {
        let taints = plan(&node.build(), eviction, &now())?;
        let tell = |taint: &Taint| {
            format!("{}:{}", taint.key.trim_start_matches("node.kubernetes.io/"), taint.effect)
        };
        Some(taints.iter().map(tell).collect())
    }

    #[test]
    fn conditions_and_cordons_keep_new_pods_away() {
        let troubled = node("a")
            .ready("True")
            .condition("MemoryPressure", "True")
            .condition("DiskPressure", "Unknown")
            .condition("PIDPressure", "True")
            .condition("NetworkUnavailable", "True")
            .unschedulable();
        assert_eq!(
            planned(troubled, Eviction::No).unwrap(),
            [
                "memory-pressure:NoSchedule",
                "pid-pressure:NoSchedule",
                "network-unavailable:NoSchedule",
                "unschedulable:NoSchedule"
            ]
        );
        let well = node("a").ready("True").taint(UNSCHEDULABLE, NO_SCHEDULE).taint(NOT_READY, NO_SCHEDULE);
        assert_eq!(planned(well, Eviction::No).unwrap(), [""; 0]);
    }

    #[test]
    fn a_node_that_is_not_ready_is_tainted_for_its_state() {
        assert_eq!(
            planned(node("a").ready("False"), Eviction::Yes).unwrap(),
            ["not-ready:NoSchedule", "not-ready:NoExecute"]
        );
        let lost = || node("a").ready("Unknown").taint(NOT_READY, NO_SCHEDULE).taint(NOT_READY, NO_EXECUTE);
        assert_eq!(
            planned(lost(), Eviction::Yes).unwrap(),
            ["unreachable:NoSchedule", "unreachable:NoExecute"],
            "the other state's taints go in the same write"
        );
        assert_eq!(
            planned(lost(), Eviction::AsItIs).unwrap(),
            ["not-ready:NoExecute", "unreachable:NoSchedule"]
        );
        assert_eq!(planned(lost(), Eviction::No).unwrap(), ["unreachable:NoSchedule"]);
        assert_eq!(planned(node("a").taint(NOT_READY, NO_SCHEDULE), Eviction::AsItIs).unwrap(), [""; 0]);
    }

    #[test]
    fn taints_of_others_stay_and_what_is_right_is_not_written() {
        let right = || {
            node("a")
                .ready("Unknown")
                .taint("example.com/dedicated", NO_EXECUTE)
                .taint(UNREACHABLE, NO_SCHEDULE)
                .taint(UNREACHABLE, NO_EXECUTE)
                .taint(NOT_READY, "PreferNoSchedule")
        };
        for eviction in [Eviction::Yes, Eviction::AsItIs] {
            assert_eq!(planned(right(), eviction), None);
        }
        assert_eq!(
            planned(right(), Eviction::No).unwrap(),
            ["example.com/dedicated:NoExecute", "unreachable:NoSchedule", "not-ready:PreferNoSchedule"]
        );
    }

    #[test]
    fn new_taints_say_since_when() {
        let taints = plan(&node("a").ready("False").build(), Eviction::Yes, &now()).unwrap();
        assert!(taints.iter().all(|taint| taint.time_added == Some(now())));
    }

    #[test]
    fn an_eviction_under_way_is_recognized() {
        let of = |node: NodeBuilder| is_evicting(&node.build());
        assert_eq!(of(node("a").ready("Unknown").taint(UNREACHABLE, NO_SCHEDULE)), Evicting::Not);
        assert_eq!(of(node("a").ready("Unknown").taint(UNREACHABLE, NO_EXECUTE)), Evicting::ForThisState);
        assert_eq!(of(node("a").ready("Unknown").taint(NOT_READY, NO_EXECUTE)), Evicting::ForAnotherState);
        assert_eq!(of(node("a").ready("True").taint(NOT_READY, NO_EXECUTE)), Evicting::ForAnotherState);
    }
}
