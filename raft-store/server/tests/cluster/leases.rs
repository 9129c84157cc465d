//! Leases end when nobody renews them, and not before.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use keelson_store::{Store, error::LeaseError};
use keelson_store_core::{
    command::{Op, PutRequest, Txn},
    id::LeaseId,
    lease::Lease,
};

use crate::replicas::{Cluster, bytes, eventually, put_at_last, value};

const LEASE: Lease = Lease { id: LeaseId::new(77), ttl_seconds: 2 };

async fn hang_on_lease(cluster: &Cluster, key: &str) {
    let store = cluster.store(cluster.alive()[0]);
    let put = PutRequest { key: bytes(key), lease: LEASE.id, ..PutRequest::default() };
    store.txn(Txn { success: vec![Op::Put(put)], ..Txn::default() }).await.unwrap();
}

async fn wait_until_gone(cluster: &Cluster, key: &str) {
    eventually("the lease to end", async || {
        value(cluster.store(cluster.alive()[0]), key).await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_nobody_renews_ends_after_its_time_and_takes_its_keys_along() {
    let cluster = Cluster::start().await;
    let granted = Instant::now();
    cluster.store(0).grant_lease(LEASE).await.unwrap();
    hang_on_lease(&cluster, "k").await;
    wait_until_gone(&cluster, "k").await;
    assert!(granted.elapsed() >= Duration::from_secs(2), "it ended after {:?}", granted.elapsed());
    for number in 0..3 {
        let renewed = cluster.store(number).renew_lease(LEASE.id).await;
        assert!(matches!(renewed, Err(LeaseError::NotFound)), "{renewed:?}");
    }
}

#[tokio::test]
async fn a_lease_that_is_renewed_at_any_replica_outlives_its_time_and_its_leader() {
    let mut cluster = Cluster::start().await;
    cluster.store(0).grant_lease(LEASE).await.unwrap();
    hang_on_lease(&cluster, "k").await;
    let started = Instant::now();
    let mut killed = false;
    while started.elapsed() < Duration::from_secs(5) {
        for number in cluster.alive() {
            assert_eq!(cluster.store(number).renew_lease(LEASE.id).await.unwrap(), 2);
        }
        if !killed && started.elapsed() > Duration::from_secs(2) {
            let leader = cluster.leader().await;
            cluster.kill(leader);
            killed = true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(value(cluster.store(cluster.alive()[0]), "k").await.is_some());
    wait_until_gone(&cluster, "k").await;
}

#[tokio::test]
async fn a_revoked_lease_takes_its_keys_along_in_one_revision() {
    let cluster = Cluster::start().await;
    cluster.store(1).grant_lease(LEASE).await.unwrap();
    hang_on_lease(&cluster, "k1").await;
    hang_on_lease(&cluster, "k2").await;
    let before = cluster.store(0).status().revision;
    let revoked = cluster.store(2).revoke_lease(LEASE.id).await.unwrap();
    assert_eq!(value(cluster.store(0), "k1").await, None);
    assert_eq!(value(cluster.store(1), "k2").await, None);
    assert!(revoked.revision >= before.next());
    assert!(cluster.store(0).leases().await.unwrap().is_empty());
}

/// Leases of so many clients, granted all at once.
async fn grant_many(store: &Store, count: i64, ttl_seconds: u32) {
    let leases = (1..=count).map(|id| Lease { id: LeaseId::new(id), ttl_seconds });
    stream::iter(leases)
        .for_each_concurrent(1024, async |lease| {
            store.grant_lease(lease).await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn very_many_leases_are_renewed_at_any_replica_without_a_single_log_entry() {
    const LEASES: i64 = 20_000;
    let cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    grant_many(cluster.store(leader), LEASES, 600).await;
    let before = cluster.store(leader).status().last_index;
    for number in 0..3 {
        let store = cluster.store(number);
        let began = Instant::now();
        stream::iter(1..=LEASES)
            .for_each_concurrent(1024, async |id| {
                assert_eq!(store.renew_lease(LeaseId::new(id)).await.unwrap(), 600);
            })
            .await;
        println!("replica {number}: {LEASES} renewals in {:?}", began.elapsed());
    }
    assert_eq!(cluster.store(cluster.leader().await).status().last_index, before);
}

#[tokio::test]
async fn a_renewal_of_a_lease_that_is_gone_spoils_no_other_in_its_round() {
    let cluster = Cluster::start().await;
    cluster.store(0).grant_lease(Lease { ttl_seconds: 600, ..LEASE }).await.unwrap();
    for number in 0..3 {
        let renew = |id| cluster.store(number).renew_lease(LeaseId::new(id));
        let (gone, mine, gone_as_well) = tokio::join!(renew(1), renew(77), renew(2));
        assert!(matches!((gone, gone_as_well), (Err(LeaseError::NotFound), Err(LeaseError::NotFound))));
        assert_eq!(mine.unwrap(), 600);
    }
}

#[tokio::test]
async fn writers_go_on_while_very_many_leases_end_at_once() {
    const LEASES: i64 = 5_000;
    /// Fewer batches of revocations than there must be, each with room for a write behind it.
    const WRITES: u32 = 25;
    let cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let store = cluster.store(leader);
    grant_many(store, LEASES, 10).await;
    eventually("the first leases to end", async || {
        (store.leases().await.unwrap().len() < LEASES as usize).then_some(())
    })
    .await;
    let mut writes = 0;
    while !store.leases().await.unwrap().is_empty() {
        put_at_last(store, "k", "v").await;
        writes += 1;
    }
    println!("{writes} writes while {LEASES} leases ended");
    assert!(writes >= WRITES, "{writes} writes");
    assert_eq!(cluster.leader().await, leader, "the leader was too busy to lead");
}
