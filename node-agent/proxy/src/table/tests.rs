//! What is promised of the table, shown by example.

use std::time::Duration;

use super::*;
use crate::routes::{PortName, Protocol};

pub(crate) fn route(service: &str, last: u8, endpoints: &[&str]) -> Route {
    let endpoint = |text: &&str| {
        let address: std::net::SocketAddr = text.parse().unwrap();
        Endpoint { ip: address.ip(), port: address.port() }
    };
    Route {
        name: PortName {
            namespace: "shop".to_owned(),
            service: service.to_owned(),
            protocol: Protocol::Tcp,
            port: "http".to_owned(),
        },
        cluster_ip: [10, 96, 0, last].into(),
        external_ips: BTreeSet::new(),
        port: 80,
        node_port: None,
        affinity: None,
        everywhere: endpoints.iter().map(endpoint).collect(),
        local: BTreeSet::new(),
        internal: Policy::Cluster,
        external: Policy::Cluster,
    }
}

fn pods() -> Option<Network> {
    Some("10.244.0.0/16".parse().unwrap())
}

fn rules<'a>(table: &'a Table, chain: &str) -> Vec<&'a str> {
    table.chains[chain].rules.iter().map(String::as_str).collect()
}

#[test]
fn a_cluster_ip_is_spread_over_its_endpoints() {
    let table = table(Family::Ip4, &[route("web", 9, &["10.244.0.2:8080", "10.244.0.3:8080"])], pods());
    assert_eq!(table.maps[SERVICE_IPS].elements["10.96.0.9 . tcp . 80"], "goto svc-shop/web/tcp/http");
    assert_eq!(
        rules(&table, "svc-shop/web/tcp/http"),
        [
            "ip daddr 10.96.0.9 ip saddr != 10.244.0.0/16 jump mark-for-masquerade",
            "numgen random mod 2 vmap { 0 : goto ep-shop/web/tcp/http/10.244.0.2/8080, \
             1 : goto ep-shop/web/tcp/http/10.244.0.3/8080 }",
        ]
    );
    assert_eq!(
        rules(&table, "ep-shop/web/tcp/http/10.244.0.2/8080"),
        ["ip saddr 10.244.0.2 jump mark-for-masquerade", "meta l4proto tcp dnat to 10.244.0.2:8080"]
    );
}

#[test]
fn a_cluster_ip_without_endpoints_is_refused_and_leads_nowhere() {
    let table = table(Family::Ip4, &[Route { node_port: Some(30_080), ..route("web", 9, &[]) }], pods());
    assert!(table.sets[CLUSTER_IPS].elements.contains("10.96.0.9"));
    assert!(table.maps[SERVICE_IPS].elements.is_empty());
    assert!(table.maps[NODE_PORTS].elements.is_empty());
}

#[test]
fn traffic_from_outside_is_marked_and_goes_everywhere() {
    let anywhere = Route { node_port: Some(30_080), ..route("web", 9, &["10.244.0.2:8080"]) };
    for internal in [Policy::Cluster, Policy::Local] {
        let table = table(Family::Ip4, [&Route { internal, ..anywhere.clone() }], pods());
        assert_eq!(table.maps[NODE_PORTS].elements["tcp . 30080"], "goto ext-shop/web/tcp/http");
        let chain = rules(&table, "ext-shop/web/tcp/http");
        assert_eq!(chain, ["jump mark-for-masquerade", "goto svc-shop/web/tcp/http"], "{internal:?}");
        assert_eq!(table.maps[SERVICE_IPS].elements.is_empty(), internal == Policy::Local);
    }
}

#[test]
fn traffic_from_outside_that_is_to_stay_here_keeps_its_sender_and_that_from_inside_goes_everywhere() {
    let all = Route { node_port: Some(30_080), ..route("web", 9, &["10.244.0.2:8080", "10.244.1.2:8080"]) };
    let here = route("web", 9, &["10.244.0.2:8080"]).everywhere;
    let local = Route { external: Policy::Local, local: here, ..all };
    let kept = table(Family::Ip4, [&local], pods());
    assert_eq!(kept.maps[NODE_PORTS].elements["tcp . 30080"], "goto ext-shop/web/tcp/http");
    let inside = [
        "ip saddr 10.244.0.0/16 goto svc-shop/web/tcp/http",
        "fib saddr type local jump mark-for-masquerade",
        "fib saddr type local goto svc-shop/web/tcp/http",
    ];
    let chain = rules(&kept, "ext-shop/web/tcp/http");
    assert_eq!((&chain[..3], chain[3]), (&inside[..], "goto loc-shop/web/tcp/http"));
    assert_eq!(rules(&kept, "loc-shop/web/tcp/http"), ["goto ep-shop/web/tcp/http/10.244.0.2/8080"]);
    let elsewhere = Route { local: BTreeSet::new(), ..local.clone() };
    let table = table(Family::Ip4, [&elsewhere], pods());
    assert_eq!(rules(&table, "ext-shop/web/tcp/http"), inside, "nothing here for those from outside");
}

#[test]
fn an_external_address_takes_no_clusterip_away() {
    let mut thief = route("a-thief", 8, &["10.244.0.66:80"]);
    thief.external_ips = ["10.96.0.9", "10.96.0.7", "192.0.2.1"].map(|ip| ip.parse().unwrap()).into();
    let table =
        table(Family::Ip4, [&thief, &route("idle", 7, &[]), &route("web", 9, &["10.244.0.2:80"])], None);
    let led = &table.maps[SERVICE_IPS].elements;
    assert_eq!(led["10.96.0.9 . tcp . 80"], "goto svc-shop/web/tcp/http");
    assert!(!led.contains_key("10.96.0.7 . tcp . 80"), "without endpoints it is refused");
    assert_eq!(led["192.0.2.1 . tcp . 80"], "goto ext-shop/a-thief/tcp/http");
}

#[test]
fn clients_that_stay_are_remembered_per_endpoint() {
    let stay = Route { affinity: Some(Duration::from_secs(60)), ..route("web", 9, &["10.244.0.2:80"]) };
    let table = table(Family::Ip4, [&stay], None);
    let set = "stay60-shop/web/tcp/http/10.244.0.2/80";
    assert_eq!(table.sets[set].definition, "type ipv4_addr; flags dynamic,timeout; timeout 60s;");
    let to = "goto ep-shop/web/tcp/http/10.244.0.2/80";
    assert_eq!(rules(&table, "svc-shop/web/tcp/http"), [format!("ip saddr @{set} {to}"), to.to_owned()]);
    let remembers = format!("update @{set} {{ ip saddr }}");
    assert!(rules(&table, "ep-shop/web/tcp/http/10.244.0.2/80").contains(&remembers.as_str()));
}

#[test]
fn names_and_targets_of_ip6_are_ones_that_nft_can_read() {
    let mut six = route("web", 9, &["[fd00::2]:8080"]);
    six.cluster_ip = "fd00:1::9".parse().unwrap();
    let table = table(Family::Ip6, [&six], pods());
    assert_eq!(
        rules(&table, "ep-shop/web/tcp/http/fd00..2/8080"),
        ["ip6 saddr fd00::2 jump mark-for-masquerade", "meta l4proto tcp dnat to [fd00::2]:8080"]
    );
    // The pods' network is of the other family.
    assert_eq!(rules(&table, "svc-shop/web/tcp/http"), ["goto ep-shop/web/tcp/http/fd00..2/8080"]);
}
