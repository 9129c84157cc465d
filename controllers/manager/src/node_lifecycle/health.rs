//! Whether a node is still heard of: pure.
//!
//! In: the node and its Lease whenever they change, with the time on this process's own clock. Out: until when the node
//! counts as alive. The clocks of nodes are not compared with anything: a sign of life is that a time *changes*.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use tokio::time::Instant;

use super::Times;

/// What was last heard of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    heard: Instant,
    renewed: Option<MicroTime>,
    /// `None`: there is no Ready condition.
    posted: Option<Posted>,
}

/// When the node says that it posted its Ready condition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Posted(Option<Time>);

impl Health {
    /// Of a node that is seen for the first time: it has its whole grace period before it.
    pub(super) fn new(node: &Node, renewed: Option<MicroTime>, now: Instant) -> Self {
        Self { heard: now, renewed, posted: posted(node) }
    }

    /// Takes note of the node as it is now.
    pub(super) fn observe_node(&mut self, node: &Node, now: Instant) {
        let posted = posted(node);
        if posted != self.posted {
            self.posted = posted;
            self.heard = now;
        }
    }

    /// Takes note of when the node says that it renewed its Lease.
    pub(super) fn observe_lease(&mut self, renewed: Option<MicroTime>, now: Instant) {
        if renewed.is_some() && renewed != self.renewed {
            self.renewed = renewed;
            self.heard = now;
        }
    }

    /// Gives the node a new grace period.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.heard = now;
    }

    /// How long the node still counts as alive; zero if it does not any more.
    pub(super) fn remaining(&self, times: &Times, now: Instant) -> Duration {
        let grace = if self.posted.is_some() { times.monitor_grace } else { times.startup_grace };
        (self.heard + grace).saturating_duration_since(now)
    }
}

fn posted(node: &Node) -> Option<Posted> {
    Some(Posted(ready_condition(node)?.last_heartbeat_time.clone()))
}

/// The node's Ready condition.
pub(super) fn ready_condition(node: &Node) -> Option<&NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready")
}

/// What the Ready condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    NotReady,
    Unknown,
    /// There is no condition: nobody has reported on the node yet.
    Unreported,
}

impl Readiness {
    /// Of a node.
    pub(super) fn of(node: &Node) -> Self {
        match ready_condition(node).map(|condition| condition.status.as_str()) {
            None => Self::Unreported,
            Some("True") => Self::Ready,
            Some("False") => Self::NotReady,
            Some(_) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::super::testing::{TIMES, node};
    use super::*;

    fn renewal(second: i64) -> Option<MicroTime> {
        Some(MicroTime(Timestamp::from_second(second).unwrap()))
    }

    fn seconds(from: Instant, count: u64) -> Instant {
        from + Duration::from_secs(count)
    }

    #[test]
    fn a_node_lives_as_long_as_its_lease_changes() {
        let start = Instant::now();
        let mut health = Health::new(&node("a").ready("True").build(), renewal(100), start);
        let remaining = |health: &Health, at: u64| health.remaining(&TIMES, seconds(start, at)).as_secs();
        assert_eq!(remaining(&health, 0), 40);
        health.observe_lease(renewal(100), seconds(start, 10));
        assert_eq!(remaining(&health, 10), 30, "the same renewal again is no sign");
        health.observe_lease(renewal(7), seconds(start, 20));
        assert_eq!(remaining(&health, 20), 40, "a clock that was set back is still a sign");
        health.observe_lease(None, seconds(start, 30));
        assert_eq!(remaining(&health, 30), 30, "a Lease that was deleted is none");
        assert_eq!(remaining(&health, 60), 0);
    }

    #[test]
    fn a_posted_status_is_a_sign_of_life_too() {
        let start = Instant::now();
        let mut health = Health::new(&node("a").ready("True").heartbeat(5).build(), None, start);
        health
            .observe_node(&node("a").ready("True").heartbeat(5).unschedulable().build(), seconds(start, 10));
        assert_eq!(health.remaining(&TIMES, seconds(start, 10)).as_secs(), 30, "others write into nodes too");
        health.observe_node(&node("a").ready("True").heartbeat(6).build(), seconds(start, 20));
        assert_eq!(health.remaining(&TIMES, seconds(start, 20)).as_secs(), 40);
        health.observe_node(&node("a").ready("Unknown").heartbeat(6).build(), seconds(start, 30));
        assert_eq!(health.remaining(&TIMES, seconds(start, 30)).as_secs(), 30, "that was us");
    }

    #[test]
    fn a_new_node_has_longer() {
        let start = Instant::now();
        let mut health = Health::new(&node("a").build(), None, start);
        assert_eq!(health.remaining(&TIMES, start).as_secs(), 60);
        health.observe_node(&node("a").ready("True").build(), seconds(start, 50));
        assert_eq!(health.remaining(&TIMES, seconds(start, 50)).as_secs(), 40);
        health.forgive(seconds(start, 70));
        assert_eq!(health.remaining(&TIMES, seconds(start, 70)).as_secs(), 40);
    }

    #[test]
    fn readiness_is_what_the_condition_says() {
        let of = |status: &str| Readiness::of(&node("a").ready(status).build());
        assert_eq!(of("True"), Readiness::Ready);
        assert_eq!(of("False"), Readiness::NotReady);
        assert_eq!(of("Unknown"), Readiness::Unknown);
        assert_eq!(Readiness::of(&node("a").build()), Readiness::Unreported);
    }
}
