//! openraft's state machine over the core's.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::{Stream, StreamExt as _};
use keelson_store_core::{
    apply::{ApplyBatch, Header, StateMachine},
    command::Command,
    engine::{Batch, Disk, Engine, EngineError, Family, Role},
    id::{LogPosition, ReplicaId},
    mutant::{self, Mutant},
};
use openraft::{
    LogIdOptionExt as _, OptionalSend,
    storage::{EntryResponder, RaftSnapshotBuilder as _, RaftStateMachine},
};

use super::{
    shared::SharedState,
    snapshot::{SnapshotBuilder, SnapshotFolder, Snapshots, lock, lock_when_free, read_membership},
};
use crate::{
    damage::Sentinel,
    log::LogMeta,
    meters::Ops,
    options::{Member, StoreOptions},
    record::{self, MembershipRecord},
    runtime::clock::Instant,
    types::{
        self, Answer, Entry, LogId, Membership, Payload, Snapshot, SnapshotMeta, StoredMembership, Types,
    },
};

/// Entries that share one atomic write at most.
pub(super) const BATCH_ENTRIES: usize = 512;
/// A snapshot that is to be sent is made anew when it is behind by this part of what there is between two.
const STALE_PART: u64 = 10;
/// Name of the state store of a replica that never received a snapshot.
const FIRST_STORE: &str = "state-0";
/// Folders in which received snapshots arrive; the live state store is one of them after an install.
pub(crate) const INCOMING_PREFIX: &str = "incoming-";

/// Whether a state is, or was to be, in the store of this name.
pub(crate) fn is_state(name: &str) -> bool {
    name == FIRST_STORE || name.starts_with(INCOMING_PREFIX)
}

/// The one writer of a replica's state.
pub struct StateAdapter {
    machine: Arc<Mutex<StateMachine>>,
    shared: Arc<SharedState>,
    snapshots: Snapshots,
    sentinel: Arc<Sentinel>,
    /// So many entries behind the state, a snapshot is too old for whoever is to get one.
    stale_after: u64,
}

type Responder = openraft::storage::ApplyResponder<Types>;

impl StateAdapter {
    /// Opens the live state store of `disk`, and removes what an interrupted install left behind. A snapshot that was on
    /// its way, and has more than the state, may go on.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        meta: LogMeta,
        sentinel: &Arc<Sentinel>,
        options: &StoreOptions,
    ) -> Result<Self, EngineError> {
        let live = live_store(&meta)?;
        let engine = sentinel.open_state(&*disk, &live)?;
        let machine = sentinel.look_at_state(StateMachine::open(engine))?;
        let arriving = meta.arriving()?.filter(|arriving| arriving.last > machine.header().applied);
        for name in disk.list()? {
            let arrives = arriving.as_ref().is_some_and(|arriving| arriving.folder == name);
            if is_state(&name) && name != live && !arrives {
                disk.remove(&name)?;
            }
        }
        let shared = SharedState::new(&machine, options.watch_history_bytes);
        let snapshots = Snapshots::open(disk, meta, options.offload)?;
        let machine = Arc::new(Mutex::new(machine));
        let (shared, sentinel) = (Arc::new(shared), sentinel.clone());
        let stale_after = (options.snapshot_every / STALE_PART).max(1);
        Ok(Self { machine, shared, snapshots, sentinel, stale_after })
    }

    /// What readers use.
    pub fn shared(&self) -> &Arc<SharedState> {
        &self.shared
    }

    /// The last entry in the state.
    pub(crate) fn applied(&self) -> Option<LogPosition> {
        lock(&self.machine).header().applied
    }

    /// How far the state has come.
    pub(crate) fn header(&self) -> Header {
        *lock(&self.machine).header()
    }

    /// Everybody in the membership that the state has applied.
    pub(crate) fn members(&self) -> Result<Vec<Member>, EngineError> {
        Ok(read_membership(&lock(&self.machine))?.members.into_values().collect())
    }

    /// That membership.
    pub(crate) fn membership(&self) -> Result<Membership, EngineError> {
        read_membership(&lock(&self.machine))?.membership("membership")
    }

    /// The machine, for background work that changes nothing a reader may see.
    pub fn machine(&self) -> Arc<Mutex<StateMachine>> {
        self.machine.clone()
    }

    /// Makes a snapshot where the state is ahead of a log that ends at `log_end`: openraft will drop that log up to
    /// the state's position, and a snapshot from below it could not be continued by anybody.
    pub(crate) fn cover(&self, log_end: Option<LogPosition>) -> Result<(), EngineError> {
        if self.applied() > log_end {
            self.snapshots.build(&self.machine)?;
        }
        Ok(())
    }

    /// Whether a snapshot is too old to begin sending it: what a newer one has, its receiver need not apply entry by entry.
    /// One that somebody has a part of is not, since they would begin again.
    fn is_stale(&self, snapshot: &Snapshot) -> bool {
        let applied = self.shared.applied_at().map(types::log_id);
        let behind = applied.next_index().saturating_sub(snapshot.meta.last_log_id.next_index());
        behind > self.stale_after && !snapshot.snapshot.was_offered()
    }

    /// What no replica may do, each at other entries.
    fn leaves_out(&self, entry: &Entry) -> bool {
        let own = self.snapshots.meta().replica().ok().flatten().map_or(0, ReplicaId::get);
        entry.log_id.index() % RIGHT_ENTRIES == own % RIGHT_ENTRIES
    }

    fn apply_batch(
        &self,
        mut machine: MutexGuard<'_, StateMachine>,
        entries: Vec<EntryResponder<Types>>,
    ) -> Result<(), EngineError> {
        let _station = tracing::debug_span!("apply", entries = entries.len()).entered();
        let began = Instant::now();
        let mut answers: Vec<(Responder, Answer)> = Vec::with_capacity(entries.len());
        let mut ops = Ops::default();
        let mut batch = machine.begin();
        for (mut entry, responder) in entries {
            if mutant::is(Mutant::ApplyDifferently) && self.leaves_out(&entry) {
                entry.payload = Payload::Blank;
            }
            let answer = apply_entry(&mut batch, entry)?;
            if let Answer::Outcome(outcome) = &answer {
                ops.add(outcome);
            }
            answers.extend(responder.map(|responder| (responder, answer)));
        }
        let applied = self.shared.commit(batch)?;
        drop(machine);
        self.shared.meters().apply.since(began);
        self.shared.meters().ops.add(ops);
        self.shared.publish(&applied);
        answers.into_iter().for_each(|(responder, answer)| responder.send(answer));
        Ok(())
    }
}

/// How many entries are applied rightly between two that are not.
const RIGHT_ENTRIES: u64 = 100;

/// The name of the store that holds the state; of a new disk, the one that will.
pub(crate) fn live_store(meta: &LogMeta) -> Result<String, EngineError> {
    if let Some(name) = meta.state_store()? {
        return Ok(name);
    }
    meta.set_state_store(FIRST_STORE)?;
    Ok(FIRST_STORE.to_owned())
}

/// What an install works on, apart from the adapter, so that it can run elsewhere.
struct Install {
    machine: Arc<Mutex<StateMachine>>,
    shared: Arc<SharedState>,
    snapshots: Snapshots,
    sentinel: Arc<Sentinel>,
}

impl Install {
    fn run(&self, meta: &SnapshotMeta, folder: &SnapshotFolder) -> Result<(), EngineError> {
        let disk = self.snapshots.disk();
        let old = live_store(self.snapshots.meta())?;
        let store = claim(&**disk, folder.name(), &old)?;
        let engine = self.sentinel.open_state(&**disk, &store)?;
        let machine = self.sentinel.look_at_state(open_machine(engine, &store, meta))?;
        if mutant::is(Mutant::SnapshotWithoutLeases) {
            let mut batch = Batch::default();
            batch.delete_range(Family::Leases, [0; 8].to_vec(), [u8::MAX; 8].to_vec());
            machine.engine().write(batch)?;
        }
        self.snapshots.build_for_install(&machine, &store)?;
        self.shared.replace(&machine);
        // The former machine is closed, which may take a while, only when nobody waits for the lock.
        let former = std::mem::replace(&mut *lock(&self.machine), machine);
        drop(former);
        if old != store {
            disk.remove(&old)?;
        }
        Ok(())
    }
}

/// Opens a snapshot, the store of this name, as a state.
fn open_machine(
    engine: Arc<dyn Engine>,
    store: &str,
    meta: &SnapshotMeta,
) -> Result<StateMachine, EngineError> {
    let machine = StateMachine::open(engine)?;
    let applied = machine.header().applied.map(types::log_id);
    if applied != meta.last_log_id {
        let detail = format!("it ends at {applied:?}, not at {:?}", meta.last_log_id);
        return Err(EngineError::Corrupt { what: format!("snapshot {store}"), detail });
    }
    Ok(machine)
}

/// Whether a snapshot that was received is what it says: one that is not must not get as far as Raft, which stops
/// when its state does not open. Every record is read once: a snapshot is a copy of files, and what a disk has
/// damaged would spread with it from replica to replica, unnoticed until somebody asks for that record.
pub(crate) fn check_snapshot(disk: &dyn Disk, folder: &str, meta: &SnapshotMeta) -> Result<(), EngineError> {
    let machine = open_machine(disk.open(folder, Role::State)?, folder, meta)?;
    read_all(&**machine.engine())
}

/// Reads every record, and so finds any that is damaged.
fn read_all(engine: &dyn Engine) -> Result<(), EngineError> {
    for family in Family::of(Role::State) {
        let mut cursor = engine.cursor(family);
        cursor.seek(&[])?;
        while cursor.entry().is_some() {
            cursor.next()?;
        }
    }
    Ok(())
}

/// The store that a snapshot folder becomes. A received folder is used as it is; a replica's own snapshot is
/// copied, since it must stay what it is, and never over the `live` state, which may be such a copy itself: until the new
/// one is whole it is all that there is.
pub(super) fn claim(disk: &dyn Disk, folder: &str, live: &str) -> Result<String, EngineError> {
    const COPY_BYTES: usize = 1 << 20;
    if folder.starts_with(INCOMING_PREFIX) {
        return Ok(folder.to_owned());
    }
    let mut store = format!("{INCOMING_PREFIX}own-{folder}");
    if store == live {
        store.push_str("-again");
    }
    disk.remove(&store)?;
    for (file, len) in disk.files(folder)? {
        let mut offset = 0;
        while offset < len || (offset == 0 && len == 0) {
            let data = disk.read_file(folder, &file, offset, COPY_BYTES)?;
            disk.write_file(&store, &file, offset, &data)?;
            if data.is_empty() {
                break;
            }
            offset += data.len() as u64;
        }
    }
    disk.sync_folder(&store)?;
    Ok(store)
}

/// Applies one entry of the log.
pub(crate) fn apply_entry(batch: &mut ApplyBatch<'_>, entry: Entry) -> Result<Answer, EngineError> {
    let at = types::position(&entry.log_id);
    match entry.payload {
        Payload::Blank => batch.blank(at),
        Payload::Normal(command) => {
            let (caller, command) = Command::decode(&command.0)?;
            return batch.command_for(at, &caller, command).map(Answer::Outcome);
        }
        Payload::Membership(membership) => {
            let record = MembershipRecord::of(Some(&entry.log_id), &membership);
            let before = batch.membership()?;
            let before =
                before.map(|bytes| record::decode::<MembershipRecord>("membership", &bytes)).transpose()?;
            let before = before.iter().flat_map(|before| before.members.keys().copied());
            let removed: Vec<_> = before.filter(|id| !record.members.contains_key(id)).collect();
            batch.set_membership(at, &record::encode(&record), &removed);
        }
    }
    Ok(Answer::Nothing)
}

impl RaftStateMachine<Types> for StateAdapter {
    type SnapshotData = SnapshotFolder;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let machine = lock(&self.machine);
        let membership = read_membership(&machine).and_then(|record| record.stored("membership"));
        Ok((machine.header().applied.map(types::log_id), membership.map_err(io::Error::other)?))
    }

    async fn apply<S>(&mut self, entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut batches = entries.ready_chunks(BATCH_ENTRIES);
        let mut is_first = true;
        while let Some(batch) = batches.next().await {
            // Whoever has come back has thousands of entries to apply; heartbeats must be answered meanwhile.
            if !std::mem::replace(&mut is_first, false) {
                tokio::task::yield_now().await;
            }
            let batch = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
            let machine = lock_when_free(&self.machine, self.snapshots.offload()).await;
            self.apply_batch(machine.map_err(io::Error::other)?, batch).map_err(io::Error::other)?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let (machine, shared) = (self.machine.clone(), self.shared.clone());
        SnapshotBuilder { machine, shared, snapshots: self.snapshots.clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        folder: SnapshotFolder,
    ) -> Result<(), io::Error> {
        let install = Install {
            machine: self.machine.clone(),
            shared: self.shared.clone(),
            snapshots: self.snapshots.clone(),
            sentinel: self.sentinel.clone(),
        };
        let contents = meta.clone();
        let installed = self.snapshots.offload().run(move || install.run(&contents, &folder)).await;
        installed.map_err(io::Error::other)?.map_err(io::Error::other)?;
        tracing::info!(last = ?meta.last_log_id, "installed a snapshot");
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let Some(current) = self.snapshots.current().map_err(io::Error::other)? else { return Ok(None) };
        let is_damaged = current.snapshot.is_damaged();
        if is_damaged {
            tracing::warn!("the snapshot is damaged; another one takes its place");
            // It was made of this state, which may be where the damage is: then this replica must stop, and leave it to
            // others to send snapshots.
            let engine = self.shared.engine();
            let read = self.snapshots.offload().run(move || read_all(&*engine)).await;
            read.map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
        let mut builder = self.get_snapshot_builder().await;
        if is_damaged || (self.shared.raft_runs() && self.is_stale(&current) && builder.has_room()) {
            return builder.build_snapshot().await.map(Some);
        }
        Ok(Some(current))
    }
}
