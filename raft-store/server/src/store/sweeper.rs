//! Drops history below the compacted revision, a little at a time.
//!
//! It never touches what an allowed read returns, so replicas sweep each at their own pace.
//!
//! What was dropped is written out in the end: as long as an engine keeps deletions in memory, what they delete stays on
//! the disk, and where nobody writes any more, it would for ever.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keelson_store_core::{
    apply::{Header, StateMachine},
    compact,
    engine::EngineError,
};
use tokio::task::JoinError;

use crate::{
    runtime::{
        Offload,
        clock::{Instant, sleep, sleep_until},
    },
    state::{SharedState, lock_when_free},
};

/// Changes dealt with in one step: about half a millisecond for which writers wait. Each step deletes a range of the change log,
/// and many ranges are dear to whoever reads it.
const STEP_CHANGES: usize = 500;
/// Between two steps: what the deletions make an engine merge should not come all at once.
const PACE: Duration = Duration::from_millis(30);
/// When more revisions than this wait, the pauses are shorter in proportion, but never
const BACKLOG: u64 = 1_000_000;
/// shorter than this.
const LEAST_PACE: Duration = Duration::from_millis(5);

/// Between two times that deletions are written out. Small tables cost whoever reads and merges them.
const WRITE_OUT_EVERY: Duration = Duration::from_secs(60);

/// Drops the history of one state.
pub(super) struct Sweeper {
    pub(super) machine: Arc<Mutex<StateMachine>>,
    pub(super) state: Arc<SharedState>,
    pub(super) offload: Offload,
}

/// Why there is no more sweeping.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Panicked(#[from] JoinError),
}

impl Sweeper {
    /// Sweeps until dropped, or until the engine fails: then the next write finds that too, and stops the replica.
    pub(super) async fn run(self) {
        if let Err(error) = self.sweep().await {
            tracing::error!(%error, "history cannot be dropped");
        }
    }

    async fn sweep(&self) -> Result<(), SweepError> {
        let mut applied = self.state.applied();
        let (mut in_memory, mut write_out_at) = (false, Instant::now());
        loop {
            if let Some(pause) = self.step().await? {
                in_memory = true;
                sleep(pause).await;
                continue;
            }
            let compacted = applied.borrow_and_update().compacted;
            tokio::select! {
                is_gone = async { applied.wait_for(|applied| applied.compacted > compacted).await.is_err() } => {
                    if is_gone {
                        return Ok(());
                    }
                }
                () = sleep_until(write_out_at), if in_memory => {
                    let engine = self.state.engine();
                    self.offload.run(move || engine.sync()).await??;
                    (in_memory, write_out_at) = (false, Instant::now() + WRITE_OUT_EVERY);
                }
            }
        }
    }

    /// One step: read aside, carried out here. How long the next one should wait, or nothing when there is nothing left to
    /// drop.
    async fn step(&self) -> Result<Option<Duration>, SweepError> {
        let (view, header) = lock_when_free(&self.machine, self.offload).await?.view();
        let planned = self.offload.run(move || compact::sweep(&*view, &header, STEP_CHANGES)).await??;
        let Some(sweep) = planned else { return Ok(None) };
        lock_when_free(&self.machine, self.offload).await?.sweep(sweep)?;
        Ok(Some(pause(&header)))
    }
}

/// Between two steps, as far as the state has come.
fn pause(header: &Header) -> Duration {
    let waiting = header.compacted.get().saturating_sub(header.swept.revision.get());
    PACE.mul_f64(BACKLOG as f64 / waiting.max(BACKLOG) as f64).max(LEAST_PACE)
}

#[cfg(test)]
mod tests {
    use keelson_store_core::{
        engine::{Disk as _, Role, mem::MemDisk},
        id::{ChangeId, Revision},
    };

    use super::*;

    #[test]
    fn the_more_waits_the_shorter_are_the_pauses() {
        let disk = MemDisk::new();
        let empty = *StateMachine::open(disk.open("state", Role::State).unwrap()).unwrap().header();
        let pause_at = |swept: u64, compacted: u64| {
            let swept = ChangeId::last_of(Revision::new(swept));
            pause(&Header { swept, compacted: Revision::new(compacted), ..empty })
        };
        assert_eq!(pause_at(1, 2), PACE);
        assert_eq!(pause_at(10, 1_000_010), PACE);
        assert_eq!(pause_at(10, 3_000_010), PACE / 3);
        // The revisions that a restored state skips.
        assert_eq!(pause_at(10, 1_000_000_010), LEAST_PACE);
        assert_eq!(pause_at(10, 9), PACE, "a state that was put in another one's place");
    }
}
