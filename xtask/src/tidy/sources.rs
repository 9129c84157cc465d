//! Finds the text files of the checkout.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that hold nothing written for the project.
const SKIPPED: [&str; 3] = [".git", "target", "var"];

/// Endings, or whole names, of files that are read.
const TEXT: [&str; 10] =
    [".rs", ".toml", ".md", ".sh", ".proto", ".yaml", ".yml", ".service", "Makefile", "run"];

/// Files that are compiled for tests only, wherever they lie: tests, what they stand on, objects that they take, stand-ins
/// for the API, and cores that are run against a model.
const FOR_TESTS: [&str; 5] = ["tests.rs", "testing.rs", "samples.rs", "fake_api.rs", "simulation.rs"];

/// A text file.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the checkout.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    pub(super) fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "rs")
    }

    /// Whether the whole file is compiled for tests or benchmarks only: one of [`FOR_TESTS`], or anything in a folder
    /// `tests`, `testing` or `benches`.
    pub(super) fn is_test(&self) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| FOR_TESTS.contains(&name))
            || self
                .path
                .components()
                .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "testing" | "benches")))
    }
}

/// All text files below `root`, in order of their paths.
pub(super) fn read(root: &Path) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    walk(root, root, &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn walk(root: &Path, dir: &Path, sources: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type()?.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(root, &path, sources)?;
            }
        } else if TEXT.iter().any(|ending| name.ends_with(ending)) {
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
            sources.push(Source { path, text });
        }
    }
    Ok(())
}
