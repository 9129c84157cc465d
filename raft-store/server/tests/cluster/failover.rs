//! Replicas die and come back; what was acknowledged stays.

use std::time::Duration;

use keelson_store::WriteError;

use crate::replicas::{Cluster, eventually, put, put_at_last, value};

#[tokio::test]
async fn a_killed_leader_takes_no_acknowledged_write_with_it() {
    let mut cluster = Cluster::start().await;
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        for write in 0..20 {
            let (key, number) = (format!("r{round}w{write}"), cluster.alive()[write % cluster.alive().len()]);
            put_at_last(cluster.store(number), &key, "x").await;
            acknowledged.push(key);
        }
        let leader = cluster.leader().await;
        cluster.kill(leader);
        cluster.leader().await;
        for key in &acknowledged {
            assert_eq!(value(cluster.store(cluster.alive()[0]), key).await.as_deref(), Some("x"), "{key}");
        }
        cluster.restart(leader).await;
    }
    for key in &acknowledged {
        assert_eq!(value(cluster.store(2), key).await.as_deref(), Some("x"), "{key}");
    }
}

#[tokio::test]
async fn writes_under_way_when_the_leader_dies_are_never_reported_as_failed_and_then_found() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let store = cluster.store(follower).clone();
    let writers: Vec<_> = (0..200)
        .map(|write| {
            let store = store.clone();
            tokio::spawn(async move { (write, put(&store, &format!("w{write}"), "x").await) })
        })
        .collect();
    tokio::task::yield_now().await;
    cluster.kill(leader);
    for writer in writers {
        let (write, result) = writer.await.unwrap();
        let found = value(cluster.store(follower), &format!("w{write}")).await;
        match result {
            Ok(_) => assert_eq!(found.as_deref(), Some("x"), "w{write} was acknowledged"),
            Err(WriteError::Rejected(_)) => assert_eq!(found, None, "w{write} was rejected"),
            Err(WriteError::Unknown(_)) => {}
            Err(WriteError::Refused(error)) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn all_replicas_killed_at_once_come_back_with_every_acknowledged_write() {
    let mut cluster = Cluster::start().await;
    for survivors in [0, 1, 100] {
        let key = format!("k{survivors}");
        for write in 0..30 {
            put_at_last(cluster.store(write % 3), &key, &write.to_string()).await;
        }
        (0..3).for_each(|number| cluster.kill_but(number, survivors));
        for number in 0..3 {
            cluster.restart(number).await;
        }
        for number in 0..3 {
            assert_eq!(value(cluster.store(number), &key).await.as_deref(), Some("29"));
        }
    }
}

#[tokio::test]
async fn a_replica_that_stops_in_order_hands_leadership_over() {
    let cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let old = cluster.store(leader).status();
    cluster.store(leader).shutdown().await;
    let other = cluster.store((leader + 1) % 3);
    let new = eventually("another leader", async || {
        let status = other.status();
        status.leader.filter(|id| *id != old.replica).map(|_| status.term)
    })
    .await;
    // Handing over costs one term; an election after a timeout could cost more, and the lease's time.
    assert_eq!(new.get(), old.term.get() + 1);
    put_at_last(other, "k", "after").await;
}

#[tokio::test]
async fn leadership_goes_where_it_is_sent() {
    let cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let heir = cluster.store((leader + 1) % 3).status().replica;
    assert!(cluster.store(leader).transfer_leadership(heir, Duration::from_secs(5)).await);
    eventually("the heir to lead", async || {
        cluster.alive().iter().all(|n| cluster.store(*n).status().leader == Some(heir)).then_some(())
    })
    .await;
}
