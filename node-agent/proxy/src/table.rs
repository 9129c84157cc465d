//! What stands in the packet filter: chains, maps and sets. Pure.
//!
//! In: [`Route`]s of one address family. Out: a [`Table`].
//!
//! ```text
//! prerouting, output ── jump services ──┬─ (ClusterIP, protocol, port) ─────────┬─ svc-… (everywhere) ─┬─ ep-… (dnat)
//!                                       ├─ (external IP, protocol, port) ─ ext-… ┤                      │
//!                                       └─ (protocol, node port) ───────── ext-… ┴─ loc-… (here) ───────┘
//! forward, output ── what is still addressed to a ClusterIP leads nowhere: refuse
//! postrouting ── what is marked, or goes from a pod out of the cluster, looks as if the node had sent it
//! ```
//!
//! Source: the layout follows the nftables mode of Kubernetes' proxy (KEP-3866).

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::routes::endpoint::Endpoint;
use crate::routes::family::{Family, Network};
use crate::routes::{Policy, Route};

/// The name of the tables.
pub(crate) const NAME: &str = "keelson-services";

/// How the names of sets begin that the kernel fills: clients that stay with an endpoint.
pub(crate) const CLIENTS: &str = "stay";

/// The bit of a packet's mark that says that it has to look as if the node had sent it; Kubernetes' own.
const MARK: &str = "0x4000";

/// Everything in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// Their definitions; elements of those that the kernel fills itself are not ours.
    pub(crate) sets: BTreeMap<String, Set>,
    pub(crate) maps: BTreeMap<&'static str, Map>,
    pub(crate) chains: BTreeMap<String, Chain>,
}

/// A set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) definition: String,
    pub(crate) elements: BTreeSet<String>,
}

/// A map from what a packet is addressed to to what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) definition: String,
    pub(crate) elements: BTreeMap<String, String>,
}

/// A chain of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Where the kernel calls it; `None`: only other chains do.
    pub(crate) hook: Option<&'static str>,
    pub(crate) rules: Vec<String>,
}

const CLUSTER_IPS: &str = "cluster-ips";
const SERVICE_IPS: &str = "service-ips";
const NODE_PORTS: &str = "service-nodeports";
const SERVICES: &str = "services";
const MASQUERADE: &str = "mark-for-masquerade";
const REFUSE: &str = "refuse";

/// The table for these routes, all of one family.
pub(crate) fn table<'a>(
    family: Family,
    routes: impl IntoIterator<Item = &'a Route, IntoIter: Clone>,
    pods: Option<Network>,
) -> Table {
    let pods = pods.filter(|pods| pods.family() == family);
    let mut table = frame(family, pods);
    let routes = routes.into_iter();
    for route in routes.clone() {
        table.add(family, route, pods);
    }
    for route in routes {
        table.add_external_ips(route);
    }
    table
}

/// What is there whatever the routes.
fn frame(family: Family, pods: Option<Network>) -> Table {
    let ip = family.name();
    let address = family.address_type();
    let mut table = Table::default();
    table.set(CLUSTER_IPS, format!("type {address};"));
    table.map(SERVICE_IPS, format!("type {address} . inet_proto . inet_service : verdict;"));
    table.map(NODE_PORTS, "type inet_proto . inet_service : verdict;".to_owned());
    table.hook("prerouting", "type nat hook prerouting priority -100; policy accept;", [jump(SERVICES)]);
    table.hook("output", "type nat hook output priority -100; policy accept;", [jump(SERVICES)]);
    table.hook(
        "postrouting",
        "type nat hook postrouting priority 100; policy accept;",
        masquerading(ip, pods),
    );
    let refused = || [format!("ct state new {ip} daddr @{CLUSTER_IPS} goto {REFUSE}")];
    table.hook("filter-forward", "type filter hook forward priority 0; policy accept;", refused());
    table.hook("filter-output", "type filter hook output priority 0; policy accept;", refused());
    table.chain(
        REFUSE,
        // A reset is noticed at once, where a client may sit on an ICMP error for a second.
        ["meta l4proto tcp reject with tcp reset".to_owned(), "reject".to_owned()],
    );
    table.chain(
        SERVICES,
        [
            format!("{ip} daddr . meta l4proto . th dport vmap @{SERVICE_IPS}"),
            format!(
                "fib daddr type local {ip} daddr != {} meta l4proto . th dport vmap @{NODE_PORTS}",
                family.loopback()
            ),
        ],
    );
    table.chain(MASQUERADE, [format!("meta mark set meta mark | {MARK}")]);
    table
}

fn masquerading(ip: &str, pods: Option<Network>) -> Vec<String> {
    let mut rules = vec![
        // Taken off, so that what the packet passes later does not see it.
        format!("meta mark & {MARK} != 0 meta mark set meta mark ^ {MARK} masquerade fully-random"),
    ];
    if let Some(pods) = pods {
        rules.push(format!("{ip} saddr {pods} {ip} daddr != {pods} masquerade fully-random"));
    }
    rules
}

fn jump(chain: &str) -> String {
    format!("jump {chain}")
}

impl Table {
    fn set(&mut self, name: impl Into<String>, definition: String) {
        self.sets.insert(name.into(), Set { definition, elements: BTreeSet::new() });
    }

    fn map(&mut self, name: &'static str, definition: String) {
        self.maps.insert(name, Map { definition, elements: BTreeMap::new() });
    }

    fn chain(&mut self, name: impl Into<String>, rules: impl Into<Vec<String>>) {
        self.chains.insert(name.into(), Chain { hook: None, rules: rules.into() });
    }

    fn hook(&mut self, name: &str, hook: &'static str, rules: impl Into<Vec<String>>) {
        self.chains.insert(name.to_owned(), Chain { hook: Some(hook), rules: rules.into() });
    }

    /// The first that asks for an address and port has it: the API server gives none twice.
    fn lead(&mut self, map: &'static str, key: String, chain: &str) {
        if let Some(map) = self.maps.get_mut(map) {
            map.elements.entry(key).or_insert_with(|| format!("goto {chain}"));
        }
    }

    fn add(&mut self, family: Family, route: &Route, pods: Option<Network>) {
        let (ip, protocol, port) = (route.cluster_ip, route.name.protocol.name(), route.port);
        if let Some(set) = self.sets.get_mut(CLUSTER_IPS) {
            set.elements.insert(ip.to_string());
        }
        if let Some(service) = self.add_balancer(family, route, route.internal, pods) {
            self.lead(SERVICE_IPS, format!("{ip} . {protocol} . {port}"), &service);
        }
        let Some(external) = self.add_external(family, route, pods) else { return };
        if let Some(node_port) = route.node_port {
            self.lead(NODE_PORTS, format!("{protocol} . {node_port}"), &external);
        }
    }

    /// Users choose external addresses. They come last, so that nobody takes another Service's ClusterIP with one.
    fn add_external_ips(&mut self, route: &Route) {
        let chain = external_name(route);
        if !self.chains.contains_key(&chain) {
            return;
        }
        let cluster_ips = self.sets.get(CLUSTER_IPS).map(|set| &set.elements);
        let free = |ip: &String| !cluster_ips.is_some_and(|taken| taken.contains(ip));
        let ips: Vec<String> = route.external_ips.iter().map(ToString::to_string).filter(free).collect();
        for ip in ips {
            self.lead(SERVICE_IPS, format!("{ip} . {} . {}", route.name.protocol.name(), route.port), &chain);
        }
    }

    /// The chain for traffic to node ports and external addresses, if any can come and has somewhere to go.
    fn add_external(&mut self, family: Family, route: &Route, pods: Option<Network>) -> Option<String> {
        if route.node_port.is_none() && route.external_ips.is_empty() {
            return None;
        }
        let everywhere = self.add_balancer(family, route, Policy::Cluster, pods);
        let rules = match route.external {
            // It looks as if this node had sent it, or answers would miss the node.
            Policy::Cluster => vec![jump(MASQUERADE), format!("goto {}", everywhere?)],
            Policy::Local => {
                let mut rules = Vec::new();
                if let Some(everywhere) = everywhere {
                    rules = inside(family, pods, &everywhere);
                }
                // Endpoints here see the client's own address.
                let local = self.add_balancer(family, route, Policy::Local, pods);
                rules.extend(local.map(|local| format!("goto {local}")));
                rules
            }
        };
        if rules.is_empty() {
            return None;
        }
        let name = external_name(route);
        self.chain(name.clone(), rules);
        Some(name)
    }

    /// A chain that spreads connections over endpoints. Returns its name; none if there is no endpoint.
    fn add_balancer(
        &mut self,
        family: Family,
        route: &Route,
        policy: Policy,
        pods: Option<Network>,
    ) -> Option<String> {
        let (ip, endpoints) = (family.name(), route.endpoints(policy));
        if endpoints.is_empty() {
            return None;
        }
        let mut rules = Vec::new();
        if let Some(pods) = pods.filter(|_| policy == route.internal) {
            let cluster_ip = route.cluster_ip;
            rules.push(format!("{ip} daddr {cluster_ip} {ip} saddr != {pods} jump {MASQUERADE}"));
        }
        let chains: Vec<String> =
            endpoints.iter().map(|endpoint| self.add_endpoint(family, route, endpoint)).collect();
        if route.affinity.is_some() {
            let stay = endpoints.iter().zip(&chains);
            rules.extend(stay.map(|(endpoint, chain)| {
                format!("{ip} saddr @{} goto {chain}", affinity_set(route, endpoint))
            }));
        }
        rules.push(spread(&chains));
        let kind = match policy {
            Policy::Cluster => "svc",
            Policy::Local => "loc",
        };
        let name = format!("{kind}-{}", route.name);
        self.chain(name.clone(), rules);
        Some(name)
    }

    fn add_endpoint(&mut self, family: Family, route: &Route, endpoint: &Endpoint) -> String {
        let ip = family.name();
        let name = format!("ep-{}", endpoint_name(route, endpoint));
        // A pod that reaches itself through a Service would get its own packets as answers.
        let mut rules = vec![format!("{ip} saddr {} jump {MASQUERADE}", endpoint.ip)];
        if let Some(affinity) = route.affinity {
            let set = affinity_set(route, endpoint);
            let seconds = affinity.as_secs();
            let address = family.address_type();
            self.set(set.clone(), format!("type {address}; flags dynamic,timeout; timeout {seconds}s;"));
            rules.push(format!("update @{set} {{ {ip} saddr }}"));
        }
        rules.push(format!("meta l4proto {} dnat to {}", route.name.protocol.name(), target(endpoint)));
        self.chain(name.clone(), rules);
        name
    }
}

/// Traffic that comes from inside the cluster goes everywhere, whatever is said of traffic from outside.
fn inside(family: Family, pods: Option<Network>, everywhere: &str) -> Vec<String> {
    let from_pods = pods.map(|pods| format!("{} saddr {pods} goto {everywhere}", family.name()));
    // The node's own address may be one that endpoints cannot answer.
    let from_node = [jump(MASQUERADE), format!("goto {everywhere}")];
    let from_node = from_node.map(|verdict| format!("fib saddr type local {verdict}"));
    from_pods.into_iter().chain(from_node).collect()
}

fn external_name(route: &Route) -> String {
    format!("ext-{}", route.name)
}

fn spread(chains: &[String]) -> String {
    match chains {
        [only] => format!("goto {only}"),
        several => {
            let choices: Vec<String> =
                several.iter().enumerate().map(|(at, chain)| format!("{at} : goto {chain}")).collect();
            format!("numgen random mod {} vmap {{ {} }}", several.len(), choices.join(", "))
        }
    }
}

fn target(endpoint: &Endpoint) -> String {
    std::net::SocketAddr::new(endpoint.ip, endpoint.port).to_string()
}

/// Names of chains and sets may have no colons in them.
fn endpoint_name(route: &Route, endpoint: &Endpoint) -> String {
    format!("{}/{}/{}", route.name, endpoint.ip.to_string().replace(':', "."), endpoint.port)
}

/// The time is part of the name: a set that exists cannot change it.
fn affinity_set(route: &Route, endpoint: &Endpoint) -> String {
    let seconds = route.affinity.unwrap_or_default().as_secs();
    format!("{CLIENTS}{seconds}-{}", endpoint_name(route, endpoint))
}
