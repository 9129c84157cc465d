//! What is tested: Keelson's store, or etcd, which takes the same flags and answers the same API.
//!
//! In: a program, a node and its neighbours. Out: a command line.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::lab::network::address;
use crate::lab::{FOLDER, network};

/// etcd's ports: nobody else is in the lab.
pub(crate) const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

/// Nodes are called by letters.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// `keelson store`.
    Keelson,
    /// etcd, as Debian's package etcd-server installs it.
    Etcd,
}

/// Promises that only Keelson makes, or that etcd keeps only since 3.4.25, while Debian has an older one: before that a
/// report of progress could be ahead of events of the same watch.
const KEELSONS_OWN: [&str; 2] = ["watch_bookmarkable", "watch_progress_never_behind"];

impl Target {
    /// Names of the promises that it has never made.
    pub(crate) fn not_promised(self) -> Vec<String> {
        match self {
            Self::Keelson => Vec::new(),
            Self::Etcd => KEELSONS_OWN.map(str::to_owned).to_vec(),
        }
    }
}

/// A program, and how its nodes are started.
pub(crate) struct Program {
    pub(crate) target: Target,
    pub(crate) file: PathBuf,
    /// Log entries between two snapshots, where faults need other than the program's own.
    pub(crate) snapshot_count: Option<u32>,
    /// Log entries kept behind a snapshot, likewise.
    pub(crate) catchup_entries: Option<u32>,
    /// The library that shows the node another time, where faults need it.
    pub(crate) faketime: Option<PathBuf>,
    /// The known bug that Keelson's nodes shall have.
    pub(crate) mutant: Option<String>,
}

/// What a node does whose disk is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It founds the cluster together with the others.
    Founding,
    /// It asks them to be taken in.
    Joining,
}

/// The names of so many nodes.
pub(crate) fn names(count: usize) -> Vec<String> {
    NAMES.iter().take(count).map(|name| (*name).to_owned()).collect()
}

/// The folder of the certificates.
pub(crate) fn pki() -> PathBuf {
    Path::new(FOLDER).join("pki")
}

/// The file that tells a node how wrong its clock is.
pub(crate) fn clock_file(node: &str) -> PathBuf {
    Path::new(FOLDER).join(node).join("clock")
}

/// The URL at which clients reach a node.
pub(crate) fn client_url(node: usize) -> String {
    format!("https://{}:{CLIENT_PORT}", address(node))
}

/// The URL at which other nodes reach a node.
pub(crate) fn peer_url(node: usize) -> String {
    format!("https://{}:{PEER_PORT}", address(node))
}

impl Program {
    /// The command that runs a node, inside its network, with nothing of this process's environment but PATH.
    pub(crate) fn command(
        &self,
        nodes: &[String],
        number: usize,
        data_dir: &Path,
        beginning: Beginning,
    ) -> tokio::process::Command {
        let node = &nodes[number];
        let mut command = tokio::process::Command::new("nsenter");
        command.arg(format!("--net={}", network::namespace(node))).arg("--").arg(&self.file);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        match self.target {
            Target::Keelson => {
                command.arg("store").env("KEELSON_LOG", "info,openraft=warn");
                command.envs(self.mutant.iter().map(|mutant| ("KEELSON_MUTANT", mutant)));
            }
            Target::Etcd => {}
        }
        if let Some(library) = &self.faketime {
            command.env("LD_PRELOAD", library);
            command.env("FAKETIME_TIMESTAMP_FILE", clock_file(node));
            // Looked at again at every call; and only what a wall clock shows may be wrong.
            command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        command.args(self.flags(nodes, number, data_dir));
        match beginning {
            Beginning::Founding => {}
            Beginning::Joining => {
                command.arg("--initial-cluster-state=existing");
            }
        }
        command
    }

    fn flags(&self, nodes: &[String], number: usize, data_dir: &Path) -> Vec<String> {
        let node = &nodes[number];
        let cluster: Vec<_> =
            nodes.iter().enumerate().map(|(number, node)| format!("{node}={}", peer_url(number))).collect();
        let (pki, own) = (pki(), pki().join("members").join(node));
        let file = |flag: &str, file: PathBuf| format!("--{flag}={}", file.display());
        let mut flags = vec![
            format!("--name={node}"),
            file("data-dir", data_dir.to_owned()),
            format!("--listen-client-urls={}", client_url(number)),
            format!("--advertise-client-urls={}", client_url(number)),
            format!("--listen-peer-urls={}", peer_url(number)),
            format!("--initial-advertise-peer-urls={}", peer_url(number)),
            format!("--initial-cluster={}", cluster.join(",")),
            file("cert-file", own.join("server.crt")),
            file("key-file", own.join("server.key")),
            file("trusted-ca-file", pki.join("client-ca.crt")),
            "--client-cert-auth=true".to_owned(),
            file("peer-cert-file", own.join("peer.crt")),
            file("peer-key-file", own.join("peer.key")),
            file("peer-trusted-ca-file", pki.join("peer-ca.crt")),
            "--peer-client-cert-auth=true".to_owned(),
        ];
        flags.extend(self.snapshot_count.map(|count| format!("--snapshot-count={count}")));
        flags.extend(self.catchup_entries.map(|count| format!("--snapshot-catchup-entries={count}")));
        flags
    }
}

#[cfg(test)]
mod tests {
    use keelson_checkers::promise;

    use super::*;

    #[test]
    fn what_etcd_never_promised_is_in_the_table_of_promises() {
        let names = Target::Etcd.not_promised();
        assert!(names.iter().all(|name| promise::named(name).is_some()), "{names:?}");
    }

    #[test]
    fn a_node_is_told_of_all_nodes_and_of_its_own_files() {
        let program = Program {
            target: Target::Keelson,
            file: "keelson".into(),
            snapshot_count: Some(50),
            catchup_entries: Some(5),
            faketime: None,
            mutant: None,
        };
        let flags = program.flags(&names(3), 1, Path::new("/data"));
        for expected in [
            "--name=b",
            "--data-dir=/data",
            "--listen-peer-urls=https://10.77.0.12:2380",
            "--initial-cluster=a=https://10.77.0.11:2380,b=https://10.77.0.12:2380,c=https://10.77.0.13:2380",
            "--peer-key-file=/run/keelson-jepsen/pki/members/b/peer.key",
            "--snapshot-count=50",
            "--snapshot-catchup-entries=5",
        ] {
            assert!(flags.iter().any(|flag| flag == expected), "{expected} is not in {flags:?}");
        }
    }
}
