//! The simplest store that could be right: a whole copy of the keys for every revision.

use std::collections::BTreeMap;

use bytes::Bytes;
use keelson_store_core::{
    command::{
        Command, CommandError, Compare, DeleteRangeRequest, KeyRange, KeyValue, Op, OpResponse, Operand,
        Outcome, PutRequest, RangeRequest, RangeResponse, Relation, Response, ResponseBody, SortBy, Txn,
        TxnResponse,
    },
    id::{LeaseId, Revision},
    watch::ChangeKind,
};

pub(crate) type Keys = BTreeMap<Bytes, KeyValue>;

/// What a change did, and what was there before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) revision: Revision,
    pub(crate) kind: ChangeKind,
    pub(crate) kv: KeyValue,
    pub(crate) previous: Option<KeyValue>,
}

pub(crate) struct Model {
    pub(crate) revision: u64,
    pub(crate) compacted: u64,
    /// The keys as each revision left them.
    pub(crate) at: BTreeMap<u64, Keys>,
    pub(crate) events: Vec<Event>,
    pub(crate) leases: BTreeMap<LeaseId, u32>,
}

/// The state in the middle of a command.
struct Draft {
    keys: Keys,
    events: Vec<Event>,
    revision: Revision,
}

impl Model {
    pub(crate) fn new() -> Self {
        let at = BTreeMap::from([(1, Keys::new())]);
        Self { revision: 1, compacted: 0, at, events: Vec::new(), leases: BTreeMap::new() }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.at[&self.revision]
    }

    pub(crate) fn apply(&mut self, command: Command) -> Outcome {
        let body = match command {
            Command::Txn(txn) => ResponseBody::Txn(self.txn(&txn)?),
            Command::Compact(revision) => self.compact(revision.get())?,
            Command::LeaseGrant { id, ttl_seconds } => self.grant(id, ttl_seconds)?,
            Command::LeaseRevoke(id) => self.revoke(id)?,
            // `users` has a model of its own.
            Command::Auth(_) => unreachable!("the strategies make none"),
        };
        Ok(Response { revision: Revision::new(self.revision), body })
    }

    fn compact(&mut self, revision: u64) -> Result<ResponseBody, CommandError> {
        if revision <= self.compacted {
            return Err(CommandError::Compacted { compacted: Revision::new(self.compacted) });
        }
        if revision > self.revision {
            return Err(CommandError::FutureRevision { current: Revision::new(self.revision) });
        }
        self.compacted = revision;
        Ok(ResponseBody::Compact)
    }

    fn grant(&mut self, id: LeaseId, ttl_seconds: u32) -> Result<ResponseBody, CommandError> {
        if id.is_none() {
            return Err(CommandError::LeaseNotFound);
        }
        if self.leases.contains_key(&id) {
            return Err(CommandError::LeaseExists);
        }
        self.leases.insert(id, ttl_seconds);
        Ok(ResponseBody::LeaseGrant)
    }

    fn revoke(&mut self, id: LeaseId) -> Result<ResponseBody, CommandError> {
        self.leases.remove(&id).ok_or(CommandError::LeaseNotFound)?;
        let mut draft = self.draft();
        let doomed = draft.keys.values().filter(|kv| kv.lease == id).map(|kv| kv.key.clone());
        for key in doomed.collect::<Vec<_>>() {
            draft.delete(&key);
        }
        self.take(draft);
        Ok(ResponseBody::LeaseRevoke)
    }

    fn txn(&mut self, txn: &Txn) -> Result<TxnResponse, CommandError> {
        check_requests(txn)?;
        check_duplicates(txn)?;
        let before = self.keys().clone();
        self.check_state(txn, &before, Check::Puts)?;
        self.check_state(txn, &before, Check::Ranges)?;
        let mut draft = self.draft();
        let answer = self.run(txn, &before, &mut draft);
        self.take(draft);
        Ok(answer)
    }

    fn draft(&self) -> Draft {
        Draft { keys: self.keys().clone(), events: Vec::new(), revision: Revision::new(self.revision + 1) }
    }

    fn take(&mut self, draft: Draft) {
        if !draft.events.is_empty() {
            self.revision += 1;
            self.at.insert(self.revision, draft.keys);
            self.events.extend(draft.events);
        }
    }

    fn check_state(&self, txn: &Txn, before: &Keys, check: Check) -> Result<(), CommandError> {
        for op in branch(txn, before) {
            match (op, check) {
                (Op::Txn(txn), _) => self.check_state(txn, before, check)?,
                (Op::Put(put), Check::Puts) => {
                    if (put.ignore_value || put.ignore_lease) && !before.contains_key(&put.key) {
                        return Err(CommandError::KeyNotFound);
                    }
                    if !put.lease.is_none() && !self.leases.contains_key(&put.lease) {
                        return Err(CommandError::LeaseNotFound);
                    }
                }
                (Op::Range(request), Check::Ranges) => self.check_revision(request.revision.get())?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn check_revision(&self, revision: u64) -> Result<(), CommandError> {
        match revision {
            0 => Ok(()),
            r if r > self.revision => {
                Err(CommandError::FutureRevision { current: Revision::new(self.revision) })
            }
            r if r < self.compacted => {
                Err(CommandError::Compacted { compacted: Revision::new(self.compacted) })
            }
            _ => Ok(()),
        }
    }

    fn run(&self, txn: &Txn, before: &Keys, draft: &mut Draft) -> TxnResponse {
        let mut responses = Vec::new();
        for op in branch(txn, before) {
            responses.push(match op {
                Op::Range(request) if request.revision.is_zero() => {
                    OpResponse::Range(range(&draft.keys, request))
                }
                Op::Range(request) => OpResponse::Range(range(&self.at[&request.revision.get()], request)),
                Op::Put(put) => OpResponse::Put(draft.put(put).filter(|_| put.prev_kv)),
                Op::DeleteRange(request) => draft.delete_range(request),
                Op::Txn(txn) => OpResponse::Txn(self.run(txn, before, draft)),
            });
        }
        TxnResponse { succeeded: holds(txn, before), responses }
    }
}

#[derive(Clone, Copy)]
enum Check {
    Puts,
    Ranges,
}

impl Draft {
    fn put(&mut self, put: &PutRequest) -> Option<KeyValue> {
        let previous = self.keys.get(&put.key).cloned();
        let old = previous.clone().unwrap_or_default();
        let kv = KeyValue {
            key: put.key.clone(),
            value: if put.ignore_value { old.value } else { put.value.clone() },
            create_revision: if previous.is_some() { old.create_revision } else { self.revision },
            mod_revision: self.revision,
            version: old.version + 1,
            lease: if put.ignore_lease { old.lease } else { put.lease },
        };
        self.keys.insert(put.key.clone(), kv.clone());
        let (revision, kind) = (self.revision, ChangeKind::Put);
        self.events.push(Event { revision, kind, kv, previous: previous.clone() });
        previous
    }

    fn delete_range(&mut self, request: &DeleteRangeRequest) -> OpResponse {
        let doomed: Vec<_> =
            self.keys.values().filter(|kv| holds_key(&request.range, &kv.key)).cloned().collect();
        doomed.iter().for_each(|kv| self.delete(&kv.key));
        let deleted = doomed.len() as u64;
        OpResponse::DeleteRange { deleted, prev_kvs: if request.prev_kv { doomed } else { Vec::new() } }
    }

    fn delete(&mut self, key: &Bytes) {
        let (revision, kind) = (self.revision, ChangeKind::Delete);
        let kv = KeyValue { key: key.clone(), mod_revision: revision, ..KeyValue::default() };
        let previous = self.keys.remove(key);
        self.events.push(Event { revision, kind, kv, previous });
    }
}

pub(crate) fn holds_key(range: &KeyRange, key: &Bytes) -> bool {
    match range {
        KeyRange::Single(single) => key == single,
        KeyRange::Span { start, end } => start <= key && key < end,
        KeyRange::From(start) => start <= key,
    }
}

fn branch<'t>(txn: &'t Txn, before: &Keys) -> &'t [Op] {
    if holds(txn, before) { &txn.success } else { &txn.failure }
}

fn holds(txn: &Txn, before: &Keys) -> bool {
    txn.compare.iter().all(|compare| {
        let mut keys = before.values().filter(|kv| holds_key(&compare.range, &kv.key)).peekable();
        match (keys.peek(), &compare.operand) {
            (None, Operand::Value(_)) => false,
            (None, _) => compare_one(compare, &KeyValue::default()),
            (Some(_), _) => keys.all(|kv| compare_one(compare, kv)),
        }
    })
}

fn compare_one(compare: &Compare, kv: &KeyValue) -> bool {
    let ordering = match &compare.operand {
        Operand::Version(version) => kv.version.cmp(version),
        Operand::CreateRevision(revision) => kv.create_revision.cmp(revision),
        Operand::ModRevision(revision) => kv.mod_revision.cmp(revision),
        Operand::Value(value) => kv.value.cmp(value),
        Operand::Lease(lease) => kv.lease.cmp(lease),
    };
    match compare.relation {
        Relation::Equal => ordering.is_eq(),
        Relation::Greater => ordering.is_gt(),
        Relation::Less => ordering.is_lt(),
        Relation::NotEqual => ordering.is_ne(),
    }
}

pub(crate) fn range(keys: &Keys, request: &RangeRequest) -> RangeResponse {
    let all: Vec<_> = keys.values().filter(|kv| holds_key(&request.range, &kv.key)).cloned().collect();
    let count = all.len() as u64;
    if request.count_only {
        return RangeResponse { count, ..RangeResponse::default() };
    }
    let above = |revision: Revision, max: Revision| !max.is_zero() && revision > max;
    let mut kvs = all;
    kvs.retain(|kv| kv.mod_revision >= request.min_mod_revision);
    kvs.retain(|kv| !above(kv.mod_revision, request.max_mod_revision));
    kvs.retain(|kv| kv.create_revision >= request.min_create_revision);
    kvs.retain(|kv| !above(kv.create_revision, request.max_create_revision));
    if let Some(sort) = request.sort {
        kvs.sort_by(|a, b| {
            let (a, b) = if sort.descending { (b, a) } else { (a, b) };
            match sort.by {
                SortBy::Key => a.key.cmp(&b.key),
                SortBy::Version => a.version.cmp(&b.version),
                SortBy::Create => a.create_revision.cmp(&b.create_revision),
                SortBy::Mod => a.mod_revision.cmp(&b.mod_revision),
                SortBy::Value => a.value.cmp(&b.value),
            }
        });
    }
    let more = request.limit > 0 && kvs.len() as u64 > request.limit;
    if more {
        kvs.truncate(request.limit as usize);
    }
    if request.keys_only {
        kvs.iter_mut().for_each(|kv| kv.value = Bytes::new());
    }
    RangeResponse { kvs, more, count }
}

fn check_requests(txn: &Txn) -> Result<(), CommandError> {
    txn.compare.iter().try_for_each(|compare| named(compare.range.start()))?;
    txn.success.iter().chain(&txn.failure).try_for_each(|op| match op {
        Op::Range(request) => named(request.range.start()),
        Op::DeleteRange(request) => named(request.range.start()),
        Op::Put(put) => named(&put.key).and_then(|()| match put {
            put if put.ignore_value && !put.value.is_empty() => Err(CommandError::ValueProvided),
            put if put.ignore_lease && !put.lease.is_none() => Err(CommandError::LeaseProvided),
            _ => Ok(()),
        }),
        Op::Txn(txn) => check_requests(txn),
    })
}

fn named(key: &Bytes) -> Result<(), CommandError> {
    if key.is_empty() { Err(CommandError::EmptyKey) } else { Ok(()) }
}

/// Compares every pair of writes: two that can both run must not be puts of one key, or put and delete of it.
fn check_duplicates(txn: &Txn) -> Result<(), CommandError> {
    let mut writes = Vec::new();
    collect(txn, &mut Vec::new(), &mut writes);
    for (i, (path, op)) in writes.iter().enumerate() {
        for (other_path, other) in &writes[i + 1..] {
            let clash = match (op, other) {
                (Op::Put(a), Op::Put(b)) => a.key == b.key,
                (Op::Put(put), Op::DeleteRange(delete)) | (Op::DeleteRange(delete), Op::Put(put)) => {
                    holds_key(&delete.range, &put.key)
                }
                _ => false,
            };
            if clash && !exclude(path, other_path) {
                return Err(CommandError::DuplicateKey);
            }
        }
    }
    Ok(())
}

/// A way down to an operation: which branch of the transaction, which place in it, and so on.
type Path = Vec<(bool, usize)>;

fn collect<'t>(txn: &'t Txn, path: &mut Path, writes: &mut Vec<(Path, &'t Op)>) {
    for (branch, ops) in [(true, &txn.success), (false, &txn.failure)] {
        for (place, op) in ops.iter().enumerate() {
            path.push((branch, place));
            match op {
                Op::Txn(txn) => collect(txn, path, writes),
                Op::Range(_) => {}
                Op::Put(_) | Op::DeleteRange(_) => writes.push((path.clone(), op)),
            }
            path.pop();
        }
    }
}

/// True when two operations lie in different branches of one transaction.
fn exclude(a: &Path, b: &Path) -> bool {
    a.iter().zip(b).find(|(a, b)| a != b).is_some_and(|(a, b)| a.0 != b.0)
}
