//! What pods on nodes say of others: whom they do not want near them, and whom they would rather have.
//!
//! In: pods as they come and go. Out: for a pod that looks for a node, the terms that mean it, and on which nodes the
//! pods are that hold them. Pods of one owner hold the same terms, so there are few different ones.

use std::collections::HashMap;
use std::sync::Arc;

use super::by_namespace::ByNamespace;
use super::pod_counts::Counts;
use super::slots::NodeSlot;
use crate::pod_info::PodInfo;
use crate::pod_matcher::NamespaceLabels;
use crate::pod_terms::Term;

/// What a term that is held means for those it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// They must not come near.
    Forbids,
    /// They are welcome, or with a weight below zero not.
    Weighs(i64),
}

/// That a pod must be near others makes others a little welcome near it.
const NEAR_WEIGHS: i64 = 1;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct TermsHeld {
    ids: HashMap<(Arc<Term>, Role), usize>,
    held: ByNamespace<Held>,
}

/// A term, and how many pods on each node hold it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) term: Arc<Term>,
    pub(crate) role: Role,
    pub(crate) holders: Counts,
}

/// What a pod will say of others once it is on a node.
pub(crate) fn held_by(pod: &PodInfo) -> impl Iterator<Item = (&Arc<Term>, Role)> {
    let terms = &pod.terms;
    let apart = terms.apart.iter().map(|term| (term, Role::Forbids));
    let near = terms.near.iter().map(|term| (term, Role::Weighs(NEAR_WEIGHS)));
    apart.chain(near).chain(terms.preferred.iter().map(|(weight, term)| (term, Role::Weighs(*weight))))
}

impl TermsHeld {
    pub(super) fn add(&mut self, pod: &PodInfo, slot: NodeSlot) {
        for (term, role) in held_by(pod) {
            let Self { ids, held } = self;
            let id = *ids.entry((Arc::clone(term), role)).or_insert_with(|| {
                let entry = Held { term: Arc::clone(term), role, holders: Counts::default() };
                held.insert(&term.matcher().namespaces, entry)
            });
            if let Some(entry) = held.get_mut(id) {
                entry.holders.add(slot);
            }
        }
    }

    pub(super) fn remove(&mut self, pod: &PodInfo, slot: NodeSlot) {
        for (term, role) in held_by(pod) {
            let key = (Arc::clone(term), role);
            let Some(id) = self.ids.get(&key).copied() else { continue };
            let Some(entry) = self.held.get_mut(id) else { continue };
            entry.holders.remove(slot);
            if entry.holders.total() == 0 {
                self.held.remove(&term.matcher().namespaces, id);
                self.ids.remove(&key);
            }
        }
    }

    /// The terms that mean this pod.
    pub(crate) fn about<'a>(
        &'a self,
        pod: &'a PodInfo,
        namespaces: &'a NamespaceLabels,
    ) -> impl Iterator<Item = &'a Held> {
        let held = self.held.about(&pod.key.namespace);
        held.filter(|held| held.term.matcher().matches(pod, namespaces))
    }
}
