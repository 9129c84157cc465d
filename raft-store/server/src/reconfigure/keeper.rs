//! Completes, while this replica leads, what a membership needs without being asked.
//!
//! In: Raft's metrics as they change. Out: steps of `plan::upkeep`. Runs until dropped.

use std::{sync::Arc, time::Duration};

use openraft::async_runtime::watch::WatchReceiver as _;

use super::Reconfigurer;
use crate::{membership, runtime::clock::sleep};

/// Between two looks while somebody is to be called.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs until dropped.
pub(crate) async fn run(reconfigurer: Arc<Reconfigurer>) {
    let raft = reconfigurer.raft.clone();
    // One receiver for all rounds: a new one takes what is there already for a change.
    let mut who = raft.server_metrics();
    loop {
        let (_, leads) = membership::leadership(&raft);
        if !leads || !needs_upkeep(&membership::current(&raft)) {
            // Both show in these, which change far less often than the others.
            if who.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        }
        reconfigurer.upkeep().await;
        sleep(PAUSE).await;
    }
}

/// Whether anything is half done, or anybody may be called.
fn needs_upkeep(membership: &crate::types::Membership) -> bool {
    membership.get_joint_config().len() > 1 || membership.learner_ids().next().is_some()
}
