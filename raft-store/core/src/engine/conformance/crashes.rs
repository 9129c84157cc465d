//! Promises about what is left after a crash (E1, E3, E4).

use std::sync::Arc;

use super::{Crashable, FAMILY, get, keys, open, put, sync, write};
use crate::engine::{Engine, Family, Read, Role};

/// Takes the machine down while `engine` is open, as a crash does, and opens the store again.
///
/// The old handle is dropped only afterwards: closing it first might write out what a crash would lose.
fn crash(machine: &mut dyn Crashable, engine: Arc<dyn Engine>, name: &str, role: Role) -> Arc<dyn Engine> {
    machine.crash();
    let reopened = open(&*machine.disk(), name, role);
    drop(engine);
    reopened
}

fn key(number: usize) -> String {
    format!("k{number:04}")
}

/// The keys of [`key`] that are there must be the first ones; how many are.
fn survivors(reader: &dyn Read, family: Family) -> usize {
    let found = keys(reader, family);
    assert_eq!(found, (0..found.len()).map(key).collect::<Vec<_>>(), "something is missing in the middle");
    found.len()
}

/// Everything written before a sync is there after a crash, in stores of both roles.
pub fn synced_survives(machine: &mut dyn Crashable) {
    for (name, role, family) in
        [("log", Role::Log, Family::LogEntries), ("state", Role::State, Family::Changes)]
    {
        let engine = open(&*machine.disk(), name, role);
        for number in 0..100 {
            write(&*engine, |batch| batch.put(family, key(number), "v"));
            if number % 10 == 9 {
                sync(&*engine);
            }
        }
        let engine = crash(machine, engine, name, role);
        assert_eq!(survivors(&*engine, family), 100);
    }
}

/// Of the batches after the last sync the first so many survive, and none is made up.
pub fn lost_from_the_end(machine: &mut dyn Crashable) {
    for (name, role, family) in
        [("log", Role::Log, Family::LogEntries), ("state", Role::State, Family::Changes)]
    {
        let engine = open(&*machine.disk(), name, role);
        for number in 0..100 {
            write(&*engine, |batch| batch.put(family, key(number), "v"));
            if number == 49 {
                sync(&*engine);
            }
        }
        let engine = crash(machine, engine, name, role);
        let left = survivors(&*engine, family);
        assert!((50..=100).contains(&left), "{left} of 100 batches are left, 50 were synced");
    }
}

/// A batch that spans families survives in all of them or in none, though one family gets far more data than
/// the others and so may be written out on its own.
pub fn batches_survive_whole(machine: &mut dyn Crashable) {
    let big = "v".repeat(2000);
    for role in [Role::Log, Role::State] {
        let name = format!("{role:?}");
        let engine = open(&*machine.disk(), &name, role);
        for number in 0..300 {
            write(&*engine, |batch| {
                Family::of(role).for_each(|family| batch.put(family, key(number), "v"));
                let biggest = if role == Role::Log { Family::LogEntries } else { Family::Keys };
                batch.put(biggest, key(number), big.clone());
            });
        }
        let engine = crash(machine, engine, &name, role);
        let left: Vec<usize> = Family::of(role).map(|family| survivors(&*engine, family)).collect();
        assert!(left.iter().all(|count| *count == left[0]), "batches left by family: {left:?}");
    }
}

/// One sync makes what was written to every family durable, also by separate batches.
pub fn sync_covers_every_family(machine: &mut dyn Crashable) {
    for role in [Role::Log, Role::State] {
        let name = format!("{role:?}");
        let engine = open(&*machine.disk(), &name, role);
        for family in Family::of(role) {
            write(&*engine, |batch| batch.put(family, "k", family.name()));
        }
        sync(&*engine);
        let engine = crash(machine, engine, &name, role);
        for family in Family::of(role) {
            assert_eq!(get(&*engine, family, "k"), Some(family.name().into()));
        }
    }
}

/// Keys that were deleted, singly or by range, before a sync do not come back.
pub fn synced_deletes_stay_deleted(machine: &mut dyn Crashable) {
    let engine = open(&*machine.disk(), "store", Role::State);
    (0..20).for_each(|number| put(&*engine, &key(number), "v"));
    sync(&*engine);
    write(&*engine, |batch| {
        batch.delete(FAMILY, key(0));
        batch.delete_range(FAMILY, key(10), key(19));
    });
    sync(&*engine);
    let engine = crash(machine, engine, "store", Role::State);
    let expected: Vec<String> = (1..10).chain([19]).map(key).collect();
    assert_eq!(keys(&*engine, FAMILY), expected);
}

/// A checkpoint is there whole after a crash, with what its store had not synced.
pub fn checkpoint_is_durable(machine: &mut dyn Crashable) {
    let engine = open(&*machine.disk(), "store", Role::State);
    put(&*engine, "a", "1");
    engine.checkpoint("checkpoint").expect("checkpoint");
    let store = crash(machine, engine, "store", Role::State);
    drop(store);
    assert_eq!(keys(&*open(&*machine.disk(), "checkpoint", Role::State), FAMILY), ["a"]);
}

/// Files of a folder are there whole once the folder was synced.
pub fn synced_folder_is_durable(machine: &mut dyn Crashable) {
    let disk = machine.disk();
    disk.write_file("folder", "a", 0, b"one").expect("write_file");
    disk.write_file("folder", "b", 0, b"two").expect("write_file");
    disk.sync_folder("folder").expect("sync_folder");
    drop(disk);
    machine.crash();
    let disk = machine.disk();
    assert_eq!(disk.files("folder").expect("files"), [("a".to_owned(), 3), ("b".to_owned(), 3)]);
    assert_eq!(&disk.read_file("folder", "b", 0, 10).expect("read_file")[..], b"two");
}

/// A store that was removed does not come back.
pub fn removed_store_stays_removed(machine: &mut dyn Crashable) {
    let engine = open(&*machine.disk(), "store", Role::State);
    put(&*engine, "a", "1");
    sync(&*engine);
    drop(engine);
    machine.disk().remove("store").expect("remove");
    machine.crash();
    assert_eq!(machine.disk().list().expect("list"), Vec::<String>::new());
}

/// A store that went through crashes can be written, synced and crashed again.
pub fn writing_goes_on(machine: &mut dyn Crashable) {
    let mut engine = open(&*machine.disk(), "log", Role::Log);
    for round in 0..5 {
        let start = survivors(&*engine, Family::LogEntries);
        for number in start..start + 10 {
            write(&*engine, |batch| batch.put(Family::LogEntries, key(number), "v"));
        }
        sync(&*engine);
        write(&*engine, |batch| batch.put(Family::LogEntries, key(start + 10), "not synced"));
        engine = crash(machine, engine, "log", Role::Log);
        assert!(survivors(&*engine, Family::LogEntries) >= start + 10, "round {round}");
    }
}
