//! Follows a range of keys through watches: opens one, and when it ends goes on where it ended.
//!
//! In: what is of interest, and from where. Out: recorded watches, each linked to the one that it goes on from.
//! Deliberately absent: what to do when history was compacted away; whoever follows decides that.

use std::time::Duration;

use keelson_checkers::history::{Event, Filters, KeyRange, Revision, Watch, WatchEvent, WatchId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::shared::{Audience, Goal};
use super::worker::Worker;
use crate::client::{WatchMessage, WatchRequest, WatchStream};

/// Between two questions for progress when the run takes stock.
const ASK_OFTEN: Duration = Duration::from_millis(100);

/// What is of interest.
#[derive(Clone, Debug)]
pub(crate) struct Interest {
    pub(crate) range: KeyRange,
    pub(crate) filters: Filters,
    pub(crate) prev_kv: bool,
    /// Whether the store shall report progress of its own accord.
    pub(crate) progress: bool,
    /// About how often the follower asks for progress.
    pub(crate) ask: Duration,
    /// About how long a watch is kept before it is closed and another one goes on from it.
    pub(crate) keep: Option<Duration>,
}

/// How far a follower has got.
pub(crate) struct Follower {
    interest: Interest,
    audience: Audience,
    goal: watch::Receiver<Option<Goal>>,
    /// The first revision that has not been delivered; 0: none has been asked for.
    next: Revision,
    /// The watch to go on from.
    last: Option<WatchId>,
    /// The follower has everything from where it began: nothing was compacted away before it was delivered.
    gapless: bool,
}

/// Why following ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The goal is reached, or it is not and time is up.
    Over,
    /// What comes next was compacted away; this is the oldest revision that is left.
    Compacted(Revision),
}

/// Why one watch ends.
enum Closed {
    Over,
    Compacted(Revision),
    /// It broke, fell silent, or was kept long enough.
    GoOn(Pause),
}

/// Whether the next watch is opened at once.
enum Pause {
    None,
    Short,
}

impl Follower {
    /// From `start` on; 0: from now.
    pub(crate) fn new(worker: &Worker, audience: Audience, interest: Interest, start: Revision) -> Self {
        let goal = worker.shared.goal(audience).subscribe();
        Self { interest, audience, goal, next: start, last: None, gapless: true }
    }

    /// Begins anew at a revision, linked to nothing that was before.
    pub(crate) fn restart(&mut self, start: Revision) {
        self.next = start;
        self.last = None;
        self.gapless = false;
    }

    /// Follows until the goal is reached, through as many watches as that takes.
    pub(crate) async fn follow(&mut self, worker: &mut Worker) -> Ended {
        loop {
            match self.watch(worker).await {
                Closed::Over => return Ended::Over,
                Closed::Compacted(oldest) => {
                    breathe(worker).await;
                    return Ended::Compacted(oldest);
                }
                Closed::GoOn(Pause::None) => worker.move_on(),
                Closed::GoOn(Pause::Short) => {
                    worker.move_on();
                    breathe(worker).await;
                }
            }
        }
    }

    /// One watch, from opening to closing.
    async fn watch(&mut self, worker: &mut Worker) -> Closed {
        let (id, mut stream) = self.open(worker);
        let keep =
            self.interest.keep.map(|keep| Instant::now() + worker.random.duration(keep / 2, keep * 3 / 2));
        let mut ask = self.next_ask(worker);
        // Time for two questions and their answers.
        let patience = worker.shared.limits.patience * 2 + self.interest.ask * 3;
        let mut silent = Instant::now() + patience;
        loop {
            let goal = *self.goal.borrow_and_update();
            if let Some(goal) = goal
                && let Some(closed) = self.arrived(worker, goal)
            {
                return self.close(worker, id, "the run is over", closed);
            }
            // A watch that was to be kept only so long is kept when the run takes stock.
            let keep = keep.filter(|_| goal.is_none());
            tokio::select! {
                biased;
                _ = self.goal.changed() => ask = Instant::now(),
                () = sleep_until(ask) => {
                    stream.ask_progress();
                    ask = self.next_ask(worker);
                }
                () = sleep_until(keep.unwrap_or(silent)), if keep.is_some() => {
                    return self.close(worker, id, "kept long enough", Closed::GoOn(Pause::None));
                }
                message = stream.next() => {
                    silent = Instant::now() + patience;
                    if let Some(closed) = self.take(worker, id, message) {
                        return closed;
                    }
                }
                () = sleep_until(silent) => {
                    return self.close(worker, id, "no answer to questions for progress", Closed::GoOn(Pause::None));
                }
            }
        }
    }

    fn open(&mut self, worker: &Worker) -> (WatchId, Box<dyn WatchStream>) {
        let Interest { range, filters, prev_kv, progress, .. } = self.interest.clone();
        let client = worker.client();
        let id = worker.shared.recorder.watch(|opened| Watch {
            process: worker.process,
            replica: Some(client.replica().to_owned()),
            range: range.clone(),
            start: self.next,
            filters,
            prev_kv,
            // It asks for reports, whether or not it wants them unasked, too.
            progress_asked: true,
            opened,
            responses: Vec::new(),
            resumed_from: self.last,
        });
        // Nothing was delivered before a watch "from now on" says when that was, so nothing goes on from it until then.
        self.last = self.next.told().map(|_| id);
        (id, client.watch(WatchRequest { range, start: self.next, filters, prev_kv, progress }))
    }

    fn next_ask(&self, worker: &mut Worker) -> Instant {
        let ask = if self.goal.borrow().is_some() { ASK_OFTEN } else { self.interest.ask };
        Instant::now() + worker.random.duration(ask / 2, ask * 3 / 2)
    }

    /// Whether there is nothing more to wait for.
    fn arrived(&self, worker: &Worker, goal: Goal) -> Option<Closed> {
        if self.next > goal.revision {
            return Some(Closed::Over);
        }
        (Instant::now() >= goal.deadline).then(|| {
            let (client, next, goal) = (worker.client(), self.next, goal.revision);
            let audience = self.audience.name();
            worker.shared.fell_short(format!(
                "{audience}: a watch of {} needs revision {next} next and should have got to {goal} by now",
                client.replica()
            ));
            Closed::Over
        })
    }

    /// Records a message, and whether it was the last one.
    fn take(&mut self, worker: &Worker, id: WatchId, message: WatchMessage) -> Option<Closed> {
        let header = message.header_revision;
        let closed = match &message.what {
            WatchEvent::Created => {
                if self.next == Revision::ZERO && header != Revision::ZERO {
                    self.next = header.next();
                    self.last = Some(id);
                }
                None
            }
            WatchEvent::Events(events) => {
                self.delivered(newest(events));
                None
            }
            WatchEvent::Progress => {
                self.delivered(header);
                None
            }
            WatchEvent::Canceled { compact_revision, .. } => Some(match compact_revision.told() {
                Some(oldest) => Closed::Compacted(oldest),
                None => Closed::GoOn(Pause::Short),
            }),
            WatchEvent::Broken(_) => Some(Closed::GoOn(Pause::Short)),
        };
        worker.shared.recorder.response(id, message);
        if self.audience == Audience::Observers && self.gapless {
            worker.shared.control.log_reaches(Revision(self.next.0.saturating_sub(1)));
        }
        closed
    }

    /// Everything up to here has been delivered.
    fn delivered(&mut self, revision: Revision) {
        if self.next != Revision::ZERO {
            self.next = self.next.max(revision.next());
        }
    }

    fn close(&self, worker: &Worker, id: WatchId, why: &str, closed: Closed) -> Closed {
        let what = WatchEvent::Broken(format!("closed by the client: {why}"));
        worker.shared.recorder.response(id, WatchMessage { header_revision: Revision::ZERO, what });
        closed
    }
}

impl Audience {
    const fn name(self) -> &'static str {
        match self {
            Self::Watchers => "watcher",
            Self::Observers => "observer",
        }
    }
}

/// A replica that ends every watch at once is not asked for the next one at once.
async fn breathe(worker: &mut Worker) {
    sleep(worker.random.duration(Duration::from_millis(50), Duration::from_millis(250))).await;
}

fn newest(events: &[Event]) -> Revision {
    events.iter().map(|event| event.revision).max().unwrap_or_default()
}
