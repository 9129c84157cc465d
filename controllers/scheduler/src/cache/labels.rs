//! Which nodes have which labels.
//!
//! In: nodes' labels as they come and go. Out: the set of nodes that a requirement of a selector allows. A selector is
//! settled once per pod, label by label, and not once per node. Deliberately absent: names of nodes, which are no labels.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::NodeSelectorRequirement;

use super::slots::{NodeSet, NodeSlot};

/// Nodes by label.
#[derive(Debug, Default)]
pub(crate) struct LabelIndex {
    keys: HashMap<Box<str>, Values>,
}

/// The nodes of each value of one key, in the order of their slots.
type Values = HashMap<Box<str>, Vec<NodeSlot>>;

/// The labels of a node or a pod.
pub(crate) type Labels = BTreeMap<String, String>;

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
}

impl Operator {
    /// `None` for a word that is no operator; nothing meets such a requirement.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            "Gt" => Self::Gt,
            "Lt" => Self::Lt,
            _ => return None,
        })
    }

    /// Whether it allows a node that has (or lacks) the label.
    pub(crate) fn allows(self, value: Option<&str>, wanted: &[String]) -> bool {
        match (self, value) {
            (Self::In, Some(value)) => wanted.iter().any(|wanted| wanted == value),
            (Self::NotIn, Some(value)) => wanted.iter().all(|wanted| wanted != value),
            (Self::Exists, value) => value.is_some(),
            (Self::DoesNotExist, value) => value.is_none(),
            (Self::Gt, Some(value)) => compare(value, wanted).is_some_and(|(value, bound)| value > bound),
            (Self::Lt, Some(value)) => compare(value, wanted).is_some_and(|(value, bound)| value < bound),
            (Self::NotIn, None) => true,
            (Self::In | Self::Gt | Self::Lt, None) => false,
        }
    }
}

fn compare(value: &str, wanted: &[String]) -> Option<(i64, i64)> {
    let [bound] = wanted else { return None };
    Some((value.parse().ok()?, bound.parse().ok()?))
}

impl LabelIndex {
    pub(crate) fn add(&mut self, slot: NodeSlot, labels: Option<&Labels>) {
        for (key, value) in labels.into_iter().flatten() {
            let values = match self.keys.get_mut(key.as_str()) {
                Some(values) => values,
                None => self.keys.entry(key.as_str().into()).or_default(),
            };
            let nodes = match values.get_mut(value.as_str()) {
                Some(nodes) => nodes,
                None => values.entry(value.as_str().into()).or_default(),
            };
            if let Err(at) = nodes.binary_search(&slot) {
                nodes.insert(at, slot);
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: NodeSlot, labels: Option<&Labels>) {
        for (key, value) in labels.into_iter().flatten() {
            let Some(values) = self.keys.get_mut(key.as_str()) else { continue };
            let Some(nodes) = values.get_mut(value.as_str()) else { continue };
            if let Ok(at) = nodes.binary_search(&slot) {
                nodes.remove(at);
            }
            if nodes.is_empty() {
                values.remove(value.as_str());
            }
            if values.is_empty() {
                self.keys.remove(key.as_str());
            }
        }
    }

    /// The nodes that have this label.
    pub(crate) fn having(&self, key: &str, value: &str) -> &[NodeSlot] {
        self.keys.get(key).and_then(|values| values.get(value)).map_or(&[], Vec::as_slice)
    }

    /// The nodes among `slots` slots that meet the requirement.
    pub(crate) fn meeting(&self, requirement: &NodeSelectorRequirement, slots: usize) -> NodeSet {
        let Some(operator) = Operator::of(&requirement.operator) else { return NodeSet::none(slots) };
        let wanted = requirement.values.as_deref().unwrap_or_default();
        let key = requirement.key.as_str();
        let mut set = NodeSet::none(slots);
        match operator {
            Operator::In | Operator::NotIn => {
                let nodes = wanted.iter().flat_map(|value| self.having(key, value));
                nodes.for_each(|slot| set.insert(*slot));
            }
            Operator::Exists | Operator::DoesNotExist => {
                let nodes = self.keys.get(key).into_iter().flat_map(HashMap::values).flatten();
                nodes.for_each(|slot| set.insert(*slot));
            }
            Operator::Gt | Operator::Lt => {
                let values = self.keys.get(key).into_iter().flatten();
                let allowed = values.filter(|(value, _)| operator.allows(Some(value), wanted));
                allowed.flat_map(|(_, nodes)| nodes).for_each(|slot| set.insert(*slot));
            }
        }
        if let Operator::NotIn | Operator::DoesNotExist = operator {
            set.invert();
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels() -> impl Strategy<Value = Labels> {
        proptest::collection::btree_map("[a-c]", "[1-3]|x|", 0..3)
    }

    fn requirement() -> impl Strategy<Value = NodeSelectorRequirement> {
        let values = proptest::collection::vec("[1-3]|x", 0..3);
        (
            "[a-c]",
            proptest::sample::select(&["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Near"][..]),
            values,
        )
            .prop_map(|(key, operator, values)| NodeSelectorRequirement {
                key,
                operator: operator.to_owned(),
                values: Some(values),
            })
    }

    fn allows(requirement: &NodeSelectorRequirement, labels: &Labels) -> bool {
        let value = labels.get(&requirement.key).map(String::as_str);
        let wanted = requirement.values.as_deref().unwrap_or_default();
        Operator::of(&requirement.operator).is_some_and(|operator| operator.allows(value, wanted))
    }

    proptest! {
        #[test]
        fn the_index_says_what_a_look_at_each_node_says(
            nodes in proptest::collection::vec((labels(), labels()), 1..80),
            requirement in requirement(),
        ) {
            let mut index = LabelIndex::default();
            for (at, (earlier, now)) in nodes.iter().enumerate() {
                index.add(NodeSlot::new(at), Some(earlier));
                index.remove(NodeSlot::new(at), Some(earlier));
                index.add(NodeSlot::new(at), Some(now));
            }
            let set = index.meeting(&requirement, nodes.len());
            for (at, (_, now)) in nodes.iter().enumerate() {
                prop_assert_eq!(set.contains(NodeSlot::new(at)), allows(&requirement, now));
            }
            for (at, (_, now)) in nodes.iter().enumerate() {
                index.remove(NodeSlot::new(at), Some(now));
            }
            prop_assert!(index.keys.is_empty(), "nothing is left of labels that nobody has");
        }
    }
}
