//! Watchers of this replica's state.
//!
//! In: what each applied batch changed. Out: to each watcher every matching change once, in order, a revision
//! never split; from memory while it is recent, from the store otherwise.
//!
//! Watchers pull. One that does not costs nobody anything: it reads from the store when it comes back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use keelson_store_core::{
    apply::Header,
    command::{CommandError, KeyValue},
    engine::EngineError,
    id::Revision,
    mutant::{self, Mutant},
    watch::{
        self, Change, Interest, RevisionChanges,
        hub::{Hub, Matching, Polled, WatcherId},
    },
};
use tokio::sync::Notify;

use crate::state::{SharedState, StateView};

/// How much history one step of catching up reads.
const CATCH_UP_BYTES: usize = 1 << 20;

/// All watchers of one replica.
pub struct WatchHub {
    inner: Mutex<Inner>,
}

struct Inner {
    hub: Hub,
    wake: BTreeMap<WatcherId, Arc<Notify>>,
}

/// One watcher. Dropping it ends the watch.
pub struct Watcher {
    state: Arc<SharedState>,
    id: WatcherId,
    interest: Interest,
    wake: Arc<Notify>,
}

/// What there is for a watcher.
#[derive(Debug)]
pub enum Watched {
    /// Changes, oldest first. Poll again for more.
    Changes(WatchedChanges),
    /// Nothing. Everything that matches up to `progress` has been handed out.
    Idle {
        /// The watcher is complete up to here; `None` while its start lies in the future.
        progress: Option<Revision>,
    },
}

/// Consecutive revisions with changes that match a watcher's interest.
#[derive(Debug)]
pub enum WatchedChanges {
    /// From memory, shared with other watchers.
    Recent(Vec<Matching>),
    /// From the store.
    History(Vec<RevisionChanges>),
}

/// Why a watch has ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WatchError {
    /// What it needs next has been compacted away.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted {
        /// The oldest revision from which a watch can start.
        compacted: Revision,
    },
    /// The local engine failed; this replica is about to stop.
    #[error("the local store failed: {0}")]
    Broken(#[from] EngineError),
}

impl WatchHub {
    pub(crate) fn new(header: &Header, history_bytes: usize) -> Self {
        let inner = Inner { hub: Hub::new(header, history_bytes), wake: BTreeMap::new() };
        Self { inner: Mutex::new(inner) }
    }

    /// Watches from `start` on; 0 means from what this replica has applied now.
    pub fn watch(&self, state: Arc<SharedState>, interest: Interest, start: Revision) -> Watcher {
        let wake = Arc::new(Notify::new());
        let mut inner = self.lock();
        let id = inner.hub.watch(interest.clone(), start);
        inner.wake.insert(id, wake.clone());
        drop(inner);
        Watcher { state, id, interest, wake }
    }

    /// How many watchers there are.
    pub fn watchers(&self) -> usize {
        self.lock().hub.len()
    }

    /// Takes in what a batch has changed.
    pub(crate) fn publish(&self, changes: &[Arc<RevisionChanges>], header: &Header) {
        let mut inner = self.lock();
        let ready = inner.hub.publish(changes, header);
        inner.wake_all(&ready);
    }

    /// The state was replaced by a newer one whose changes were not published here.
    pub(crate) fn jumped(&self, header: &Header) {
        let mut inner = self.lock();
        let ready = inner.hub.jumped(header);
        inner.wake_all(&ready);
    }

    /// A panic under the lock is a broken invariant of the hub: events could be lost, so go no further.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("the hub is whole: nobody has panicked inside it")
    }
}

impl Inner {
    fn wake_all(&self, ready: &[WatcherId]) {
        ready.iter().filter_map(|id| self.wake.get(id)).for_each(|wake| wake.notify_one());
    }
}

impl Watcher {
    /// What there is right now. What is handed out here is not handed out again.
    pub fn poll(&mut self) -> Result<Watched, WatchError> {
        loop {
            let polled = self.state.hub().lock().hub.poll(self.id);
            let polled = polled.expect("a watcher is in the hub until it is dropped");
            let changes = match polled {
                Polled::Idle { progress } => return Ok(Watched::Idle { progress: Some(progress) }),
                Polled::Future { .. } => return Ok(Watched::Idle { progress: None }),
                Polled::Compacted { compacted } => return Err(WatchError::Compacted { compacted }),
                Polled::Changes { revisions, .. } => WatchedChanges::Recent(revisions),
                Polled::CatchUp { from, to } => WatchedChanges::History(self.catch_up(from, to)?),
            };
            if !changes.is_empty() {
                return Ok(Watched::Changes(changes));
            }
        }
    }

    /// Completes when [`Self::poll`], having been idle, may have something new. Cancel-safe.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    /// The next changes, waiting for them. Cancel-safe.
    pub async fn next(&mut self) -> Result<WatchedChanges, WatchError> {
        loop {
            match self.poll()? {
                Watched::Changes(changes) => return Ok(changes),
                Watched::Idle { .. } => self.changed().await,
            }
        }
    }

    /// The version that a change replaced, where it still exists.
    pub fn previous(&self, change: &Change) -> Result<Option<KeyValue>, EngineError> {
        let view = self.state.view()?;
        watch::previous_kv(view.read(), change)
    }

    fn catch_up(&self, from: Revision, to: Revision) -> Result<Vec<RevisionChanges>, WatchError> {
        let view: StateView = self.state.view()?;
        let read = watch::read_changes(view.read(), view.header(), &self.interest, from, to, CATCH_UP_BYTES)?;
        match read {
            Ok(step) => {
                self.state.hub().lock().hub.caught_up(self.id, step.through);
                Ok(step.changes)
            }
            Err(CommandError::Compacted { compacted }) => Err(WatchError::Compacted { compacted }),
            Err(other) => unreachable!("reading history fails only below the compacted revision: {other}"),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut inner = self.state.hub().lock();
        inner.hub.unwatch(self.id);
        inner.wake.remove(&self.id);
    }
}

impl WatchedChanges {
    /// The revisions, oldest first, each with its matching changes.
    pub fn revisions(&self) -> Vec<(Revision, Vec<&Change>)> {
        let revisions: Vec<_> = match self {
            Self::Recent(revisions) => {
                revisions.iter().map(|matching| (matching.revision(), matching.changes().collect())).collect()
            }
            Self::History(revisions) => {
                revisions.iter().map(|changes| (changes.revision, changes.changes.iter().collect())).collect()
            }
        };
        if mutant::is(Mutant::SplitRevision) { one_by_one(revisions) } else { revisions }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Recent(revisions) => revisions.is_empty(),
            Self::History(revisions) => revisions.is_empty(),
        }
    }
}

/// What nobody may see: every change as if it were a revision of its own.
fn one_by_one(revisions: Vec<(Revision, Vec<&Change>)>) -> Vec<(Revision, Vec<&Change>)> {
    revisions
        .into_iter()
        .flat_map(|(revision, changes)| changes.into_iter().map(move |change| (revision, vec![change])))
        .collect()
}
