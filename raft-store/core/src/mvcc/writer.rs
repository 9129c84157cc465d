//! Makes one revision: every change of it passes through here, into the state, the change log, the hash and
//! the watch events at once.

use bytes::Bytes;

use super::{
    known::{Head, Known},
    overlay::Overlay,
    scan::{Scan, Visible, newest},
};
use crate::{
    apply::RollingHash,
    command::{DeleteRangeRequest, KeyRange, KeyValue, PutRequest},
    engine::{EngineError, Family, Read},
    id::{ChangeId, LeaseId},
    lease,
    schema::{self, ChangeKind, ChangeRecord, Header},
    watch::{Change, Changes, RevisionChanges},
};

/// One revision in the making.
pub(crate) struct Writer<'w, 'e> {
    overlay: &'w mut Overlay<'e>,
    known: &'w Known,
    hash: &'w mut RollingHash,
    /// The header before this revision.
    header: Header,
    changes: Changes,
}

/// What a put needs to know about the version it replaces.
struct Replaced {
    head: Head,
    /// With its value, where the put keeps or answers it.
    kv: Option<KeyValue>,
}

impl<'w, 'e> Writer<'w, 'e> {
    pub(crate) fn new(
        overlay: &'w mut Overlay<'e>,
        known: &'w Known,
        hash: &'w mut RollingHash,
        header: Header,
    ) -> Self {
        Self { overlay, known, hash, header, changes: Changes::new() }
    }

    /// The state with what this revision has changed so far.
    pub(crate) fn state(&self) -> &dyn Read {
        &*self.overlay
    }

    /// The state without anything that the batch has changed.
    pub(super) const fn state_before_batch(&self) -> &dyn Read {
        self.overlay.base()
    }

    /// The newest version of a key, if the key exists.
    pub(super) fn head(&self, key: &[u8]) -> Result<Option<Head>, EngineError> {
        if let Some(head) = self.changed_here(key)? {
            return Ok(head);
        }
        match self.known.get(key) {
            Some(known) => Ok(known),
            None => newest(self.overlay, key, |visible| Head::from(&visible)),
        }
    }

    /// The same, where this revision has changed the key.
    fn changed_here(&self, key: &[u8]) -> Result<Option<Option<Head>>, EngineError> {
        if self.changes.is_empty() {
            return Ok(None);
        }
        let change = self.overlay.first_put(Family::Keys, &schema::record_prefix(key));
        let Some((record_key, value)) = change else { return Ok(None) };
        let (prefix, id) = schema::split_record_key(record_key)?;
        Ok(Some(Visible::of(prefix, id, value)?.map(|visible| Head::from(&visible))))
    }

    /// The header that reads of this state go by (M4): it is at the new revision once there is a change.
    pub(crate) fn header(&self) -> Header {
        if self.changes.is_empty() {
            self.header
        } else {
            Header { revision: self.header.revision.next(), ..self.header }
        }
    }

    /// The changes, if there were any (M1).
    pub(crate) fn finish(self) -> Option<RevisionChanges> {
        (!self.changes.is_empty())
            .then(|| RevisionChanges { revision: self.header.revision.next(), changes: self.changes })
    }

    /// Gives a key a value; answers the version replaced, where asked for.
    ///
    /// The caller has checked that the lease exists, and the key where the put keeps a part of it.
    pub(crate) fn put(&mut self, put: PutRequest) -> Result<Option<KeyValue>, EngineError> {
        let id = self.next_id();
        let replaced = self.replaced(&put)?;
        let head = replaced.as_ref().map(|old| old.head);
        let value = match &replaced {
            Some(Replaced { kv: Some(kv), .. }) if put.ignore_value => kv.value.clone(),
            _ => put.value,
        };
        let old_lease = head.map_or(LeaseId::NONE, |old| old.lease);
        let lease = if put.ignore_lease { old_lease } else { put.lease };
        let kv = KeyValue {
            create_revision: head.map_or(id.revision, |old| old.create_revision),
            mod_revision: id.revision,
            version: head.map_or(0, |old| old.version) + 1,
            key: put.key,
            value,
            lease,
        };
        let record = self.overlay.make(schema::VERSION_HEAD + kv.value.len(), |out| {
            schema::put_version(out, kv.create_revision, kv.version, kv.lease, &kv.value);
        });
        lease::move_key(self.overlay, &kv.key, old_lease, lease);
        let previous = head.map(|old| old.id);
        self.record(id, Change { kind: ChangeKind::Put, kv, previous }, record);
        Ok(replaced.filter(|_| put.prev_kv).and_then(|old| old.kv))
    }

    /// Deletes the keys of a range; answers how many, and what they were where asked for.
    pub(crate) fn delete_range(
        &mut self,
        request: &DeleteRangeRequest,
    ) -> Result<(u64, Vec<KeyValue>), EngineError> {
        let doomed = self.doomed(&request.range, request.prev_kv)?;
        let mut prev_kvs = Vec::new();
        let deleted = doomed.len() as u64;
        for (previous, kv) in doomed {
            self.delete(previous, kv.key.clone(), kv.lease);
            if request.prev_kv {
                prev_kvs.push(kv);
            }
        }
        Ok((deleted, prev_kvs))
    }

    /// Deletes a key that hangs on a lease.
    pub(crate) fn delete_leased(&mut self, id: LeaseId, key: Bytes) -> Result<(), EngineError> {
        match self.head(&key)? {
            Some(head) if head.lease == id => {
                self.delete(head.id, key, id);
                Ok(())
            }
            Some(_) | None => {
                Err(schema::corrupt(Family::LeaseKeys, format!("lease {id} names a key that is not on it")))
            }
        }
    }

    fn replaced(&self, put: &PutRequest) -> Result<Option<Replaced>, EngineError> {
        if !(put.prev_kv || put.ignore_value) {
            return Ok(self.head(&put.key)?.map(|head| Replaced { head, kv: None }));
        }
        newest(self.overlay, &put.key, |visible| {
            Ok(Replaced { head: Head::from(&visible), kv: Some(visible.to_key_value()?) })
        })?
        .transpose()
    }

    fn doomed(&self, range: &KeyRange, values: bool) -> Result<Vec<(ChangeId, KeyValue)>, EngineError> {
        let mut doomed = Vec::new();
        let mut scan = Scan::new(self.overlay, range, self.header().revision)?;
        while let Some(visible) = scan.next_key()? {
            let kv = if values { visible.to_key_value()? } else { visible.without_value()? };
            doomed.push((visible.id, kv));
        }
        Ok(doomed)
    }

    fn delete(&mut self, previous: ChangeId, key: Bytes, lease: LeaseId) {
        let id = self.next_id();
        lease::move_key(self.overlay, &key, lease, LeaseId::NONE);
        let kv = KeyValue { key, mod_revision: id.revision, ..KeyValue::default() };
        let change = Change { kind: ChangeKind::Delete, kv, previous: Some(previous) };
        self.record(id, change, Bytes::from_static(schema::encode_deleted()));
    }

    fn next_id(&self) -> ChangeId {
        let sub = u32::try_from(self.changes.len()).expect("the memory of 2^32 changes runs out before");
        ChangeId { revision: self.header.revision.next(), sub }
    }

    fn record(&mut self, id: ChangeId, change: Change, record: Bytes) {
        let unchanged_so_far = change.previous.is_none_or(|previous| previous.revision < id.revision);
        assert!(unchanged_so_far, "a revision changes a key at most once (M2)");
        let key = &change.kv.key;
        let record_key = self
            .overlay
            .make(key.len() + schema::RECORD_KEY_TAIL, |out| schema::put_record_key(out, key, id));
        self.overlay.put(Family::Keys, record_key, record);
        let log = ChangeRecord { kind: change.kind, previous: change.previous, key };
        let (log_key, log_len) = (schema::change_key(id), schema::CHANGE_HEAD + key.len());
        let log_key = self.overlay.make(log_key.len(), |out| out.extend_from_slice(&log_key));
        let log = self.overlay.make(log_len, |out| schema::put_change(out, log));
        self.overlay.put_unread(Family::Changes, log_key, log);
        self.hash.changed(id, &change);
        self.changes.push(change);
    }
}
