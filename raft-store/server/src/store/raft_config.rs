//! openraft's settings, and why each is not the default.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy};

use crate::{error::OpenError, options::StoreOptions};

/// Entries per replication message: replication reads by bytes, this is only an upper bound.
const ENTRIES_PER_MESSAGE: u64 = 4096;
/// Entries dropped from the log at once: each purge is a write. Where snapshots are made more often, they cost more
/// than that, and the log is not to hide them from those who lag.
const PURGE_BATCH: u64 = 1000;
/// For the whole transfer of a snapshot, in milliseconds; a transfer that hangs ends itself long before.
const SNAPSHOT_TIMEOUT_MS: u64 = 3_600_000;

pub(super) fn of(options: &StoreOptions) -> Result<Arc<Config>, OpenError> {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let timing = options.timing;
    let config = Config {
        cluster_name: "keelson".to_owned(),
        heartbeat_interval: millis(timing.heartbeat),
        election_timeout_min: millis(timing.election_min),
        election_timeout_max: millis(timing.election_max),
        // Off by default, and a replica that was cut off would depose the leader when it comes back.
        enable_pre_vote: Some(true),
        // Otherwise a restarted leader could serve an older state as linearizable.
        enable_leader_restore: Some(false),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_every),
        max_in_snapshot_log_to_keep: options.keep_behind_snapshot,
        purge_batch_size: PURGE_BATCH.min(options.snapshot_every),
        // A follower gets a snapshot only when the log no longer reaches back far enough.
        replication_lag_threshold: u64::MAX,
        install_snapshot_timeout: SNAPSHOT_TIMEOUT_MS,
        max_payload_entries: ENTRIES_PER_MESSAGE,
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(|error| OpenError::Raft(error.to_string()))
}
