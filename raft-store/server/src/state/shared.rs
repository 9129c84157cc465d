//! What the writer of the state shares with its readers.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keelson_store_core::{
    apply::{self, Applied as AppliedBatch, ApplyBatch, Header, LeaseChange, StateMachine},
    auth::Auth,
    command::{Caller, RangeRequest, RangeResponse},
    engine::{Engine, EngineError, Read},
    id::{AuthRevision, LogIndex, LogPosition, ReplicaId, Revision, Term},
    lease::{Lessor, Millis},
    mvcc,
};
use tokio::sync::{Notify, watch};

use super::hashes::Hashes;
use crate::{
    error::ReadError,
    meters::{Meters, count},
    runtime::clock::Instant,
    watch::WatchHub,
};

/// How far this replica has applied the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The last applied entry; `None` before the first.
    pub index: Option<LogIndex>,
    /// That entry's term.
    pub term: Term,
    /// The store's revision after it.
    pub revision: Revision,
    /// Reads below this revision are refused.
    pub compacted: Revision,
}

/// The state as readers see it. One per replica; the writer is [`super::StateAdapter`].
pub struct SharedState {
    live: RwLock<Live>,
    applied: watch::Sender<Applied>,
    lessor: Mutex<Lessor>,
    /// Where the lessor's clock begins.
    started: Instant,
    /// When a leader last said something that counts, on the lessor's clock.
    leader_heard: AtomicU64,
    /// The leader, in its term, that this replica is not in touch with any more.
    lost_leader: Mutex<Option<(Term, ReplicaId)>>,
    /// Whether this replica is a learner that stays one, as far as it knows.
    learns: AtomicBool,
    /// Raft has begun. Before, it asks for the snapshot to learn which one there is, and nobody is to wait for another.
    raft_runs: AtomicBool,
    /// Wakes whoever waits for the next deadline.
    leases_changed: Notify,
    /// Follows users and roles.
    auth_changed: watch::Sender<AuthRevision>,
    hub: WatchHub,
    meters: Arc<Meters>,
    hashes: Mutex<Hashes>,
    /// Why nothing may be served. The flag says whether there is a reason.
    doubt: Mutex<Option<String>>,
    is_in_doubt: AtomicBool,
}

/// Where readers read. Both change at once, so that nobody reads what users and roles of that moment do not permit.
struct Live {
    engine: Arc<dyn Engine>,
    auth: Arc<Auth>,
}

impl Live {
    fn of(machine: &StateMachine) -> Self {
        Self { engine: machine.engine().clone(), auth: machine.auth().clone() }
    }
}

/// The state at one moment.
#[derive(Clone)]
pub struct StateView {
    read: Arc<dyn Read>,
    header: Header,
    auth: Arc<Auth>,
}

impl Applied {
    /// The part of a header that readers wait for.
    pub fn of(header: &Header) -> Self {
        Self {
            index: header.applied.map(|at| at.index),
            term: header.applied.map_or_else(Term::default, |at| at.term),
            revision: header.revision,
            compacted: header.compacted,
        }
    }
}

impl Applied {
    /// The last applied entry, with its term.
    fn at(&self) -> Option<LogPosition> {
        Some(LogPosition { term: self.term, index: self.index? })
    }
}

impl SharedState {
    /// The state of a machine that was just opened.
    pub(crate) fn new(machine: &StateMachine, watch_history_bytes: usize) -> Self {
        let header = machine.header();
        Self {
            live: RwLock::new(Live::of(machine)),
            applied: watch::Sender::new(Applied::of(header)),
            lessor: Mutex::new(Lessor::new()),
            started: Instant::now(),
            leader_heard: AtomicU64::new(0),
            lost_leader: Mutex::default(),
            learns: AtomicBool::new(false),
            raft_runs: AtomicBool::new(false),
            leases_changed: Notify::new(),
            auth_changed: watch::Sender::new(machine.auth().revision()),
            hub: WatchHub::new(header, watch_history_bytes),
            hashes: Mutex::new(Hashes::of(header)),
            doubt: Mutex::default(),
            is_in_doubt: AtomicBool::new(false),
            meters: Arc::default(),
        }
    }

    /// Follows how far the log is applied.
    pub fn applied(&self) -> watch::Receiver<Applied> {
        self.applied.subscribe()
    }

    /// The last entry that is applied right now.
    pub(crate) fn applied_at(&self) -> Option<LogPosition> {
        self.applied.borrow().at()
    }

    /// The state right now, on this replica alone: not linearizable by itself.
    pub fn view(&self) -> Result<StateView, EngineError> {
        let (read, auth) = {
            let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
            (live.engine.view(), live.auth.clone())
        };
        let header = Header::load(&*read)?;
        Ok(StateView { read, header, auth })
    }

    /// Users and roles right now, on this replica alone.
    pub fn auth(&self) -> Arc<Auth> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).auth.clone()
    }

    /// Follows the revision of users and roles.
    pub fn auth_changes(&self) -> watch::Receiver<AuthRevision> {
        self.auth_changed.subscribe()
    }

    /// Who asks when the store itself does.
    pub(crate) fn own_caller(&self) -> Caller {
        if self.auth().is_enabled() { Caller::System } else { Caller::Anyone }
    }

    /// Bytes on disk, roughly.
    pub fn size(&self) -> u64 {
        self.engine().size()
    }

    /// Where the state is, for background work.
    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).engine.clone()
    }

    /// Notes that Raft has begun.
    pub(crate) fn raft_has_begun(&self) {
        self.raft_runs.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(crate) fn raft_runs(&self) -> bool {
        self.raft_runs.load(Ordering::Relaxed)
    }

    /// Who is to be told of changes.
    pub fn hub(&self) -> &WatchHub {
        &self.hub
    }

    /// What this replica counts of its work.
    pub(crate) fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// The deadlines of leases. A poisoned lock means a bug inside the lessor, which leaves no state half done.
    pub fn lessor(&self) -> MutexGuard<'_, Lessor> {
        self.lessor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when a lease came or went.
    pub(crate) fn leases_changed(&self) -> &Notify {
        &self.leases_changed
    }

    /// The lessor's clock.
    pub fn now(&self) -> Millis {
        Millis::new(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A leader has said something that counts.
    pub(crate) fn hear_leader(&self) {
        self.leader_heard.store(self.now().get(), Ordering::Relaxed);
    }

    /// How long ago that was; since this replica began, where none has said anything.
    pub(crate) fn leader_silence(&self) -> Duration {
        Duration::from_millis(self.now().get().saturating_sub(self.leader_heard.load(Ordering::Relaxed)))
    }

    /// Notes the leader, in its term, that this replica is not in touch with any more, if so. It is noted by who follows
    /// that, and not found out by whoever asks: they may have another clock.
    pub(crate) fn set_lost_leader(&self, leader: Option<(Term, ReplicaId)>) {
        *self.lost_leader.lock().unwrap_or_else(PoisonError::into_inner) = leader;
    }

    /// Whether this replica is not in touch any more with this leader of this term.
    pub(crate) fn has_lost(&self, term: Term, leader: ReplicaId) -> bool {
        *self.lost_leader.lock().unwrap_or_else(PoisonError::into_inner) == Some((term, leader))
    }

    /// Whether this replica is a learner that stays one. Asked before every call, so it takes no lock.
    pub(crate) fn is_learner(&self) -> bool {
        self.learns.load(Ordering::Relaxed)
    }

    /// Notes that.
    pub(crate) fn set_learner(&self, learns: bool) {
        self.learns.store(learns, Ordering::Relaxed);
    }

    /// Puts a batch into the engine. Where it changes users or roles, nobody reads what follows under those before it.
    pub(crate) fn commit(&self, batch: ApplyBatch<'_>) -> Result<AppliedBatch, EngineError> {
        if !batch.changes_auth() {
            return batch.commit();
        }
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let applied = batch.commit()?;
        live.auth = applied.auth.clone();
        drop(live);
        self.auth_changed.send_replace(applied.auth.revision());
        Ok(applied)
    }

    /// The rolling hash after an entry, where it is known.
    pub(crate) fn hash_after(&self, index: LogIndex) -> Option<u64> {
        self.hashes().after(index)
    }

    /// Whether nothing may be served, because other replicas have another state and nobody can tell which is right.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.load(Ordering::Relaxed)
    }

    /// Why nothing may be served, if so.
    pub(crate) fn doubt(&self) -> Option<String> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a replica was a member, as far as this state has come, and was removed.
    pub(crate) fn was_removed(&self, replica: ReplicaId) -> Result<bool, EngineError> {
        apply::was_removed(self.view()?.read(), replica)
    }

    /// From now on nothing is served for this reason; without one, everything.
    pub(crate) fn set_doubt(&self, doubt: Option<String>) {
        let mut told = self.doubt.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = self.is_in_doubt.swap(doubt.is_some(), Ordering::Relaxed) && doubt.is_none();
        *told = doubt;
        drop(told);
        if is_over {
            self.hub.wake_everybody();
        }
    }

    /// Tells readers what a batch has changed. Called by the writer, after the batch is in the engine.
    pub(crate) fn publish(&self, batch: &AppliedBatch) {
        self.follow_leases(&batch.leases);
        self.hashes().append(batch);
        let applied = Applied::of(&batch.header);
        self.hub.publish(&batch.changes, &batch.header);
        if !batch.leases.is_empty() {
            self.leases_changed.notify_one();
        }
        self.applied.send_replace(applied);
    }

    /// A poisoned lock is taken all the same: whatever is done under it leaves it consistent.
    fn hashes(&self) -> MutexGuard<'_, Hashes> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow_leases(&self, changes: &[LeaseChange]) {
        let (mut lessor, now) = (self.lessor(), self.now());
        for change in changes {
            match *change {
                LeaseChange::Granted(lease) => {
                    count(&self.meters.leases_granted);
                    lessor.granted(now, lease);
                }
                LeaseChange::Revoked(id) => {
                    count(&self.meters.leases_revoked);
                    lessor.revoked(id);
                }
            }
        }
    }

    /// Puts another store in place of the live one: a snapshot was installed.
    pub(crate) fn replace(&self, machine: &StateMachine) {
        let header = machine.header();
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Live::of(machine);
        self.auth_changed.send_replace(machine.auth().revision());
        self.hub.jumped(header);
        *self.hashes() = Hashes::of(header);
        self.applied.send_replace(Applied::of(header));
    }
}

impl StateView {
    /// What the view reads from.
    pub fn read(&self) -> &dyn Read {
        &*self.read
    }

    /// Positions and revisions at the view's moment.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Users and roles at the view's moment.
    pub fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    /// Reads keys, at the view's revision or an older one.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, ReadError> {
        Ok(mvcc::range(&*self.read, &self.header, request)??)
    }
}
