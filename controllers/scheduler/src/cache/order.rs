//! In which order nodes are tried: one of each zone in turn, so that the first that are found lie apart.

use std::collections::BTreeMap;

use super::labels::Labels;
use super::slots::NodeSlot;

const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Where a node stands, as far as failures go. Nodes that do not say share one zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Zone {
    region: String,
    zone: String,
}

impl Zone {
    pub(super) fn of(labels: Option<&Labels>) -> Self {
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).cloned().unwrap_or_default();
        Self { region: label(REGION), zone: label(ZONE) }
    }
}

/// One node of each zone in turn, and within a zone in the order in which they are given.
pub(super) fn interleave(nodes: impl Iterator<Item = (NodeSlot, Zone)>) -> Vec<NodeSlot> {
    let mut zones: BTreeMap<Zone, Vec<NodeSlot>> = BTreeMap::new();
    for (slot, zone) in nodes {
        zones.entry(zone).or_default().push(slot);
    }
    let longest = zones.values().map(Vec::len).max().unwrap_or_default();
    (0..longest).flat_map(|round| zones.values().filter_map(move |zone| zone.get(round).copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_take_turns_until_each_is_used_up() {
        let zone = |zone: &str| Zone { region: String::new(), zone: zone.to_owned() };
        let nodes = ["a", "a", "a", "b", "c", "c"].map(zone).into_iter().enumerate();
        let order = interleave(nodes.map(|(at, zone)| (NodeSlot::new(at), zone)));
        assert_eq!(order, [0, 3, 4, 1, 5, 2].map(NodeSlot::new));
    }
}
