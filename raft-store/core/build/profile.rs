//! Which builds may have mutants.
//!
//! In: whether the feature is on, and the folder that cargo gave the build script. Out: the sentence that stops the
//! build, if it must stop. Deliberately absent: the variable `PROFILE`, which says `release` for every profile that
//! inherits from it.

use std::path::Path;

/// What is shipped.
const SHIPPED: &str = "dist";

/// Why this must not be built, if it must not.
pub(super) fn refusal(has_mutants: bool, out_dir: &Path) -> Option<&'static str> {
    (has_mutants && profile(out_dir) == Some(SHIPPED)).then_some(
        "the feature `mutants` builds known bugs into the store, for tests; the profile `dist` is what users get. \
         Build without the feature, or with another profile",
    )
}

/// The profile's folder: cargo puts a package's output into `<profile>/build/<package>-<hash>/out`.
fn profile(out_dir: &Path) -> Option<&str> {
    out_dir.ancestors().nth(3)?.file_name()?.to_str()
}
