//! What watchers asked for and what they were sent.
//!
//! In: streams as clients saw them. Out: one [`Watch`] per stream that was opened, also when it goes on from
//! another. Deliberately absent: fragments; recorders put a fragmented response together again.

use serde::{Deserialize, Serialize};

use super::{Key, KeyRange, KeyVersion, Nanos, ProcessId, Revision, WatchId};

/// One watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Who watches.
    pub process: ProcessId,
    /// The replica that was asked, where the client was pinned or knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// Which keys.
    pub range: KeyRange,
    /// The first revision that is wanted; 0: from the moment of the creation on.
    pub start: Revision,
    /// What is not wanted.
    #[serde(default)]
    pub filters: Filters,
    /// Whether events shall carry what was before.
    #[serde(default)]
    pub prev_kv: bool,
    /// Whether reports of progress are wanted.
    #[serde(default)]
    pub progress_asked: bool,
    /// When it was opened.
    pub opened: Nanos,
    /// In the order in which they came.
    pub responses: Vec<WatchResponse>,
    /// The watch that it goes on from: an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<WatchId>,
}

/// What a watcher does not want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    /// No puts.
    pub no_put: bool,
    /// No deletes.
    pub no_delete: bool,
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchResponse {
    /// When it was here.
    pub at: Nanos,
    /// The header's; 0: not told.
    #[serde(default, skip_serializing_if = "Revision::is_zero")]
    pub header_revision: Revision,
    /// What it says.
    pub what: WatchEvent,
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WatchEvent {
    /// The watch exists. If it starts "now", its first revision is the one after the header's.
    Created,
    /// What changed.
    Events(
        /// In order.
        Vec<Event>,
    ),
    /// Everything up to the header's revision has been delivered.
    Progress,
    /// The store ended the watch.
    Canceled {
        /// What is wanted lies below this compacted revision; 0: that is not the reason.
        #[serde(default)]
        compact_revision: Revision,
        /// The store's words.
        #[serde(default)]
        reason: String,
    },
    /// The stream broke, or the client closed it.
    Broken(
        /// The client's words.
        String,
    ),
}

/// One change of one key, as a watcher saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The revision of the change.
    pub revision: Revision,
    /// The key.
    pub key: Key,
    /// What it became; `None`: it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub became: Option<KeyVersion>,
    /// What it was before, if that was asked for and there was something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<KeyVersion>,
}

impl Filters {
    /// Whether a change that made this of a key is wanted.
    pub fn wants(self, became: Option<&KeyVersion>) -> bool {
        match became {
            Some(_) => !self.no_put,
            None => !self.no_delete,
        }
    }
}

impl Watch {
    /// All events with the number of their response, in the order in which they came.
    pub fn events(&self) -> impl Iterator<Item = (usize, &Event)> {
        self.responses.iter().enumerate().flat_map(|(number, response)| {
            let events = match &response.what {
                WatchEvent::Events(events) => events.as_slice(),
                WatchEvent::Created
                | WatchEvent::Progress
                | WatchEvent::Canceled { .. }
                | WatchEvent::Broken(_) => &[],
            };
            events.iter().map(move |event| (number, event))
        })
    }

    /// The first revision that the watch owes its watcher; `None` when it was asked to start "now" and never said
    /// when that was.
    pub fn first_owed(&self) -> Option<Revision> {
        if let Some(start) = self.start.told() {
            return Some(start);
        }
        let created = self.responses.iter().find(|response| matches!(response.what, WatchEvent::Created))?;
        created.header_revision.told().map(Revision::next)
    }
}
