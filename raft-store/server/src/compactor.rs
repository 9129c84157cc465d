//! Compacts history by age or by revisions: etcd's automatic compaction.
//!
//! In: a store, and how long or how much of its history is kept. Out: compactions, proposed by whichever
//! replica leads. Every replica notes revisions all the time, so that a new leader need not begin from
//! nothing.
//!
//! Deliberately absent: removing what was compacted (the sweeper does that, paced), and precision: history
//! lives a tenth longer than asked for.

use std::{collections::VecDeque, time::Duration};

use keelson_store_core::id::Revision;

use crate::{
    runtime::clock::{Instant, sleep},
    store::Store,
};

/// Notes of the revision during the time for which history is kept.
const NOTES: u32 = 10;

/// Compacts what is older than `keep`, until it is dropped.
///
/// A revision that was the newest at any time within `keep` stays readable.
pub async fn run(store: Store, keep: Duration) {
    let mut history = History::new(keep);
    let pause = (keep / NOTES).max(Duration::from_millis(1));
    loop {
        if let Some(revision) = history.note(Instant::now(), store.status().revision) {
            compact(&store, revision).await;
        }
        sleep(pause).await;
    }
}

/// Between two compactions by revision; etcd's.
const REVISION_PAUSE: Duration = Duration::from_secs(300);

/// Compacts all but the newest `keep` revisions, every few minutes, until it is dropped.
pub async fn run_by_revision(store: Store, keep: u64) {
    loop {
        sleep(REVISION_PAUSE).await;
        let newest = store.status().revision.get();
        compact(&store, Revision::new(newest.saturating_sub(keep))).await;
    }
}

/// Compacts, if this replica leads and has not done so yet.
async fn compact(store: &Store, revision: Revision) {
    let status = store.status();
    if status.leader != Some(status.replica) || revision <= status.compacted {
        return;
    }
    match store.compact(revision).await {
        Ok(_) => tracing::debug!(revision = revision.get(), "compacted history"),
        // The next note brings the next attempt, with more to compact.
        Err(error) => tracing::warn!(revision = revision.get(), %error, "history was not compacted"),
    }
}

/// Which revision was the newest when.
struct History {
    keep: Duration,
    /// In order of time.
    notes: VecDeque<(Instant, Revision)>,
}

impl History {
    const fn new(keep: Duration) -> Self {
        Self { keep, notes: VecDeque::new() }
    }

    /// Notes the newest revision. Answers the last one that was noted the kept time ago or earlier, once:
    /// whatever is below it has not been current since.
    fn note(&mut self, now: Instant, revision: Revision) -> Option<Revision> {
        self.notes.push_back((now, revision));
        let mut due = None;
        while let Some(&(at, revision)) = self.notes.front()
            && now.saturating_duration_since(at) >= self.keep
        {
            due = Some(revision);
            self.notes.pop_front();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(300);

    #[test]
    fn a_revision_is_due_when_it_was_noted_the_kept_time_ago_and_only_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::new(KEEP);
        assert_eq!(history.note(at(0), Revision::new(5)), None);
        assert_eq!(history.note(at(30), Revision::new(9)), None);
        assert_eq!(history.note(at(299), Revision::new(20)), None);
        assert_eq!(history.note(at(300), Revision::new(21)), Some(Revision::new(5)));
        assert_eq!(history.note(at(301), Revision::new(21)), None);
    }

    #[test]
    fn after_a_pause_only_the_newest_revision_that_is_old_enough_is_due() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::new(KEEP);
        for note in 0..5 {
            assert_eq!(history.note(at(note * 30), Revision::new(100 + note)), None);
        }
        assert_eq!(history.note(at(395), Revision::new(200)), Some(Revision::new(103)));
        assert_eq!(history.notes.len(), 2, "what is due is forgotten");
    }
}
