//! What a client of a run can do: each call of a history beside the action that does it.
//!
//! In: what is asked. Out: what was returned, recorded; `None` where there is no answer. Deliberately absent: how it is
//! done; actions know that.

use keelson_checkers::history::{
    Call, Consistency, Key, KeyRange, KeyVersion, LeaseId, MicroOp, MicroResult, Returned, Revision,
};

use super::worker::Worker;
use crate::action::{counter, key, lease, list, lock, set, txn};

impl Worker {
    /// Reads a key. The inner `None`: it is absent.
    pub(crate) async fn read(
        &mut self,
        key: &Key,
        revision: Option<Revision>,
        consistency: Consistency,
    ) -> Option<Option<KeyVersion>> {
        let client = self.client();
        let call = Call::Read { key: key.clone(), revision, consistency };
        match self.perform(call, key::read(&*client, key, revision, consistency)).await? {
            Returned::Read { found, .. } => Some(found),
            _ => None,
        }
    }

    /// Lists a range, in pages if `page` says so. Answers the revision that it was read at, too.
    pub(crate) async fn list(
        &mut self,
        range: &KeyRange,
        revision: Option<Revision>,
        page: Option<u32>,
    ) -> Option<(Revision, Vec<(Key, KeyVersion)>)> {
        let client = self.client();
        let consistency = Consistency::Linearizable;
        let call = Call::List { range: range.clone(), revision, consistency };
        match self.perform(call, key::list(&*client, range, revision, consistency, page)).await? {
            Returned::List { revision, items } => Some((revision, items)),
            _ => None,
        }
    }

    /// Writes a number that is unique. Answers the revision.
    pub(crate) async fn write(&mut self, key: &Key) -> Option<Revision> {
        let (client, value) = (self.client(), self.unique());
        let call = Call::Write { key: key.clone(), value };
        let returned = self.perform(call, key::write(&*client, key, value)).await?;
        Some(returned.revision())
    }

    pub(crate) async fn delete(&mut self, key: &Key) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::Delete { key: key.clone() }, key::delete(&*client, key)).await
    }

    /// Deletes a key if it was last written at `expected`; else that is a failure.
    pub(crate) async fn delete_unchanged(&mut self, key: &Key, expected: Revision) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::Delete { key: key.clone() }, key::delete_unchanged(&*client, key, expected)).await
    }

    /// Writes a number that is unique if the key was last written at `expected`. Answers the key's mod revision, as far
    /// as it is known then; 0: it is absent.
    pub(crate) async fn compare_and_set(&mut self, key: &Key, expected: Revision) -> Option<Revision> {
        let (client, value) = (self.client(), self.unique());
        let call = Call::CompareAndSet { key: key.clone(), expected, value };
        match self.perform(call, key::compare_and_set(&*client, key, expected, value)).await? {
            Returned::CompareAndSet { revision, swapped: true, .. } => Some(revision),
            Returned::CompareAndSet { current, .. } => {
                Some(current.map_or(Revision::ZERO, |version| version.mod_revision))
            }
            _ => None,
        }
    }

    pub(crate) async fn compact(&mut self, revision: Revision) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::Compact { revision }, key::compact(&*client, revision)).await
    }

    /// A transaction of registers.
    pub(crate) async fn registers(&mut self, parts: Vec<MicroOp>) -> Option<Vec<MicroResult>> {
        let client = self.client();
        match self.perform(Call::Txn(parts.clone()), txn::registers(&*client, &parts)).await? {
            Returned::Txn { results, .. } => Some(results),
            _ => None,
        }
    }

    /// A transaction of lists.
    pub(crate) async fn lists(&mut self, parts: Vec<MicroOp>, prior: Consistency) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::Txn(parts.clone()), list::lists(&*client, &parts, prior)).await
    }

    pub(crate) async fn set_add(&mut self, layout: set::Layout) -> Option<Returned> {
        let (client, element) = (self.client(), self.unique());
        self.perform(Call::SetAdd(element), set::add(&*client, layout, element)).await
    }

    pub(crate) async fn set_read(&mut self, layout: set::Layout) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::SetRead, set::read(&*client, layout)).await
    }

    pub(crate) async fn counter_add(&mut self, delta: i64) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::CounterAdd(delta), counter::add(&*client, delta)).await
    }

    pub(crate) async fn counter_read(&mut self) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::CounterRead, counter::read(&*client)).await
    }

    /// Takes a lock that lives by a lease. Answers the token if it was free.
    pub(crate) async fn lock_acquire(&mut self, lock: &Key, lease: LeaseId) -> Option<Revision> {
        let (client, value) = (self.client(), self.unique());
        let call = Call::LockAcquire { lock: lock.clone() };
        match self.perform(call, lock::acquire(&*client, lock, lease, value)).await? {
            Returned::LockAcquire { revision, acquired: true } => Some(revision),
            _ => None,
        }
    }

    pub(crate) async fn lock_release(&mut self, lock: &Key, token: Revision) -> Option<Returned> {
        let client = self.client();
        let call = Call::LockRelease { lock: lock.clone(), token };
        self.perform(call, lock::release(&*client, lock, token)).await
    }

    pub(crate) async fn fenced_write(&mut self, lock: &Key, token: Revision) -> Option<Returned> {
        let (client, value) = (self.client(), self.unique());
        let call = Call::FencedWrite { lock: lock.clone(), token, value };
        self.perform(call, lock::fenced_write(&*client, lock, token, value)).await
    }

    /// Grants a lease with an id that nobody in this run has had. `None`: not, or nobody knows.
    pub(crate) async fn lease_grant(&mut self, ttl_seconds: u32) -> Option<LeaseId> {
        let client = self.client();
        let id = LeaseId(i64::try_from(self.unique()).expect("a run has fewer than 2^63 values"));
        let call = Call::LeaseGrant { id, ttl_seconds };
        self.perform(call, lease::grant(&*client, id, ttl_seconds)).await.map(|_| id)
    }

    pub(crate) async fn lease_keep_alive(&mut self, id: LeaseId) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::LeaseKeepAlive { id }, lease::keep_alive(&*client, id)).await
    }

    pub(crate) async fn lease_revoke(&mut self, id: LeaseId) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::LeaseRevoke { id }, lease::revoke(&*client, id)).await
    }

    /// Makes a key that lives by a lease, if it is absent.
    pub(crate) async fn lease_attach(&mut self, id: LeaseId, key: &Key) -> Option<Returned> {
        let (client, value) = (self.client(), self.unique());
        let call = Call::LeaseAttach { id, key: key.clone(), value };
        self.perform(call, lease::attach(&*client, id, key, value)).await
    }

    pub(crate) async fn lease_time_to_live(&mut self, id: LeaseId) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::LeaseTimeToLive { id }, lease::time_to_live(&*client, id)).await
    }

    pub(crate) async fn lease_key_read(&mut self, key: &Key) -> Option<Returned> {
        let client = self.client();
        self.perform(Call::LeaseKeyRead { key: key.clone() }, lease::read_key(&*client, key)).await
    }
}
