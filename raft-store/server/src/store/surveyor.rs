//! Learns which keys the state holds, a little at a time, so that a write of a new key need not search for it.
//!
//! In: the state machine. Out: what it knows (`keelson_store_core::apply::StateMachine::survey`). A member that has just
//! started, or was given another one's state, reads all keys once, at some ten thousand records a second, and its writes
//! search until then. Nothing else depends on it. What the survey cannot read is damage that is found early: the sentinel notes
//! it, as it does with whatever is read wrongly.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keelson_store_core::apply::StateMachine;

use crate::{
    runtime::{Offload, clock::sleep},
    state::lock_when_free,
};

/// Records looked at in one step: a fraction of a millisecond.
const STEP_RECORDS: usize = 250;
/// Between two steps, so that writers come first.
const PACE: Duration = Duration::from_millis(10);
/// Between two looks at whether there is something to learn.
const PAUSE: Duration = Duration::from_secs(1);

/// Surveys until dropped, or until the state cannot be read.
pub(super) async fn run(machine: Arc<Mutex<StateMachine>>, offload: Offload) {
    // Only a panic ends it, which the next write meets, too.
    while let Ok(more) = lock_when_free(&machine, offload).await.map(|mut state| state.survey(STEP_RECORDS)) {
        match more {
            Ok(true) => sleep(PACE).await,
            Ok(false) => sleep(PAUSE).await,
            Err(error) => {
                tracing::error!(%error, "the state's keys cannot be read");
                return;
            }
        }
    }
}
