//! Requests and answers, to and from etcd's messages.

use bytes::Bytes;
use keelson_proto::etcd::rpc::{
    self, ResponseHeader,
    compare::{CompareResult, CompareTarget, TargetUnion},
    range_request::{SortOrder, SortTarget},
    request_op, response_op,
};
use keelson_store_core::{
    command::{
        CommandError, Compare, KeyRange, KeyValue, Op, OpResponse, Operand, PutRequest, RangeResponse,
        Relation, Sort, SortBy, TxnResponse,
    },
    id::{LeaseId, Revision},
    lease::Lease,
};

use super::{lease_grant, put, range, range_parts, txn, txn_response};
use prost::Message as _;

use crate::grpc::error::BadRequest;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn compare_of(result: CompareResult, target: CompareTarget, union: Option<TargetUnion>) -> Compare {
    let raw = rpc::Compare {
        result: result.into(),
        target: target.into(),
        key: bytes("k"),
        target_union: union,
        ..Default::default()
    };
    let txn = txn(rpc::TxnRequest { compare: vec![raw], ..Default::default() }).unwrap();
    txn.compare.into_iter().next().unwrap()
}

/// What a compare of numbers decides, as the state machine does it.
fn holds(relation: Relation, attribute: u64, operand: u64) -> bool {
    match relation {
        Relation::Equal => attribute == operand,
        Relation::Greater => attribute > operand,
        Relation::Less => attribute < operand,
        Relation::NotEqual => attribute != operand,
    }
}

#[test]
fn range_ends_say_which_keys() {
    let range_of = |end| {
        range(rpc::RangeRequest { key: bytes("a"), range_end: bytes(end), ..Default::default() })
            .unwrap()
            .range
    };
    assert_eq!(range_of(""), KeyRange::Single(bytes("a")));
    assert_eq!(range_of("\0"), KeyRange::From(bytes("a")));
    assert_eq!(range_of("b"), KeyRange::Span { start: bytes("a"), end: bytes("b") });
    assert_eq!(range_of("\0\0"), KeyRange::Span { start: bytes("a"), end: bytes("\0\0") });
}

#[test]
fn negative_numbers_in_a_range_mean_what_they_mean_in_etcd() {
    let negative = rpc::RangeRequest {
        key: bytes("a"),
        revision: -1,
        limit: -1,
        min_mod_revision: -1,
        max_mod_revision: -1,
        min_create_revision: -1,
        max_create_revision: -1,
        ..Default::default()
    };
    let request = range(negative).unwrap();
    assert_eq!((request.revision, request.limit), (Revision::ZERO, 0));
    assert_eq!((request.min_mod_revision, request.min_create_revision), (Revision::ZERO, Revision::ZERO));
    // Not zero, which would be "no bound": nothing is below the bound.
    assert_eq!((request.max_mod_revision, request.max_create_revision), (Revision::FIRST, Revision::FIRST));
}

#[test]
fn sorting_is_left_out_where_key_order_is_what_was_asked_for() {
    let sort = |order: SortOrder, target: SortTarget| {
        let raw = rpc::RangeRequest {
            key: bytes("a"),
            sort_order: order.into(),
            sort_target: target.into(),
            ..Default::default()
        };
        range(raw).unwrap().sort
    };
    assert_eq!(sort(SortOrder::None, SortTarget::Key), None);
    assert_eq!(sort(SortOrder::Ascend, SortTarget::Key), None);
    let descending = Some(Sort { by: SortBy::Key, descending: true });
    assert_eq!(sort(SortOrder::Descend, SortTarget::Key), descending);
    // A target without an order is not ignored.
    let ascending = Some(Sort { by: SortBy::Mod, descending: false });
    assert_eq!(sort(SortOrder::None, SortTarget::Mod), ascending);
}

#[test]
fn unknown_numbers_are_refused() {
    let order = rpc::RangeRequest { key: bytes("a"), sort_order: 9, ..Default::default() };
    assert_eq!(range(order).unwrap_err(), BadRequest::SortOption);
    let target = rpc::RangeRequest { key: bytes("a"), sort_target: -1, ..Default::default() };
    assert_eq!(range(target).unwrap_err(), BadRequest::SortOption);

    let compare = |raw| txn(rpc::TxnRequest { compare: vec![raw], ..Default::default() }).unwrap_err();
    let result = rpc::Compare { result: 4, ..Default::default() };
    assert_eq!(compare(result), BadRequest::CompareResult(4));
    let target = rpc::Compare { target: 5, ..Default::default() };
    assert_eq!(compare(target), BadRequest::CompareTarget(5));
}

#[test]
fn an_empty_operation_is_refused_however_deep() {
    let empty = rpc::TxnRequest { failure: vec![rpc::RequestOp { request: None }], ..Default::default() };
    assert_eq!(txn(empty.clone()).unwrap_err(), BadRequest::EmptyOperation);
    let nested = rpc::RequestOp { request: Some(request_op::Request::RequestTxn(empty)) };
    let outer = rpc::TxnRequest { success: vec![nested], ..Default::default() };
    assert_eq!(txn(outer).unwrap_err(), BadRequest::EmptyOperation);
}

#[test]
fn the_target_decides_what_is_compared() {
    use CompareTarget as Target;
    let operand = |target, union| compare_of(CompareResult::Equal, target, union).operand;
    assert_eq!(operand(Target::Version, Some(TargetUnion::Version(3))), Operand::Version(3));
    let create = operand(Target::Create, Some(TargetUnion::CreateRevision(4)));
    assert_eq!(create, Operand::CreateRevision(Revision::new(4)));
    let modified = operand(Target::Mod, Some(TargetUnion::ModRevision(5)));
    assert_eq!(modified, Operand::ModRevision(Revision::new(5)));
    let value = operand(Target::Value, Some(TargetUnion::Value(bytes("v"))));
    assert_eq!(value, Operand::Value(bytes("v")));
    assert_eq!(operand(Target::Lease, Some(TargetUnion::Lease(6))), Operand::Lease(LeaseId::new(6)));

    // Missing or another target's: zero or empty.
    assert_eq!(operand(Target::Version, None), Operand::Version(0));
    assert_eq!(operand(Target::Mod, Some(TargetUnion::Version(3))), Operand::ModRevision(Revision::ZERO));
    assert_eq!(operand(Target::Value, Some(TargetUnion::Version(3))), Operand::Value(Bytes::new()));
}

#[test]
fn negative_operands_decide_as_if_numbers_were_signed() {
    let results = [
        (CompareResult::Equal, false),
        (CompareResult::NotEqual, true),
        (CompareResult::Greater, true),
        (CompareResult::Less, false),
    ];
    for (result, expected) in results {
        let compare = compare_of(result, CompareTarget::Version, Some(TargetUnion::Version(-1)));
        let Operand::Version(operand) = compare.operand else { panic!("{compare:?}") };
        for attribute in [0, 1, 1 << 62] {
            assert_eq!(holds(compare.relation, attribute, operand), expected, "{attribute} {result:?} -1");
        }
    }
}

#[test]
fn a_put_keeps_all_its_fields() {
    let raw = rpc::PutRequest {
        key: bytes("k"),
        value: bytes("v"),
        lease: 7,
        prev_kv: true,
        ignore_value: true,
        ignore_lease: true,
    };
    let expected = PutRequest {
        key: bytes("k"),
        value: bytes("v"),
        lease: LeaseId::new(7),
        prev_kv: true,
        ignore_value: true,
        ignore_lease: true,
    };
    assert_eq!(put(raw.clone()).unwrap(), expected);
    let op = rpc::RequestOp { request: Some(request_op::Request::RequestPut(raw)) };
    let txn = txn(rpc::TxnRequest { success: vec![op], ..Default::default() }).unwrap();
    assert_eq!(txn.success, [Op::Put(expected)]);
}

#[test]
fn lease_grants_are_given_an_id_and_a_time_to_live_in_bounds() {
    let grant = |id, ttl| lease_grant(&rpc::LeaseGrantRequest { id, ttl }, LeaseId::new(77), 2);
    let lease = |id, ttl_seconds| Ok(Lease { id: LeaseId::new(id), ttl_seconds });
    assert_eq!(grant(0, 10), lease(77, 10));
    assert_eq!(grant(5, 10), lease(5, 10));
    assert_eq!(grant(5, -3), lease(5, 2));
    assert_eq!(grant(5, 9_000_000_000), lease(5, u32::MAX));
    assert_eq!(grant(5, 9_000_000_001), Err(BadRequest::Refused(CommandError::LeaseTtlTooLarge)));
    assert_eq!(grant(-5, 10), Err(BadRequest::LeaseId(-5)));
}

#[test]
fn inner_headers_carry_the_revision_only() {
    let kv = KeyValue {
        key: bytes("k"),
        value: bytes("v"),
        create_revision: Revision::new(3),
        mod_revision: Revision::new(4),
        version: 2,
        lease: LeaseId::new(6),
    };
    let responses = vec![
        OpResponse::Put(Some(kv.clone())),
        OpResponse::Txn(TxnResponse {
            succeeded: false,
            responses: vec![OpResponse::Range(RangeResponse { kvs: vec![kv], more: true, count: 9 })],
        }),
        OpResponse::DeleteRange { deleted: 2, prev_kvs: Vec::new() },
    ];
    let header = ResponseHeader { cluster_id: 1, member_id: 2, revision: 40, raft_term: 3 };
    let inner = Some(ResponseHeader { revision: 40, ..Default::default() });

    let reply = txn_response(header, TxnResponse { succeeded: true, responses });
    assert_eq!((reply.header, reply.succeeded), (Some(header), true));
    let mut answers = reply.responses.into_iter().map(|op| op.response.unwrap());
    let Some(response_op::Response::ResponsePut(put)) = answers.next() else { panic!("no put") };
    assert_eq!((put.header, put.prev_kv.as_ref().unwrap().lease), (inner, 6));
    let Some(response_op::Response::ResponseTxn(nested)) = answers.next() else { panic!("no transaction") };
    assert_eq!((nested.header, nested.succeeded), (Some(ResponseHeader::default()), false));
    let Some(response_op::Response::ResponseRange(range)) = nested.responses[0].response.clone() else {
        panic!("no range")
    };
    assert_eq!(
        (range.header, range.more, range.count, &range.kvs[0]),
        (inner, true, 9, &put.prev_kv.unwrap())
    );
    let Some(response_op::Response::ResponseDeleteRange(deleted)) = answers.next() else {
        panic!("no deletion")
    };
    assert_eq!((deleted.header, deleted.deleted), (inner, 2));
}

#[test]
fn inner_revisions_are_those_at_which_the_operations_ran() {
    let range = || OpResponse::Range(RangeResponse::default());
    let nothing = || OpResponse::DeleteRange { deleted: 0, prev_kvs: Vec::new() };
    let revisions = |responses| {
        let header = ResponseHeader { revision: 40, ..Default::default() };
        let reply = txn_response(header, TxnResponse { succeeded: true, responses });
        let revision = |op: rpc::ResponseOp| match op.response.unwrap() {
            response_op::Response::ResponseRange(range) => range.header.unwrap().revision,
            response_op::Response::ResponsePut(put) => put.header.unwrap().revision,
            response_op::Response::ResponseDeleteRange(deleted) => deleted.header.unwrap().revision,
            response_op::Response::ResponseTxn(txn) => txn.header.unwrap().revision,
        };
        reply.responses.into_iter().map(revision).collect::<Vec<_>>()
    };
    assert_eq!(revisions(vec![range(), nothing(), OpResponse::Put(None), range()]), [39, 39, 40, 40]);
    assert_eq!(revisions(vec![range(), nothing()]), [40, 40], "nothing was written");
    let inner = TxnResponse { succeeded: true, responses: vec![OpResponse::Put(None)] };
    assert_eq!(revisions(vec![range(), OpResponse::Txn(inner), range()]), [39, 0, 40]);
}

#[test]
fn parts_of_a_range_merge_to_the_whole() {
    let kv = |key: u8| keelson_proto::etcd::kv::KeyValue {
        key: vec![key].into(),
        value: vec![key; 300 << 10].into(),
        ..Default::default()
    };
    let whole = rpc::RangeResponse {
        header: Some(ResponseHeader { revision: 7, ..Default::default() }),
        kvs: (0..8).map(kv).collect(),
        more: true,
        count: 12,
    };
    let parts = range_parts(whole.clone());
    assert_eq!(parts.len(), 3, "300 KiB each, 1 MiB per part");
    let mut merged = rpc::RangeResponse::default();
    for part in &parts {
        merged.merge(part.range_response.as_ref().unwrap().encode_to_vec().as_slice()).unwrap();
    }
    assert_eq!(merged, whole);
    let last = parts.last().unwrap().range_response.as_ref().unwrap();
    assert_eq!((last.header, last.count), (whole.header, 12));

    let empty = range_parts(rpc::RangeResponse::default());
    assert_eq!(empty.len(), 1, "even an empty range has a part, for its header");
}
