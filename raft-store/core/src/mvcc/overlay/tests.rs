//! The overlay against a plain map that was written to directly.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::engine::{Disk, Engine, Role, mem::MemDisk};

const FAMILY: Family = Family::LeaseKeys;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(0..3_u8, 0..4)
}

fn engine(contents: &Map) -> Arc<dyn Engine> {
    let engine = MemDisk::new().open("state", Role::State).unwrap();
    let mut batch = Batch::default();
    for (key, value) in contents {
        batch.put(FAMILY, key.clone(), value.clone());
    }
    engine.write(batch).unwrap();
    engine
}

#[derive(Clone, Debug)]
enum Move {
    Seek(Vec<u8>),
    SeekBack(Vec<u8>),
    Next,
}

fn step() -> impl Strategy<Value = Move> {
    prop_oneof![key().prop_map(Move::Seek), key().prop_map(Move::SeekBack), Just(Move::Next)]
}

/// Where a cursor over a plain map stands after a move.
fn expected(map: &Map, at: Option<&Vec<u8>>, step: &Move) -> Option<Vec<u8>> {
    let found = match step {
        Move::Seek(key) => map.range(key.clone()..).next(),
        Move::SeekBack(key) => map.range(..=key.clone()).next_back(),
        Move::Next => {
            let after = (Bound::Excluded(at?.clone()), Bound::Unbounded);
            map.range(after).next()
        }
    };
    found.map(|(key, _)| key.clone())
}

fn check_cursor(read: &dyn Read, map: &Map, steps: &[Move]) {
    let mut cursor = read.cursor(FAMILY);
    assert_eq!(cursor.entry(), None);
    let mut at = None;
    for step in steps {
        match step {
            Move::Seek(key) => cursor.seek(key).unwrap(),
            Move::SeekBack(key) => cursor.seek_back(key).unwrap(),
            Move::Next => cursor.next().unwrap(),
        }
        at = expected(map, at.as_ref(), step);
        let entry = cursor.entry().map(|(key, value)| (key.to_vec(), value.to_vec()));
        assert_eq!(entry, at.clone().map(|key| (key.clone(), map[&key].clone())), "after {step:?}");
    }
}

proptest! {
    #[test]
    fn reads_see_the_writes(
        base in prop::collection::btree_map(key(), vec(any::<u8>(), 0..2), 0..12),
        rounds in vec((vec((key(), prop::option::of(vec(any::<u8>(), 0..2))), 0..6), vec(step(), 0..20)), 1..4),
    ) {
        let engine = engine(&base);
        let mut map = base;
        let mut overlay = Overlay::new(engine.as_ref());
        for (writes, steps) in rounds {
            for (key, value) in writes {
                match value {
                    Some(value) => {
                        overlay.put(FAMILY, key.clone(), value.clone());
                        map.insert(key, value);
                    }
                    None => {
                        overlay.delete(FAMILY, key.clone());
                        map.remove(&key);
                    }
                }
            }
            check_cursor(&overlay, &map, &steps);
            for key in map.keys() {
                let read = overlay.get(FAMILY, key).unwrap();
                prop_assert_eq!(read.as_deref(), Some(&map[key][..]));
            }
        }
        engine.write(overlay.into_batch()).unwrap();
        let everything: Vec<_> = std::iter::once(Move::Seek(Vec::new()))
            .chain(std::iter::repeat_n(Move::Next, map.len()))
            .collect();
        check_cursor(engine.as_ref(), &map, &everything);
    }
}

#[test]
fn two_cursors_at_once_do_not_disturb_each_other() {
    let engine = engine(&Map::from([(vec![1], vec![1]), (vec![2], vec![2])]));
    let overlay = Overlay::new(engine.as_ref());
    let (mut one, mut two) = (overlay.cursor(FAMILY), overlay.cursor(FAMILY));
    one.seek(&[1]).unwrap();
    two.seek(&[2]).unwrap();
    assert_eq!(one.entry().unwrap().0, [1]);
    drop(two);
    drop(one);
    // The cursor that went home last was used before and stands at [1]; a new user must not see that.
    let mut again = overlay.cursor(FAMILY);
    assert!(again.entry().is_none());
    again.seek(&[1]).unwrap();
    again.next().unwrap();
    again.seek(&[1]).unwrap();
    assert_eq!(again.entry().unwrap().0, [1]);
}
