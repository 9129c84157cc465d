//! One message of each kind, and one of each alternative in it.
//!
//! Every field has a value of its own that is not the default, and no literal ends in `..Default::default()`:
//! a new field does not compile until it has been given a value here.

use bytes::Bytes;
use keelson_proto::peer::frame::Body;
use keelson_proto::peer::{
    AppendReply, AppendRequest, Blank, Entry, Failed, ForwardBatch, ForwardOutcome, ForwardReply, Frame,
    Hello, HelloReply, Join, LeaseKeepAlive, LeaseKeepAliveReply, LeaseNotFound, LeaseRemaining,
    LeaseRenewals, LeaseTimeToLive, LeaseTimeToLiveReply, LogId, LogNotFlushed, Matched, Member, Membership,
    NotLeader, Purpose, ReadIndex, ReadIndexReply, Recall, RecallReply, Reconfigure, ReconfigureDone,
    ReconfigureRefused, ReconfigureReply, SnapshotAsk, SnapshotBegin, SnapshotChunk, SnapshotEnd,
    SnapshotFile, SnapshotMeta, SnapshotReply, SnapshotResume, StateHash, StateHashReply, StoredMembership,
    TransferAccepted, TransferLeader, TransferLeaderReply, Vote, VoteChanged, VoteReply, VoteRequest,
    VoterSet, append_reply, entry, forward_outcome, lease_keep_alive_reply, lease_time_to_live_reply,
    read_index_reply, reconfigure, reconfigure_refused, reconfigure_reply, snapshot_reply,
    transfer_leader_reply,
};

/// The samples and the names of their files.
pub(crate) fn all() -> Vec<(&'static str, Frame)> {
    let bodies = [
        handshake(),
        append(),
        elections(),
        reads(),
        forwards(),
        leases(),
        snapshots(),
        recollections(),
        reconfigurations(),
        self_checks(),
        leaders(),
        announcements(),
    ];
    let bodies = bodies.concat();
    let frame = |(number, (name, body))| (name, Frame { id: 1000 + number, body: Some(body) });
    (0u64..).zip(bodies).map(frame).collect()
}

type Named = (&'static str, Body);

fn handshake() -> Vec<Named> {
    let reply = HelloReply {
        replica: 0xb1,
        name: "beta".into(),
        cluster_id: 0xc1,
        initialized: true,
        refused: "another cluster".into(),
        peer_urls: vec!["https://127.0.0.2:2380".into()],
        client_urls: vec!["https://127.0.0.2:2379".into()],
    };
    vec![
        ("hello.control", Body::Hello(hello(Purpose::Control))),
        ("hello.append", Body::Hello(hello(Purpose::Append))),
        ("hello.forward", Body::Hello(hello(Purpose::Forward))),
        ("hello.snapshot", Body::Hello(hello(Purpose::Snapshot))),
        ("hello_reply", Body::HelloReply(reply)),
        ("failed", Body::Failed(Failed { reason: "shutting down".into() })),
    ]
}

fn hello(purpose: Purpose) -> Hello {
    Hello {
        protocol: 1,
        cluster_id: 0xc1,
        from_replica: 0xa1,
        from_name: "alpha".into(),
        to_replica: 0xb1,
        purpose: purpose.into(),
        membership_at: 0,
    }
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId { term, index }
}

fn vote(term: u64) -> Vote {
    Vote { term, voted_for: 0xa1, committed: true }
}

fn membership() -> Membership {
    let member = |replica: u64, name: &str| Member {
        replica,
        name: name.into(),
        peer_urls: vec![format!("https://{name}:2380")],
        client_urls: vec![format!("https://{name}:2379")],
        stays_learner: false,
        place: None,
    };
    Membership {
        configs: vec![VoterSet { replica: vec![0xa1, 0xb1] }, VoterSet { replica: vec![0xb1] }],
        members: vec![member(0xa1, "alpha"), member(0xb1, "beta")],
    }
}

fn append() -> Vec<Named> {
    let entry = |index, payload| Entry { id: Some(log_id(7, index)), payload: Some(payload) };
    let entries = vec![
        entry(41, entry::Payload::Blank(Blank {})),
        entry(42, entry::Payload::Command(Bytes::from_static(b"put"))),
        entry(43, entry::Payload::Membership(membership())),
    ];
    let request = AppendRequest {
        vote: Some(vote(7)),
        prev: Some(log_id(6, 40)),
        entries,
        leader_commit: Some(log_id(5, 39)),
    };
    let heartbeat =
        AppendRequest { vote: Some(vote(7)), prev: None, entries: Vec::new(), leader_commit: None };
    let reply = |result| Body::AppendReply(AppendReply { result: Some(result) });
    vec![
        ("append_request", Body::AppendRequest(request)),
        ("append_request.heartbeat", Body::AppendRequest(heartbeat)),
        ("append_reply.matched", reply(append_reply::Result::Matched(Matched { last: Some(log_id(7, 43)) }))),
        ("append_reply.matched_nothing", reply(append_reply::Result::Matched(Matched { last: None }))),
        ("append_reply.conflict", reply(append_reply::Result::Conflict(log_id(6, 40)))),
        ("append_reply.higher_vote", reply(append_reply::Result::HigherVote(vote(8)))),
    ]
}

fn elections() -> Vec<Named> {
    let request = VoteRequest {
        vote: Some(Vote { term: 8, voted_for: 0xb1, committed: false }),
        last_log: Some(log_id(7, 43)),
        leadership_transfer: true,
        pre_vote: true,
    };
    let reply = VoteReply { vote: Some(vote(8)), granted: true, last_log: Some(log_id(7, 42)) };
    let transfer = TransferLeader { from: Some(vote(7)), to: 0xb1, last_log: Some(log_id(7, 43)) };
    let changed = VoteChanged { expected: Some(vote(7)), actual: Some(vote(9)) };
    let behind = LogNotFlushed { expected: Some(log_id(7, 43)), actual: Some(log_id(7, 41)) };
    let transferred = |result| Body::TransferLeaderReply(TransferLeaderReply { result: Some(result) });
    vec![
        ("vote_request", Body::VoteRequest(request)),
        ("vote_reply", Body::VoteReply(reply)),
        ("transfer_leader", Body::TransferLeader(transfer)),
        (
            "transfer_leader_reply.accepted",
            transferred(transfer_leader_reply::Result::Accepted(TransferAccepted {})),
        ),
        (
            "transfer_leader_reply.vote_changed",
            transferred(transfer_leader_reply::Result::VoteChanged(changed)),
        ),
        (
            "transfer_leader_reply.log_not_flushed",
            transferred(transfer_leader_reply::Result::LogNotFlushed(behind)),
        ),
    ]
}

fn reads() -> Vec<Named> {
    let reply = |result| Body::ReadIndexReply(ReadIndexReply { result: Some(result) });
    let not_leader = NotLeader { leader: Some(0xb1) };
    vec![
        ("read_index", Body::ReadIndex(ReadIndex {})),
        ("read_index_reply.index", reply(read_index_reply::Result::Index(43))),
        ("read_index_reply.not_leader", reply(read_index_reply::Result::NotLeader(not_leader))),
        ("read_index_reply.failed", reply(read_index_reply::Result::Failed("no quorum".into()))),
    ]
}

fn forwards() -> Vec<Named> {
    let outcome = |result| ForwardOutcome { result: Some(result) };
    let batch = ForwardBatch { commands: vec![Bytes::from_static(b"put"), Bytes::from_static(b"delete")] };
    let reply = ForwardReply {
        outcomes: vec![
            outcome(forward_outcome::Result::Outcome(Bytes::from_static(b"done"))),
            outcome(forward_outcome::Result::Rejected(NotLeader { leader: Some(0xb1) })),
            outcome(forward_outcome::Result::Rejected(NotLeader { leader: None })),
            outcome(forward_outcome::Result::Unknown("lost the lead".into())),
        ],
    };
    vec![("forward_batch", Body::ForwardBatch(batch)), ("forward_reply", Body::ForwardReply(reply))]
}

fn leases() -> Vec<Named> {
    use {lease_keep_alive_reply as kept, lease_time_to_live_reply as lives};
    let keep_alive = |result| Body::LeaseKeepAliveReply(LeaseKeepAliveReply { result: Some(result) });
    let time_to_live = |result| Body::LeaseTimeToLiveReply(LeaseTimeToLiveReply { result: Some(result) });
    let not_leader = NotLeader { leader: Some(0xb1) };
    let renewals = LeaseRenewals { ttl_seconds: vec![15, 0] };
    let remaining = LeaseRemaining { ttl_seconds: 11, granted_ttl_seconds: 15 };
    vec![
        ("lease_keep_alive", Body::LeaseKeepAlive(LeaseKeepAlive { ids: vec![0x1ea5e, 2] })),
        ("lease_keep_alive_reply.renewals", keep_alive(kept::Result::Renewals(renewals))),
        ("lease_keep_alive_reply.not_leader", keep_alive(kept::Result::NotLeader(not_leader))),
        ("lease_keep_alive_reply.failed", keep_alive(kept::Result::Failed("no quorum".into()))),
        ("lease_time_to_live", Body::LeaseTimeToLive(LeaseTimeToLive { id: 0x1ea5e })),
        ("lease_time_to_live_reply.remaining", time_to_live(lives::Result::Remaining(remaining))),
        ("lease_time_to_live_reply.not_found", time_to_live(lives::Result::NotFound(LeaseNotFound {}))),
        ("lease_time_to_live_reply.not_leader", time_to_live(lives::Result::NotLeader(not_leader))),
        ("lease_time_to_live_reply.failed", time_to_live(lives::Result::Failed("no quorum".into()))),
    ]
}

fn snapshots() -> Vec<Named> {
    let stored = StoredMembership { log_id: Some(log_id(3, 12)), membership: Some(membership()) };
    let begin = SnapshotBegin {
        vote: Some(vote(7)),
        meta: Some(SnapshotMeta { last_log: Some(log_id(7, 43)), membership: Some(stored) }),
        id: "7-43-1".into(),
        files: vec![
            SnapshotFile { name: "000012.sst".into(), len: 4096 },
            SnapshotFile { name: "CURRENT".into(), len: 16 },
        ],
    };
    let chunk =
        SnapshotChunk { file: 1, offset: 8, crc32c: 0xe306_9283, data: Bytes::from_static(b"123456789") };
    let reply = |result| Body::SnapshotReply(SnapshotReply { result: Some(result) });
    vec![
        ("snapshot_begin", Body::SnapshotBegin(begin)),
        ("snapshot_resume", Body::SnapshotResume(SnapshotResume { offsets: vec![4096, 8] })),
        ("snapshot_chunk", Body::SnapshotChunk(chunk)),
        ("snapshot_end", Body::SnapshotEnd(SnapshotEnd {})),
        ("snapshot_reply.vote", reply(snapshot_reply::Result::Vote(vote(7)))),
        ("snapshot_reply.failed", reply(snapshot_reply::Result::Failed("disk full".into()))),
    ]
}

fn self_checks() -> Vec<Named> {
    let reply = |hash| Body::StateHashReply(StateHashReply { hash });
    vec![
        ("snapshot_ask", Body::SnapshotAsk(SnapshotAsk { at_least: Some(log_id(7, 43)) })),
        ("state_hash", Body::StateHash(StateHash { index: 43 })),
        ("state_hash_reply", reply(Some(0xfeed_5eed))),
        ("state_hash_reply.unknown", reply(None)),
    ]
}

/// What came later; frames keep their numbers.
fn leaders() -> Vec<Named> {
    let leader_urls = vec!["https://delta:2380".into()];
    vec![("recall_reply.leader", Body::RecallReply(RecallReply { leader_urls, ..RecallReply::default() }))]
}

/// And after that.
fn announcements() -> Vec<Named> {
    let came = Member {
        replica: 0xd1,
        client_urls: vec!["https://delta:2379".into()],
        place: Some(0xe1),
        ..Member::default()
    };
    let change = Some(reconfigure::Change::Announce(came));
    vec![("reconfigure.announce", Body::Reconfigure(Reconfigure { change }))]
}

fn recollections() -> Vec<Named> {
    vec![
        ("recall", Body::Recall(Recall {})),
        (
            "recall_reply",
            Body::RecallReply(RecallReply {
                matched: Some(log_id(7, 43)),
                vote: Some(vote(7)),
                matched_in: Some(8),
                leader_urls: vec![],
            }),
        ),
        ("recall_reply.nothing", Body::RecallReply(RecallReply::default())),
    ]
}

fn reconfigurations() -> Vec<Named> {
    use reconfigure::Change;
    use reconfigure_reply::Result;
    let learner = Member {
        replica: 0xd1,
        name: "delta".into(),
        peer_urls: vec!["https://delta:2380".into()],
        client_urls: vec!["https://delta:2379".into()],
        stays_learner: true,
        place: None,
    };

    let change = |change| Body::Reconfigure(Reconfigure { change: Some(change) });
    let reply = |result| Body::ReconfigureReply(ReconfigureReply { result: Some(result) });
    let refused = ReconfigureRefused {
        rule: reconfigure_refused::Rule::MemberExists.into(),
        reason: "on another disk".into(),
        name: "delta".into(),
        known: 0xd0,
    };
    let join = Join { member: Some(learner.clone()), token: "token".into() };
    vec![
        ("hello.join", Body::Hello(hello(Purpose::Join))),
        ("reconfigure.add", change(Change::Add(learner.clone()))),
        ("reconfigure.join", change(Change::Join(join))),
        ("reconfigure.promote", change(Change::Promote(0xd1))),
        ("reconfigure.remove", change(Change::Remove(0xd1))),
        ("reconfigure.update", change(Change::Update(learner))),
        ("reconfigure_reply.done", reply(Result::Done(ReconfigureDone {}))),
        ("reconfigure_reply.refused", reply(Result::Refused(refused))),
        ("reconfigure_reply.not_leader", reply(Result::NotLeader(NotLeader { leader: Some(0xa1) }))),
        ("reconfigure_reply.failed", reply(Result::Failed("timed out".into()))),
        ("hello.ahead", Body::Hello(Hello { membership_at: 0x71, ..hello(Purpose::Append) })),
    ]
}
