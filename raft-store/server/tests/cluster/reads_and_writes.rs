//! Every replica takes reads and writes, and none of them goes back in time.

use keelson_store::{ReadError, WriteError, error::Rejection, store::Consistency};
use keelson_store_core::{
    command::{CommandError, KeyRange, RangeRequest},
    id::Revision,
};

use crate::replicas::{Cluster, bytes, create, eventually, get, put, value};

#[tokio::test]
async fn what_one_replica_acknowledges_every_other_one_reads_at_once() {
    let cluster = Cluster::start().await;
    for round in 0..60 {
        let (writer, reader) = (cluster.store(round % 3), cluster.store((round + 1) % 3));
        let text = round.to_string();
        let revision = put(writer, "k", &text).await.unwrap();
        let found = get(reader, "k").await.unwrap();
        assert_eq!((found.value, found.mod_revision), (bytes(&text), revision));
    }
}

#[tokio::test]
async fn of_many_who_create_the_same_key_one_succeeds() {
    let cluster = Cluster::start().await;
    let racers = (0..30).map(|racer| {
        let store = cluster.store(racer % 3).clone();
        tokio::spawn(
            async move { create(&store, "lock", &racer.to_string()).await.unwrap().answer.succeeded },
        )
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += usize::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn many_writers_on_all_replicas_get_revisions_of_their_own() {
    let cluster = Cluster::start().await;
    let writers = (0..300).map(|writer| {
        let store = cluster.store(writer % 3).clone();
        tokio::spawn(async move { put(&store, &format!("k{writer}"), "x").await.unwrap() })
    });
    let mut revisions = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        revisions.push(writer.await.unwrap());
    }
    revisions.sort();
    let expected: Vec<_> = (2..302).map(Revision::new).collect();
    assert_eq!(revisions, expected);
}

#[tokio::test]
async fn without_a_quorum_nothing_is_written_and_nothing_is_read() {
    let mut cluster = Cluster::start_with(|options| {
        options.request_timeout = std::time::Duration::from_secs(2);
    })
    .await;
    put(cluster.store(0), "k", "before").await.unwrap();
    let lonely = cluster.leader().await;
    for number in cluster.alive() {
        if number != lonely {
            cluster.kill(number);
        }
    }
    let store = cluster.store(lonely);
    match put(store, "k", "alone").await {
        Err(WriteError::Rejected(Rejection::NoLeader) | WriteError::Unknown(_)) => {}
        other => panic!("{other:?}"),
    }
    let request = RangeRequest::new(KeyRange::Single(bytes("k")));
    let read = store.range(&request, Consistency::Linearizable).await;
    assert!(matches!(read, Err(ReadError::NoQuorum(_))), "{read:?}");
    // Asked for an older moment, it answers.
    assert_eq!(store.range(&request, Consistency::Local).await.unwrap().answer.kvs.len(), 1);
}

#[tokio::test]
async fn old_revisions_stay_readable_until_they_are_compacted_on_every_replica() {
    let cluster = Cluster::start().await;
    let old = put(cluster.store(0), "k", "old").await.unwrap();
    let new = put(cluster.store(1), "k", "new").await.unwrap();
    let at = RangeRequest { revision: old, ..RangeRequest::new(KeyRange::Single(bytes("k"))) };
    let read = cluster.store(2).range(&at, Consistency::Linearizable).await.unwrap();
    assert_eq!(read.answer.kvs[0].value, bytes("old"));

    cluster.store(0).compact(new).await.unwrap();
    for number in cluster.alive() {
        let read = cluster.store(number).range(&at, Consistency::Linearizable).await;
        assert!(
            matches!(read, Err(ReadError::Refused(CommandError::Compacted { compacted })) if compacted == new)
        );
        assert_eq!(value(cluster.store(number), "k").await.as_deref(), Some("new"));
    }
    let again = cluster.store(1).compact(new).await;
    assert!(matches!(again, Err(WriteError::Refused(CommandError::Compacted { .. }))), "{again:?}");
    eventually("all replicas to apply the compaction", async || {
        cluster.alive().iter().all(|n| cluster.store(*n).status().compacted == new).then_some(())
    })
    .await;
}
