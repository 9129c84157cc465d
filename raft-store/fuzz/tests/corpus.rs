//! Every target over its seeds and over mutations of them.
//!
//! The seeds lie in `corpus/`, for libFuzzer, too. `KEELSON_UPDATE_CORPUS=1` writes those that are made here anew, after a
//! layout has changed; what else lies there stays.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod seeds;

use std::{fs, path::PathBuf};

use keelson_store_fuzz::{TARGETS, Target};
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};

/// Tests run in their package's folder.
fn corpus(target: &str) -> PathBuf {
    PathBuf::from("corpus").join(target)
}

fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let files = fs::read_dir(corpus(target.name)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One change of an input.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index),
    Insert(Index, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Cut(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

fn apply(input: &mut Vec<u8>, change: Change) {
    let within = |at: Index| at.index(input.len() + 1);
    let part = |one: Index, other: Index| within(one).min(within(other))..within(one).max(within(other));
    match change {
        Change::Flip(at, bit) => {
            let at = within(at);
            input.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
        }
        Change::Cut(one, other) => drop(input.drain(part(one, other))),
        Change::Repeat(one, other) => {
            let part = part(one, other);
            let copy = input[part.clone()].to_vec();
            input.splice(part.start..part.start, copy);
        }
        Change::Insert(at, bytes) => {
            let at = within(at);
            input.splice(at..at, bytes);
        }
    }
}

#[test]
fn no_target_breaks_its_promises() {
    for target in TARGETS {
        let inputs = inputs(target);
        inputs.iter().for_each(|input| (target.run)(input));
        let mutated = (any::<Index>(), vec(change(), 1..4));
        let run = |(seed, changes): (Index, Vec<Change>)| {
            let mut input = seed.get(&inputs).clone();
            changes.into_iter().for_each(|change| apply(&mut input, change));
            (target.run)(&input);
            Ok(())
        };
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) };
        TestRunner::new(config)
            .run(&mutated, run)
            .unwrap_or_else(|failed| panic!("{}: {failed}", target.name));
    }
}

#[test]
fn the_seeds_that_are_made_here_lie_in_the_corpus() {
    for (target, name, bytes) in seeds::all() {
        assert!(TARGETS.iter().any(|known| known.name == target), "there is no target {target}");
        let path = corpus(target).join(name);
        if std::env::var_os("KEELSON_UPDATE_CORPUS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let found = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(found == bytes, "{} is not what {name} looks like now", path.display());
    }
}
