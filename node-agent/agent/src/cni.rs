//! The pods' network: a bridge on the node, addresses from the node's range, ports of the node that lead to pods.
//!
//! In: the ranges that the Node object names. Out: a configuration for the runtime's CNI plugins, if the folder has none
//! of somebody else's; and a kernel that forwards packets. Deliberately absent: routes between nodes.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::{Value, json};

/// Our file.
const FILE: &str = "10-keelson.conflist";

/// The bridge that pods are joined to.
const BRIDGE: &str = "cni0";

/// Where addresses that are taken are remembered, below the agent's root.
const ADDRESSES: &str = "cni/networks";

/// The kernel's switches for forwarding packets between interfaces.
const FORWARDING: [&str; 2] = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

/// What was done about the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Configured {
    /// Ours is there, as it should be.
    Ours,
    /// Somebody else's is there.
    Foreign(PathBuf),
}

/// Writes the configuration for these ranges, unless somebody else has written one.
pub(crate) fn configure(folder: &Path, root: &Path, ranges: &[String]) -> io::Result<Configured> {
    fs::create_dir_all(folder)?;
    if let Some(foreign) = foreign_configuration(folder)? {
        return Ok(Configured::Foreign(foreign));
    }
    let text = format!("{:#}\n", configuration(&root.join(ADDRESSES), ranges));
    let file = folder.join(FILE);
    if fs::read_to_string(&file).is_ok_and(|known| known == text) {
        return Ok(Configured::Ours);
    }
    // The runtime must never see half of it.
    let new = folder.join(format!(".{FILE}.new"));
    fs::write(&new, text)?;
    fs::rename(&new, &file)?;
    Ok(Configured::Ours)
}

/// Makes the kernel forward packets: between pods, and between them and the world. `addresses`: the node's.
pub(crate) fn forward_packets(addresses: &[IpAddr]) {
    let has_v6 = addresses.iter().any(IpAddr::is_ipv6);
    for switch in FORWARDING.into_iter().filter(|switch| has_v6 || !switch.contains("ipv6")) {
        if fs::read_to_string(switch).is_ok_and(|value| value.trim() == "1") {
            continue;
        }
        if let Err(error) = fs::write(switch, "1") {
            tracing::warn!(switch, %error, "cannot make the kernel forward packets: pods will not reach each other");
        }
    }
}

fn foreign_configuration(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let is_configuration = path
                .extension()
                .is_some_and(|it| ["conf", "conflist", "json"].iter().any(|known| it == *known));
            is_configuration && path.file_name().is_some_and(|name| name != FILE)
        })
        .collect();
    found.sort();
    Ok(found.into_iter().next())
}

fn configuration(addresses: &Path, ranges: &[String]) -> Value {
    let has = |is_v6: bool| ranges.iter().any(|range| range.contains(':') == is_v6);
    let routes: Vec<Value> = [(false, "0.0.0.0/0"), (true, "::/0")]
        .into_iter()
        .filter(|(is_v6, _)| has(*is_v6))
        .map(|(_, destination)| json!({"dst": destination}))
        .collect();
    json!({
        "cniVersion": "0.4.0",
        "name": "keelson",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": true,
                "hairpinMode": true,
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "dataDir": addresses,
                    "ranges": ranges.iter().map(|range| json!([{"subnet": range}])).collect::<Vec<_>>(),
                    "routes": routes,
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(all: &[&str]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_configuration_gives_addresses_from_the_nodes_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new("/var/lib/k");
        let done = configure(folder.path(), root, &ranges(&["10.244.1.0/24", "fd00::/64"])).unwrap();
        assert_eq!(done, Configured::Ours);
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let ipam = &value["plugins"][0]["ipam"];
        assert_eq!(ipam["ranges"], json!([[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00::/64"}]]));
        assert_eq!(ipam["routes"], json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]));
        assert_eq!(ipam["dataDir"], "/var/lib/k/cni/networks");
        assert_eq!(value["plugins"][1]["type"], "portmap");
        // Another range, another text.
        configure(folder.path(), root, &ranges(&["10.244.2.0/24"])).unwrap();
        assert!(fs::read_to_string(folder.path().join(FILE)).unwrap().contains("10.244.2.0/24"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_network_of_somebody_elses_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = folder.path().join("05-other.conflist");
        fs::write(&foreign, "{}").unwrap();
        fs::write(folder.path().join("README"), "").unwrap();
        let done = configure(folder.path(), Path::new("/r"), &ranges(&["10.244.1.0/24"])).unwrap();
        assert_eq!(done, Configured::Foreign(foreign));
        assert!(!folder.path().join(FILE).exists());
    }
}
