//! The taints that there are.
//!
//! In: nodes' taints as they come and go. Out: a number for each different one, so that a pod's tolerations are compared
//! once with every taint and not once with every node.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// The number of a taint, as long as some node has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaintId(u32);

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Known {
    key: String,
    value: String,
    effect: Effect,
}

#[derive(Debug)]
struct Entry {
    taint: Known,
    nodes: usize,
}

/// All taints of all nodes. Those of nodes that went leave free numbers behind.
#[derive(Debug, Default)]
pub(crate) struct TaintTable {
    entries: Vec<Option<Entry>>,
    ids: HashMap<Known, TaintId>,
}

impl TaintId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Effect {
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "NoSchedule" => Self::NoSchedule,
            "PreferNoSchedule" => Self::PreferNoSchedule,
            "NoExecute" => Self::NoExecute,
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }

    /// Whether it keeps pods away, rather than asking them to stay away.
    pub(crate) fn is_hard(self) -> bool {
        match self {
            Self::NoSchedule | Self::NoExecute => true,
            Self::PreferNoSchedule => false,
        }
    }
}

impl Known {
    fn of(taint: &Taint) -> Option<Self> {
        let effect = Effect::of(&taint.effect)?;
        Some(Self { key: taint.key.clone(), value: taint.value.clone().unwrap_or_default(), effect })
    }
}

/// Whether one of the tolerations covers a taint.
pub(crate) fn tolerate(tolerations: &[Toleration], key: &str, value: &str, effect: &str) -> bool {
    tolerations.iter().any(|toleration| {
        let wanted_key = toleration.key.as_deref().unwrap_or_default();
        let wanted_effect = toleration.effect.as_deref().unwrap_or_default();
        (wanted_key.is_empty() || wanted_key == key)
            && (wanted_effect.is_empty() || wanted_effect == effect)
            && covers_value(toleration, value)
    })
}

fn covers_value(toleration: &Toleration, value: &str) -> bool {
    let wanted = toleration.value.as_deref().unwrap_or_default();
    match toleration.operator.as_deref().unwrap_or_default() {
        "" | "Equal" => wanted == value,
        "Exists" => true,
        _ => false,
    }
}

impl TaintTable {
    /// The numbers of a node's taints. Each is [let go](Self::release) when the node no longer has it.
    pub(crate) fn acquire(&mut self, taints: &[Taint]) -> Vec<TaintId> {
        taints.iter().filter_map(Known::of).map(|taint| self.acquire_one(taint)).collect()
    }

    fn acquire_one(&mut self, taint: Known) -> TaintId {
        if let Some(id) = self.ids.get(&taint) {
            if let Some(entry) = &mut self.entries[id.index()] {
                entry.nodes += 1;
            }
            return *id;
        }
        let at = self.entries.iter().position(Option::is_none).unwrap_or(self.entries.len());
        let id = TaintId(u32::try_from(at).expect("there is no memory for so many taints"));
        self.ids.insert(taint.clone(), id);
        let entry = Some(Entry { taint, nodes: 1 });
        match self.entries.get_mut(at) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        id
    }

    pub(crate) fn release(&mut self, ids: &[TaintId]) {
        for id in ids {
            let Some(entry) = &mut self.entries[id.index()] else { continue };
            entry.nodes -= 1;
            if entry.nodes == 0 {
                self.ids.remove(&entry.taint);
                self.entries[id.index()] = None;
            }
        }
    }

    /// For every number, whether it is a taint of a kind that `matters` and that none of the tolerations covers.
    /// Empty if there is none.
    pub(crate) fn untolerated(&self, tolerations: &[Toleration], matters: fn(Effect) -> bool) -> Vec<bool> {
        let judge = |entry: &Entry| {
            let Known { key, value, effect } = &entry.taint;
            matters(*effect) && !tolerate(tolerations, key, value, effect.word())
        };
        let untolerated: Vec<bool> =
            self.entries.iter().map(|entry| entry.as_ref().is_some_and(judge)).collect();
        if untolerated.contains(&true) { untolerated } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MakePod;

    fn taint(key: &str, value: &str, effect: &str) -> Taint {
        Taint { key: key.into(), value: Some(value.into()), effect: effect.into(), time_added: None }
    }

    #[test]
    fn a_toleration_covers_by_key_value_and_effect_and_leaves_out_what_is_all_the_same() {
        let covers = |pod: MakePod| tolerate(pod.info().tolerations(), "k", "v", "NoSchedule");
        let pod = MakePod::named("p");
        assert!(!covers(pod.clone()));
        assert!(covers(pod.clone().tolerates("k", "v", "NoSchedule")));
        assert!(covers(pod.clone().tolerates("k", "v", "")));
        assert!(covers(pod.clone().tolerates("k", "", "NoSchedule")));
        assert!(covers(pod.clone().tolerates("", "", "")));
        assert!(!covers(pod.clone().tolerates("k", "w", "NoSchedule")));
        assert!(!covers(pod.clone().tolerates("k", "v", "NoExecute")));
        assert!(!covers(pod.tolerates("other", "", "")));
    }

    #[test]
    fn equal_taints_share_a_number_until_the_last_node_lets_go() {
        let mut table = TaintTable::default();
        let a = table.acquire(&[taint("a", "1", "NoSchedule"), taint("x", "", "Unheard")]);
        let both = table.acquire(&[taint("a", "1", "NoSchedule"), taint("b", "", "PreferNoSchedule")]);
        assert_eq!((a.len(), a[0]), (1, both[0]));
        assert_eq!(table.untolerated(&[], Effect::is_hard), [true, false]);
        table.release(&a);
        assert_eq!(table.untolerated(&[], |_| true), [true, true]);
        table.release(&both);
        assert!(table.untolerated(&[], |_| true).is_empty() && table.ids.is_empty());
        assert_eq!(
            table.acquire(&[taint("c", "", "NoExecute")])[0].index(),
            0,
            "free numbers are used again"
        );
    }
}
