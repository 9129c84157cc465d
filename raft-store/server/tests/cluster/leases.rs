//! Leases end when nobody renews them, and not before.

use std::time::{Duration, Instant};

use keelson_store::error::LeaseError;
use keelson_store_core::{
    command::{Op, PutRequest, Txn},
    id::LeaseId,
    lease::Lease,
};

use crate::replicas::{Cluster, bytes, eventually, value};

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
