//! A cluster that begins with what was saved of another one.

use std::{cell::Cell, sync::Arc};

use keelson_store::{
    Store,
    error::ReadError,
    export::{self, Head, RestoreOptions, Sealed},
    store::Consistency,
};
use keelson_store_core::{
    command::{CommandError, KeyRange, RangeRequest, RangeResponse},
    engine::Disk,
    id::{LeaseId, ReplicaId, Revision},
    lease::Lease,
    watch::Interest,
};

use crate::replicas::{Cluster, TOKEN, bytes, eventually, put_at_last};

/// How far beyond the saved revision the restored cluster begins.
const BUMP: u64 = 1_000_000_000;

async fn save(store: &Store) -> (Revision, Vec<u8>) {
    let view = store.view(Consistency::Linearizable).await.unwrap();
    let (status, revision) = (store.status(), view.header().revision);
    let head = Head { cluster: status.cluster, replica: status.replica, revision, taken_ms: 0 };
    let mut sealed = Sealed::new(Vec::new());
    export::write(view.read(), head, &mut sealed).unwrap();
    (revision, sealed.finish().unwrap().0)
}

async fn all(store: &Store, consistency: Consistency) -> RangeResponse {
    let request = RangeRequest::new(KeyRange::From(bytes("\0")));
    store.range(&request, consistency).await.unwrap().answer
}

/// Three replicas on disks that were restored from a file.
async fn restored(file: &[u8]) -> Cluster {
    let next = Cell::new(100);
    Cluster::start_on(|disk, member, initial_cluster| {
        let replica = ReplicaId::new(next.replace(next.get() + 1));
        let cluster_token = TOKEN.to_owned();
        let options = RestoreOptions { member, replica, initial_cluster, cluster_token, bump: BUMP };
        let disk: Arc<dyn Disk> = Arc::new(disk);
        export::restore(&disk, file, &options).unwrap();
    })
    .await
}

async fn three_voters(cluster: &Cluster) {
    eventually("three voters", async || {
        let members = cluster.store(0).status().members;
        (members.iter().filter(|member| member.voter).count() == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_member_has_the_keys_at_a_revision_that_nobody_has_seen() {
    let source = Cluster::start_alone().await;
    source.store(0).grant_lease(Lease { id: LeaseId::new(5), ttl_seconds: 600 }).await.unwrap();
    for write in 0..300 {
        put_at_last(source.store(0), &format!("k{}", write % 40), &write.to_string()).await;
    }
    let (revision, file) = save(source.store(0)).await;
    let expected = all(source.store(0), Consistency::Linearizable).await;
    drop(source);

    let mut cluster = restored(&file).await;
    three_voters(&cluster).await;
    for number in 0..3 {
        assert_eq!(all(cluster.store(number), Consistency::Linearizable).await, expected);
        let leases = cluster.store(number).leases().await.unwrap();
        assert_eq!(leases, [Lease { id: LeaseId::new(5), ttl_seconds: 600 }]);
    }
    let first = put_at_last(cluster.store(1), "k0", "after").await;
    assert_eq!(first.get(), revision.get() + BUMP + 1);

    // No restart, and no loss of the member that held the file, brings anything back or takes anything away.
    cluster.kill(0);
    put_at_last(cluster.store(1), "k1", "after").await;
    for number in [1, 2] {
        cluster.kill(number);
    }
    for number in 0..3 {
        cluster.restart(number).await;
    }
    assert_eq!(all(cluster.store(0), Consistency::Linearizable).await.count, 40);
}

#[tokio::test]
async fn revisions_of_before_are_compacted_for_reads_and_watches() {
    let source = Cluster::start_alone().await;
    put_at_last(source.store(0), "a", "1").await;
    let (revision, file) = save(source.store(0)).await;
    drop(source);

    let cluster = restored(&file).await;
    let old = RangeRequest { revision, ..RangeRequest::new(KeyRange::Single(bytes("a"))) };
    let read = cluster.store(0).range(&old, Consistency::Linearizable).await;
    let compacted = Revision::new(revision.get() + BUMP);
    match read {
        Err(ReadError::Refused(refused)) => assert_eq!(refused, CommandError::Compacted { compacted }),
        other => panic!("{other:?}"),
    }
    let mut watcher =
        cluster.store(0).watch(Interest::all_of(KeyRange::From(bytes("\0"))), revision.next()).await.unwrap();
    assert!(watcher.next().await.is_err(), "a watch from before must be told to list again");
}
