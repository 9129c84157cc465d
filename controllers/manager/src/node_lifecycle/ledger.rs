//! What is known of all nodes, and what follows for one of them: pure.
//!
//! In: a look at a node, with the time. Out: what to write into it, and when to look again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use tokio::time::Instant;

use super::Times;
use super::conditions;
use super::health::{Health, Readiness};
use super::taints::{self, Evicting, Eviction, is_evicting};
use super::zones::{Disruption, Rates, Turn, Zones};

/// What is known of all nodes.
pub(super) struct Ledger {
    times: Times,
    known: HashMap<String, Known>,
    zones: Zones,
}

struct Known {
    uid: Option<String>,
    health: Health,
    readiness: Readiness,
}

/// What follows from a look at a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Finding {
    /// It is seen for the first time.
    pub(super) is_new: bool,
    /// Conditions to write, and nothing else before that is done; empty if the node is heard of, or is said not to be.
    pub(super) conditions: Vec<NodeCondition>,
    /// Taints to write.
    pub(super) taints: Option<Vec<Taint>>,
    /// When to look again although nothing changes.
    pub(super) again: Option<Duration>,
    /// All nodes have to be looked at: the last one that was ready is not, or the first one is again.
    pub(super) cluster: Option<Disruption>,
}

/// What follows from a node's going.
pub(super) struct Departure {
    pub(super) uid: Option<String>,
    /// As in [`Finding`].
    pub(super) cluster: Option<Disruption>,
}

impl Ledger {
    /// An empty one.
    pub(super) fn new(times: Times, rates: Rates) -> Self {
        Self { times, known: HashMap::new(), zones: Zones::new(rates) }
    }

    /// Takes note of all nodes at once, before the first look at one of them.
    pub(super) fn open(&mut self, nodes: &[Arc<Node>]) {
        for node in nodes {
            self.zones.observe(node);
        }
    }

    /// Takes note of a renewed Lease.
    pub(super) fn renewed(&mut self, name: &str, renewed: Option<MicroTime>, now: Instant) {
        if let Some(known) = self.known.get_mut(name) {
            known.health.observe_lease(renewed, now);
        }
    }

    /// Takes note that a node is gone: `None` if it was not known.
    pub(super) fn forget(&mut self, name: &str, now: Instant) -> Option<Departure> {
        let known = self.known.remove(name)?;
        let cluster = if self.zones.forget(name) { Some(self.cluster_changed(now)) } else { None };
        Some(Departure { uid: known.uid, cluster })
    }

    /// Who should be looked at when, because it is the next to be evicted in its zone.
    pub(super) fn wakes(&self, now: Instant) -> Vec<(String, Duration)> {
        self.zones.next(now)
    }

    /// Nodes that are not heard of any more, and do not say so.
    pub(super) fn overdue(&self, now: Instant) -> Vec<String> {
        let is_overdue = |known: &Known| {
            known.readiness != Readiness::Unknown && known.health.remaining(&self.times, now).is_zero()
        };
        self.known.iter().filter(|(_, known)| is_overdue(known)).map(|(name, _)| name.clone()).collect()
    }

    /// Looks at a node.
    pub(super) fn look(
        &mut self,
        node: &Node,
        renewed: Option<MicroTime>,
        now: Instant,
        clock: &Time,
    ) -> Finding {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let is_known = self.known.get(name).is_some_and(|known| known.uid == node.metadata.uid);
        if !is_known {
            let health = Health::new(node, renewed.clone(), now);
            let known = Known { uid: node.metadata.uid.clone(), health, readiness: Readiness::of(node) };
            self.known.insert(name.to_owned(), known);
        }
        let cluster = if self.zones.observe(node) { Some(self.cluster_changed(now)) } else { None };
        let left = self.heard(name, node, renewed, now);
        let conditions = if left.is_zero() { conditions::unknown(node, clock) } else { Vec::new() };
        let mut finding = Finding { is_new: !is_known, cluster, conditions, ..Finding::default() };
        if !finding.conditions.is_empty() {
            return finding;
        }
        let (eviction, wait) = self.eviction(name, node, now);
        finding.taints = taints::plan(node, eviction, clock);
        let grace = Some(left).filter(|left| !left.is_zero());
        finding.again = [grace, wait].into_iter().flatten().min();
        finding
    }

    fn heard(&mut self, name: &str, node: &Node, renewed: Option<MicroTime>, now: Instant) -> Duration {
        let Some(known) = self.known.get_mut(name) else { return Duration::ZERO };
        known.health.observe_node(node, now);
        known.readiness = Readiness::of(node);
        known.health.observe_lease(renewed, now);
        known.health.remaining(&self.times, now)
    }

    /// Whether the node's pods may be evicted now, and when to ask again.
    fn eviction(&mut self, name: &str, node: &Node, now: Instant) -> (Eviction, Option<Duration>) {
        let spared = match (Readiness::of(node), self.zones.disruption()) {
            (Readiness::Ready, _) | (_, Disruption::Total) => Some(Eviction::No),
            (Readiness::Unreported, Disruption::Limited) => Some(Eviction::AsItIs),
            (Readiness::NotReady | Readiness::Unknown, Disruption::Limited) => None,
        };
        if let Some(eviction) = spared {
            self.zones.withdraw(name);
            return (eviction, None);
        }
        match is_evicting(node) {
            Evicting::ForThisState => {
                self.zones.withdraw(name);
                (Eviction::AsItIs, None)
            }
            // It has had its turn.
            Evicting::ForAnotherState => (Eviction::Yes, None),
            Evicting::Not => match self.zones.ask(name, now) {
                Turn::Now => (Eviction::Yes, None),
                Turn::Next(wait) => (Eviction::AsItIs, Some(wait)),
                Turn::Waiting => (Eviction::AsItIs, None),
            },
        }
    }

    /// When the first node is ready again after none was, it was probably not the nodes' fault: all get a new grace
    /// period.
    fn cluster_changed(&mut self, now: Instant) -> Disruption {
        match self.zones.disruption() {
            Disruption::Total => {}
            Disruption::Limited => self.known.values_mut().for_each(|known| known.health.forgive(now)),
        }
        self.zones.disruption()
    }
}

#[cfg(test)]
mod tests;
