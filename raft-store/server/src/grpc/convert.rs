//! Between etcd's messages and the store's own types. Pure: nothing here waits, and no state is read.
//!
//! In: a request as it was decoded. Out: the command or read that it means, or why it means none; and on the
//! way back, the reply. What etcd tolerates (negative revisions, compares whose operand is missing) is given
//! the meaning that it has there, because the store's types cannot even say it.
//!
//! Deliberately absent: the checks that every replica makes alike. Those are
//! [`Command::validate`](keelson_store_core::command::Command::validate).

mod request;
mod response;

pub(super) use request::{delete_range, key_range, lease_grant, put, range, revision, txn};
pub(super) use response::{
    delete_range_response, key_value, put_response, range_parts, range_response, signed, txn_response,
};

#[cfg(test)]
mod tests;
