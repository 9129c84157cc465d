//! What has been decided, done: `nft` and `conntrack` are called.
//!
//! Both act in the network namespace of this process.

use std::collections::BTreeSet;
use std::io;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::flows::{self, Flow, Tracked};
use crate::nft::{self, Clients};
use crate::routes::family::{FAMILIES, Family};

/// Rules that were not changed. Nothing of the script has been carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    #[error("cannot run nft: {0}. Install Debian's nftables")]
    NotRun(#[source] io::Error),
    #[error("nft refuses the rules: {0}")]
    Refused(String),
}

/// How much of a program's complaint is passed on.
const COMPLAINT_LINES: usize = 6;

/// Carries out a script of `nft`, all of it or nothing.
pub(crate) async fn apply(script: &str) -> Result<(), RulesError> {
    let output = run("nft", ["-f", "-"], script).await.map_err(RulesError::NotRun)?;
    if output.status.success() { Ok(()) } else { Err(RulesError::Refused(complaint(&output))) }
}

/// Whether the tables of all families are there.
pub(crate) async fn tables_are_there() -> Result<bool, RulesError> {
    let output = run("nft", ["list", "tables"], "").await.map_err(RulesError::NotRun)?;
    if !output.status.success() {
        return Err(RulesError::Refused(complaint(&output)));
    }
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(FAMILIES.into_iter().all(|family| nft::is_among(family, &listed)))
}

/// The clients that stay with their endpoints, family by family; none where they cannot be listed.
pub(crate) async fn clients() -> [Clients; 2] {
    let mut clients = [Clients::new(), Clients::new()];
    for (family, clients) in FAMILIES.into_iter().zip(&mut clients) {
        let listed = run("nft", ["list", "sets", family.name()], "").await;
        if let Some(listed) = listed.ok().filter(|listed| listed.status.success()) {
            *clients = nft::clients(family, &String::from_utf8_lossy(&listed.stdout));
        }
    }
    clients
}

/// The flows of UDP of both families. Where IPv6 is switched off there are none of it.
pub(crate) async fn tracked() -> io::Result<Vec<Tracked>> {
    let mut tracked = Vec::new();
    for family in FAMILIES {
        let output = run("conntrack", flows::listing(family), "").await?;
        match (output.status.success(), family) {
            (true, _) => tracked.extend(flows::read(&String::from_utf8_lossy(&output.stdout))),
            (false, Family::Ip4) => return Err(io::Error::other(complaint(&output))),
            (false, Family::Ip6) => {}
        }
    }
    Ok(tracked)
}

/// Makes the connection tracker forget flows. That some ended meanwhile is well.
pub(crate) async fn forget(flows: &BTreeSet<Flow>) -> io::Result<()> {
    for flow in flows {
        // Its exit status also says that there was nothing to forget.
        run("conntrack", flow.arguments(), "").await?;
    }
    Ok(())
}

async fn run<A: AsRef<std::ffi::OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: &str,
) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn()?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // One that ends without reading everything says why on its standard error.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    output
}

fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().take(COMPLAINT_LINES).collect();
    lines.join("; ")
}
