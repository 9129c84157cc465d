//! Which objects have to do with which nodes. Pure.
//!
//! In: what each stored object leads to ([`Edge`]), whenever it changes. Out: whether an object leads to a node, at the
//! cost of a look-up for most. An object's edges replace its earlier ones; what no edge names is forgotten.

use std::collections::HashMap;

use bytes::Bytes;

/// Something that a node may be allowed to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Thing {
    kind: Kind,
    namespace: String,
    name: String,
}

/// The kinds that access is subdivided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Attachment,
    Claim,
    ConfigMap,
    Pod,
    ResourceClaim,
    Secret,
    ServiceAccount,
    Slice,
    Volume,
}

impl Thing {
    pub(super) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// Whoever may read the second may read the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// A node.
    Node(Thing, String),
    /// What leads on: a volume is read by those that may read the claim that it is bound to.
    Thing(Thing, Thing),
}

/// All edges, by what they start from.
#[derive(Debug, Default)]
pub(super) struct Relations {
    /// The edges of each stored object, to take them back.
    sources: HashMap<Bytes, Vec<Edge>>,
    /// How many edges lead from a thing to a node,
    nodes: HashMap<Thing, HashMap<String, usize>>,
    /// and to another thing.
    things: HashMap<Thing, HashMap<Thing, usize>>,
}

impl Relations {
    /// The object under a key leads there now, and nowhere else.
    pub(super) fn set(&mut self, key: &Bytes, edges: Vec<Edge>) {
        self.remove(key);
        if edges.is_empty() {
            return;
        }
        for edge in &edges {
            match edge.clone() {
                Edge::Node(from, to) => *self.nodes.entry(from).or_default().entry(to).or_default() += 1,
                Edge::Thing(from, to) => *self.things.entry(from).or_default().entry(to).or_default() += 1,
            }
        }
        self.sources.insert(key.clone(), edges);
    }

    /// The object under a key is gone.
    pub(super) fn remove(&mut self, key: &[u8]) {
        for edge in self.sources.remove(key).unwrap_or_default() {
            match edge {
                Edge::Node(from, to) => take_one(&mut self.nodes, &from, &to),
                Edge::Thing(from, to) => take_one(&mut self.things, &from, &to),
            }
        }
    }

    /// The keys of all objects that lead somewhere.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.sources.keys()
    }

    /// Whether something leads to a node. No chain is longer than Secret, claim, node.
    pub(super) fn has(&self, thing: &Thing, node: &str) -> bool {
        let directly = |thing| self.nodes.get(thing).is_some_and(|nodes| nodes.contains_key(node));
        directly(thing) || self.things.get(thing).is_some_and(|things| things.keys().any(directly))
    }
}

fn take_one<K: std::hash::Hash + Eq>(edges: &mut HashMap<Thing, HashMap<K, usize>>, from: &Thing, to: &K) {
    let Some(targets) = edges.get_mut(from) else { return };
    if let Some(count) = targets.get_mut(to) {
        *count -= 1;
        if *count == 0 {
            targets.remove(to);
        }
    }
    if targets.is_empty() {
        edges.remove(from);
    }
}
