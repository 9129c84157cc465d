//! Which change an endpoint object follows: the time for the annotation by which people measure how long Services take
//! to notice.
//!
//! In: a Service and its pods, each time they are looked at. Out: the earliest change since the last look. Deliberately
//! absent: precision when one pod changes twice between two looks; upstream has none there either.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::ObjectKey;
use keelson_controller_runtime::pod::Pod;

use super::ready_condition;

/// What was seen of every Service at the last look.
#[derive(Default)]
pub(crate) struct TriggerTimes {
    seen: Mutex<HashMap<ObjectKey, Seen>>,
}

#[derive(Default)]
struct Seen {
    service: Option<Timestamp>,
    /// By name, when each pod became or ceased to be ready.
    pods: BTreeMap<String, Timestamp>,
}

impl TriggerTimes {
    /// Takes note of the Service and its pods; the earliest of the changes since the last look, if there was any.
    pub(crate) fn look(&self, service: &Service, pods: &[Arc<Pod>]) -> Option<Timestamp> {
        let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let now = Seen { service: created, pods: pods.iter().filter_map(transition).collect() };
        let mut seen = self.seen();
        let Some(before) = seen.get(&ObjectKey::of(service)) else {
            seen.insert(ObjectKey::of(service), now);
            return created;
        };
        let earliest = earliest_change(before, &now);
        seen.insert(ObjectKey::of(service), now);
        earliest
    }

    /// Forgets a Service that is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.seen().remove(key);
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<ObjectKey, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn transition(pod: &Arc<Pod>) -> Option<(String, Timestamp)> {
    let time = ready_condition(pod)?.last_transition_time.as_ref()?.0;
    Some((pod.metadata.name.clone().unwrap_or_default(), time))
}

fn earliest_change(before: &Seen, now: &Seen) -> Option<Timestamp> {
    let pods = now.pods.iter().filter(|(name, time)| before.pods.get(*name).is_none_or(|old| *time > old));
    let service = now.service.filter(|time| before.service.is_none_or(|old| *time > old));
    pods.map(|(_, time)| *time).chain(service).min()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pod, service};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_earliest_change_since_the_last_look_is_told() {
        let times = TriggerTimes::default();
        let service = service("web").created(10).build();
        let ready = |name: &str, second: i64| Arc::new(pod(name).ready(true).since(second).build());
        assert_eq!(times.look(&service, &[]), Some(at(10)), "the first time it is the Service itself");
        assert_eq!(times.look(&service, &[]), None);
        assert_eq!(times.look(&service, &[ready("a", 30), ready("b", 20)]), Some(at(20)));
        assert_eq!(times.look(&service, &[ready("a", 40), ready("b", 20)]), Some(at(40)));
        assert_eq!(times.look(&service, &[ready("a", 40)]), None, "a pod that left has no time to tell");
        times.forget(&ObjectKey::of(&service));
        assert_eq!(times.look(&service, &[ready("a", 40)]), Some(at(10)));
    }
}
