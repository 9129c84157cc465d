//! Where plugins take part in a decision: one trait for each extension point.
//!
//! In the order in which a pod meets them: [`PreEnqueue`], [`QueueSort`], [`PreFilter`] which makes the pod's
//! [`Filter`], [`PostFilter`], [`PreScore`] which makes its [`Score`], [`Reserve`], [`Permit`], [`PreBind`], [`Bind`].
//! Which plugin is where is said in one table, [`crate::plugins`].
//!
//! There is no bag of state that plugins share with themselves under string keys: what a plugin works out once per pod
//! is the value that it returns, and that value is what is asked for every node.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::cache::{Cache, NodeInfo, NodeSlot};
use crate::cluster_event::{ClusterEvent, EventKind};
use crate::diagnosis::{Diagnosis, Reason, Reasons};
use crate::pod_info::{PodInfo, Uid};
use crate::preemption::Preemption;
use crate::queue::{QueuedPod, Rank};

mod rows;
mod set;

pub(crate) use rows::{Framework, Row};
pub(crate) use set::{PluginId, PluginSet};

/// The best score of a node after normalizing; the worst is 0.
pub(crate) const MAX_NODE_SCORE: i64 = 100;

/// What every plugin is.
pub(crate) trait Plugin: Sync {
    /// Upstream's name.
    fn name(&self) -> &'static str;

    /// What may make a pod fit that this plugin has rejected.
    fn events(&self) -> &'static [EventKind] {
        &[]
    }

    /// Whether this event, of a kind in [`events`](Self::events), may make this pod fit. "Yes" costs an attempt, "no"
    /// where it should be "yes" costs the pod five minutes: so in doubt, yes.
    fn may_help(&self, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        let _ = (event, pod);
        true
    }
}

/// Why a node does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It may do once pods on it are gone: preemption may help.
    Unschedulable,
    /// It will not do whatever pods are removed.
    Unresolvable,
}

/// Keeps pods out of the queue until something happens to them.
pub(crate) trait PreEnqueue: Plugin {
    /// Whether the pod must not be scheduled yet.
    fn holds_back(&self, pod: &PodInfo) -> bool;
}

/// Says which pod comes first. There is one such plugin.
pub(crate) trait QueueSort: Plugin {
    /// The lowest comes first.
    fn rank(&self, pod: &QueuedPod) -> Rank;
}

/// What a plugin has to say of a pod before it is compared with nodes.
pub(crate) enum PreFiltered<'a> {
    /// Every node will do.
    Skip,
    /// Nodes have to pass this.
    Filter(Box<dyn Filter + 'a>),
    /// Of these nodes only, those that pass this.
    FilterOf(Vec<NodeSlot>, Box<dyn Filter + 'a>),
    /// No node will do, whatever pods are removed.
    Reject(Reason),
}

/// Looks at a pod before it is compared with nodes.
pub(crate) trait PreFilter: Plugin {
    /// Has the cache keep what will be asked of it for this pod.
    fn prepare(&self, pod: &PodInfo, cache: &mut Cache) {
        let _ = (pod, cache);
    }

    fn pre_filter<'a>(&self, pod: &'a PodInfo, cache: &'a Cache) -> PreFiltered<'a>;
}

/// Compares one pod, for which it was made, with nodes.
pub(crate) trait Filter {
    /// Whether the pod may go to the node. If not, all reasons are noted.
    ///
    /// The node is as it would be; it may hold other pods than the cache knows. What else follows from that has to be
    /// worked out from `what_if`.
    fn filter(&self, node: &NodeInfo, what_if: &WhatIf<'_>, reasons: &mut Reasons) -> Result<(), Obstacle>;
}

/// Pods that a node is taken to have beside those that the cache knows, or without.
#[derive(Clone, Copy, Default)]
pub(crate) struct WhatIf<'a> {
    pub(crate) added: &'a [Arc<PodInfo>],
    pub(crate) removed: &'a [Arc<PodInfo>],
}

/// What can be done for a pod that fits nowhere.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PostFiltered {
    pub(crate) nomination: Nomination,
    /// What users are told beside the reasons.
    pub(crate) message: Option<String>,
}

/// What becomes of the node that a pod is kept for.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Nomination {
    /// Nothing changes.
    #[default]
    Keep,
    /// It is kept for none.
    Clear,
    /// It waits for room on this node, which is made by removing others.
    For(Preemption),
}

/// Tries to make room for a pod that fits nowhere.
pub(crate) trait PostFilter: Plugin {
    fn post_filter(&self, stuck: &Stuck<'_>, diagnosis: &Diagnosis) -> PostFiltered;
}

/// Whether a pod fits a node as it would be without these pods.
pub(crate) type Fits<'a> = dyn Fn(&NodeInfo, &[Arc<PodInfo>], &mut Reasons) -> bool + 'a;

/// A pod that fits nowhere, and what is known of it.
pub(crate) struct Stuck<'a> {
    pub(crate) pod: &'a PodInfo,
    pub(crate) cache: &'a Cache,
    pub(crate) fits: &'a Fits<'a>,
    /// The node that the pod is kept for already.
    pub(crate) nominated_node: Option<&'a str>,
    /// Any number, another one in each attempt.
    pub(crate) salt: usize,
    /// Pods that are on their way out because of earlier decisions.
    pub(crate) leaving: &'a HashSet<Uid>,
}

/// Looks at a pod and the nodes that it fits before these are compared.
pub(crate) trait PreScore: Plugin {
    /// `None` if all of them are alike.
    fn pre_score<'a>(
        &self,
        pod: &'a PodInfo,
        cache: &'a Cache,
        feasible: &[NodeSlot],
    ) -> Option<Box<dyn Score + 'a>>;
}

/// Says how good nodes are for the pod for which it was made.
pub(crate) trait Score {
    /// More is better.
    fn score(&self, node: &NodeInfo) -> i64;

    /// Brings the scores of all nodes between 0 and [`MAX_NODE_SCORE`].
    fn normalize(&self, scores: &mut [i64]) {
        let _ = scores;
    }
}

/// Keeps something aside on the chosen node.
pub(crate) trait Reserve: Plugin {
    fn reserve(&self, pod: &PodInfo, node: &NodeInfo) -> Result<(), Reason>;

    /// Takes it back. Also called for a plugin whose own reservation failed.
    fn unreserve(&self, pod: &PodInfo, node: &str);
}

/// May still say no, or wait.
pub(crate) trait Permit: Plugin {
    /// The pod is bound when, and if, the future allows it.
    fn permit(
        &self,
        pod: &PodInfo,
        node: &NodeInfo,
    ) -> Result<BoxFuture<'static, Result<(), Reason>>, Reason>;
}

/// Prepares what the pod needs on its node.
pub(crate) trait PreBind: Plugin {
    fn pre_bind(&self, place: Place) -> BoxFuture<'static, Result<(), BindError>>;
}

/// Gives the pod its node. There is one such plugin.
pub(crate) trait Bind: Plugin {
    fn bind(&self, place: Place) -> BoxFuture<'static, Result<(), BindError>>;
}

/// A pod, and where it is going.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) client: kube::Client,
    pub(crate) pod: Arc<PodInfo>,
    pub(crate) node: Arc<str>,
}

/// Why a pod did not get its node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BindError {
    /// It is gone, or somebody gave it another node. There is nothing left to do.
    #[error("the pod is gone or has another node")]
    Settled,
    /// A plugin that was to permit it said no.
    #[error("{0}")]
    Rejected(Reason),
    /// Something stood against it; it may be tried again.
    #[error("{0}")]
    Failed(String),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.pod.key, self.node)
    }
}
