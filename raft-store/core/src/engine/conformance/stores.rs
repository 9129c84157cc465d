//! Promises about opening, reopening and removing stores.

use super::{FAMILY, get, keys, open, put, sync, write};
use crate::engine::{Disk, Family, Role};

/// Synced data is there when the store is opened again, with all its families.
pub fn synced_data_survives_reopening(disk: &dyn Disk) {
    for role in [Role::Log, Role::State] {
        let name = format!("{role:?}");
        let engine = open(disk, &name, role);
        for family in Family::of(role) {
            write(&*engine, |batch| batch.put(family, "k", family.name()));
        }
        sync(&*engine);
        drop(engine);
        for round in 0..2 {
            let engine = open(disk, &name, role);
            for family in Family::of(role) {
                assert_eq!(get(&*engine, family, "k"), Some(family.name().into()), "round {round}");
            }
        }
    }
}

/// A store that is open cannot be opened beside, not while one view of it lives either.
pub fn store_is_open_once(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    assert!(disk.open("store", Role::State).is_err());
    let view = engine.view();
    drop(engine);
    assert!(disk.open("store", Role::State).is_err());
    drop(view);
    open(disk, "store", Role::State);
}

/// A store opened under the other role is an error, and is unharmed by it.
pub fn role_is_remembered(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    put(&*engine, "a", "1");
    sync(&*engine);
    drop(engine);
    assert!(disk.open("store", Role::Log).is_err());
    assert_eq!(get(&*open(disk, "store", Role::State), FAMILY, "a"), Some("1".into()));
}

/// What is written to one store does not show in another.
pub fn two_stores_are_apart(disk: &dyn Disk) {
    let (one, two) = (open(disk, "one", Role::State), open(disk, "two", Role::State));
    put(&*one, "a", "1");
    put(&*two, "b", "1");
    assert_eq!(keys(&*one, FAMILY), ["a"]);
    assert_eq!(keys(&*two, FAMILY), ["b"]);
}

/// After a mebibyte of incompressible data the store is larger than before, and not absurdly so.
pub fn size_grows_with_the_data(disk: &dyn Disk) {
    const MEBIBYTE: u64 = 1 << 20;
    let engine = open(disk, "store", Role::State);
    let before = engine.size();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
    .take(1 << 20)
    .collect();
    write(&*engine, |batch| batch.put(FAMILY, "k", noise));
    sync(&*engine);
    let grown = engine.size().saturating_sub(before);
    assert!((MEBIBYTE / 2..MEBIBYTE * 4).contains(&grown), "grew by {grown} bytes");
}

/// A removed store is not listed, and opening its name makes an empty one; removing nothing is fine.
pub fn remove_makes_the_name_empty(disk: &dyn Disk) {
    disk.remove("store").expect("removing nothing");
    let engine = open(disk, "store", Role::State);
    put(&*engine, "a", "1");
    sync(&*engine);
    drop(engine);
    disk.remove("store").expect("remove");
    assert_eq!(disk.list().expect("list"), Vec::<String>::new());
    assert_eq!(keys(&*open(disk, "store", Role::State), FAMILY), Vec::<String>::new());
}

/// A handle and a view of a removed store go on reading; the name is free when both are gone.
pub fn readers_outlive_removal(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    put(&*engine, "a", "1");
    sync(&*engine);
    put(&*engine, "b", "not synced");
    let view = engine.view();
    disk.remove("store").expect("remove");
    assert_eq!(disk.list().expect("list"), Vec::<String>::new());
    assert_eq!(keys(&*engine, FAMILY), ["a", "b"]);
    assert!(disk.open("store", Role::State).is_err(), "the name is still taken");
    assert!(disk.write_file("store", "file", 0, b"x").is_err(), "the name is still taken");
    drop(engine);
    assert_eq!(get(&*view, FAMILY, "a"), Some("1".into()));
    drop(view);
    assert_eq!(keys(&*open(disk, "store", Role::State), FAMILY), Vec::<String>::new());
}

/// A name that would lead out of the disk's folder, or hide in it, is refused everywhere.
pub fn names_are_plain(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    for name in ["", ".", "..", "a/b", "/etc", "../x", ".hidden", "nul\0"] {
        assert!(disk.open(name, Role::State).is_err(), "open {name:?}");
        assert!(disk.remove(name).is_err(), "remove {name:?}");
        assert!(disk.files(name).is_err(), "files {name:?}");
        assert!(disk.read_file(name, "file", 0, 1).is_err(), "read_file {name:?}");
        assert!(disk.read_file("folder", name, 0, 1).is_err(), "read_file {name:?}");
        assert!(disk.write_file(name, "file", 0, b"x").is_err(), "write_file {name:?}");
        assert!(disk.write_file("folder", name, 0, b"x").is_err(), "write_file {name:?}");
        assert!(disk.sync_folder(name).is_err(), "sync_folder {name:?}");
        assert!(engine.checkpoint(name).is_err(), "checkpoint {name:?}");
    }
    assert_eq!(disk.list().expect("list"), ["store"]);
}
