//! Promises about batches (E1, E2).

use std::sync::atomic::{AtomicBool, Ordering};

use super::{FAMILY, get, keys, open, put, write};
use crate::engine::{Batch, Disk, Family, Role};

/// Of several writes to one key in a batch, the last one counts.
pub fn last_write_to_a_key_wins(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    write(&*engine, |batch| {
        batch.put(FAMILY, "a", "1");
        batch.put(FAMILY, "a", "2");
        batch.delete(FAMILY, "b");
        batch.put(FAMILY, "b", "1");
        batch.put(FAMILY, "c", "1");
        batch.delete(FAMILY, "c");
    });
    assert_eq!(get(&*engine, FAMILY, "a"), Some("2".into()));
    assert_eq!(get(&*engine, FAMILY, "b"), Some("1".into()));
    assert_eq!(get(&*engine, FAMILY, "c"), None);
}

/// A batch is visible when `write` returns, without a sync; an empty one is fine too.
pub fn every_write_is_visible_at_once(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    put(&*engine, "a", "1");
    assert_eq!(get(&*engine, FAMILY, "a"), Some("1".into()));
    write(&*engine, |batch| batch.delete(FAMILY, "a"));
    assert_eq!(get(&*engine, FAMILY, "a"), None);
    write(&*engine, |batch| batch.delete(FAMILY, "never there"));
    engine.write(Batch::default()).expect("an empty batch");
}

/// The same key in every family is as many different keys.
pub fn families_are_isolated(disk: &dyn Disk) {
    for role in [Role::Log, Role::State] {
        let engine = open(disk, &format!("{role:?}"), role);
        for family in Family::of(role) {
            write(&*engine, |batch| batch.put(family, "k", family.name()));
        }
        for family in Family::of(role) {
            assert_eq!(get(&*engine, family, "k"), Some(family.name().into()));
            assert_eq!(keys(&*engine, family), ["k"]);
            write(&*engine, |batch| batch.delete_range(family, "", "z"));
            assert_eq!(get(&*engine, family, "k"), None);
        }
    }
}

/// A family that the store's role does not have is an error, for reads and for writes.
pub fn other_roles_families_are_refused(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::Log);
    let mut batch = Batch::default();
    batch.put(Family::Keys, "k", "v");
    assert!(engine.write(batch).is_err());
    assert!(engine.get(Family::Keys, b"k").is_err());
    assert!(engine.cursor(Family::Keys).seek(b"").is_err());
    assert!(engine.view().cursor(Family::Keys).seek_back(b"k").is_err());
}

/// A batch that is refused for its families leaves no part behind, and the store goes on.
pub fn refused_batch_changes_nothing(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    let mut batch = Batch::default();
    batch.put(FAMILY, "a", "1");
    batch.put(Family::LogMeta, "a", "1");
    assert!(engine.write(batch).is_err());
    assert_eq!(get(&*engine, FAMILY, "a"), None);
    put(&*engine, "b", "1");
    assert_eq!(keys(&*engine, FAMILY), ["b"]);
}

/// `delete_range` removes `start..end` and nothing else.
pub fn delete_range_takes_start_leaves_end(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    ["a", "b", "ba", "c", "d"].iter().for_each(|key| put(&*engine, key, "1"));
    write(&*engine, |batch| batch.delete_range(FAMILY, "b", "c"));
    assert_eq!(keys(&*engine, FAMILY), ["a", "c", "d"]);
    assert_eq!(get(&*engine, FAMILY, "ba"), None);
    put(&*engine, "b", "again");
    assert_eq!(keys(&*engine, FAMILY), ["a", "b", "c", "d"]);
}

/// `x..x` and `b..a` are ranges without keys: nothing goes, and it is no error.
pub fn empty_or_inverted_range_deletes_nothing(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    ["a", "b", "c"].iter().for_each(|key| put(&*engine, key, "1"));
    write(&*engine, |batch| {
        batch.delete_range(FAMILY, "b", "b");
        batch.delete_range(FAMILY, "c", "a");
        batch.delete_range(FAMILY, "x", "z");
        batch.delete_range(FAMILY, "", "");
        batch.put(FAMILY, "d", "1");
    });
    assert_eq!(keys(&*engine, FAMILY), ["a", "b", "c", "d"]);
}

/// Within a batch a range takes what was put before it and not what is put after it.
pub fn delete_range_follows_batch_order(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    put(&*engine, "a", "old");
    write(&*engine, |batch| {
        batch.put(FAMILY, "b", "in the batch");
        batch.delete_range(FAMILY, "a", "z");
        batch.put(FAMILY, "c", "after");
    });
    assert_eq!(keys(&*engine, FAMILY), ["c"]);
}

/// Empty keys and values are keys and values like others, and so is a value of 4 MiB.
pub fn empty_and_big_values(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    let big = vec![7_u8; 4 << 20];
    write(&*engine, |batch| {
        batch.put(FAMILY, "", "");
        batch.put(FAMILY, "big", big.clone());
    });
    assert_eq!(get(&*engine, FAMILY, ""), Some(String::new()));
    assert_eq!(engine.get(FAMILY, b"big").expect("get").as_deref(), Some(&big[..]));
    assert_eq!(keys(&*engine, FAMILY), ["", "big"]);
    write(&*engine, |batch| batch.delete(FAMILY, ""));
    assert_eq!(keys(&*engine, FAMILY), ["big"]);
}

/// A reader beside a writer that always changes two families together sees them equal, in every view.
pub fn readers_never_see_half_a_batch(disk: &dyn Disk) {
    let engine = open(disk, "store", Role::State);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..500 {
                write(&*engine, |batch| {
                    batch.put(Family::Keys, "k", round.to_string());
                    batch.put(Family::Meta, "k", round.to_string());
                });
            }
            is_done.store(true, Ordering::Release);
        });
        while !is_done.load(Ordering::Acquire) {
            let view = engine.view();
            assert_eq!(get(&*view, Family::Keys, "k"), get(&*view, Family::Meta, "k"));
        }
    });
    assert_eq!(get(&*engine, Family::Keys, "k"), Some("499".into()));
}
