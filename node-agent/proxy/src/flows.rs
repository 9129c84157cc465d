//! Flows in the connection tracker that contradict the routes. Pure.
//!
//! In: what the tracker lists, and the routes. Out: [`Flow`]s to forget. A UDP "connection" has no end of its own: as
//! long as packets come, the tracker sends them where it once decided, also when that pod is gone, or when it decided
//! before there was any endpoint. Flows that lead to an endpoint of today are left alone. TCP notices by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::routes::family::Family;
use crate::routes::{Protocol, Route};

/// Flows of UDP to an address and port that are answered from elsewhere, or, where no endpoint was chosen, from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    to: SocketAddr,
    from: SocketAddr,
}

/// One flow as the tracker lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tracked {
    flow: Flow,
    /// The sender looks to the other end like another.
    masqueraded: bool,
}

/// The arguments of `conntrack` that list the flows of UDP of a family.
pub(crate) fn listing(family: Family) -> [&'static str; 5] {
    ["-L", "-f", conntracks(family), "-p", "udp"]
}

/// What `conntrack` has listed. Lines that are no flows are left out.
pub(crate) fn read(listed: &str) -> Vec<Tracked> {
    listed.lines().filter_map(tracked).collect()
}

/// `udp 17 59 src=A dst=B sport=1 dport=2 [UNREPLIED] src=C dst=D sport=3 dport=4 mark=0 use=1`: there, then back.
fn tracked(line: &str) -> Option<Tracked> {
    let fields = || line.split_whitespace().filter_map(|word| word.split_once('='));
    let ip = |name: &str, at: usize| -> Option<IpAddr> {
        fields().filter(|(known, _)| *known == name).nth(at)?.1.parse().ok()
    };
    let port = |name: &str, at: usize| -> Option<u16> {
        fields().filter(|(known, _)| *known == name).nth(at)?.1.parse().ok()
    };
    let to = SocketAddr::new(ip("dst", 0)?, port("dport", 0)?);
    let from = SocketAddr::new(ip("src", 1)?, port("sport", 1)?);
    Some(Tracked { flow: Flow { to, from }, masqueraded: ip("src", 0)? != ip("dst", 1)? })
}

/// Where UDP to an address or a node port leads.
#[derive(Default)]
struct Targets {
    addresses: BTreeMap<SocketAddr, BTreeSet<SocketAddr>>,
    node_ports: BTreeMap<(Family, u16), BTreeSet<SocketAddr>>,
}

/// The flows that lead elsewhere than the routes say, or than `before` said of what is no longer there.
pub(crate) fn stale(tracked: &[Tracked], before: &[Route], after: &[Route]) -> BTreeSet<Flow> {
    let mut targets = Targets::default();
    udp(before).for_each(|route| targets.add(route, &BTreeSet::new()));
    udp(after).for_each(|route| {
        let endpoints = route.everywhere.union(&route.local);
        targets.add(route, &endpoints.map(|endpoint| SocketAddr::new(endpoint.ip, endpoint.port)).collect());
    });
    tracked.iter().filter(|tracked| targets.contradict(tracked)).map(|tracked| tracked.flow).collect()
}

/// The routes of UDP: only they matter here.
pub(crate) fn udp(routes: &[Route]) -> impl Iterator<Item = &Route> {
    routes.iter().filter(|route| route.name.protocol == Protocol::Udp)
}

impl Targets {
    fn add(&mut self, route: &Route, endpoints: &BTreeSet<SocketAddr>) {
        for ip in std::iter::once(route.cluster_ip).chain(route.external_ips.iter().copied()) {
            self.addresses.insert(SocketAddr::new(ip, route.port), endpoints.clone());
        }
        if let Some(port) = route.node_port {
            self.node_ports.insert((Family::of(route.cluster_ip), port), endpoints.clone());
        }
    }

    fn contradict(&self, tracked: &Tracked) -> bool {
        let Flow { to, from } = tracked.flow;
        let undecided = from == to;
        let endpoints = self.addresses.get(&to).or_else(|| {
            // A flow to another machine's port of this number goes through here masqueraded, if at all.
            let is_the_nodes = !(undecided && tracked.masqueraded);
            self.node_ports.get(&(Family::of(to.ip()), to.port())).filter(|_| is_the_nodes)
        });
        endpoints.is_some_and(|endpoints| match undecided {
            true => !endpoints.is_empty(),
            false => !endpoints.contains(&from),
        })
    }
}

fn conntracks(family: Family) -> &'static str {
    match family {
        Family::Ip4 => "ipv4",
        Family::Ip6 => "ipv6",
    }
}

impl Flow {
    /// The arguments of `conntrack` that forget it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let family = conntracks(Family::of(self.to.ip()));
        let mut arguments: Vec<String> = ["-D", "-f", family, "-p", "udp"].map(str::to_owned).into();
        let ends =
            [("--orig-dst", "--orig-port-dst", self.to), ("--reply-src", "--reply-port-src", self.from)];
        for (address, port, end) in ends {
            arguments.extend([address.to_owned(), end.ip().to_string()]);
            arguments.extend([port.to_owned(), end.port().to_string()]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::route as tcp;

    fn route(endpoints: &[&str]) -> Route {
        let mut route = tcp("dns", 9, endpoints);
        route.name.protocol = Protocol::Udp;
        route.port = 53;
        route.node_port = Some(30_053);
        route
    }

    /// A line for a client at 10.244.0.5 that sends there and hears from there.
    fn line(to: &str, from: &str) -> String {
        let (to, from): (SocketAddr, SocketAddr) = (to.parse().unwrap(), from.parse().unwrap());
        let there = format!("src=10.244.0.5 dst={} sport=4000 dport={}", to.ip(), to.port());
        let back = format!("src={} dst=10.244.0.5 sport={} dport=4000", from.ip(), from.port());
        format!("udp      17 59 {there} [UNREPLIED] {back} mark=0 use=1\n")
    }

    fn stale_ends(lines: &[String], before: &[Route], after: &[Route]) -> Vec<String> {
        let stale = stale(&read(&lines.concat()), before, after);
        stale.iter().map(|flow| format!("{} {}", flow.to, flow.from)).collect()
    }

    #[test]
    fn flows_to_an_endpoint_that_is_gone_are_forgotten_and_others_are_not() {
        let after = [route(&["10.244.0.2:53", "10.244.0.3:53"])];
        let lines = [
            line("10.96.0.9:53", "10.244.0.1:53"),
            line("10.96.0.9:53", "10.244.0.2:53"),
            line("10.96.0.9:54", "10.244.0.1:53"),
            line("192.0.2.1:30053", "10.244.0.1:53"),
            line("192.0.2.1:30053", "10.244.0.3:53"),
        ];
        let gone = ["10.96.0.9:53 10.244.0.1:53", "192.0.2.1:30053 10.244.0.1:53"];
        assert_eq!(stale_ends(&lines, &[], &after), gone, "also when nothing is known of before");
        let last = stale_ends(&lines, &[], &[route(&[])]);
        assert_eq!(last.len(), 4, "nobody is left to answer: {last:?}");
        assert_eq!(stale_ends(&lines, &after, &[]).len(), 4, "of a Service that is gone none is left");
        let flow = stale(&read(&lines[0]), &[], &after).into_iter().next().unwrap();
        assert_eq!(
            flow.arguments().join(" "),
            "-D -f ipv4 -p udp --orig-dst 10.96.0.9 --orig-port-dst 53 --reply-src 10.244.0.1 --reply-port-src 53"
        );
    }

    #[test]
    fn the_first_endpoint_frees_flows_that_were_decided_without_one() {
        let lines = [
            line("10.96.0.9:53", "10.96.0.9:53"),
            line("192.0.2.1:30053", "192.0.2.1:30053"),
            line("192.0.2.1:53", "192.0.2.1:53"),
        ];
        assert_eq!(stale_ends(&lines, &[], &[route(&[])]), [""; 0]);
        let freed = ["10.96.0.9:53 10.96.0.9:53", "192.0.2.1:30053 192.0.2.1:30053"];
        assert_eq!(stale_ends(&lines, &[], &[route(&["10.244.0.1:53"])]), freed);
    }

    #[test]
    fn a_pods_flow_to_another_machines_port_of_the_same_number_is_its_own() {
        let through = "udp 17 59 src=10.244.0.5 dst=198.51.100.1 sport=4000 dport=30053 \
                       src=198.51.100.1 dst=192.0.2.1 sport=30053 dport=4000 [ASSURED] mark=0 use=1\n";
        assert_eq!(stale_ends(&[through.to_owned()], &[], &[route(&["10.244.0.1:53"])]), [""; 0]);
    }

    #[test]
    fn lines_that_are_no_flows_are_left_out_and_tcp_looks_after_itself() {
        assert_eq!(read("conntrack v1.4.7 (conntrack-tools): 2 flow entries\nudp 17 src=a dst=b\n\n"), []);
        let lines = [line("10.96.0.9:80", "10.244.0.1:80")];
        assert_eq!(stale_ends(&lines, &[], &[tcp("web", 9, &["10.244.0.2:80"])]), [""; 0]);
    }
}
