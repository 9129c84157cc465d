//! Drops history below the compacted revision, a little at a time.
//!
//! It never touches what an allowed read returns, so replicas sweep each at their own pace.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keelson_store_core::{apply::StateMachine, compact, engine::EngineError};

use crate::{
    runtime::clock::sleep,
    state::{SharedState, lock_machine},
};

/// Changes dealt with in one step: about a millisecond of work.
const STEP_CHANGES: usize = 500;
/// Between two steps, so that writers come first.
const PACE: Duration = Duration::from_millis(5);

/// Sweeps until dropped, or until the engine fails: then the next write finds that too, and stops the replica.
pub(super) async fn run(machine: Arc<Mutex<StateMachine>>, state: Arc<SharedState>) {
    let mut applied = state.applied();
    loop {
        match step(&machine) {
            Ok(true) => sleep(PACE).await,
            Ok(false) => {
                let compacted = applied.borrow_and_update().compacted;
                if applied.wait_for(|applied| applied.compacted > compacted).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(%error, "history cannot be dropped");
                return;
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
