//! The stations of a write on the page of metrics, under etcd's names where they mean the same.
//!
//! Deliberately absent: etcd's counters of its peers' streams, which this store does not have.

use std::sync::atomic::Ordering;

use keelson_store_core::id::ReplicaId;

use super::metrics::{Kind, Page};
use crate::meters::{Meters, PeerTable, Timings, bucket_end};

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
    histogram(
        page,
        "etcd_disk_backend_snapshot_duration_seconds",
        "Of a snapshot of the state being made.",
        &meters.snapshot,
    );
    let (ops, clients) = (&meters.ops, &meters.clients);
    let counters = [
        ("etcd_mvcc_put_total", "Puts applied here.", &ops.puts),
        ("etcd_mvcc_delete_total", "Deletions of ranges applied here.", &ops.deletes),
        ("etcd_mvcc_range_total", "Ranges read here, also by transactions.", &ops.ranges),
        ("etcd_mvcc_txn_total", "Transactions of several operations applied here.", &ops.txns),
        (
            "etcd_server_read_indexes_failed_total",
            "Questions for a read index that failed; they are asked again.",
            &meters.read_indexes_failed,
        ),
        (
            "etcd_server_slow_read_indexes_total",
            "Reads that got no read index in time.",
            &meters.read_indexes_slow,
        ),
        (
            "etcd_server_heartbeat_send_failures_total",
            "Heartbeats of this leader without an answer.",
            &meters.heartbeats_failed,
        ),
        (
            "etcd_network_client_grpc_received_bytes_total",
            "Bytes of clients, with HTTP's and without TLS's.",
            &clients.received,
        ),
        (
            "etcd_network_client_grpc_sent_bytes_total",
            "Bytes to clients, with HTTP's and without TLS's.",
            &clients.sent,
        ),
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

/// What is counted of each peer.
pub(super) fn peers(page: &mut Page, peers: &PeerTable) {
    let peers = peers.all();
    let label = |name: &str, peer: ReplicaId| format!("{name}=\"{:x}\"", peer.get());
    page.begin("etcd_network_peer_sent_bytes_total", Kind::Counter, "Bytes to a peer, without TLS's.");
    for (peer, meters) in &peers {
        let sent = meters.traffic.sent.load(Ordering::Relaxed);
        page.sample("etcd_network_peer_sent_bytes_total", &label("To", *peer), sent);
    }
    page.begin("etcd_network_peer_received_bytes_total", Kind::Counter, "Bytes of a peer, without TLS's.");
    for (peer, meters) in &peers {
        let received = meters.traffic.received.load(Ordering::Relaxed);
        page.sample("etcd_network_peer_received_bytes_total", &label("From", *peer), received);
    }
    const ROUND_TRIP: &str = "etcd_network_peer_round_trip_time_seconds";
    page.begin(ROUND_TRIP, Kind::Histogram, "From a heartbeat of this leader to its answer.");
    for (peer, meters) in &peers {
        samples(page, ROUND_TRIP, &label("To", *peer), &meters.round_trip);
    }
}

fn histogram(page: &mut Page, name: &str, help: &str, timings: &Timings) {
    page.begin(name, Kind::Histogram, help);
    samples(page, name, "", timings);
}

fn samples(page: &mut Page, name: &str, labels: &str, timings: &Timings) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut below = 0;
    for (bucket, count) in timings.buckets().enumerate() {
        below += count;
        page.sample(
            &format!("{name}_bucket"),
            &format!("{labels}{comma}le=\"{}\"", bucket_end(bucket)),
            below,
        );
    }
    let (count, seconds) = timings.total();
    page.sample(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"+Inf\""), count);
    page.sample(&format!("{name}_sum"), labels, seconds.as_secs_f64());
    page.sample(&format!("{name}_count"), labels, count);
}
