//! Which builds may have mutants.
//!
//! In: whether the feature is on, and the folder that cargo gave the build script. Out: the sentence that stops the
//! build, if it must stop. Deliberately absent: the variable `PROFILE`, which says `release` for every profile that
//! inherits from it. Cargo does not say from which profile another one inherits, so those that may have mutants are
//! named, and a new one that users get is refused without being known.

use std::path::Path;

/// The folders of the profiles that tests are built with; no user gets what is in them.
const TESTED: [&str; 3] = ["debug", "release", "sim"];

/// Why this must not be built, if it must not.
pub(super) fn refusal(has_mutants: bool, out_dir: &Path) -> Option<&'static str> {
    let is_tested = profile(out_dir).is_some_and(|profile| TESTED.contains(&profile));
    (has_mutants && !is_tested).then_some(
        "the feature `mutants` builds known bugs into the store, for tests; other profiles than `dev`, `release` and \
         `sim` may be what users get. Build without the feature, or with one of these",
    )
}

/// The profile's folder: cargo puts a package's output into `<profile>/build/<package>-<hash>/out`.
fn profile(out_dir: &Path) -> Option<&str> {
    out_dir.ancestors().nth(3)?.file_name()?.to_str()
}
