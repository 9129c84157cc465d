//! etcd's client libraries in other languages, as programs use them: each runs a script of its own against a member.
//!
//! Reported as skipped where a library is not installed (`pip install etcd3`, `npm install etcd3`).

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cluster::free_port;
use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// A member that runs alone, in plain text: that is what the libraries' defaults are.
struct Alone {
    _process: Process,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Alone {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, peers) = (free_port(), free_port());
        let arguments = [
            "store".to_owned(),
            format!("--data-dir={}", folder.path().join("data").display()),
            format!("--listen-client-urls=http://127.0.0.1:{port}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peers}"),
            "--bcrypt-cost=4".to_owned(),
        ];
        let process = Process::spawn(&arguments, &[], folder.path().join("log"));
        wait::until("it serves", PATIENCE, async || process.printed().contains("serving").then_some(()))
            .await;
        Self { _process: process, port, _folder: folder }
    }
}

/// Runs a script where its library is installed. It has to say that it is done.
async fn run(program: &str, has_library: &[&str], script: &str) {
    let mut probe = Command::new(program);
    let found = probe.args(has_library).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        println!("skipped: {program} has no etcd3");
        return;
    }
    let member = Alone::start().await;
    let script = Path::new("tests/store/libraries").join(script);
    let mut command = Command::new(program);
    command.arg(script).args(["127.0.0.1", &member.port.to_string()]);
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.ends_with("done\n"), "{output:?}");
}

#[tokio::test]
async fn the_python_library_works() {
    run("python3", &["-c", "import etcd3"], "python.py").await;
}

#[tokio::test]
async fn the_javascript_library_works() {
    run("node", &["-e", "require('etcd3')"], "javascript.js").await;
}
