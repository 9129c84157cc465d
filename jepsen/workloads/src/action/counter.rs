//! THE counter of a run: one key, read and set by compare.
//!
//! A total below zero is stored as what `u64` makes of it (two's complement), since values have no sign.

use keelson_checkers::history::{Consistency, Key, KeyVersion, Returned, Revision, Value};

use super::{Done, guarded, only, overtaken, put};
use crate::client::{CallError, Client, Guard, RangeRequest};

/// Adds to the counter.
pub(crate) async fn add(client: &dyn Client, delta: i64) -> Done {
    let (_, found) = whole(client).await?;
    let mod_revision = found.as_ref().map_or(Revision::ZERO, |version| version.mod_revision);
    let total = total(found.as_ref()).wrapping_add(delta);
    let guard = Guard::unchanged(&counter(), mod_revision);
    let response = guarded(client, guard, put(&counter(), total.cast_unsigned())).await?;
    if response.succeeded {
        Ok(Returned::CounterAdd { revision: response.revision })
    } else {
        Err(overtaken())
    }
}

/// Reads the counter.
pub(crate) async fn read(client: &dyn Client) -> Done {
    let (revision, found) = whole(client).await?;
    Ok(Returned::CounterRead { revision, total: total(found.as_ref()) })
}

fn counter() -> Key {
    "counter".into()
}

async fn whole(client: &dyn Client) -> Result<(Revision, Option<KeyVersion>), CallError> {
    let request = RangeRequest::one(&counter(), Consistency::Linearizable);
    let response = client.range(request).await.map_err(CallError::of_a_read)?;
    Ok((response.revision, only(response)))
}

/// A list where no list was written is a total that nobody reaches.
fn total(found: Option<&KeyVersion>) -> i64 {
    match found.map(|version| &version.value) {
        None => 0,
        Some(Value::Number(number)) => number.cast_signed(),
        Some(Value::List(_)) => i64::MAX,
    }
}
