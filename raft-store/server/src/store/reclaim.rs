//! Gives back room on the disk that nobody needs any more.
//!
//! In: how large log and state are, and whether the disk is nearly full. Out: snapshots that are made before their turn,
//! and log that goes.
//!
//! Raft counts entries, and entries may be large: what it would keep can take many times the room of the state. And a
//! snapshot shares its tables with the state of its moment: as long as it is the newest one, what the state has dropped
//! since then stays on the disk. Deliberately absent: the state's own room, which comes back with what is deleted.

use std::{sync::Arc, time::Duration};

use keelson_store_core::engine::{Engine, EngineError};
use openraft::{RaftMetrics, async_runtime::watch::WatchReceiver as _};

use super::space::Room;
use crate::{
    runtime::{
        Offload,
        clock::{sleep, timeout},
    },
    state::SharedState,
    types::{Raft, Types},
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After something was done about it.
const PAUSE: Duration = Duration::from_secs(10);
/// For a snapshot or a purge: neither comes while a lagging replica receives what it depends on.
const PATIENCE: Duration = Duration::from_secs(60);

/// So much log is always kept,
const LOG_BYTES: u64 = 512 << 20;
/// or so many times what the state takes: then a lagging replica is served cheaper with a snapshot.
const LOG_TIMES_STATE: u64 = 2;
/// A snapshot is replaced that holds so much, and a quarter of itself, which the state has dropped.
const STALE_BYTES: u64 = 64 << 20;

/// What a replica's disk holds.
pub(super) struct Reclaimer {
    pub(super) raft: Raft,
    pub(super) log: Arc<dyn Engine>,
    pub(super) state: Arc<SharedState>,
    pub(super) room: Arc<Room>,
    pub(super) offload: Offload,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Nothing,
    /// Only the snapshot is made anew.
    Snapshot,
    /// So many parts in a thousand of the log may stay.
    Log {
        keep_permille: u64,
    },
}

/// Looks after it until dropped, or until Raft or the log's engine fail: others find that, too, and stop the replica.
pub(super) async fn run(reclaimer: Reclaimer) {
    let mut snapshot = Seen::default();
    loop {
        sleep(LOOK_EVERY).await;
        let (log, state) = (reclaimer.log.size(), reclaimer.state.size());
        let held = snapshot.held(reclaimer.snapshot_index(), state);
        let done = match work(log, state, held, reclaimer.room.is_low()) {
            Work::Nothing => continue,
            Work::Snapshot => reclaimer.renew_snapshot().await,
            Work::Log { keep_permille } => reclaimer.trim_log(keep_permille).await,
        };
        if let Err(error) = done {
            tracing::error!(%error, "no room can be given back");
            return;
        }
        sleep(PAUSE).await;
    }
}

fn work(log: u64, state: u64, snapshot: u64, is_low: bool) -> Work {
    let budget = LOG_BYTES.max(state.saturating_mul(LOG_TIMES_STATE));
    if is_low {
        Work::Log { keep_permille: 0 }
    } else if log > budget {
        // Half of it, so that it is not done again at once.
        Work::Log { keep_permille: budget.saturating_mul(500) / log }
    } else if snapshot.saturating_sub(state) > STALE_BYTES.max(snapshot / 4) {
        Work::Snapshot
    } else {
        Work::Nothing
    }
}

/// The newest snapshot, and how large the state was when it was first seen.
#[derive(Default)]
struct Seen {
    index: Option<u64>,
    bytes: u64,
}

impl Seen {
    fn held(&mut self, index: Option<u64>, state: u64) -> u64 {
        if self.index != index {
            *self = Self { index, bytes: state };
        }
        self.bytes
    }
}

impl Reclaimer {
    fn snapshot_index(&self) -> Option<u64> {
        snapshot_index(&self.raft.metrics().borrow_watched())
    }

    async fn renew_snapshot(&self) -> Result<(), EngineError> {
        let Some(applied) = self.state.applied().borrow().index else { return Ok(()) };
        if self.snapshot_index() >= Some(applied.get()) || self.raft.trigger().snapshot().await.is_err() {
            return Ok(());
        }
        self.eventually(|metrics| snapshot_index(metrics) >= Some(applied.get())).await;
        Ok(())
    }

    /// Drops the log behind the newest snapshot, but for a part.
    async fn trim_log(&self, keep_permille: u64) -> Result<(), EngineError> {
        self.renew_snapshot().await?;
        let Some(end) = self.snapshot_index() else { return Ok(()) };
        let begin = self.raft.metrics().borrow_watched().purged.as_ref().map_or(0, |purged| purged.index());
        let upto = end - end.saturating_sub(begin).saturating_mul(keep_permille) / 1000;
        if upto <= begin || self.raft.trigger().purge_log(upto).await.is_err() {
            return Ok(());
        }
        self.eventually(|metrics| metrics.purged.as_ref().is_some_and(|purged| purged.index() >= upto)).await;
        tracing::info!(upto, "the log takes too much room: what is behind the snapshot goes");
        let log = self.log.clone();
        // A panic in there is told by the runtime.
        self.offload.run(move || log.reclaim()).await.unwrap_or(Ok(()))
    }

    /// Waits until that is so, but not for ever.
    async fn eventually(&self, is_so: impl Fn(&RaftMetrics<Types>) -> bool) {
        let mut metrics = self.raft.metrics();
        let wait = async { while !is_so(&metrics.borrow_watched()) && metrics.changed().await.is_ok() {} };
        // What has not come by now is looked at again.
        let _ = timeout(PATIENCE, wait).await;
    }
}

fn snapshot_index(metrics: &RaftMetrics<Types>) -> Option<u64> {
    metrics.snapshot.as_ref().map(|snapshot| snapshot.index())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_log_may_take_half_a_gib_or_twice_the_state_and_nothing_on_a_disk_that_is_nearly_full() {
        assert_eq!(work(512 * MIB, 1, 0, false), Work::Nothing);
        assert_eq!(work(1024 * MIB, 1, 0, false), Work::Log { keep_permille: 250 });
        assert_eq!(work(1024 * MIB, 512 * MIB, 0, false), Work::Nothing);
        assert_eq!(work(1, 1, 0, true), Work::Log { keep_permille: 0 });
    }

    #[test]
    fn a_snapshot_is_made_anew_when_the_state_has_become_much_smaller() {
        let mut seen = Seen::default();
        assert_eq!(seen.held(Some(5), 800 * MIB), 800 * MIB);
        let held = seen.held(Some(5), 610 * MIB);
        assert_eq!(work(0, 610 * MIB, held, false), Work::Nothing);
        assert_eq!(work(0, 590 * MIB, held, false), Work::Snapshot);
        assert_eq!(seen.held(Some(6), 590 * MIB), 590 * MIB, "the new one holds what is there");
        assert_eq!(work(0, MIB, 60 * MIB, false), Work::Nothing, "it is not worth it");
    }
}
