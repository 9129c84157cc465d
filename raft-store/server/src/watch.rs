//! Watchers of this replica's state.
//!
//! In: what each applied batch changed. Out: to each watcher every matching change once, in order, a revision
//! never split; from memory while it is recent, from the store otherwise ([`history`]).
//!
//! Watchers pull. One that does not costs nobody anything: it reads from the store when it comes back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

use keelson_store_core::{
    apply::Header,
    command::KeyValue,
    engine::EngineError,
    id::Revision,
    mutant::{self, Mutant},
    watch::{
        self, Change, Interest, RevisionChanges,
        hub::{Hub, Matching, Polled, WatcherId},
    },
};
use tokio::sync::{
    Notify, mpsc,
    oneshot::{self, error::TryRecvError},
};

use crate::state::SharedState;

mod history;

pub(crate) use history::read as read_history;

/// All watchers of one replica.
pub struct WatchHub {
    inner: Mutex<Inner>,
    /// Where what has left memory is read.
    history: OnceLock<mpsc::UnboundedSender<history::Ask>>,
}

struct Inner {
    hub: Hub,
    wake: BTreeMap<WatcherId, Arc<Notify>>,
}

/// One watcher. Dropping it ends the watch.
pub struct Watcher {
    state: Arc<SharedState>,
    id: WatcherId,
    wake: Arc<Notify>,
    /// What is being read for it.
    reading: Option<oneshot::Receiver<history::Answer>>,
}

/// What there is for a watcher.
#[derive(Debug)]
pub enum Watched {
    /// Changes, oldest first. Poll again for more.
    Changes(WatchedChanges),
    /// Nothing. Everything that matches up to `progress` has been handed out.
    Idle {
        /// The watcher is complete up to here; `None` while its start lies in the future, or while what it
        /// needs next is read from the store, or while nobody can tell whether this replica's state is right.
        progress: Option<Revision>,
    },
}

/// Consecutive revisions with changes that match a watcher's interest.
#[derive(Debug)]
pub struct WatchedChanges(Vec<Matching>);

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
        Self { inner: Mutex::new(inner), history: OnceLock::new() }
    }

    /// Opens the way to what has left memory. The receiver goes to [`read_history`]; once, before anybody
    /// watches.
    pub(crate) fn open_history(&self) -> mpsc::UnboundedReceiver<history::Ask> {
        let (asks, asked) = mpsc::unbounded_channel();
        assert!(self.history.set(asks).is_ok(), "history is opened once");
        asked
    }

    /// Watches from `start` on; 0 means from what this replica has applied now.
    pub fn watch(&self, state: Arc<SharedState>, interest: Interest, start: Revision) -> Watcher {
        let wake = Arc::new(Notify::new());
        let mut inner = self.lock();
        let id = inner.hub.watch(interest, start);
        inner.wake.insert(id, wake.clone());
        drop(inner);
        Watcher { state, id, wake, reading: None }
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

    /// Has every watcher look again: what held them up is over.
    pub(crate) fn wake_everybody(&self) {
        self.lock().wake.values().for_each(|wake| wake.notify_one());
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
        if self.state.is_in_doubt() {
            return Ok(Watched::Idle { progress: None });
        }
        loop {
            if let Some(answer) = &mut self.reading {
                let read = match answer.try_recv() {
                    Ok(read) => read?,
                    Err(TryRecvError::Empty) => return Ok(Watched::Idle { progress: None }),
                    Err(TryRecvError::Closed) => return Err(history::stopped()),
                };
                self.reading = None;
                self.state.hub().lock().hub.caught_up(self.id, read.through);
                if !read.changes.is_empty() {
                    return Ok(Watched::Changes(WatchedChanges(read.changes)));
                }
            }
            let polled = self.state.hub().lock().hub.poll(self.id);
            match polled.expect("a watcher is in the hub until it is dropped") {
                Polled::Idle { progress } => return Ok(Watched::Idle { progress: Some(progress) }),
                Polled::Future { .. } => return Ok(Watched::Idle { progress: None }),
                Polled::Compacted { compacted } => return Err(WatchError::Compacted { compacted }),
                Polled::Changes { revisions, .. } if revisions.is_empty() => {}
                Polled::Changes { revisions, .. } => return Ok(Watched::Changes(WatchedChanges(revisions))),
                Polled::CatchUp { interest, from, to } => self.ask_history(interest, from, to)?,
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

    fn ask_history(
        &mut self,
        interest: Arc<Interest>,
        from: Revision,
        to: Revision,
    ) -> Result<(), WatchError> {
        let (answer, reading) = oneshot::channel();
        let ask = history::Ask { interest, from, to, answer, wake: self.wake.clone() };
        let asks = self.state.hub().history.get().expect("history is opened before anybody watches");
        asks.send(ask).map_err(|_| history::stopped())?;
        self.reading = Some(reading);
        Ok(())
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
        let all = self.0.iter().map(|matching| (matching.revision(), matching.changes().collect())).collect();
        if mutant::is(Mutant::SplitRevision) { one_by_one(all) } else { all }
    }
}

/// What nobody may see: every change as if it were a revision of its own.
fn one_by_one(revisions: Vec<(Revision, Vec<&Change>)>) -> Vec<(Revision, Vec<&Change>)> {
    revisions
        .into_iter()
        .flat_map(|(revision, changes)| changes.into_iter().map(move |change| (revision, vec![change])))
        .collect()
}
