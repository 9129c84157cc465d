//! What is shipped has no mutants: the rule of the build script, and what cargo makes of it.

use std::path::Path;

#[path = "../../build/profile.rs"]
mod profile;

fn refused(has_mutants: bool, out_dir: &str) -> bool {
    profile::refusal(has_mutants, Path::new(out_dir)).is_some()
}

#[test]
fn the_profile_that_is_shipped_and_those_like_it_refuse_mutants() {
    assert!(refused(true, "target/dist/build/keelson-store-core-1f/out"));
    assert!(refused(true, "target/dist-small/build/keelson-store-core-1f/out"), "it inherits from dist");
    assert!(refused(true, ""), "nobody knows");
    assert!(refused(true, "target/x86_64-unknown-linux-gnu/dist/build/keelson-store-core-1f/out"));
}

#[test]
fn every_other_build_is_let_pass() {
    assert!(!refused(false, "target/dist/build/keelson-store-core-1f/out"));
    assert!(!refused(true, "dist/target/release/build/keelson-store-core-1f/out"));
    assert!(!refused(true, "target/debug/build/keelson-store-core-1f/out"));
    assert!(!refused(true, "target/sim/build/keelson-store-core-1f/out"));
}

#[test]
fn cargo_gives_build_scripts_the_folder_that_the_rule_expects() {
    let profile = Path::new(env!("OUT_DIR")).ancestors().nth(3).and_then(Path::file_name);
    let tests = std::env::current_exe().unwrap();
    let own = tests.ancestors().nth(2).and_then(Path::file_name);
    assert_eq!(profile, own, "this test's own profile");
}
