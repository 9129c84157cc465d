//! Single keys and ranges: read, write, delete, compare-and-set, list, compact.

use keelson_checkers::history::{Consistency, Key, KeyRange, Returned, Revision};

use super::{Done, absurd, first_got, guarded, only, put};
use crate::client::{CallError, Client, Guard, Op, OpResult, RangeRequest, Txn};

/// Reads a key, now or at a revision.
pub(crate) async fn read(
    client: &dyn Client,
    key: &Key,
    revision: Option<Revision>,
    consistency: Consistency,
) -> Done {
    let request = RangeRequest { revision, ..RangeRequest::one(key, consistency) };
    let response = client.range(request).await.map_err(CallError::of_a_read)?;
    Ok(Returned::Read { revision: response.revision, found: only(response) })
}

/// Writes a key, whatever it was.
pub(crate) async fn write(client: &dyn Client, key: &Key, value: u64) -> Done {
    let response = client.txn(Txn { success: vec![put(key, value)], ..Txn::default() }).await?;
    Ok(Returned::Write { revision: response.revision })
}

/// Deletes a key, whatever it was.
pub(crate) async fn delete(client: &dyn Client, key: &Key) -> Done {
    delete_if(client, key, Vec::new()).await
}

/// Deletes a key if it was last written at a revision; anything else is a failure.
pub(crate) async fn delete_unchanged(client: &dyn Client, key: &Key, expected: Revision) -> Done {
    delete_if(client, key, vec![Guard::unchanged(key, expected)]).await
}

async fn delete_if(client: &dyn Client, key: &Key, guards: Vec<Guard>) -> Done {
    let txn = Txn { guards, success: vec![Op::Delete(key.clone())], failure: Vec::new() };
    let response = client.txn(txn).await?;
    if !response.succeeded {
        return Err(super::overtaken());
    }
    match response.results[..] {
        [OpResult::Deleted(deleted)] => {
            Ok(Returned::Delete { revision: response.revision, deleted: deleted > 0 })
        }
        _ => Err(absurd("no result of a delete")),
    }
}

/// Writes a key if it was last written at a revision, else reads it.
pub(crate) async fn compare_and_set(client: &dyn Client, key: &Key, expected: Revision, value: u64) -> Done {
    let txn = Txn {
        guards: vec![Guard::unchanged(key, expected)],
        success: vec![put(key, value)],
        failure: vec![Op::Get(key.clone())],
    };
    let response = client.txn(txn).await?;
    let (revision, swapped) = (response.revision, response.succeeded);
    let current = if swapped { None } else { first_got(response)? };
    Ok(Returned::CompareAndSet { revision, swapped, current })
}

/// Lists a range at one moment, in pages as Kubernetes does if `page` says so.
pub(crate) async fn list(
    client: &dyn Client,
    range: &KeyRange,
    revision: Option<Revision>,
    consistency: Consistency,
    page: Option<u32>,
) -> Done {
    let mut request = RangeRequest { range: range.clone(), revision, consistency, limit: page };
    let first = client.range(request.clone()).await.map_err(CallError::of_a_read)?;
    let (revision, mut items, mut more) = (first.revision, first.items, first.more);
    // Later pages are read at the first one's revision, wherever the store has got to meanwhile.
    request.revision = request.revision.or(Some(revision));
    while more {
        let Some((last, _)) = items.last() else { return Err(CallError::Failed("an empty page".to_owned())) };
        request.range = after(last, range);
        let next = client.range(request.clone()).await.map_err(CallError::of_a_read)?;
        more = next.more && !next.items.is_empty();
        items.extend(next.items);
    }
    Ok(Returned::List { revision, items })
}

/// What of a range comes after a key of it.
fn after(key: &Key, range: &KeyRange) -> KeyRange {
    let next = Key(format!("{key}\0").into());
    match range {
        KeyRange::One(_) | KeyRange::From(_) => KeyRange::From(next),
        KeyRange::Between(_, below) => KeyRange::Between(next, below.clone()),
    }
}

/// Forgets the history below a revision.
pub(crate) async fn compact(client: &dyn Client, revision: Revision) -> Done {
    Ok(Returned::Compact { revision: client.compact(revision).await? })
}

/// Makes a key with a number if nobody has.
pub(crate) async fn create(client: &dyn Client, key: &Key, value: u64) -> Result<Revision, CallError> {
    let response = guarded(client, Guard::unchanged(key, Revision::ZERO), put(key, value)).await?;
    if response.succeeded { Ok(response.revision) } else { Err(super::overtaken()) }
}
