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

use keelson_store_core::{apply::StateMachine, compact, engine::EngineError};

use crate::{
    runtime::{
        Offload,
        clock::{Instant, sleep, sleep_until},
    },
    state::{SharedState, lock_machine},
};

/// Changes dealt with in one step: about a millisecond of work.
const STEP_CHANGES: usize = 500;
/// Between two steps, so that writers come first.
const PACE: Duration = Duration::from_millis(5);

/// Between two times that deletions are written out. Small tables cost whoever reads and merges them.
const WRITE_OUT_EVERY: Duration = Duration::from_secs(60);

/// Sweeps until dropped, or until the engine fails: then the next write finds that too, and stops the replica.
pub(super) async fn run(machine: Arc<Mutex<StateMachine>>, state: Arc<SharedState>, offload: Offload) {
    if let Err(error) = sweep(&machine, &state, offload).await {
        tracing::error!(%error, "history cannot be dropped");
    }
}

async fn sweep(
    machine: &Arc<Mutex<StateMachine>>,
    state: &SharedState,
    offload: Offload,
) -> Result<(), EngineError> {
    let mut applied = state.applied();
    let (mut in_memory, mut write_out_at) = (false, Instant::now());
    loop {
        if step(machine)? {
            in_memory = true;
            sleep(PACE).await;
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
                let engine = lock_machine(machine).engine().clone();
                // A panic in there is told by the runtime.
                offload.run(move || engine.sync()).await.unwrap_or(Ok(()))?;
                (in_memory, write_out_at) = (false, Instant::now() + WRITE_OUT_EVERY);
            }
        }
    }
}

/// One step. False when there is nothing left to drop.
fn step(machine: &Mutex<StateMachine>) -> Result<bool, EngineError> {
    let (view, header) = lock_machine(machine).view();
    let Some(sweep) = compact::sweep(&*view, &header, STEP_CHANGES)? else { return Ok(false) };
    lock_machine(machine).sweep(sweep)?;
    Ok(true)
}
