//! THE set of a run, in two layouts: all elements in the list of one key, or a key for each element.

use keelson_checkers::history::{Consistency, Key, KeyRange, KeyVersion, LeaseId, Returned, Revision, Value};

use super::{Done, guarded, key, list::elements, only, overtaken};
use crate::client::{CallError, Client, Guard, Op, RangeRequest};

/// Where the set's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// In the value of one key, which every addition compares and sets.
    OneKey,
    /// Each in a key of its own.
    KeyPerElement,
}

/// Adds an element.
pub(crate) async fn add(client: &dyn Client, layout: Layout, element: u64) -> Done {
    match layout {
        Layout::OneKey => add_to_list(client, element).await,
        Layout::KeyPerElement => {
            let key = Key(format!("set/{element:010}").into());
            Ok(Returned::SetAdd { revision: key::create(client, &key, element).await? })
        }
    }
}

/// Reads all elements.
pub(crate) async fn read(client: &dyn Client, layout: Layout) -> Done {
    match layout {
        Layout::OneKey => {
            let (revision, found) = whole(client).await?;
            let elements = found.map(|version| elements(&version.value)).unwrap_or_default();
            Ok(Returned::SetRead { revision, elements })
        }
        Layout::KeyPerElement => {
            let range = KeyRange::Between("set/".into(), "set0".into());
            let request =
                RangeRequest { range, revision: None, consistency: Consistency::Linearizable, limit: None };
            let response = client.range(request).await.map_err(CallError::of_a_read)?;
            let elements = response.items.iter().flat_map(|(_, version)| elements(&version.value)).collect();
            Ok(Returned::SetRead { revision: response.revision, elements })
        }
    }
}

fn set() -> Key {
    "set".into()
}

async fn whole(client: &dyn Client) -> Result<(Revision, Option<KeyVersion>), CallError> {
    let request = RangeRequest::one(&set(), Consistency::Linearizable);
    let response = client.range(request).await.map_err(CallError::of_a_read)?;
    Ok((response.revision, only(response)))
}

async fn add_to_list(client: &dyn Client, element: u64) -> Done {
    let (_, found) = whole(client).await?;
    let guard =
        Guard::unchanged(&set(), found.as_ref().map_or(Revision::ZERO, |version| version.mod_revision));
    let mut list = found.map(|version| elements(&version.value)).unwrap_or_default();
    list.push(element);
    let response = guarded(client, guard, Op::Put(set(), Value::List(list.into()), LeaseId(0))).await?;
    if response.succeeded { Ok(Returned::SetAdd { revision: response.revision }) } else { Err(overtaken()) }
}
