//! History is compacted by age, by whoever leads.

use std::time::Duration;

use keelson_store::{ReadError, Store, compactor, store::Consistency};
use keelson_store_core::command::{CommandError, KeyRange, RangeRequest};

use crate::replicas::{Cluster, bytes, eventually, put_at_last, value};

const KEEP: Duration = Duration::from_millis(200);

#[tokio::test]
async fn old_history_goes_and_the_present_stays_also_after_the_leader_is_gone() {
    let mut cluster = Cluster::start().await;
    let compactors: Vec<_> =
        (0..3).map(|number| tokio::spawn(compactor::run(cluster.store(number).clone(), KEEP))).collect();
    let leader = cluster.leader().await;
    compacts(cluster.store(leader)).await;
    cluster.kill(leader);
    let leader = cluster.leader().await;
    compacts(cluster.store(leader)).await;
    compactors.iter().for_each(|compactor| compactor.abort());
}

/// Writes, and waits until what that superseded can no longer be read.
async fn compacts(store: &Store) {
    let superseded = put_at_last(store, "k", "old").await;
    let newest = put_at_last(store, "k", "new").await;
    let mut past = RangeRequest::new(KeyRange::Single(bytes("k")));
    past.revision = superseded;
    eventually("the compaction", async || match store.range(&past, Consistency::Linearizable).await {
        Err(ReadError::Refused(CommandError::Compacted { .. })) => Some(()),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    })
    .await;
    let mut present = past;
    present.revision = newest;
    let found = store.range(&present, Consistency::Linearizable).await.unwrap();
    assert_eq!(found.answer.kvs[0].value, bytes("new"), "the newest revision stays readable");
    assert_eq!(value(store, "k").await.unwrap(), "new");
}
