//! How long and how fast a run goes, and how whoever breaks the cluster steers it.
//!
//! In: the driver's wishes. Out: what all clients of a run look at. Deliberately absent: faults; the driver injects
//! them, and says here when they are over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keelson_checkers::history::Revision;
use tokio_util::sync::CancellationToken;

/// How long and how fast a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long clients begin new operations.
    pub time: Duration,
    /// How many operations are begun at most.
    pub operations: Option<u64>,
    /// How many operations all clients begin a second; at least 1.
    pub rate: u32,
    /// How long a client waits for an answer before it gives up.
    pub patience: Duration,
    /// How long the run waits, when the load is over and the cluster is healed, before it takes stock: longer than the
    /// store goes on with a write whose client has given up.
    pub settle: Duration,
    /// How long the stocktaking may take: the last reads, and watchers' catching up.
    pub stocktaking: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            operations: None,
            rate: 200,
            patience: Duration::from_secs(5),
            settle: Duration::from_secs(10),
            stocktaking: Duration::from_secs(60),
        }
    }
}

/// How the driver steers a run, and what it may know of it. Clones are the same control.
#[derive(Clone, Debug, Default)]
pub struct Control {
    stopped: CancellationToken,
    healed: CancellationToken,
    logged: Arc<AtomicU64>,
}

impl Control {
    /// For a cluster that may be broken: stock is not taken before [`Self::heal`].
    pub fn new() -> Self {
        Self::default()
    }

    /// For a cluster that nobody breaks.
    pub fn of_a_healthy_cluster() -> Self {
        let control = Self::new();
        control.heal();
        control
    }

    /// Ends the load, whatever the limits say.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// Says that no fault is active and none will come.
    pub fn heal(&self) {
        self.healed.cancel();
    }

    /// Up to here some observer has seen every commit. A driver that compacts beyond it may make the commit log
    /// incomplete.
    pub fn logged(&self) -> Revision {
        Revision(self.logged.load(Ordering::Relaxed))
    }

    pub(crate) fn log_reaches(&self, revision: Revision) {
        self.logged.fetch_max(revision.0, Ordering::Relaxed);
    }

    pub(crate) async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_cancelled()
    }

    pub(crate) async fn healed(&self) {
        self.healed.cancelled().await;
    }
}
