//! Replicas whose disks are damaged stop, and come back whole: by themselves where they can, else through their peers.

use keelson_store::{StoreOptions, store::Consistency};
use keelson_store_core::command::{KeyRange, RangeRequest};

use crate::replicas::{Cluster, bytes, eventually, put_at_last, value};

fn short_log(options: &mut StoreOptions) {
    options.snapshot_every = 50;
    options.keep_behind_snapshot = 10;
}

/// Fills a cluster; answers a follower that has applied everything.
async fn filled(cluster: &Cluster, writes: usize) -> usize {
    let follower = cluster.follower().await;
    for write in 0..writes {
        put_at_last(cluster.store(follower), &format!("k{}", write % 7), &write.to_string()).await;
    }
    follower
}

/// Ends a replica that has found damage, which it must have said, and starts it again.
async fn comes_back(cluster: &mut Cluster, number: usize) {
    let why = tokio::time::timeout(crate::replicas::PATIENCE, cluster.store(number).failed()).await;
    assert!(why.expect("it stops").contains("damaged"));
    cluster.kill_but(number, usize::MAX);
    cluster.restart(number).await;
}

async fn reads_all(cluster: &Cluster, number: usize) {
    let all = RangeRequest::new(KeyRange::From(bytes("\0")));
    // What it finds is noted before anybody hears of it.
    let _ = cluster.store(number).range(&all, Consistency::Local).await;
}

#[tokio::test]
async fn a_damaged_state_is_made_anew_from_the_log_alone_where_that_has_everything() {
    let mut cluster = Cluster::start_alone().await;
    put_at_last(cluster.store(0), "k", "v").await;
    cluster.damage_state(0);
    reads_all(&cluster, 0).await;
    comes_back(&mut cluster, 0).await;
    assert_eq!(value(cluster.store(0), "k").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn a_damaged_state_is_made_anew_from_the_replicas_own_snapshot() {
    let mut cluster = Cluster::start_with(short_log).await;
    let damaged = filled(&cluster, 200).await;
    cluster.damage_state(damaged);
    reads_all(&cluster, damaged).await;
    comes_back(&mut cluster, damaged).await;
    assert_eq!(value(cluster.store(damaged), "k3").await.as_deref(), Some("199"));
}

#[tokio::test]
async fn a_state_whose_snapshot_is_damaged_too_comes_from_a_peer() {
    let mut cluster = Cluster::start_with(short_log).await;
    let damaged = filled(&cluster, 200).await;
    cluster.damage_state(damaged);
    reads_all(&cluster, damaged).await;
    cluster.damage_snapshots(damaged);
    comes_back(&mut cluster, damaged).await;
    assert_eq!(value(cluster.store(damaged), "k3").await.as_deref(), Some("199"));
    // It is a full member again: with one other it is a quorum.
    let other = cluster.alive().into_iter().find(|number| *number != damaged).expect("two are alive");
    cluster.kill(other);
    put_at_last(cluster.store(damaged), "after", "x").await;
}

#[tokio::test]
async fn a_log_with_a_hole_is_replaced_by_what_a_peer_has() {
    let mut cluster = Cluster::start().await;
    let damaged = filled(&cluster, 30).await;
    // Nothing of the state was synced: it is made from the log again.
    cluster.kill(damaged);
    cluster.damage_log(damaged, 12);
    for write in 0..5 {
        let leader = cluster.leader().await;
        put_at_last(cluster.store(leader), "more", &write.to_string()).await;
    }
    cluster.restart(damaged).await;
    assert_eq!(value(cluster.store(damaged), "more").await.as_deref(), Some("4"));
    assert_eq!(value(cluster.store(damaged), "k1").await.as_deref(), Some("29"));
}

#[tokio::test]
async fn a_replica_that_waits_for_a_snapshot_does_not_hinder_the_others() {
    let mut cluster = Cluster::start().await;
    let damaged = filled(&cluster, 30).await;
    cluster.kill(damaged);
    cluster.damage_log(damaged, 12);
    cluster.cut(damaged);
    let waiting = cluster.restart_soon(damaged);
    for write in 0..20 {
        let leader = cluster.leader().await;
        put_at_last(cluster.store(leader), "more", &write.to_string()).await;
    }
    cluster.heal(damaged);
    cluster.revive(damaged, waiting).await;
    eventually("the damaged replica to catch up", async || {
        (value(cluster.store(damaged), "more").await.as_deref() == Some("19")).then_some(())
    })
    .await;
}
