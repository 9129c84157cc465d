//! `/etc/hosts` as a Pod sees it. Pure.
//!
//! In: the Pod's addresses, names and aliases; on the host's network the host's own file. Out: the file's text.

use std::{fmt::Write, net::IpAddr};

use k8s_openapi::api::core::v1::{HostAlias, Pod};

use crate::hostname::HostName;

/// The file of a Pod with a network of its own.
#[must_use]
pub fn hosts_file(pod: &Pod, addresses: &[IpAddr], name: &HostName) -> String {
    let mut file = "# Kubernetes-managed hosts file.\n\
                    127.0.0.1\tlocalhost\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::0\tip6-localnet\n\
                    fe00::0\tip6-mcastprefix\n\
                    fe00::1\tip6-allnodes\n\
                    fe00::2\tip6-allrouters\n"
        .to_owned();
    for address in addresses {
        // Writing to a String cannot fail.
        let _ = match name.domain.as_str() {
            "" => writeln!(file, "{address}\t{}", name.name),
            domain => writeln!(file, "{address}\t{}.{domain}\t{}", name.name, name.name),
        };
    }
    file.push_str(&aliases(pod));
    file
}

/// The file of a Pod on the host's network: the host's own with the Pod's aliases.
#[must_use]
pub fn hosts_file_of_node(pod: &Pod, of_node: &str) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{of_node}{}", aliases(pod))
}

fn aliases(pod: &Pod) -> String {
    let aliases = pod.spec.as_ref().and_then(|spec| spec.host_aliases.as_deref()).unwrap_or_default();
    if aliases.is_empty() {
        return String::new();
    }
    let line = |alias: &HostAlias| {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        format!("{}\t{names}\n", alias.ip)
    };
    let lines: String = aliases.iter().map(line).collect();
    format!("\n# Entries added by HostAliases.\n{lines}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Pod {
        let aliases = json!([{"ip": "1.2.3.4", "hostnames": ["a", "b"]}, {"ip": "::5", "hostnames": ["c"]}]);
        serde_json::from_value(json!({"spec": {"containers": [], "hostAliases": aliases}})).unwrap()
    }

    const LOCAL: &str = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n\
        fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";

    const ALIASES: &str = "\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n::5\tc\n";

    #[test]
    fn a_pod_finds_itself_by_all_its_addresses() {
        let addresses = ["10.1.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        let name = HostName { name: "h".into(), domain: String::new() };
        let file = hosts_file(&Pod::default(), &addresses, &name);
        assert_eq!(file, format!("{LOCAL}10.1.0.2\th\nfd00::2\th\n"));
        let name = HostName { domain: "s.ns.svc.cluster.local".into(), ..name };
        let file = hosts_file(&pod(), &addresses[..1], &name);
        assert_eq!(file, format!("{LOCAL}10.1.0.2\th.s.ns.svc.cluster.local\th\n{ALIASES}"));
    }

    #[test]
    fn on_the_hosts_network_the_hosts_file_is_shown_with_the_aliases() {
        let file = hosts_file_of_node(&pod(), "127.0.0.1 localhost\n");
        assert_eq!(
            file,
            format!("# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n{ALIASES}")
        );
        let file = hosts_file_of_node(&Pod::default(), "x\n");
        assert_eq!(file, "# Kubernetes-managed hosts file (host network).\nx\n");
    }
}
