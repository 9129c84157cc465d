//! Transactions of registers: puts, gets and deletes, all in one request.

use keelson_checkers::history::{KeyVersion, MicroOp, MicroResult, Returned, Value};

use super::{Done, absurd, put};
use crate::client::{Client, Op, OpResult, Txn};

/// Does all parts at one moment. Needs no guard: the store runs them as one.
///
/// # Panics
/// When a part is about a list.
pub(crate) async fn registers(client: &dyn Client, parts: &[MicroOp]) -> Done {
    let success = parts.iter().map(operation).collect();
    let response = client.txn(Txn { success, ..Txn::default() }).await?;
    if response.results.len() != parts.len() {
        return Err(absurd("a result for each part of a transaction"));
    }
    let results = response.results.into_iter().map(result).collect();
    Ok(Returned::Txn { revision: response.revision, results })
}

fn operation(part: &MicroOp) -> Op {
    match part {
        MicroOp::Put { key, value } => put(key, *value),
        MicroOp::Get { key } => Op::Get(key.clone()),
        MicroOp::Delete { key } => Op::Delete(key.clone()),
        MicroOp::Append { .. } | MicroOp::ReadList { .. } => panic!("a list in a transaction of registers"),
    }
}

fn result(result: OpResult) -> MicroResult {
    match result {
        OpResult::Got(found) => MicroResult::Value(found.map(|version| number(&version))),
        OpResult::Put | OpResult::Deleted(_) => MicroResult::Written,
    }
}

/// A register's number. A list where no list was written is a number that was not written either.
fn number(version: &KeyVersion) -> u64 {
    match version.value {
        Value::Number(number) => number,
        Value::List(_) => u64::MAX,
    }
}
