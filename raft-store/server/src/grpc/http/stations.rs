//! The stations of a write on the page of metrics, under etcd's names where they mean the same.
//!
//! Deliberately absent: etcd's counters of its peers' streams, which this store does not have.

use std::sync::atomic::Ordering;

use super::metrics::{Kind, Page};
use crate::meters::{Meters, Timings, bucket_end};

pub(super) fn stations(page: &mut Page, meters: &Meters) {
    histogram(
        page,
        "etcd_disk_wal_fsync_duration_seconds",
        "From the wish to make the log durable until it is.",
        &meters.fsync,
    );
    histogram(
        page,
        "etcd_disk_backend_commit_duration_seconds",
        "Of a batch of committed entries becoming state.",
        &meters.apply,
    );
    let counters = [
        ("etcd_server_proposals_failed_total", "Writes rejected, or of unknown fate.", &meters.failed),
        ("etcd_server_slow_apply_total", "Writes that took longer than expected.", &meters.slow),
        ("etcd_debugging_lease_granted_total", "Leases granted.", &meters.leases_granted),
        ("etcd_debugging_lease_renewed_total", "Leases renewed through this member.", &meters.leases_renewed),
        ("etcd_debugging_lease_revoked_total", "Leases revoked.", &meters.leases_revoked),
        ("etcd_debugging_server_lease_expired_total", "Leases that ran out here.", &meters.leases_expired),
    ];
    for (name, help, counter) in counters {
        page.one(name, Kind::Counter, help, counter.load(Ordering::Relaxed));
    }
    let pending = meters.pending.load(Ordering::Relaxed);
    page.one("etcd_server_proposals_pending", Kind::Gauge, "Writes that wait for their fate.", pending);
}

fn histogram(page: &mut Page, name: &str, help: &str, timings: &Timings) {
    page.begin(name, Kind::Histogram, help);
    let mut below = 0;
    for (bucket, count) in timings.buckets().enumerate() {
        below += count;
        page.sample(&format!("{name}_bucket"), &format!("le=\"{}\"", bucket_end(bucket)), below);
    }
    let (count, seconds) = timings.total();
    page.sample(&format!("{name}_bucket"), "le=\"+Inf\"", count);
    page.sample(&format!("{name}_sum"), "", seconds.as_secs_f64());
    page.sample(&format!("{name}_count"), "", count);
}
