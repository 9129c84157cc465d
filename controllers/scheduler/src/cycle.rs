//! The corridor: one pod from the queue to a node.
//!
//! In: the next pod of the queue, and the cluster as the cache has it. Out: a node that the pod is assumed to be on,
//! and which [`crate::bind`] makes true; or why there is none. Reads top to bottom, in the order in which it happens:
//! pop → PreFilter → Filter → (PostFilter) → PreScore → Score → assume → Reserve → Permit. What goes wrong is undone
//! in reverse order: unreserve, forget, back to the queue.
//!
//! Nothing here waits, asks the API or looks at the clock. So a cycle is never interrupted, and the same input always
//! has the same output.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::cache::{Cache, NodeSlot};
use crate::cluster_event::PodChange;
use crate::diagnosis::{Diagnosis, Reason, Reasons};
use crate::framework::{BindError, Framework, Nomination, Obstacle, PluginSet, Stuck};
use crate::nominations::Nominations;
use crate::pod_info::{PodInfo, Uid};
use crate::preemption::Preemption;
use crate::queue::{Queue, QueuedPod, WaitsFor};

mod feasible;
mod scores;

use feasible::{Filters, Found};

/// What upstream says when there is no node at all.
const NO_NODES: &str = "no nodes available to schedule pods";

/// All that the scheduler knows and decides with. One task owns it.
pub(crate) struct Core {
    pub(crate) framework: Framework,
    pub(crate) scheduler_name: &'static str,
    pub(crate) cache: Cache,
    pub(crate) queue: Queue,
    pub(crate) nominations: Nominations,
    /// Pods that were told to make room and are not gone yet.
    pub(crate) leaving: HashSet<Uid>,
    /// How many percent of the nodes are enough to choose from; `None`: as many as is good for their number.
    percentage_of_nodes_to_score: Option<u8>,
    /// Where in the order of nodes the next search starts, so that all get their turn.
    next_start: usize,
    /// Settles draws.
    random: SmallRng,
}

/// What became of one pod's turn.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// There is no point in scheduling it: it is being deleted.
    Skipped(Arc<PodInfo>),
    /// It has a node, and now has to be bound to it.
    Assumed(Assumed),
    /// It has none.
    Failed(Failure),
}

/// A pod that counts on a node already.
pub(crate) struct Assumed {
    pub(crate) queued: QueuedPod,
    pub(crate) node: Arc<str>,
    /// What has to allow it yet.
    pub(crate) permits: Vec<BoxFuture<'static, Result<(), Reason>>>,
}

/// Why a pod has no node, and what is to be done about it beyond the queue.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) pod: Arc<PodInfo>,
    pub(crate) reason: FailureReason,
    pub(crate) message: String,
    pub(crate) nomination: Nomination,
    /// Pods that had been promised room which is now needed.
    pub(crate) displaced: Vec<Arc<PodInfo>>,
}

/// Whether the cluster or the scheduler stood against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureReason {
    Unschedulable,
    SchedulerError,
}

/// No node was found.
struct Nowhere {
    waits_for: WaitsFor,
    message: String,
    nomination: Nomination,
}

impl Core {
    pub(crate) fn new(
        framework: Framework,
        scheduler_name: &'static str,
        percentage_of_nodes_to_score: Option<u8>,
        seed: u64,
    ) -> Self {
        Self {
            framework,
            scheduler_name,
            cache: Cache::default(),
            queue: Queue::new(framework),
            nominations: Nominations::default(),
            leaving: HashSet::new(),
            percentage_of_nodes_to_score,
            next_start: 0,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// Gives the next pod of the queue its turn.
    pub(crate) fn schedule_one(&mut self, now: Instant) -> Option<Attempt> {
        let queued = self.queue.pop(now)?;
        if queued.info.is_being_deleted() {
            return Some(Attempt::Skipped(queued.info));
        }
        debug_assert!(self.cache.placement(&queued.info.uid).is_none(), "{queued:?} waits and has a node");
        self.cache.refresh();
        Some(match self.find_node(&queued.info) {
            Ok(node) => self.assume(queued, node, now),
            Err(nowhere) => Attempt::Failed(self.give_up(queued, nowhere, now)),
        })
    }

    /// PreFilter, Filter, PostFilter, PreScore, Score.
    fn find_node(&mut self, pod: &Arc<PodInfo>) -> Result<NodeSlot, Nowhere> {
        if self.cache.order().is_empty() {
            return Err(Nowhere::without_nodes());
        }
        self.cache.begin_turn();
        for (_, plugin) in self.framework.at(|row| row.pre_filter) {
            plugin.prepare(pod, &mut self.cache);
        }
        let filters = Filters::prepare(self.framework, pod, &self.cache, &self.nominations);
        let nominated = self.nominations.node_of(&pod.uid);
        let nominated = nominated.and_then(|name| self.cache.node_named(name));
        if let Some(node) = nominated.filter(|node| filters.allow(node)) {
            return Ok(node.slot);
        }
        let found = filters.search(&self.cache, self.next_start, self.percentage_of_nodes_to_score);
        self.next_start = (self.next_start + found.looked_at) % self.cache.order().len();
        match found {
            Found { feasible, .. } if feasible.len() == 1 => Ok(feasible[0]),
            Found { feasible, diagnosis, .. } if feasible.is_empty() => {
                let salt = self.random.random_range(0..usize::MAX);
                Err(self.post_filter(pod, &filters, diagnosis, salt))
            }
            Found { feasible, .. } => {
                Ok(scores::best(self.framework, pod, &self.cache, &feasible, &mut self.random))
            }
        }
    }

    /// Asks what can be done for a pod that fits nowhere.
    fn post_filter(
        &self,
        pod: &PodInfo,
        filters: &Filters<'_>,
        mut diagnosis: Diagnosis,
        salt: usize,
    ) -> Nowhere {
        let fits =
            |node: &_, removed: &[_], reasons: &mut Reasons| filters.check(node, removed, reasons).is_ok();
        let stuck = Stuck {
            pod,
            cache: &self.cache,
            fits: &fits,
            nominated_node: self.nominations.node_of(&pod.uid).map(|name| &**name),
            salt,
            leaving: &self.leaving,
        };
        let mut nomination = Nomination::Clear;
        for (_, plugin) in self.framework.at(|row| row.post_filter) {
            let result = plugin.post_filter(&stuck, &diagnosis);
            diagnosis.post_filter = result.message;
            nomination = result.nomination;
            if let Nomination::For(_) = nomination {
                break;
            }
        }
        let waits_for = WaitsFor::Plugins(diagnosis.plugins);
        Nowhere { waits_for, message: diagnosis.message(), nomination }
    }

    /// Counts the pod on the node, then Reserve and Permit.
    fn assume(&mut self, queued: QueuedPod, slot: NodeSlot, now: Instant) -> Attempt {
        let node = Arc::clone(&self.cache.node(slot).name);
        self.cache.assume(&queued.info, &node);
        match self.reserve(&queued.info, slot) {
            Ok(permits) => {
                self.end_promise(&queued.info, &node, now);
                Attempt::Assumed(Assumed { queued, node, permits })
            }
            Err(nowhere) => {
                self.release(&queued.info, &node);
                Attempt::Failed(self.give_up(queued, nowhere, now))
            }
        }
    }

    fn reserve(
        &self,
        pod: &PodInfo,
        slot: NodeSlot,
    ) -> Result<Vec<BoxFuture<'static, Result<(), Reason>>>, Nowhere> {
        let node = self.cache.node(slot);
        for (id, plugin) in self.framework.at(|row| row.reserve) {
            plugin
                .reserve(pod, node)
                .map_err(|reason| Nowhere::at_one_node(PluginSet::of(id), slot, reason))?;
        }
        let mut permits = Vec::new();
        for (id, plugin) in self.framework.at(|row| row.permit) {
            let permit = plugin.permit(pod, node);
            permits.push(permit.map_err(|reason| Nowhere::at_one_node(PluginSet::of(id), slot, reason))?);
        }
        Ok(permits)
    }

    /// Undoes Reserve and the assumption. Returns the pod as it is now, unless it is gone or bound.
    fn release(&mut self, pod: &PodInfo, node: &str) -> Option<Arc<PodInfo>> {
        for (_, plugin) in self.framework.at(|row| row.reserve).rev() {
            plugin.unreserve(pod, node);
        }
        self.cache.forget(&pod.uid)
    }

    /// Puts a pod back that found no node.
    fn give_up(&mut self, queued: QueuedPod, nowhere: Nowhere, now: Instant) -> Failure {
        let Nowhere { waits_for, message, nomination } = nowhere;
        let pod = Arc::clone(&queued.info);
        self.queue.park(queued, waits_for, now);
        let displaced = self.nominate(&pod, &nomination, now);
        Failure { pod, reason: FailureReason::Unschedulable, message, nomination, displaced }
    }

    /// Returns the pods that lose what they had been promised.
    fn nominate(&mut self, pod: &Arc<PodInfo>, nomination: &Nomination, now: Instant) -> Vec<Arc<PodInfo>> {
        let (lost, displaced) = match nomination {
            Nomination::Keep => (None, Vec::new()),
            Nomination::Clear => (self.nominations.clear(&pod.uid), Vec::new()),
            Nomination::For(Preemption { node, victims }) => {
                self.leaving.extend(victims.iter().map(|victim| victim.uid.clone()));
                let displaced = self.nominations.displace(node, pod.priority);
                displaced.iter().for_each(|pod| self.queue.activate(&pod.uid, now));
                (self.nominations.set(pod, Arc::clone(node)), displaced)
            }
        };
        if let Some(lost) = lost {
            self.pod_event(PodChange::Removed, pod, &lost, now);
        }
        displaced
    }

    /// The pod could not be bound. Returns what is left to do.
    pub(crate) fn bind_failed(
        &mut self,
        queued: QueuedPod,
        node: &str,
        error: &BindError,
        now: Instant,
    ) -> Option<Failure> {
        let pod = Arc::clone(&queued.info);
        let latest = self.release(&pod, node)?;
        self.pod_event(PodChange::Removed, &pod, node, now);
        let (reason, message) = match error {
            // The informer says what became of it.
            BindError::Settled => return None,
            BindError::Rejected(reason) => {
                let mut reasons = Reasons::default();
                reasons.add(reason.clone());
                (FailureReason::Unschedulable, crate::diagnosis::sentence(1, &reasons))
            }
            BindError::Failed(message) => (FailureReason::SchedulerError, message.clone()),
        };
        self.queue.retry(queued, Arc::clone(&latest), now);
        Some(Failure { pod: latest, reason, message, nomination: Nomination::Clear, displaced: Vec::new() })
    }

    /// Pods that were to make room could not be told so.
    pub(crate) fn eviction_failed(&mut self, preemption: &Preemption, preemptor: &Uid, now: Instant) {
        for victim in &preemption.victims {
            self.leaving.remove(&victim.uid);
        }
        self.queue.activate(preemptor, now);
    }
}

impl Nowhere {
    fn without_nodes() -> Self {
        let message = NO_NODES.to_owned();
        Self { waits_for: WaitsFor::AnyNode, message, nomination: Nomination::Clear }
    }

    /// The node had been chosen already.
    fn at_one_node(plugins: PluginSet, slot: NodeSlot, reason: Reason) -> Self {
        let mut diagnosis = Diagnosis { nodes: 1, plugins, ..Diagnosis::default() };
        diagnosis.obstacles.push((slot, Obstacle::Unresolvable));
        diagnosis.reasons.add(reason);
        let waits_for = WaitsFor::Plugins(plugins);
        Self { waits_for, message: diagnosis.message(), nomination: Nomination::Clear }
    }
}

impl FailureReason {
    /// As conditions have it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::SchedulerError => "SchedulerError",
        }
    }
}

impl std::fmt::Debug for Assumed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.queued.info.key, self.node)
    }
}

#[cfg(test)]
mod tests;
