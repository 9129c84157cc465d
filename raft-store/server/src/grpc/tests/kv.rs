//! KV calls, as a client sends them.

use keelson_proto::etcd::rpc::{
    AuthUserAddRequest, CompactionRequest, Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp,
    TxnRequest, auth_client::AuthClient, compare::TargetUnion, request_op::Request, response_op::Response,
};
use prost::Message as _;
use tonic::{Code, Status, body::Body};
use tower::Service as _;

use super::{assert_refused, put_request, with_member};

fn range(key: &str, range_end: &str) -> RangeRequest {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    RangeRequest { key, range_end, ..Default::default() }
}

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

#[test]
fn what_was_put_is_read_until_it_is_deleted() {
    with_member(async |served| {
        let first = served.put("a", "1").await.header.unwrap();
        assert_eq!(first.revision, 2, "a fresh store is at revision 1");
        assert!(first.cluster_id != 0 && first.member_id != 0 && first.raft_term != 0);

        let again = PutRequest { prev_kv: true, ..put_request("a", "2") };
        let again = served.kv().put(again).await.unwrap().into_inner();
        assert_eq!(again.prev_kv.unwrap().value, "1");

        let got = served.get("a").await;
        assert_eq!((got.header.unwrap().revision, got.count, got.more), (3, 1, false));
        let kv = &got.kvs[0];
        assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 3, 2));
        assert_eq!(kv.value, "2");

        let delete = DeleteRangeRequest { key: "a".into(), prev_kv: true, ..Default::default() };
        let deleted = served.kv().delete_range(delete).await.unwrap().into_inner();
        assert_eq!((deleted.header.unwrap().revision, deleted.deleted), (4, 1));
        assert_eq!(deleted.prev_kvs, got.kvs);
        assert_eq!(served.get("a").await.count, 0);
    });
}

#[test]
fn ranges_follow_etcds_rules() {
    with_member(async |served| {
        for key in ["a", "b", "ba", "c"] {
            served.put(key, key).await;
        }
        let mut kv = served.kv();
        let mut keys = async |request: RangeRequest| {
            let answer = kv.range(request).await.unwrap().into_inner();
            let keys = answer.kvs.iter().map(|kv| String::from_utf8(kv.key.to_vec()).unwrap());
            (keys.collect::<Vec<_>>().join(" "), answer.count, answer.more)
        };
        assert_eq!(keys(range("b", "c")).await, ("b ba".to_owned(), 2, false));
        assert_eq!(keys(range("b", "\0")).await, ("b ba c".to_owned(), 3, false));
        assert_eq!(keys(range("\0", "\0")).await, ("a b ba c".to_owned(), 4, false));
        let limited = RangeRequest { limit: 2, ..range("\0", "\0") };
        assert_eq!(keys(limited).await, ("a b".to_owned(), 4, true));
        let old = RangeRequest { revision: 3, ..range("\0", "\0") };
        assert_eq!(keys(old).await, ("a b".to_owned(), 2, false));
        let counted = RangeRequest { count_only: true, ..range("\0", "\0") };
        assert_eq!(keys(counted).await, (String::new(), 4, false));
        let here = RangeRequest { serializable: true, ..range("a", "") };
        assert_eq!(keys(here).await, ("a".to_owned(), 1, false));
    });
}

#[test]
fn a_range_in_parts_merges_to_the_same_range() {
    with_member(async |served| {
        let value = "v".repeat(400 << 10);
        for key in ["a", "b", "c", "d"] {
            served.put(key, &value).await;
        }
        let request = RangeRequest { limit: 3, ..range("\0", "\0") };
        let mut kv = served.kv().max_decoding_message_size(usize::MAX);
        let whole = kv.range(request.clone()).await.unwrap().into_inner();
        let mut parts = kv.range_stream(request).await.unwrap().into_inner();
        let mut merged = keelson_proto::etcd::rpc::RangeResponse::default();
        let mut count = 0;
        while let Some(part) = parts.message().await.unwrap() {
            merged.merge(part.range_response.unwrap().encode_to_vec().as_slice()).unwrap();
            count += 1;
        }
        assert!(count > 1, "1.2 MB should come in several parts");
        assert_eq!(merged, whole);
    });
}

#[test]
fn a_transaction_decides_and_answers_in_order() {
    with_member(async |served| {
        served.put("a", "1").await;
        let is_one = Compare {
            key: "a".into(),
            target: keelson_proto::etcd::rpc::compare::CompareTarget::Value.into(),
            target_union: Some(TargetUnion::Value("1".into())),
            ..Default::default()
        };
        let nested =
            TxnRequest { success: vec![op(Request::RequestRange(range("a", "")))], ..Default::default() };
        let txn = TxnRequest {
            compare: vec![is_one],
            success: vec![
                op(Request::RequestPut(put_request("a", "2"))),
                op(Request::RequestTxn(nested)),
                op(Request::RequestDeleteRange(DeleteRangeRequest { key: "z".into(), ..Default::default() })),
            ],
            failure: vec![op(Request::RequestRange(range("a", "")))],
        };

        let done = served.kv().txn(txn.clone()).await.unwrap().into_inner();
        assert!(done.succeeded);
        assert_eq!(done.header.unwrap().revision, 3);
        let answers: Vec<_> = done.responses.into_iter().map(|op| op.response.unwrap()).collect();
        let [Response::ResponsePut(_), Response::ResponseTxn(inner), Response::ResponseDeleteRange(none)] =
            answers.as_slice()
        else {
            panic!("{answers:?}")
        };
        assert_eq!(none.deleted, 0);
        let Some(Response::ResponseRange(read)) = &inner.responses[0].response else { panic!("{inner:?}") };
        assert_eq!(read.kvs[0].value, "2", "a read inside a transaction sees its earlier writes");

        let again = served.kv().txn(txn).await.unwrap().into_inner();
        assert!(!again.succeeded);
        assert_eq!(again.header.unwrap().revision, 3, "nothing was written");
    });
}

#[test]
fn bad_requests_are_refused_in_etcds_words() {
    with_member(async |served| {
        let mut kv = served.kv();
        let invalid = Code::InvalidArgument;
        let no_key = "etcdserver: key is not provided";
        assert_refused(kv.put(put_request("", "v")).await, invalid, no_key);
        assert_refused(kv.range(range("", "")).await, invalid, no_key);
        assert_refused(kv.delete_range(DeleteRangeRequest::default()).await, invalid, no_key);

        let sorted = RangeRequest { sort_target: 9, ..range("a", "") };
        assert_refused(kv.range(sorted).await, invalid, "etcdserver: invalid sort option");
        let keep = PutRequest { ignore_value: true, ..put_request("missing", "") };
        assert_refused(kv.put(keep).await, invalid, "etcdserver: key not found");
        let both = PutRequest { ignore_value: true, ..put_request("a", "v") };
        assert_refused(kv.put(both).await, invalid, "etcdserver: value is provided");
        let leased = PutRequest { lease: 77, ..put_request("a", "v") };
        assert_refused(kv.put(leased).await, Code::NotFound, "etcdserver: requested lease not found");

        let twice = vec![op(Request::RequestPut(put_request("a", "1"))); 2];
        let twice = TxnRequest { success: twice, ..Default::default() };
        assert_refused(kv.txn(twice).await, invalid, "etcdserver: duplicate key given in txn request");
        let many = (0..129).map(|n| op(Request::RequestPut(put_request(&n.to_string(), ""))));
        let many = TxnRequest { success: many.collect(), ..Default::default() };
        assert_refused(kv.txn(many).await, invalid, "etcdserver: too many operations in txn request");
        let nothing = TxnRequest { success: vec![RequestOp::default()], ..Default::default() };
        assert_refused(kv.txn(nothing).await, invalid, "etcdserver: key not found");

        let large = put_request("a", &"v".repeat(3 << 19));
        assert_refused(kv.put(large).await, invalid, "etcdserver: request is too large");
        let larger = put_request("a", &"v".repeat(3 << 20));
        let said = "grpc: received message larger than max (3145736 vs. 2097152)";
        assert_refused(kv.put(larger).await, Code::ResourceExhausted, said);
        let deep = (0..60).fold(TxnRequest::default(), |inner, _| TxnRequest {
            success: vec![op(Request::RequestTxn(inner))],
            ..Default::default()
        });
        assert_refused(kv.txn(deep).await, invalid, "etcdserver: too many operations in txn request");
        let before = op(Request::RequestRange(RangeRequest { revision: -1, ..range("a", "") }));
        let before = TxnRequest { success: vec![before], ..Default::default() };
        let gone = "etcdserver: mvcc: required revision has been compacted";
        assert_refused(kv.txn(before).await, Code::OutOfRange, gone);
        assert_eq!(served.get("a").await.count, 0, "nothing of all that was written");
    });
}

#[test]
fn what_other_services_refuse_is_said_in_the_words_of_gos_library() {
    with_member(async |served| {
        let name = "n".repeat(3 << 20);
        let add = AuthUserAddRequest { name, ..Default::default() };
        let added = AuthClient::new(served.channel.clone()).user_add(add).await;
        let said = "grpc: received message larger than max (3145733 vs. 2097152)";
        assert_refused(added, Code::ResourceExhausted, said);

        let call = async |path: &str| {
            let request = http::Request::post(format!("http://{}{path}", served.address));
            let request = request.header("content-type", "application/grpc").body(Body::empty()).unwrap();
            let mut channel = served.channel.clone();
            std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
            let answer = channel.call(request).await.unwrap();
            Err::<(), _>(Status::from_header_map(answer.headers()).expect("a refusal is in the head"))
        };
        let said = "unknown method Nope for service etcdserverpb.KV";
        assert_refused(call("/etcdserverpb.KV/Nope").await, Code::Unimplemented, said);
        assert_refused(call("/a.B/Nope").await, Code::Unimplemented, "unknown service a.B");
    });
}

#[test]
fn compaction_forgets_the_past() {
    with_member(async |served| {
        for value in ["1", "2", "3"] {
            served.put("a", value).await;
        }
        let compact = |revision| CompactionRequest { revision, physical: false };
        let mut kv = served.kv();
        let future = "etcdserver: mvcc: required revision is a future revision";
        let gone = "etcdserver: mvcc: required revision has been compacted";
        assert_refused(kv.compact(compact(9)).await, Code::OutOfRange, future);
        kv.compact(compact(0)).await.expect("nothing is to be done yet");
        kv.compact(compact(3)).await.unwrap();
        assert_refused(kv.compact(compact(3)).await, Code::OutOfRange, gone);
        assert_refused(kv.compact(compact(0)).await, Code::OutOfRange, gone);

        let at = |revision| RangeRequest { revision, ..range("a", "") };
        assert_refused(kv.range(at(2)).await, Code::OutOfRange, gone);
        assert_eq!(kv.range(at(3)).await.unwrap().into_inner().kvs[0].value, "2");
        assert_refused(kv.range(at(9)).await, Code::OutOfRange, future);
    });
}
