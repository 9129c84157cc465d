//! The last of a disk is for what makes room.

use keelson_store::{Store, WriteError, error::Rejection};
use keelson_store_core::{
    command::{DeleteRangeRequest, KeyRange, Op, PutRequest, Txn},
    id::LeaseId,
    lease::Lease,
};

use crate::replicas::{Cluster, bytes, eventually, put_at_last, value};

const DISK_BYTES: u64 = 8 << 20;

async fn run(store: &Store, op: Op) -> Result<(), WriteError> {
    store.txn(Txn { success: vec![op], ..Txn::default() }).await.map(drop)
}

async fn put(store: &Store, key: &str, len: usize) -> Result<(), WriteError> {
    run(store, Op::Put(PutRequest { key: bytes(key), value: vec![7; len].into(), ..PutRequest::default() }))
        .await
}

#[tokio::test]
async fn on_a_disk_that_is_nearly_full_deletes_leases_and_small_updates_go_on_and_make_room() {
    let cluster = Cluster::start_alone().await;
    cluster.limit_disk(0, Some(DISK_BYTES));
    let store = cluster.store(0);
    let mut written = 0;
    let refused = loop {
        match put(store, &format!("k{written}"), 64 << 10).await {
            Ok(()) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, WriteError::Rejected(Rejection::NoSpace)), "{refused:?}");
    assert!(written > 10 && store.is_low_on_disk(), "{written} values");

    put(store, "k0", 1 << 10).await.unwrap();
    store.grant_lease(Lease { id: LeaseId::new(7), ttl_seconds: 60 }).await.unwrap();
    let delete = DeleteRangeRequest { range: KeyRange::From(bytes("k1")), prev_kv: false };
    run(store, Op::DeleteRange(delete)).await.unwrap();
    store.compact(store.status().revision).await.unwrap();
    tokio::time::timeout(crate::replicas::PATIENCE, async {
        while put(store, "new", 1).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("what was deleted makes room");
}

#[tokio::test]
async fn a_snapshot_for_which_there_is_no_room_waits_for_it_and_the_replica_serves_meanwhile() {
    let cluster = Cluster::start_alone_with(|options| options.snapshot_every = 50).await;
    put_at_last(cluster.store(0), "k", "0").await;
    cluster.leave_room(0, 256 << 10);
    for write in 0..200 {
        put(cluster.store(0), "k", 1 + write % 2).await.unwrap();
    }
    assert!(value(cluster.store(0), "k").await.is_some());
    assert!(!cluster.has_snapshot(0), "it has been made although there is no room");
    cluster.limit_disk(0, None);
    eventually("a snapshot", async || cluster.has_snapshot(0).then_some(())).await;
}
