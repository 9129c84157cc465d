//! The in-memory disk against the shared suite, and its faults one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::store::{Image, Store};
use super::tree::{Record, Tree};
use super::*;
use crate::engine::conformance::{self, Crashable};
use crate::engine::{Batch, Read};

const FAMILY: Family = Family::Keys;

fn open(disk: &MemDisk) -> Arc<dyn Engine> {
    disk.open("store", Role::State).unwrap()
}

fn put(engine: &dyn Engine, key: &'static str, value: &'static str) -> Result<(), EngineError> {
    let mut batch = Batch::default();
    batch.put(FAMILY, key, value);
    engine.write(batch)
}

fn get(reader: &dyn Read, key: &str) -> Option<Bytes> {
    reader.get(FAMILY, key.as_bytes()).unwrap()
}

fn is_corrupt<T>(result: &Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::Corrupt { .. }))
}

fn is_io<T>(result: &Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::Io { .. }))
}

#[test]
fn keeps_every_promise() {
    conformance::run(&mut || Arc::new(MemDisk::new()));
}

/// A machine that loses what a counter says.
struct Machine {
    disk: MemDisk,
    survivors: fn(AtRisk<'_>) -> usize,
}

impl Crashable for Machine {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    fn crash(&mut self) {
        self.disk.crash(&mut |at_risk| (self.survivors)(at_risk));
    }
}

#[test]
fn keeps_every_promise_about_crashes() {
    let choices: [fn(AtRisk<'_>) -> usize; 4] =
        [|_| 0, |at_risk| at_risk.count(), |at_risk| at_risk.count() / 2, |_| usize::MAX];
    for survivors in choices {
        conformance::run_crashes(&mut || Box::new(Machine { disk: MemDisk::new(), survivors }));
    }
}

#[test]
fn crash_keeps_exactly_the_chosen_batches() {
    for kept in 0..=3 {
        let disk = MemDisk::new();
        let engine = open(&disk);
        put(&*engine, "synced", "1").unwrap();
        engine.sync().unwrap();
        ["a", "b", "c"].into_iter().for_each(|key| put(&*engine, key, "1").unwrap());
        let mut asked = Vec::new();
        disk.crash(&mut |at_risk| {
            assert!(matches!(at_risk, AtRisk::Batches { store: "store", .. }));
            asked.push(at_risk.count());
            kept
        });
        assert_eq!(asked, [3]);
        let engine = open(&disk);
        let left = ["synced", "a", "b", "c"].into_iter().filter(|key| get(&*engine, key).is_some());
        assert_eq!(left.count(), 1 + kept);
        disk.crash(&mut |at_risk| panic!("{at_risk:?} survived a crash already"));
    }
}

#[test]
fn what_lasts_is_what_was_synced_and_the_disk_itself_goes_on() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    put(&*engine, "synced", "1").unwrap();
    engine.sync().unwrap();
    put(&*engine, "not", "1").unwrap();
    let lasting = open(&disk.lasting());
    assert!(get(&*lasting, "synced").is_some() && get(&*lasting, "not").is_none());
    assert!(get(&*engine, "not").is_some());
}

#[test]
fn old_handles_are_dead_after_a_crash() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    put(&*engine, "a", "1").unwrap();
    let view = engine.view();
    let mut cursor = engine.cursor(FAMILY);
    disk.crash(&mut |_| usize::MAX);
    let fresh = open(&disk);
    assert!(is_io(&put(&*engine, "b", "1")));
    assert!(is_io(&engine.sync()));
    assert!(is_io(&engine.checkpoint("checkpoint")));
    assert!(is_io(&engine.get(FAMILY, b"a")));
    assert!(is_io(&view.get(FAMILY, b"a")));
    assert!(is_io(&cursor.seek(b"a")));
    assert_eq!(get(&*fresh, "a").as_deref(), Some(&b"1"[..]));
}

#[test]
fn failed_write_may_or_may_not_have_happened() {
    for (fate, expected) in [(Fate::Lost, None), (Fate::Kept, Some(Bytes::from("1")))] {
        let disk = MemDisk::new();
        let engine = open(&disk);
        disk.set_faults(Faults { write_error: Some(fate), ..Faults::default() });
        assert!(is_io(&put(&*engine, "a", "1")));
        disk.set_faults(Faults::default());
        assert!(is_io(&put(&*engine, "b", "1")), "the handle is done for (E7)");
        assert!(is_io(&engine.sync()), "the handle is done for (E7)");
        drop(engine);
        let engine = open(&disk);
        assert_eq!(get(&*engine, "a"), expected);
        put(&*engine, "b", "1").unwrap();
    }
}

#[test]
fn failed_sync_may_or_may_not_have_happened() {
    for (fate, expected) in [(Fate::Lost, None), (Fate::Kept, Some(Bytes::from("1")))] {
        let disk = MemDisk::new();
        let engine = open(&disk);
        put(&*engine, "a", "1").unwrap();
        disk.set_faults(Faults { sync_error: Some(fate), ..Faults::default() });
        assert!(is_io(&engine.sync()));
        disk.set_faults(Faults::default());
        assert!(is_io(&engine.sync()), "the handle is done for (E7)");
        disk.crash(&mut |_| 0);
        assert_eq!(get(&*open(&disk), "a"), expected);
    }
}

#[test]
fn failed_reads_are_errors() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    put(&*engine, "a", "1").unwrap();
    disk.write_file("folder", "file", 0, b"x").unwrap();
    disk.set_faults(Faults { read_error: true, ..Faults::default() });
    assert!(is_io(&engine.get(FAMILY, b"a")));
    assert!(is_io(&engine.cursor(FAMILY).seek(b"")));
    assert!(is_io(&disk.read_file("folder", "file", 0, 1)));
    assert!(is_io(&disk.open("other", Role::State)));
    disk.set_faults(Faults::default());
    assert!(get(&*engine, "a").is_some());
}

#[test]
fn full_disk_refuses_growth_only() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    put(&*engine, "a", "1234").unwrap();
    disk.set_faults(Faults { capacity_bytes: Some(8), ..Faults::default() });
    put(&*engine, "b", "12").unwrap();
    let mut batch = Batch::default();
    batch.delete(FAMILY, "b");
    engine.write(batch).unwrap();
    assert!(is_io(&engine.checkpoint("checkpoint")));
    assert!(is_io(&disk.write_file("folder", "file", 0, b"1234")));
    assert_eq!(disk.list().unwrap(), ["store"]);
    assert!(is_io(&put(&*engine, "b", "123")));
    assert!(is_io(&put(&*engine, "b", "")), "the handle is done for (E7)");
    drop(engine);
    let engine = open(&disk);
    assert_eq!(get(&*engine, "b"), None);
    put(&*engine, "b", "12").unwrap();
}

#[test]
fn damaged_record_is_found_until_overwritten() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    ["a", "b", "c"].into_iter().for_each(|key| put(&*engine, key, "1").unwrap());
    let before = engine.view();
    assert!(!disk.damage_record("store", FAMILY, b"nothing here"));
    assert!(disk.damage_record("store", FAMILY, b"b"));
    assert!(is_corrupt(&engine.get(FAMILY, b"b")));
    assert!(get(&*before, "b").is_some());

    let mut cursor = engine.cursor(FAMILY);
    cursor.seek(b"a").unwrap();
    assert!(is_corrupt(&cursor.next()));
    assert_eq!(cursor.entry(), None, "a cursor on damage stands nowhere");
    cursor.seek(b"c").unwrap();
    assert!(cursor.entry().is_some());
    drop(cursor);

    disk.crash(&mut |_| usize::MAX);
    let engine = open(&disk);
    assert!(is_corrupt(&engine.get(FAMILY, b"b")), "a crash repairs nothing");
    engine.checkpoint("checkpoint").unwrap();
    let copy = disk.open("checkpoint", Role::State).unwrap();
    assert!(is_corrupt(&copy.get(FAMILY, b"b")), "damage travels with a checkpoint");
    put(&*engine, "b", "2").unwrap();
    assert!(get(&*engine, "b").is_some());
}

#[test]
fn damaged_store_does_not_open() {
    let disk = MemDisk::new();
    drop(open(&disk));
    assert!(!disk.damage_store("other"));
    assert!(disk.damage_store("store"));
    assert!(is_corrupt(&disk.open("store", Role::State)));
    disk.remove("store").unwrap();
    open(&disk);
}

#[test]
fn every_flipped_bit_of_a_checkpoint_is_found() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    put(&*engine, "a", "1").unwrap();
    engine.checkpoint("checkpoint").unwrap();
    let (file, length) = disk.files("checkpoint").unwrap().remove(0);
    for offset in 0..usize::try_from(length).unwrap() {
        assert!(disk.damage_file("checkpoint", &file, offset));
        assert!(is_corrupt(&disk.open("checkpoint", Role::State)), "byte {offset}");
        assert!(disk.damage_file("checkpoint", &file, offset), "flip it back");
    }
    assert!(!disk.damage_file("checkpoint", &file, usize::MAX));
    disk.open("checkpoint", Role::State).unwrap();
}

#[test]
fn checkpoint_of_a_newer_version_is_refused() {
    let mut file = image_file::encode(Role::State, &Image::default());
    file[12..16].copy_from_slice(&9_u32.to_be_bytes());
    let checksum = crc32c::crc32c(&file[12..]);
    file[8..12].copy_from_slice(&checksum.to_be_bytes());
    let disk = MemDisk::new();
    disk.write_file("copy", image_file::FILE_NAME, 0, &file).unwrap();
    let error = disk.open("copy", Role::State).err().unwrap();
    assert!(matches!(error, EngineError::TooNew { found: 9, known: 1, .. }), "{error}");
}

#[test]
fn unsynced_files_are_torn_or_lost() {
    let left = |kept: usize| {
        let disk = MemDisk::new();
        disk.write_file("folder", "old", 0, b"durable").unwrap();
        disk.sync_folder("folder").unwrap();
        disk.write_file("folder", "old", 0, b"DURABLE and more").unwrap();
        disk.write_file("new", "file", 0, b"gone?").unwrap();
        disk.crash(&mut |_| kept);
        let old = disk.read_file("folder", "old", 0, 100).unwrap();
        (String::from_utf8(old.to_vec()).unwrap(), disk.list().unwrap())
    };
    assert_eq!(left(0), ("durable".into(), vec!["folder".to_owned()]));
    assert_eq!(left(3), ("DURable".into(), vec!["folder".to_owned(), "new".to_owned()]));
    assert_eq!(left(99).0, "DURABLE and more");
}

#[test]
fn store_opened_from_unsynced_files_is_wreckage_after_a_crash() {
    for is_synced in [true, false] {
        let disk = MemDisk::new();
        let file = image_file::encode(Role::State, &Image::default());
        disk.write_file("store", image_file::FILE_NAME, 0, &file).unwrap();
        if is_synced {
            disk.sync_folder("store").unwrap();
        }
        open(&disk).sync().unwrap();
        disk.crash(&mut |_| usize::MAX);
        assert_eq!(is_corrupt(&disk.open("store", Role::State)), !is_synced);
    }
}

#[test]
fn absurd_file_offset_is_an_error() {
    let disk = MemDisk::new();
    assert!(is_io(&disk.write_file("folder", "file", u64::MAX, b"x")));
    assert!(is_io(&disk.write_file("folder", "file", 1 << 40, b"x")));
}

#[test]
fn unsynced_batches_do_not_pile_up() {
    let mut store = Store::new(Role::State, Image::default());
    for _ in 0..10_000 {
        store.push(store.current().after(&Batch::default()));
    }
    assert_eq!(store.unsynced(), 4096);
}

/// A change of the tree, and of the model that it is compared with.
#[derive(Clone, Debug)]
enum Change {
    Put(Vec<u8>, u8),
    Remove(Vec<u8>),
    RemoveRange(Vec<u8>, Vec<u8>),
}

fn a_key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0_u8..4, 0..4)
}

fn a_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (a_key(), any::<u8>()).prop_map(|(key, value)| Change::Put(key, value)),
        2 => a_key().prop_map(Change::Remove),
        1 => (a_key(), a_key()).prop_map(|(start, end)| Change::RemoveRange(start, end)),
    ]
}

fn apply(change: Change, tree: &Tree, model: &mut BTreeMap<Vec<u8>, u8>) -> Tree {
    match change {
        Change::Put(key, value) => {
            model.insert(key.clone(), value);
            tree.put(key.into(), Record::Intact(vec![value].into()))
        }
        Change::Remove(key) => {
            model.remove(&key);
            tree.remove(&key)
        }
        Change::RemoveRange(start, end) => {
            model.retain(|key, _| !(*key >= start && *key < end));
            tree.remove_range(&start, &end)
        }
    }
}

fn contents(tree: &Tree) -> Vec<(Vec<u8>, u8)> {
    let mut found = Vec::new();
    tree.visit(&mut |node| {
        let Record::Intact(value) = &node.record else { panic!("nothing was damaged") };
        found.push((node.key.to_vec(), value[0]));
    });
    found
}

proptest! {
    #[test]
    fn tree_is_an_ordered_map_that_keeps_its_past(
        changes in proptest::collection::vec(a_change(), 0..60),
        probes in proptest::collection::vec(a_key(), 8),
    ) {
        let mut model = BTreeMap::new();
        let mut past = vec![(Tree::default(), Vec::new())];
        for change in changes {
            let tree = apply(change, &past[past.len() - 1].0, &mut model);
            let expected: Vec<_> = model.clone().into_iter().collect();
            past.push((tree, expected));
        }
        for (tree, expected) in &past {
            prop_assert_eq!(&contents(tree), expected);
            prop_assert_eq!(tree.bytes(), expected.iter().map(|(key, _)| key.len() as u64 + 1).sum::<u64>());
        }
        let tree = &past[past.len() - 1].0;
        let key_of = |node: Option<Arc<super::tree::Node>>| node.map(|node| node.key.to_vec());
        for probe in probes {
            prop_assert_eq!(tree.get(&probe).is_some(), model.contains_key(&probe));
            prop_assert_eq!(key_of(tree.at_or_after(&probe)), model.range(probe.clone()..).next().map(|e| e.0.clone()));
            prop_assert_eq!(key_of(tree.at_or_before(&probe)), model.range(..=probe.clone()).next_back().map(|e| e.0.clone()));
            let after = model.keys().find(|key| **key > probe).cloned();
            prop_assert_eq!(key_of(tree.after(&probe)), after);
        }
    }
}

#[test]
fn a_copied_disk_goes_its_own_way() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    put(&*engine, "a", "1").unwrap();
    let copy = disk.copy();
    put(&*engine, "a", "2").unwrap();
    copy.crash(&mut |_| 0);
    assert_eq!(get(&*open(&copy), "a"), Some(Bytes::from_static(b"1")));
    assert_eq!(get(&*engine, "a"), Some(Bytes::from_static(b"2")));
}
