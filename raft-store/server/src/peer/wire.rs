//! Our records on the wire, to and from openraft's types.
//!
//! Decoding is total: a message that lacks a part is a [`WireError`], never a panic and never a default that
//! could be taken for an answer.

use bytes::BytesMut;
use keelson_proto::peer as proto;
use keelson_store_core::{
    id::{LogIndex, LogPosition, ReplicaId, Term},
    mutant::{self, Mutant},
};
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
pub use proto::frame::Body;

use crate::{
    options::{Calling, Member},
    reconfigure::{Change, Refusal},
    types::{
        self, EncodedCommand, Entry, LogId, Membership, Payload, SnapshotMeta, StoredMembership, Types, Vote,
    },
};

/// A peer said something that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a peer's message has no usable {0}")]
pub struct WireError(pub &'static str);

/// Encodes a log id.
pub fn put_log_id(id: &LogId) -> proto::LogId {
    let at = types::position(id);
    proto::LogId { term: at.term.get(), index: at.index.get() }
}

/// Decodes a log id.
pub fn log_id(id: proto::LogId) -> LogId {
    types::log_id(LogPosition { term: Term::new(id.term), index: LogIndex::new(id.index) })
}

/// Encodes a vote.
pub fn put_vote(vote: &Vote) -> proto::Vote {
    proto::Vote {
        term: vote.leader_id.term,
        voted_for: vote.leader_id.voted_for.get(),
        committed: vote.committed,
    }
}

/// Decodes a vote.
pub fn vote(vote: Option<proto::Vote>) -> Result<Vote, WireError> {
    let vote = vote.ok_or(WireError("vote"))?;
    Ok(types::vote(Term::new(vote.term), ReplicaId::new(vote.voted_for), vote.committed))
}

/// Encodes an append request.
pub fn put_append(request: &AppendEntriesRequest<Types>) -> proto::AppendRequest {
    proto::AppendRequest {
        vote: Some(put_vote(&request.vote)),
        prev: request.prev_log_id.as_ref().map(put_log_id),
        entries: request.entries.iter().map(put_entry).collect(),
        leader_commit: request.leader_commit.as_ref().map(put_log_id),
    }
}

/// Decodes an append request.
pub fn append(request: proto::AppendRequest) -> Result<AppendEntriesRequest<Types>, WireError> {
    let mut request = AppendEntriesRequest {
        vote: vote(request.vote)?,
        prev_log_id: request.prev.map(log_id),
        entries: request.entries.into_iter().map(entry).collect::<Result<_, _>>()?,
        leader_commit: request.leader_commit.map(log_id),
    };
    own(&mut request.entries);
    if mutant::is(Mutant::CommitOnReceipt) {
        request.leader_commit = last_log_id(&request);
    }
    Ok(request)
}

/// The log id up to which an append fills the log.
pub(super) fn last_log_id(request: &AppendEntriesRequest<Types>) -> Option<LogId> {
    request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id)
}

/// Encodes the answer to an append request.
pub fn put_append_result(result: &StreamAppendResult<Types>) -> proto::AppendReply {
    use proto::append_reply::Result;
    let result = match result {
        Ok(last) => Result::Matched(proto::Matched { last: last.as_ref().map(put_log_id) }),
        Err(StreamAppendError::Conflict(at)) => Result::Conflict(put_log_id(at)),
        Err(StreamAppendError::HigherVote(vote)) => Result::HigherVote(put_vote(vote)),
    };
    proto::AppendReply { result: Some(result) }
}

/// Decodes the answer to an append request.
pub fn append_result(reply: proto::AppendReply) -> Result<StreamAppendResult<Types>, WireError> {
    use proto::append_reply::Result;
    Ok(match reply.result.ok_or(WireError("append result"))? {
        Result::Matched(matched) => Ok(matched.last.map(log_id)),
        Result::Conflict(at) => Err(StreamAppendError::Conflict(log_id(at))),
        Result::HigherVote(higher) => Err(StreamAppendError::HigherVote(vote(Some(higher))?)),
    })
}

/// Encodes a vote request.
pub fn put_vote_request(request: &VoteRequest<Types>, pre_vote: bool) -> proto::VoteRequest {
    proto::VoteRequest {
        vote: Some(put_vote(&request.vote)),
        last_log: request.last_log_id.as_ref().map(put_log_id),
        leadership_transfer: request.leadership_transfer,
        pre_vote,
    }
}

/// Decodes a vote request.
pub fn vote_request(request: proto::VoteRequest) -> Result<VoteRequest<Types>, WireError> {
    Ok(VoteRequest {
        vote: vote(request.vote)?,
        last_log_id: request.last_log.map(log_id),
        leadership_transfer: request.leadership_transfer,
    })
}

/// Encodes the answer to a vote request.
pub fn put_vote_reply(reply: &VoteResponse<Types>) -> proto::VoteReply {
    proto::VoteReply {
        vote: Some(put_vote(&reply.vote)),
        granted: reply.vote_granted,
        last_log: reply.last_log_id.as_ref().map(put_log_id),
    }
}

/// Decodes the answer to a vote request.
pub fn vote_reply(reply: proto::VoteReply) -> Result<VoteResponse<Types>, WireError> {
    Ok(VoteResponse {
        vote: vote(reply.vote)?,
        vote_granted: reply.granted,
        last_log_id: reply.last_log.map(log_id),
    })
}

/// Encodes a request to take over leadership.
pub fn put_transfer(request: &TransferLeaderRequest<Types>) -> proto::TransferLeader {
    proto::TransferLeader {
        from: Some(put_vote(request.from_leader())),
        to: request.to_node_id().get(),
        last_log: request.last_log_id().map(put_log_id),
    }
}

/// Decodes a request to take over leadership.
pub fn transfer(request: proto::TransferLeader) -> Result<TransferLeaderRequest<Types>, WireError> {
    let last = request.last_log.map(log_id);
    Ok(TransferLeaderRequest::new(vote(request.from)?, ReplicaId::new(request.to), last))
}

/// Encodes the answer to a request to take over leadership.
pub fn put_transfer_reply(reply: &TransferLeaderResponse<Types>) -> proto::TransferLeaderReply {
    use proto::transfer_leader_reply::Result;
    let result = match reply {
        Ok(()) => Result::Accepted(proto::TransferAccepted {}),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            Result::VoteChanged(proto::VoteChanged {
                expected: Some(put_vote(expected)),
                actual: Some(put_vote(actual)),
            })
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Result::LogNotFlushed(proto::LogNotFlushed {
                expected: expected.as_ref().map(put_log_id),
                actual: actual.as_ref().map(put_log_id),
            })
        }
    };
    proto::TransferLeaderReply { result: Some(result) }
}

/// Decodes the answer to a request to take over leadership.
pub fn transfer_reply(reply: proto::TransferLeaderReply) -> Result<TransferLeaderResponse<Types>, WireError> {
    use proto::transfer_leader_reply::Result;
    Ok(match reply.result.ok_or(WireError("transfer result"))? {
        Result::Accepted(_) => Ok(()),
        Result::VoteChanged(changed) => Err(TransferLeaderError::VoteChanged {
            expected: vote(changed.expected)?,
            actual: vote(changed.actual)?,
        }),
        Result::LogNotFlushed(behind) => Err(TransferLeaderError::LogNotFlushed {
            expected: behind.expected.map(log_id),
            actual: behind.actual.map(log_id),
        }),
    })
}

/// Encodes what a snapshot contains.
pub fn put_snapshot_meta(meta: &SnapshotMeta) -> proto::SnapshotMeta {
    let membership = &meta.last_membership;
    proto::SnapshotMeta {
        last_log: meta.last_log_id.as_ref().map(put_log_id),
        membership: Some(proto::StoredMembership {
            log_id: membership.log_id().as_ref().map(put_log_id),
            membership: Some(put_membership(membership.membership())),
        }),
    }
}

/// Decodes what a snapshot contains.
pub fn snapshot_meta(meta: proto::SnapshotMeta) -> Result<SnapshotMeta, WireError> {
    let stored = meta.membership.ok_or(WireError("snapshot membership"))?;
    let set = membership(stored.membership.ok_or(WireError("snapshot membership"))?)?;
    Ok(SnapshotMeta {
        last_log_id: meta.last_log.map(log_id),
        last_membership: StoredMembership::new(stored.log_id.map(log_id), set),
    })
}

fn put_entry(entry: &Entry) -> proto::Entry {
    use proto::entry::Payload as Wire;
    let payload = match &entry.payload {
        Payload::Blank => Wire::Blank(proto::Blank {}),
        Payload::Normal(command) => Wire::Command(command.0.clone()),
        Payload::Membership(membership) => Wire::Membership(put_membership(membership)),
    };
    proto::Entry { id: Some(put_log_id(&entry.log_id)), payload: Some(payload) }
}

fn entry(entry: proto::Entry) -> Result<Entry, WireError> {
    use proto::entry::Payload as Wire;
    let payload = match entry.payload.ok_or(WireError("entry payload"))? {
        Wire::Blank(_) => Payload::Blank,
        Wire::Command(command) => Payload::Normal(EncodedCommand(command)),
        Wire::Membership(set) => Payload::Membership(membership(set)?),
    };
    Ok(Entry { log_id: log_id(entry.id.ok_or(WireError("entry id"))?), payload })
}

/// Copies the commands of entries into memory of their own, which they share: frames share the memory of the block in which they
/// were received, and entries that stay in the log's tail, all for about the same time, must not keep that whole block alive.
fn own(entries: &mut [Entry]) {
    let command = |entry: &Entry| match &entry.payload {
        Payload::Normal(command) => command.0.len(),
        Payload::Blank | Payload::Membership(_) => 0,
    };
    let mut memory = BytesMut::with_capacity(entries.iter().map(command).sum());
    for entry in entries {
        if let Payload::Normal(command) = &mut entry.payload {
            memory.extend_from_slice(&command.0);
            command.0 = memory.split().freeze();
        }
    }
}

fn put_membership(membership: &Membership) -> proto::Membership {
    let set = |ids: &std::collections::BTreeSet<ReplicaId>| proto::VoterSet {
        replica: ids.iter().map(|id| id.get()).collect(),
    };
    proto::Membership {
        configs: membership.get_joint_config().iter().map(set).collect(),
        members: membership.nodes().map(|(id, member)| put_member(*id, member)).collect(),
    }
}

fn membership(wire: proto::Membership) -> Result<Membership, WireError> {
    let configs = wire.configs.into_iter();
    let configs = configs.map(|set| set.replica.into_iter().map(ReplicaId::new).collect()).collect();
    let members: std::collections::BTreeMap<_, _> = wire.members.into_iter().map(member).collect();
    Membership::new(configs, members).map_err(|_| WireError("membership"))
}

fn put_member(id: ReplicaId, member: &Member) -> proto::Member {
    proto::Member {
        replica: id.get(),
        name: member.name.clone(),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        stays_learner: member.calling == Calling::Learner,
        place: member.place.map(ReplicaId::get),
    }
}

/// Encodes a change of the membership.
pub(crate) fn put_change(change: &Change) -> proto::Reconfigure {
    use proto::reconfigure::Change as Wire;
    let change = match change {
        Change::Add { place, member } => Wire::Add(put_member(*place, member)),
        Change::Join { replica, member, token } => {
            Wire::Join(proto::Join { member: Some(put_member(*replica, member)), token: token.clone() })
        }
        Change::Promote(replica) => Wire::Promote(replica.get()),
        Change::Remove(replica) => Wire::Remove(replica.get()),
        Change::Update { replica, peer_urls } => {
            let urls = Member { peer_urls: peer_urls.clone(), ..Member::default() };
            Wire::Update(put_member(*replica, &urls))
        }
        Change::Announce { replica, client_urls } => {
            let urls = Member { client_urls: client_urls.clone(), ..Member::default() };
            Wire::Announce(put_member(*replica, &urls))
        }
    };
    proto::Reconfigure { change: Some(change) }
}

/// Decodes a change of the membership.
pub(crate) fn change(request: proto::Reconfigure) -> Result<Change, WireError> {
    use proto::reconfigure::Change as Wire;
    Ok(match request.change.ok_or(WireError("change"))? {
        Wire::Add(added) => {
            let (place, member) = member(added);
            Change::Add { place, member }
        }
        Wire::Join(join) => {
            let (replica, member) = member(join.member.ok_or(WireError("member"))?);
            Change::Join { replica, member, token: join.token }
        }
        Wire::Promote(replica) => Change::Promote(ReplicaId::new(replica)),
        Wire::Remove(replica) => Change::Remove(ReplicaId::new(replica)),
        Wire::Update(moved) => {
            let (replica, member) = member(moved);
            Change::Update { replica, peer_urls: member.peer_urls }
        }
        Wire::Announce(moved) => {
            let (replica, member) = member(moved);
            Change::Announce { replica, client_urls: member.client_urls }
        }
    })
}

/// Encodes why a change was refused.
pub(crate) fn put_refusal(refusal: &Refusal) -> proto::ReconfigureRefused {
    use proto::reconfigure_refused::Rule;
    let rule = match refusal {
        Refusal::NotFound => Rule::MemberNotFound,
        Refusal::PeerUrlExists => Rule::PeerUrlExists,
        Refusal::MemberExists { .. } => Rule::MemberExists,
        Refusal::NotLearner => Rule::NotLearner,
        Refusal::LearnerNotReady => Rule::LearnerNotReady,
        Refusal::NotEnoughStarted => Rule::Unhealthy,
        Refusal::Removed => Rule::Removed,
        Refusal::Token => Rule::Token,
        Refusal::InProgress => Rule::InProgress,
    };
    let known = match refusal {
        Refusal::MemberExists { known, .. } => *known,
        _ => 0,
    };
    let name = match refusal {
        Refusal::MemberExists { name, .. } => name.clone(),
        _ => String::new(),
    };
    proto::ReconfigureRefused { rule: rule.into(), reason: refusal.to_string(), name, known }
}

/// Decodes why a change was refused; a rule that is not known here, because the leader is newer, counts as one that
/// another time may lift.
pub(crate) fn refusal(refused: proto::ReconfigureRefused) -> Refusal {
    use proto::reconfigure_refused::Rule;
    match refused.rule() {
        Rule::MemberNotFound => Refusal::NotFound,
        Rule::PeerUrlExists => Refusal::PeerUrlExists,
        Rule::MemberExists => Refusal::MemberExists { name: refused.name, known: refused.known },
        Rule::NotLearner => Refusal::NotLearner,
        Rule::LearnerNotReady => Refusal::LearnerNotReady,
        Rule::Unhealthy => Refusal::NotEnoughStarted,
        Rule::Removed => Refusal::Removed,
        Rule::Token => Refusal::Token,
        Rule::InProgress | Rule::Unspecified => Refusal::InProgress,
    }
}

fn member(wire: proto::Member) -> (ReplicaId, Member) {
    let calling = if wire.stays_learner { Calling::Learner } else { Calling::Voter };
    let member = Member {
        name: wire.name,
        peer_urls: wire.peer_urls,
        client_urls: wire.client_urls,
        calling,
        place: wire.place.map(ReplicaId::new),
    };
    (ReplicaId::new(wire.replica), member)
}
