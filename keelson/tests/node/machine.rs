//! What this machine must have.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::kubectl;

/// A file of the checkout. Tests run in their crate's folder; the path is not compiled in, since a kept binary serves
/// another checkout, too.
pub(crate) fn checkout(path: &str) -> PathBuf {
    Path::new("..").canonicalize().unwrap().join(path)
}

/// Whether this machine can run containers, and has a kubectl that can do what these tests ask; if not, says that
/// `test` is skipped. To be called first in every test.
pub(crate) fn can_run(test: &str) -> bool {
    static LACKS: OnceLock<String> = OnceLock::new();
    let lacks = LACKS.get_or_init(lacks);
    if lacks.is_empty() {
        return kubectl::is_there(test);
    }
    println!("skipped: {test}: this machine lacks {lacks}");
    false
}

fn lacks() -> String {
    let output = Command::new(checkout("deploy/dev/containerd.sh")).arg("missing").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>().join("; ")
}
