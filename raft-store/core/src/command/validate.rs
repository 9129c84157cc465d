//! What is wrong with a command whatever the state is: asked at the door, so that it does not reach the log,
//! and again in apply, because a log may come from a door that was less strict.
//!
//! As etcd: the operations of a nested transaction count against what its parent has left of the limit, and a
//! transaction must not write a key twice. The branches of one transaction exclude each other, so they
//! may both write it. Stricter than etcd in two cases, where etcd makes two changes of one key at one revision:
//! sibling transactions of which one puts a key and a later one deletes it; and a deletion of all keys from one on, which
//! etcd takes for an empty range when it looks for keys that are written twice.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    Command, CommandError, Compare, DeleteRangeRequest, KeyRange, Op, PutRequest, RangeRequest, Txn,
    spans::Spans,
};

/// The most compares, and the most operations per branch, of a transaction; etcd's default.
pub const MAX_TXN_OPS: usize = 128;

impl Command {
    /// Whether the command makes sense at all.
    pub fn validate(&self) -> Result<(), CommandError> {
        match self {
            Self::Txn(txn) => txn.validate(),
            Self::LeaseGrant { id, ttl_seconds: _ } | Self::LeaseRevoke(id) if id.is_none() => {
                Err(CommandError::LeaseNotFound)
            }
            Self::Compact(_) | Self::LeaseGrant { .. } | Self::LeaseRevoke(_) | Self::Auth(_) => Ok(()),
        }
    }
}

impl Txn {
    /// Whether the transaction makes sense at all.
    pub fn validate(&self) -> Result<(), CommandError> {
        self.check_requests(MAX_TXN_OPS)?;
        [&self.success, &self.failure].into_iter().try_for_each(|branch| match &branch[..] {
            // By far the most common branches, and nothing to compare.
            [] | [Op::Range(_) | Op::Put(_) | Op::DeleteRange(_)] => Ok(()),
            ops => written(ops).map(|_| ()),
        })
    }

    fn check_requests(&self, max_ops: usize) -> Result<(), CommandError> {
        let ops = self.compare.len().max(self.success.len()).max(self.failure.len());
        let left = max_ops.checked_sub(ops).ok_or(CommandError::TooManyOps)?;
        self.compare.iter().try_for_each(Compare::validate)?;
        self.success.iter().chain(&self.failure).try_for_each(|op| match op {
            Op::Range(request) => request.validate(),
            Op::Put(request) => request.validate(),
            Op::DeleteRange(request) => request.validate(),
            Op::Txn(txn) => txn.check_requests(left),
        })
    }
}

impl Compare {
    fn validate(&self) -> Result<(), CommandError> {
        check_range(&self.range)
    }
}

impl RangeRequest {
    /// Whether the request makes sense at all.
    pub fn validate(&self) -> Result<(), CommandError> {
        check_range(&self.range)
    }
}

impl DeleteRangeRequest {
    /// Whether the request makes sense at all.
    pub fn validate(&self) -> Result<(), CommandError> {
        check_range(&self.range)
    }
}

impl PutRequest {
    /// Whether the request makes sense at all.
    pub fn validate(&self) -> Result<(), CommandError> {
        check_key(&self.key)?;
        if self.ignore_value && !self.value.is_empty() {
            return Err(CommandError::ValueProvided);
        }
        if self.ignore_lease && !self.lease.is_none() {
            return Err(CommandError::LeaseProvided);
        }
        Ok(())
    }
}

fn check_range(range: &KeyRange) -> Result<(), CommandError> {
    check_key(range.start())
}

const fn check_key(key: &Bytes) -> Result<(), CommandError> {
    if key.is_empty() { Err(CommandError::EmptyKey) } else { Ok(()) }
}

/// What a branch writes, if it writes no key twice.
fn written(ops: &[Op]) -> Result<Written<'_>, CommandError> {
    let mut all = Written::default();
    for op in ops {
        all.add(match op {
            Op::Range(_) => continue,
            Op::Put(put) => Written { puts: [&put.key].into(), deletes: Spans::default() },
            Op::DeleteRange(request) => Written { puts: BTreeSet::new(), deletes: Spans::of(&request.range) },
            Op::Txn(txn) => written(&txn.success)?.or(written(&txn.failure)?),
        })?;
    }
    Ok(all)
}

/// Which keys some operations write.
#[derive(Default)]
struct Written<'t> {
    puts: BTreeSet<&'t Bytes>,
    deletes: Spans,
}

impl<'t> Written<'t> {
    /// What either of two branches writes, of which only one runs.
    fn or(mut self, other: Self) -> Self {
        self.puts.extend(other.puts);
        self.deletes.extend(other.deletes);
        self
    }

    /// Adds what another operation of the same branch writes. Deletes may overlap: the second finds nothing.
    fn add(&mut self, other: Self) -> Result<(), CommandError> {
        let twice = other.puts.iter().any(|key| self.puts.contains(*key) || self.deletes.contains(key))
            || other.deletes.holds_any_of(&self.puts);
        if twice {
            return Err(CommandError::DuplicateKey);
        }
        *self = std::mem::take(self).or(other);
        Ok(())
    }
}
