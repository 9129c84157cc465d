//! What openraft is told about our types, and the short names under which the adapter uses its own.
//!
//! None of openraft's types reaches disk or wire: [`crate::record`] and [`crate::peer::wire`] hold our own
//! records for votes, log ids, memberships and entries.

use std::fmt;

use bytes::Bytes;
use keelson_store_core::{
    command::Outcome,
    id::{LogIndex, LogPosition, ReplicaId, Term},
};
use openraft::impls::leader_id_std;

use crate::{options::Member, runtime::Runtime, state::StateAdapter};

openraft::declare_raft_types!(
    /// Keelson's instance of openraft's types: one leader per term, as etcd's `raft_term` means it.
    pub Types:
        D = EncodedCommand,
        R = Answer,
        NodeId = ReplicaId,
        Node = Member,
        LeaderId = leader_id_std::LeaderId<Self::Term, Self::NodeId>,
        AsyncRuntime = Runtime,
);

/// A command, encoded once at the door and opaque from there to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedCommand(pub Bytes);

impl fmt::Display for EncodedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What applying an entry answers to whoever proposed it.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A command's outcome.
    Outcome(Outcome),
    /// Entries that are not commands answer nothing.
    Nothing,
}

/// The Raft handle of one replica.
pub type Raft = openraft::Raft<Types, StateAdapter>;
/// A log id.
pub type LogId = openraft::type_config::alias::LogIdOf<Types>;
/// A vote.
pub type Vote = openraft::type_config::alias::VoteOf<Types>;
/// A log entry.
pub type Entry = openraft::type_config::alias::EntryOf<Types>;
/// What a log entry carries.
pub type Payload = openraft::EntryPayload<EncodedCommand, ReplicaId, Member>;
/// Who votes and who only learns.
pub type Membership = openraft::Membership<ReplicaId, Member>;
/// A membership and where in the log it stands.
pub type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
/// What a snapshot contains.
pub type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;
/// A snapshot: its meta data and the folder that holds it.
pub type Snapshot = openraft::type_config::alias::SnapshotOf<Types, crate::state::SnapshotFolder>;

/// A log id from its parts.
pub fn log_id(at: LogPosition) -> LogId {
    LogId::new_term_index(at.term.get(), at.index.get())
}

/// The parts of a log id.
pub fn position(id: &LogId) -> LogPosition {
    LogPosition { term: Term::new(**id.committed_leader_id()), index: LogIndex::new(id.index()) }
}

/// A vote from its parts.
pub fn vote(term: Term, voted_for: ReplicaId, committed: bool) -> Vote {
    Vote { leader_id: leader_id_std::LeaderId { term: term.get(), voted_for }, committed }
}
