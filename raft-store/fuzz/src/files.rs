//! Files that leave the store and come back.

use std::{cell::Cell, sync::Arc};

use keelson_store::{
    Member,
    export::{self, Head, Item, RestoreOptions, Sealed, Source, Until},
    options::InitialMember,
};
use keelson_store_core::{
    apply::StateMachine,
    command::{Caller, Command},
    engine::{Disk, Role, mem::MemDisk},
    id::{ClusterId, LogIndex, LogPosition, ReplicaId, Revision, Term},
};

/// A snapshot that is read to its end holds what it says.
pub(crate) fn snapshot(input: &[u8]) {
    let (keys, leases) = (Cell::new(0), Cell::new(0));
    let read = export::read(input, |item| {
        match item {
            Item::Key { .. } => keys.set(keys.get() + 1),
            Item::Lease(_) => leases.set(leases.get() + 1),
            // They are counted by nobody: there is one record of them at most.
            Item::Auth(_) => {}
        }
        Ok(())
    });
    if let Ok(contents) = read {
        assert_eq!((contents.totals.keys, contents.totals.leases), (keys.get(), leases.get()));
    }
}

/// A backup is restored, or refused: behind a snapshot that is whole, any journal may follow.
pub(crate) fn journal(mut input: &[u8]) {
    let snapshot = empty_snapshot();
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    let (name, peer_url) = ("a".to_owned(), "https://a:2380".to_owned());
    let options = RestoreOptions {
        member: Member { name: name.clone(), ..Member::default() },
        replica: ReplicaId::new(9),
        initial_cluster: vec![InitialMember { name, peer_url }],
        cluster_token: "fuzz".to_owned(),
        bump: 1000,
    };
    let source = Source {
        snapshot: &mut &snapshot[..],
        journal: Some(&mut input),
        until: Until::End,
        newest: Revision::ZERO,
    };
    if let Ok(export::Restored::Holds(summary)) = export::restore(&disk, source, &options) {
        assert!(summary.revision.get() >= summary.at.get() + options.bump, "no revision comes back");
    }
}

/// The head of [`empty_snapshot`], which journals must follow.
pub const HEAD: Head =
    Head { cluster: ClusterId::new(1), replica: ReplicaId::new(2), revision: Revision::FIRST, taken_ms: 3 };

/// A snapshot of a state without keys.
pub fn empty_snapshot() -> Vec<u8> {
    snapshot_after(&[])
}

/// A snapshot of the state that commands lead to.
pub fn snapshot_after(commands: &[Command]) -> Vec<u8> {
    let engine = MemDisk::new().open("state", Role::State).expect("an empty disk in memory opens");
    let mut machine = StateMachine::open(engine).expect("an empty state opens");
    let mut batch = machine.begin();
    for (index, command) in (0..).zip(commands) {
        let at = LogPosition { term: Term::new(1), index: LogIndex::new(index) };
        let outcome = batch.command_for(at, &Caller::System, command.clone());
        assert!(matches!(outcome, Ok(Ok(_))), "{command:?}: {outcome:?}");
    }
    batch.commit().expect("a disk in memory without faults is written");
    let (view, _) = machine.view();
    let mut sealed = Sealed::new(Vec::new());
    export::write(&*view, HEAD, &mut sealed).expect("memory takes what is written");
    sealed.finish().expect("memory takes what is written").0
}
