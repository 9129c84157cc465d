//! One process of the binary under test, and its end.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::network::Network;
use crate::wait;

/// The binary with a clean environment: what the developer's shell sets must not change a test. Only PATH stays, which
/// says where other programs are.
fn keelson(network: &Network) -> Command {
    let mut command = network.command(env!("CARGO_BIN_EXE_keelson"));
    command.env_clear().stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Runs the binary to its end.
pub(crate) fn run(network: &Network, arguments: &[&str]) -> Output {
    keelson(network).args(arguments).output().unwrap()
}

/// A running process. It dies with this value.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the binary; everything that it prints is added to the file `log`.
    pub(crate) fn spawn(network: &Network, arguments: &[String], log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = keelson(network);
        command.args(arguments).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), log }
    }

    /// What it and those before it have printed so far.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it at once, as `kill -9` does. It is gone when this returns.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has. Answers how.
    pub(crate) fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.exit()
    }

    /// Waits until it ends.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        wait::until("the process ends", || self.child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned()))
    }

    /// Panics with its log if it has ended.
    pub(crate) fn assert_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it has ended with {status}:\n{}", self.printed());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
