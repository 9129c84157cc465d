//! A cluster with one node, in two network namespaces that are joined by one link.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::api::Api;
use crate::kubectl::Kubectl;
use crate::machine::checkout;
use crate::network::Network;
use crate::process::Process;
use crate::servers::{Layout, NAMES, Servers};
use crate::traces::Traces;
use crate::wait;

/// The node's name.
pub(crate) const NODE: &str = "worker";
pub(crate) const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 10);

const SERVER_ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(172, 31, 0, 2), Ipv4Addr::new(172, 31, 0, 3), Ipv4Addr::new(172, 31, 0, 4)];
const POD_NETWORK: &str = "10.244.0.0/16";
const SERVICE_NETWORK: &str = "10.96.0.0/16";

/// Kubernetes' and etcd's ports: nobody else is in the namespace.
const API_PORT: u16 = 6443;
const PEER_PORT: u16 = 2380;

/// Everything of one test. It ends and vanishes with this value, also when the test panics.
pub(crate) struct Lab {
    /// Of whom the logs are, if they are kept.
    test: &'static str,
    agent: Option<Process>,
    pub(crate) admin: Kubectl,
    pub(crate) api: Api,
    /// Where the node and its containerd run.
    pub(crate) node_network: Network,
    /// Before the folder of the servers' and the node's files, so that nothing is mounted there any more.
    traces: Traces,
    pub(crate) servers: Servers,
}

impl Lab {
    /// Starts servers and node, and waits until all are well.
    pub(crate) fn start(test: &'static str) -> Self {
        Self::start_with(test, &[])
    }

    /// The same, with further flags for the servers.
    pub(crate) fn start_with(test: &'static str, flags: &[&str]) -> Self {
        let traces = Traces::new();
        let folder = tempfile::Builder::new().prefix(&traces.name).rand_bytes(0).tempdir().unwrap();
        make_networks(&traces);
        let layout = Layout {
            network: inside(&traces.servers()),
            addresses: SERVER_ADDRESSES,
            api_port: API_PORT,
            peer_port: PEER_PORT,
            node: format!("{NODE}={NODE_ADDRESS}"),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        let servers = Servers::launch(layout, folder);
        let admin = Kubectl::admin(&servers);
        let api = Api::start(&admin, servers.file("api.sock"));
        let node_network = inside(&traces.node());
        let mut lab = Self { test, agent: None, admin, api, node_network, traces, servers };
        run(Command::new(checkout("deploy/images/build.sh")).arg(lab.servers.file("images")));
        lab.start_containerd();
        lab.start_agent();
        lab.wait_until_well();
        lab
    }

    /// Starts the node's containerd, and waits until it answers.
    pub(crate) fn start_containerd(&self) {
        // Its files are for the users of containers, however closed those are that are made here.
        let mut script = Command::new("sh");
        script.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(checkout("deploy/dev/containerd.sh"));
        run(script.arg("start").arg(self.traces.containerd()).arg(self.traces.node()));
    }

    /// Starts the node's agent.
    pub(crate) fn start_agent(&mut self) {
        assert!(self.agent.is_none(), "it runs already");
        let log = self.servers.file("node.log");
        self.agent = Some(Process::spawn(&self.node_network, &self.agent_arguments(), log));
    }

    fn agent_arguments(&self) -> Vec<String> {
        let containerd = self.traces.containerd();
        let urls: Vec<String> = (0..NAMES.len()).map(|index| self.servers.url(index)).collect();
        let flag = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        vec![
            "node".to_owned(),
            format!("--name={NODE}"),
            format!("--node-ip={NODE_ADDRESS}"),
            format!("--servers={}", urls.join(",")),
            flag("pki-dir", &self.servers.file("pki")),
            flag("data-dir", &self.servers.file("node")),
            format!("--container-runtime-endpoint=unix://{}", self.containerd_socket().display()),
            flag("cni-conf-dir", &containerd.join("cni")),
            flag("images-dir", &self.servers.file("images")),
            format!("--cgroup-root=/{}", self.traces.name),
            // However full the disk is on which the tests happen to run.
            "--eviction-hard=memory.available<100Mi,nodefs.available<1Gi".to_owned(),
        ]
    }

    /// Waits until the servers find nothing wrong and the node is ready.
    pub(crate) fn wait_until_well(&mut self) {
        wait::until("the node is ready", || {
            self.agent.iter_mut().for_each(Process::assert_runs);
            let node = self.api.get(&format!("/api/v1/nodes/{NODE}"))?;
            if condition(&node, "Ready") == "True" { Ok(()) } else { Err(node["status"].to_string()) }
        });
        self.servers.wait_until_well();
    }

    /// The agent's process, no longer looked after.
    pub(crate) fn take_agent(&mut self) -> Process {
        self.agent.take().unwrap()
    }

    /// Ends containerd as `kill -9` does. Containers have other parents.
    pub(crate) fn kill_containerd(&self) {
        let pid = std::fs::read_to_string(self.traces.containerd().join("containerd.pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        wait::until("it is gone", || match test_kill_process(pid) {
            Ok(()) => Err("it runs".to_owned()),
            Err(_) => Ok(()),
        });
    }

    /// Ends containerd and all containers at once.
    pub(crate) fn cut_power_of_containerd(&self) {
        let mut script = Command::new(checkout("deploy/dev/containerd.sh"));
        run(script.arg("stop").arg(self.traces.containerd()));
    }

    /// The index of the server that the agent has connections with.
    pub(crate) fn server_of_the_agent(&self) -> usize {
        wait::until("the agent uses a server", || {
            let output = self.node_network.command("ss").args(["-Htn", "state", "established"]).output();
            let connections = String::from_utf8(output.unwrap().stdout).unwrap();
            let uses = |address: &Ipv4Addr| connections.contains(&format!(" {address}:{API_PORT}"));
            SERVER_ADDRESSES.iter().position(uses).ok_or(connections)
        })
    }

    /// What is found at a URL from there, or what is said instead.
    pub(crate) fn fetch(&self, from: &Network, url: &str) -> Result<String, String> {
        // This wget's own time limit does not work everywhere.
        let output = from.command("timeout").args(["5", "busybox", "wget", "-qO-", url]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The folders of the pods' control groups.
    pub(crate) fn control_groups(&self) -> Vec<PathBuf> {
        self.traces.control_groups()
    }

    /// Where containerd answers.
    pub(crate) fn containerd_socket(&self) -> PathBuf {
        self.traces.containerd().join("containerd.sock")
    }
}

/// The status of an object's condition, or nothing.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == kind));
    found.and_then(|condition| condition["status"].as_str()).unwrap_or_default()
}

fn inside(namespace: &str) -> Network {
    // Not `ip netns exec`: that makes a mount namespace of its own, and pods' mounts would be seen by nobody
    // else.
    Network { enter: vec!["nsenter".to_owned(), format!("--net=/run/netns/{namespace}")] }
}

fn make_networks(traces: &Traces) {
    let (servers, node) = (traces.servers(), traces.node());
    let ip = |line: &str| {
        run(Command::new("ip").args(line.split_whitespace()));
    };
    ip(&format!("netns add {servers}"));
    ip(&format!("netns add {node}"));
    ip(&format!("-n {servers} link add eth0 type veth peer name eth0 netns {node}"));
    for address in SERVER_ADDRESSES {
        ip(&format!("-n {servers} address add {address}/24 dev eth0"));
    }
    ip(&format!("-n {node} address add {NODE_ADDRESS}/24 dev eth0"));
    for namespace in [&servers, &node] {
        ip(&format!("-n {namespace} link set lo up"));
        ip(&format!("-n {namespace} link set eth0 up"));
    }
    ip(&format!("-n {node} route add default via {}", SERVER_ADDRESSES[0]));
    for network in [POD_NETWORK, SERVICE_NETWORK] {
        ip(&format!("-n {servers} route add {network} via {NODE_ADDRESS}"));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
    }
}

impl Lab {
    /// Copies everybody's logs to where they outlive the lab.
    fn keep_logs(&self) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("node-{}", self.test));
        // Nothing depends on it, and the test has failed for another reason.
        let _ = std::fs::create_dir_all(&kept);
        let logs = ["a.log", "b.log", "c.log", "node.log", "containerd/containerd.log"];
        for log in logs.map(|log| self.servers.file(log)) {
            let _ = std::fs::copy(&log, kept.join(log.file_name().unwrap()));
        }
        eprintln!("the logs of servers and node are in {}", kept.display());
    }
}
