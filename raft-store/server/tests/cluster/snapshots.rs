//! Replicas that were away for too long get a snapshot.

use keelson_store_core::command::{KeyRange, RangeRequest};

use keelson_store::store::Consistency;

use crate::replicas::{Cluster, bytes, eventually, put_at_last, value};

fn short_log(options: &mut keelson_store::StoreOptions) {
    options.snapshot_every = 50;
    options.keep_behind_snapshot = 10;
}

#[tokio::test]
async fn a_replica_that_was_away_for_long_catches_up_by_snapshot() {
    let mut cluster = Cluster::start_with(short_log).await;
    put_at_last(cluster.store(0), "before", "x").await;
    let away = cluster.follower().await;
    cluster.kill(away);
    let alive = cluster.alive();
    for write in 0..400 {
        put_at_last(cluster.store(alive[write % 2]), &format!("k{}", write % 40), &write.to_string()).await;
    }
    cluster.restart(away).await;
    let target = cluster.store(alive[0]).status();
    eventually("the replica to catch up", async || {
        (cluster.store(away).status().revision >= target.revision).then_some(())
    })
    .await;
    let all = RangeRequest::new(KeyRange::From(bytes("\0")));
    let expected = cluster.store(alive[0]).range(&all, Consistency::Linearizable).await.unwrap().answer;
    let local = cluster.store(away).range(&all, Consistency::Local).await.unwrap().answer;
    assert_eq!(local, expected);
    assert_eq!(local.count, 41);

    // And it is a full member again: alone with one other it makes a quorum, and survives a restart.
    cluster.kill(alive[0]);
    put_at_last(cluster.store(away), "after", "y").await;
    cluster.kill(away);
    cluster.restart(away).await;
    assert_eq!(value(cluster.store(away), "after").await.as_deref(), Some("y"));
    assert_eq!(value(cluster.store(away), "before").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn restarts_over_a_purged_log_lose_nothing() {
    let mut cluster = Cluster::start_with(short_log).await;
    for round in 0..3 {
        for write in 0..120 {
            put_at_last(cluster.store(write % 3), &format!("k{write}"), &round.to_string()).await;
        }
        (0..3).for_each(|number| cluster.kill(number));
        for number in 0..3 {
            cluster.restart(number).await;
        }
        for write in [0, 60, 119] {
            let found = value(cluster.store(write % 3), &format!("k{write}")).await;
            assert_eq!(found, Some(round.to_string()));
        }
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_and_replaced_and_stops_nobody() {
    let mut cluster = Cluster::start_with(short_log).await;
    let away = cluster.follower().await;
    cluster.kill(away);
    let leader = cluster.leader().await;
    for write in 0..200 {
        put_at_last(cluster.store(leader), "k", &write.to_string()).await;
    }
    cluster.alive().into_iter().for_each(|number| cluster.damage_snapshots(number));
    cluster.restart(away).await;
    assert_eq!(value(cluster.store(away), "k").await.as_deref(), Some("199"));
}

#[tokio::test]
async fn what_a_leaders_disk_has_damaged_does_not_spread_and_the_leader_stops() {
    let mut cluster = Cluster::start_with(short_log).await;
    let away = cluster.follower().await;
    cluster.kill(away);
    let leader = cluster.leader().await;
    put_at_last(cluster.store(leader), "a", "written once").await;
    cluster.damage_state(leader);
    for write in 0..200 {
        put_at_last(cluster.store(leader), &format!("k{}", write % 7), &write.to_string()).await;
    }
    let target = cluster.store(leader).status().revision;
    cluster.restart(away).await;
    cluster.store(leader).failed().await;
    eventually("the replica to catch up from the other one", async || {
        (cluster.store(away).status().revision >= target).then_some(())
    })
    .await;
    let mut all = RangeRequest::new(KeyRange::From(bytes("\0")));
    all.revision = target;
    let found = cluster.store(away).range(&all, Consistency::Local).await.unwrap();
    assert_eq!(found.answer.count, 8);
}

#[tokio::test]
async fn a_snapshot_without_which_nothing_can_be_committed_has_no_pace() {
    let mut cluster = Cluster::start_with(|options| {
        short_log(options);
        // At this pace it would take an hour.
        options.snapshot_bytes_per_second = 10;
    })
    .await;
    let (leader, away) = (cluster.leader().await, cluster.follower().await);
    cluster.kill(away);
    for part in 0..5 {
        put_at_last(cluster.store(leader), &format!("part-{part}"), &"v".repeat(200_000)).await;
    }
    for write in 0..200 {
        put_at_last(cluster.store(leader), "k", &write.to_string()).await;
    }
    let other = cluster.alive().into_iter().find(|number| *number != leader).unwrap();
    cluster.kill(other);
    cluster.restart(away).await;
    put_at_last(cluster.store(leader), "after", "y").await;
    assert_eq!(value(cluster.store(away), "k").await.as_deref(), Some("199"));
}
