//! What a change of a cache is about, and when one was made.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::Change;

/// The object as it is, or as it was when it went.
pub(crate) fn newest<K>(change: &Change<K>) -> &Arc<K> {
    match change {
        Change::Added(object) | Change::Updated { new: object, .. } | Change::Deleted(object) => object,
    }
}

/// The time as statuses tell it, in whole seconds: what the API stores otherwise than it was written looks like news.
pub(crate) fn this_second() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
