//! The top of the command line: which subcommands there are.

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{node, pki, server, status, store};

/// A Kubernetes control plane in one binary, with its own replicated store.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server: the Kubernetes API, and a replica of the store in the same process.
    ///
    /// Without --initial-cluster it is a cluster of one. Certificates and keys come from `keelson pki init`. Each
    /// flag can also be given as an environment variable.
    Server(Box<server::Command>),
    /// Run a node: pods through a container runtime, Service traffic, and the cluster's DNS.
    ///
    /// It needs root, a container runtime (containerd, CRI-O) and nftables. Certificates come from `keelson pki init
    /// --node`. What runs in containers goes on while this process does not.
    Node(Box<node::Command>),
    /// Print the servers, who leads what, the nodes, and what is not well.
    Status(status::StatusArgs),
    /// Make and renew the cluster's certificates.
    #[command(subcommand)]
    Pki(pki::Command),
    /// Run a member of the store alone, as a drop-in for etcd, or look at running ones.
    ///
    /// Flags have etcd's names and meanings; each can also be given as an environment variable. Unlike etcd there
    /// are no default URLs, because a default would have to be unencrypted: name the URLs to listen on. https://
    /// URLs need certificates, which `keelson pki init` makes.
    Store(Box<store::Command>),
}

impl Cli {
    /// Runs the subcommand to its end.
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self.command {
            Command::Server(command) => command.run(),
            Command::Node(command) => command.run(),
            Command::Status(args) => args.run(),
            Command::Pki(command) => command.run(),
            Command::Store(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
