//! Servers on this machine, each a process with a folder and an address of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{self, Process};
use crate::wait;

const NAMES: [&str; 3] = ["a", "b", "c"];
const ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3), Ipv4Addr::new(127, 0, 0, 4)];
const SHARED: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Ports below those that the system gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// Everything of one test: it ends and vanishes with this value, also when the test panics.
pub(crate) struct Servers {
    /// Before the folder of their files, so that the processes end first.
    running: [Option<Process>; 3],
    api_port: u16,
    peer_port: u16,
    folder: TempDir,
}

impl Servers {
    /// Starts three servers and waits until all are well.
    pub(crate) fn start() -> Self {
        let mut servers = Self {
            running: [None, None, None],
            api_port: free_port(),
            peer_port: free_port(),
            folder: tempfile::tempdir().unwrap(),
        };
        servers.make_certificates();
        servers.start_missing();
        servers
    }

    fn make_certificates(&self) {
        let url = format!("https://{SHARED}:{}", self.api_port);
        let pki = self.file("pki");
        let named = |index: usize| format!("{}={}", NAMES[index], ADDRESSES[index]);
        let (a, b, c) = (named(0), named(1), named(2));
        let folder = pki.to_str().unwrap();
        let made = process::run(&[
            "pki",
            "init",
            "--dir",
            folder,
            "--server-url",
            &url,
            "--server",
            &a,
            "--server",
            &b,
            "--server",
            &c,
            "--node",
            "worker",
        ]);
        assert!(made.status.success(), "{made:?}");
    }

    /// Starts every server that does not run, and waits until all are well.
    pub(crate) fn start_missing(&mut self) {
        for (index, name) in NAMES.iter().enumerate() {
            if self.running[index].is_none() {
                let log = self.file(&format!("{name}.log"));
                self.running[index] = Some(Process::spawn(&self.arguments(index), log));
            }
        }
        wait::until("all servers are well", || {
            self.running.iter_mut().flatten().for_each(Process::assert_runs);
            let report = self.status(&[]);
            if report.status.success() { Ok(()) } else { Err(format!("{report:?}")) }
        });
    }

    fn arguments(&self, index: usize) -> Vec<String> {
        let (name, address) = (NAMES[index], ADDRESSES[index]);
        let (api_port, peer_port) = (self.api_port, self.peer_port);
        let peers: Vec<String> = NAMES
            .iter()
            .zip(ADDRESSES)
            .map(|(name, address)| format!("{name}=https://{address}:{peer_port}"))
            .collect();
        vec![
            "server".to_owned(),
            format!("--name={name}"),
            format!("--data-dir={}", self.file(&format!("data-{name}")).display()),
            format!("--listen={address}:{api_port}"),
            format!("--shared-listen={SHARED}:{api_port}"),
            format!("--peer-listen={address}:{peer_port}"),
            format!("--initial-cluster={}", peers.join(",")),
            format!("--pki-dir={}", self.file("pki").display()),
        ]
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
        format!("https://{}:{}", ADDRESSES[index], self.api_port)
    }

    /// `keelson status`.
    pub(crate) fn status(&self, flags: &[&str]) -> Output {
        let kubeconfig = self.kubeconfig("clients/admin");
        let mut arguments = vec!["status", "--kubeconfig", kubeconfig.to_str().unwrap()];
        arguments.extend(flags);
        process::run(&arguments)
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
        self.running[index].take().unwrap().kill();
    }

    /// A server's process, no longer looked after.
    pub(crate) fn take(&mut self, index: usize) -> Process {
        self.running[index].take().unwrap()
    }
}

/// A port that is free at all addresses.
fn free_port() -> u16 {
    let is_free = |port: &u16| {
        [SHARED].iter().chain(&ADDRESSES).all(|address| TcpListener::bind((*address, *port)).is_ok())
    };
    let mut candidates = std::iter::repeat_with(|| rand::random_range(PORTS)).take(1000);
    candidates.find(is_free).expect("a port is free")
}
