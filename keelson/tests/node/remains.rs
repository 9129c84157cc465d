//! What there is of pods on the node, beside the API's opinion.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::lab::Lab;
use crate::wait;

impl Lab {
    /// What pods have on the node: names, by kind.
    pub(crate) fn remains(&self) -> BTreeMap<&'static str, Vec<String>> {
        let socket = self.containerd_socket();
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(socket).args(["--namespace", "k8s.io", "containers", "list", "--quiet"]);
        let links =
            self.node_network.command("ip").args(["-oneline", "link", "show", "type", "veth"]).output();
        let links = String::from_utf8(links.unwrap().stdout).unwrap();
        let addresses = names(&self.servers.file("node/kubelet/cni/networks/keelson"));
        let is_address = |name: &String| name.parse::<std::net::Ipv4Addr>().is_ok();
        BTreeMap::from([
            ("containers", lines(&String::from_utf8(ctr.output().unwrap().stdout).unwrap())),
            ("volumes", names(&self.servers.file("node/kubelet/pods"))),
            ("logs", names(&self.servers.file("node/logs"))),
            ("control groups", self.control_groups().iter().flat_map(|folder| pod_groups(folder)).collect()),
            ("addresses", addresses.into_iter().filter(is_address).collect()),
            ("links", lines(&links).into_iter().filter(|line| line.contains("master cni0")).collect()),
        ])
    }

    /// Waits until pods have nothing on the node any more.
    pub(crate) fn nothing_remains(&self) {
        wait::until("nothing is left of pods on the node", || {
            let mut left = self.remains();
            left.retain(|_, found| !found.is_empty());
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The groups of pods below a folder, and of containers in them.
fn pod_groups(folder: &Path) -> Vec<String> {
    let inner = names(folder).into_iter().map(|name| folder.join(name)).filter(|path| path.is_dir());
    let own = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("pod");
    inner
        .flat_map(|path| {
            let is_pods = own(&path).then(|| path.display().to_string());
            is_pods.into_iter().chain(pod_groups(&path)).collect::<Vec<_>>()
        })
        .collect()
}
