//! One node: its process, its disk, and whether it runs.
//!
//! A node that ended by itself is noticed here ([`Node::look`]); whether it was allowed to is for others to say.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::timeout;

use crate::failure::{Doing as _, Failure, Result};
use crate::lab::disk::Disk;
use crate::target::{Beginning, Program};

/// How long a node that was asked to stop may take; then it is killed, which is no violation.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A node.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) disk: Disk,
    beginning: Beginning,
    state: State,
    log: PathBuf,
}

enum State {
    /// It was never started, was ended by the harness, or ended by itself and that was told.
    Down,
    Running(Child),
    /// It exists, and gets no processor time.
    Paused(Child),
}

/// Why a node is not there any more although nobody ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// How the process ended.
    pub(crate) how: String,
    /// The last line of its log.
    pub(crate) said: String,
}

impl Node {
    /// A node that was never started.
    pub(crate) async fn new(name: &str, results: &Path) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            disk: Disk::make(name).await?,
            beginning: Beginning::Founding,
            state: State::Down,
            log: results.join(format!("{name}.log")),
        })
    }

    /// From now on it joins a cluster that is there when its disk is empty.
    pub(crate) fn joins(&mut self) {
        self.beginning = Beginning::Joining;
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&mut self, program: &Program, nodes: &[String], number: usize) -> Result<()> {
        match &self.state {
            State::Running(_) | State::Paused(_) => return Ok(()),
            State::Down => {}
        }
        let log = File::options().create(true).append(true).open(&self.log).doing(self.log.display())?;
        let mut command = program.command(nodes, number, &self.disk.data_dir(), self.beginning);
        command.stdin(Stdio::null()).stdout(log.try_clone().doing("sharing a log file")?).stderr(log);
        let child = command.kill_on_drop(true).spawn().doing(program.file.display())?;
        self.state = State::Running(child);
        Ok(())
    }

    /// Ends it at once, as `kill -9` does; it is gone when this returns.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Down) {
            State::Down => Ok(()),
            State::Running(mut child) | State::Paused(mut child) => {
                child.kill().await.doing(format!("killing {}", self.name))
            }
        }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Down) {
            State::Down => Ok(()),
            State::Running(mut child) | State::Paused(mut child) => {
                signal(&child, Signal::TERM)?;
                signal(&child, Signal::CONT)?;
                if timeout(STOP_PATIENCE, child.wait()).await.is_err() {
                    child.kill().await.doing(format!("killing {}", self.name))?;
                }
                Ok(())
            }
        }
    }

    /// Takes all processor time from it.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Down) {
            State::Running(child) => {
                signal(&child, Signal::STOP)?;
                State::Paused(child)
            }
            other @ (State::Down | State::Paused(_)) => other,
        };
        Ok(())
    }

    /// Gives it back.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Down) {
            State::Paused(child) => {
                signal(&child, Signal::CONT)?;
                State::Running(child)
            }
            other @ (State::Down | State::Running(_)) => other,
        };
        Ok(())
    }

    /// Whether it runs and gets processor time.
    pub(crate) fn runs(&self) -> bool {
        match self.state {
            State::Running(_) => true,
            State::Paused(_) | State::Down => false,
        }
    }

    /// Tells once if it has ended by itself; from then on it is down.
    pub(crate) fn look(&mut self) -> Result<Option<Ended>> {
        let ended = match &mut self.state {
            State::Down => None,
            State::Running(child) | State::Paused(child) => child.try_wait().doing("waiting for a node")?,
        };
        let Some(status) = ended else { return Ok(None) };
        self.state = State::Down;
        let said = self.printed()?.lines().last().unwrap_or("nothing").to_owned();
        Ok(Some(Ended { how: how(status), said }))
    }

    /// Every panic that it has told of, whether or not it has ended with it.
    pub(crate) fn panics(&self) -> Result<Vec<String>> {
        Ok(self.printed()?.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect())
    }

    fn printed(&self) -> Result<String> {
        let printed = std::fs::read(&self.log).doing(self.log.display())?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let pid = pid.ok_or_else(|| Failure::new("a node's process is gone"))?;
    match kill_process(pid, signal) {
        // It has ended, and is not waited for yet.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).doing("sending a signal to a node"),
    }
}
