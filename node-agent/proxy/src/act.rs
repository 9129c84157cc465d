//! What has been decided, done: `nft` and `conntrack` are called.
//!
//! Both act in the network namespace of this process.

use std::collections::BTreeSet;
use std::io;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::flows::Flow;

/// Rules that were not changed. Nothing of the script has been carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    #[error("cannot run nft: {0}. Install Debian's nftables")]
    NotRun(#[source] io::Error),
    #[error("nft refuses the rules: {0}")]
    Refused(String),
}

/// How much of nft's complaint is passed on.
const COMPLAINT_LINES: usize = 6;

/// Carries out a script of `nft`, all of it or nothing.
pub(crate) async fn apply(script: &str) -> Result<(), RulesError> {
    let mut nft = Command::new("nft");
    nft.args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = nft.spawn().map_err(RulesError::NotRun)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading everything says why on its standard error.
        let _ = stdin.write_all(script.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(RulesError::NotRun)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().take(COMPLAINT_LINES).collect();
    Err(RulesError::Refused(lines.join("; ")))
}

/// Makes the connection tracker forget flows. That there are none is well; that it cannot be asked is told once by
/// the caller: packets of such flows go astray until they pause.
pub(crate) async fn forget(flows: &BTreeSet<Flow>) -> io::Result<()> {
    for flow in flows {
        let mut conntrack = Command::new("conntrack");
        conntrack.args(flow.arguments()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Its exit status also says that there was nothing to forget.
        conntrack.kill_on_drop(true).status().await?;
    }
    Ok(())
}
