//! Snapshots: checkpoints of the state store, each in a folder of its own.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keelson_store_core::{
    apply::StateMachine,
    engine::{Capture, Disk, EngineError, Role},
    id::{LogPosition, ReplicaId},
    mutant::{self, Mutant},
};
use openraft::storage::RaftSnapshotBuilder;
use tokio::{sync::watch, task::JoinError};

use super::{
    adapter::{check_snapshot, claim, live_store},
    shared::SharedState,
};
use crate::{
    log::LogMeta,
    record::{MembershipRecord, SnapshotRecord},
    runtime::{
        Offload,
        clock::{Instant, sleep},
    },
    types::{self, Snapshot, SnapshotMeta, Types},
};

const PREFIX: &str = "snapshot-";
/// Ends the name of a snapshot that takes the place of a damaged one of the same moment.
const AGAIN: &str = "-again";

/// What a snapshot takes of the disk beside what is written out: files that say what belongs to it.
const SNAPSHOT_BYTES: u64 = 1 << 20;
/// Between two looks at whether there is room.
const ROOM_PAUSE: Duration = Duration::from_secs(1);
/// Looks between two lines in the log that say that there is none.
const REMIND_EVERY: u32 = 60;

/// A folder that holds a snapshot. It stays readable while anybody holds it, and is deleted after the last
/// one let go if a newer snapshot has taken its place.
#[derive(Clone)]
pub struct SnapshotFolder(Arc<Folder>);

struct Folder {
    disk: Arc<dyn Disk>,
    name: String,
    obsolete: AtomicBool,
    damaged: AtomicBool,
    offered: AtomicBool,
    /// How many wait for no other snapshot to take its place.
    keepers: watch::Sender<usize>,
}

/// While it lives, its snapshot stays the newest one that this replica makes.
pub(crate) struct Kept(SnapshotFolder);

/// The newest complete snapshot of a replica, and how to make a newer one.
#[derive(Clone)]
pub(super) struct Snapshots {
    disk: Arc<dyn Disk>,
    meta: LogMeta,
    offload: Offload,
    current: Arc<Mutex<Option<(SnapshotRecord, SnapshotFolder)>>>,
    /// Held while one is made: the pointer on disk must not go back to an older one that was slower.
    building: Arc<Mutex<()>>,
}

/// What is to be a snapshot.
struct Captured {
    record: SnapshotRecord,
    /// None where the folder is there already.
    contents: Option<Box<dyn Capture>>,
}

/// Builds snapshots beside apply.
pub struct SnapshotBuilder {
    pub(super) machine: Arc<Mutex<StateMachine>>,
    pub(super) shared: Arc<SharedState>,
    pub(super) snapshots: Snapshots,
}

impl SnapshotFolder {
    /// A folder of `disk` that is complete.
    pub fn new(disk: Arc<dyn Disk>, name: String) -> Self {
        let [obsolete, damaged, offered] = [const { AtomicBool::new(false) }; 3];
        Self(Arc::new(Folder { disk, name, obsolete, damaged, offered, keepers: watch::Sender::new(0) }))
    }

    /// Keeps the snapshot the newest one for a while. A newer one would let the log go on which whoever receives this
    /// one depends next; on a busy leader a slow transfer would be followed by another one for ever.
    pub(crate) fn keep_newest(&self) -> Kept {
        self.0.offered.store(true, Ordering::Relaxed);
        self.0.keepers.send_modify(|keepers| *keepers += 1);
        Kept(self.clone())
    }

    /// Completes when nobody keeps it the newest one any more.
    async fn released(&self) {
        // The sender lives as long as the folder.
        let _ = self.0.keepers.subscribe().wait_for(|keepers| *keepers == 0).await;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The disk it is on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.0.disk
    }

    /// A follower has found that the snapshot is not whole: it is not sent any more.
    pub(crate) fn found_damaged(&self) {
        self.0.damaged.store(true, Ordering::Relaxed);
    }

    /// Whether anybody may have received a part of it.
    pub(super) fn was_offered(&self) -> bool {
        self.0.offered.load(Ordering::Relaxed)
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.0.damaged.load(Ordering::Relaxed)
    }

    /// Lets the folder go with its last holder.
    pub(crate) fn discard(&self) {
        self.0.obsolete.store(true, Ordering::Relaxed);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.0.keepers.send_modify(|keepers| *keepers -= 1);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Relaxed)
            && let Err(error) = self.disk.remove(&self.name)
        {
            tracing::warn!(folder = self.name, %error, "an old snapshot could not be removed");
        }
    }
}

impl Captured {
    /// Makes the folder complete. Nobody waits for it.
    fn keep(self) -> Result<SnapshotRecord, EngineError> {
        if let Some(contents) = self.contents {
            contents.keep()?;
        }
        Ok(self.record)
    }
}

impl Snapshots {
    /// Finds the newest snapshot and removes the leftovers of older ones.
    pub(super) fn open(disk: Arc<dyn Disk>, meta: LogMeta, offload: Offload) -> Result<Self, EngineError> {
        let record = meta.snapshot()?;
        let keep = record.as_ref().map(|record| record.folder.as_str());
        for name in disk.list()? {
            if name.starts_with(PREFIX) && Some(name.as_str()) != keep {
                disk.remove(&name)?;
            }
        }
        let current = record.map(|record| {
            let folder = SnapshotFolder::new(disk.clone(), record.folder.clone());
            (record, folder)
        });
        Ok(Self { disk, meta, offload, current: Arc::new(Mutex::new(current)), building: Arc::default() })
    }

    /// The disk that snapshots are on.
    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// How much room the disk has, where that is less than `needed`.
    fn lacks(&self, needed: u64) -> Option<u64> {
        self.disk.space().map(|space| space.free).filter(|free| *free < needed)
    }

    /// The records beside the log.
    pub(super) fn meta(&self) -> &LogMeta {
        &self.meta
    }

    /// Where long work goes.
    pub(super) fn offload(&self) -> Offload {
        self.offload
    }

    /// The newest complete snapshot.
    pub(super) fn current(&self) -> Result<Option<Snapshot>, EngineError> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        current.map(|(record, folder)| record.snapshot(folder)).transpose()
    }

    /// Makes a snapshot of what `machine` has applied by now. Writers wait only until it
    /// is captured.
    pub(super) fn build(&self, machine: &Mutex<StateMachine>) -> Result<Snapshot, EngineError> {
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = lock(machine).engine().clone();
        if let Some(newer) = self.newer_than(lock(machine).header().applied)? {
            return Ok(newer);
        }
        // The flush that takes long happens here, beside the writers; the one inside the checkpoint is short.
        engine.sync()?;
        let captured = self.capture(&lock(machine))?;
        let record = captured.keep()?;
        self.meta.set_snapshot(&record)?;
        self.adopt(record)
    }

    /// Makes a snapshot of `machine`, whose store is `name`, and points at both in one write: a crash must not
    /// find the new store beside the old snapshot, since the log between them is about to go.
    pub(super) fn build_for_install(
        &self,
        machine: &StateMachine,
        name: &str,
    ) -> Result<Snapshot, EngineError> {
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let record = self.capture(machine)?.keep()?;
        self.meta.set_state_and_snapshot(name, &record)?;
        self.adopt(record)
    }

    /// The newest snapshot, where it is of a later moment: a received one that has not become the machine yet.
    fn newer_than(&self, applied: Option<LogPosition>) -> Result<Option<Snapshot>, EngineError> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let newer = current.filter(|(record, _)| record.last > applied);
        newer.map(|(record, folder)| record.snapshot(folder)).transpose()
    }

    /// From now on `record`, which is durable, is the newest.
    fn adopt(&self, record: SnapshotRecord) -> Result<Snapshot, EngineError> {
        let folder = SnapshotFolder::new(self.disk.clone(), record.folder.clone());
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((same, folder)) = current.as_ref().filter(|(old, _)| old.folder == record.folder) {
            return same.clone().snapshot(folder.clone());
        }
        if let Some((_, old)) = current.replace((record.clone(), folder.clone())) {
            old.discard();
        }
        record.snapshot(folder)
    }

    fn is_damaged(&self, folder: &str) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_some_and(|(record, held)| record.folder == folder && held.is_damaged())
    }

    /// Takes what `machine` has applied by now.
    fn capture(&self, machine: &StateMachine) -> Result<Captured, EngineError> {
        let mut last = machine.header().applied;
        if mutant::is(Mutant::SnapshotAhead) {
            last = last.map(|at| LogPosition { index: at.index.next(), ..at });
        }
        let mut folder = folder_name(last);
        if self.is_damaged(&folder) {
            folder.push_str(AGAIN);
        }
        let membership = read_membership(machine)?;
        let is_there = self.meta.snapshot()?.is_some_and(|current| current.folder == folder);
        let mut contents = None;
        if !is_there {
            self.disk.remove(&folder)?;
            contents = Some(machine.engine().capture(&folder)?);
        }
        Ok(Captured { record: SnapshotRecord { folder, last, membership }, contents })
    }
}

impl SnapshotBuilder {
    /// Returns when the disk has room for what is written out first.
    async fn room(&self) {
        for look in 0_u32.. {
            let needed = self.needs();
            let Some(free) = self.snapshots.lacks(needed) else { return };
            if look.is_multiple_of(REMIND_EVERY) {
                tracing::warn!(
                    free,
                    needed,
                    "the disk has no room for a snapshot, which has to wait: make room"
                );
            }
            sleep(ROOM_PAUSE).await;
        }
    }

    /// Whether there is room now. An engine that has met a full disk is of no use any more (E7), and takes the replica along,
    /// which could have waited.
    pub(super) fn has_room(&self) -> bool {
        self.snapshots.lacks(self.needs()).is_none()
    }

    /// Bytes that a snapshot takes of the disk.
    fn needs(&self) -> u64 {
        self.shared.engine().unwritten() + SNAPSHOT_BYTES
    }
}

impl RaftSnapshotBuilder<Types> for SnapshotBuilder {
    type SnapshotData = SnapshotFolder;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let current = self.snapshots.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, folder)) = current.filter(|(_, folder)| !folder.is_damaged()) {
            folder.released().await;
        }
        self.room().await;
        let began = Instant::now();
        let (machine, snapshots) = (self.machine.clone(), self.snapshots.clone());
        let built = self.snapshots.offload.run(move || snapshots.build(&machine)).await;
        let snapshot = built.map_err(io::Error::other)?.map_err(io::Error::other)?;
        self.shared.meters().snapshot.since(began);
        tracing::info!(last = ?snapshot.meta.last_log_id, "built a snapshot");
        Ok(snapshot)
    }
}

impl SnapshotRecord {
    fn snapshot(self, folder: SnapshotFolder) -> Result<Snapshot, EngineError> {
        let meta = SnapshotMeta {
            last_log_id: self.last.map(types::log_id),
            last_membership: self.membership.stored("snapshot membership")?,
        };
        Ok(Snapshot { meta, snapshot: folder })
    }
}

/// Makes the first snapshot of a disk whose state was not made by its log.
pub(crate) fn build_first(
    disk: Arc<dyn Disk>,
    meta: LogMeta,
    machine: &Mutex<StateMachine>,
) -> Result<(), EngineError> {
    Snapshots::open(disk, meta, Offload::Inline)?.build(machine).map(drop)
}

/// Puts a snapshot that a peer has sent, and that is whole, in the place of a state that is damaged. The snapshot of that
/// state goes with it.
pub(crate) fn put_in_place(
    disk: &Arc<dyn Disk>,
    meta: &LogMeta,
    replica: ReplicaId,
    store: &str,
    keep_log: bool,
) -> Result<(), EngineError> {
    let machine = StateMachine::open(disk.open(store, Role::State)?)?;
    let snapshots = Snapshots::open(disk.clone(), meta.clone(), Offload::Inline)?;
    if let Some((_, former)) = &*snapshots.current.lock().unwrap_or_else(PoisonError::into_inner) {
        former.found_damaged();
    }
    let record = snapshots.capture(&machine)?.keep()?;
    meta.set_refilled(replica, store, &record, keep_log)
}

/// Makes the state anew out of the snapshot and the log that are here. False where they do not suffice.
pub(crate) fn rebuild(disk: &dyn Disk, meta: &LogMeta) -> Result<bool, EngineError> {
    let Some(record) = meta.snapshot()? else {
        if meta.purged()?.is_some() {
            return Ok(false);
        }
        // The log has everything since the beginning.
        let live = live_store(meta)?;
        disk.remove(&live)?;
        return meta.set_rebuilt(&live).map(|()| true);
    };
    let contents = SnapshotMeta { last_log_id: record.last.map(types::log_id), ..SnapshotMeta::default() };
    let copied = live_store(meta).and_then(|live| claim(disk, &record.folder, &live));
    match copied.and_then(|store| check_snapshot(disk, &store, &contents).map(|()| store)) {
        Ok(store) => meta.set_rebuilt(&store).map(|()| true),
        Err(error) => {
            tracing::warn!(snapshot = record.folder, %error, "this replica's own snapshot is of no use");
            Ok(false)
        }
    }
}

/// The membership that a machine has applied.
pub(super) fn read_membership(machine: &StateMachine) -> Result<MembershipRecord, EngineError> {
    let bytes = machine.membership()?;
    bytes.map_or_else(|| Ok(MembershipRecord::default()), |bytes| crate::record::decode("membership", &bytes))
}

/// A poisoned lock means that an invariant broke while the machine was written: go no further.
pub(crate) fn lock(machine: &Mutex<StateMachine>) -> MutexGuard<'_, StateMachine> {
    machine.lock().expect("the state machine is whole: its writer has not panicked")
}

/// Locks the machine. While a snapshot is captured of it, waits off the runtime's thread: heartbeats must go on.
///
/// # Errors
/// Whoever waited has panicked.
pub(crate) async fn lock_when_free(
    machine: &Arc<Mutex<StateMachine>>,
    offload: Offload,
) -> Result<MutexGuard<'_, StateMachine>, JoinError> {
    loop {
        match machine.try_lock() {
            Err(TryLockError::WouldBlock) => {}
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(_)) => return Ok(lock(machine)),
        }
        let machine = machine.clone();
        offload.run(move || drop(lock(&machine))).await?;
    }
}

fn folder_name(last: Option<LogPosition>) -> String {
    last.map_or_else(|| format!("{PREFIX}empty"), |at| format!("{PREFIX}{}-{}", at.term, at.index))
}
