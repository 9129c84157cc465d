//! Style as a test: the rules of CONTRIBUTING.md that neither rustc nor clippy can check.
//!
//! In: every text file of the checkout, and what cargo knows about its packages. Out: the problems, each with file
//! and line. The checks are pure functions over text; [`run`] alone touches the disk.

mod dependencies;

mod sources;

mod syntax;

mod text;

use std::fmt;
use std::path::{Path, PathBuf};

/// A rule that a line breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// Relative to the checkout.
    path: PathBuf,
    /// From 1.
    line: usize,
    /// Which rule, and what to do instead.
    message: String,
}

impl Problem {
    fn new(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// Checks the checkout at `root`.
///
/// # Errors
///
/// The problems, one per line, or why the checkout could not be read.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let sources = sources::read(root).map_err(|error| format!("cannot read the checkout: {error}"))?;
    let mut problems = dependencies::check(&dependencies::metadata(root)?);
    for source in &sources {
        problems.extend(text::check(source));
        if source.is_rust() {
            problems.extend(syntax::check(source));
        }
    }
    problems.sort();
    if problems.is_empty() {
        println!("tidy: {} files are well", sources.len());
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(format!("{}\ntidy: {} problems", lines.join("\n"), problems.len()))
}
