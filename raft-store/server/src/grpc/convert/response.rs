//! From what the store answers to etcd's replies.

use keelson_proto::etcd::{
    kv,
    rpc::{self, ResponseHeader, response_op},
};
use keelson_store_core::command::{KeyValue, OpResponse, RangeResponse, TxnResponse};
use prost::Message as _;

/// How much of a range one part of its reply holds, in bytes, unless a single key is larger.
const PART_BYTES: usize = 1 << 20;

/// A number that counts from 0 up, as etcd's signed fields carry it. Nothing here comes near 2^63.
pub(in crate::grpc) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A key and its value.
pub(in crate::grpc) fn key_value(from: KeyValue) -> kv::KeyValue {
    kv::KeyValue {
        key: from.key,
        create_revision: signed(from.create_revision.get()),
        mod_revision: signed(from.mod_revision.get()),
        version: signed(from.version),
        value: from.value,
        lease: from.lease.get(),
    }
}

/// The reply to a range.
pub(in crate::grpc) fn range_response(header: ResponseHeader, from: RangeResponse) -> rpc::RangeResponse {
    rpc::RangeResponse {
        header: Some(header),
        kvs: key_values(from.kvs),
        more: from.more,
        count: signed(from.count),
    }
}

/// The reply to a range in parts that merge to the whole, by protobuf's rules: keys in order over all parts,
/// the rest in the last one.
pub(in crate::grpc) fn range_parts(mut whole: rpc::RangeResponse) -> Vec<rpc::RangeStreamResponse> {
    let mut parts = vec![rpc::RangeResponse::default()];
    let mut bytes = 0;
    for kv in std::mem::take(&mut whole.kvs) {
        let len = kv.encoded_len();
        if bytes > 0 && bytes + len > PART_BYTES {
            bytes = 0;
            parts.push(rpc::RangeResponse::default());
        }
        bytes += len;
        parts.last_mut().expect("there is always a part").kvs.push(kv);
    }
    let last = parts.pop().expect("there is always a part");
    parts.push(rpc::RangeResponse { kvs: last.kvs, ..whole });
    let part = |range| rpc::RangeStreamResponse { range_response: Some(range) };
    parts.into_iter().map(part).collect()
}

/// The reply to a put.
pub(in crate::grpc) fn put_response(header: ResponseHeader, previous: Option<KeyValue>) -> rpc::PutResponse {
    rpc::PutResponse { header: Some(header), prev_kv: previous.map(key_value) }
}

/// The reply to a deletion.
pub(in crate::grpc) fn delete_range_response(
    header: ResponseHeader,
    deleted: u64,
    previous: Vec<KeyValue>,
) -> rpc::DeleteRangeResponse {
    rpc::DeleteRangeResponse {
        header: Some(header),
        deleted: signed(deleted),
        prev_kvs: key_values(previous),
    }
}

/// The reply to a transaction. The headers inside carry the revision only, as etcd's do: that at which the
/// operation ran, so one that comes before the first write has the revision before the transaction. That of a
/// nested transaction is empty.
pub(in crate::grpc) fn txn_response(header: ResponseHeader, from: TxnResponse) -> rpc::TxnResponse {
    let wrote = from.responses.iter().any(writes);
    let mut at = header.revision - i64::from(wrote);
    nested(header, from, header.revision, &mut at)
}

/// `at` is the revision at which the next operation runs, and becomes `after` with the first write.
fn nested(header: ResponseHeader, from: TxnResponse, after: i64, at: &mut i64) -> rpc::TxnResponse {
    let mut responses = Vec::with_capacity(from.responses.len());
    for response in from.responses {
        if writes_itself(&response) {
            *at = after;
        }
        let inner = ResponseHeader { revision: *at, ..ResponseHeader::default() };
        let response = match response {
            OpResponse::Range(range) => response_op::Response::ResponseRange(range_response(inner, range)),
            OpResponse::Put(previous) => response_op::Response::ResponsePut(put_response(inner, previous)),
            OpResponse::DeleteRange { deleted, prev_kvs } => {
                response_op::Response::ResponseDeleteRange(delete_range_response(inner, deleted, prev_kvs))
            }
            // As etcd: a nested transaction's own header is empty.
            OpResponse::Txn(txn) => {
                let empty = ResponseHeader::default();
                response_op::Response::ResponseTxn(nested(empty, txn, after, at))
            }
        };
        responses.push(rpc::ResponseOp { response: Some(response) });
    }
    rpc::TxnResponse { header: Some(header), succeeded: from.succeeded, responses }
}

fn writes(response: &OpResponse) -> bool {
    match response {
        OpResponse::Txn(txn) => txn.responses.iter().any(writes),
        other => writes_itself(other),
    }
}

/// Whether this one operation changed a key; what a nested transaction does counts for its operations.
fn writes_itself(response: &OpResponse) -> bool {
    match response {
        OpResponse::Put(_) => true,
        OpResponse::DeleteRange { deleted, .. } => *deleted > 0,
        OpResponse::Range(_) | OpResponse::Txn(_) => false,
    }
}

fn key_values(from: Vec<KeyValue>) -> Vec<kv::KeyValue> {
    from.into_iter().map(key_value).collect()
}
