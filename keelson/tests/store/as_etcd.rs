//! The same requests to this store and to etcd itself, one after the other: the answers must be the same,
//! word for word.
//!
//! In: THE table of requests, each on what those before it have left. Out: where an answer differs. Left out
//! of the comparison: ids and terms, which are each cluster's own.
//!
//! Needs Debian's `etcd` on the path; reported as skipped without it.

mod users;

use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};

use keelson_proto::etcd::rpc::compare::{CompareResult, CompareTarget, TargetUnion};
use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::lease_client::LeaseClient;
use keelson_proto::etcd::rpc::range_request::{SortOrder, SortTarget};
use keelson_proto::etcd::rpc::request_op::Request as Op;
use keelson_proto::etcd::rpc::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest,
    LeaseTimeToLiveRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest, TxnResponse,
    response_op::Response,
};
use tonic::Status;
use tonic::transport::Channel;

use crate::cluster::{Cluster, free_port};
use crate::wait::{self, PATIENCE};

/// Anything that is asked.
#[derive(Clone, Debug)]
enum Ask {
    Range(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(i64),
    Grant { id: i64, ttl: i64 },
    Revoke(i64),
    Remaining(i64),
}

/// One byte more than a request may have.
const TOO_LARGE: usize = 3 << 19;

fn table() -> Vec<Ask> {
    let mut table = writes();
    table.extend(reads());
    table.extend(transactions());
    table.extend(leases());
    table.extend(history());
    table
}

fn writes() -> Vec<Ask> {
    vec![
        Ask::Put(put("a", "1")),
        Ask::Put(PutRequest { prev_kv: true, ..put("a", "2") }),
        Ask::Put(PutRequest { prev_kv: true, ..put("new", "") }),
        Ask::Put(put("", "no key")),
        Ask::Put(put("large", &"v".repeat(TOO_LARGE))),
        Ask::Put(put("larger than a message may be", &"v".repeat(2 * TOO_LARGE))),
        Ask::Put(PutRequest { ignore_value: true, prev_kv: true, ..put("a", "") }),
        Ask::Put(PutRequest { ignore_value: true, ..put("a", "with a value") }),
        Ask::Put(PutRequest { ignore_value: true, ..put("missing", "") }),
        Ask::Put(PutRequest { ignore_lease: true, ..put("a", "kept lease") }),
        Ask::Put(PutRequest { ignore_lease: true, lease: 7, ..put("a", "two leases") }),
        Ask::Put(PutRequest { ignore_lease: true, ..put("missing", "") }),
        Ask::Put(PutRequest { lease: 7, ..put("a", "no such lease") }),
        Ask::Put(put("b", "1")),
        Ask::Put(put("ba", "3")),
        Ask::Put(put("bb", "2")),
        Ask::Put(put("c", "4")),
        Ask::Delete(delete("", "")),
        Ask::Delete(delete("missing", "")),
        Ask::Delete(DeleteRangeRequest { prev_kv: true, ..delete("new", "") }),
        Ask::Delete(delete("z", "y")),
        Ask::Put(put("bb", "2 again")),
    ]
}

fn reads() -> Vec<Ask> {
    let all = || range("\0", "\0");
    let sorted = |order: SortOrder, target: SortTarget| {
        let (sort_order, sort_target) = (order.into(), target.into());
        Ask::Range(RangeRequest { sort_order, sort_target, ..all() })
    };
    let mut asks = vec![
        Ask::Range(range("a", "")),
        Ask::Range(range("", "")),
        Ask::Range(range("missing", "")),
        Ask::Range(range("b", "c")),
        Ask::Range(range("c", "b")),
        Ask::Range(range("b", "\0")),
        Ask::Range(all()),
        Ask::Range(RangeRequest { limit: 2, ..all() }),
        Ask::Range(RangeRequest { limit: -1, ..all() }),
        Ask::Range(RangeRequest { limit: 5, ..all() }),
        Ask::Range(RangeRequest { count_only: true, limit: 1, ..all() }),
        Ask::Range(RangeRequest { keys_only: true, ..all() }),
        Ask::Range(RangeRequest { revision: 3, ..all() }),
        Ask::Range(RangeRequest { revision: 999, ..all() }),
        Ask::Range(RangeRequest { revision: -1, ..all() }),
        Ask::Range(RangeRequest { min_mod_revision: 7, ..all() }),
        Ask::Range(RangeRequest { max_mod_revision: 7, limit: 1, ..all() }),
        Ask::Range(RangeRequest { min_create_revision: 6, max_create_revision: 8, ..all() }),
        Ask::Range(RangeRequest { serializable: true, ..range("a", "") }),
    ];
    for order in [SortOrder::None, SortOrder::Ascend, SortOrder::Descend] {
        use SortTarget::{Create, Key, Mod, Value, Version};
        asks.extend([Key, Version, Create, Mod, Value].map(|target| sorted(order, target)));
    }
    asks
}

fn transactions() -> Vec<Ask> {
    let both = |compare: Vec<Compare>| {
        let (success, failure) = (vec![op(Op::RequestRange(range("a", "")))], vec![]);
        Ask::Txn(TxnRequest { compare, success, failure })
    };
    let does = |success: Vec<RequestOp>| Ask::Txn(TxnRequest { success, ..TxnRequest::default() });
    let puts = |count: usize| (0..count).map(|n| op(Op::RequestPut(put(&format!("many{n}"), "")))).collect();
    let nested =
        |success: Vec<RequestOp>| op(Op::RequestTxn(TxnRequest { success, ..TxnRequest::default() }));
    let put_a = || op(Op::RequestPut(put("a", "txn")));
    let delete_all = || op(Op::RequestDeleteRange(delete("a", "b")));
    let get = |key: &str| op(Op::RequestRange(range(key, "")));
    let mut asks = vec![
        does(vec![]),
        does(vec![RequestOp::default()]),
        does(vec![put_a(), put_a()]),
        does(vec![put_a(), delete_all()]),
        does(vec![delete_all(), put_a()]),
        does(vec![delete_all(), delete_all()]),
        does(vec![put_a(), nested(vec![put_a()])]),
        does(vec![nested(vec![put_a()]), nested(vec![put_a()])]),
        does(vec![put_a(), get("a"), nested(vec![get("a"), op(Op::RequestPut(put("n", "1")))]), get("n")]),
        does(vec![get("a"), op(Op::RequestDeleteRange(delete("n", ""))), get("n")]),
        does(vec![op(Op::RequestPut(put("", "")))]),
        does(vec![op(Op::RequestPut(PutRequest { lease: 7, ..put("a", "") }))]),
        does(vec![
            op(Op::RequestPut(put("first", "1"))),
            op(Op::RequestPut(PutRequest { ignore_value: true, ..put("missing", "") })),
        ]),
        does(vec![op(Op::RequestRange(RangeRequest { revision: 999, ..range("a", "") }))]),
        does(puts(129)),
        does(puts(128)),
        does(vec![nested(puts(128))]),
        does(vec![nested(puts(127))]),
        Ask::Txn(TxnRequest { compare: vec![Compare::default()], ..TxnRequest::default() }),
        Ask::Txn(TxnRequest {
            compare: vec![Compare { key: "a".into(), ..Compare::default() }; 129],
            ..TxnRequest::default()
        }),
        Ask::Txn(TxnRequest {
            success: vec![put_a()],
            failure: vec![put_a(), nested(vec![get("a")])],
            compare: vec![compare(
                "a",
                "",
                CompareResult::Equal,
                CompareTarget::Version,
                TargetUnion::Version(0),
            )],
        }),
    ];
    use CompareResult::{Equal, Greater, Less, NotEqual};
    for result in [Equal, Greater, Less, NotEqual] {
        for (target, operand) in operands() {
            for (key, end) in [("a", ""), ("missing", ""), ("a", "z"), ("x", "z"), ("\0", "\0")] {
                asks.push(both(vec![compare(key, end, result, target, operand.clone())]));
            }
        }
    }
    asks
}

fn operands() -> Vec<(CompareTarget, TargetUnion)> {
    vec![
        (CompareTarget::Version, TargetUnion::Version(0)),
        (CompareTarget::Version, TargetUnion::Version(2)),
        (CompareTarget::Version, TargetUnion::Version(-1)),
        (CompareTarget::Create, TargetUnion::CreateRevision(3)),
        (CompareTarget::Mod, TargetUnion::ModRevision(0)),
        (CompareTarget::Mod, TargetUnion::ModRevision(6)),
        (CompareTarget::Value, TargetUnion::Value("2".into())),
        (CompareTarget::Value, TargetUnion::Value("".into())),
        (CompareTarget::Lease, TargetUnion::Lease(0)),
        // An operand of another target counts as none.
        (CompareTarget::Version, TargetUnion::Lease(5)),
    ]
}

fn leases() -> Vec<Ask> {
    vec![
        Ask::Grant { id: 7, ttl: 600 },
        Ask::Grant { id: 7, ttl: 600 },
        Ask::Grant { id: 8, ttl: 9_000_000_001 },
        Ask::Put(PutRequest { lease: 7, ..put("leased", "1") }),
        Ask::Put(PutRequest { lease: 7, ..put("leased2", "1") }),
        Ask::Put(PutRequest { ignore_lease: true, prev_kv: true, ..put("leased2", "2") }),
        Ask::Range(range("leased", "leasee")),
        Ask::Remaining(99),
        Ask::Revoke(99),
        Ask::Revoke(7),
        Ask::Revoke(7),
        Ask::Range(range("leased", "leasee")),
    ]
}

fn history() -> Vec<Ask> {
    let gone = || op(Op::RequestRange(RangeRequest { revision: -1, ..range("a", "") }));
    vec![
        Ask::Compact(9_999),
        Ask::Compact(0),
        Ask::Compact(5),
        Ask::Compact(0),
        Ask::Txn(TxnRequest { success: vec![gone()], ..TxnRequest::default() }),
        Ask::Compact(5),
        Ask::Compact(4),
        Ask::Range(RangeRequest { revision: 4, ..range("\0", "\0") }),
        Ask::Range(RangeRequest { revision: 5, ..range("\0", "\0") }),
        Ask::Txn(TxnRequest {
            success: vec![
                op(Op::RequestRange(RangeRequest { revision: 4, ..range("a", "") })),
                op(Op::RequestPut(put("a", "after compaction"))),
            ],
            ..TxnRequest::default()
        }),
        Ask::Delete(DeleteRangeRequest { prev_kv: true, ..delete("b", "c") }),
        Ask::Delete(delete("\0", "\0")),
        Ask::Range(range("\0", "\0")),
    ]
}

#[tokio::test]
async fn answers_are_etcds_word_for_word() {
    let Some(etcd) = Etcd::start() else {
        println!("skipped: etcd is not installed");
        return;
    };
    let mut ours = Cluster::prepare(1, &[]);
    ours.start_all().await;
    let theirs = Channel::from_shared(etcd.url.clone()).unwrap().connect_lazy();
    wait::until("etcd serves", PATIENCE, async || {
        KvClient::new(theirs.clone()).range(range("a", "")).await.ok()
    })
    .await;
    let mut differ = Vec::new();
    for (number, ask) in table().into_iter().enumerate() {
        let ours = answer(ours.members[0].client.channel(), ask.clone()).await;
        let theirs = answer(&theirs, ask.clone()).await;
        if ours != theirs {
            let mut ask = format!("{ask:?}");
            ask.truncate(400);
            differ.push(format!("{number}: {ask}\n   ours: {ours}\n  etcd's: {theirs}"));
        }
    }
    assert!(differ.is_empty(), "{} answers differ:\n{}", differ.len(), differ.join("\n"));
}

/// An answer as text, without what is a cluster's own.
async fn answer(channel: &Channel, ask: Ask) -> String {
    let mut kv = KvClient::new(channel.clone());
    let mut lease = LeaseClient::new(channel.clone());
    let text = match ask {
        Ask::Range(request) => kv.range(request).await.map(|reply| {
            let mut reply = reply.into_inner();
            strip(&mut reply.header);
            format!("{reply:?}")
        }),
        Ask::Put(request) => kv.put(request).await.map(|reply| {
            let mut reply = reply.into_inner();
            strip(&mut reply.header);
            format!("{reply:?}")
        }),
        Ask::Delete(request) => kv.delete_range(request).await.map(|reply| {
            let mut reply = reply.into_inner();
            strip(&mut reply.header);
            format!("{reply:?}")
        }),
        Ask::Txn(request) => kv.txn(request).await.map(|reply| {
            let mut reply = reply.into_inner();
            strip_txn(&mut reply);
            format!("{reply:?}")
        }),
        Ask::Compact(revision) => {
            kv.compact(CompactionRequest { revision, physical: false }).await.map(|reply| {
                let mut reply = reply.into_inner();
                strip(&mut reply.header);
                format!("{reply:?}")
            })
        }
        Ask::Grant { id, ttl } => lease.lease_grant(LeaseGrantRequest { id, ttl }).await.map(|reply| {
            let reply = reply.into_inner();
            format!("{} {} {}", reply.id, reply.ttl, reply.error)
        }),
        Ask::Revoke(id) => lease.lease_revoke(LeaseRevokeRequest { id }).await.map(|reply| {
            let mut reply = reply.into_inner();
            strip(&mut reply.header);
            format!("{reply:?}")
        }),
        Ask::Remaining(id) => {
            lease.lease_time_to_live(LeaseTimeToLiveRequest { id, keys: true }).await.map(|reply| {
                let reply = reply.into_inner();
                format!("{} {} {} {:?}", reply.id, reply.ttl, reply.granted_ttl, reply.keys)
            })
        }
    };
    text.unwrap_or_else(|status: Status| format!("{:?} {:?}", status.code(), status.message()))
}

fn strip(header: &mut Option<ResponseHeader>) {
    *header = header.map(|header| ResponseHeader { revision: header.revision, ..ResponseHeader::default() });
}

fn strip_txn(reply: &mut TxnResponse) {
    strip(&mut reply.header);
    for op in &mut reply.responses {
        match op.response.as_mut() {
            Some(Response::ResponseRange(reply)) => strip(&mut reply.header),
            Some(Response::ResponsePut(reply)) => strip(&mut reply.header),
            Some(Response::ResponseDeleteRange(reply)) => strip(&mut reply.header),
            Some(Response::ResponseTxn(reply)) => strip_txn(reply),
            None => {}
        }
    }
}

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() }
}

fn range(key: &str, end: &str) -> RangeRequest {
    RangeRequest { key: key.to_owned().into(), range_end: end.to_owned().into(), ..RangeRequest::default() }
}

fn delete(key: &str, end: &str) -> DeleteRangeRequest {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    DeleteRangeRequest { key, range_end, ..DeleteRangeRequest::default() }
}

fn op(request: Op) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn compare(
    key: &str,
    end: &str,
    result: CompareResult,
    target: CompareTarget,
    operand: TargetUnion,
) -> Compare {
    Compare {
        key: key.to_owned().into(),
        range_end: end.to_owned().into(),
        result: result.into(),
        target: target.into(),
        target_union: Some(operand),
    }
}

/// A running etcd. It ends with this value.
struct Etcd {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Etcd {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (url, peers) =
            (format!("http://127.0.0.1:{}", free_port()), format!("http://127.0.0.1:{}", free_port()));
        let mut command = Command::new("etcd");
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.arg(format!("--data-dir={}", folder.path().join("data").display()));
        command.args([format!("--listen-client-urls={url}"), format!("--advertise-client-urls={url}")]);
        command
            .args([format!("--listen-peer-urls={peers}"), format!("--initial-advertise-peer-urls={peers}")]);
        command.arg(format!("--initial-cluster=default={peers}"));
        match command.spawn() {
            Ok(child) => Some(Self { child, url, _folder: folder }),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
