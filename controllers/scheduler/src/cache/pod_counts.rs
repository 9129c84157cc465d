//! How many pods of a kind each node has.
//!
//! In: questions that pods ask ("how many like these?"), and pods as they come and go. Out: the answer for every node,
//! kept up to date pod by pod, so that no cycle looks at all pods. A question is answered from scratch once, when it is
//! new; one that nobody has asked for long is forgotten.

use std::collections::HashMap;

use keelson_controller_runtime::is_controlled_by;

use super::by_namespace::ByNamespace;
use super::slots::NodeSlot;
use crate::pod_info::PodInfo;
use crate::pod_matcher::{NamespaceLabels, PodMatcher};

/// So many questions are kept, and more if one pod asks more.
const KEPT: usize = 512;

/// Which pods are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// Pods that all of these mean. There is at least one.
    pub(crate) all_of: Vec<PodMatcher>,
    /// If any, only those that this controller owns, by its uid.
    pub(crate) owner: Option<String>,
    pub(crate) among: Among,
}

/// Whether pods on their way out count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Among {
    All,
    NotBeingDeleted,
}

/// Numbers of pods by node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    by_slot: Vec<u32>,
    total: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PodCounts {
    ids: HashMap<Question, usize>,
    answers: ByNamespace<Answered>,
}

#[derive(Debug)]
struct Answered {
    question: Question,
    counts: Counts,
    asked: u64,
}

impl Question {
    pub(crate) fn about(&self, pod: &PodInfo, namespaces: &NamespaceLabels) -> bool {
        let counts = match self.among {
            Among::All => true,
            Among::NotBeingDeleted => !pod.is_being_deleted(),
        };
        let is_owned = || self.owner.as_ref().is_none_or(|uid| is_controlled_by(&pod.pod.metadata, uid));
        counts && is_owned() && self.all_of.iter().all(|matcher| matcher.matches(pod, namespaces))
    }
}

impl Counts {
    pub(crate) fn at(&self, slot: NodeSlot) -> u32 {
        self.by_slot.get(slot.index()).copied().unwrap_or_default()
    }

    /// On all nodes.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The nodes that have some.
    pub(crate) fn nonzero(&self) -> impl Iterator<Item = (NodeSlot, u32)> {
        let counts = self.by_slot.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(at, count)| (NodeSlot::new(at), *count))
    }

    pub(super) fn add(&mut self, slot: NodeSlot) {
        if self.by_slot.len() <= slot.index() {
            self.by_slot.resize(slot.index() + 1, 0);
        }
        self.by_slot[slot.index()] += 1;
        self.total += 1;
    }

    pub(super) fn remove(&mut self, slot: NodeSlot) {
        self.by_slot[slot.index()] -= 1;
        self.total -= 1;
    }
}

impl PodCounts {
    pub(crate) fn get(&self, question: &Question) -> Option<&Counts> {
        self.answers.get(*self.ids.get(question)?).map(|answered| &answered.counts)
    }

    /// From now on, keeps the answer. `turn` grows with every pod that asks.
    pub(super) fn watch<'a>(
        &mut self,
        question: &Question,
        turn: u64,
        namespaces: &NamespaceLabels,
        pods: impl Iterator<Item = (NodeSlot, &'a PodInfo)>,
    ) {
        if let Some(known) = self.ids.get(question).and_then(|id| self.answers.get_mut(*id)) {
            known.asked = turn;
            return;
        }
        let mut counts = Counts::default();
        for (slot, _) in pods.filter(|(_, pod)| question.about(pod, namespaces)) {
            counts.add(slot);
        }
        let answered = Answered { question: question.clone(), counts, asked: turn };
        let id = self.answers.insert(&question.all_of[0].namespaces, answered);
        self.ids.insert(question.clone(), id);
        if self.ids.len() > KEPT {
            let oldest = self.answers.iter().min_by_key(|(_, answered)| answered.asked);
            let oldest = oldest.filter(|(_, answered)| answered.asked < turn).map(|(id, _)| id);
            oldest.into_iter().for_each(|id| self.forget(id));
        }
    }

    fn forget(&mut self, id: usize) {
        let Some(answered) = self.answers.get(id) else { return };
        let question = answered.question.clone();
        self.answers.remove(&question.all_of[0].namespaces, id);
        self.ids.remove(&question);
    }

    /// Forgets what depends on which namespaces there are, and on their labels.
    pub(super) fn forget_selecting(&mut self) {
        let selects = |answered: &Answered| {
            answered.question.all_of.iter().any(|matcher| matcher.namespaces.selected.is_some())
        };
        let selecting: Vec<usize> =
            self.answers.iter().filter(|(_, answered)| selects(answered)).map(|(id, _)| id).collect();
        selecting.into_iter().for_each(|id| self.forget(id));
    }

    pub(super) fn add(&mut self, pod: &PodInfo, slot: NodeSlot, namespaces: &NamespaceLabels) {
        self.answers.change_about(&pod.key.namespace, |answered| {
            if answered.question.about(pod, namespaces) {
                answered.counts.add(slot);
            }
        });
    }

    pub(super) fn remove(&mut self, pod: &PodInfo, slot: NodeSlot, namespaces: &NamespaceLabels) {
        self.answers.change_about(&pod.key.namespace, |answered| {
            if answered.question.about(pod, namespaces) {
                answered.counts.remove(slot);
            }
        });
    }
}
