//! The workloads' words and the store's. Pure.

use bytes::Bytes;
use keelson_checkers::history::{Event, Filters, Key, KeyRange, KeyVersion, LeaseId, Revision};
use keelson_store::{ReadError, WriteError, store::At};
use keelson_store_core::{
    command::{self, CommandError, Compare, KeyValue, Operand, PutRequest, Relation},
    id,
    watch::{Change, ChangeKind, Interest},
};
use keelson_workloads::{
    Attribute, CallError, Guard, Op, OpResult, RangeRequest, RangeResponse, Refusal, Txn, TxnResponse,
    decode, encode,
};

pub(super) fn revision(revision: id::Revision) -> Revision {
    Revision(revision.get())
}

fn bytes(key: &Key) -> Bytes {
    Bytes::copy_from_slice(key.0.as_bytes())
}

fn key(bytes: &[u8]) -> Key {
    Key(String::from_utf8_lossy(bytes).into())
}

fn single(key: &Key) -> command::KeyRange {
    command::KeyRange::Single(bytes(key))
}

fn key_range(range: &KeyRange) -> command::KeyRange {
    match range {
        KeyRange::One(key) => single(key),
        KeyRange::Between(start, end) => command::KeyRange::Span { start: bytes(start), end: bytes(end) },
        // As etcd: the smallest key that there is, not none.
        KeyRange::From(start) if start.0.is_empty() => command::KeyRange::From(Bytes::from_static(&[0])),
        KeyRange::From(start) => command::KeyRange::From(bytes(start)),
    }
}

fn key_version(found: &KeyValue) -> KeyVersion {
    KeyVersion {
        value: decode(&found.value),
        create_revision: revision(found.create_revision),
        mod_revision: revision(found.mod_revision),
        version: found.version,
        lease: LeaseId(found.lease.get()),
    }
}

pub(super) fn range(request: &RangeRequest) -> command::RangeRequest {
    let mut converted = command::RangeRequest::new(key_range(&request.range));
    converted.revision = id::Revision::new(request.revision.unwrap_or_default().0);
    converted.limit = request.limit.unwrap_or(0).into();
    converted
}

pub(super) fn range_response(found: &At<command::RangeResponse>) -> RangeResponse {
    let items = found.answer.kvs.iter().map(|found| (key(&found.key), key_version(found))).collect();
    RangeResponse { revision: revision(found.revision), items, more: found.answer.more }
}

pub(super) fn txn(txn: &Txn) -> command::Txn {
    let ops = |ops: &[Op]| ops.iter().map(op).collect();
    command::Txn {
        compare: txn.guards.iter().map(compare).collect(),
        success: ops(&txn.success),
        failure: ops(&txn.failure),
    }
}

fn compare(guard: &Guard) -> Compare {
    let operand = match guard.holds {
        Attribute::CreateRevision(revision) => Operand::CreateRevision(id::Revision::new(revision.0)),
        Attribute::ModRevision(revision) => Operand::ModRevision(id::Revision::new(revision.0)),
    };
    Compare { range: single(&guard.key), relation: Relation::Equal, operand }
}

fn op(op: &Op) -> command::Op {
    match op {
        Op::Get(key) => command::Op::Range(command::RangeRequest::new(single(key))),
        Op::Put(key, value, lease) => command::Op::Put(PutRequest {
            key: bytes(key),
            value: encode(value).into(),
            lease: id::LeaseId::new(lease.0),
            ..PutRequest::default()
        }),
        Op::Delete(key) => {
            command::Op::DeleteRange(command::DeleteRangeRequest { range: single(key), prev_kv: false })
        }
    }
}

pub(super) fn txn_response(done: &At<command::TxnResponse>) -> TxnResponse {
    let results = done.answer.responses.iter().map(op_result).collect();
    TxnResponse { revision: revision(done.revision), succeeded: done.answer.succeeded, results }
}

fn op_result(response: &command::OpResponse) -> OpResult {
    match response {
        command::OpResponse::Range(found) => OpResult::Got(found.kvs.first().map(key_version)),
        command::OpResponse::Put(_) => OpResult::Put,
        command::OpResponse::DeleteRange { deleted, .. } => OpResult::Deleted(*deleted),
        command::OpResponse::Txn(_) => unreachable!("no transaction of a workload has another one in it"),
    }
}

pub(super) fn interest(range: &KeyRange, filters: Filters) -> Interest {
    Interest { range: key_range(range), no_put: filters.no_put, no_delete: filters.no_delete }
}

pub(super) fn event(at: id::Revision, change: &Change, previous: Option<&KeyValue>) -> Event {
    let became = match change.kind {
        ChangeKind::Put => Some(key_version(&change.kv)),
        ChangeKind::Delete => None,
    };
    Event { revision: revision(at), key: key(&change.kv.key), became, previous: previous.map(key_version) }
}

pub(super) fn write_error(error: WriteError) -> CallError {
    match error {
        WriteError::Refused(refused) => CallError::Refused(refusal(&refused)),
        WriteError::Rejected(_) => CallError::Failed(error.to_string()),
        WriteError::Unknown(_) => CallError::Unknown(error.to_string()),
    }
}

pub(super) fn read_error(error: ReadError) -> CallError {
    match error {
        ReadError::Refused(refused) => CallError::Refused(refusal(&refused)),
        ReadError::NoQuorum(_) | ReadError::Stopped | ReadError::Broken(_) => {
            CallError::Failed(error.to_string())
        }
    }
}

fn refusal(error: &CommandError) -> Refusal {
    match error {
        CommandError::LeaseNotFound => Refusal::LeaseNotFound,
        CommandError::Compacted { .. } => Refusal::Compacted,
        CommandError::FutureRevision { .. } => Refusal::FutureRevision,
        CommandError::LeaseExists
        | CommandError::KeyNotFound
        | CommandError::DuplicateKey
        | CommandError::EmptyKey
        | CommandError::ValueProvided
        | CommandError::LeaseProvided
        | CommandError::TooManyOps
        | CommandError::LeaseTtlTooLarge
        | CommandError::Auth(_) => Refusal::Other(error.to_string()),
    }
}
