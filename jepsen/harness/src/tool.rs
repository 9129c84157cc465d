//! Programs of the system that the harness runs to their end: `ip`, `nft`, `mount` and their like.
//!
//! In: a command line. Out: what it printed, or a failure with the command line and its last words.

use std::io;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::failure::{Doing as _, Failure, Result};

/// Runs a command line whose words have no spaces in them.
pub(crate) async fn run(line: &str) -> Result<String> {
    let output = command(line).stdin(Stdio::null()).output().await;
    judge(line, output)
}

/// The same, with text on its standard input.
pub(crate) async fn feed(line: &str, input: &str) -> Result<String> {
    let mut command = command(line);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(line)?;
    let mut pipe = child.stdin.take().expect("it was asked for above");
    pipe.write_all(input.as_bytes()).await.doing(line)?;
    drop(pipe);
    judge(line, child.wait_with_output().await)
}

fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a command line names a program"));
    command.args(words).kill_on_drop(true);
    command
}

fn judge(line: &str, output: io::Result<Output>) -> Result<String> {
    let output = output.doing(line)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("`{line}` ended with {}: {}", output.status, said.trim())))
}
