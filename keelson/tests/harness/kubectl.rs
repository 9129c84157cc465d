//! kubectl as the user has it, and what it printed.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::network::Network;
use crate::servers::Servers;

/// The oldest minor version that these tests are made for.
const LEAST_MINOR: u32 = 32;

/// No call takes so long, unless it would never end.
const LONGEST: Duration = Duration::from_secs(120);

/// kubectl with one client's kubeconfig file.
#[derive(Clone)]
pub(crate) struct Kubectl {
    network: Network,
    kubeconfig: PathBuf,
    /// Where it keeps what it has learned about the cluster.
    home: PathBuf,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) succeeded: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Whether there is a kubectl that can do what these tests ask; if not, says that `test` is skipped. To be called
/// first in every test.
pub(crate) fn is_there(test: &str) -> bool {
    static VERSION: OnceLock<Result<String, String>> = OnceLock::new();
    match VERSION.get_or_init(version) {
        Ok(version) => {
            println!("{test}: kubectl {version}");
            true
        }
        Err(reason) => {
            println!("skipped: {test}: {reason}");
            false
        }
    }
}

fn version() -> Result<String, String> {
    let wanted = format!("kubectl 1.{LEAST_MINOR} or newer is needed on PATH");
    let output = Command::new("kubectl").args(["version", "--client", "-o", "json"]).output();
    let output = output.map_err(|error| format!("{wanted}: {error}"))?;
    let json: Value = serde_json::from_slice(&output.stdout).map_err(|_| format!("{wanted}: {output:?}"))?;
    let version = &json["clientVersion"];
    let minor = version["minor"].as_str().unwrap_or_default();
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(minor) if minor >= LEAST_MINOR => Ok(version["gitVersion"].to_string()),
        Ok(_) | Err(_) => Err(format!("{wanted}: this one is {version}")),
    }
}

impl Kubectl {
    /// As the cluster's administrator, at whichever server is alive.
    pub(crate) fn admin(servers: &Servers) -> Self {
        Self::of(servers, "clients/admin")
    }

    /// As a client that has a kubeconfig file.
    pub(crate) fn of(servers: &Servers, client: &str) -> Self {
        Self {
            network: servers.network().clone(),
            kubeconfig: servers.kubeconfig(client),
            home: servers.file("home"),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.network.command("kubectl");
        command.env_remove("KUBECONFIG").env("HOME", &self.home);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Printed {
        finish(self.command(arguments).spawn().unwrap())
    }

    /// Runs it with something on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Printed {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        finish(child)
    }

    /// Starts it; the caller ends it.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// What it prints when it succeeds. Words are separated by single spaces.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        self.run(&words(line)).ok()
    }

    /// What it prints to standard error when it fails.
    #[track_caller]
    pub(crate) fn fails(&self, line: &str) -> String {
        let printed = self.run(&words(line));
        assert!(!printed.succeeded, "it should have failed: {printed:?}");
        printed.err
    }
}

/// An empty config map: something small to write.
pub(crate) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// Waits until it ends; makes it end when it does not.
fn finish(child: Child) -> Printed {
    let pid = Pid::from_child(&child);
    let (ended, running) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        if running.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    guard.join().unwrap();
    Printed::from(output)
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

impl Printed {
    /// What it printed, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.succeeded, "it should have succeeded: {self:?}");
        self.out
    }
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        Self {
            succeeded: output.status.success(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
