//! Watches see every change once, in order, wherever they are resumed.

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use keelson_store::watch::{WatchError, Watched, Watcher};
use keelson_store_core::{command::KeyRange, id::Revision, watch::Interest};

use crate::replicas::{Cluster, PATIENCE, bytes, eventually, put_at_last};

fn prefix_k() -> Interest {
    Interest::all_of(KeyRange::Span { start: bytes("k"), end: bytes("l") })
}

async fn revisions(watcher: &mut Watcher, count: usize) -> Vec<Revision> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let changes = tokio::time::timeout(PATIENCE, watcher.next()).await.expect("changes in time").unwrap();
        seen.extend(changes.revisions().iter().map(|(revision, _)| *revision));
    }
    seen
}

#[tokio::test]
async fn a_watch_from_now_sees_what_comes_after_the_call_and_nothing_else() {
    let cluster = Cluster::start().await;
    put_at_last(cluster.store(0), "k", "before").await;
    for number in 0..3 {
        let mut watcher = cluster.store(number).watch(prefix_k(), Revision::ZERO).await.unwrap();
        put_at_last(cluster.store((number + 1) % 3), "other", "x").await;
        let expected = put_at_last(cluster.store((number + 2) % 3), "k", "after").await;
        assert_eq!(revisions(&mut watcher, 1).await, vec![expected]);
    }
}

#[tokio::test]
async fn a_watch_goes_on_at_its_revision_on_another_replica_after_its_own_was_killed() {
    let mut cluster = Cluster::start().await;
    let mut expected = Vec::new();
    let first = cluster.leader().await;
    let mut watcher = cluster.store(first).watch(prefix_k(), Revision::ZERO).await.unwrap();
    for write in 0..20 {
        expected.push(put_at_last(cluster.store(write % 3), &format!("k{write}"), "x").await);
    }
    let mut seen = revisions(&mut watcher, 10).await;
    drop(watcher);
    cluster.kill(first);
    let alive = cluster.alive();
    for write in 20..40 {
        expected.push(put_at_last(cluster.store(alive[write % 2]), &format!("k{write}"), "x").await);
    }
    let resume = seen.last().unwrap().next();
    let mut watcher = cluster.store(alive[0]).watch(prefix_k(), resume).await.unwrap();
    seen.extend(revisions(&mut watcher, expected.len() - seen.len()).await);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_watch_from_the_past_is_served_by_a_replica_that_was_just_started() {
    let mut cluster = Cluster::start_with(|options| options.snapshot_every = 50).await;
    let mut expected = Vec::new();
    for write in 0..200 {
        expected.push(put_at_last(cluster.store(write % 3), "k", &write.to_string()).await);
    }
    (0..3).for_each(|number| cluster.kill(number));
    for number in 0..3 {
        cluster.restart(number).await;
    }
    for number in 0..3 {
        let mut watcher = cluster.store(number).watch(prefix_k(), expected[0]).await.unwrap();
        assert_eq!(revisions(&mut watcher, expected.len()).await, expected);
    }
}

#[tokio::test]
async fn a_watch_below_the_compacted_revision_is_told_so() {
    let cluster = Cluster::start().await;
    let first = put_at_last(cluster.store(0), "k", "1").await;
    let second = put_at_last(cluster.store(0), "k", "2").await;
    cluster.store(0).compact(second).await.unwrap();
    for number in 0..3 {
        eventually("the replica to apply the compaction", async || {
            (cluster.store(number).status().compacted == second).then_some(())
        })
        .await;
        let mut watcher = cluster.store(number).watch(prefix_k(), first).await.unwrap();
        let ended = watcher.next().await;
        assert!(
            matches!(ended, Err(WatchError::Compacted { compacted }) if compacted == second),
            "{ended:?}"
        );
    }
}

fn only(key: &str) -> Interest {
    Interest::all_of(KeyRange::Single(bytes(key)))
}

/// Writes keys `k0`, `k1`, …, and again from the first one, many at once. Answers the first revision.
async fn write_many(cluster: &Cluster, keys: usize, writes: usize) -> Revision {
    let first = put_at_last(cluster.store(0), "first", "x").await;
    stream::iter(0..writes)
        .for_each_concurrent(256, async |write| {
            put_at_last(cluster.store(0), &format!("k{}", write % keys), "x").await;
        })
        .await;
    first
}

#[tokio::test]
async fn ten_thousand_watchers_that_come_back_at_once_read_history_together() {
    const WATCHERS: usize = 10_000;
    const KEYS: usize = 1_000;
    const ROUNDS: usize = 3;
    let cluster = Cluster::start_with(|options| options.watch_history_bytes = 0).await;
    let first = write_many(&cluster, KEYS, KEYS * ROUNDS).await;
    let store = cluster.store(0);
    let idle = store.watch(only("k0"), first).await.unwrap();
    let began = Instant::now();
    let watchers = stream::iter(0..WATCHERS).map(async |watcher| {
        let mut watcher = store.watch(only(&format!("k{}", watcher % KEYS)), first).await.unwrap();
        revisions(&mut watcher, ROUNDS).await
    });
    let seen: Vec<_> = watchers.buffer_unordered(WATCHERS).collect().await;
    println!("{WATCHERS} watchers had {} revisions behind them after {:?}", KEYS * ROUNDS, began.elapsed());
    assert!(seen.iter().all(|seen| seen.len() == ROUNDS && seen.is_sorted()));

    // One that took its time all the while has lost nothing.
    let mut idle = idle;
    assert_eq!(revisions(&mut idle, ROUNDS).await.len(), ROUNDS);
}

#[tokio::test]
async fn a_poll_never_waits_for_the_disk() {
    let cluster = Cluster::start_with(|options| options.watch_history_bytes = 0).await;
    let first = write_many(&cluster, 10, 10).await;
    let mut watcher = cluster.store(0).watch(only("k3"), first).await.unwrap();
    let polled = watcher.poll().unwrap();
    assert!(matches!(polled, Watched::Idle { progress: None }), "it has read {polled:?}");
    watcher.changed().await;
    assert!(matches!(watcher.poll().unwrap(), Watched::Changes(_)));
}

#[tokio::test]
async fn watchers_in_the_past_and_below_what_was_compacted_do_not_disturb_each_other() {
    let cluster = Cluster::start_with(|options| options.watch_history_bytes = 0).await;
    let first = write_many(&cluster, 10, 100).await;
    let store = cluster.store(0);
    let mut late = store.watch(only("k1"), first).await.unwrap();
    let compacted = Revision::new(first.get() + 50);
    store.compact(compacted).await.unwrap();
    let mut fine = store.watch(only("k1"), compacted).await.unwrap();
    assert!(matches!(late.poll(), Err(WatchError::Compacted { .. })));
    assert!(revisions(&mut fine, 5).await.into_iter().all(|revision| revision >= compacted));
}
