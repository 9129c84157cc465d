//! Faults that were found once: each test failed before its fix.

use std::time::Duration;

use keelson_store::{StoreOptions, WriteError, error::Doubt, store::Consistency};
use keelson_store_core::command::{KeyRange, Op, RangeRequest, Txn};

use crate::replicas::{Cluster, PATIENCE, bytes, eventually, put, put_at_last, value};

/// Far less than [`patient`] requests wait, far more than an election takes.
const SOON: Duration = Duration::from_secs(10);

fn patient(options: &mut StoreOptions) {
    options.request_timeout = Duration::from_secs(25);
}

/// Waits until a replica takes another one than `former` for the leader.
async fn new_leader(cluster: &Cluster, seen_by: usize, former: usize) {
    let former = cluster.store(former).status().replica;
    eventually("a new leader", async || {
        cluster.store(seen_by).status().leader.filter(|leader| *leader != former)
    })
    .await;
}

#[tokio::test]
async fn a_reader_does_not_wait_for_a_leader_that_fell_silent() {
    let cluster = Cluster::start_with(patient).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    put_at_last(cluster.store(follower), "k", "v").await;
    assert_eq!(value(cluster.store(follower), "k").await.as_deref(), Some("v"));
    cluster.cut(leader);
    let read = tokio::time::timeout(SOON, value(cluster.store(follower), "k")).await;
    assert_eq!(read.expect("the new leader answers").as_deref(), Some("v"));
}

#[tokio::test]
async fn writes_do_not_queue_up_behind_a_leader_that_fell_silent() {
    let cluster = Cluster::start_with(patient).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let store = cluster.store(follower).clone();
    put_at_last(&store, "k", "v").await;
    cluster.cut(leader);
    // More of them than batches may be under way.
    let mut lost = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = store.clone();
        lost.spawn(async move { put(&store, &format!("lost-{number}"), "v").await });
        tokio::task::yield_now().await;
    }
    let all = tokio::time::timeout(SOON, lost.join_all()).await.expect("each learns its fate");
    for fate in all {
        assert!(matches!(fate, Ok(_) | Err(WriteError::Unknown(_))), "{fate:?}");
    }
    let write = tokio::time::timeout(SOON, put_at_last(&store, "k", "w")).await;
    write.expect("the new leader takes writes");
}

#[tokio::test]
async fn a_replica_that_was_cut_off_is_heard_again_though_its_connections_are_dead() {
    let cluster = Cluster::start().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    put_at_last(cluster.store(leader), "k", "old").await;
    cluster.cut(leader);
    new_leader(&cluster, follower, leader).await;
    put_at_last(cluster.store(follower), "k", "new").await;
    cluster.heal(leader);
    cluster.leader().await;
    let request = RangeRequest::new(KeyRange::Single(bytes("k")));
    let read = eventually("a read", async || {
        cluster.store(leader).range(&request, Consistency::Linearizable).await.ok()
    });
    assert_eq!(read.await.answer.kvs[0].value, bytes("new"));
}

#[tokio::test]
async fn an_answer_too_long_for_a_frame_leaves_the_others_alone() {
    let cluster = Cluster::start().await;
    let store = cluster.store(cluster.follower().await);
    let large = "x".repeat(1 << 20);
    for number in 0..9 {
        put_at_last(store, &format!("large-{number}"), &large).await;
    }
    let all = RangeRequest::new(KeyRange::From(bytes("large")));
    let txn = Txn { success: vec![Op::Range(all)], ..Txn::default() };
    let answer = store.txn(txn).await;
    assert!(matches!(answer, Err(WriteError::Unknown(Doubt::LeaderLost))), "{answer:?}");
    put(store, "after", "x").await.expect("the connection still works");
}

/// A transaction that cannot be applied without reading: a put of a new key can.
fn reading(key: &'static str) -> Txn {
    let range = Op::Range(RangeRequest::new(KeyRange::Single(bytes(key))));
    Txn { success: vec![range], ..Txn::default() }
}

#[tokio::test]
async fn a_leader_that_cannot_read_its_leases_still_does_everything_else() {
    let cluster = Cluster::start().await;
    let (leader, heir) = (cluster.leader().await, cluster.follower().await);
    let id = cluster.store(heir).status().replica;
    value(cluster.store(heir), "up to date").await;
    cluster.fail_reads(heir, true);
    assert!(cluster.store(leader).transfer_leadership(id, PATIENCE).await);
    eventually("the heir to lead", async || (cluster.store(heir).status().leader == Some(id)).then_some(()))
        .await;
    let answer = tokio::time::timeout(SOON, cluster.store(heir).txn(reading("k"))).await;
    // Without this the heir could be too busy to stop.
    cluster.fail_reads(heir, false);
    assert!(matches!(answer, Ok(Err(WriteError::Unknown(_)))), "applying must fail, soon: {answer:?}");
}

#[tokio::test]
async fn a_request_at_a_replica_that_has_failed_leaves_everybody_else_their_turns() {
    let mut cluster = Cluster::start_with(patient).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let store = cluster.store(follower).clone();
    cluster.fail_reads(follower, true);
    cluster.store(leader).txn(reading("k")).await.expect("two of three can read");
    store.failed().await;
    // It will never know of another leader than this one.
    for other in (0..3).filter(|other| *other != follower) {
        cluster.kill(other);
    }
    let request = RangeRequest::new(KeyRange::Single(bytes("k")));
    let reading = tokio::spawn(async move { store.range(&request, Consistency::Linearizable).await });
    let began = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(began.elapsed() < SOON, "nobody else had a turn for {:?}", began.elapsed());
    reading.abort();
}
