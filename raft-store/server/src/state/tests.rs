//! Which snapshot a replica points at, whatever happens between two steps.

use std::{
    io,
    ops::Range,
    pin::pin,
    sync::{Arc, Mutex},
};

use futures_util::{poll, stream};
use keelson_store_core::{
    apply::StateMachine,
    command::{AuthCommand, Caller, Command},
    engine::{Disk, Role, mem::MemDisk},
    id::{LogIndex, LogPosition, Term},
};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder as _, RaftStateMachine as _};

use super::{SharedState, StateAdapter, StateView, adapter::BATCH_ENTRIES, snapshot::Snapshots};
use crate::{
    Member, StoreOptions,
    damage::Sentinel,
    log::LogMeta,
    runtime::Offload,
    types::{self, Entry, Payload, Types},
};

fn at(index: u64) -> LogPosition {
    LogPosition { term: Term::new(1), index: LogIndex::new(index) }
}

/// A machine that has applied `entries` entries.
fn machine(disk: &dyn Disk, name: &str, entries: u64) -> StateMachine {
    let mut machine = StateMachine::open(disk.open(name, Role::State).unwrap()).unwrap();
    let mut batch = machine.begin();
    (0..entries).for_each(|index| batch.blank(at(index)));
    batch.commit().unwrap();
    machine
}

fn on_new_disk() -> (Arc<dyn Disk>, LogMeta) {
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    let meta = LogMeta::new(disk.open("log", Role::Log).unwrap());
    (disk, meta)
}

#[test]
fn a_slow_builder_does_not_take_the_place_of_a_received_snapshot() {
    let (disk, meta) = on_new_disk();
    let snapshots = Snapshots::open(disk.clone(), meta.clone(), Offload::Inline).unwrap();
    let received = machine(&*disk, "incoming-1", 200);
    snapshots.build_for_install(&received, "incoming-1").unwrap();
    let replaced = Mutex::new(machine(&*disk, "state-0", 100));
    snapshots.build(&replaced).unwrap();
    let record = meta.snapshot().unwrap().unwrap();
    assert_eq!(record.last, Some(at(199)));
    assert!(disk.list().unwrap().contains(&record.folder));
}

#[test]
fn a_received_store_and_its_snapshot_become_current_together() {
    let (disk, meta) = on_new_disk();
    let snapshots = Snapshots::open(disk.clone(), meta.clone(), Offload::Inline).unwrap();
    snapshots.build(&Mutex::new(machine(&*disk, "state-0", 100))).unwrap();
    let received = machine(&*disk, "incoming-1", 200);
    snapshots.build_for_install(&received, "incoming-1").unwrap();
    let (store, record) = (meta.state_store().unwrap(), meta.snapshot().unwrap().unwrap());
    assert_eq!((store.as_deref(), record.last), (Some("incoming-1"), Some(at(199))));
}

#[tokio::test]
async fn a_state_ahead_of_its_log_gets_a_snapshot_before_the_log_is_dropped() {
    let (disk, meta) = on_new_disk();
    let options = StoreOptions::new(Member::default(), vec![], "test".into());
    machine(&*disk, "state-0", 100);
    let sentinel = Sentinel::open(meta.clone()).unwrap();
    let mut adapter = StateAdapter::open(disk.clone(), meta.clone(), &sentinel, &options).unwrap();
    adapter.cover(Some(at(99))).unwrap();
    assert!(adapter.get_current_snapshot().await.unwrap().is_none());
    adapter.cover(Some(at(90))).unwrap();
    assert_eq!(meta.snapshot().unwrap().unwrap().last, Some(at(99)));
}

#[tokio::test]
async fn a_snapshot_that_is_to_be_sent_is_not_old_unless_somebody_has_a_part_of_it() {
    let (disk, meta) = on_new_disk();
    let mut options = StoreOptions::new(Member::default(), vec![], "test".into());
    options.snapshot_every = 1000;
    let sentinel = Sentinel::open(meta.clone()).unwrap();
    let mut adapter = StateAdapter::open(disk, meta, &sentinel, &options).unwrap();
    adapter.apply(stream::iter(blank(0..10))).await.unwrap();
    adapter.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let shared = adapter.shared().clone();
    let mut last = async |entries: Range<u64>| {
        adapter.apply(stream::iter(blank(entries))).await.unwrap();
        let snapshot = adapter.get_current_snapshot().await.unwrap().unwrap();
        (snapshot.meta.last_log_id.unwrap().index(), snapshot.snapshot)
    };
    assert_eq!(last(10..200).await.0, 9, "nobody is to get one before Raft has begun");
    shared.raft_has_begun();
    assert_eq!(last(200..201).await.0, 200);
    assert_eq!(last(201..301).await.0, 200, "a tenth of what there is between two is nothing");
    let (fresh, folder) = last(301..302).await;
    assert_eq!(fresh, 301);
    drop(folder.keep_newest());
    assert_eq!(last(302..1000).await.0, 301, "who has a part of it goes on with it");
}

fn blank(indexes: Range<u64>) -> impl Iterator<Item = io::Result<EntryResponder<Types>>> {
    let entry = |index| Entry { log_id: types::log_id(at(index)), payload: Payload::Blank };
    indexes.map(move |index| Ok((entry(index), None)))
}

#[tokio::test]
async fn others_get_their_turn_while_many_entries_are_applied() {
    let (disk, meta) = on_new_disk();
    let options = StoreOptions::new(Member::default(), vec![], "test".into());
    let sentinel = Sentinel::open(meta.clone()).unwrap();
    let mut adapter = StateAdapter::open(disk, meta, &sentinel, &options).unwrap();
    let mut apply = pin!(adapter.apply(stream::iter(blank(0..4 * BATCH_ENTRIES as u64))));
    let mut turns = 0;
    while poll!(&mut apply).is_pending() {
        turns += 1;
    }
    assert_eq!(turns, 3, "one between two batches");
}

#[test]
fn readers_have_the_users_of_the_state_that_they_read_also_after_another_took_its_place() {
    let (disk, _) = on_new_disk();
    let mut first = machine(&*disk, "state-0", 3);
    let other = machine(&*disk, "incoming-1", 5);
    let shared = SharedState::new(&first, 1 << 20);
    let mut changes = shared.auth_changes();
    let before = shared.view().unwrap();
    let added = AuthCommand::UserAdd { name: "alice".to_owned(), password: None };
    let next = at(first.header().next_index().get());
    let mut batch = first.begin();
    batch.command_for(next, &Caller::Anyone, Command::Auth(added)).unwrap().unwrap();
    shared.publish(&shared.commit(batch).unwrap());
    let knows_alice = |view: &StateView| view.auth().user("alice").is_some();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(!knows_alice(&before) && knows_alice(&shared.view().unwrap()));
    let reopened = StateMachine::open(first.engine().clone()).unwrap();
    assert!(reopened.auth().user("alice").is_some(), "it is in the state");
    shared.replace(&other);
    assert!(changes.has_changed().unwrap());
    assert!(!knows_alice(&shared.view().unwrap()));
}
