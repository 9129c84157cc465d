//! What is promised of the nft, shown by example.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::routes::endpoint::Endpoint;
use crate::routes::{External, Protocol, Route};
use crate::table;

/// Few names and values, so that changes meet.
fn any_route() -> impl Strategy<Value = Route> {
    let endpoints = prop::collection::btree_set(2_u8..5, 0..3);
    (0_u8..4, endpoints, prop::option::of(30_000_u16..30_003), any::<bool>(), 0_u8..3).prop_map(
        |(service, endpoints, node_port, is_udp, kind)| {
            let mut route = crate::table::tests::route(&format!("s{service}"), 10 + service, &[]);
            route.internal = endpoints
                .into_iter()
                .map(|last| Endpoint { ip: [10, 244, 0, last].into(), port: 8080 })
                .collect();
            route.name.protocol = if is_udp { Protocol::Udp } else { Protocol::Tcp };
            route.node_port = node_port;
            route.affinity = (kind == 1).then_some(Duration::from_secs(60));
            if kind == 2 {
                route.external = External::Local(route.internal.clone());
            }
            route
        },
    )
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

/// A network namespace of a test's own.
struct Namespace(String);

impl Namespace {
    /// None, with the reason told, where this machine or user cannot have one.
    fn new(test: &str) -> Option<Self> {
        let name = format!("keelson-proxy-{}-{test}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        if !made.is_ok_and(|made| made.status.success()) {
            println!("skipped: {test}: network namespaces need root and iproute2");
            return None;
        }
        let namespace = Self(name);
        if let Err(complaint) = namespace.nft(&["list", "ruleset"], "") {
            println!("skipped: {test}: nft does not work here: {complaint}");
            return None;
        }
        Some(namespace)
    }

    fn nft(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut nft = Command::new("nsenter");
        nft.arg(format!("--net=/run/netns/{}", self.0)).arg("nft").args(arguments);
        nft.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = nft.spawn().map_err(|error| error.to_string())?;
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// All that stands in the table.
    fn listed(&self) -> BTreeSet<String> {
        let text = self.nft(&["--stateless", "list", "table", "ip", NAME], "").unwrap();
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
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
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
        changed.nft(&["-f", "-"], &replace(Family::Ip4, &Table::default())).unwrap();
        let mut before = Table::default();
        for table in &tables {
            let script = change(Family::Ip4, &before, table);
            changed.nft(&["-f", "-"], &script).map_err(|error| TestCaseError::fail(format!("{error}\n{script}")))?;
            before = table.clone();
        }
        fresh.nft(&["-f", "-"], &replace(Family::Ip4, &before)).unwrap();
        prop_assert_eq!(changed.listed(), fresh.listed());
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
    namespace.nft(&["-f", "-"], &replace(Family::Ip6, &table)).unwrap();
    namespace.nft(&["-f", "-"], &replace(Family::Ip6, &table)).unwrap();
    let without = table::table(Family::Ip6, [], pods);
    namespace.nft(&["-f", "-"], &change(Family::Ip6, &table, &without)).unwrap();
}
