//! Transactions of lists: read the lists, then write them longer if nobody else has.

use std::collections::BTreeMap;

use keelson_checkers::history::{
    Consistency, Key, KeyVersion, LeaseId, MicroOp, MicroResult, Returned, Revision, Value,
};

use super::{Done, absurd, only, overtaken};
use crate::client::{CallError, Client, Guard, Op, OpResult, RangeRequest, Txn};

/// What a transaction finds of the lists that it is about.
#[derive(Default)]
struct Lists {
    revision: Revision,
    lists: BTreeMap<Key, List>,
}

#[derive(Default)]
struct List {
    mod_revision: Revision,
    elements: Vec<u64>,
    grown: bool,
}

/// Does all parts at one moment.
///
/// A transaction that only reads reads once, as one. One that writes is guarded, so it may read its lists one by one
/// and as `prior` says: what is not of one moment is overtaken.
///
/// # Panics
/// When a part is about a register.
pub(crate) async fn lists(client: &dyn Client, parts: &[MicroOp], prior: Consistency) -> Done {
    let writes = parts.iter().any(|part| matches!(part, MicroOp::Append { .. }));
    let read = if writes { one_by_one(client, parts, prior).await } else { together(client, parts).await };
    let mut lists = read.map_err(CallError::of_a_read)?;
    let results = parts.iter().map(|part| lists.run(part)).collect();
    let revision = if writes { lists.write(client).await? } else { lists.revision };
    Ok(Returned::Txn { revision, results })
}

async fn one_by_one(client: &dyn Client, parts: &[MicroOp], prior: Consistency) -> Result<Lists, CallError> {
    let mut lists = Lists::default();
    for part in parts {
        if !lists.lists.contains_key(part.key()) {
            let found = only(client.range(RangeRequest::one(part.key(), prior)).await?);
            lists.lists.insert(part.key().clone(), List::found(found));
        }
    }
    Ok(lists)
}

async fn together(client: &dyn Client, parts: &[MicroOp]) -> Result<Lists, CallError> {
    let success = parts.iter().map(|part| Op::Get(part.key().clone())).collect();
    let response = client.txn(Txn { success, ..Txn::default() }).await?;
    let mut lists = Lists { revision: response.revision, lists: BTreeMap::new() };
    if response.results.len() != parts.len() {
        return Err(absurd("a result for each part of a transaction"));
    }
    for (part, result) in parts.iter().zip(response.results) {
        let OpResult::Got(found) = result else { return Err(absurd("no result of a read")) };
        lists.lists.insert(part.key().clone(), List::found(found));
    }
    Ok(lists)
}

impl Lists {
    fn run(&mut self, part: &MicroOp) -> MicroResult {
        match part {
            MicroOp::Append { key, element } => {
                let list = self.lists.entry(key.clone()).or_default();
                list.elements.push(*element);
                list.grown = true;
                MicroResult::Written
            }
            MicroOp::ReadList { key } => {
                MicroResult::List(self.lists.get(key).map(|list| list.elements.clone()).unwrap_or_default())
            }
            MicroOp::Put { .. } | MicroOp::Get { .. } | MicroOp::Delete { .. } => {
                panic!("a register in a transaction of lists")
            }
        }
    }

    async fn write(self, client: &dyn Client) -> Result<Revision, CallError> {
        let guards = self.lists.iter().map(|(key, list)| Guard::unchanged(key, list.mod_revision)).collect();
        let grown = self.lists.into_iter().filter(|(_, list)| list.grown);
        let success =
            grown.map(|(key, list)| Op::Put(key, Value::List(list.elements.into()), LeaseId(0))).collect();
        let response = client.txn(Txn { guards, success, failure: Vec::new() }).await?;
        if response.succeeded { Ok(response.revision) } else { Err(overtaken()) }
    }
}

impl List {
    fn found(version: Option<KeyVersion>) -> Self {
        let Some(version) = version else { return Self::default() };
        Self { mod_revision: version.mod_revision, elements: elements(&version.value), grown: false }
    }
}

/// A list's elements. A number where no number was written is an element that was not appended.
pub(super) fn elements(value: &Value) -> Vec<u64> {
    match value {
        Value::List(elements) => elements.to_vec(),
        Value::Number(number) => vec![*number],
    }
}
