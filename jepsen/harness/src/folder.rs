//! The folder that a run leaves behind.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Doing as _, Failure, Result};
use crate::lab;

/// Where folders are made that nobody named.
const RUNS: &str = "var/jepsen";

/// Makes a new folder: the one that was named, or one called after what is in it. Its path is absolute.
pub(crate) fn make(named: Option<&Path>, default_name: &str) -> Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => free(&Path::new(RUNS).join(default_name)),
    };
    let path = std::path::absolute(&path).doing(path.display())?;
    if lab::is_hidden(&path) {
        return Err(Failure::new(format!(
            "--out {}: a run does not see /run; use another folder",
            path.display()
        )));
    }
    if fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::new(format!("--out {}: it is not empty; use another folder", path.display())));
    }
    fs::create_dir_all(&path).doing(path.display())?;
    Ok(path)
}

/// The path itself, or with a number behind it.
fn free(path: &Path) -> PathBuf {
    let numbered = |number: u32| PathBuf::from(format!("{}.{number}", path.display()));
    let candidates = std::iter::once(path.to_owned()).chain((2..).map(numbered));
    candidates.into_iter().find(|path| !path.exists()).unwrap_or_else(|| path.to_owned())
}

/// Writes a file of a run's folder.
pub(crate) fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, content).doing(path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_never_lie_on_top_of_others_or_where_a_lab_hides_them() {
        let folder = tempfile::tempdir().unwrap();
        let fresh = folder.path().join("a/b");
        assert_eq!(make(Some(&fresh), "x").unwrap(), fresh);
        write(&fresh, "verdict.json", "{}").unwrap();
        assert!(make(Some(&fresh), "x").unwrap_err().to_string().contains("not empty"));
        assert!(make(Some(Path::new("/run/x")), "x").unwrap_err().to_string().contains("/run"));
        assert_eq!(free(&fresh), folder.path().join("a/b.2"));
    }
}
