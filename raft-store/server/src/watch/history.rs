//! Reads history for the watchers that need it, many at a time.
//!
//! In: watchers that are behind, each with what it looks for. Out: to each a stretch of what it looks for, and
//! how far that goes; then it asks again. All who wait when a walk along the change log begins, and need what
//! lies on it, go along: ten thousand watchers that come back after a server was lost cost little more than
//! one. Walks are short and happen where they hold up nobody, and whoever has waited longest decides where the
//! next one begins: neither a watcher that takes its time nor one that needs very much delays another one.

use std::{collections::VecDeque, sync::Arc};

use keelson_store_core::{
    command::CommandError,
    engine::EngineError,
    id::Revision,
    watch::{self, Interest, Reader, hub::Matching},
};
use tokio::sync::{Notify, mpsc, oneshot};

use super::WatchError;
use crate::{runtime::Offload, state::SharedState};

/// How much one walk reads and hands out, about: a few milliseconds of work.
const WALK_BYTES: usize = 1 << 20;
/// Watchers on one walk at most.
const WALKERS: usize = 4096;

/// What a watcher is answered.
pub(super) type Answer = Result<Stretch, WatchError>;

/// A watcher that needs history.
pub(crate) struct Ask {
    pub(super) interest: Arc<Interest>,
    /// From this revision
    pub(super) from: Revision,
    /// up to this one.
    pub(super) to: Revision,
    pub(super) answer: oneshot::Sender<Answer>,
    /// Tells the watcher that there is an answer.
    pub(super) wake: Arc<Notify>,
}

/// A part of what was asked for, from its beginning.
pub(super) struct Stretch {
    pub(super) changes: Vec<Matching>,
    /// The watcher has everything up to here.
    pub(super) through: Revision,
}

/// Nobody reads any more.
pub(super) fn stopped() -> WatchError {
    let cause = "this replica has stopped".to_owned();
    WatchError::Broken(EngineError::Io { what: "read history".to_owned(), cause })
}

/// Answers watchers until nobody can ask any more.
pub(crate) async fn read(state: Arc<SharedState>, mut asked: mpsc::UnboundedReceiver<Ask>, offload: Offload) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(ask) = asked.recv().await else { return };
            waiting.push_back(ask);
        }
        while let Ok(ask) = asked.try_recv() {
            waiting.push_back(ask);
        }
        waiting.retain(|ask: &Ask| !ask.answer.is_closed());
        let walkers = take_walkers(&mut waiting);
        let Some(to) = walkers.iter().map(|ask| ask.to).max() else { continue };
        let readers: Vec<_> = walkers.iter().map(Ask::reader).collect();
        let state = state.clone();
        let walk = offload.run(move || walk(&state, &readers, to)).await;
        let walked = walk.unwrap_or_else(|_| Err(stopped()));
        // Whoever begins further on waits for another walk, and has its turn before whoever came later.
        let left = tell(walkers, walked);
        left.into_iter().rev().for_each(|ask| waiting.push_front(ask));
    }
}

/// Those who need what lies behind the place where the one begins that has waited longest, in their order.
fn take_walkers(waiting: &mut VecDeque<Ask>) -> Vec<Ask> {
    let Some(begin) = waiting.front().map(|ask| ask.from) else { return Vec::new() };
    let (mut walkers, mut others) = (Vec::new(), VecDeque::new());
    for ask in waiting.drain(..) {
        if ask.from >= begin && walkers.len() < WALKERS { walkers.push(ask) } else { others.push_back(ask) }
    }
    *waiting = others;
    walkers
}

/// What a walk has found: for each walker what it looks for, and how far all went.
type Walked = Result<watch::CatchUp, WatchError>;

fn walk(state: &SharedState, readers: &[Reader], to: Revision) -> Walked {
    let view = state.view()?;
    match watch::read_changes(view.read(), view.header(), readers, to, WALK_BYTES)? {
        Ok(walked) => Ok(walked),
        Err(CommandError::Compacted { compacted }) => Err(WatchError::Compacted { compacted }),
        Err(other) => unreachable!("reading history fails only below the compacted revision: {other}"),
    }
}

/// Answers those who were reached, and returns the others.
fn tell(walkers: Vec<Ask>, walked: Walked) -> Vec<Ask> {
    let mut left = Vec::new();
    match walked {
        Ok(walked) => {
            for (ask, changes) in walkers.into_iter().zip(walked.changes) {
                if ask.from > walked.through {
                    left.push(ask);
                } else {
                    ask.tell(Ok(Stretch { changes, through: walked.through }));
                }
            }
        }
        Err(WatchError::Compacted { compacted }) => {
            for ask in walkers {
                if ask.from >= compacted {
                    left.push(ask);
                } else {
                    ask.tell(Err(WatchError::Compacted { compacted }));
                }
            }
        }
        Err(broken) => walkers.into_iter().for_each(|ask| ask.tell(Err(broken.clone()))),
    }
    left
}

impl Ask {
    fn reader(&self) -> Reader {
        Reader { interest: self.interest.clone(), from: self.from }
    }

    fn tell(self, answer: Answer) {
        // The watcher may have gone away.
        if self.answer.send(answer).is_ok() {
            self.wake.notify_one();
        }
    }
}
