//! How each call of a history is done with the store's own calls.
//!
//! In: a client and what is asked. Out: what the history records as returned. Where one call takes several requests
//! (read, then a guarded write), nothing is unknown before the last of them was sent, and a guard that did not hold is a
//! failure. Deliberately absent: recording, retries, timeouts.

use keelson_checkers::history::{Key, KeyVersion, LeaseId, Returned, Value};

use crate::client::{CallError, Client, Guard, Op, OpResult, RangeResponse, Refusal, Txn, TxnResponse};

pub(crate) mod counter;
pub(crate) mod key;
pub(crate) mod lease;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod set;
pub(crate) mod txn;

/// What came of an action.
pub(crate) type Done = Result<Returned, CallError>;

/// Guards did not hold, so nothing was written.
fn overtaken() -> CallError {
    Refusal::Other("what was read had changed before the write".to_owned()).into()
}

/// An answer that no store may give to what was asked. Whether a change was made, nobody can say.
fn absurd(what: &str) -> CallError {
    CallError::Unknown(format!("the answer does not fit the request: {what}"))
}

/// A write that lives by no lease.
fn put(key: &Key, value: u64) -> Op {
    Op::Put(key.clone(), Value::Number(value), LeaseId(0))
}

/// A transaction that writes if the guard holds, and reads nothing else.
async fn guarded(client: &dyn Client, guard: Guard, write: Op) -> Result<TxnResponse, CallError> {
    client.txn(Txn { guards: vec![guard], success: vec![write], failure: Vec::new() }).await
}

/// The only item of an answer about one key.
fn only(response: RangeResponse) -> Option<KeyVersion> {
    response.items.into_iter().next().map(|(_, version)| version)
}

/// What the first operation of a transaction found, if that was a get.
fn first_got(response: TxnResponse) -> Result<Option<KeyVersion>, CallError> {
    match response.results.into_iter().next() {
        Some(OpResult::Got(found)) => Ok(found),
        Some(OpResult::Put | OpResult::Deleted(_)) | None => Err(absurd("no result of a read")),
    }
}
