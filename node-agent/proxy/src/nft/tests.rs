//! What is promised of the nft, shown by example.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::routes::endpoint::Endpoint;
use crate::routes::{Policy, Protocol, Route};
use crate::table;
use crate::testing::Namespace;

/// Few names and values, so that changes meet.
fn any_route() -> impl Strategy<Value = Route> {
    let endpoints = prop::collection::btree_set(2_u8..5, 0..3);
    let policy = prop::sample::select(&[Policy::Cluster, Policy::Local][..]);
    let (internal, external) = (policy.clone(), policy);
    (0_u8..4, endpoints, prop::option::of(30_000_u16..30_003), any::<[bool; 2]>(), internal, external)
        .prop_map(|(service, endpoints, node_port, [is_udp, stays], internal, external)| {
            let mut route = crate::table::tests::route(&format!("s{service}"), 10 + service, &[]);
            route.everywhere = endpoints
                .into_iter()
                .map(|last| Endpoint { ip: [10, 244, 0, last].into(), port: 8080 })
                .collect();
            route.name.protocol = if is_udp { Protocol::Udp } else { Protocol::Tcp };
            route.node_port = node_port;
            route.affinity = stays.then_some(Duration::from_secs(60));
            route.local = route
                .everywhere
                .iter()
                .filter(|endpoint| endpoint.ip.to_string() != "10.244.0.2")
                .copied()
                .collect();
            (route.internal, route.external) = (internal, external);
            if service == 3 {
                route.external_ips = [[198, 51, 100, 1].into()].into();
            }
            route
        })
}

fn any_table() -> impl Strategy<Value = Table> {
    prop::collection::vec(any_route(), 0..6).prop_map(|mut routes| {
        let mut names = BTreeSet::new();
        routes.retain(|route| names.insert(route.name.clone()));
        table::table(Family::Ip4, &routes, Some("10.244.0.0/16".parse().unwrap()))
    })
}

#[test]
fn nothing_changed_is_nothing_to_do() {
    proptest!(|(table in any_table())| {
        prop_assert_eq!(change(Family::Ip4, &table, &table), "");
    });
}

#[test]
fn one_endpoint_more_touches_its_service_alone() {
    let before = table::tests::route("web", 9, &["10.244.0.2:80"]);
    let after = table::tests::route("web", 9, &["10.244.0.2:80", "10.244.0.3:80"]);
    let other = table::tests::route("api", 8, &["10.244.0.4:80"]);
    let script = change(
        Family::Ip4,
        &table::table(Family::Ip4, [&before, &other], None),
        &table::table(Family::Ip4, [&after, &other], None),
    );
    let ep = "ep-shop/web/tcp/http/10.244.0";
    assert_eq!(
        script.lines().collect::<Vec<_>>(),
        [
            format!("add chain ip keelson-services {ep}.3/80 "),
            format!("add rule ip keelson-services {ep}.3/80 ip saddr 10.244.0.3 jump mark-for-masquerade"),
            format!("add rule ip keelson-services {ep}.3/80 meta l4proto tcp dnat to 10.244.0.3:80"),
            "flush chain ip keelson-services svc-shop/web/tcp/http ".to_owned(),
            format!(
                "add rule ip keelson-services svc-shop/web/tcp/http numgen random mod 2 vmap \
                 {{ 0 : goto {ep}.2/80, 1 : goto {ep}.3/80 }}"
            ),
        ]
    );
}

/// All that stands in the table.
fn listed(namespace: &Namespace) -> BTreeSet<String> {
    let text = namespace.run("nft", &format!("--stateless list table ip {NAME}"), "").unwrap();
    // Sets and maps list their elements in whatever order.
    let words = |line: &str| {
        let mut words: Vec<&str> = line.split([' ', ',', '\t']).filter(|word| !word.is_empty()).collect();
        if line.trim_start().starts_with("elements") || line.contains(" : goto") {
            words.sort_unstable();
        }
        words.join(" ")
    };
    text.split("\tchain ")
        .flat_map(|chain| {
            let name = chain.lines().next().unwrap_or_default().to_owned();
            // In which order chains stand, and so where a closing line comes, is no difference.
            let lines = chain.lines().filter(|line| !matches!(line.trim(), "" | "}"));
            lines.map(move |line| format!("{name} {}", words(line))).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_kernel_takes_every_change_and_ends_where_a_fresh_table_would() {
    let test = "the_kernel_takes_every_change_and_ends_where_a_fresh_table_would";
    let (Some(changed), Some(fresh)) = (Namespace::new("changed"), Namespace::new("fresh")) else {
        println!("skipped: {test}");
        return;
    };
    // Each case calls nft a dozen times.
    let config = ProptestConfig { cases: 12, ..ProptestConfig::default() };
    proptest!(config, |(tables in prop::collection::vec(any_table(), 1..5))| {
        changed.run("nft", "-f -", &replace(Family::Ip4, &Table::default(), &Clients::new())).unwrap();
        let mut before = Table::default();
        for table in &tables {
            let script = change(Family::Ip4, &before, table);
            changed.run("nft", "-f -", &script).map_err(|error| TestCaseError::fail(format!("{error}\n{script}")))?;
            before = table.clone();
        }
        fresh.run("nft", "-f -", &replace(Family::Ip4, &before, &Clients::new())).unwrap();
        prop_assert_eq!(listed(&changed), listed(&fresh));
    });
}

#[test]
fn the_kernel_takes_tables_of_both_families() {
    let Some(namespace) = Namespace::new("families") else { return };
    let mut six = table::tests::route("web", 9, &["[fd00::2]:8080", "[fd00::3]:8080"]);
    six.cluster_ip = "fd00:1::9".parse().unwrap();
    six.node_port = Some(30_080);
    six.affinity = Some(Duration::from_secs(60));
    let pods = Some("fd00::/48".parse().unwrap());
    let table = table::table(Family::Ip6, [&six], pods);
    namespace.run("nft", "-f -", &replace(Family::Ip6, &table, &Clients::new())).unwrap();
    namespace.run("nft", "-f -", &replace(Family::Ip6, &table, &Clients::new())).unwrap();
    let without = table::table(Family::Ip6, [], pods);
    namespace.run("nft", "-f -", &change(Family::Ip6, &table, &without)).unwrap();
}

#[test]
fn tables_are_found_by_family_and_name() {
    let listed = "table inet filter\ntable ip keelson-services\ntable ip6 keelson-services-2\n";
    assert!(is_among(Family::Ip4, listed));
    assert!(!is_among(Family::Ip6, listed));
}
