//! Which nodes are in one place: those that have the same value of a label.
//!
//! In: nodes' labels as they come and go, and the keys that pods ask about. Out: for each such key the place of every
//! node, as a small number. Keys that nobody has asked about for long are forgotten.

use std::collections::HashMap;

use super::labels::Labels;
use super::slots::NodeSlot;

/// So many keys are kept, and more if one pod asks about more.
const KEPT: usize = 64;

/// Places by the keys that are asked about.
#[derive(Debug, Default)]
pub(crate) struct Topologies {
    keys: HashMap<Box<str>, Topology>,
}

/// The places of one key.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    domains: HashMap<Box<str>, Domain>,
    /// By slot.
    of_node: Vec<Option<u32>>,
    free: Vec<u32>,
    /// How many numbers have been given out.
    numbers: u32,
    asked: u64,
}

#[derive(Debug)]
struct Domain {
    number: u32,
    nodes: usize,
}

impl Topology {
    /// The place of a node; `None` if it lacks the label.
    pub(crate) fn domain(&self, slot: NodeSlot) -> Option<usize> {
        self.of_node.get(slot.index()).copied().flatten().map(|number| number as usize)
    }

    /// All places have smaller numbers than this.
    pub(crate) fn numbers(&self) -> usize {
        self.numbers as usize
    }

    fn add(&mut self, slot: NodeSlot, value: &str) {
        let Self { domains, free, numbers, .. } = self;
        let domain = match domains.get_mut(value) {
            Some(domain) => domain,
            None => domains.entry(value.into()).or_insert_with(|| {
                let number = free.pop().unwrap_or_else(|| {
                    *numbers += 1;
                    *numbers - 1
                });
                Domain { number, nodes: 0 }
            }),
        };
        domain.nodes += 1;
        let number = domain.number;
        if self.of_node.len() <= slot.index() {
            self.of_node.resize(slot.index() + 1, None);
        }
        self.of_node[slot.index()] = Some(number);
    }

    fn remove(&mut self, slot: NodeSlot, value: &str) {
        if let Some(place) = self.of_node.get_mut(slot.index()) {
            *place = None;
        }
        let Some(domain) = self.domains.get_mut(value) else { return };
        domain.nodes -= 1;
        if domain.nodes == 0 {
            self.free.push(domain.number);
            self.domains.remove(value);
        }
    }
}

impl Topologies {
    pub(crate) fn get(&self, key: &str) -> Option<&Topology> {
        self.keys.get(key)
    }

    /// From now on, keeps the places of this key. `turn` grows with every pod.
    pub(super) fn watch<'a>(
        &mut self,
        key: &str,
        turn: u64,
        nodes: impl Iterator<Item = (NodeSlot, Option<&'a Labels>)>,
    ) {
        if let Some(known) = self.keys.get_mut(key) {
            known.asked = turn;
            return;
        }
        let mut topology = Topology { asked: turn, ..Topology::default() };
        for (slot, labels) in nodes {
            if let Some(value) = labels.and_then(|labels| labels.get(key)) {
                topology.add(slot, value);
            }
        }
        self.keys.insert(key.into(), topology);
        if self.keys.len() > KEPT {
            let oldest = self.keys.iter().min_by_key(|(_, topology)| topology.asked);
            let oldest = oldest.filter(|(_, topology)| topology.asked < turn).map(|(key, _)| key.clone());
            oldest.map(|key| self.keys.remove(&key));
        }
    }

    pub(super) fn add(&mut self, slot: NodeSlot, labels: Option<&Labels>) {
        for (key, topology) in &mut self.keys {
            if let Some(value) = labels.and_then(|labels| labels.get(&**key)) {
                topology.add(slot, value);
            }
        }
    }

    pub(super) fn remove(&mut self, slot: NodeSlot, labels: Option<&Labels>) {
        for (key, topology) in &mut self.keys {
            if let Some(value) = labels.and_then(|labels| labels.get(&**key)) {
                topology.remove(slot, value);
            }
        }
    }
}
