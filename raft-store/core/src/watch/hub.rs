//! The meeting place of what happens and who wants to know.
//!
//! In: each applied batch's changes, once, in order; watchers with their [`Interest`] and first revision. Out:
//! who has something to fetch now ([`Hub::publish`]), and what it is ([`Hub::poll`]).
//!
//! ```text
//!            start is past                        nothing left
//!   watch ──────────────────► Pending{from} ─────────────────────► Idle{since}
//!     │                          ▲    │ poll: changes, catch-up      │      ▲
//!     │                          │    └──────────────────────────────┘      │
//!     │                          └───────── publish: a match ───────┘       │
//!     └──────────── start is now or to come ────────────────────────────────┘
//! ```
//!
//! * **W1** A watcher gets each matching change at or after its start once, in order, no revision split.
//! * **W2** Progress is never ahead of a matching change that was not handed out, and none is claimed before
//!   the start.
//! * **W3** A watcher that needs a revision below the compacted one is told so; nothing is skipped silently.
//! * **W4** Publishing costs the same however slow watchers are: there are no buffers per watcher, only a
//!   window of recent changes that all share, bounded in bytes.
//!
//! What has left the window is read from the store by the caller: [`Polled::CatchUp`], then
//! [`Hub::caught_up`]. Deliberately absent: locks, channels and tasks.

use std::{collections::BTreeMap, sync::Arc};

use super::{Change, Interest, RevisionChanges, recent::Recent, spans::Spans};
use crate::{
    id::Revision,
    mutant::{self, Mutant},
    schema::Header,
};

/// How many revisions one poll looks through: a watcher far behind takes turns with the others.
const REVISIONS_PER_POLL: usize = 1024;
/// How many bytes of changes one poll hands out, but for one revision that has more: a watcher that takes its
/// time must not keep much more in memory than the window.
const BYTES_PER_POLL: usize = 1 << 20;
/// Whoever is behind by more revisions reads from the store, in company, even if the window has them: looking
/// through all of it for each of many watchers would take long.
const NEAR: u64 = 4096;

/// A watcher of one [`Hub`]. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(u64);

impl WatcherId {
    pub(super) const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The number of one that was made of a place in a list.
    pub(super) fn number(self) -> usize {
        usize::try_from(self.0).expect("places in lists are small")
    }
}

/// All watchers of one replica.
#[derive(Debug)]
pub struct Hub {
    /// Everything up to here has been published.
    revision: Revision,
    compacted: Revision,
    recent: Recent,
    watchers: BTreeMap<WatcherId, Watcher>,
    /// Which watchers' ranges hold a key.
    spans: Spans,
    next_id: u64,
}

#[derive(Debug)]
struct Watcher {
    interest: Arc<Interest>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has every matching change from `since` up to the hub's revision; earlier ones it does not want.
    Idle { since: Revision },
    /// It has every matching change before `from`, and there may be more.
    Pending { from: Revision },
}

/// What there is for a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nothing. It will be named by [`Hub::publish`] when there is.
    Idle {
        /// It has been handed everything that matches up to here.
        progress: Revision,
    },
    /// Nothing, and its start is yet to come, so there is no progress to speak of.
    Future {
        /// Its start.
        start: Revision,
    },
    /// These; then poll again.
    Changes {
        /// Revisions with changes that match, in order. May be empty where many did not match.
        revisions: Vec<Matching>,
        /// The next revision to look at: everything before it has been handed out.
        next: Revision,
    },
    /// Read these revisions with [`read_changes`](super::read_changes), from a view at least as new as `to`,
    /// in one or more steps, tell [`Hub::caught_up`] after each, and poll again.
    CatchUp {
        /// What to look for.
        interest: Arc<Interest>,
        /// First revision to read.
        from: Revision,
        /// Last revision to read.
        to: Revision,
    },
    /// What it needs next is no longer there. It must be removed, and its owner told.
    Compacted {
        /// The oldest revision that can still be read.
        compacted: Revision,
    },
}

/// The changes of one revision that match a watcher's interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    all: Arc<RevisionChanges>,
    interest: Arc<Interest>,
}

impl Matching {
    pub(super) const fn new(all: Arc<RevisionChanges>, interest: Arc<Interest>) -> Self {
        Self { all, interest }
    }

    /// The revision.
    pub fn revision(&self) -> Revision {
        self.all.revision
    }

    /// The changes, in order; at least one.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.all.changes.iter().filter(|change| self.interest.matches(change))
    }
}

impl Hub {
    /// A hub for a state that stands at `header`, with a window of about `window_bytes`.
    pub const fn new(header: &Header, window_bytes: usize) -> Self {
        Self {
            revision: header.revision,
            compacted: header.compacted,
            recent: Recent::new(window_bytes),
            watchers: BTreeMap::new(),
            spans: Spans::new(),
            next_id: 0,
        }
    }

    /// The revision up to which everything has been published.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// How many watchers there are.
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// True when there are no watchers.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Adds a watcher that sees changes from `start` on; 0 means from now on. Poll it next.
    pub fn watch(&mut self, interest: Interest, start: Revision) -> WatcherId {
        let mut start = if start.is_zero() { self.revision.next() } else { start };
        if mutant::is(Mutant::WatchStartsEarly) && start <= self.revision {
            start = start.previous();
        }
        if mutant::is(Mutant::WatchStartsLate) && start <= self.revision {
            start = start.next();
        }
        let id = WatcherId::new(self.next_id);
        self.next_id += 1;
        let (first, end) = interest.range.span();
        self.spans.insert(first, end, id);
        let state = self.state_before(start);
        self.watchers.insert(id, Watcher { interest: Arc::new(interest), state });
        id
    }

    /// Removes a watcher. A no-op when it is gone.
    pub fn unwatch(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.remove(&id) {
            let (start, end) = watcher.interest.range.span();
            self.spans.remove(start, end, id);
        }
    }

    /// Takes in what a batch changed; answers which watchers, idle until now, have something to fetch.
    ///
    /// # Panics
    /// When the revisions do not follow each other from the last one published up to the header's: a change
    /// would be lost, or seen twice.
    pub fn publish(&mut self, changes: &[Arc<RevisionChanges>], header: &Header) -> Vec<WatcherId> {
        let mut woken = Vec::new();
        for revision in changes {
            assert!(
                revision.revision == self.revision.next(),
                "changes are published one revision after another"
            );
            self.revision = revision.revision;
            self.wake(revision, &mut woken);
            self.recent.push(Arc::clone(revision));
        }
        assert!(self.revision == header.revision, "every revision is published");
        self.compacted = header.compacted;
        self.recent.forget_below(self.compacted);
        woken
    }

    /// The state was replaced by a newer one from elsewhere, whose changes were not published; answers which
    /// watchers have something to fetch.
    pub fn jumped(&mut self, header: &Header) -> Vec<WatcherId> {
        let unseen = self.revision.next();
        self.revision = header.revision;
        self.compacted = header.compacted;
        self.recent.clear();
        let mut woken = Vec::new();
        if mutant::is(Mutant::WatchSleepsThroughSnapshot) {
            return woken;
        }
        for (id, watcher) in &mut self.watchers {
            if let State::Idle { since } = watcher.state
                && since.max(unseen) <= header.revision
            {
                watcher.state = State::Pending { from: since.max(unseen) };
                woken.push(*id);
            }
        }
        woken
    }

    /// What there is for a watcher. `None` when there is no such watcher.
    ///
    /// What is handed out here is not handed out again.
    pub fn poll(&mut self, id: WatcherId) -> Option<Polled> {
        let Watcher { interest, state } = self.watchers.get(&id)?;
        let from = match *state {
            State::Idle { since } if since > self.revision.next() => {
                return Some(Polled::Future { start: since });
            }
            State::Idle { .. } if mutant::is(Mutant::ProgressAhead) => {
                return Some(Polled::Idle { progress: self.revision.next() });
            }
            State::Idle { .. } => return Some(Polled::Idle { progress: self.revision }),
            State::Pending { from } => from,
        };
        if from < self.compacted && mutant::is(Mutant::WatchSkipsCompacted) {
            self.go_on(id, self.compacted);
            return self.poll(id);
        }
        if from < self.compacted {
            return Some(Polled::Compacted { compacted: self.compacted });
        }
        let window = self.window();
        if from < window {
            return Some(Polled::CatchUp { interest: Arc::clone(interest), from, to: window.previous() });
        }
        let (mut next, mut bytes) = (from, 0);
        let mut revisions = Vec::new();
        for all in self.recent.since(from).take(REVISIONS_PER_POLL) {
            if all.changes.iter().any(|change| interest.matches(change)) {
                bytes += all.size();
                if bytes > BYTES_PER_POLL && !revisions.is_empty() {
                    break;
                }
                revisions.push(Matching::new(Arc::clone(all), Arc::clone(interest)));
            }
            next = all.revision.next();
        }
        self.go_on(id, next);
        Some(Polled::Changes { revisions, next })
    }

    /// A watcher has been handed everything up to and with `through`, read from the store.
    ///
    /// # Panics
    /// When `through` is beyond what [`Polled::CatchUp`] asked for and beyond what was published.
    pub fn caught_up(&mut self, id: WatcherId, through: Revision) {
        assert!(through <= self.revision, "a watcher may not be ahead of the hub");
        self.go_on(id, through.next());
    }

    /// The first revision from which on changes are handed out from memory.
    fn window(&self) -> Revision {
        let next = self.revision.next();
        let first = self.recent.first().unwrap_or(next);
        first.max(Revision::new(next.get().saturating_sub(NEAR)))
    }

    fn go_on(&mut self, id: WatcherId, next: Revision) {
        let state = self.state_before(next);
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.state = state;
        }
    }

    /// The state of a watcher that needs `next` next.
    fn state_before(&self, next: Revision) -> State {
        if next > self.revision { State::Idle { since: next } } else { State::Pending { from: next } }
    }

    fn wake(&mut self, revision: &RevisionChanges, woken: &mut Vec<WatcherId>) {
        let Self { spans, watchers, .. } = self;
        for change in &revision.changes {
            spans.holding(&change.kv.key, &mut |id| {
                if let Some(watcher) = watchers.get_mut(&id)
                    && let State::Idle { since } = watcher.state
                    && since <= revision.revision
                    && watcher.interest.wants(change.kind)
                {
                    watcher.state = State::Pending { from: revision.revision };
                    woken.push(id);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
