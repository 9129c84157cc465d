//! A piece of this machine that a run has for itself, and that is gone when the run is, however it ends.
//!
//! ```text
//!  keelson-jepsen ── unshare ── keelson-jepsen (process 1 of the lab) ── nodes
//! ```
//!
//! The run's process is the first of a process namespace, with mounts and networks of its own; `/run`, where `ip` keeps
//! the names of networks, is an empty file system there. So nothing has to be cleaned up: when process 1 ends, `kill -9`
//! included, the kernel ends its children and takes down mounts, loop devices and networks. The outer process asks the
//! kernel to end the lab with it. One thing outlives that: a control group, if a disk was to be slowed down
//! ([`crate::clean`]).

pub(crate) mod disk;
pub(crate) mod network;
mod queue;
pub(crate) mod throttle;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::failure::{Doing as _, Failure, Result};
use crate::tool;

/// The first argument of a process that is inside, with the number of its run.
const INSIDE: &str = "--in-lab=";

/// Everything of a run that is not a result.
pub(crate) const FOLDER: &str = "/run/keelson-jepsen";

/// Runs this program again with the same arguments inside a lab, and answers its exit status.
pub(crate) async fn enter(run: u64) -> Result<Exit> {
    let mut interrupted = signal(SignalKind::interrupt()).doing("waiting for signals")?;
    let mut terminated = signal(SignalKind::terminate()).doing("waiting for signals")?;
    let mut lab = tokio::process::Command::from(inside(run)?);
    let mut lab = lab.kill_on_drop(true).spawn().doing("starting unshare")?;
    tokio::select! {
        status = lab.wait() => {
            let status = status.doing("waiting for the lab")?;
            Ok(Exit::from_code(status.code()))
        }
        _ = interrupted.recv() => give_up(&mut lab).await,
        _ = terminated.recv() => give_up(&mut lab).await,
    }
}

async fn give_up(lab: &mut tokio::process::Child) -> Result<Exit> {
    lab.kill().await.doing("ending the lab")?;
    Err(Failure::new("interrupted: nothing was judged"))
}

/// `--kill-child` makes the lab die with unshare.
fn inside(run: u64) -> Result<Command> {
    let own = std::env::current_exe().doing("finding this program's file")?;
    let mut command = mortal("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(own).arg(format!("{INSIDE}{run}")).args(std::env::args_os().skip(1));
    Ok(command)
}

/// A program that dies with this process, however that ends.
pub(crate) fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Removes [`INSIDE`] from the arguments; answers the number of the run if it was there.
pub(crate) fn take_inside(arguments: &mut Vec<OsString>) -> Option<u64> {
    let run = arguments.get(1)?.to_str()?.strip_prefix(INSIDE)?.parse().ok()?;
    arguments.remove(1);
    Some(run)
}

/// Furnishes the lab: the first thing that process 1 does.
pub(crate) async fn furnish() -> Result<()> {
    tool::run("mount -t tmpfs -o mode=0755 tmpfs /run").await?;
    std::fs::create_dir(FOLDER).doing(FOLDER)
}

/// Results must not lie where the lab hides the machine's own files.
pub(crate) fn is_hidden(folder: &Path) -> bool {
    folder.starts_with("/run") || folder.starts_with("/var/run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_argument_says_that_a_process_is_inside() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let mut arguments = words("keelson-jepsen --in-lab=7 run --time 1");
        assert_eq!(take_inside(&mut arguments), Some(7));
        assert_eq!(arguments, words("keelson-jepsen run --time 1"));
        assert_eq!(take_inside(&mut arguments), None);
        assert_eq!(take_inside(&mut words("keelson-jepsen run --in-lab=7")), None);
    }
}
