//! The cache against a model, and against a store.

use std::collections::BTreeMap;

use bytes::Bytes;
use keelson_store_core::{
    command::{KeyRange, KeyValue},
    id::ChangeId,
    watch::{Change, ChangeKind},
};
use proptest::prelude::*;
use serde_json::Value;

use super::{ring::Limits, shard::Contents, *};
use crate::{
    envelope,
    selection::Selection,
    storage::ObjectStore,
    testing::{config_map, config_maps, with_store},
};

/// What one revision does to one of a few objects: gives it a label, or removes it.
#[derive(Clone, Copy, Debug)]
struct Step {
    name: u8,
    label: Option<bool>,
}

fn key(name: u8) -> Bytes {
    format!("/registry/configmaps/{}/{name}", if name.is_multiple_of(2) { "even" } else { "odd" }).into()
}

fn stored(name: u8, label: bool, revision: Revision) -> KeyValue {
    let namespace = if name.is_multiple_of(2) { "even" } else { "odd" };
    let label = if label { "yes" } else { "no" };
    let object = config_map(namespace, &name.to_string(), &[("l", label)], "");
    let value = envelope::encode("v1", object.0.to_string().as_bytes()).unwrap();
    KeyValue { key: key(name), value: value.into(), mod_revision: revision, ..KeyValue::default() }
}

fn change(step: Step, revision: Revision, previous: Option<ChangeId>) -> Change {
    let (kind, kv) = match step.label {
        Some(label) => (ChangeKind::Put, stored(step.name, label, revision)),
        None => {
            let gone = KeyValue { key: key(step.name), mod_revision: revision, ..KeyValue::default() };
            (ChangeKind::Delete, gone)
        }
    };
    Change { kind, kv, previous }
}

fn shard(events: usize) -> Shard {
    Shard::with_history(config_maps(), "configmaps", Limits { events, bytes: 1 << 20 })
}

fn apply(shard: &Shard, revision: Revision, changes: &[Change]) {
    shard.apply(&[(revision, changes.iter().collect())]);
}

/// What a client holds that believes every event.
#[derive(Debug, Default, PartialEq)]
struct Client {
    cursor: Revision,
    objects: BTreeMap<(String, String), u64>,
}

impl Client {
    fn list(shard: &Shard, range: &KeyRange, selection: &Selection) -> Self {
        let snapshot = shard.snapshot(range).unwrap();
        let matching = snapshot.objects.iter().filter(|object| selection.matches(object));
        let entry = |object: &Arc<CachedObject>| {
            ((object.namespace.clone(), object.name.clone()), object.revision.get())
        };
        Self { cursor: snapshot.revision, objects: matching.map(entry).collect() }
    }

    /// Takes in what a watch tells next; false when the shard has forgotten it.
    fn pull(&mut self, shard: &Shard, range: &KeyRange, selection: &Selection) -> bool {
        let Pulled::Events { events, through } = shard.pull(self.cursor, range) else { return false };
        for event in events {
            assert!(event.revision > self.cursor, "no event comes twice");
            let Some(kind) = event.seen_through(selection) else { continue };
            let shown = event.shown(kind);
            assert_eq!(shown.revision, event.revision, "what is shown bears the event's revision");
            let line: Value = serde_json::from_slice(&event.line(kind)).unwrap();
            assert_eq!(line["type"], kind.name());
            assert_eq!(line["object"]["metadata"]["resourceVersion"], event.revision.to_string());
            let key = (shown.namespace.clone(), shown.name.clone());
            let before = match kind {
                EventType::Added | EventType::Modified => self.objects.insert(key, shown.revision.get()),
                EventType::Deleted => self.objects.remove(&key),
            };
            assert_eq!(before.is_none(), kind == EventType::Added, "{kind:?} of what was {before:?}");
        }
        assert!(through >= self.cursor, "time goes forward");
        self.cursor = through;
        true
    }
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step =
        (0..6_u8, prop::option::weighted(0.7, any::<bool>())).prop_map(|(name, label)| Step { name, label });
    prop::collection::vec(prop::collection::vec(step, 0..4), 0..40)
}

proptest! {
    #[test]
    fn whoever_lists_and_then_watches_knows_what_the_store_has(
        revisions in steps(),
        starts in prop::collection::vec((0..40_usize, 0..3_usize), 1..6),
        history in 1..20_usize,
    ) {
        let shard = shard(history);
        shard.fill(Contents::default(), Revision::FIRST);
        let selections = ["", "l=yes", "l notin (yes)"].map(|labels| {
            Selection::parse(config_maps(), Some(labels), None).unwrap()
        });
        let ranges = [
            crate::storage::collection(config_maps(), "").unwrap(),
            crate::storage::collection(config_maps(), "odd").unwrap(),
            KeyRange::Single(key(2)),
        ];
        let mut clients = Vec::new();
        let mut model: BTreeMap<u8, (bool, u64)> = BTreeMap::new();
        for (at, steps) in revisions.iter().enumerate() {
            let revision = Revision::new(2 + at as u64);
            let mut changes: BTreeMap<u8, Change> = BTreeMap::new();
            for step in steps {
                // A revision changes a key at most once.
                if changes.contains_key(&step.name) || (step.label.is_none() && !model.contains_key(&step.name)) {
                    continue;
                }
                changes.insert(step.name, change(*step, revision, None));
                match step.label {
                    Some(label) => drop(model.insert(step.name, (label, revision.get()))),
                    None => drop(model.remove(&step.name)),
                }
            }
            let changes: Vec<Change> = changes.into_values().collect();
            if changes.is_empty() { shard.advance(revision) } else { apply(&shard, revision, &changes) }
            for (start, which) in &starts {
                if *start == at {
                    let client = Client::list(&shard, &ranges[*which], &selections[*which]);
                    clients.push((client, *which));
                }
            }
            // Every other client reads slowly.
            for (client, which) in clients.iter_mut().step_by(2) {
                prop_assert!(client.pull(&shard, &ranges[*which], &selections[*which]) || history < 4);
            }
        }
        for (mut client, which) in clients {
            let (range, selection) = (&ranges[which], &selections[which]);
            let newest = Client::list(&shard, range, selection);
            if client.pull(&shard, range, selection) {
                prop_assert_eq!(client, newest);
            }
        }
        let newest = shard.snapshot(&ranges[0]).unwrap().objects;
        let known: BTreeMap<u8, u64> =
            newest.iter().map(|object| (object.name.parse().unwrap(), object.revision.get())).collect();
        prop_assert_eq!(known, model.iter().map(|(name, (_, revision))| (*name, *revision)).collect());
    }
}

#[test]
fn what_a_shard_forgets_it_forgets_by_whole_revisions() {
    let shard = shard(3);
    shard.fill(Contents::default(), Revision::FIRST);
    let all = crate::storage::collection(config_maps(), "").unwrap();
    for revision in [2, 3, 4] {
        let revision = Revision::new(revision);
        let two = [0, 2].map(|name| change(Step { name, label: Some(true) }, revision, None));
        apply(&shard, revision, &two);
    }
    assert!(matches!(shard.pull(Revision::new(2), &all), Pulled::Forgotten));
    let Pulled::Events { events, through } = shard.pull(Revision::new(3), &all) else { panic!("forgotten") };
    assert_eq!((events.len(), through), (2, Revision::new(4)));
}

#[test]
fn a_value_that_cannot_be_read_fails_lists_and_heals() {
    let shard = shard(10);
    let all = crate::storage::collection(config_maps(), "").unwrap();
    let broken = KeyValue { key: key(1), value: "?".into(), ..KeyValue::default() };
    let mut contents = Contents::default();
    for kv in [stored(0, true, Revision::FIRST), broken] {
        contents.take(config_maps(), &kv);
    }
    shard.fill(contents, Revision::FIRST);
    assert_eq!(shard.snapshot(&all).unwrap_err().code, 500);
    assert!(shard.find(&key(1)).is_err());
    assert!(shard.find(&key(0)).unwrap().0.is_some());
    let even = crate::storage::collection(config_maps(), "even").unwrap();
    assert_eq!(shard.snapshot(&even).unwrap().objects.len(), 1);
    let two = Revision::new(2);
    apply(&shard, two, &[change(Step { name: 1, label: Some(true) }, two, None)]);
    assert_eq!(shard.snapshot(&all).unwrap().objects.len(), 2);
}

#[test]
fn a_reader_sees_its_own_writes_and_those_of_others_that_were_acknowledged() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let everything = Selection::default();
        for round in 0..20_usize {
            let object = config_map("a", &round.to_string(), &[], "");
            objects.create(config_maps(), &object, &[]).await.unwrap();
            let listed = objects.list(config_maps(), "a", &everything).await.unwrap();
            assert_eq!(listed.len(), round + 1);
        }
        assert!(objects.warming().is_empty(), "whoever has read a shard has filled it; the others are empty");
    });
}

#[test]
fn a_cache_that_starts_late_is_filled_from_the_store() {
    with_store(async |store| {
        let early = ObjectStore::open(store.clone());
        for number in 0..2500_usize {
            let object = config_map("a", &format!("{number:04}"), &[], "");
            early.create(config_maps(), &object, &[]).await.unwrap();
        }
        let late = ObjectStore::open(store);
        let listed = late.list(config_maps(), "", &Selection::default()).await.unwrap();
        assert_eq!(listed.len(), 2500);
        assert!(listed.is_sorted_by_key(|object| object.key.clone()));
        let one = late.cached_object(config_maps(), "a", "0007").unwrap();
        assert_eq!(one.object().name(), "0007");
    });
}

#[test]
fn history_is_forgotten_by_the_size_it_had_when_it_was_taken_in() {
    let shard = shard(3);
    for number in 1..=10 {
        let step = Step { name: 2, label: Some(number % 2 == 0) };
        apply(&shard, Revision::new(number), &[change(step, Revision::new(number), None)]);
        // Whoever asks for a message makes the object larger, long after the change was counted.
        for object in shard.all() {
            object.protobuf(|_| vec![0; 64 << 10]);
        }
    }
    let range = shard.range().clone();
    let Pulled::Events { events, .. } = shard.pull(Revision::new(7), &range) else {
        panic!("they are there")
    };
    assert_eq!(events.len(), 3);
    assert!(matches!(shard.pull(Revision::new(6), &range), Pulled::Forgotten));
}
