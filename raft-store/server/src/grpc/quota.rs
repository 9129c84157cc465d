//! The soft quota: beyond it, this member takes no write that grows the store.
//!
//! In: a transaction. Out: whether it goes on. Deletes, compactions, leases, and updates that are no larger
//! than what they replace (or small) always do: they are the way back below the quota, and what keeps a
//! cluster alive on the way.
//!
//! It is decided at the door, by the state that this member has: a quota needs no precision, and nothing that
//! was proposed may depend on it. Deliberately absent: an alarm that has to be cleared by hand. It is over
//! when there is room again.

use keelson_store_core::command::Txn;
use tonic::Status;

use super::{Front, error};
use crate::store::{Consistency, grows};

impl Front {
    /// Whether the state is beyond the quota, or the disk nearly full: writes that grow the store are refused.
    pub(super) fn is_full(&self) -> bool {
        self.is_beyond_quota() || self.store.is_low_on_disk()
    }

    fn is_beyond_quota(&self) -> bool {
        self.quota.is_some_and(|quota| self.store.size() > quota)
    }

    /// Lets a transaction pass that does not grow the store, or any while there is room.
    pub(super) async fn check_quota(&self, txn: &Txn) -> Result<(), Status> {
        // The store itself looks after the disk.
        if !self.is_beyond_quota() {
            return Ok(());
        }
        let view = Box::pin(self.store.view(Consistency::Local)).await.map_err(error::read)?;
        match grows(&view, txn) {
            Ok(false) => Ok(()),
            Ok(true) => Err(error::no_space()),
            Err(failed) => Err(error::broken(&failed)),
        }
    }
}
