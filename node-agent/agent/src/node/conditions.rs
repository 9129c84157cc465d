//! The conditions of a node. Pure; reasons and messages are upstream's.

use k8s_openapi::api::core::v1::NodeCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::pressure::Pressure;

/// What the conditions follow from.
#[derive(Clone, Debug)]
pub(crate) struct Health<'a> {
    pub(crate) pressure: Pressure,
    /// What keeps pods from running here; empty if nothing does.
    pub(crate) obstacles: &'a [String],
}

/// A condition that has turned, as an event tells it.
pub(crate) type Turn = &'static str;

/// The conditions, each with the time since when it is so, and those that have turned.
pub(crate) fn conditions(
    health: &Health<'_>,
    old: &[NodeCondition],
    now: Timestamp,
) -> (Vec<NodeCondition>, Vec<Turn>) {
    let Pressure { memory, disk, pids } = health.pressure;
    let mut turns = Vec::new();
    let mut all: Vec<NodeCondition> = [memory_pressure(memory), disk_pressure(disk), pid_pressure(pids)]
        .into_iter()
        .map(|(finding, turn)| {
            let (condition, has_turned) = condition(finding, old, now);
            turns.extend(has_turned.then_some(turn));
            condition
        })
        .collect();
    let was_known = old.iter().any(|it| it.type_ == "Ready");
    let (ready, has_turned) = condition(ready(health.obstacles), old, now);
    if has_turned && was_known {
        turns.push(if ready.status == "True" { "NodeReady" } else { "NodeNotReady" });
    }
    // Readers of old expect it at the end.
    all.push(ready);
    (all, turns)
}

struct Finding {
    kind: &'static str,
    is_true: bool,
    reason: &'static str,
    message: String,
}

fn finding(kind: &'static str, is_true: bool, reason: &'static str, message: &str) -> Finding {
    Finding { kind, is_true, reason, message: message.to_owned() }
}

fn memory_pressure(is_true: bool) -> (Finding, Turn) {
    let of = |reason, message| finding("MemoryPressure", is_true, reason, message);
    if is_true {
        let message = "kubelet has insufficient memory available";
        (of("KubeletHasInsufficientMemory", message), "NodeHasInsufficientMemory")
    } else {
        let message = "kubelet has sufficient memory available";
        (of("KubeletHasSufficientMemory", message), "NodeHasSufficientMemory")
    }
}

fn disk_pressure(is_true: bool) -> (Finding, Turn) {
    let of = |reason, message| finding("DiskPressure", is_true, reason, message);
    if is_true {
        (of("KubeletHasDiskPressure", "kubelet has disk pressure"), "NodeHasDiskPressure")
    } else {
        (of("KubeletHasNoDiskPressure", "kubelet has no disk pressure"), "NodeHasNoDiskPressure")
    }
}

fn pid_pressure(is_true: bool) -> (Finding, Turn) {
    let of = |reason, message| finding("PIDPressure", is_true, reason, message);
    if is_true {
        let message = "kubelet has insufficient PID available";
        (of("KubeletHasInsufficientPID", message), "NodeHasInsufficientPID")
    } else {
        (of("KubeletHasSufficientPID", "kubelet has sufficient PID available"), "NodeHasSufficientPID")
    }
}

fn ready(obstacles: &[String]) -> Finding {
    if obstacles.is_empty() {
        finding("Ready", true, "KubeletReady", "kubelet is posting ready status")
    } else {
        finding("Ready", false, "KubeletNotReady", &obstacles.join(","))
    }
}

fn condition(finding: Finding, old: &[NodeCondition], now: Timestamp) -> (NodeCondition, bool) {
    let status = if finding.is_true { "True" } else { "False" };
    let before = old.iter().find(|it| it.type_ == finding.kind).filter(|it| it.status == status);
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let since = before.and_then(|it| it.last_transition_time.clone());
    let condition = NodeCondition {
        type_: finding.kind.to_owned(),
        status: status.to_owned(),
        reason: Some(finding.reason.to_owned()),
        message: Some(finding.message),
        last_heartbeat_time: Some(now.clone()),
        last_transition_time: Some(since.unwrap_or(now)),
    };
    (condition, before.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn facts(conditions: &[NodeCondition]) -> Vec<(&str, &str, &str)> {
        conditions
            .iter()
            .map(|it| (it.type_.as_str(), it.status.as_str(), it.reason.as_deref().unwrap()))
            .collect()
    }

    #[test]
    fn a_node_that_is_well_is_ready_and_without_pressure() {
        let health = Health { pressure: Pressure::default(), obstacles: &[] };
        let (all, turns) = conditions(&health, &[], at(5));
        assert_eq!(
            facts(&all),
            [
                ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                ("PIDPressure", "False", "KubeletHasSufficientPID"),
                ("Ready", "True", "KubeletReady"),
            ]
        );
        assert_eq!(all[3].message.as_deref(), Some("kubelet is posting ready status"));
        assert_eq!(turns, ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]);
    }

    #[test]
    fn obstacles_and_pressure_turn_conditions_and_others_keep_their_time() {
        let well = Health { pressure: Pressure::default(), obstacles: &[] };
        let (before, _) = conditions(&well, &[], at(5));
        let obstacles = ["a".to_owned(), "b".to_owned()];
        let ill = Health { pressure: Pressure { disk: true, ..Pressure::default() }, obstacles: &obstacles };
        let (all, turns) = conditions(&ill, &before, at(9));
        assert_eq!(turns, ["NodeHasDiskPressure", "NodeNotReady"]);
        assert_eq!(
            (all[3].reason.as_deref(), all[3].message.as_deref()),
            (Some("KubeletNotReady"), Some("a,b"))
        );
        let since: Vec<i64> = all
            .iter()
            .map(|it| it.last_transition_time.as_ref().unwrap().0.as_second() - at(0).as_second())
            .collect();
        assert_eq!(since, [5, 9, 5, 9]);
        let (_, turns) = conditions(&well, &all, at(10));
        assert_eq!(turns, ["NodeHasNoDiskPressure", "NodeReady"]);
    }
}
