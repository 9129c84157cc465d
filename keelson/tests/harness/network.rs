//! Where commands run: on this machine as it is, or in a network namespace.

use std::ffi::OsStr;
use std::process::Command;

/// A place where commands run. By default, this machine's own network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    /// The command that enters it, and runs what follows in there.
    pub(crate) enter: Vec<String>,
}

impl Network {
    /// A command in there. Its process is the program itself: what enters turns into it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self.enter.split_first() {
            None => Command::new(program),
            Some((enter, arguments)) => {
                let mut command = Command::new(enter);
                command.args(arguments).arg(program);
                command
            }
        }
    }
}
