//! The rolling hash: a number that two replicas share exactly when they applied the same things.
//!
//! Each step hashes the value so far together with one thing that happened, so neither batching nor
//! sweeping shows in it. Numbers are fixed-size and keys carry their length: no two things that happen look
//! alike. Every input byte is part of the replicas' contract; a change here needs all replicas to change together.

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    id::{ChangeId, LeaseId, Revision},
    lease::Lease,
    watch::{Change, ChangeKind},
};

const PUT: u8 = 1;
const DELETE: u8 = 2;
const COMPACT: u8 = 3;
const GRANT: u8 = 4;
const REVOKE: u8 = 5;
const AUTH: u8 = 6;

/// A running hash.
pub(crate) struct RollingHash {
    value: u64,
    /// What goes into the next step; kept for its memory.
    input: Vec<u8>,
}

impl RollingHash {
    pub(crate) const fn new(value: u64) -> Self {
        Self { value, input: Vec::new() }
    }

    pub(crate) const fn value(&self) -> u64 {
        self.value
    }

    /// A key was changed.
    pub(crate) fn changed(&mut self, id: ChangeId, change: &Change) {
        let kind = match change.kind {
            ChangeKind::Put => PUT,
            ChangeKind::Delete => DELETE,
        };
        let kv = &change.kv;
        let numbers = [
            id.revision.get(),
            id.sub.into(),
            kv.create_revision.get(),
            kv.version,
            kv.lease.get().cast_unsigned(),
            kv.key.len() as u64,
        ];
        self.step(kind, &numbers, &[&kv.key, &kv.value]);
    }

    /// History was compacted.
    pub(crate) fn compacted(&mut self, revision: Revision) {
        self.step(COMPACT, &[revision.get()], &[]);
    }

    /// A lease was granted.
    pub(crate) fn granted(&mut self, lease: Lease) {
        self.step(GRANT, &[lease.id.get().cast_unsigned(), lease.ttl_seconds.into()], &[]);
    }

    /// A lease was revoked.
    pub(crate) fn revoked(&mut self, id: LeaseId) {
        self.step(REVOKE, &[id.get().cast_unsigned()], &[]);
    }

    /// Users or roles were changed; `record` is what they have become.
    pub(crate) fn auth_changed(&mut self, record: &[u8]) {
        self.step(AUTH, &[record.len() as u64], &[record]);
    }

    fn step(&mut self, kind: u8, numbers: &[u64], bytes: &[&[u8]]) {
        self.input.clear();
        self.input.extend(self.value.to_be_bytes());
        self.input.push(kind);
        for number in numbers {
            self.input.extend(number.to_be_bytes());
        }
        for bytes in bytes {
            self.input.extend_from_slice(bytes);
        }
        self.value = xxh3_64(&self.input);
    }
}
