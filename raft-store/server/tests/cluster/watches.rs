//! Watches see every change once, in order, wherever they are resumed.

use keelson_store::watch::{WatchError, Watcher};
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
