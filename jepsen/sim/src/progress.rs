//! The second phase: nothing is broken any more, and the cluster must get on, within bounds of true time.

use std::time::Duration;

use keelson_store::Store;
use keelson_store_core::{
    id::{LeaseId, LogIndex},
    lease::Lease,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    Node,
    cluster::Cluster,
    ghost::{Broken, Trust},
    invariant::Invariant,
    plan::Swarm,
};

/// Between two looks.
const PACE: Duration = Duration::from_millis(20);
/// Leases that are granted to see whether writes succeed have ids from here on down: no workload gets there. They change
/// no key, so no history has to know of them.
const LAST_ID: i64 = i64::MAX;
const TTL_SECONDS: u32 = 1_000_000;

/// How long things may take after healing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// To a leader that every sound replica knows.
    pub(crate) leader: Duration,
    /// From there until all who are there belong, and vote.
    pub(crate) settled: Duration,
    /// From there to a write through every sound replica.
    pub(crate) write: Duration,
    /// From there until every sound replica has applied what the first one had.
    pub(crate) catch_up: Duration,
}

impl Bounds {
    /// What the options allow: some elections that nobody wins, connections that must be given up first, replicas that
    /// are started again, and a snapshot over a slow network.
    pub(crate) fn of(swarm: &Swarm) -> Self {
        let election = Duration::from_millis(swarm.election_max_millis);
        let leader = election * 20 + swarm.restart() + Duration::from_secs(15);
        let write = Duration::from_millis(swarm.request_timeout_millis) * 2 + Duration::from_secs(15);
        let catch_up = Duration::from_secs(60);
        Self { leader, settled: write * 3 + catch_up, write, catch_up }
    }
}

/// Demands progress; what does not come in time is reported to the ghost.
pub(crate) async fn demand(cluster: &Cluster, bounds: Bounds) {
    let began = Instant::now();
    let Some(leader) = within(bounds.leader, || agreed_leader(cluster)).await else {
        return report(cluster, Invariant::Leader, bounds.leader);
    };
    tracing::info!(after = ?began.elapsed(), "{leader} leads");
    if within(bounds.settled, || is_settled(cluster).then_some(())).await.is_none() {
        return report(cluster, Invariant::Settled, bounds.settled);
    }
    let deadline = Instant::now() + bounds.write;
    for node in sound(cluster) {
        if timeout_at(deadline, write_at_last(cluster, node)).await.is_err() {
            let text = format!("{node} takes no write in {:?} after there was a leader", bounds.write);
            return cluster.ghost().report(Broken(Invariant::FirstWrite, text));
        }
    }
    let goal = sound(cluster).filter_map(|node| applied(cluster, node)).max();
    let is_there = || sound(cluster).all(|node| applied(cluster, node) >= goal).then_some(());
    if within(bounds.catch_up, is_there).await.is_none() {
        return report(cluster, Invariant::CatchUp, bounds.catch_up);
    }
    let is_whole = |node| applied(cluster, node) >= goal && !cluster.has_diverged(node);
    let is_refilled = || damaged(cluster).all(is_whole).then_some(());
    if within(bounds.catch_up, is_refilled).await.is_none() {
        report(cluster, Invariant::Refilled, bounds.catch_up);
    }
}

/// Looks after the cluster until it is dropped: a removal of which nobody knew may strike late.
pub(crate) async fn tend(cluster: Cluster) {
    loop {
        cluster.bring_back();
        sleep(PACE).await;
    }
}

/// Members that have nothing to excuse them.
pub(crate) fn sound(cluster: &Cluster) -> impl Iterator<Item = Node> {
    let ghost = cluster.ghost();
    cluster.nodes().filter(|node| ghost.trust(*node) == Trust::Whole && ghost.is_member(*node))
}

/// Members whose disks were damaged, and that can be made whole.
fn damaged(cluster: &Cluster) -> impl Iterator<Item = Node> {
    let ghost = cluster.ghost();
    let mendable = cluster.nodes().filter(|node| !cluster.is_lost(*node) && ghost.is_member(*node));
    mendable.filter(|node| ghost.trust(*node) == Trust::Damaged)
}

/// Whether all sound replicas belong to the cluster and vote.
fn is_settled(cluster: &Cluster) -> bool {
    let mut whole = cluster.nodes().filter(|node| cluster.ghost().trust(*node) == Trust::Whole);
    whole.all(|node| cluster.ghost().votes_for_good(node) && cluster.store(node).is_some())
}

/// The leader, if all sound replicas know it.
fn agreed_leader(cluster: &Cluster) -> Option<Node> {
    let leader = cluster.leader()?;
    let id = cluster.replica_id(leader);
    let knows = |node| cluster.store(node).is_some_and(|store| store.status().leader == id);
    sound(cluster).all(knows).then_some(leader)
}

fn applied(cluster: &Cluster, node: Node) -> Option<LogIndex> {
    cluster.store(node)?.status().applied_index
}

/// Looks again and again until something is found, or a while.
pub(crate) async fn within<T>(bound: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(PACE).await;
    }
}

/// Writes until it succeeds, or until the replica has been removed.
async fn write_at_last(cluster: &Cluster, node: Node) {
    for id in 0.. {
        let lease =
            Lease { id: LeaseId::new(LAST_ID - i64::from(node.0) - (id << 8)), ttl_seconds: TTL_SECONDS };
        let (done, granted) = oneshot::channel();
        let visit = move |store: Store| async move {
            let _ = done.send(store.grant_lease(lease).await.is_ok());
        };
        if cluster.visit(node, visit) && granted.await == Ok(true) {
            return;
        }
        if !sound(cluster).any(|sound| sound == node) {
            return;
        }
        sleep(PACE).await;
    }
}

fn report(cluster: &Cluster, invariant: Invariant, bound: Duration) {
    let state = |node: Node| match cluster.store(node) {
        Some(store) => {
            let status = store.status();
            format!(
                "{node} (life {}): term {}, leader {:?}, applied {:?} of {:?}",
                cluster.lives(node),
                status.term,
                status.leader,
                status.applied_index,
                status.last_index
            )
        }
        None => format!("{node} (life {}): not open", cluster.lives(node)),
    };
    let states: Vec<_> = cluster.nodes().map(state).collect();
    let text = format!("not within {bound:?}: {}", states.join("; "));
    cluster.ghost().report(Broken(invariant, text));
}
