//! libFuzzer over one of the targets.
//!
//! In: the target's name in `KEELSON_FUZZ_TARGET`, and libFuzzer's own arguments. Out: an input that breaks a promise,
//! if one is found.

#![no_main]

use std::sync::LazyLock;

use keelson_store_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

/// The target that is fuzzed.
static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("KEELSON_FUZZ_TARGET").expect("KEELSON_FUZZ_TARGET names a target");
    TARGETS.iter().find(|target| target.name == name).expect("there is a target of that name")
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
