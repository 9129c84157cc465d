//! A cluster that begins with what was saved of another one.

use std::{cell::Cell, fs, io::Read, sync::Arc};

use keelson_store::{
    Member, Store,
    error::ReadError,
    export::{self, BackupOptions, Head, RestoreOptions, Sealed, Source, Survivor, SurvivorError, Until},
    store::Consistency,
};
use keelson_store_core::{
    command::{CommandError, DeleteRangeRequest, KeyRange, Op, PutRequest, RangeRequest, RangeResponse, Txn},
    engine::{Disk, mem::MemDisk},
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
    restored_to(file, None, Until::End).await
}

/// The same from a file and a journal.
async fn restored_to(file: &[u8], journal: Option<&[u8]>, until: Until) -> Cluster {
    let next = Cell::new(100);
    Cluster::start_on(|disk, member, initial_cluster| {
        let replica = ReplicaId::new(next.replace(next.get() + 1));
        let cluster_token = TOKEN.to_owned();
        let options = RestoreOptions { member, replica, initial_cluster, cluster_token, bump: BUMP };
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let (mut snapshot, mut journal) = (file, journal);
        let journal = journal.as_mut().map(|journal| journal as &mut dyn Read);
        let source = Source { journal, until, ..Source::snapshot(&mut snapshot) };
        export::restore(&disk, source, &options).unwrap();
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

#[tokio::test]
async fn what_one_disk_of_three_holds_becomes_a_cluster_of_its_own() {
    let mut cluster = Cluster::start().await;
    for write in 0..50 {
        put_at_last(cluster.store(write % 3), &format!("k{write}"), "v").await;
    }
    let survivor = cluster.follower().await;
    let revision = put_at_last(cluster.store(cluster.leader().await), "last", "v").await;
    (0..3).filter(|number| *number != survivor).for_each(|number| cluster.kill(number));
    let disk = cluster.take_disk(survivor);
    drop(cluster);

    let mut file = Vec::new();
    let found = Survivor::open(Arc::new(disk.clone()), 7).unwrap();
    // It acknowledged the last write or it did not: only a majority had to.
    assert!(found.head().revision.get() + 1 >= revision.get());
    let totals = found.save(&mut file).unwrap();
    assert!(totals.keys >= 50);
    let revision = found.head().revision;
    found.close().unwrap();
    assert!(!disk.list().unwrap().contains(&"survivor".to_owned()), "the disk is as it was");
    let again = Survivor::open(Arc::new(disk), 8).unwrap();
    assert_eq!(again.head().revision, revision);

    let recovered = restored(&file).await;
    three_voters(&recovered).await;
    let answer = all(recovered.store(2), Consistency::Linearizable).await;
    assert_eq!(answer.count, totals.keys);
}

#[test]
fn an_empty_disk_holds_nothing() {
    let empty = Survivor::open(Arc::new(MemDisk::new()), 0);
    assert!(matches!(empty.err(), Some(SurvivorError::Empty)));
}

#[tokio::test]
async fn a_backup_leads_to_every_moment_that_it_covers() {
    let folder = tempfile::tempdir().unwrap();
    let source = Cluster::start_alone().await;
    let store = source.store(0).clone();
    put_at_last(&store, "a", "before").await;
    let (backed_up, backup) = (store.clone(), BackupOptions { folder: folder.path().to_owned(), keep: None });
    let backing_up = tokio::spawn(async move { export::back_up(backed_up, backup).await });
    eventually("a first chapter", async || export::route(folder.path(), Until::End).ok()).await;

    store.grant_lease(Lease { id: LeaseId::new(5), ttl_seconds: 600 }).await.unwrap();
    let put = PutRequest {
        lease: LeaseId::new(5),
        key: bytes("b"),
        value: bytes("leased"),
        ..PutRequest::default()
    };
    store.txn(Txn { success: vec![Op::Put(put)], ..Txn::default() }).await.unwrap();
    let middle = put_at_last(&store, "a", "middle").await;
    let delete = DeleteRangeRequest { range: KeyRange::Single(bytes("b")), prev_kv: false };
    store.txn(Txn { success: vec![Op::DeleteRange(delete)], ..Txn::default() }).await.unwrap();
    let last = put_at_last(&store, "a", "last").await;
    let route = export::route(folder.path(), Until::Revision(middle)).unwrap();
    let written = eventually("the backup", async || {
        let journal = fs::read(&route.journal).unwrap();
        journal.windows(4).any(|bytes| bytes == b"last").then_some(journal)
    })
    .await;
    backing_up.abort();
    drop(source);

    let base = fs::read(&route.base).unwrap();
    for (until, expected) in [
        (Until::Revision(middle), vec![("a", "middle"), ("b", "leased")]),
        (Until::End, vec![("a", "last")]),
        (Until::Time(0), vec![("a", "before")]),
    ] {
        let restored = restored_to(&base, Some(&written), until).await;
        let found = all(restored.store(0), Consistency::Linearizable).await;
        let found: Vec<_> = found.kvs.into_iter().map(|kv| (kv.key, kv.value)).collect();
        let expected: Vec<_> = expected.into_iter().map(|(key, value)| (bytes(key), bytes(value))).collect();
        assert_eq!(found, expected, "{until:?}");
        let first = put_at_last(restored.store(0), "c", "").await;
        assert_eq!(
            first.get(),
            last.get() + BUMP + 1,
            "no revision comes again, whatever moment is restored"
        );
    }
    let unknown = Until::Revision(Revision::new(last.get() + 1));
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    let (mut snapshot, mut journal) = (&base[..], &written[..]);
    let source = Source { journal: Some(&mut journal), until: unknown, ..Source::snapshot(&mut snapshot) };
    let options = RestoreOptions {
        member: Member::default(),
        replica: ReplicaId::new(1),
        initial_cluster: Vec::new(),
        cluster_token: TOKEN.to_owned(),
        bump: BUMP,
    };
    let refused = export::restore(&disk, source, &options).unwrap_err();
    assert!(refused.to_string().contains("does not cover the wanted moment"), "{refused}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_stops_nothing_but_the_backup_which_goes_on_when_it_can() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("backup");
    std::fs::write(&folder, "a file stands where the folder belongs").unwrap();
    let source = Cluster::start_alone().await;
    let store = source.store(0).clone();
    let (backed_up, backup) = (store.clone(), BackupOptions { folder: folder.clone(), keep: None });
    let backing_up = tokio::spawn(async move { export::back_up(backed_up, backup).await });
    for write in 0..100 {
        put_at_last(&store, "k", &write.to_string()).await;
    }
    assert!(!backing_up.is_finished());
    std::fs::remove_file(&folder).unwrap();
    eventually("a first chapter", async || export::route(&folder, Until::End).ok()).await;
    backing_up.abort();
}
