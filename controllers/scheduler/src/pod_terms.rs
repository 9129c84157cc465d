//! What pods say of other pods: where they want to be near them, or apart.
//!
//! In: a pod's affinity and its spread constraints. Out: the same, read once. `matchLabelKeys` and `mismatchLabelKeys`
//! become part of the selectors; where the API server has done that already, doing it again changes nothing.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PodAffinityTerm, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use keelson_controller_runtime::controller_of;
use keelson_controller_runtime::pod::{Pod, PodSpec};

use crate::cache::{Among, Labels, Operator, Question};
use crate::pod_matcher::{Namespaces, PodMatcher, Selector};

/// Some pods, and within what they count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    /// How many of them there are.
    pub(crate) question: Question,
    /// The label that nodes of one place have in common.
    pub(crate) topology_key: String,
}

/// A pod's terms about others.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodTerms {
    /// It has to be where such pods are.
    pub(crate) near: Vec<Arc<Term>>,
    /// How many pods there are that all of these mean.
    pub(crate) near_all: Option<Question>,
    /// It must not be where such pods are, nor they where it is.
    pub(crate) apart: Vec<Arc<Term>>,
    /// It would rather be where such pods are, or, with a weight below zero, where they are not.
    pub(crate) preferred: Vec<(i64, Arc<Term>)>,
}

/// How evenly pods are to be spread.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpreadConstraint {
    pub(crate) topology_key: String,
    /// How many of the pods that count there are.
    pub(crate) question: Question,
    pub(crate) max_skew: i64,
    /// With fewer places than this, an empty one is taken to exist.
    pub(crate) min_domains: usize,
    pub(crate) strictness: Strictness,
    /// Nodes that the pod's affinity excludes do not count.
    pub(crate) honors_affinity: bool,
    /// Nodes whose taints the pod does not tolerate do not count.
    pub(crate) honors_taints: bool,
}

/// What becomes of a pod when a constraint cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// It goes nowhere.
    Hard,
    /// It goes where it is kept best, but rather not to nodes that lack the label.
    Soft,
    /// The same, but nodes that lack the label are as good as any: nobody has asked for it.
    Default,
}

/// How pods are spread that say nothing about it: keys, and by how much places may differ. Upstream's.
const DEFAULTS: [(&str, i64); 2] = [("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5)];

/// Owners whose pods are spread by default.
const SPREAD_BY_DEFAULT: [&str; 3] = ["ReplicaSet", "ReplicationController", "StatefulSet"];

impl PodTerms {
    pub(crate) fn of(pod: &Pod) -> Self {
        let mut terms = Self::default();
        let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else { return terms };
        if let Some(near) = &affinity.pod_affinity {
            let required = near.required_during_scheduling_ignored_during_execution.iter().flatten();
            terms.near = required.map(|term| Term::of(term, pod)).collect();
            let all_of: Vec<_> = terms.near.iter().map(|term| term.matcher().clone()).collect();
            terms.near_all =
                (!all_of.is_empty()).then_some(Question { all_of, owner: None, among: Among::All });
            let preferred = near.preferred_during_scheduling_ignored_during_execution.iter().flatten();
            terms.preferred.extend(
                preferred.map(|term| (i64::from(term.weight), Term::of(&term.pod_affinity_term, pod))),
            );
        }
        if let Some(apart) = &affinity.pod_anti_affinity {
            let required = apart.required_during_scheduling_ignored_during_execution.iter().flatten();
            terms.apart = required.map(|term| Term::of(term, pod)).collect();
            let preferred = apart.preferred_during_scheduling_ignored_during_execution.iter().flatten();
            terms.preferred.extend(
                preferred.map(|term| (-i64::from(term.weight), Term::of(&term.pod_affinity_term, pod))),
            );
        }
        terms
    }
}

impl Term {
    fn of(term: &PodAffinityTerm, pod: &Pod) -> Arc<Self> {
        let labels = pod.metadata.labels.as_ref();
        let mut selector = Selector::of(term.label_selector.as_ref());
        for key in term.match_label_keys.iter().flatten() {
            selector.compare_with(labels, key, Operator::In);
        }
        for key in term.mismatch_label_keys.iter().flatten() {
            selector.compare_with(labels, key, Operator::NotIn);
        }
        let mut names = term.namespaces.clone().unwrap_or_default();
        if names.is_empty() && term.namespace_selector.is_none() {
            names.push(pod.metadata.namespace.clone().unwrap_or_default());
        }
        let selected = term.namespace_selector.as_ref().map(|selector| Selector::of(Some(selector)));
        let matcher = PodMatcher { namespaces: Namespaces { names, selected }, selector };
        let question = Question { all_of: vec![matcher], owner: None, among: Among::All };
        Arc::new(Self { question, topology_key: term.topology_key.clone() })
    }

    pub(crate) fn matcher(&self) -> &PodMatcher {
        &self.question.all_of[0]
    }
}

/// The pod's own constraints, or those that pods of one owner have by default.
pub(crate) fn spread_constraints(pod: &Pod, spec: &PodSpec) -> Vec<SpreadConstraint> {
    let own = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    let owner = controller_of(&pod.metadata);
    match owner.filter(|owner| SPREAD_BY_DEFAULT.contains(&owner.kind.as_str())) {
        Some(owner) if own.is_empty() => SpreadConstraint::defaults(pod, &owner.uid),
        Some(_) | None => own.iter().map(|constraint| SpreadConstraint::of(constraint, pod)).collect(),
    }
}

impl SpreadConstraint {
    /// Where upstream selects as Services and owners do, this counts the pods of the same owner: the same pods, but for
    /// those that only a Service has in common, and nothing has to be known of Services and owners.
    fn defaults(pod: &Pod, owner: &str) -> Vec<Self> {
        let namespaces =
            Namespaces { names: vec![pod.metadata.namespace.clone().unwrap_or_default()], selected: None };
        let matcher = PodMatcher { namespaces, selector: Selector::of(Some(&LabelSelector::default())) };
        let question =
            Question { all_of: vec![matcher], owner: Some(owner.to_owned()), among: Among::NotBeingDeleted };
        let defaults = DEFAULTS.iter().map(|(key, max_skew)| Self {
            topology_key: (*key).to_owned(),
            question: question.clone(),
            max_skew: *max_skew,
            min_domains: 1,
            strictness: Strictness::Default,
            honors_affinity: true,
            honors_taints: false,
        });
        defaults.collect()
    }

    fn of(constraint: &TopologySpreadConstraint, pod: &Pod) -> Self {
        let labels: Option<&Labels> = pod.metadata.labels.as_ref();
        let mut selector = Selector::of(constraint.label_selector.as_ref());
        for key in constraint.match_label_keys.iter().flatten() {
            selector.compare_with(labels, key, Operator::In);
        }
        let names = vec![pod.metadata.namespace.clone().unwrap_or_default()];
        let honors = |policy: &Option<String>, default| policy.as_deref().unwrap_or(default) == "Honor";
        Self {
            topology_key: constraint.topology_key.clone(),
            question: Question {
                all_of: vec![PodMatcher { namespaces: Namespaces { names, selected: None }, selector }],
                owner: None,
                among: Among::NotBeingDeleted,
            },
            max_skew: constraint.max_skew.into(),
            min_domains: constraint.min_domains.and_then(|count| count.try_into().ok()).unwrap_or(1),
            strictness: match constraint.when_unsatisfiable.as_str() {
                "DoNotSchedule" => Strictness::Hard,
                _ => Strictness::Soft,
            },
            honors_affinity: honors(&constraint.node_affinity_policy, "Honor"),
            honors_taints: honors(&constraint.node_taints_policy, "Ignore"),
        }
    }
}
