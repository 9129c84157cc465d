//! Promises about watches, one file each.
//!
//! In: watches as they were recorded; for some promises the commit log, and the operations around them. Deliberately
//! absent: promises about time ([`crate::liveness`]).

pub mod atomic;
pub mod bookmarkable;
pub mod filter;
pub mod ordered;
pub mod prev_value;
pub mod progress_never_ahead;
pub mod progress_never_behind;
pub mod reliable;
pub mod resumable;
pub mod unique;

use crate::history::{
    Call, Change, CommitLog, Event, FaultPhase, History, KeyRange, Nanos, Revision, Watch, WatchEvent,
    WatchId,
};
use crate::promise::{Findings, Verdict, Violation};

/// The fault that compacts, for as long as it lasts, without recording operations.
const COMPACTION: &str = "compaction";

/// What may have been compacted away, and when.
struct Compactions {
    /// When each one was asked for, and up to which revision.
    asked: Vec<(Nanos, Revision)>,
    /// A fault compacted, too; nobody recorded up to where.
    unrecorded: bool,
}

impl Compactions {
    fn of(history: &History) -> Self {
        let asked = history.operations.iter().filter_map(|operation| match &operation.call {
            Call::Compact { revision } => Some((operation.invoked, *revision)),
            _ => None,
        });
        let unrecorded = history.faults.iter().any(|event| match event.phase {
            FaultPhase::Began => event.fault == COMPACTION,
            FaultPhase::Struck
            | FaultPhase::Ended
            | FaultPhase::Skipped(_)
            | FaultPhase::Healed
            | FaultPhase::LeaderSeen(_) => false,
        });
        Self { asked: asked.collect(), unrecorded }
    }

    /// Whether history below this revision may be gone at this moment.
    fn may_reach(&self, revision: Revision, at: Nanos) -> bool {
        self.unrecorded || self.asked.iter().any(|(asked_at, asked)| *asked_at <= at && revision <= *asked)
    }

    /// Whether everybody who asks for compactions is recorded, and nobody asked for one up to this revision.
    fn excludes(&self, revision: Revision) -> bool {
        !self.unrecorded && self.asked.iter().all(|(_, asked)| *asked < revision)
    }
}

/// Runs a check on each watch.
fn each(history: &History, mut check: impl FnMut(u32, &Watch, &mut Findings)) -> Verdict {
    let mut findings = Findings::default();
    for (number, watch) in (0..).zip(&history.watches) {
        check(number, watch, &mut findings);
    }
    findings.verdict()
}

/// The log's changes from one revision to another that a watch wants.
pub(crate) fn owed<'a>(
    watch: &'a Watch,
    log: &'a CommitLog,
    from: Revision,
    to: Revision,
) -> impl Iterator<Item = (Revision, &'a Change)> {
    let first = log.commits.partition_point(|commit| commit.revision < from);
    let due = log.commits[first..].iter().take_while(move |commit| commit.revision <= to);
    let changes = due.flat_map(|commit| commit.changes.iter().map(|change| (commit.revision, change)));
    changes.filter(|(_, change)| {
        watch.range.contains(&change.key) && watch.filters.wants(change.became.as_ref())
    })
}

/// The last revision that a watch has told its watcher about: what it delivered, what it reported, or where it began.
pub(crate) fn reached(watch: &Watch) -> Revision {
    let begun = Revision(watch.first_owed().map_or(0, |first| first.0.saturating_sub(1)));
    let events = watch.events().map(|(_, event)| event.revision);
    let progress = watch.responses.iter().filter_map(|response| {
        matches!(response.what, WatchEvent::Progress).then_some(response.header_revision)
    });
    events.chain(progress).fold(begun, Revision::max)
}

fn violation(class: &'static str, number: u32, watch: &Watch, problem: &str) -> Violation {
    let range = match &watch.range {
        KeyRange::One(key) => key.to_string(),
        KeyRange::Between(from, below) => format!("{from} to {below}"),
        KeyRange::From(from) => format!("{from} on"),
    };
    let (process, start) = (watch.process.0, watch.start);
    let text = format!("watch {number} (process {process}, {range}, from revision {start}): {problem}");
    Violation::of_watch(class, text, number)
}

fn words(event: &Event) -> String {
    match &event.became {
        Some(version) => format!("{} = {} at revision {}", event.key, version.value, event.revision),
        None => format!("{} deleted at revision {}", event.key, event.revision),
    }
}

/// The watch that another one goes on from.
fn parent<'a>(history: &'a History, watch: &Watch) -> Option<(u32, &'a Watch)> {
    let WatchId(number) = watch.resumed_from?;
    Some((number, history.watches.get(number as usize)?))
}
