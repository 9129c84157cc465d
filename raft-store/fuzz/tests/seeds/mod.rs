//! One input of each kind that the targets take in.

use bytes::{Bytes, BytesMut};
use keelson_proto::{
    etcd::rpc,
    frame::Codec,
    peer::{self, frame::Body},
};
use keelson_store::{
    record::{self, MembershipRecord, SnapshotRecord, VoteRecord},
    types::{self, EncodedCommand, Entry, Payload},
};
use keelson_store_core::{
    auth::Auth,
    command::{
        Access, AuthCommand, Caller, Command, Compare, DeleteRangeRequest, KeyRange, Op, Operand, Outcome,
        Permission, PermissionRange, PutRequest, RangeRequest, Relation, Response, ResponseBody, Sort,
        SortBy, Txn,
    },
    engine::{Batch, Family},
    id::{AuthRevision, ChangeId, LeaseId, LogIndex, LogPosition, ReplicaId, Revision, Term},
    schema::{self, ChangeKind, ChangeRecord},
};
use keelson_store_fuzz::files;
use keelson_store_log::{
    pattern,
    record::{Checked, Opening, Place, Salt, Sequence},
};
use prost::Message as _;

/// A target, the name of a file, and what is in it.
pub(crate) type Seed = (&'static str, &'static str, Vec<u8>);

pub(crate) fn all() -> Vec<Seed> {
    [commands(), entries_and_records(), segments(), rows(), messages(), requests(), exported()].concat()
}

/// A segment with room left, and one whose last record is torn.
fn segments() -> Vec<Seed> {
    let mut written = vec![0; 2048];
    let opening = Opening { number: 1, bytes: written.len() as u64, oldest: 1, salt: Salt(7) };
    let mut end = 0;
    for (sequence, place) in
        (1..).zip([Place::First(opening), Place::Behind(Salt(7)), Place::Behind(Salt(7))])
    {
        let mut batch = Batch::default();
        batch.put(Family::LogMeta, "vote", "a");
        batch.put(Family::LogEntries, sequence.to_string(), "b".repeat(300));
        batch.delete_range(Family::LogEntries, "0", "1");
        let mut bytes = Vec::new();
        let checked = Checked::new(&batch).unwrap();
        keelson_store_log::record::encode(place, Sequence(sequence), 0, checked, &mut bytes);
        pattern::cover(end as u64, &mut bytes);
        written[end..end + bytes.len()].copy_from_slice(&bytes);
        end += bytes.len();
    }
    let mut torn = written.clone();
    torn[1024..].fill(0);
    [("whole", written), ("torn", torn)]
        .map(|(name, mut bytes)| {
            pattern::cover(0, &mut bytes);
            ("segment", name, bytes)
        })
        .into()
}

fn put(key: &'static str, lease: i64) -> Op {
    Op::Put(PutRequest {
        key: key.into(),
        value: "value".into(),
        lease: LeaseId::new(lease),
        prev_kv: true,
        ..PutRequest::default()
    })
}

fn txn() -> Command {
    let range = KeyRange::Span { start: "a".into(), end: "z".into() };
    let compare = [
        Operand::Version(0),
        Operand::ModRevision(Revision::new(3)),
        Operand::Value("v".into()),
        Operand::Lease(LeaseId::new(7)),
    ];
    let compare = compare.map(|operand| Compare { range: range.clone(), relation: Relation::Less, operand });
    let sort = Some(Sort { by: SortBy::Mod, descending: true });
    let read = RangeRequest { limit: 3, sort, ..RangeRequest::new(KeyRange::From("b".into())) };
    let nested = Txn { success: vec![put("c", 0)], failure: vec![Op::Range(read)], ..Txn::default() };
    let delete = Op::DeleteRange(DeleteRangeRequest { range: KeyRange::Single("d".into()), prev_kv: true });
    Command::Txn(Txn {
        compare: compare.into(),
        success: vec![put("a", 0), Op::Txn(nested)],
        failure: vec![delete],
    })
}

/// A user with a role that may do something.
fn users() -> [Command; 4] {
    let (user, role) = ("alice".to_owned(), "reader".to_owned());
    let range = PermissionRange { key: "a".into(), range_end: "z".into() };
    let permission = Permission { access: Access::Read, range };
    [
        AuthCommand::UserAdd { name: user.clone(), password: None },
        AuthCommand::RoleAdd(role.clone()),
        AuthCommand::RoleGrantPermission { role: role.clone(), permission },
        AuthCommand::UserGrantRole { user, role },
    ]
    .map(Command::Auth)
}

fn commands() -> Vec<Seed> {
    let seed = |name, command: Command| ("command", name, command.encode().to_vec());
    let alice = Caller::User { name: "alice".to_owned(), revision: AuthRevision::new(3) };
    let [user, role, permission, granted] = users();
    vec![
        seed("user", user),
        seed("role", role),
        seed("permission", permission),
        seed("role-granted", granted),
        ("command", "of-a-user", txn().encode_for(&alice).to_vec()),
        seed("txn", txn()),
        seed("put", Command::Txn(Txn { success: vec![put("k", 7)], ..Txn::default() })),
        seed("compact", Command::Compact(Revision::new(1))),
        seed("grant", Command::LeaseGrant { id: LeaseId::new(7), ttl_seconds: 60 }),
        seed("revoke", Command::LeaseRevoke(LeaseId::new(7))),
    ]
}

fn at() -> LogPosition {
    LogPosition { term: Term::new(3), index: LogIndex::new(5) }
}

fn entries_and_records() -> Vec<Seed> {
    let entry = |name, payload| {
        let entry = Entry { log_id: types::log_id(at()), payload };
        ("entry", name, record::encode_entry(&entry).to_vec())
    };
    let record = |name, bytes: Bytes| ("record", name, bytes.to_vec());
    let vote = VoteRecord { term: Term::new(3), voted_for: ReplicaId::new(9), committed: true };
    let membership = MembershipRecord::default();
    let snapshot = SnapshotRecord {
        folder: "snapshot-3-5".to_owned(),
        last: Some(at()),
        membership: membership.clone(),
    };
    let outcome: Outcome = Ok(Response { revision: Revision::new(4), body: ResponseBody::Compact });
    vec![
        entry("blank", Payload::Blank),
        entry("command", Payload::Normal(EncodedCommand(txn().encode()))),
        record("vote", record::encode(&vote)),
        record("membership", record::encode(&membership)),
        record("snapshot", record::encode(&snapshot)),
        record("outcome", record::encode(&outcome)),
    ]
}

fn rows() -> Vec<Seed> {
    let id = ChangeId { revision: Revision::new(4), sub: 1 };
    let change = ChangeRecord { kind: ChangeKind::Put, key: b"a\0b", previous: Some(id) };
    vec![
        ("row", "change-key", schema::change_key(id).to_vec()),
        ("row", "change", schema::encode_change(change)),
        ("row", "key", schema::record_key(schema::record_prefix(b"a\0b"), id)),
        ("row", "version", schema::encode_version(Revision::new(4), 1, LeaseId::new(7), b"value")),
        ("row", "lease-key", schema::lease_key(LeaseId::new(7), b"a\0b")),
        ("row", "auth", schema::encode_auth(&Auth::default())),
    ]
}

fn bodies() -> [(&'static str, Body); 5] {
    let log_id = peer::LogId { term: 3, index: 5 };
    let vote = Some(peer::Vote { term: 3, voted_for: 9, committed: true });
    let meta = peer::SnapshotMeta { last_log: Some(log_id), membership: None };
    let file = peer::SnapshotFile { name: "000001.sst".to_owned(), len: 9 };
    let begin =
        peer::SnapshotBegin { vote, meta: Some(meta), id: "snapshot-3-5".to_owned(), files: vec![file] };
    let data = Bytes::from_static(b"piece");
    let chunk = peer::SnapshotChunk { file: 0, offset: 4, crc32c: 7, data };
    let batch = peer::ForwardBatch { commands: vec![txn().encode()] };
    [
        ("keep-alive", Body::LeaseKeepAlive(peer::LeaseKeepAlive { ids: vec![7, 8] })),
        ("read-index", Body::ReadIndex(peer::ReadIndex {})),
        ("snapshot", Body::SnapshotBegin(begin)),
        ("chunk", Body::SnapshotChunk(chunk)),
        ("forward", Body::ForwardBatch(batch)),
    ]
}

fn messages() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, body) in bodies() {
        let frame = peer::Frame { id: 1000, body: Some(body) };
        let mut framed = BytesMut::new();
        Codec::default().encode(&frame, &mut framed).expect("the frame is short");
        seeds.push(("frame", name, framed.to_vec()));
        seeds.push(("message", name, frame.encode_to_vec()));
    }
    seeds
}

fn requests() -> Vec<Seed> {
    let range = rpc::RangeRequest { key: "a".into(), range_end: "z".into(), limit: 3, ..Default::default() };
    let put = rpc::PutRequest { key: "a".into(), value: "v".into(), lease: 7, ..Default::default() };
    let create = rpc::WatchCreateRequest { key: "a".into(), start_revision: 4, ..Default::default() };
    let union = rpc::watch_request::RequestUnion::CreateRequest(create);
    let op = rpc::request_op::Request::RequestPut(put.clone());
    let txn = rpc::TxnRequest { success: vec![rpc::RequestOp { request: Some(op) }], ..Default::default() };
    vec![
        ("request", "range", range.encode_to_vec()),
        ("request", "put", put.encode_to_vec()),
        ("request", "txn", txn.encode_to_vec()),
        ("request", "watch", rpc::WatchRequest { request_union: Some(union) }.encode_to_vec()),
    ]
}

fn exported() -> Vec<Seed> {
    let snapshot = files::empty_snapshot();
    // A journal begins as a snapshot does: with eight letters, the format, and the head as a record. A frame follows.
    let (kind_and_format, length) = (12, 4);
    let body = kind_and_format + 1 + length;
    let head = u32::from_be_bytes(snapshot[body - length..body].try_into().expect("four bytes"));
    let head = usize::try_from(head).expect("a head is short");
    let journal = [b"KEELJRNL", &snapshot[8..body + head], &[0; 8][..]].concat();
    vec![
        ("snapshot", "empty", snapshot),
        ("snapshot", "users", files::snapshot_after(&users())),
        ("journal", "beginning", journal),
    ]
}
