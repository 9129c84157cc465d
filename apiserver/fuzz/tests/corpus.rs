//! Every target over its seeds and over mutations of them.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use keelson_api_fuzz::{Mutations, TARGETS, Target};

/// How many mutations of each target are tried; `KEELSON_FUZZ_INPUTS` says another number.
const INPUTS: usize = 4_000;

/// Longer than any input of this size may take, on the slowest machine.
const LONGEST: Duration = Duration::from_secs(20);

/// Tests run in their package's folder.
fn corpus(target: &Target) -> PathBuf {
    Path::new("corpus").join(target.name)
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Runs one input, and keeps it where it fails: it belongs into the corpus.
fn run(target: &Target, input: &[u8]) {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    if outcome.is_err() || began.elapsed() > LONGEST {
        let file = std::env::temp_dir().join(format!("keelson-fuzz-{}-{}", target.name, std::process::id()));
        fs::write(&file, input).unwrap();
        panic!("{}: {} bytes in {} took {:?}", target.name, input.len(), file.display(), began.elapsed());
    }
}

#[test]
fn no_target_breaks_its_promises() {
    let inputs = std::env::var("KEELSON_FUZZ_INPUTS").ok().map_or(INPUTS, |number| number.parse().unwrap());
    for target in TARGETS {
        let seeds = seeds(target);
        seeds.iter().for_each(|seed| run(target, seed));
        let name = target.name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        Mutations::new(&seeds, target.words, name).take(inputs).for_each(|input| run(target, &input));
    }
}
