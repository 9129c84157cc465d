//! What all who take part in a run share.
//!
//! In: limits, control, recorder. Out: unique values, the newest revision that anybody has seen, whether the load is
//! over, and where watchers shall get to. Deliberately absent: anything that belongs to one client.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keelson_checkers::history::Revision;
use tokio::sync::watch;
use tokio::time::Instant;

use super::limits::{Control, Limits};
use crate::recorder::Recorder;

/// What all who take part in a run share.
pub(crate) struct Shared {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) limits: Limits,
    pub(crate) control: Control,
    /// Of one worker, from one turn to the next, on average.
    interval: Duration,
    /// When the load ends.
    end: Instant,
    operations: AtomicU64,
    values: AtomicU64,
    newest: AtomicU64,
    watchers: watch::Sender<Option<Goal>>,
    observers: watch::Sender<Option<Goal>>,
    shortfalls: Mutex<Vec<String>>,
}

/// Where watchers shall get to before they stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    /// Everything up to here shall be delivered,
    pub(crate) revision: Revision,
    /// until then.
    pub(crate) deadline: Instant,
}

/// Who watches: the two reach their goals one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Part of the workload.
    Watchers,
    /// Those who write the commit log down. They go on until after the last watcher, so that the log knows all that
    /// anybody was told.
    Observers,
}

impl Shared {
    /// The load begins now.
    pub(crate) fn new(recorder: Arc<Recorder>, limits: Limits, control: Control, workers: u32) -> Self {
        let interval = Duration::from_secs(1) * workers.max(1) / limits.rate.max(1);
        Self {
            recorder,
            limits,
            control,
            interval,
            end: Instant::now() + limits.time,
            operations: AtomicU64::new(0),
            values: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            watchers: watch::Sender::new(None),
            observers: watch::Sender::new(None),
            shortfalls: Mutex::default(),
        }
    }

    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// A number that nobody in this run has had.
    pub(crate) fn unique(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts an operation.
    pub(crate) fn begun(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    /// How many operations have begun.
    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Somebody was told of a revision.
    pub(crate) fn saw(&self, revision: Revision) {
        self.newest.fetch_max(revision.0, Ordering::Relaxed);
    }

    /// The newest revision that anybody was told of.
    pub(crate) fn newest(&self) -> Revision {
        Revision(self.newest.load(Ordering::Relaxed))
    }

    /// Whether no more operations may begin.
    pub(crate) fn load_is_over(&self) -> bool {
        let enough = self.limits.operations.is_some_and(|most| self.operations() >= most);
        enough || self.control.is_stopped() || Instant::now() >= self.end
    }

    /// Waits, but not longer than the load lasts.
    pub(crate) async fn wait_until(&self, moment: Instant) {
        tokio::select! {
            biased;
            () = self.control.stopped() => {}
            () = tokio::time::sleep_until(moment.min(self.end)) => {}
        }
    }

    /// Tells an audience where to get to.
    pub(crate) fn set_goal(&self, audience: Audience, revision: Revision) {
        let deadline = Instant::now() + self.limits.stocktaking;
        self.goal(audience).send_replace(Some(Goal { revision, deadline }));
    }

    /// Whether an audience has had all the time that it gets.
    pub(crate) fn has_gone(&self, audience: Audience) -> bool {
        self.goal(audience).borrow().is_some_and(|goal| Instant::now() >= goal.deadline)
    }

    pub(crate) fn goal(&self, audience: Audience) -> &watch::Sender<Option<Goal>> {
        match audience {
            Audience::Watchers => &self.watchers,
            Audience::Observers => &self.observers,
        }
    }

    /// Notes what the run could not do.
    pub(crate) fn fell_short(&self, what: String) {
        self.shortfalls.lock().expect("nobody panics while noting").push(what);
    }

    pub(crate) fn take_shortfalls(&self) -> Vec<String> {
        std::mem::take(&mut self.shortfalls.lock().expect("nobody panics while noting"))
    }
}
