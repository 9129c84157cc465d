//! The hub under watchers of every kind: quick, slow, in the past, in the future, across compactions and jumps.
//!
//! The history is a list; what each watcher must have got is a filter over it.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    command::{KeyRange, KeyValue},
    id::ChangeId,
    watch::ChangeKind,
};

#[derive(Clone, Debug)]
enum Step {
    /// Several revisions in one batch, each changing some keys.
    Publish(Vec<Vec<(u8, bool)>>),
    Watch {
        first: u8,
        last: Option<u8>,
        start: u64,
        no_put: bool,
        no_delete: bool,
    },
    Poll(usize),
    /// Take at most so many revisions when catching up.
    PollInSteps(usize, u64),
    Unwatch(usize),
    Compact(u64),
    /// Revisions that are never published, as when a snapshot was installed.
    Jump(Vec<Vec<(u8, bool)>>),
}

fn revisions() -> impl Strategy<Value = Vec<Vec<(u8, bool)>>> {
    vec(vec((0..5_u8, any::<bool>()), 1..4), 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let watch = (0..5_u8, prop::option::of(0..6_u8), 0..40_u64, any::<bool>(), any::<bool>());
    prop_oneof![
        6 => revisions().prop_map(Step::Publish),
        3 => watch.prop_map(|(first, last, start, no_put, no_delete)| Step::Watch {
            first, last, start, no_put, no_delete
        }),
        4 => (0..8_usize).prop_map(Step::Poll),
        3 => (0..8_usize, 1..3_u64).prop_map(|(watcher, revisions)| Step::PollInSteps(watcher, revisions)),
        1 => (0..8_usize).prop_map(Step::Unwatch),
        1 => (0..10_u64).prop_map(Step::Compact),
        1 => revisions().prop_map(Step::Jump),
    ]
}

/// A watcher and what it has got.
struct Seen {
    id: WatcherId,
    interest: Interest,
    start: Revision,
    got: Vec<(Revision, Change)>,
    /// It has not been polled to the end since it was made or woken.
    awake: bool,
    /// It was woken since it was polled to the end.
    woken: bool,
}

struct World {
    hub: Hub,
    header: Header,
    history: Vec<Arc<RevisionChanges>>,
    watchers: Vec<Seen>,
}

impl World {
    fn new(window_bytes: usize) -> Self {
        let header = Header::FRESH;
        Self { hub: Hub::new(&header, window_bytes), header, history: Vec::new(), watchers: Vec::new() }
    }

    /// Extends the history; answers what is new.
    fn write(&mut self, revisions: Vec<Vec<(u8, bool)>>) -> Vec<Arc<RevisionChanges>> {
        let from = self.history.len();
        for keys in revisions {
            self.header.revision = self.header.revision.next();
            let revision = self.header.revision;
            let changes = keys.into_iter().map(|(key, put)| change(revision, key, put)).collect();
            self.history.push(Arc::new(RevisionChanges { revision, changes }));
        }
        self.history[from..].to_vec()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(revisions) => {
                let new = self.write(revisions);
                let woken = self.hub.publish(&new, &self.header);
                self.wake(&woken);
            }
            Step::Jump(revisions) => {
                self.write(revisions);
                let woken = self.hub.jumped(&self.header);
                self.wake(&woken);
            }
            Step::Watch { first, last, start, no_put, no_delete } => {
                let range = last.map_or(KeyRange::Single(key(first)), |last| KeyRange::Span {
                    start: key(first),
                    end: key(last),
                });
                let interest = Interest { range, no_put, no_delete };
                let id = self.hub.watch(interest.clone(), Revision::new(start));
                let start = if start == 0 { self.header.revision.next() } else { Revision::new(start) };
                self.watchers.push(Seen { id, interest, start, got: Vec::new(), awake: true, woken: false });
            }
            Step::Poll(watcher) => self.poll(watcher, u64::MAX),
            Step::PollInSteps(watcher, revisions) => self.poll(watcher, revisions),
            Step::Unwatch(watcher) if watcher < self.watchers.len() => {
                let gone = self.watchers.remove(watcher);
                self.hub.unwatch(gone.id);
                assert_eq!(self.hub.poll(gone.id), None);
            }
            Step::Unwatch(_) => {}
            Step::Compact(ahead) => {
                let compacted = Revision::new(self.header.compacted.get() + ahead);
                self.header.compacted = compacted.min(self.header.revision);
                let woken = self.hub.publish(&[], &self.header);
                assert_eq!(woken, []);
            }
        }
    }

    fn wake(&mut self, woken: &[WatcherId]) {
        for id in woken {
            let seen = self.watchers.iter_mut().find(|seen| seen.id == *id).expect("only watchers are woken");
            assert!(!std::mem::replace(&mut seen.woken, true), "nobody is woken twice");
            seen.awake = true;
        }
    }

    /// Fetches until there is nothing more, reading `revisions` at a time where the store is asked.
    fn poll(&mut self, watcher: usize, revisions: u64) {
        let Some(seen) = self.watchers.get_mut(watcher) else { return };
        loop {
            match self.hub.poll(seen.id).expect("it is there") {
                Polled::Changes { revisions, next } => {
                    for matching in &revisions {
                        assert!(matching.revision() < next);
                        assert!(matching.changes().next().is_some());
                        seen.got
                            .extend(matching.changes().map(|change| (matching.revision(), change.clone())));
                    }
                }
                Polled::CatchUp { interest, from, to } => {
                    assert_eq!(*interest, seen.interest);
                    assert!(self.header.compacted <= from && from <= to && to <= self.header.revision);
                    let through = Revision::new(to.get().min(from.get() + (revisions - 1).min(100)));
                    seen.got.extend(wanted(&self.history, &seen.interest, from, through));
                    self.hub.caught_up(seen.id, through);
                }
                Polled::Idle { progress } => {
                    assert_eq!(progress, self.header.revision);
                    assert_eq!(seen.got, wanted(&self.history, &seen.interest, seen.start, progress));
                    (seen.awake, seen.woken) = (false, false);
                    return;
                }
                Polled::Future { start } => {
                    assert_eq!((start, seen.got.len()), (seen.start, 0));
                    assert!(start > self.header.revision.next());
                    (seen.awake, seen.woken) = (false, false);
                    return;
                }
                Polled::Compacted { compacted } => {
                    assert_eq!(compacted, self.header.compacted);
                    let id = seen.id;
                    self.check_compacted(watcher);
                    self.hub.unwatch(id);
                    self.watchers.remove(watcher);
                    return;
                }
            }
        }
    }

    /// A watcher that was told so got a beginning of what it wants, and lacks something below the compacted
    /// revision (or might: what lies there is not known to anybody).
    fn check_compacted(&self, watcher: usize) {
        let Seen { interest, start, got, .. } = &self.watchers[watcher];
        let all = wanted(&self.history, interest, *start, self.header.revision);
        assert!(all.starts_with(got));
        assert!(*start < self.header.compacted);
    }

    /// Nobody who sleeps misses anything.
    fn check_asleep(&self) {
        for seen in self.watchers.iter().filter(|seen| !seen.awake) {
            assert_eq!(seen.got, wanted(&self.history, &seen.interest, seen.start, self.header.revision));
        }
    }
}

fn key(n: u8) -> Bytes {
    Bytes::copy_from_slice(&[b'a' + n])
}

fn change(revision: Revision, n: u8, put: bool) -> Change {
    let kind = if put { ChangeKind::Put } else { ChangeKind::Delete };
    let kv = KeyValue { key: key(n), mod_revision: revision, ..KeyValue::default() };
    Change { kind, kv, previous: None::<ChangeId> }
}

fn wanted(
    history: &[Arc<RevisionChanges>],
    interest: &Interest,
    from: Revision,
    to: Revision,
) -> Vec<(Revision, Change)> {
    let within = history.iter().filter(|all| all.revision >= from && all.revision <= to);
    let changes = within.flat_map(|all| all.changes.iter().map(|change| (all.revision, change.clone())));
    changes.filter(|(_, change)| interest.matches(change)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_watcher_gets_each_match_once_in_order(
        steps in vec(step(), 0..60),
        window_bytes in 0..2000_usize,
    ) {
        let mut world = World::new(window_bytes);
        for step in steps {
            world.step(step);
            world.check_asleep();
        }
        for watcher in (0..world.watchers.len()).rev() {
            world.poll(watcher, u64::MAX);
        }
        prop_assert!(world.watchers.iter().all(|seen| !seen.awake));
    }
}

#[test]
fn a_watcher_far_behind_takes_turns() {
    let mut world = World::new(usize::MAX);
    let id = world.hub.watch(Interest::everything(), Revision::ZERO);
    for _ in 0..3 {
        let new = world.write(vec![vec![(0, true)]; REVISIONS_PER_POLL]);
        world.hub.publish(&new, &world.header);
    }
    for turn in 1..=3 {
        let Some(Polled::Changes { revisions, next }) = world.hub.poll(id) else { panic!("there is more") };
        assert_eq!(revisions.len(), REVISIONS_PER_POLL);
        assert_eq!(next.get(), 2 + turn * REVISIONS_PER_POLL as u64);
    }
    assert_eq!(world.hub.poll(id), Some(Polled::Idle { progress: world.header.revision }));
}

#[test]
fn a_watcher_very_far_behind_reads_from_the_store_what_is_old_and_from_memory_what_is_new() {
    let mut world = World::new(usize::MAX);
    let id = world.hub.watch(Interest::everything(), Revision::ZERO);
    let new = world.write(vec![vec![(0, true)]; NEAR as usize + 10]);
    world.hub.publish(&new, &world.header);
    let (from, to) = (Revision::new(2), Revision::new(11));
    assert_eq!(
        world.hub.poll(id),
        Some(Polled::CatchUp { interest: Arc::new(Interest::everything()), from, to })
    );
    world.hub.caught_up(id, to);
    let Some(Polled::Changes { revisions, .. }) = world.hub.poll(id) else { panic!("the rest is in memory") };
    assert_eq!(revisions[0].revision(), to.next());
}

#[test]
fn a_poll_hands_out_no_more_than_a_slow_watcher_may_keep_in_memory() {
    let mut world = World::new(usize::MAX);
    let id = world.hub.watch(Interest::everything(), Revision::ZERO);
    let large = |revision: u64| {
        let mut change = change(Revision::new(revision), 0, true);
        change.kv.value = vec![7; BYTES_PER_POLL / 3].into();
        Arc::new(RevisionChanges { revision: Revision::new(revision), changes: [change].into() })
    };
    let new: Vec<_> = (2..=8).map(large).collect();
    world.header.revision = Revision::new(8);
    world.hub.publish(&new, &world.header);
    let mut seen = Vec::new();
    while let Some(Polled::Changes { revisions, .. }) = world.hub.poll(id) {
        assert!(revisions.len() <= 2, "{} at once", revisions.len());
        seen.extend(revisions.iter().map(|matching| matching.revision().get()));
    }
    assert_eq!(seen, [2, 3, 4, 5, 6, 7, 8]);
}

#[test]
#[should_panic(expected = "one revision after another")]
fn a_revision_that_is_left_out_is_a_bug() {
    let mut world = World::new(1000);
    let new = world.write(vec![vec![(0, true)]; 2]);
    world.hub.publish(&new[1..], &world.header);
}

#[test]
#[should_panic(expected = "every revision is published")]
fn a_revision_without_its_changes_is_a_bug() {
    let mut world = World::new(1000);
    world.write(vec![vec![(0, true)]]);
    world.hub.publish(&[], &world.header);
}
