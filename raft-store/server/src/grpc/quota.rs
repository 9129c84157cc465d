//! The soft quota: beyond it, this member takes no write that grows the store.
//!
//! In: a transaction. Out: whether it goes on. Deletes, compactions, leases, and updates that are no larger
//! than what they replace (or small) always do: they are the way back below the quota, and what keeps a
//! cluster alive on the way.
//!
//! It is decided at the door, by the state that this member has: a quota needs no precision, and nothing that
//! was proposed may depend on it. Deliberately absent: an alarm that has to be cleared by hand. It is over
//! when there is room again.

use keelson_store_core::{
    command::{Op, PutRequest, Txn},
    engine::EngineError,
    mvcc,
};
use tonic::Status;

use super::{Front, error};
use crate::{state::StateView, store::Consistency};

/// An update of a key that is there, up to so many bytes, counts as one that does not grow.
const SMALL_BYTES: usize = 16 << 10;

impl Front {
    /// Whether the state is beyond the quota.
    pub(super) fn is_full(&self) -> bool {
        self.quota.is_some_and(|quota| self.store.size() > quota)
    }

    /// Lets a transaction pass that does not grow the store, or any while there is room.
    pub(super) async fn check_quota(&self, txn: &Txn) -> Result<(), Status> {
        if !self.is_full() {
            return Ok(());
        }
        let view = self.store.view(Consistency::Local).await.map_err(error::read)?;
        match grows(&view, txn) {
            Ok(false) => Ok(()),
            Ok(true) => Err(error::no_space()),
            Err(failed) => Err(error::broken(&failed)),
        }
    }
}

fn grows(view: &StateView, txn: &Txn) -> Result<bool, EngineError> {
    for op in txn.success.iter().chain(&txn.failure) {
        let grows = match op {
            Op::Range(_) | Op::DeleteRange(_) => false,
            Op::Put(put) => put_grows(view, put)?,
            Op::Txn(nested) => grows(view, nested)?,
        };
        if grows {
            return Ok(true);
        }
    }
    Ok(false)
}

fn put_grows(view: &StateView, put: &PutRequest) -> Result<bool, EngineError> {
    let before = mvcc::newest(view.read(), &put.key, |visible| visible.value.len())?;
    Ok(before.is_none_or(|before| put.value.len() > before.max(SMALL_BYTES)))
}
