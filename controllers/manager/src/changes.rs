//! What a change of a cache is about.

use std::sync::Arc;

use keelson_controller_runtime::Change;

/// The object as it is, or as it was when it went.
pub(crate) fn newest<K>(change: &Change<K>) -> &Arc<K> {
    match change {
        Change::Added(object) | Change::Updated { new: object, .. } | Change::Deleted(object) => object,
    }
}
