//! Refuses to build mutants into what is shipped. The rule is in `build/profile.rs`, where tests reach it.

use std::{env, path::PathBuf};

#[path = "build/profile.rs"]
mod profile;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    let has_mutants = env::var_os("CARGO_FEATURE_MUTANTS").is_some();
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Some(sentence) = profile::refusal(has_mutants, &out_dir) {
        println!("cargo::error={sentence}");
    }
}
