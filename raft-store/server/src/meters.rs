//! What a replica counts and times of its own work, station by station of a write.
//!
//! In: how long each station took, each time. Out: histograms for the page of metrics, and what took longest
//! lately, for whoever wants to know where the time went. Deliberately absent: names and formats of metrics
//! ([`crate::grpc`] has them).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keelson_store_core::{
    command::{OpResponse, Outcome, Response, ResponseBody},
    id::ReplicaId,
};

use crate::runtime::clock::Instant;

/// Upper ends of the buckets, in seconds: a millisecond and its doublings, as etcd has them.
pub(crate) const BUCKETS: usize = 14;
/// How many times are remembered one by one.
const RECENT: usize = 256;

/// The stations' times and counts.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// Of the log reaching the disk.
    pub(crate) fsync: Timings,
    /// Of a batch of entries becoming state.
    pub(crate) apply: Timings,
    /// Of a snapshot being made.
    pub(crate) snapshot: Timings,
    /// Operations that were applied here, or read.
    pub(crate) ops: OpCounts,
    /// Reads whose question for a read index failed, each time,
    pub(crate) read_indexes_failed: AtomicU64,
    /// and reads that got none in time.
    pub(crate) read_indexes_slow: AtomicU64,
    /// Heartbeats of this leader that were not answered.
    pub(crate) heartbeats_failed: AtomicU64,
    /// Bytes of clients' connections, without those of TLS.
    pub(crate) clients: Arc<Traffic>,
    /// Writes that wait for their fate.
    pub(crate) pending: AtomicU64,
    /// Writes that were rejected, or whose fate is unknown.
    pub(crate) failed: AtomicU64,
    /// Writes that took longer than they should.
    pub(crate) slow: AtomicU64,
    /// Leases that were granted,
    pub(crate) leases_granted: AtomicU64,
    /// renewed through this replica,
    pub(crate) leases_renewed: AtomicU64,
    /// revoked,
    pub(crate) leases_revoked: AtomicU64,
    /// or ended by this replica because their time had passed.
    pub(crate) leases_expired: AtomicU64,
}

/// Operations, as etcd counts them.
#[derive(Debug, Default)]
pub(crate) struct OpCounts {
    pub(crate) puts: AtomicU64,
    pub(crate) deletes: AtomicU64,
    pub(crate) ranges: AtomicU64,
    /// Transactions with more than one operation.
    pub(crate) txns: AtomicU64,
}

/// Operations of one batch, added up before they are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ops {
    puts: u64,
    deletes: u64,
    ranges: u64,
    txns: u64,
}

impl Ops {
    /// Adds what a command has done, by its answer.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let Ok(Response { body: ResponseBody::Txn(answer), .. }) = outcome else { return };
        let before = self.operations();
        self.add_all(&answer.responses);
        self.txns += u64::from(self.operations() - before > 1);
    }

    fn add_all(&mut self, responses: &[OpResponse]) {
        for response in responses {
            match response {
                OpResponse::Put(_) => self.puts += 1,
                OpResponse::DeleteRange { .. } => self.deletes += 1,
                OpResponse::Range(_) => self.ranges += 1,
                OpResponse::Txn(nested) => self.add_all(&nested.responses),
            }
        }
    }

    const fn operations(&self) -> u64 {
        self.puts + self.deletes + self.ranges
    }
}

impl OpCounts {
    /// Counts a batch.
    pub(crate) fn add(&self, Ops { puts, deletes, ranges, txns }: Ops) {
        let counts =
            [(&self.puts, puts), (&self.deletes, deletes), (&self.ranges, ranges), (&self.txns, txns)];
        for (counter, more) in counts.into_iter().filter(|(_, more)| *more > 0) {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }
}

/// Bytes both ways.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

impl Traffic {
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// What is counted of one peer.
#[derive(Debug, Default)]
pub(crate) struct PeerMeters {
    /// Bytes of connections with it, without those of TLS and of the handshake.
    pub(crate) traffic: Arc<Traffic>,
    /// From a heartbeat to its answer.
    pub(crate) round_trip: Timings,
}

/// The peers that this replica has talked to, each with what is counted of it. Asked once for each connection.
#[derive(Debug, Default)]
pub(crate) struct PeerTable(Mutex<BTreeMap<ReplicaId, Arc<PeerMeters>>>);

impl PeerTable {
    /// Those of a peer.
    pub(crate) fn of(&self, peer: ReplicaId) -> Arc<PeerMeters> {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.entry(peer).or_default().clone()
    }

    /// Those of all peers.
    pub(crate) fn all(&self) -> BTreeMap<ReplicaId, Arc<PeerMeters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How long something takes.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    buckets: [AtomicU64; BUCKETS],
    count: AtomicU64,
    nanos: AtomicU64,
    /// When the last ones ended, and how long they took.
    recent: Mutex<VecDeque<(Instant, Duration)>>,
}

/// Counts.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The upper end of a bucket, in seconds.
pub(crate) fn bucket_end(bucket: usize) -> f64 {
    0.001 * (1_u64 << bucket) as f64
}

impl Timings {
    /// Something that began at a moment has ended.
    pub(crate) fn since(&self, began: Instant) {
        let now = Instant::now();
        self.record(now, now.saturating_duration_since(began));
    }

    fn record(&self, ended: Instant, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(bucket) = (0..BUCKETS).find(|bucket| seconds <= bucket_end(*bucket)) {
            count(&self.buckets[bucket]);
        }
        count(&self.count);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back((ended, took));
    }

    /// The longest of those that ended after a moment; of the last few hundred.
    pub(crate) fn longest_since(&self, moment: Instant) -> Duration {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let later = recent.iter().rev().take_while(|(ended, _)| *ended >= moment);
        later.map(|(_, took)| *took).max().unwrap_or_default()
    }

    /// How many ended within each bucket, alone.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(|count| count.load(Ordering::Relaxed))
    }

    /// How many ended, and how long all took together.
    pub(crate) fn total(&self) -> (u64, Duration) {
        (self.count.load(Ordering::Relaxed), Duration::from_nanos(self.nanos.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use keelson_store_core::{
        command::{RangeResponse, TxnResponse},
        id::Revision,
    };

    use super::*;

    fn answered(responses: Vec<OpResponse>) -> Outcome {
        let body = ResponseBody::Txn(TxnResponse { succeeded: true, responses });
        Ok(Response { revision: Revision::new(2), body })
    }

    #[test]
    fn operations_are_counted_one_by_one_and_a_transaction_where_there_are_several() {
        let mut ops = Ops::default();
        ops.add(&answered(vec![OpResponse::Put(None)]));
        assert_eq!(ops, Ops { puts: 1, ..Ops::default() });
        let nested = TxnResponse { succeeded: true, responses: vec![OpResponse::Put(None)] };
        let deleted = OpResponse::DeleteRange { deleted: 0, prev_kvs: Vec::new() };
        let read = OpResponse::Range(RangeResponse::default());
        ops.add(&answered(vec![OpResponse::Txn(nested), deleted, read]));
        assert_eq!(ops, Ops { puts: 2, deletes: 1, ranges: 1, txns: 1 });
        let counts = OpCounts::default();
        counts.add(ops);
        counts.add(ops);
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((counted(&counts.puts), counted(&counts.txns)), (4, 2));
    }

    #[test]
    fn times_are_counted_by_bucket_and_the_longest_of_late_is_known() {
        let (timings, start) = (Timings::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        for (ended, took) in [(10, 1), (20, 3), (30, 60_000), (40, 5)] {
            timings.record(after(ended), Duration::from_millis(took));
        }
        assert_eq!(timings.buckets().collect::<Vec<_>>()[..4], [1, 0, 1, 1]);
        assert_eq!(timings.total(), (4, Duration::from_millis(60_009)));
        assert_eq!(timings.longest_since(after(20)), Duration::from_secs(60));
        assert_eq!(timings.longest_since(after(35)), Duration::from_millis(5));
        assert_eq!(timings.longest_since(after(50)), Duration::ZERO);
    }
}
