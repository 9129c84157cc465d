//! One client of a run: it takes turns, and what it does is recorded.
//!
//! In: connections, a seed, what is shared. Out: recorded operations. A client with one connection is pinned; one with
//! several roams: after an error it goes to the next. What failed may be tried again, as a new operation; what is
//! unknown never is, and its client goes on as a new process. Deliberately absent: what to do; loads decide that.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keelson_checkers::history::{Call, End, MicroOp, Nanos, ProcessId, Returned, Revision};
use tokio::time::{Instant, timeout};

use super::shared::Shared;
use crate::action::Done;
use crate::client::{CallError, Client};
use crate::random::Random;

/// One client of a run.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) random: Random,
    pub(crate) process: ProcessId,
    connections: Vec<Arc<dyn Client>>,
    at: usize,
    next_turn: Instant,
}

impl Worker {
    /// `connections` is not empty; the first one is used first.
    pub(crate) fn new(shared: &Arc<Shared>, connections: Vec<Arc<dyn Client>>, random: Random) -> Self {
        Self {
            shared: shared.clone(),
            random,
            process: shared.recorder.new_process(),
            connections,
            at: 0,
            next_turn: Instant::now(),
        }
    }

    /// The connection that it uses now.
    pub(crate) fn client(&self) -> Arc<dyn Client> {
        self.connections[self.at].clone()
    }

    /// Goes to the next replica, if it roams.
    pub(crate) fn move_on(&mut self) {
        self.at = (self.at + 1) % self.connections.len();
    }

    /// Waits for its turn. False: the load is over.
    pub(crate) async fn turn(&mut self) -> bool {
        let permille = u32::try_from(self.random.between(500, 1500)).expect("at most 1500");
        let pause = self.shared.interval() * permille / 1000;
        // Whoever was held up does not make up for it in a burst.
        self.next_turn = (self.next_turn + pause).max(Instant::now());
        self.shared.wait_until(self.next_turn).await;
        !self.shared.load_is_over()
    }

    /// Waits, but not longer than the load lasts.
    pub(crate) async fn pause(&mut self, low: Duration, high: Duration) {
        let pause = self.random.duration(low, high);
        self.shared.wait_until(Instant::now() + pause).await;
    }

    /// A number that nobody in this run has had.
    pub(crate) fn unique(&self) -> u64 {
        self.shared.unique()
    }

    /// A revision near the newest one that anybody was told of: at most `back` before it.
    pub(crate) fn recent_revision(&mut self, back: u64) -> Revision {
        let newest = self.shared.newest().0.max(1);
        Revision(self.random.between(newest.saturating_sub(back).max(1), newest))
    }

    /// Records a call and does it. `None`: there is no answer.
    pub(crate) async fn perform(
        &mut self,
        call: Call,
        action: impl Future<Output = Done>,
    ) -> Option<Returned> {
        let changes = changes(&call);
        let client = self.client();
        self.shared.begun();
        let id = self.shared.recorder.invoke(self.process, client.replica(), call);
        let done = timeout(self.shared.limits.patience, action).await.unwrap_or_else(|_| {
            Err(CallError::Unknown(format!("no answer within {:?}", self.shared.limits.patience)))
        });
        let done = done.map_err(|error| if changes { error } else { error.of_a_read() });
        match &done {
            Ok(returned) => self.shared.saw(returned.revision()),
            Err(CallError::Refused(_)) => {}
            Err(CallError::Failed(_)) => self.move_on(),
            Err(CallError::Unknown(_)) => {
                self.process = self.shared.recorder.new_process();
                self.move_on();
            }
        }
        let returned = done.as_ref().ok().cloned();
        self.shared.recorder.complete(id, |at| end(done, at));
        returned
    }
}

/// What the history says of what was done by a moment.
pub(super) fn end(done: Done, at: Nanos) -> End {
    match done {
        Ok(returned) => End::Ok { at, returned },
        Err(CallError::Refused(refusal)) => End::Failed { at, why: refusal.to_string() },
        Err(CallError::Failed(why)) => End::Failed { at, why },
        Err(CallError::Unknown(why)) => End::Unknown { at: Some(at), why },
    }
}

/// Whether a call can change anything: if not, a lost answer is a failure and no doubt.
fn changes(call: &Call) -> bool {
    match call {
        Call::Read { .. }
        | Call::List { .. }
        | Call::SetRead
        | Call::CounterRead
        | Call::LeaseTimeToLive { .. }
        | Call::LeaseKeyRead { .. } => false,
        Call::Txn(parts) => {
            parts.iter().any(|part| !matches!(part, MicroOp::Get { .. } | MicroOp::ReadList { .. }))
        }
        Call::Write { .. }
        | Call::Delete { .. }
        | Call::CompareAndSet { .. }
        | Call::SetAdd(_)
        | Call::CounterAdd(_)
        | Call::LockAcquire { .. }
        | Call::LockRelease { .. }
        | Call::FencedWrite { .. }
        | Call::LeaseGrant { .. }
        | Call::LeaseKeepAlive { .. }
        | Call::LeaseRevoke { .. }
        | Call::LeaseAttach { .. }
        | Call::Compact { .. } => true,
    }
}
