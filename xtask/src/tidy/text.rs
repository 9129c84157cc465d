//! Rules that a look at the lines decides.

use std::path::Path;

use super::Problem;
use super::sources::Source;

/// The word for work left undone, put together so that this file does not hold it.
const UNDONE: &str = concat!("FIX", "ME");

/// Roots of absolute paths that exist on one person's machine only.
const PRIVATE_ROOTS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tmp/br", "ief")];

/// The neighbour of the checkout that `.ci/run` alone may look for.
const NEIGHBOUR: &str = concat!("../sha", "red");

/// Module names that say nothing about what lies there, and so grow without bound.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "common", "helpers", "misc"];

/// Checks the lines of `source`.
pub(super) fn check(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    if source.is_rust() {
        problems.extend(module_doc(source));
        problems.extend(empty_name(&source.path));
    }
    for (index, line) in source.text.lines().enumerate() {
        let mut problem = |message: String| problems.push(Problem::new(&source.path, index + 1, message));
        if line.contains(UNDONE) {
            problem(format!("{UNDONE}: do it, open an issue, or delete it"));
        }
        for root in PRIVATE_ROOTS.iter().filter(|root| has_path(line, root)) {
            problem(format!("a path below {root} exists on one machine only"));
        }
        if line.contains(NEIGHBOUR) && source.path != Path::new(".ci/run") {
            problem(format!("{NEIGHBOUR} is no part of the project; .ci/run alone may look for it"));
        }
    }
    problems
}

/// Every file says what it is for before anything else.
fn module_doc(source: &Source) -> Option<Problem> {
    let first = source.text.lines().next().unwrap_or_default();
    let message = "begin the file with `//!`: what comes in, what goes out, what is deliberately absent";
    (!first.starts_with("//!")).then(|| Problem::new(&source.path, 1, message))
}

fn empty_name(path: &Path) -> Option<Problem> {
    let part = path.iter().map(Path::new).find_map(|part| {
        let stem = part.file_stem()?.to_str()?;
        EMPTY_NAMES.contains(&stem).then_some(stem)
    })?;
    Some(Problem::new(path, 1, format!("{part:?} says nothing about what lies there: name the noun")))
}

/// Whether an absolute path that begins with `root` stands in the line; `net/work/x` has none.
fn has_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}' | '~' | '*')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.into(), text: text.to_owned() };
        check(&source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_without_module_doc_is_found() {
        assert!(
            messages("a/src/lib.rs", "fn f() {}\n")[0].starts_with("a/src/lib.rs:1: begin the file with")
        );
        assert!(messages("a/src/lib.rs", "")[0].contains("begin the file"));
        assert_eq!(messages("a/src/lib.rs", "//! It does.\n"), [""; 0]);
        assert_eq!(messages("README.md", "# Title\n"), [""; 0]);
    }

    #[test]
    fn undone_work_is_found_in_any_file() {
        let found = messages("Makefile", &format!("all:\n\t# {UNDONE} later\n"));
        assert!(found[0].starts_with("Makefile:2: "), "{found:?}");
    }

    #[test]
    fn paths_of_one_machine_are_found_and_relative_ones_are_not() {
        for root in PRIVATE_ROOTS {
            assert_eq!(messages("docs/a.md", &format!("see `{root}x`")).len(), 1, "{root}");
            assert_eq!(
                messages("docs/a.md", &format!("see net{root}x and ${{dir}}{root}x")).len(),
                0,
                "{root}"
            );
        }
    }

    #[test]
    fn the_neighbour_is_for_ci_only() {
        let line = format!("cd {NEIGHBOUR}/x\n");
        assert_eq!(messages(".ci/run", &line), [""; 0]);
        assert_eq!(messages("deploy/dev/up.sh", &line).len(), 1);
    }

    #[test]
    fn names_that_mean_nothing_are_found() {
        assert_eq!(messages("a/src/utils.rs", "//! x\n").len(), 1);
        assert_eq!(messages("a/src/common/x.rs", "//! x\n").len(), 1);
        assert_eq!(messages("a/src/utility.rs", "//! x\n").len(), 0);
    }
}
