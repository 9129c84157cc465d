//! Three servers on this machine, each a process with a folder and an address of its own.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::network::Network;
use crate::process::{self, Process};
use crate::wait;

/// The servers' names.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Where all of them listen, too.
pub(crate) const SHARED: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Where servers are, and what they are told beside that.
pub(crate) struct Layout {
    pub(crate) network: Network,
    /// Each server's own, for clients and for the other servers.
    pub(crate) addresses: [Ipv4Addr; 3],
    pub(crate) api_port: u16,
    pub(crate) peer_port: u16,
    /// A node that gets certificates, as `keelson pki init` takes it.
    pub(crate) node: String,
    /// Further flags of every server.
    pub(crate) flags: Vec<String>,
}

/// Everything of one test: it ends and vanishes with this value, also when the test panics.
pub(crate) struct Servers {
    /// Before the folder of their files, so that the processes end first.
    running: [Option<Process>; 3],
    layout: Layout,
    folder: TempDir,
}

impl Servers {
    /// Makes certificates and starts three servers, with everything in the folder. They need a moment until they are
    /// well.
    pub(crate) fn launch(layout: Layout, folder: TempDir) -> Self {
        let mut servers = Self { running: [None, None, None], layout, folder };
        servers.make_certificates();
        servers.launch_missing();
        servers
    }

    fn make_certificates(&self) {
        let url = format!("https://{SHARED}:{}", self.layout.api_port);
        let pki = self.file("pki");
        let named = |index: usize| format!("{}={}", NAMES[index], self.layout.addresses[index]);
        let (a, b, c) = (named(0), named(1), named(2));
        let mut arguments = vec!["pki", "init", "--dir", pki.to_str().unwrap(), "--server-url", &url];
        arguments.extend(["--server", &a, "--server", &b, "--server", &c, "--node", &self.layout.node]);
        let made = process::run(self.network(), &arguments);
        assert!(made.status.success(), "{made:?}");
    }

    /// Starts every server that does not run.
    pub(crate) fn launch_missing(&mut self) {
        for (index, name) in NAMES.iter().enumerate() {
            if self.running[index].is_none() {
                let log = self.file(&format!("{name}.log"));
                self.running[index] = Some(Process::spawn(self.network(), &self.arguments(index), log));
            }
        }
    }

    /// Waits until `keelson status` finds nothing that is not well.
    pub(crate) fn wait_until_well(&mut self) {
        wait::until("all is well", || {
            self.running.iter_mut().flatten().for_each(Process::assert_runs);
            let report = self.status(&[]);
            if report.status.success() { Ok(()) } else { Err(format!("{report:?}")) }
        });
    }

    /// Starts every server that does not run, and waits until all are well.
    pub(crate) fn start_missing(&mut self) {
        self.launch_missing();
        self.wait_until_well();
    }

    /// What a server is started with.
    pub(crate) fn arguments(&self, index: usize) -> Vec<String> {
        let Layout { addresses, api_port, peer_port, flags, .. } = &self.layout;
        let (name, address) = (NAMES[index], addresses[index]);
        let peers: Vec<String> = NAMES
            .iter()
            .zip(addresses)
            .map(|(name, address)| format!("{name}=https://{address}:{peer_port}"))
            .collect();
        let mut arguments = vec![
            "server".to_owned(),
            format!("--name={name}"),
            format!("--data-dir={}", self.file(&format!("data-{name}")).display()),
            format!("--listen={address}:{api_port}"),
            format!("--shared-listen={SHARED}:{api_port}"),
            format!("--peer-listen={address}:{peer_port}"),
            format!("--initial-cluster={}", peers.join(",")),
            format!("--pki-dir={}", self.file("pki").display()),
        ];
        arguments.extend(flags.iter().cloned());
        arguments
    }

    /// Where they run.
    pub(crate) fn network(&self) -> &Network {
        &self.layout.network
    }

    /// A file in the cluster's folder.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The kubeconfig file of a client: `clients/admin`, `nodes/worker`.
    pub(crate) fn kubeconfig(&self, client: &str) -> PathBuf {
        self.file(&format!("pki/{client}.kubeconfig"))
    }

    /// A server's own URL.
    pub(crate) fn url(&self, index: usize) -> String {
        format!("https://{}:{}", self.layout.addresses[index], self.layout.api_port)
    }

    /// `keelson status`.
    pub(crate) fn status(&self, flags: &[&str]) -> Output {
        self.ask(&[&["status"], flags].concat())
    }

    /// A command of keelson's about this cluster.
    pub(crate) fn ask(&self, command: &[&str]) -> Output {
        let kubeconfig = self.kubeconfig("clients/admin");
        let arguments = [command, &["--kubeconfig", kubeconfig.to_str().unwrap()]].concat();
        process::run(self.network(), &arguments)
    }

    /// The index of the server whose store leads.
    pub(crate) fn leader(&self) -> usize {
        wait::until("there is a leader", || {
            let report = self.status(&["-o", "json"]);
            let json: Value = serde_json::from_slice(&report.stdout).map_err(|_| format!("{report:?}"))?;
            let rows = json["servers"].as_array().unwrap();
            let leader =
                rows.iter().find(|row| row["role"] == "leader").ok_or_else(|| format!("{report:?}"))?;
            Ok(NAMES.iter().position(|name| leader["name"] == *name).unwrap())
        })
    }

    /// Ends a server as `kill -9` does.
    pub(crate) fn kill(&mut self, index: usize) {
        self.take(index).kill();
    }

    /// A server's process, no longer looked after.
    pub(crate) fn take(&mut self, index: usize) -> Process {
        self.running[index].take().unwrap()
    }
}
