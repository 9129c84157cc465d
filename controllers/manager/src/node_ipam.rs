//! Gives every node a range of addresses for its pods.
//!
//! In: the cluster's ranges, and all nodes. Out: `spec.podCIDR` and `spec.podCIDRs` of nodes that have none, and events
//! where there is none left or where two nodes share one.
//!
//! - `cidr.rs`: ranges of addresses (pure)
//! - `plan.rs`: which node gets which range, and why no two get one (pure)
//! - `act.rs`: writes

mod act;
pub(crate) mod cidr;
mod plan;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use keelson_controller_runtime::{
    Change, EventRecorder, Informer, Next, ObjectKey, Reconcile, WorkQueue, reference_to, work,
};
use kube::{Api, Client};

use self::act::Outcome;
use self::cidr::Cidr;
use self::plan::{Ranges, RangesError, Step, has_addresses, plan};
use crate::context::Context;
use crate::options::Options;

const NAME: &str = "node-ipam-controller";

/// Who tells events, upstream's name.
const COMPONENT: &str = "cidrAllocator";

/// How many nodes are worked on at once.
const WORKERS: usize = 4;

/// When to look again for addresses if none are left. That a node has gone is heard of at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Brings one node at a time closer to its addresses.
struct Allocator {
    ranges: Ranges,
    api: Api<Node>,
    nodes: Informer<Node>,
    events: EventRecorder,
    /// Claims of this process that the cache may not show yet, by node.
    ours: Arc<Mutex<BTreeMap<String, Vec<Cidr>>>>,
}

/// Works until it is dropped. Without ranges nodes get their addresses from somebody else; with ranges that make no
/// sense, from nobody.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let ranges = match ranges(context.options()) {
        Ok(Some(ranges)) => ranges,
        Ok(None) => {
            tracing::info!("nodes get no podCIDRs from here: the cluster has no range for pods");
            return std::future::pending().await;
        }
        Err(error) => {
            tracing::error!(%error, "nodes get no podCIDRs");
            return std::future::pending().await;
        }
    };
    let allocator = Allocator {
        ranges,
        api: Api::all(client),
        nodes: context.nodes(),
        events: context.recorder(COMPONENT),
        ours: Arc::default(),
    };
    allocator.nodes.synced().await;
    let queue = WorkQueue::new(NAME);
    allocator.watch(&queue);
    work(NAME, queue, WORKERS, Arc::new(allocator)).await;
}

fn ranges(options: &Options) -> Result<Option<Ranges>, RangesError> {
    let sizes = (options.node_cidr_mask_size_ipv4, options.node_cidr_mask_size_ipv6);
    if options.cluster_cidrs.is_empty() {
        Ok(None)
    } else {
        Ranges::new(&options.cluster_cidrs, sizes).map(Some)
    }
}

impl Allocator {
    fn watch(&self, queue: &WorkQueue<String>) {
        let (due, nodes, ours) = (queue.clone(), self.nodes.clone(), Arc::clone(&self.ours));
        self.nodes.on_change(move |change| match change {
            Change::Added(node) => due.add(name(node)),
            Change::Updated { old, new } => {
                if has_addresses(new) {
                    lock(&ours).remove(&name(new));
                }
                if !has_addresses(new) || has_other_addresses(old, new) {
                    due.add(name(new));
                }
            }
            Change::Deleted(node) => {
                lock(&ours).remove(&name(node));
                // Its addresses are free for one that has waited for some.
                nodes.list().iter().filter(|node| !has_addresses(node)).for_each(|node| due.add(name(node)));
            }
        });
    }

    /// The next step for a node. What it claims counts as taken from now on.
    fn next_step(&self, name: &str) -> Step {
        let mut ours = lock(&self.ours);
        let step = plan(&self.ranges, &self.nodes.list(), &ours, name, rand::random());
        match &step {
            Step::Claim(blocks) | Step::Settle(blocks) => drop(ours.insert(name.to_owned(), blocks.clone())),
            Step::Nothing | Step::Exhausted(_) | Step::SharesWith(_) => {}
        }
        step
    }

    fn tell_exhausted(&self, node: &Node) {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let message = format!("Node {name} status is now: CIDRNotAvailable");
        self.events.normal(&reference_to(node), "CIDRNotAvailable", message);
    }

    fn tell_shared(&self, node: &Node, other: &str) {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        tracing::error!(node = name, other, "two nodes have pod addresses in common");
        let message = format!(
            "Node {name} shares pod addresses with Node {other}, and podCIDRs cannot be changed: drain it, delete the \
             Node, and let it register again"
        );
        self.events.warning(&reference_to(node), "CIDRAssignmentFailed", message);
    }
}

impl Reconcile for Allocator {
    type Key = String;
    type Error = kube::Error;

    async fn reconcile(&self, name: &String) -> Result<Next, kube::Error> {
        // Before the plan: whatever is written is written only on what the plan has seen, or on what came before.
        let Some(node) = self.nodes.get(&ObjectKey::new("", name.clone())) else { return Ok(Next::Done) };
        match self.next_step(name) {
            Step::Nothing => {}
            Step::Claim(blocks) => {
                act::claim(&self.api, &node, &blocks).await?;
            }
            Step::Settle(blocks) => {
                if act::settle(&self.api, &node, &blocks).await? == Outcome::Written {
                    tracing::info!(
                        node = name,
                        pod_cidrs = act::listed(&blocks),
                        "a node has got its pod addresses"
                    );
                }
            }
            Step::Exhausted(pool) => {
                tracing::warn!(node = name, %pool, "no pod addresses are left");
                self.tell_exhausted(&node);
                return Ok(Next::After(PATIENCE));
            }
            Step::SharesWith(other) => self.tell_shared(&node, &other),
        }
        Ok(Next::Done)
    }
}

fn name(node: &Node) -> String {
    node.metadata.name.clone().unwrap_or_default()
}

fn has_other_addresses(old: &Node, new: &Node) -> bool {
    let of = |node: &Node| node.spec.as_ref().map(|spec| (spec.pod_cidr.clone(), spec.pod_cidrs.clone()));
    of(old) != of(new)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
