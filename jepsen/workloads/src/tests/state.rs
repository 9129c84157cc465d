//! A store that is plainly right: one map of versions, one number.
//!
//! In: transactions, leases, a clock as arguments. Out: what etcd would answer. Deliberately absent: replicas, waiting,
//! mistakes; [`super::replica`] and [`super::stream`] make those.

use std::collections::BTreeMap;

use keelson_checkers::history::{Event, Key, KeyVersion, LeaseId, Revision};
use tokio::time::{Duration, Instant};

use crate::client::{
    Attribute, CallError, Guard, Op, OpResult, RangeRequest, RangeResponse, Refusal, Txn, TxnResponse,
};

/// Everything that the store knows.
pub(super) struct State {
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
    versions: BTreeMap<Key, Vec<(Revision, Option<KeyVersion>)>>,
    /// By revision, from 2 on.
    pub(super) commits: Vec<Vec<Event>>,
    leases: BTreeMap<LeaseId, Lease>,
}

struct Lease {
    ttl: Duration,
    end: Instant,
}

/// What a transaction has done so far.
#[derive(Default)]
struct Draft {
    order: Vec<Key>,
    became: BTreeMap<Key, Option<KeyVersion>>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            revision: Revision(1),
            compacted: Revision::ZERO,
            versions: BTreeMap::new(),
            commits: Vec::new(),
            leases: BTreeMap::new(),
        }
    }

    fn at(&self, key: &Key, revision: Revision) -> Option<&KeyVersion> {
        let versions = self.versions.get(key)?;
        let (_, version) = versions.iter().rev().find(|(at, _)| *at <= revision)?;
        version.as_ref()
    }

    /// Answers at `now`, or at the request's revision.
    pub(super) fn range(&self, request: &RangeRequest, now: Revision) -> Result<RangeResponse, CallError> {
        let revision = request.revision.unwrap_or(now);
        if revision < self.compacted {
            return Err(Refusal::Compacted.into());
        }
        if revision > now {
            return Err(Refusal::FutureRevision.into());
        }
        let inside = self.versions.keys().filter(|key| request.range.contains(key));
        let mut items: Vec<_> =
            inside.filter_map(|key| Some((key.clone(), self.at(key, revision)?.clone()))).collect();
        let limit = request.limit.map_or(items.len(), |limit| limit as usize);
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(RangeResponse { revision: now, items, more })
    }

    pub(super) fn holds(&self, guards: &[Guard]) -> bool {
        guards.iter().all(|guard| {
            let version = self.at(&guard.key, self.revision);
            match guard.holds {
                Attribute::CreateRevision(revision) => {
                    version.map_or(Revision::ZERO, |version| version.create_revision) == revision
                }
                Attribute::ModRevision(revision) => {
                    version.map_or(Revision::ZERO, |version| version.mod_revision) == revision
                }
            }
        })
    }

    pub(super) fn txn(&mut self, txn: &Txn) -> Result<TxnResponse, CallError> {
        let succeeded = self.holds(&txn.guards);
        self.branch(if succeeded { &txn.success } else { &txn.failure }, succeeded)
    }

    /// Runs a branch, whatever the guards say.
    pub(super) fn branch(&mut self, branch: &[Op], succeeded: bool) -> Result<TxnResponse, CallError> {
        let (results, draft) = self.draft(branch)?;
        self.commit(draft);
        Ok(TxnResponse { revision: self.revision, succeeded, results })
    }

    /// What a branch would answer, without doing it; `None`: it writes nothing.
    pub(super) fn pretend(&self, branch: &[Op]) -> Result<Option<TxnResponse>, CallError> {
        let (results, draft) = self.draft(branch)?;
        let answer = TxnResponse { revision: self.revision.next(), succeeded: true, results };
        Ok((!draft.order.is_empty()).then_some(answer))
    }

    fn draft(&self, branch: &[Op]) -> Result<(Vec<OpResult>, Draft), CallError> {
        let mut draft = Draft::default();
        let results: Result<_, CallError> = branch.iter().map(|op| self.op(op, &mut draft)).collect();
        Ok((results?, draft))
    }

    fn op(&self, op: &Op, draft: &mut Draft) -> Result<OpResult, CallError> {
        let was = |draft: &Draft, key: &Key| {
            draft.became.get(key).cloned().unwrap_or_else(|| self.at(key, self.revision).cloned())
        };
        Ok(match op {
            Op::Get(key) => OpResult::Got(was(draft, key)),
            Op::Put(key, value, lease) => {
                if lease.0 != 0 && !self.leases.contains_key(lease) {
                    return Err(Refusal::LeaseNotFound.into());
                }
                let revision = self.revision.next();
                let (create_revision, version) =
                    was(draft, key).map_or((revision, 0), |was| (was.create_revision, was.version));
                let became = KeyVersion {
                    value: value.clone(),
                    create_revision,
                    mod_revision: revision,
                    version: version + 1,
                    lease: *lease,
                };
                draft.set(key, Some(became));
                OpResult::Put
            }
            Op::Delete(key) => match was(draft, key) {
                Some(_) => {
                    draft.set(key, None);
                    OpResult::Deleted(1)
                }
                None => OpResult::Deleted(0),
            },
        })
    }

    fn commit(&mut self, mut draft: Draft) {
        if draft.order.is_empty() {
            return;
        }
        let before = self.revision;
        self.revision = before.next();
        let mut events = Vec::new();
        for key in draft.order {
            let became = draft.became.remove(&key).expect("what is ordered was set");
            let previous = self.at(&key, before).cloned();
            self.versions.entry(key.clone()).or_default().push((self.revision, became.clone()));
            events.push(Event { revision: self.revision, key, became, previous });
        }
        self.commits.push(events);
    }

    /// What changed at a revision.
    pub(super) fn changes(&self, revision: Revision) -> &[Event] {
        usize::try_from(revision.0)
            .ok()
            .and_then(|at| self.commits.get(at.checked_sub(2)?))
            .map_or(&[], Vec::as_slice)
    }

    pub(super) fn compact(&mut self, revision: Revision) -> Result<Revision, CallError> {
        if revision <= self.compacted {
            return Err(Refusal::Compacted.into());
        }
        if revision > self.revision {
            return Err(Refusal::FutureRevision.into());
        }
        self.compacted = revision;
        Ok(self.revision)
    }

    pub(super) fn grant(&mut self, id: LeaseId, ttl: Duration, now: Instant) {
        self.leases.insert(id, Lease { ttl, end: now + ttl });
    }

    pub(super) fn renew(&mut self, id: LeaseId, now: Instant) -> Option<u32> {
        let lease = self.leases.get_mut(&id)?;
        lease.end = now + lease.ttl;
        u32::try_from(lease.ttl.as_secs()).ok()
    }

    pub(super) fn remaining(&self, id: LeaseId, now: Instant) -> Option<u32> {
        u32::try_from((self.leases.get(&id)?.end - now).as_secs()).ok()
    }

    pub(super) fn revoke(&mut self, id: LeaseId) -> Result<Revision, CallError> {
        self.leases.remove(&id).ok_or(Refusal::LeaseNotFound)?;
        let newest =
            self.versions.iter().filter_map(|(key, versions)| Some((key, versions.last()?.1.as_ref()?)));
        let attached: Vec<Key> =
            newest.filter(|(_, version)| version.lease == id).map(|(key, _)| key.clone()).collect();
        let mut draft = Draft::default();
        attached.iter().for_each(|key| draft.set(key, None));
        self.commit(draft);
        Ok(self.revision)
    }

    /// Ends the leases whose time has come.
    pub(super) fn expire(&mut self, now: Instant) {
        let ended: Vec<LeaseId> =
            self.leases.iter().filter(|(_, lease)| lease.end <= now).map(|(id, _)| *id).collect();
        for id in ended {
            self.revoke(id).expect("it was there a moment ago");
        }
    }
}

impl Draft {
    fn set(&mut self, key: &Key, became: Option<KeyVersion>) {
        if self.became.insert(key.clone(), became).is_none() {
            self.order.push(key.clone());
        }
    }
}
