//! Whose pods may be evicted, and how fast: pure.
//!
//! In: which nodes are ready, in which zones, and which nodes ask to be tainted. Out: whose turn it is. When much of a
//! zone is not ready at once, something other than its nodes is broken, and evicting their pods makes it worse: a zone
//! of which a large part is not ready is evicted slowly or not at all, and if no zone has a ready node, nothing is
//! evicted anywhere. Deliberately absent: what eviction is.
//!
//! Within a zone nodes take turns in the order in which they asked. A turn, once given, stays given until it is given
//! back, so that a write that failed needs no other.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use tokio::time::Instant;

use super::health::Readiness;

/// How fast nodes may be tainted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rates {
    /// Nodes per second in a zone where most nodes are ready.
    pub(super) normal: f64,
    /// The same in a large zone where many are not.
    pub(super) reduced: f64,
    /// A zone with more nodes than this is large; in a smaller one nothing is evicted while many are not ready.
    pub(super) large_zone: usize,
    /// Which share of nodes that are not ready is many.
    pub(super) unhealthy_share: f64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { normal: 0.1, reduced: 0.01, large_zone: 50, unhealthy_share: 0.55 }
    }
}

/// A zone within a region, as nodes' labels name them; empty where they do not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Zone {
    region: String,
    zone: String,
}

impl Zone {
    /// Of a node.
    pub(super) fn of(node: &Node) -> Self {
        let label = |keys: [&str; 2]| {
            let labels = node.metadata.labels.as_ref();
            keys.iter().find_map(|key| labels?.get(*key)).cloned().unwrap_or_default()
        };
        Self {
            region: label(["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"]),
            zone: label(["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"]),
        }
    }
}

/// The label of nodes that do not count when a zone is judged.
const EXCLUDED: &str = "node.kubernetes.io/exclude-disruption";

/// How a zone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Normal,
    /// Many nodes are not ready.
    Partial,
    /// No node is ready.
    Full,
}

/// How the cluster stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disruption {
    /// Some node somewhere is ready, or there is none.
    Limited,
    /// No node is ready anywhere: more likely it is us who are cut off.
    Total,
}

/// All zones with their nodes.
pub(super) struct Zones {
    rates: Rates,
    disruption: Disruption,
    nodes: HashMap<String, Member>,
    zones: BTreeMap<Zone, Queue>,
    /// Whose turn it is.
    turns: HashSet<String>,
}

struct Member {
    zone: Zone,
    is_ready: bool,
    is_counted: bool,
}

/// The nodes of a zone that wait for their turn.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<String>,
    last: Option<Instant>,
}

/// Whether a node may be tainted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// It is the next in its zone, and should ask again after this time.
    Next(Duration),
    /// Others come before it, or nobody's turn comes; [`Zones::next`] says when to ask again.
    Waiting,
}

impl Zones {
    /// Without nodes.
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            disruption: Disruption::Limited,
            nodes: HashMap::new(),
            zones: BTreeMap::new(),
            turns: HashSet::new(),
        }
    }

    /// How the cluster stands.
    pub(super) fn disruption(&self) -> Disruption {
        self.disruption
    }

    /// Takes note of a node; whether the way in which the cluster stands has changed.
    pub(super) fn observe(&mut self, node: &Node) -> bool {
        let name = node.metadata.name.clone().unwrap_or_default();
        let member = Member {
            zone: Zone::of(node),
            is_ready: Readiness::of(node) == Readiness::Ready,
            is_counted: node.metadata.labels.as_ref().is_none_or(|labels| !labels.contains_key(EXCLUDED)),
        };
        if self.nodes.get(&name).is_some_and(|old| old.zone != member.zone) {
            self.withdraw(&name);
        }
        self.nodes.insert(name, member);
        self.judge()
    }

    /// Takes note that a node is gone; whether the way in which the cluster stands has changed.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        self.withdraw(name);
        self.nodes.remove(name);
        self.zones.retain(|zone, _| self.nodes.values().any(|member| member.zone == *zone));
        self.judge()
    }

    /// Asks for a node's turn.
    pub(super) fn ask(&mut self, name: &str, now: Instant) -> Turn {
        if self.turns.contains(name) {
            return Turn::Now;
        }
        let Some(zone) = self.nodes.get(name).map(|member| member.zone.clone()) else { return Turn::Waiting };
        let interval = self.interval(&zone);
        let queue = self.zones.entry(zone).or_default();
        if !queue.waiting.iter().any(|waiting| waiting == name) {
            queue.waiting.push_back(name.to_owned());
        }
        match queue.wait(interval, now) {
            Some(wait) if queue.waiting.front().is_some_and(|first| first == name) => {
                if !wait.is_zero() {
                    return Turn::Next(wait);
                }
                queue.waiting.pop_front();
                queue.last = Some(now);
                self.turns.insert(name.to_owned());
                Turn::Now
            }
            Some(_) | None => Turn::Waiting,
        }
    }

    /// Gives a turn or a place in the queue back: the node is tainted, or need not be.
    pub(super) fn withdraw(&mut self, name: &str) {
        self.turns.remove(name);
        let zone = self.nodes.get(name).and_then(|member| self.zones.get_mut(&member.zone));
        if let Some(queue) = zone {
            queue.waiting.retain(|waiting| waiting != name);
        }
    }

    /// Who should ask next in every zone, and after what time.
    pub(super) fn next(&self, now: Instant) -> Vec<(String, Duration)> {
        let first = |(zone, queue): (&Zone, &Queue)| {
            Some((queue.waiting.front()?.clone(), queue.wait(self.interval(zone), now)?))
        };
        self.zones.iter().filter_map(first).collect()
    }

    fn judge(&mut self) -> bool {
        let counted = || self.nodes.values().filter(|member| member.is_counted);
        let is_total = counted().next().is_some() && counted().all(|member| !member.is_ready);
        let disruption = if is_total { Disruption::Total } else { Disruption::Limited };
        std::mem::replace(&mut self.disruption, disruption) != disruption
    }

    /// The time between two turns in a zone; `None` if nobody's turn comes.
    fn interval(&self, zone: &Zone) -> Option<Duration> {
        let (state, size) = self.state(zone);
        let rate = match (self.disruption, state) {
            (Disruption::Total, _) => 0.0,
            // A zone that is lost as a whole, while others are not: its pods are needed elsewhere.
            (Disruption::Limited, State::Normal | State::Full) => self.rates.normal,
            (Disruption::Limited, State::Partial) if size > self.rates.large_zone => self.rates.reduced,
            (Disruption::Limited, State::Partial) => 0.0,
        };
        (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate))
    }

    fn state(&self, zone: &Zone) -> (State, usize) {
        let counted = || self.nodes.values().filter(|member| member.is_counted && member.zone == *zone);
        let size = counted().count();
        let unready = counted().filter(|member| !member.is_ready).count();
        let share = |part: usize| f64::from(u32::try_from(part).unwrap_or(u32::MAX));
        let state = if unready > 0 && unready == size {
            State::Full
        } else if unready > 2 && share(unready) / share(size) >= self.rates.unhealthy_share {
            State::Partial
        } else {
            State::Normal
        };
        (state, size)
    }
}

impl Queue {
    /// How long the first in the queue has to wait.
    fn wait(&self, interval: Option<Duration>, now: Instant) -> Option<Duration> {
        let interval = interval?;
        Some(self.last.map_or(Duration::ZERO, |last| (last + interval).saturating_duration_since(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::node;
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    /// Zones with so many nodes that are ready and so many that are not: `north-0`, `north-1`, …
    fn zones(all: &[(&str, usize, usize)]) -> Zones {
        let mut zones = Zones::new(Rates::default());
        for (zone, ready, unready) in all {
            for at in 0..ready + unready {
                set(&mut zones, zone, at, if at < *unready { "Unknown" } else { "True" });
            }
        }
        zones
    }

    fn set(zones: &mut Zones, zone: &str, at: usize, ready: &str) -> bool {
        let node = node(&format!("{zone}-{at}")).label("topology.kubernetes.io/zone", zone).ready(ready);
        zones.observe(&node.build())
    }

    #[test]
    fn nodes_of_a_zone_take_turns_in_order() {
        let (mut zones, now) = (zones(&[("north", 10, 3)]), Instant::now());
        assert_eq!(zones.ask("north-0", now), Turn::Now);
        assert_eq!(zones.ask("north-1", now), Turn::Next(TEN));
        assert_eq!(zones.ask("north-2", now + TEN), Turn::Waiting, "another asked before");
        assert_eq!(zones.ask("north-0", now + TEN), Turn::Now, "a turn stays given");
        assert_eq!(zones.next(now + TEN), [("north-1".to_owned(), Duration::ZERO)]);
        assert_eq!(zones.ask("north-1", now + TEN), Turn::Now);
        assert_eq!(zones.next(now + TEN), [("north-2".to_owned(), TEN)]);
        zones.withdraw("north-2");
        assert_eq!(zones.next(now + TEN), []);
        zones.withdraw("north-0");
        assert_eq!(zones.ask("north-0", now + TEN), Turn::Next(TEN), "one that was given back is not kept");
    }

    #[test]
    fn every_zone_has_its_own_pace() {
        let (mut zones, now) = (zones(&[("north", 5, 1), ("south", 5, 1)]), Instant::now());
        assert_eq!(zones.ask("north-0", now), Turn::Now);
        assert_eq!(zones.ask("south-0", now), Turn::Now);
    }

    #[test]
    fn a_zone_with_many_unready_nodes_is_slowed_if_large_and_stopped_if_small() {
        let (mut large, now) = (zones(&[("north", 20, 40)]), Instant::now());
        assert_eq!(large.ask("north-0", now), Turn::Now);
        assert_eq!(large.ask("north-1", now), Turn::Next(TEN * 10));
        let mut small = zones(&[("north", 4, 6)]);
        assert_eq!(small.ask("north-0", now), Turn::Waiting);
        assert_eq!(small.next(now), []);
        set(&mut small, "north", 5, "True");
        assert_eq!(small.next(now), [("north-0".to_owned(), Duration::ZERO)], "five of ten are not many");
        let mut tiny = zones(&[("north", 1, 2)]);
        assert_eq!(tiny.ask("north-0", now), Turn::Now, "two are never many");
    }

    #[test]
    fn a_lost_zone_is_evicted_but_a_lost_cluster_is_not() {
        let (mut zones, now) = (zones(&[("north", 0, 4), ("south", 1, 0)]), Instant::now());
        assert_eq!(zones.disruption(), Disruption::Limited);
        assert_eq!(zones.ask("north-0", now), Turn::Now);
        assert!(set(&mut zones, "south", 0, "False"));
        assert_eq!(zones.disruption(), Disruption::Total);
        assert_eq!(zones.ask("north-1", now + TEN), Turn::Waiting);
        assert_eq!(zones.next(now + TEN), []);
        assert!(set(&mut zones, "north", 3, "True"));
        assert_eq!(zones.disruption(), Disruption::Limited);
        assert!(!set(&mut zones, "south", 0, "True"));
    }

    #[test]
    fn the_only_zone_is_not_evicted_when_it_is_lost() {
        let (mut zones, now) = (zones(&[("", 0, 1)]), Instant::now());
        assert_eq!(zones.ask("-0", now), Turn::Waiting);
        assert!(zones.forget("-0"), "a cluster without nodes is not disrupted");
    }

    #[test]
    fn excluded_nodes_do_not_count() {
        let mut zones = zones(&[("north", 1, 0)]);
        zones.observe(&node("out").label(EXCLUDED, "").ready("True").build());
        assert!(set(&mut zones, "north", 0, "False"), "the only one that counts");
        assert_eq!(zones.disruption(), Disruption::Total);
    }

    #[test]
    fn a_node_that_moves_or_goes_leaves_its_queue() {
        let (mut zones, now) = (zones(&[("north", 5, 2)]), Instant::now());
        zones.ask("north-0", now);
        zones.ask("north-1", now);
        let moved = node("north-1").label("topology.kubernetes.io/zone", "south").ready("Unknown").build();
        zones.observe(&moved);
        assert_eq!(zones.next(now), []);
        assert_eq!(zones.ask("north-1", now), Turn::Now, "the new zone has its own pace");
        zones.forget("north-0");
        assert_eq!(zones.ask("north-0", now), Turn::Waiting, "unknown nodes have no turn");
    }

    #[test]
    fn zones_are_named_by_labels_old_or_new() {
        let old = node("a").label("failure-domain.beta.kubernetes.io/zone", "z").build();
        let new = node("b").label("topology.kubernetes.io/zone", "z").build();
        assert_eq!(Zone::of(&old), Zone::of(&new));
        assert_ne!(Zone::of(&new), Zone::of(&node("c").build()));
    }
}
