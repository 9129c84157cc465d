//! The cluster's DNS address, made one of this machine's own.
//!
//! Pods of this node send to it, and the kernel hands it to who listens here: no packet filter is involved, and no
//! other node. It stays when the process ends, so that clients are refused at once instead of waiting for nobody.

use std::io;
use std::net::IpAddr;
use std::process::Stdio;

use tokio::process::Command;

/// Adds the address to the loopback device of this network namespace, unless it is there.
///
/// # Errors
/// `ip` cannot be run, or refuses.
pub(crate) async fn own(address: IpAddr) -> io::Result<()> {
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    let mut ip = Command::new("ip");
    ip.args(["address", "replace", &format!("{address}/{prefix}"), "dev", "lo"]);
    let output = ip.stdin(Stdio::null()).output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
