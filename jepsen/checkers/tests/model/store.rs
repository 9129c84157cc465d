//! The sequential model: one operation after the other.
//!
//! In: calls, each at its moment. Out: answers, and commits with their times. Deliberately absent: clients.

use std::collections::{BTreeMap, BTreeSet};

use keelson_checkers::history::{
    Call, Change, Commit, Consistency, Key, KeyVersion, LeaseId, MicroOp, MicroResult, Returned, Revision,
    Value,
};

use super::Random;

pub(crate) const SECOND: u64 = 1_000_000_000;

/// The lease that locks live by. Nobody asks for it by name.
const LOCKS: LeaseId = LeaseId(-1);

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) commits: Vec<Commit>,
    /// When each commit was made.
    pub(crate) times: Vec<u64>,
    keys: BTreeMap<Key, Vec<(Revision, Option<KeyVersion>)>>,
    set: BTreeSet<u64>,
    counter: i64,
    /// When each lease ends, and its time to live.
    leases: BTreeMap<LeaseId, (u64, u32)>,
    /// When each lock is taken from its holder.
    locks: BTreeMap<Key, u64>,
}

impl Store {
    pub(crate) fn revision(&self) -> Revision {
        Revision(self.commits.len() as u64 + 1)
    }

    pub(crate) fn at(&self, key: &Key, revision: Revision) -> Option<&KeyVersion> {
        let versions = self.keys.get(key)?;
        versions[..versions.partition_point(|(at, _)| *at <= revision)].last()?.1.as_ref()
    }

    fn now(&self, key: &Key) -> Option<&KeyVersion> {
        self.at(key, self.revision())
    }

    fn commit(&mut self, time: u64, writes: Vec<(Key, Option<Value>)>, lease: LeaseId) -> Revision {
        let revision = self.revision().next();
        let mut changes = Vec::new();
        for (key, value) in writes {
            let before = self.now(&key);
            let became = value.map(|value| KeyVersion {
                value,
                create_revision: before.map_or(revision, |before| before.create_revision),
                mod_revision: revision,
                version: before.map_or(1, |before| before.version + 1),
                lease,
            });
            changes.push((key, became));
        }
        for (key, became) in &changes {
            self.keys.entry(key.clone()).or_default().push((revision, became.clone()));
        }
        let changes = changes.into_iter().map(|(key, became)| Change { key, became }).collect();
        self.commits.push(Commit { revision, changes });
        self.times.push(time);
        revision
    }

    fn put(&mut self, time: u64, key: &Key, value: u64) -> Revision {
        self.commit(time, vec![(key.clone(), Some(Value::Number(value)))], LeaseId(0))
    }

    /// Leases that have run out take their keys with them; locks are not held forever.
    pub(crate) fn expire(&mut self, time: u64) {
        let over: Vec<Key> =
            self.locks.iter().filter(|(_, end)| **end <= time).map(|(lock, _)| lock.clone()).collect();
        for lock in over {
            self.locks.remove(&lock);
            if self.now(&lock).is_some() {
                self.commit(time, vec![(lock, None)], LeaseId(0));
            }
        }
        let over: Vec<LeaseId> =
            self.leases.iter().filter(|(_, (end, _))| *end <= time).map(|(id, _)| *id).collect();
        over.into_iter().for_each(|id| self.end_lease(time, id));
    }

    fn end_lease(&mut self, time: u64, id: LeaseId) {
        self.leases.remove(&id);
        let held = |versions: &Vec<(Revision, Option<KeyVersion>)>| {
            versions.last().is_some_and(|(_, now)| now.as_ref().is_some_and(|now| now.lease == id))
        };
        let keys: Vec<Key> =
            self.keys.iter().filter(|(_, all)| held(all)).map(|(key, _)| key.clone()).collect();
        if !keys.is_empty() {
            self.commit(time, keys.into_iter().map(|key| (key, None)).collect(), LeaseId(0));
        }
    }

    /// Lets a call take effect.
    pub(crate) fn apply(&mut self, time: u64, call: &Call, random: &mut Random) -> Returned {
        let revision = self.revision();
        match call {
            Call::Read { key, consistency: Consistency::Serializable, .. } => {
                let revision = Revision(revision.0 - random.below(revision.0.min(20)));
                Returned::Read { revision, found: self.at(key, revision).cloned() }
            }
            Call::Read { key, revision: at, .. } => {
                Returned::Read { revision, found: self.at(key, at.unwrap_or(revision)).cloned() }
            }
            Call::List { range, .. } => {
                let keys = self.keys.keys().filter(|key| range.contains(key));
                let items = keys.filter_map(|key| Some((key.clone(), self.now(key)?.clone())));
                Returned::List { revision, items: items.collect() }
            }
            Call::Write { key, value } => Returned::Write { revision: self.put(time, key, *value) },
            Call::Delete { key } => match self.now(key).is_some() {
                true => {
                    let revision = self.commit(time, vec![(key.clone(), None)], LeaseId(0));
                    Returned::Delete { revision, deleted: true }
                }
                false => Returned::Delete { revision, deleted: false },
            },
            Call::CompareAndSet { key, expected, value } => {
                let current = self.now(key).cloned();
                let swapped = current.as_ref().map_or(Revision::ZERO, |now| now.mod_revision) == *expected;
                match swapped {
                    true => Returned::CompareAndSet {
                        revision: self.put(time, key, *value),
                        swapped,
                        current: None,
                    },
                    false => Returned::CompareAndSet { revision, swapped, current },
                }
            }
            Call::Txn(parts) => self.txn(time, parts),
            _ => self.apply_other(time, call),
        }
    }

    fn txn(&mut self, time: u64, parts: &[MicroOp]) -> Returned {
        let mut written: BTreeMap<Key, Option<Value>> = BTreeMap::new();
        let mut results = Vec::new();
        for part in parts {
            let now = match written.get(part.key()) {
                Some(own) => own.clone(),
                None => self.now(part.key()).map(|version| version.value.clone()),
            };
            results.push(match (part, now) {
                (MicroOp::Append { key, element }, now) => {
                    let mut list = list(now);
                    list.push(*element);
                    written.insert(key.clone(), Some(Value::List(list.into())));
                    MicroResult::Written
                }
                (MicroOp::Put { key, value }, _) => {
                    written.insert(key.clone(), Some(Value::Number(*value)));
                    MicroResult::Written
                }
                (MicroOp::Delete { key }, now) => {
                    if now.is_some() {
                        written.insert(key.clone(), None);
                    }
                    MicroResult::Written
                }
                (MicroOp::ReadList { .. }, now) => MicroResult::List(list(now)),
                (MicroOp::Get { .. }, Some(Value::Number(value))) => MicroResult::Value(Some(value)),
                (MicroOp::Get { .. }, _) => MicroResult::Value(None),
            });
        }
        let writes: Vec<_> = written.into_iter().collect();
        let revision =
            if writes.is_empty() { self.revision() } else { self.commit(time, writes, LeaseId(0)) };
        Returned::Txn { revision, results }
    }

    /// Sets, counters, locks and leases.
    fn apply_other(&mut self, time: u64, call: &Call) -> Returned {
        let revision = self.revision();
        match call {
            Call::SetAdd(element) => {
                self.set.insert(*element);
                let key = Key(format!("set/{element}").into());
                Returned::SetAdd { revision: self.put(time, &key, *element) }
            }
            Call::SetRead => Returned::SetRead { revision, elements: self.set.iter().copied().collect() },
            Call::CounterAdd(delta) => {
                self.counter += delta;
                Returned::CounterAdd {
                    revision: self.put(time, &"counter".into(), self.counter.cast_unsigned()),
                }
            }
            Call::CounterRead => Returned::CounterRead { revision, total: self.counter },
            Call::LockAcquire { lock } => match self.now(lock) {
                Some(_) => Returned::LockAcquire { revision, acquired: false },
                None => {
                    self.locks.insert(lock.clone(), time + SECOND / 20);
                    let write = vec![(lock.clone(), Some(Value::Number(0)))];
                    Returned::LockAcquire { revision: self.commit(time, write, LOCKS), acquired: true }
                }
            },
            Call::LockRelease { lock, token } => match self.holds(lock, *token) {
                true => {
                    let revision = self.commit(time, vec![(lock.clone(), None)], LeaseId(0));
                    Returned::LockRelease { revision, released: true }
                }
                false => Returned::LockRelease { revision, released: false },
            },
            Call::FencedWrite { lock, token, value } => match self.holds(lock, *token) {
                true => {
                    let guarded = Key(format!("guarded/{lock}").into());
                    Returned::FencedWrite { revision: self.put(time, &guarded, *value), accepted: true }
                }
                false => Returned::FencedWrite { revision, accepted: false },
            },
            Call::Compact { .. } => Returned::Compact { revision },
            _ => self.apply_lease(time, call),
        }
    }

    fn holds(&self, lock: &Key, token: Revision) -> bool {
        self.now(lock).is_some_and(|now| now.create_revision == token)
    }

    fn apply_lease(&mut self, time: u64, call: &Call) -> Returned {
        let revision = self.revision();
        match call {
            Call::LeaseGrant { id, ttl_seconds } => {
                self.leases.insert(*id, (time + u64::from(*ttl_seconds) * SECOND, *ttl_seconds));
                Returned::LeaseGrant { revision, ttl_seconds: *ttl_seconds }
            }
            Call::LeaseKeepAlive { id } => {
                let lease = self.leases.get_mut(id).map(|(end, ttl)| {
                    *end = time + u64::from(*ttl) * SECOND;
                    *ttl
                });
                Returned::LeaseKeepAlive { revision, ttl_seconds: lease.unwrap_or(0) }
            }
            Call::LeaseRevoke { id } => {
                let revoked = self.leases.contains_key(id);
                if revoked {
                    self.end_lease(time, *id);
                }
                Returned::LeaseRevoke { revision: self.revision(), revoked }
            }
            Call::LeaseTimeToLive { id } => {
                let remaining = self.leases.get(id).map(|(end, _)| ((end - time) / SECOND) as u32);
                Returned::LeaseTimeToLive { revision, remaining_seconds: remaining }
            }
            Call::LeaseAttach { id, key, value } => {
                let attached = self.leases.contains_key(id) && self.now(key).is_none();
                let write = vec![(key.clone(), Some(Value::Number(*value)))];
                let revision = if attached { self.commit(time, write, *id) } else { revision };
                Returned::LeaseAttach { revision, attached }
            }
            Call::LeaseKeyRead { key } => {
                Returned::LeaseKeyRead { revision, holder: self.now(key).map(|version| version.lease) }
            }
            other => panic!("the model does not know {other:?}"),
        }
    }
}

fn list(value: Option<Value>) -> Vec<u64> {
    match value {
        Some(Value::List(list)) => list.to_vec(),
        Some(Value::Number(_)) | None => Vec::new(),
    }
}
