//! Replicas whose disks are damaged stop, and come back whole: by themselves where they can, else through their peers.

use std::{collections::BTreeSet, sync::Arc};

use keelson_store::{
    OpenError, StoreOptions,
    export::{self, Item, Survivor},
    store::Consistency,
};
use keelson_store_core::command::{KeyRange, RangeRequest};

use crate::replicas::{Cluster, PATIENCE, bytes, eventually, put, put_at_last, value};

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
    let why = tokio::time::timeout(PATIENCE, cluster.store(number).failed()).await;
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
async fn a_log_with_a_hole_and_nobody_to_ask_is_told_of_and_everything_before_the_hole_survives() {
    let mut cluster = Cluster::start_alone().await;
    for write in 0..20 {
        put_at_last(cluster.store(0), &format!("k{write}"), "v").await;
    }
    cluster.kill(0);
    cluster.damage_log(0, 12);
    let disk = cluster.copy_disk(0);
    let error = cluster.restart_on(0, disk.clone()).await;
    let OpenError::NobodyToAsk(what) = &error else { panic!("{error}") };
    assert!(what.contains("damaged") && error.to_string().contains("store recover"), "{error}");

    let survivor = Survivor::open(Arc::new(disk), 7).unwrap();
    let lost = survivor.lost().expect("a part of the log");
    assert_eq!((lost.from.get(), &lost.why), (12, what));
    assert!(lost.to.get() > 20, "{lost:?}");
    let mut file = Vec::new();
    survivor.save(&mut file).unwrap();
    let mut keys = BTreeSet::new();
    export::read(&file[..], |item| {
        if let Item::Key { kv, .. } = item {
            keys.insert(kv.key);
        }
        Ok(())
    })
    .unwrap();
    // What was put with entry 12 would have been the next one.
    let expected = (0..keys.len()).map(|write| bytes(&format!("k{write}")));
    assert_eq!(keys, expected.collect());
    // A busy machine may have had elections between, which have entries of their own.
    assert!((1..12).contains(&keys.len()), "{keys:?}");
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

#[tokio::test]
async fn a_replica_whose_state_two_others_contradict_says_so_and_comes_back_with_theirs() {
    let mut cluster = Cluster::start().await;
    let wrong = filled(&cluster, 10).await;
    cluster.kill_but(wrong, usize::MAX);
    cluster.change_state(wrong);
    // Nobody it could compare itself with: it starts as it is.
    cluster.cut(wrong);
    cluster.restart(wrong).await;
    cluster.heal(wrong);
    let leader = cluster.leader().await;
    put_at_last(cluster.store(leader), "more", "x").await;
    let why = tokio::time::timeout(PATIENCE, cluster.store(wrong).failed()).await;
    let why = why.expect("it stops");
    assert!(why.contains("the state of most members") && why.contains("is another one"), "{why}");
    cluster.kill_but(wrong, usize::MAX);
    cluster.restart(wrong).await;
    put_at_last(cluster.store(wrong), "after", "y").await;
    assert_eq!(value(cluster.store(wrong), "more").await.as_deref(), Some("x"));
    let others = cluster.alive().into_iter().filter(|number| *number != wrong);
    let hash = |number: usize| cluster.hash(number);
    for other in others {
        eventually("the same state", async || (hash(other).await? == hash(wrong).await?).then_some(())).await;
    }
}

#[tokio::test]
async fn a_state_that_was_changed_on_the_disk_is_found_out_before_its_replica_takes_part() {
    let mut cluster = Cluster::start().await;
    let wrong = filled(&cluster, 10).await;
    let right = cluster.hash(cluster.leader().await).await;
    cluster.kill_but(wrong, usize::MAX);
    cluster.change_state(wrong);
    cluster.restart(wrong).await;
    eventually("the others' state", async || (cluster.hash(wrong).await == right).then_some(())).await;
}

#[tokio::test]
async fn of_two_that_differ_neither_serves_until_a_third_decides() {
    let mut cluster = Cluster::start().await;
    let wrong = filled(&cluster, 10).await;
    let away = cluster.alive().into_iter().find(|number| *number != wrong).expect("there are three");
    let right = (0..3).find(|number| ![wrong, away].contains(number)).expect("there are three");
    cluster.kill_but(wrong, usize::MAX);
    cluster.change_state(wrong);
    cluster.kill_but(away, usize::MAX);
    cluster.restart(wrong).await;
    let all = RangeRequest::new(KeyRange::From(bytes("\0")));
    for number in [wrong, right] {
        eventually("doubt", async || cluster.store(number).status().doubt).await;
        for consistency in [Consistency::Local, Consistency::Linearizable] {
            let refused = cluster.store(number).range(&all, consistency).await.unwrap_err().to_string();
            assert!(refused.contains("different states"), "{refused}");
        }
        let refused = put(cluster.store(number), "k", "v").await.unwrap_err().to_string();
        assert!(refused.contains("different states"), "{refused}");
    }
    cluster.restart(away).await;
    let why = tokio::time::timeout(PATIENCE, cluster.store(wrong).failed()).await;
    assert!(why.expect("the third has decided").contains("is another one"));
    put_at_last(cluster.store(right), "k", "v").await;
}
