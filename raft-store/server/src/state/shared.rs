//! What the writer of the state shares with its readers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use keelson_store_core::{
    apply::{Applied as AppliedBatch, Header, LeaseChange},
    command::{RangeRequest, RangeResponse},
    engine::{Engine, EngineError, Read},
    id::{LogIndex, Revision},
    lease::{Lessor, Millis},
    mvcc,
};
use tokio::sync::{Notify, watch};

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
    /// The store's revision after it.
    pub revision: Revision,
    /// Reads below this revision are refused.
    pub compacted: Revision,
}

/// The state as readers see it. One per replica; the writer is [`super::StateAdapter`].
pub struct SharedState {
    live: RwLock<Arc<dyn Engine>>,
    applied: watch::Sender<Applied>,
    lessor: Mutex<Lessor>,
    /// Where the lessor's clock begins.
    started: Instant,
    /// Wakes whoever waits for the next deadline.
    leases_changed: Notify,
    hub: WatchHub,
    meters: Arc<Meters>,
}

/// The state at one moment.
#[derive(Clone)]
pub struct StateView {
    read: Arc<dyn Read>,
    header: Header,
}

impl Applied {
    /// The part of a header that readers wait for.
    pub fn of(header: &Header) -> Self {
        Self {
            index: header.applied.map(|at| at.index),
            revision: header.revision,
            compacted: header.compacted,
        }
    }
}

impl SharedState {
    /// The state of a machine that was just opened.
    pub(crate) fn new(engine: Arc<dyn Engine>, header: &Header, watch_history_bytes: usize) -> Self {
        Self {
            live: RwLock::new(engine),
            applied: watch::Sender::new(Applied::of(header)),
            lessor: Mutex::new(Lessor::new()),
            started: Instant::now(),
            leases_changed: Notify::new(),
            hub: WatchHub::new(header, watch_history_bytes),
            meters: Arc::default(),
        }
    }

    /// Follows how far the log is applied.
    pub fn applied(&self) -> watch::Receiver<Applied> {
        self.applied.subscribe()
    }

    /// The state right now, on this replica alone: not linearizable by itself.
    pub fn view(&self) -> Result<StateView, EngineError> {
        let read = self.live.read().unwrap_or_else(PoisonError::into_inner).view();
        let header = Header::load(&*read)?;
        Ok(StateView { read, header })
    }

    /// Bytes on disk, roughly.
    pub fn size(&self) -> u64 {
        self.live.read().unwrap_or_else(PoisonError::into_inner).size()
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

    /// Tells readers what a batch has changed. Called by the writer, after the batch is in the engine.
    pub(crate) fn publish(&self, batch: &AppliedBatch) {
        self.follow_leases(&batch.leases);
        let applied = Applied::of(&batch.header);
        self.hub.publish(&batch.changes, &batch.header);
        if !batch.leases.is_empty() {
            self.leases_changed.notify_one();
        }
        self.applied.send_replace(applied);
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
    pub(crate) fn replace(&self, engine: Arc<dyn Engine>, header: &Header) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = engine;
        self.hub.jumped(header);
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

    /// Reads keys, at the view's revision or an older one.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, ReadError> {
        Ok(mvcc::range(&*self.read, &self.header, request)??)
    }
}
