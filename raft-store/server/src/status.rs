//! How a replica and its cluster are doing, as the replica knows it.

use keelson_store_core::id::{ClusterId, LogIndex, ReplicaId, Revision, Term};
use openraft::async_runtime::watch::WatchReceiver as _;

use crate::{options::Member, state::SharedState, types::Raft};

/// One replica's view of itself and its cluster.
#[derive(Clone, Debug)]
pub struct Status {
    /// The cluster.
    pub cluster: ClusterId,
    /// This replica.
    pub replica: ReplicaId,
    /// The leader, if this replica is in touch with one.
    pub leader: Option<ReplicaId>,
    /// The current term.
    pub term: Term,
    /// The last entry of the local log; `None` while it is empty.
    pub last_index: Option<LogIndex>,
    /// The last entry that this replica knows to be committed.
    pub committed_index: Option<LogIndex>,
    /// The last entry applied here.
    pub applied_index: Option<LogIndex>,
    /// The store's revision after it.
    pub revision: Revision,
    /// Reads below this revision are refused.
    pub compacted: Revision,
    /// Why nothing is served, where members have different states and nobody can tell which is right.
    pub doubt: Option<String>,
    /// Bytes of state on disk, roughly.
    pub size: u64,
    /// Everybody in the cluster.
    pub members: Vec<MemberStatus>,
}

/// One member of the cluster.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// Its id.
    pub replica: ReplicaId,
    /// Its name and addresses.
    pub member: Member,
    /// Whether it votes.
    pub voter: bool,
    /// The last entry that it has acknowledged to this replica; `None` unless this one leads.
    pub matched: Option<LogIndex>,
}

impl Status {
    pub(crate) fn of(cluster: ClusterId, raft: &Raft, state: &SharedState) -> Self {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let term = Term::new(metrics.current_term);
        let leads = |leader: &ReplicaId| *leader != metrics.id || metrics.state.is_leader();
        let leader = metrics.current_leader.filter(leads).filter(|leader| !state.has_lost(term, *leader));
        let applied = *state.applied().borrow();
        let membership = metrics.membership_config.membership();
        let voters: Vec<_> = membership.voter_ids().collect();
        let matched = |replica: &ReplicaId| metrics.replication.as_ref()?.get(replica).copied().flatten();
        let member = |(replica, member): (&ReplicaId, &Member)| MemberStatus {
            replica: *replica,
            member: member.clone(),
            voter: voters.contains(replica),
            matched: matched(replica).map(|last| LogIndex::new(last.index())),
        };
        Self {
            cluster,
            replica: metrics.id,
            leader,
            term,
            last_index: metrics.last_log_index.map(LogIndex::new),
            committed_index: metrics.local_committed.map(|at| LogIndex::new(at.index())),
            applied_index: applied.index,
            revision: applied.revision,
            compacted: applied.compacted,
            doubt: state.doubt(),
            size: state.size(),
            members: membership.nodes().map(member).collect(),
        }
    }
}
