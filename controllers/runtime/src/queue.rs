//! A queue of keys to work on, with the guarantees of client-go's rate-limited work queue.
//!
//! - A key that is added while it waits is handed out once.
//! - A key that is added while it is worked on is handed out again after that work is done, never at the same time.
//! - A key that is added is handed out, eventually: nothing is lost.
//!
//! In: keys, at once, after a delay, or after as long as they have failed. Out: keys, one worker each. Deliberately
//! absent: a global rate limit, priorities, metrics, shutting down (workers are dropped).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The back-off after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_millis(5);

/// No back-off is longer.
const LONGEST: Duration = Duration::from_secs(1000);

/// A work queue. Clones are the same queue.
pub struct WorkQueue<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    name: &'static str,
    state: Mutex<State<T>>,
    /// Told when there is something to hand out, or an earlier time to look again.
    news: Notify,
}

/// A key is in `dirty` as long as it has to be handed out; in `ready` as well unless it is being worked on.
struct State<T> {
    ready: VecDeque<T>,
    dirty: HashSet<T>,
    working: HashSet<T>,
    delayed: Delayed<T>,
    failures: HashMap<T, u32>,
}

/// Keys to be added later, each once, at the earliest time that was asked for.
struct Delayed<T> {
    due: HashMap<T, (Instant, u64)>,
    order: BTreeMap<(Instant, u64), T>,
    next: u64,
}

impl<T: Clone + Eq + Hash> WorkQueue<T> {
    /// An empty queue. The name is for logs.
    pub fn new(name: &'static str) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            working: HashSet::new(),
            delayed: Delayed { due: HashMap::new(), order: BTreeMap::new(), next: 0 },
            failures: HashMap::new(),
        };
        Self { shared: Arc::new(Shared { name, state: Mutex::new(state), news: Notify::new() }) }
    }

    /// The name it was made with.
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// Has the key worked on.
    pub fn add(&self, key: T) {
        self.state().add(key);
        self.shared.news.notify_one();
    }

    /// Has the key worked on after this time, or earlier if that was asked for before.
    pub fn add_after(&self, key: T, delay: Duration) {
        if delay.is_zero() {
            self.add(key);
        } else {
            self.state().delayed.insert(key, Instant::now() + delay);
            self.shared.news.notify_one();
        }
    }

    /// Has the key worked on after a back-off that doubles with every call until [`forget`](Self::forget).
    pub fn add_rate_limited(&self, key: T) {
        let delay = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_default();
            let delay = backoff(*failures);
            *failures = failures.saturating_add(1);
            delay
        };
        self.add_after(key, delay);
    }

    /// Starts the key's back-off from the beginning. Does not take it out of the queue.
    pub fn forget(&self, key: &T) {
        self.state().failures.remove(key);
    }

    /// How often the key was added rate-limited since it was forgotten.
    pub fn retries(&self, key: &T) -> u32 {
        self.state().failures.get(key).copied().unwrap_or(0)
    }

    /// The next key, which is in work until [`done`](Self::done). May be dropped while it waits.
    pub async fn next(&self) -> T {
        loop {
            let earliest = match self.take(Instant::now()) {
                Ok(key) => return key,
                Err(earliest) => earliest,
            };
            match earliest {
                None => self.shared.news.notified().await,
                Some(at) => tokio::select! {
                    () = self.shared.news.notified() => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    /// Says that the work on the key has ended. If it was added meanwhile, it is handed out again.
    pub fn done(&self, key: &T) {
        self.state().done(key);
        self.shared.news.notify_one();
    }

    /// How many keys wait to be handed out, without those that are delayed or in work.
    pub fn len(&self) -> usize {
        self.state().ready.len()
    }

    /// Whether no key waits to be handed out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A key, or when to look again.
    fn take(&self, now: Instant) -> Result<T, Option<Instant>> {
        let mut state = self.state();
        while let Some(key) = state.delayed.pop_due(now) {
            state.add(key);
        }
        let taken = state.take();
        let more = !state.ready.is_empty() || (taken.is_some() && !state.delayed.order.is_empty());
        let earliest = state.delayed.earliest();
        drop(state);
        if more {
            // One permit may stand for many keys; and whoever leaves with a key hands the watch over the delayed ones
            // to another.
            self.shared.news.notify_one();
        }
        taken.ok_or(earliest)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Eq + Hash> State<T> {
    fn add(&mut self, key: T) {
        if self.dirty.insert(key.clone()) && !self.working.contains(&key) {
            self.ready.push_back(key);
        }
    }

    fn take(&mut self) -> Option<T> {
        let key = self.ready.pop_front()?;
        self.dirty.remove(&key);
        self.working.insert(key.clone());
        Some(key)
    }

    fn done(&mut self, key: &T) {
        if self.working.remove(key) && self.dirty.contains(key) {
            self.ready.push_back(key.clone());
        }
    }
}

impl<T: Clone + Eq + Hash> Delayed<T> {
    fn insert(&mut self, key: T, at: Instant) {
        if let Some(place) = self.due.get(&key) {
            if place.0 <= at {
                return;
            }
            self.order.remove(place);
        }
        let place = (at, self.next);
        self.next += 1;
        self.due.insert(key.clone(), place);
        self.order.insert(place, key);
    }

    fn pop_due(&mut self, now: Instant) -> Option<T> {
        let first = self.order.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let key = first.remove();
        self.due.remove(&key);
        Some(key)
    }

    fn earliest(&self) -> Option<Instant> {
        self.order.first_key_value().map(|(place, _)| place.0)
    }
}

impl<T> Clone for WorkQueue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> std::fmt::Debug for WorkQueue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkQueue").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

fn backoff(failures: u32) -> Duration {
    2u32.checked_pow(failures)
        .and_then(|factor| FIRST.checked_mul(factor))
        .map_or(LONGEST, |it| it.min(LONGEST))
}

#[cfg(test)]
mod tests;
