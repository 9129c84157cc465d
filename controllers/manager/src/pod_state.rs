//! What a pod's status says about it, in the words of controllers: active, terminating, ready, available.
//!
//! In: a pod, and the time where it matters. Out: yes, no, or when. Deliberately absent: what follows from that.

use std::time::Duration;

use k8s_openapi::api::core::v1::PodCondition;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;

/// How a pod stands to being available: ready for long enough to be relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// It is not ready.
    Unready,
    /// It is ready, and available if it still is after this time.
    Ripening(Duration),
    /// It has been ready for long enough.
    Available,
}

/// The pod's phase; a pod that nobody has reported on is pending.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Whether the pod has ended for good.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the pod counts as one of those that its controller wants: it has not ended, and is not about to.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// Whether the pod is being deleted, and something of it may still run.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.metadata.deletion_timestamp.is_some()
}

/// Whether the pod serves.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some()
}

/// Since when the pod serves, if it does and says so.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    ready_condition(pod)?.last_transition_time.as_ref().map(|time| time.0)
}

/// Whether the pod has been ready for so many seconds.
pub(crate) fn availability(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Availability {
    if !is_ready(pod) {
        return Availability::Unready;
    }
    let least = Duration::from_secs(u64::try_from(min_ready_seconds).unwrap_or(0));
    if least.is_zero() {
        return Availability::Available;
    }
    // A pod that does not say since when it is ready has to show it from now on.
    let ready_for = ready_since(pod).map_or(Duration::ZERO, |since| elapsed(since, now));
    match least.checked_sub(ready_for) {
        None | Some(Duration::ZERO) => Availability::Available,
        Some(rest) => Availability::Ripening(rest),
    }
}

fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The time between two moments, zero if they are the other way round.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use keelson_controller_runtime::pod::PodStatus;

    use super::*;

    fn pod(phase: &str, ready_at: Option<i64>) -> Pod {
        let ready = PodCondition {
            type_: "Ready".into(),
            status: if ready_at.is_some() { "True" } else { "False" }.into(),
            last_transition_time: ready_at.map(|second| Time(at(second))),
            ..PodCondition::default()
        };
        let status =
            PodStatus { phase: Some(phase.into()), conditions: Some(vec![ready]), ..PodStatus::default() };
        Pod { status: Some(status), ..Pod::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_pod_is_active_until_it_has_ended_or_is_being_deleted() {
        let mut running = pod("Running", None);
        assert!(is_active(&running) && !is_terminating(&running));
        running.metadata.deletion_timestamp = Some(Time(at(1)));
        assert!(!is_active(&running) && is_terminating(&running));
        for phase in ["Succeeded", "Failed"] {
            let mut ended = pod(phase, None);
            ended.metadata.deletion_timestamp = Some(Time(at(1)));
            assert!(!is_active(&ended) && !is_terminating(&ended), "{phase}");
        }
        assert!(is_active(&Pod::default()), "a pod without a status is pending");
    }

    #[test]
    fn a_pod_is_available_when_it_has_been_ready_for_the_least_time() {
        assert_eq!(availability(&pod("Running", None), 0, at(100)), Availability::Unready);
        assert_eq!(availability(&pod("Running", Some(100)), 0, at(100)), Availability::Available);
        let ready = pod("Running", Some(100));
        assert_eq!(availability(&ready, 10, at(103)), Availability::Ripening(Duration::from_secs(7)));
        assert_eq!(availability(&ready, 10, at(110)), Availability::Available);
        assert_eq!(availability(&ready, 10, at(90)), Availability::Ripening(Duration::from_secs(10)));
    }
}
