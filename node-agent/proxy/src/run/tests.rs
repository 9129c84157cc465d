//! The proxy against a kernel.

use std::collections::BTreeSet;

use super::*;
use crate::routes::Protocol;
use crate::routes::endpoint::Endpoint;
use crate::table::NAME;
use crate::table::tests::route;
use crate::testing::Namespace;

#[test]
fn rules_that_somebody_removed_are_noticed_and_made_anew() {
    let Some(namespace) = Namespace::new("removed") else { return };
    namespace.within(async {
        let mut proxy = Proxy::default();
        let routes = || vec![route("web", 9, &["10.244.0.2:80"])];
        proxy.update(routes(), None).await.unwrap();
        namespace.run("nft", "flush ruleset", "").unwrap();
        proxy.watch_rules_until(std::future::pending()).await;
        proxy.update(routes(), None).await.unwrap();
        let listed = namespace.run("nft", &format!("list table ip {NAME}"), "").unwrap();
        assert!(listed.contains("dnat to 10.244.0.2:80"), "{listed}");
        // As long as they stand, only what is waited for ends it.
        proxy.watch_rules_until(sleep(LOOK * 3)).await;
        assert!(proxy.applied.is_some());
    });
}

#[test]
fn the_tracker_forgets_what_the_routes_contradict_and_nothing_else() {
    let Some(namespace) = Namespace::new("tracker") else { return };
    let track = |client: u16, to: &str, port: u16, from: &str, from_port: u16| {
        let flow = format!(
            "-I -p udp -s 192.0.2.9 -d {to} --sport {client} --dport {port} -t 600 \
             --reply-src {from} --reply-dst 192.0.2.9 --reply-port-src {from_port} --reply-port-dst {client}"
        );
        namespace.run("conntrack", &flow, "").unwrap();
    };
    let clients = || -> BTreeSet<u16> {
        let listed = namespace.run("conntrack", "-L -p udp", "").unwrap();
        let ports = listed.lines().filter_map(|line| line.split_once(" sport=")?.1.split(' ').next());
        ports.map(|port| port.parse().unwrap()).collect()
    };
    track(1, "10.96.0.9", 53, "10.244.0.2", 53);
    track(2, "10.96.0.9", 53, "10.244.0.3", 53);
    track(3, "192.0.2.1", 30_053, "10.244.0.3", 53);
    track(4, "10.96.0.9", 53, "10.96.0.9", 53);
    track(5, "10.96.0.77", 53, "10.244.0.3", 53);
    let mut dns = route("dns", 9, &["10.244.0.2:53"]);
    (dns.name.protocol, dns.port, dns.node_port) = (Protocol::Udp, 53, Some(30_053));
    namespace.within(async {
        let mut proxy = Proxy::default();
        proxy.update(vec![dns.clone()], None).await.unwrap();
        assert_eq!(clients(), [1, 5].into(), "a restart disturbs no flow that leads right");
        dns.everywhere = [Endpoint { ip: [10, 244, 0, 4].into(), port: 53 }].into();
        proxy.update(vec![dns], None).await.unwrap();
        assert_eq!(clients(), [5].into());
    });
}

#[test]
fn clients_stay_with_their_endpoints_when_the_agent_starts_again() {
    let Some(namespace) = Namespace::new("clients") else { return };
    let mut web = route("web", 9, &["10.244.0.2:80"]);
    web.affinity = Some(Duration::from_secs(60));
    let set = "stay60-shop/web/tcp/http/10.244.0.2/80";
    let listed = || namespace.run("nft", &format!("list set ip {NAME} {set}"), "").unwrap();
    namespace.within(async {
        Proxy::default().update(vec![web.clone()], None).await.unwrap();
        let many: Vec<String> = (1..20).map(|last| format!("192.0.2.{last} expires 30s")).collect();
        let clients = format!("add element ip {NAME} {set} {{ {} }}", many.join(", "));
        namespace.run("nft", "-f -", &clients).unwrap();
        let mut again = Proxy::default();
        again.update(vec![web.clone()], None).await.unwrap();
        for client in ["192.0.2.1 expires 2", "192.0.2.19 expires 2"] {
            assert!(listed().contains(client), "{}", listed());
        }
        // Endpoints that are gone meanwhile have none.
        web.everywhere.clear();
        Proxy::default().update(vec![web], None).await.unwrap();
    });
}
