//! Where a pod may run: labels of nodes that have newer names, selectors that select no pod.

use crate::{
    kinds::node_label::{self, Values},
    place::Place,
};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Warns of how nodes are selected and pods are spread over them.
pub(super) fn nodes(spec: &Place<'_>, warnings: &mut Vec<String>) {
    for (label, place) in spec.child("nodeSelector").entries() {
        if let Some(why) = node_label::deprecated(label) {
            warnings.push(format!("{}: {why}", place.path()));
        }
    }
    let affinity = spec.child("affinity").child("nodeAffinity");
    for term in affinity.child(REQUIRED).child("nodeSelectorTerms").items() {
        node_label::warn_term(&term, Values::Any, warnings);
    }
    for preferred in affinity.child(PREFERRED).items() {
        node_label::warn_term(&preferred.child("preference"), Values::OfLabels, warnings);
    }
    for constraint in spec.child("topologySpreadConstraints").items() {
        node_label::warn_key(&constraint.child("topologyKey"), warnings);
        needs_selector(&constraint, warnings);
    }
}

/// Warns of affinity to pods that are none.
pub(super) fn pods(spec: &Place<'_>, warnings: &mut Vec<String>) {
    for field in ["podAffinity", "podAntiAffinity"] {
        let affinity = spec.child("affinity").child(field);
        affinity.child(REQUIRED).items().for_each(|term| needs_selector(&term, warnings));
        for preferred in affinity.child(PREFERRED).items() {
            needs_selector(&preferred.child("podAffinityTerm"), warnings);
        }
    }
}

fn needs_selector(owner: &Place<'_>, warnings: &mut Vec<String>) {
    let selector = owner.child("labelSelector");
    if !selector.is_set() {
        warnings.push(format!("{}: a null labelSelector results in matching no pod", selector.path()));
    }
}
