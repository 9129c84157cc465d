//! Watches of a correct store, from its commits.
//!
//! In: commits and their times. Out: watches that break and go on, with filters, previous values and progress.
//! Deliberately absent: watches that are refused.

use keelson_checkers::history::{
    Change, Commit, Event, Filters, Key, KeyRange, Nanos, ProcessId, Revision, Watch, WatchEvent, WatchId,
    WatchResponse,
};

use super::Random;
use super::store::Store;

const MILLI: u64 = 1_000_000;

pub(crate) fn of(store: &Store, count: usize, random: &mut Random) -> Vec<Watch> {
    let mut watches: Vec<Watch> = Vec::new();
    while watches.len() < count && !store.commits.is_empty() {
        let first = random.place(store.commits.len());
        let mut watch = opened(random, 900_000 + watches.len() as u32, store.commits[first].revision);
        watch.opened = Nanos(random.below(store.times[first] + 1));
        let mut next = deliver(store, first, &mut watch, random);
        watches.push(watch);
        // It breaks, and another one goes on.
        while next < store.commits.len() && watches.len() < count {
            let before = watches.last().expect("it was pushed").clone();
            let mut watch = Watch {
                start: told(&before).next(),
                responses: Vec::new(),
                opened: before.responses.last().map_or(before.opened, |response| response.at),
                resumed_from: Some(WatchId(watches.len() as u32 - 1)),
                ..before
            };
            next = deliver(store, watch.start.0 as usize - 2, &mut watch, random);
            watches.push(watch);
        }
    }
    watches
}

/// Up to which revision the watcher has been told of everything. Commits begin at revision 2.
fn told(watch: &Watch) -> Revision {
    let told = watch.responses.iter().map(|response| match &response.what {
        WatchEvent::Events(events) => events.iter().map(|event| event.revision).max().unwrap_or_default(),
        WatchEvent::Progress => response.header_revision,
        WatchEvent::Created | WatchEvent::Canceled { .. } | WatchEvent::Broken(_) => Revision::ZERO,
    });
    told.fold(Revision(watch.start.0 - 1), Revision::max)
}

fn opened(random: &mut Random, process: u32, start: Revision) -> Watch {
    let range = match random.below(4) {
        0 => KeyRange::One(Key(format!("k{}", random.below(3)).into())),
        1 => KeyRange::Between("k".into(), "k3".into()),
        _ => KeyRange::all(),
    };
    let filters = Filters { no_put: random.once_in(8), no_delete: random.once_in(8) };
    Watch {
        process: ProcessId(process),
        replica: None,
        range,
        start,
        filters,
        prev_kv: random.once_in(2),
        progress_asked: true,
        opened: Nanos(0),
        responses: Vec::new(),
        resumed_from: None,
    }
}

/// Fills a watch from this commit on, until it breaks. Returns the commit that is next.
fn deliver(store: &Store, from: usize, watch: &mut Watch, random: &mut Random) -> usize {
    let mut time = watch.opened.0;
    let mut next = from;
    while next < store.commits.len() {
        let batch = (1 + random.place(3)).min(store.commits.len() - next);
        let events: Vec<Event> = store.commits[next..next + batch]
            .iter()
            .flat_map(|commit| events(store, watch, commit))
            .collect();
        next += batch;
        let last = store.commits[next - 1].revision;
        time = time.max(store.times[next - 1]) + random.below(MILLI);
        let mut respond = |header_revision, what| {
            watch.responses.push(WatchResponse { at: Nanos(time), header_revision, what });
        };
        if !events.is_empty() {
            respond(last, WatchEvent::Events(events));
        }
        if random.once_in(5) {
            respond(last, WatchEvent::Progress);
        }
        if random.once_in(200) {
            respond(Revision::ZERO, WatchEvent::Broken("by the dice".to_owned()));
            break;
        }
    }
    next
}

fn events(store: &Store, watch: &Watch, commit: &Commit) -> Vec<Event> {
    let wanted = commit
        .changes
        .iter()
        .filter(|change| watch.range.contains(&change.key) && watch.filters.wants(change.became.as_ref()));
    let event = |Change { key, became }: &Change| {
        let before = Revision(commit.revision.0 - 1);
        let previous = if watch.prev_kv { store.at(key, before).cloned() } else { None };
        Event { revision: commit.revision, key: key.clone(), became: became.clone(), previous }
    };
    wanted.map(event).collect()
}
