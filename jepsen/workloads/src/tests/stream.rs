//! Watches of the plain store.
//!
//! In: a request. Out: messages, in batches of whatever size, broken off now and then. Mistakes are made here, on what
//! the store's commits say.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Event, Revision, WatchEvent};
use tokio::time::{Duration, timeout};

use super::replica::{Cluster, Mistake};
use crate::client::{WatchMessage, WatchRequest, WatchStream};

/// How often a stream looks for leases that have ended.
const LOOK: Duration = Duration::from_millis(50);

/// One watch.
pub(super) struct Stream {
    cluster: Arc<Cluster>,
    request: WatchRequest,
    created: bool,
    /// The first revision that was not looked at.
    next: Revision,
    asked: bool,
    /// To be sent before anything else.
    waiting: Vec<WatchMessage>,
}

impl Stream {
    pub(super) fn open(cluster: Arc<Cluster>, request: WatchRequest) -> Self {
        let next = request.start;
        Self { cluster, request, created: false, next, asked: false, waiting: Vec::new() }
    }

    /// What there is to send.
    fn poll(&mut self) -> Option<WatchMessage> {
        if let Some(message) = self.waiting.pop() {
            return Some(message);
        }
        let (revision, compacted) = {
            let state = self.cluster.state();
            (state.revision, state.compacted)
        };
        let message = |what| Some(WatchMessage { header_revision: revision, what });
        if !self.created {
            self.created = true;
            if self.next == Revision::ZERO {
                self.next = revision.next();
            } else if self.next <= revision && self.cluster.errs(Mistake::SkippedStart, 30) {
                self.next = self.next.next();
            }
            return message(WatchEvent::Created);
        }
        if self.next < compacted {
            return message(WatchEvent::Canceled {
                compact_revision: compacted,
                reason: "compacted".to_owned(),
            });
        }
        if self.asked && self.next <= revision && self.cluster.errs(Mistake::EarlyProgress, 100) {
            self.asked = false;
            return message(WatchEvent::Progress);
        }
        let events = self.collect(revision);
        if !events.is_empty() {
            return self.send(events, revision);
        }
        (std::mem::take(&mut self.asked) && self.next > revision).then_some(())?;
        message(WatchEvent::Progress)
    }

    /// Events of some revisions.
    fn collect(&mut self, revision: Revision) -> Vec<Event> {
        let most = self.cluster.draw(|random| random.between(1, 5));
        let mut events = Vec::new();
        let mut revisions = 0;
        while self.next <= revision && revisions < most {
            let changes = self.cluster.state().changes(self.next).to_vec();
            let wanted: Vec<Event> = changes.into_iter().filter_map(|event| self.wanted(event)).collect();
            self.next = self.next.next();
            if wanted.is_empty() || self.cluster.errs(Mistake::EventLost, 3) {
                continue;
            }
            revisions += 1;
            events.extend(wanted);
        }
        events
    }

    fn wanted(&self, mut event: Event) -> Option<Event> {
        let unfiltered = self.cluster.mistake == Some(Mistake::Unfiltered);
        let wants = self.request.filters.wants(event.became.as_ref()) || unfiltered;
        if !wants || !self.request.range.contains(&event.key) {
            return None;
        }
        if !self.request.prev_kv || self.cluster.errs(Mistake::NoPrevious, 20) {
            event.previous = None;
        }
        Some(event)
    }

    fn send(&mut self, events: Vec<Event>, revision: Revision) -> Option<WatchMessage> {
        let message = |events| WatchMessage { header_revision: revision, what: WatchEvent::Events(events) };
        let (first, last) = (events[0].revision, events[events.len() - 1].revision);
        if self.cluster.errs(Mistake::EventTwice, 3) {
            self.waiting.push(message(events.clone()));
        }
        if first == last && events.len() > 1 && self.cluster.errs(Mistake::SplitRevision, 50) {
            self.waiting.push(message(events[1..].to_vec()));
            return Some(message(events[..1].to_vec()));
        }
        Some(message(events))
    }
}

impl WatchStream for Stream {
    fn next(&mut self) -> BoxFuture<'_, WatchMessage> {
        async {
            loop {
                if self.created && self.cluster.draw(|random| random.below(400) == 0) {
                    let what = WatchEvent::Broken("the connection is gone".to_owned());
                    return WatchMessage { header_revision: Revision::ZERO, what };
                }
                let cluster = self.cluster.clone();
                let changed = cluster.changed.notified();
                if let Some(message) = self.poll() {
                    return message;
                }
                // Leases end without anybody's doing.
                timeout(LOOK, changed).await.ok();
            }
        }
        .boxed()
    }

    fn ask_progress(&mut self) {
        self.asked = true;
    }
}
