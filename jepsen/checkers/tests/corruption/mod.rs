//! Single corruptions of correct histories, each with the promise that it breaks for certain.
//!
//! In: a correct history. Out: the same with one answer or one response changed, or `None` where the history has no
//! place for it. Deliberately absent: changes that a correct store might have made, too.

mod answers;
mod leases;
mod logs;
mod streams;

use keelson_checkers::history::History;

use crate::model::{Kind, Random};

pub(crate) struct Corruption {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) promise: &'static str,
    /// Without a commit log nobody could tell.
    pub(crate) needs_log: bool,
    /// A few operations show it.
    pub(crate) shrinks: bool,
    pub(crate) corrupt: fn(&mut History, &mut Random) -> Option<()>,
}

const fn row(
    name: &'static str,
    kind: Kind,
    promise: &'static str,
    corrupt: fn(&mut History, &mut Random) -> Option<()>,
) -> Corruption {
    Corruption { name, kind, promise, needs_log: false, shrinks: true, corrupt }
}

impl Corruption {
    const fn needs_log(mut self) -> Self {
        self.needs_log = true;
        self
    }

    const fn stays_large(mut self) -> Self {
        self.shrinks = false;
        self
    }
}

pub(crate) const CORRUPTIONS: &[Corruption] = &[
    row("stale read", Kind::Registers, "linearizability", answers::stale_read),
    row("stale read of old revision", Kind::Registers, "monotonic_revisions", answers::old_revision),
    row("read of another value", Kind::Registers, "linearizability", answers::phantom_read),
    row("serializable read of another state", Kind::Registers, "linearizability", answers::torn_snapshot)
        .needs_log(),
    row("refused write that is read", Kind::Registers, "linearizability", answers::refused_but_read),
    row("write lost from the log", Kind::Registers, "durability", answers::lost_write).needs_log(),
    row("refused write in the log", Kind::Registers, "durability", answers::refused_but_logged).needs_log(),
    row("revision used twice", Kind::Registers, "monotonic_revisions", answers::reused_revision),
    row(
        "serializable read of what nobody wrote",
        Kind::Registers,
        "linearizability",
        answers::phantom_snapshot,
    ),
    row("list that lacks a write", Kind::Registers, "linearizability", answers::stale_list).needs_log(),
    row("lease that the key does not live by", Kind::Registers, "linearizability", answers::other_lease)
        .needs_log(),
    row("answer beyond the end of the log", Kind::Registers, "monotonic_revisions", answers::beyond_the_log)
        .needs_log(),
    row("delete that was refused", Kind::Registers, "durability", logs::refused_delete)
        .needs_log()
        .stays_large(),
    row("value from nowhere", Kind::Registers, "durability", logs::foreign_value).needs_log().stays_large(),
    row("version that is not the next", Kind::Registers, "versions", logs::wrong_version)
        .needs_log()
        .stays_large(),
    row("event of another value", Kind::Registers, "versions", streams::other_value).needs_log(),
    row("append not seen", Kind::Append, "strict_serializability", answers::append_not_seen),
    row("list in another order", Kind::Append, "strict_serializability", answers::list_reordered),
    row("refused append that is seen", Kind::Append, "strict_serializability", answers::refused_but_appended),
    row("old version of a register", Kind::Wr, "strict_serializability", answers::stale_get),
    row("element lost", Kind::Set, "set", answers::lost_element),
    row("element twice", Kind::Set, "set", answers::element_twice),
    row("addition that changed nothing", Kind::Counter, "counter", logs::lost_addition)
        .needs_log()
        .stays_large(),
    row("wrong total", Kind::Counter, "counter", answers::wrong_total).stays_large(),
    row("write under an old token", Kind::Locks, "lock", answers::old_token),
    row("write by somebody who does not hold the lock", Kind::Locks, "lock", answers::write_without_lock)
        .needs_log(),
    row("lock with two holders", Kind::Locks, "lock", answers::two_holders).needs_log(),
    row("lease that comes back", Kind::Leases, "leases", leases::lease_back),
    row("lease gone early", Kind::Leases, "leases", leases::lease_gone),
    row("key gone early", Kind::Leases, "leases", leases::key_gone),
    row("event dropped", Kind::Registers, "watch_reliable", streams::drop_event).needs_log(),
    row("response twice", Kind::Registers, "watch_unique", streams::repeat_response),
    row("responses swapped", Kind::Registers, "watch_ordered", streams::swap_responses),
    row("revision split", Kind::Registers, "watch_atomic", streams::split_revision),
    row("event outside the range", Kind::Registers, "watch_filter", streams::stray_event),
    row("other previous value", Kind::Registers, "watch_prev_value", streams::wrong_previous).needs_log(),
    row("progress before an event", Kind::Registers, "watch_bookmarkable", streams::early_progress),
    row("first event missing", Kind::Registers, "watch_resumable", streams::skip_first).needs_log(),
    row("event from before the start", Kind::Registers, "watch_resumable", streams::late_start),
    row("revision of the future", Kind::Registers, "watch_progress_never_ahead", streams::future_progress)
        .needs_log(),
    row("progress after an event", Kind::Registers, "watch_progress_never_behind", streams::late_progress),
];
