//! Locks: a key that lives by its holder's lease, and a value that only the holder's token lets through.
//!
//! The token is the revision that made the lock's key. It is compared in the transaction that writes, so a holder whose
//! lease has ended without its knowing does no harm.

use keelson_checkers::history::{Key, LeaseId, Returned, Revision, Value};

use super::{Done, guarded, put};
use crate::client::{Client, Guard, Op};

/// The key that a lock guards.
fn guarded_by(lock: &Key) -> Key {
    Key(format!("{lock}/guarded").into())
}

/// Makes the lock's key, living by the lease, if it is absent.
pub(crate) async fn acquire(client: &dyn Client, lock: &Key, lease: LeaseId, value: u64) -> Done {
    let write = Op::Put(lock.clone(), Value::Number(value), lease);
    let response = guarded(client, Guard::made_at(lock, Revision::ZERO), write).await?;
    Ok(Returned::LockAcquire { revision: response.revision, acquired: response.succeeded })
}

/// Deletes the lock's key if it is the token's.
pub(crate) async fn release(client: &dyn Client, lock: &Key, token: Revision) -> Done {
    let response = guarded(client, Guard::made_at(lock, token), Op::Delete(lock.clone())).await?;
    Ok(Returned::LockRelease { revision: response.revision, released: response.succeeded })
}

/// Writes what the lock guards if the lock's key still is the token's.
pub(crate) async fn fenced_write(client: &dyn Client, lock: &Key, token: Revision, value: u64) -> Done {
    let response = guarded(client, Guard::made_at(lock, token), put(&guarded_by(lock), value)).await?;
    Ok(Returned::FencedWrite { revision: response.revision, accepted: response.succeeded })
}
