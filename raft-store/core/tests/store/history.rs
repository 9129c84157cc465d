//! Random histories, checked against the model after every commit.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use keelson_store_core::{
    apply::{self, Header, LeaseChange, StateMachine},
    command::{Command, CommandError, KeyRange, KeyValue, Op, PutRequest, RangeRequest, RangeResponse, Txn},
    compact,
    engine::{
        Cursor, Disk, Engine, Family, Read, Role,
        mem::{Fate, Faults, MemDisk},
    },
    id::{LeaseId, LogIndex, LogPosition, ReplicaId, Revision, Term},
    lease::{self, Lease},
    mvcc,
    watch::{self, Interest, Reader, RevisionChanges, hub::Matching},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    model::{Event, Model},
    strategies,
};

#[derive(Clone, Debug)]
enum Step {
    Apply(Command),
    Commit,
    /// Commit, then sweep once, at most this many changes.
    Sweep(usize),
    /// Commit, then look at so many records of the keys there are.
    Survey(usize),
    /// Commit, sync and open anew.
    Reopen,
    /// Drop what was not committed.
    Abandon,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => strategies::command().prop_map(Step::Apply),
        3 => Just(Step::Commit),
        2 => (1..6_usize).prop_map(Step::Sweep),
        2 => (1..20_usize).prop_map(Step::Survey),
        1 => Just(Step::Reopen),
        1 => Just(Step::Abandon),
    ]
}

pub(crate) fn at(index: u64) -> LogPosition {
    LogPosition { term: Term::new(1), index: LogIndex::new(index) }
}

pub(crate) fn open(disk: &MemDisk) -> StateMachine {
    let engine: Arc<dyn Engine> = disk.open("state", Role::State).unwrap();
    StateMachine::open(engine).unwrap()
}

/// Applies commands as one batch to both, compares the outcomes, and answers what was published.
fn commit(machine: &mut StateMachine, model: &mut Model, commands: &[Command]) {
    let first_index = machine.header().next_index().get();
    let first_event = model.events.len();
    let mut batch = machine.begin();
    for (index, command) in (first_index..).zip(commands) {
        let outcome = batch.command(at(index), command.clone()).unwrap();
        assert_eq!(outcome, model.apply(command.clone()), "outcome of {command:?}");
    }
    let applied = batch.commit().unwrap();
    assert_eq!(applied.header, *machine.header());
    assert_eq!(Header::load(machine.engine().as_ref()).unwrap(), applied.header);
    let published: Vec<_> = applied.changes.iter().map(|changes| changes.as_ref().clone()).collect();
    check_events(machine, &published, &model.events[first_event..]);
    check_state(machine, model);
}

/// The published changes are the model's events, and their previous versions are what they were.
fn check_events(machine: &StateMachine, published: &[RevisionChanges], expected: &[Event]) {
    let compacted = machine.header().compacted;
    let flat = published.iter().flat_map(|revision| revision.changes.iter().map(|c| (revision.revision, c)));
    let mut seen = 0;
    for (event, (revision, change)) in expected.iter().zip(flat) {
        assert_eq!((event.revision, event.kind, &event.kv), (revision, change.kind, &change.kv));
        let previous = watch::previous_kv(machine.engine().as_ref(), change).unwrap();
        if revision > compacted || previous.is_some() {
            assert_eq!(previous, event.previous, "previous version at {revision}");
        }
        assert_eq!(change.previous.is_some(), event.previous.is_some());
        seen += 1;
    }
    assert_eq!(seen, expected.len());
    assert_eq!(published.iter().map(|revision| revision.changes.len()).sum::<usize>(), expected.len());
}

fn what_matches(revisions: &[Matching]) -> Vec<RevisionChanges> {
    let changes = |matching: &Matching| matching.changes().cloned().collect();
    let revision =
        |matching| RevisionChanges { revision: Matching::revision(matching), changes: changes(matching) };
    revisions.iter().map(revision).collect()
}

fn check_state(machine: &StateMachine, model: &Model) {
    let (view, header) = machine.view();
    assert_eq!((header.revision.get(), header.compacted.get()), (model.revision, model.compacted));
    let everything = RangeRequest::new(KeyRange::From(Bytes::from_static(&[0])));
    for (revision, keys) in model.at.range(model.compacted..) {
        let request = RangeRequest { revision: Revision::new(*revision), ..everything.clone() };
        let kvs: Vec<KeyValue> = keys.values().cloned().collect();
        let expected = RangeResponse { count: kvs.len() as u64, more: false, kvs };
        let answer = mvcc::range(&*view, &header, &request).unwrap();
        assert_eq!(answer, model.check_revision(*revision).map(|()| expected), "keys at {revision}");
    }
    check_change_log(machine, model);
    check_leases(&*view, model);
}

fn check_change_log(machine: &StateMachine, model: &Model) {
    let (view, header) = machine.view();
    let events: Vec<_> =
        model.events.iter().filter(|event| event.revision >= header.compacted).cloned().collect();
    let everything = |from| [Reader { interest: Arc::new(Interest::everything()), from }];
    let readers = everything(header.compacted);
    let read = watch::read_changes(&*view, &header, &readers, header.revision, usize::MAX);
    let read = read.unwrap().unwrap();
    assert_eq!(read.through, header.revision);
    check_events(machine, &what_matches(&read.changes[0]), &events);
    if let Some(below) = header.compacted.get().checked_sub(1) {
        let readers = everything(Revision::new(below));
        let refused = watch::read_changes(&*view, &header, &readers, header.revision, 1);
        assert_eq!(refused.unwrap(), Err(CommandError::Compacted { compacted: header.compacted }));
    }
}

fn check_leases(view: &dyn Read, model: &Model) {
    let stored: BTreeMap<_, _> =
        lease::all(view).unwrap().into_iter().map(|lease| (lease.id, lease.ttl_seconds)).collect();
    assert_eq!(stored, model.leases);
    for id in model.leases.keys() {
        let hanging: Vec<_> =
            model.keys().values().filter(|kv| kv.lease == *id).map(|kv| kv.key.clone()).collect();
        assert_eq!(lease::keys(view, *id).unwrap(), hanging);
    }
    let mut cursor = view.cursor(Family::LeaseKeys);
    cursor.seek(&[]).unwrap();
    let hanging = model.keys().values().filter(|kv| !kv.lease.is_none()).count();
    assert_eq!(count(&mut *cursor), hanging, "no key hangs on a lease that is gone");
}

fn count(cursor: &mut dyn Cursor) -> usize {
    let mut count = 0;
    while cursor.entry().is_some() {
        count += 1;
        cursor.next().unwrap();
    }
    count
}

fn sweep_once(machine: &mut StateMachine, max_changes: usize) -> bool {
    let (view, header) = machine.view();
    let Some(step) = compact::sweep(&*view, &header, max_changes).unwrap() else { return false };
    machine.sweep(step).unwrap();
    assert_eq!(Header { swept: header.swept, ..*machine.header() }, header, "a sweep moves nothing else");
    true
}

/// After the whole sweep, what is there is what somebody may read, and nothing else.
fn check_swept(machine: &StateMachine, model: &Model) {
    let newer = model.events.iter().filter(|event| event.revision.get() > model.compacted).count();
    let at_compacted = model.at.range(..=model.compacted).next_back().map_or(0, |(_, keys)| keys.len());
    let logged = model.events.iter().filter(|event| event.revision.get() >= model.compacted).count();
    for (family, expected) in [(Family::Keys, newer + at_compacted), (Family::Changes, logged)] {
        let mut cursor = machine.engine().cursor(family);
        cursor.seek(&[]).unwrap();
        assert_eq!(count(&mut *cursor), expected, "records left in {}", family.name());
    }
}

/// The same commands one by one, never swept.
fn one_by_one(commands: &[Command]) -> Header {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    for (index, command) in commands.iter().enumerate() {
        let mut batch = machine.begin();
        batch.command(at(index as u64), command.clone()).unwrap().ok();
        batch.commit().unwrap();
    }
    *machine.header()
}

fn run(steps: Vec<Step>) {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    let mut model = Model::new();
    let (mut waiting, mut applied) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Apply(command) => {
                waiting.push(command);
                continue;
            }
            Step::Abandon => abandon(&mut machine, &std::mem::take(&mut waiting)),
            Step::Commit | Step::Sweep(_) | Step::Survey(_) | Step::Reopen => {}
        }
        commit(&mut machine, &mut model, &waiting);
        applied.append(&mut waiting);
        match step {
            Step::Sweep(max_changes) => {
                sweep_once(&mut machine, max_changes);
                check_state(&machine, &model);
            }
            Step::Survey(records) => drop(machine.survey(records).unwrap()),
            Step::Reopen => {
                machine.engine().sync().unwrap();
                drop(machine);
                machine = open(&disk);
                check_state(&machine, &model);
            }
            Step::Apply(_) | Step::Commit | Step::Abandon => {}
        }
    }
    while sweep_once(&mut machine, 3) {}
    check_state(&machine, &model);
    check_swept(&machine, &model);
    let header = *machine.header();
    assert_eq!(Header { swept: header.swept, ..one_by_one(&applied) }, header, "batches leave no trace");
}

fn abandon(machine: &mut StateMachine, commands: &[Command]) {
    let before = *machine.header();
    let mut batch = machine.begin();
    for (index, command) in (before.next_index().get()..).zip(commands) {
        batch.command(at(index), command.clone()).unwrap().ok();
    }
    drop(batch);
    assert_eq!(*machine.header(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_history_is_what_the_model_says(steps in vec(step(), 0..60)) {
        run(steps);
    }

    #[test]
    fn a_range_answers_what_the_model_says(
        commands in vec(strategies::command(), 0..40),
        requests in vec(strategies::range_request(), 1..20),
    ) {
        let disk = MemDisk::new();
        let mut machine = open(&disk);
        let mut model = Model::new();
        commit(&mut machine, &mut model, &commands);
        while sweep_once(&mut machine, 100) {}
        let (view, header) = machine.view();
        for request in requests {
            let revision = if request.revision.is_zero() { model.revision } else { request.revision.get() };
            let expected = model
                .check_revision(request.revision.get())
                .map(|()| crate::model::range(&model.at[&revision], &request));
            prop_assert_eq!(mvcc::range(&*view, &header, &request).unwrap(), expected, "{:?}", request);
        }
    }

    #[test]
    fn catching_up_together_in_small_steps_gives_each_reader_every_match_once(
        commands in vec(strategies::command(), 1..40),
        readers in vec((strategies::key_range(), any::<bool>(), any::<bool>(), 0..30_u64), 1..6),
        max_bytes in 0..400_usize,
    ) {
        let disk = MemDisk::new();
        let mut machine = open(&disk);
        let mut model = Model::new();
        commit(&mut machine, &mut model, &commands);
        let (view, header) = machine.view();
        let starts: Vec<_> = readers
            .into_iter()
            .map(|(range, no_put, no_delete, later)| {
                let from = Revision::new(header.compacted.get() + later);
                Reader { interest: Arc::new(Interest { range, no_put, no_delete }), from }
            })
            .collect();
        let (mut readers, mut all) = (starts.clone(), vec![Vec::new(); starts.len()]);
        while readers.iter().any(|reader| reader.from <= header.revision) {
            let read = watch::read_changes(&*view, &header, &readers, header.revision, max_bytes);
            let read = read.unwrap().unwrap();
            prop_assert!(readers.iter().any(|reader| reader.from <= read.through), "it gets on");
            for ((reader, all), changes) in readers.iter_mut().zip(&mut all).zip(read.changes) {
                all.extend(changes);
                reader.from = reader.from.max(read.through.next());
            }
        }
        for (Reader { interest, from }, all) in starts.iter().zip(all) {
            prop_assert!(all.windows(2).all(|pair| pair[0].revision() < pair[1].revision()), "none is split");
            let expected: Vec<_> = model
                .events
                .iter()
                .filter(|event| event.revision >= *from)
                .filter(|event| crate::model::holds_key(&interest.range, &event.kv.key))
                .filter(|event| interest.wants(event.kind))
                .cloned()
                .collect();
            check_events(&machine, &what_matches(&all), &expected);
        }
    }
}

#[test]
#[should_panic(expected = "entry 1 applied where 0 is next")]
fn a_gap_in_the_log_stops_the_replica() {
    let disk = MemDisk::new();
    open(&disk).begin().blank(at(1));
}

#[test]
#[should_panic(expected = "entry 0 applied where 1 is next")]
fn an_entry_applied_twice_stops_the_replica() {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    let mut batch = machine.begin();
    batch.blank(at(0));
    batch.blank(at(0));
}

#[test]
fn membership_and_position_survive_together() {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    assert_eq!(machine.membership().unwrap(), None);
    let mut batch = machine.begin();
    batch.set_membership(at(0), b"voters", &[ReplicaId::new(7)]);
    batch.blank(at(1));
    let applied = batch.commit().unwrap();
    assert_eq!(applied.header.applied, Some(at(1)));
    machine.engine().sync().unwrap();
    drop(machine);
    let machine = open(&disk);
    assert_eq!(machine.membership().unwrap().as_deref(), Some(&b"voters"[..]));
    let was_removed = |id| apply::was_removed(machine.engine().as_ref(), ReplicaId::new(id)).unwrap();
    assert!(was_removed(7) && !was_removed(8));
    assert_eq!(*machine.header(), applied.header);
}

#[test]
fn lease_changes_are_reported_in_order() {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    let mut batch = machine.begin();
    let id = LeaseId::new(7);
    batch.command(at(0), Command::LeaseGrant { id, ttl_seconds: 5 }).unwrap().unwrap();
    batch.command(at(1), Command::LeaseRevoke(id)).unwrap().unwrap();
    batch.command(at(2), Command::LeaseRevoke(id)).unwrap().unwrap_err();
    let granted = LeaseChange::Granted(Lease { id, ttl_seconds: 5 });
    assert_eq!(batch.commit().unwrap().leases, [granted, LeaseChange::Revoked(id)]);
}

fn put(key: &'static str) -> Command {
    let put = PutRequest { key: key.into(), value: "v".into(), ..PutRequest::default() };
    Command::Txn(Txn { success: vec![Op::Put(put)], ..Txn::default() })
}

#[test]
fn a_batch_that_met_an_engine_error_cannot_be_committed() {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    let mut batch = machine.begin();
    batch.command(at(0), put("a")).unwrap().unwrap();
    disk.set_faults(Faults { read_error: true, ..Faults::default() });
    batch.command(at(1), Command::LeaseRevoke(LeaseId::new(1))).unwrap_err();
    disk.set_faults(Faults::default());
    batch.commit().unwrap_err();
    assert_eq!(*machine.header(), Header::FRESH);
    assert_eq!(Header::load(machine.engine().as_ref()).unwrap(), Header::FRESH);
}

#[test]
fn a_write_that_fails_moves_nothing_here() {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    disk.set_faults(Faults { write_error: Some(Fate::Lost), ..Faults::default() });
    let mut batch = machine.begin();
    batch.command(at(0), put("a")).unwrap().unwrap();
    batch.commit().unwrap_err();
    assert_eq!(*machine.header(), Header::FRESH);
}

#[test]
fn a_crash_leaves_the_state_of_some_commit() {
    for survivors in 0..=3 {
        let disk = MemDisk::new();
        let mut machine = open(&disk);
        let mut headers = vec![Header::FRESH];
        for index in 0..3 {
            let mut batch = machine.begin();
            batch.command(at(index), put("a")).unwrap().unwrap();
            headers.push(batch.commit().unwrap().header);
        }
        drop(machine);
        disk.crash(&mut |_| survivors);
        let machine = open(&disk);
        assert_eq!(*machine.header(), headers[survivors]);
        let (view, header) = machine.view();
        let answer = mvcc::range(&*view, &header, &RangeRequest::new(KeyRange::Single("a".into())));
        let version = answer.unwrap().unwrap().kvs.first().map_or(0, |kv| kv.version);
        assert_eq!(version, survivors as u64, "data and header survive together");
    }
}

#[test]
fn a_sweep_planned_for_another_state_does_nothing() {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    let mut batch = machine.begin();
    for index in 0..4 {
        batch.command(at(index), put("a")).unwrap().unwrap();
    }
    batch.command(at(4), Command::Compact(Revision::new(4))).unwrap().unwrap();
    batch.commit().unwrap();
    let (view, header) = machine.view();
    let first = compact::sweep(&*view, &header, 1).unwrap().unwrap();
    machine.sweep(first.clone()).unwrap();
    let swept = *machine.header();
    machine.sweep(first).unwrap();
    assert_eq!(*machine.header(), swept);
}

#[test]
fn a_view_outlives_compaction_and_sweep() {
    let disk = MemDisk::new();
    let mut machine = open(&disk);
    let mut batch = machine.begin();
    for index in 0..3 {
        batch.command(at(index), put("a")).unwrap().unwrap();
    }
    batch.commit().unwrap();
    let (view, header) = machine.view();
    let mut batch = machine.begin();
    batch.command(at(3), Command::Compact(Revision::new(4))).unwrap().unwrap();
    batch.commit().unwrap();
    while sweep_once(&mut machine, 1) {}
    let old = RangeRequest { revision: Revision::new(2), ..RangeRequest::new(KeyRange::Single("a".into())) };
    assert_eq!(mvcc::range(&*view, &header, &old).unwrap().unwrap().kvs[0].version, 1);
    let (view, header) = machine.view();
    mvcc::range(&*view, &header, &old).unwrap().unwrap_err();
}
