//! Between the workloads' requests and etcd's messages. Pure.

use bytes::Bytes;
use keelson_checkers::history::{Consistency, Event, Key, KeyRange, KeyVersion, LeaseId, Revision};
use keelson_proto::etcd::kv;
use keelson_proto::etcd::rpc;
use keelson_proto::etcd::rpc::compare::{CompareResult, CompareTarget, TargetUnion};
use keelson_proto::etcd::rpc::request_op::Request;
use keelson_proto::etcd::rpc::response_op::Response;
use keelson_proto::etcd::rpc::watch_create_request::FilterType;
use keelson_workloads::{
    Attribute, Guard, LeaseResponse, Op, OpResult, RangeRequest, RangeResponse, Txn, TxnResponse,
    WatchRequest, decode, encode,
};

/// As an end: all keys from the first one on. As a key: the smallest there is.
const NUL: &[u8] = b"\0";

pub(super) fn signed(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn revision(header: Option<&rpc::ResponseHeader>) -> Revision {
    Revision(header.map_or(0, |header| unsigned(header.revision)))
}

/// What is said of a lease; one whose time to live is `none` does not exist.
pub(super) fn lease(header: Option<&rpc::ResponseHeader>, ttl: i64, none: i64) -> LeaseResponse {
    let ttl_seconds = if ttl == none { None } else { u32::try_from(ttl).ok() };
    LeaseResponse { revision: revision(header), ttl_seconds }
}

fn bytes(key: &Key) -> Bytes {
    Bytes::copy_from_slice(key.0.as_bytes())
}

/// Keys of workloads are text; others are made visible as well as can be.
fn key(bytes: &Bytes) -> Key {
    Key::from(String::from_utf8_lossy(bytes).as_ref())
}

/// The key and the end of a range.
fn span(range: &KeyRange) -> (Bytes, Bytes) {
    let first = |key: &Key| if key.0.is_empty() { Bytes::from_static(NUL) } else { bytes(key) };
    match range {
        KeyRange::One(key) => (bytes(key), Bytes::new()),
        KeyRange::Between(from, below) => (first(from), bytes(below)),
        KeyRange::From(from) => (first(from), Bytes::from_static(NUL)),
    }
}

pub(super) fn range_request(request: &RangeRequest) -> rpc::RangeRequest {
    let (key, range_end) = span(&request.range);
    rpc::RangeRequest {
        key,
        range_end,
        limit: request.limit.map_or(0, i64::from),
        revision: request.revision.map_or(0, signed),
        serializable: request.consistency == Consistency::Serializable,
        ..rpc::RangeRequest::default()
    }
}

pub(super) fn range_response(answer: &rpc::RangeResponse) -> RangeResponse {
    RangeResponse {
        revision: revision(answer.header.as_ref()),
        items: answer.kvs.iter().map(|kv| (key(&kv.key), version(kv))).collect(),
        more: answer.more,
    }
}

fn version(kv: &kv::KeyValue) -> KeyVersion {
    KeyVersion {
        value: decode(&kv.value),
        create_revision: Revision(unsigned(kv.create_revision)),
        mod_revision: Revision(unsigned(kv.mod_revision)),
        version: unsigned(kv.version),
        lease: LeaseId(kv.lease),
    }
}

pub(super) fn txn_request(txn: Txn) -> rpc::TxnRequest {
    let ops =
        |ops: Vec<Op>| ops.into_iter().map(|op| rpc::RequestOp { request: Some(request(op)) }).collect();
    rpc::TxnRequest {
        compare: txn.guards.iter().map(compare).collect(),
        success: ops(txn.success),
        failure: ops(txn.failure),
    }
}

fn compare(guard: &Guard) -> rpc::Compare {
    let (target, operand) = match guard.holds {
        Attribute::CreateRevision(revision) => {
            (CompareTarget::Create, TargetUnion::CreateRevision(signed(revision)))
        }
        Attribute::ModRevision(revision) => (CompareTarget::Mod, TargetUnion::ModRevision(signed(revision))),
    };
    rpc::Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: bytes(&guard.key),
        range_end: Bytes::new(),
        target_union: Some(operand),
    }
}

fn request(op: Op) -> Request {
    match op {
        Op::Get(key) => {
            Request::RequestRange(rpc::RangeRequest { key: bytes(&key), ..rpc::RangeRequest::default() })
        }
        Op::Put(key, value, lease) => Request::RequestPut(rpc::PutRequest {
            key: bytes(&key),
            value: encode(&value).into(),
            lease: lease.0,
            ..rpc::PutRequest::default()
        }),
        Op::Delete(key) => Request::RequestDeleteRange(rpc::DeleteRangeRequest {
            key: bytes(&key),
            ..rpc::DeleteRangeRequest::default()
        }),
    }
}

pub(super) fn txn_response(answer: rpc::TxnResponse) -> TxnResponse {
    let result = |op: rpc::ResponseOp| match op.response {
        Some(Response::ResponseRange(range)) => OpResult::Got(range.kvs.first().map(version)),
        Some(Response::ResponseDeleteRange(range)) => OpResult::Deleted(unsigned(range.deleted)),
        // Nested transactions are never asked for.
        Some(Response::ResponsePut(_) | Response::ResponseTxn(_)) | None => OpResult::Put,
    };
    TxnResponse {
        revision: revision(answer.header.as_ref()),
        succeeded: answer.succeeded,
        results: answer.responses.into_iter().map(result).collect(),
    }
}

pub(super) fn watch_request(request: &WatchRequest) -> rpc::WatchCreateRequest {
    let (key, range_end) = span(&request.range);
    let wanted =
        [(request.filters.no_put, FilterType::Noput), (request.filters.no_delete, FilterType::Nodelete)];
    rpc::WatchCreateRequest {
        key,
        range_end,
        start_revision: signed(request.start),
        progress_notify: request.progress,
        filters: wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, filter)| filter.into()).collect(),
        prev_kv: request.prev_kv,
        watch_id: 0,
        fragment: true,
    }
}

pub(super) fn event(event: &kv::Event) -> Event {
    let kv = event.kv.clone().unwrap_or_default();
    let became = match event.r#type() {
        kv::event::EventType::Put => Some(version(&kv)),
        kv::event::EventType::Delete => None,
    };
    Event {
        revision: Revision(unsigned(kv.mod_revision)),
        key: key(&kv.key),
        became,
        previous: event.prev_kv.as_ref().map(version),
    }
}

#[cfg(test)]
mod tests {
    use keelson_checkers::history::{Filters, Value};

    use super::*;

    #[test]
    fn ranges_are_said_in_etcds_way() {
        let span = |range: &KeyRange| {
            let (key, end) = span(range);
            (key.to_vec(), end.to_vec())
        };
        assert_eq!(span(&KeyRange::One("a".into())), (b"a".to_vec(), vec![]));
        assert_eq!(span(&KeyRange::Between("a".into(), "c".into())), (b"a".to_vec(), b"c".to_vec()));
        assert_eq!(span(&KeyRange::Between("".into(), "c".into())), (vec![0], b"c".to_vec()));
        assert_eq!(span(&KeyRange::From("b".into())), (b"b".to_vec(), vec![0]));
        assert_eq!(span(&KeyRange::all()), (vec![0], vec![0]));
    }

    #[test]
    fn a_transaction_reads_back_what_its_operations_did() {
        let put = Op::Put("k".into(), Value::List([3, 4].into()), LeaseId(9));
        let guards = vec![Guard::unchanged(&"k".into(), Revision(5))];
        let sent = txn_request(Txn { guards, success: vec![put, Op::Get("k".into())], failure: vec![] });
        let Some(Request::RequestPut(put)) = &sent.success[0].request else { panic!("{sent:?}") };
        assert_eq!((put.value.as_ref(), put.lease), (b"[3,4]".as_slice(), 9));
        assert_eq!(sent.compare[0].target_union, Some(TargetUnion::ModRevision(5)));

        let kv =
            kv::KeyValue { key: "k".into(), value: put.value.clone(), mod_revision: 6, ..Default::default() };
        let range = rpc::RangeResponse { kvs: vec![kv], ..Default::default() };
        let responses = [Response::ResponsePut(rpc::PutResponse::default()), Response::ResponseRange(range)]
            .map(|response| rpc::ResponseOp { response: Some(response) });
        let header = Some(rpc::ResponseHeader { revision: 6, ..Default::default() });
        let answer = txn_response(rpc::TxnResponse { header, succeeded: true, responses: responses.into() });
        assert_eq!((answer.revision, answer.succeeded), (Revision(6), true));
        let OpResult::Got(Some(found)) = &answer.results[1] else { panic!("{answer:?}") };
        assert_eq!((&found.value, found.mod_revision), (&Value::List([3, 4].into()), Revision(6)));
    }

    #[test]
    fn a_watch_asks_for_what_is_wanted_only() {
        let filters = Filters { no_put: true, no_delete: false };
        let request = WatchRequest {
            range: KeyRange::all(),
            start: Revision(3),
            filters,
            prev_kv: true,
            progress: false,
        };
        let sent = watch_request(&request);
        assert_eq!(sent.filters, [i32::from(FilterType::Noput)]);
        assert_eq!((sent.start_revision, sent.prev_kv, sent.progress_notify), (3, true, false));
    }
}
