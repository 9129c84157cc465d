//! Who leads and who belongs, as this replica knows it.
//!
//! Hints only: what is read here routes requests, and is never a permission to answer one.

use std::collections::BTreeSet;

use keelson_store_core::id::{LogIndex, ReplicaId, Term};
use openraft::{RaftMetrics, async_runtime::watch::WatchReceiver as _};

use crate::{
    options::{Calling, Member, Timing},
    runtime::clock::{Instant, sleep, sleep_until, timeout_at},
    state::SharedState,
    types::{LogId, Membership, Raft, Types},
};

/// Where a request that only the leader can serve must go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// This replica leads, as far as it knows.
    Here,
    /// That one does.
    To(ReplicaId, Member),
    /// No leader is known.
    Nowhere,
}

/// Where leader-bound requests go right now.
pub(crate) fn route(raft: &Raft) -> Route {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    match metrics.current_leader {
        None => Route::Nowhere,
        Some(leader) if leader == metrics.id => Route::Here,
        Some(leader) => match metrics.membership_config.membership().get_node(&leader) {
            Some(member) => Route::To(leader, member.clone()),
            None => Route::Nowhere,
        },
    }
}

/// Waits until requests go somewhere else than `stale`. False when the deadline comes first, which it does
/// where Raft has stopped: whoever tries again must not do so at once.
pub(crate) async fn rerouted(raft: &Raft, stale: &Route, deadline: Instant) -> bool {
    let mut metrics = raft.server_metrics();
    loop {
        if route(raft) != *stale {
            return true;
        }
        match timeout_at(deadline, metrics.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                sleep_until(deadline).await;
                return false;
            }
            Err(_) => return false,
        }
    }
}

/// Runs `request`, which goes by `route`, for as long as requests go there: whoever waits for a leader that
/// fell silent must not miss that there is a new one. `None` when there is.
pub(crate) async fn while_routed<T>(
    raft: &Raft,
    route: &Route,
    deadline: Instant,
    request: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        answer = request => Some(answer),
        true = rerouted(raft, route, deadline) => None,
    }
}

/// The current term, and whether this replica leads in it.
pub(crate) fn leadership(raft: &Raft) -> (Term, bool) {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let term = Term::new(metrics.vote.leader_id.term);
    (term, metrics.current_leader == Some(metrics.id) && metrics.state.is_leader())
}

/// The leader of a term, for one replica.
pub(crate) struct Touch {
    /// The current term.
    pub(crate) term: Term,
    /// The leader in it that the replica is in touch with: it has heard of another one lately, or a majority has answered its
    /// own heartbeats. Raft alone does not say so: while nobody can win an election, it remembers whom it followed last.
    pub(crate) leader: Option<ReplicaId>,
    /// The one in it that the replica is not in touch with any more.
    pub(crate) lost: Option<ReplicaId>,
}

/// Who leads, as this replica can tell. By its own clock: whoever asks from elsewhere may have another one.
pub(crate) fn in_touch(raft: &Raft, state: &SharedState, timing: Timing) -> Touch {
    // As long as a link waits for a peer.
    let patience = timing.election_max * 2;
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let is_in_touch = |leader: &ReplicaId| {
        if *leader != metrics.id {
            return state.leader_silence() < patience;
        }
        let is_alone = metrics.membership_config.membership().voter_ids().all(|voter| voter == metrics.id);
        // Who has just been elected has asked nobody yet. A restarted leader remembers its vote, and does not lead before
        // it is elected anew.
        let is_answered = metrics.last_quorum_acked.is_none_or(|at| at.into_inner().elapsed() < patience);
        metrics.state.is_leader() && (is_alone || is_answered)
    };
    let (term, leader) = (Term::new(metrics.current_term), metrics.current_leader);
    let is_lost = !leader.as_ref().is_some_and(is_in_touch);
    Touch { term, leader: leader.filter(|_| !is_lost), lost: leader.filter(|_| is_lost) }
}

/// This replica.
pub(crate) fn id(raft: &Raft) -> ReplicaId {
    raft.server_metrics().borrow_watched().id
}

/// A member's name; empty where the membership in force does not know it.
pub(crate) fn name_of(raft: &Raft, replica: ReplicaId) -> String {
    current(raft).get_node(&replica).map(|member| member.name.clone()).unwrap_or_default()
}

/// Whether a replica is a learner that nobody has promoted, and that does not become a voter by itself.
pub(crate) fn stays_learner(raft: &Raft, replica: ReplicaId) -> bool {
    let membership = current(raft);
    let is_called = membership.get_node(&replica).is_some_and(|member| member.calling == Calling::Learner);
    is_called && membership.voter_ids().all(|voter| voter != replica)
}

/// Completes when this replica has not been in touch with a leader for a while.
pub(crate) async fn out_of_touch(raft: &Raft, state: &SharedState, timing: Timing) {
    while in_touch(raft, state, timing).leader.is_some() {
        sleep(timing.election_max).await;
    }
}

/// Completes when this replica begins or ceases to lead in the term `leading`.
pub(crate) async fn leadership_changed(raft: &Raft, leading: Option<Term>) {
    let mut metrics = raft.server_metrics();
    loop {
        let (term, leads) = leadership(raft);
        if leads.then_some(term) != leading {
            return;
        }
        if metrics.changed().await.is_err() {
            // Raft has stopped: nothing changes any more, and whoever loops over this must not spin.
            std::future::pending::<()>().await;
        }
    }
}

/// Completes when a membership is in force that does not name a replica. It may still be taken back.
pub(crate) async fn left(raft: &Raft, replica: ReplicaId) {
    let mut who = raft.server_metrics();
    loop {
        let membership = current(raft);
        if membership.nodes().next().is_some() && membership.get_node(&replica).is_none() {
            return;
        }
        if who.changed().await.is_err() {
            // As above.
            std::future::pending::<()>().await;
        }
    }
}

/// Completes when a membership is committed that does not name a replica: before, its leader, which may be
/// that very replica, must be able to finish it.
pub(crate) async fn left_for_good(raft: &Raft, replica: ReplicaId) {
    loop {
        left(raft, replica).await;
        let (at, membership) = in_force(raft);
        if membership.get_node(&replica).is_none() && applied_up_to(raft, at).await {
            return;
        }
    }
}

/// Waits until this replica has applied an entry, or the membership is another one. True if it has.
pub(crate) async fn applied_up_to(raft: &Raft, at: Option<LogId>) -> bool {
    let mut metrics = raft.metrics();
    loop {
        if metrics.borrow_watched().last_applied >= at {
            return true;
        }
        if in_force(raft).0 != at {
            return false;
        }
        if metrics.changed().await.is_err() {
            // As above.
            std::future::pending::<()>().await;
        }
    }
}

/// Completes when a leader is known that is not `known`; says which.
pub(crate) async fn another_leader(raft: &Raft, known: Option<ReplicaId>) -> ReplicaId {
    let mut metrics = raft.server_metrics();
    loop {
        let leader = metrics.borrow_watched().current_leader;
        if let Some(leader) = leader.filter(|leader| Some(*leader) != known) {
            return leader;
        }
        if metrics.changed().await.is_err() {
            // As above.
            std::future::pending::<()>().await;
        }
    }
}

/// Whether a replica has answered a heartbeat of this leader lately; none has, if this one does not lead.
fn has_answered(metrics: &RaftMetrics<Types>, replica: ReplicaId, timing: Timing) -> bool {
    let at = metrics.heartbeat.as_ref().and_then(|heartbeats| heartbeats.get(&replica).copied().flatten());
    at.is_some_and(|at| at.into_inner().elapsed() < timing.election_max)
}

/// Who should lead when this leader stops: of the voters that have answered a heartbeat lately, the one that
/// has the most of the log. `None` when nobody has: a hand-over to a replica that is away only costs time.
pub(crate) fn heir(raft: &Raft, timing: Timing) -> Option<(ReplicaId, Member)> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let replicated = metrics.replication.as_ref()?;
    let membership = metrics.membership_config.membership();
    let voters = membership.voter_ids().filter(|id| *id != metrics.id && has_answered(&metrics, *id, timing));
    let heir = voters.max_by_key(|id| replicated.get(id).cloned().flatten().map(|last| last.index()))?;
    Some((heir, membership.get_node(&heir)?.clone()))
}

/// Whether this leader can commit nothing before somebody has got a snapshot: too few voters are there whom its log suffices.
pub(crate) fn waits_for_snapshot(raft: &Raft, timing: Timing) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let Some(replicated) = &metrics.replication else { return false };
    let membership = metrics.membership_config.membership();
    let voters = membership.voter_ids().filter(|id| *id != metrics.id && has_answered(&metrics, *id, timing));
    let (mut follow, lag): (BTreeSet<ReplicaId>, BTreeSet<ReplicaId>) =
        voters.partition(|id| replicated.get(id).copied().flatten() >= metrics.purged);
    follow.insert(metrics.id);
    let suffice = |voters: &BTreeSet<ReplicaId>| voters.intersection(&follow).count() > voters.len() / 2;
    !lag.is_empty() && !membership.get_joint_config().iter().all(suffice)
}

/// The last entry that a replica has acknowledged to this one, and the term in which it did; `None` unless
/// this one leads.
pub(crate) fn matched(raft: &Raft, replica: ReplicaId) -> Option<(LogId, Term)> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let last = metrics.replication.as_ref()?.get(&replica).copied().flatten()?;
    Some((last, Term::new(metrics.current_term)))
}

/// Completes when Raft has stopped here, on purpose or not; says why.
pub(crate) async fn stopped(raft: &Raft) -> String {
    let mut metrics = raft.metrics();
    loop {
        if let Err(fatal) = &metrics.borrow_watched().running_state {
            return fatal.to_string();
        }
        if metrics.changed().await.is_err() {
            return "raft is gone".to_owned();
        }
    }
}

/// The last entry that this replica has applied. Says nothing about others: mutants read by it, and nobody
/// else.
pub(crate) fn applied(raft: &Raft) -> LogIndex {
    LogIndex::new(raft.metrics().borrow_watched().last_applied.map_or(0, |at| at.index()))
}

/// The membership in force, and the entry that has put it in force.
pub(crate) fn in_force(raft: &Raft) -> (Option<LogId>, Membership) {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let config = &metrics.membership_config;
    (*config.log_id(), config.membership().clone())
}

/// The membership in force, if it is committed, and so for good; `None` also while this replica does not know
/// that yet, or has just begun and knows none.
pub(crate) fn settled(raft: &Raft) -> Option<Membership> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let config = &metrics.membership_config;
    let is_applied = config.log_id().is_some() && config.log_id().as_ref() <= metrics.last_applied.as_ref();
    is_applied.then(|| config.membership().clone())
}

/// The membership in force.
pub(crate) fn current(raft: &Raft) -> Membership {
    raft.server_metrics().borrow_watched().membership_config.membership().clone()
}
