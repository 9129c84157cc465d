//! The official clients in other languages, unmodified, with the programs in `clients/`.
//!
//! Where a client is not installed, its test says that it was skipped, by name: `pip install kubernetes` makes Python's
//! known to `python3`, and `KEELSON_TEST_NODE_MODULES` names the folder in which npm has installed
//! `@kubernetes/client-node`.

use std::path::Path;
use std::process::Command;

use crate::servers::Servers;

/// Where the programs are, from the package's folder, in which its tests run.
const PROGRAMS: &str = "tests/api/clients";

/// The entry of JavaScript's client below the folder of modules.
const ENTRY: &str = "@kubernetes/client-node/dist/index.js";

fn succeeds(mut command: Command, servers: &Servers, arguments: &[&str]) {
    let kubeconfig = servers.kubeconfig("clients/admin");
    let output = command.arg(kubeconfig).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_python_client_does_what_its_users_do() {
    let is_there = Command::new("python3").args(["-c", "import kubernetes"]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        println!("skipped: clients: python3 has no module kubernetes");
        return;
    }
    let servers = Servers::start();
    let mut python = Command::new("python3");
    python.arg(Path::new(PROGRAMS).join("python.py"));
    succeeds(python, &servers, &["snake"]);
}

#[test]
fn the_javascript_client_does_what_its_users_do() {
    let modules = std::env::var_os("KEELSON_TEST_NODE_MODULES");
    let Some(entry) = modules.map(|modules| Path::new(&modules).join(ENTRY)).filter(|entry| entry.exists())
    else {
        println!("skipped: clients: KEELSON_TEST_NODE_MODULES names no folder with @kubernetes/client-node");
        return;
    };
    let servers = Servers::start();
    let mut node = Command::new("node");
    node.arg(Path::new(PROGRAMS).join("node.mjs"));
    succeeds(node, &servers, &["cup", entry.to_str().unwrap()]);
}
