//! The top of the command line: which subcommands there are, and how arguments become them.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{node, pki, remove_server, server, status, store};

/// The subcommand whose arguments may be etcd's.
const STORE: &str = "store";

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
    /// Without --initial-cluster it is a cluster of one. Certificates and keys come from `keelson pki init`.
    /// Each flag can also be given as an environment variable.
    Server(Box<server::Command>),
    /// Run a node: pods through a container runtime, Service traffic, and the cluster's DNS.
    ///
    /// It needs root, a container runtime (containerd, CRI-O) and nftables. Certificates come from
    /// `keelson pki init --node`. What runs in containers goes on while this process does not.
    Node(Box<node::Command>),
    /// Print the servers, who leads what, the nodes, and what is not well.
    Status(status::StatusArgs),
    /// Remove a server that is lost, or is not wanted any more, from the cluster, for good.
    ///
    /// It must not run, and the others must be a majority without it. A new one of its name may join then.
    RemoveServer(remove_server::RemoveServerArgs),
    /// Make and renew the cluster's certificates.
    #[command(subcommand)]
    Pki(pki::Command),
    /// Run a member of the store alone, as a drop-in for etcd, or look at running ones.
    ///
    /// Flags, their defaults, environment variables (ETCD_…, or KEELSON_STORE_…) and the configuration file
    /// are etcd's: in a unit file of etcd only the program's name changes. Without URLs a member listens on
    /// this machine alone, in plain text; https:// URLs need certificates, which `keelson pki init` makes. A
    /// flag of etcd's for what is not here is refused, or named as one without effect.
    Store(Box<store::Command>),
}

impl Cli {
    /// Takes the process's arguments apart. Wrong ones, and questions for help, end the process here.
    ///
    /// # Errors
    /// The configuration file of a store is wrong.
    pub(crate) fn parse_process() -> Result<Self, String> {
        let mut arguments: Vec<OsString> = env::args_os().collect();
        let mut command = Self::command();
        if arguments.get(1).is_some_and(|word| word == STORE)
            && let Some(store) = command.find_subcommand(STORE)
            && let Ok(given) = arguments[2..].iter().map(|word| word.clone().into_string()).collect()
        {
            let shaped = store::shape(store, given, |name| env::var(name).ok())?;
            for flag in &shaped.ignored {
                eprintln!(
                    "keelson: {flag} is ignored, as etcd does it, because there is a configuration file"
                );
            }
            arguments.truncate(2);
            arguments.extend(shaped.arguments.into_iter().map(OsString::from));
            if shaped.from_file {
                command =
                    command.mut_subcommand(STORE, |store| store.mut_args(|flag| flag.env(Resettable::Reset)));
            }
        }
        let matches = command.get_matches_from(arguments);
        Ok(Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }

    /// Runs the subcommand to its end.
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self.command {
            Command::Server(command) => command.run(),
            Command::Node(command) => command.run(),
            Command::Status(args) => args.run(),
            Command::RemoveServer(args) => args.run(),
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
