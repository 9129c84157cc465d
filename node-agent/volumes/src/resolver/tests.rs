//! Every policy, what a Pod adds, and the limits.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const HOST: &str = "# by hand\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch old.example\n\
                    search example.org. lan .\noptions timeout:1 rotate\n";

fn resolve(mut spec: Value, servers: &[&str]) -> Resolver {
    spec["containers"] = json!([]);
    let pod = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec});
    let cluster = ClusterDns {
        servers: servers.iter().map(|it| it.parse().unwrap()).collect(),
        domain: "cluster.local".into(),
    };
    resolver(&serde_json::from_value(pod).unwrap(), &cluster, &HostDns::parse(HOST).unwrap())
}

fn config(spec: Value) -> (String, String, String) {
    let resolver = resolve(spec, &["10.0.0.10"]);
    assert_eq!(resolver.warnings, []);
    let config = resolver.config;
    (config.servers.join(" "), config.searches.join(" "), config.options.join(" "))
}

fn lines(servers: &str, searches: &str, options: &str) -> (String, String, String) {
    (servers.to_owned(), searches.to_owned(), options.to_owned())
}

#[test]
fn the_policy_decides_whose_resolver_it_is() {
    let cluster = lines(
        "10.0.0.10",
        "ns.svc.cluster.local svc.cluster.local cluster.local example.org lan .",
        "ndots:5",
    );
    let host = lines("192.0.2.53 192.0.2.54", "example.org lan .", "timeout:1 rotate");
    assert_eq!(config(json!({"dnsPolicy": "ClusterFirst"})), cluster);
    assert_eq!(config(json!({})), cluster);
    assert_eq!(config(json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true})), host);
    assert_eq!(config(json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true})), cluster);
    assert_eq!(config(json!({"dnsPolicy": "Default"})), host);
    assert_eq!(config(json!({"dnsPolicy": "None"})), lines("", "", ""));
}

#[test]
fn a_pods_own_settings_are_added_and_its_options_replace() {
    let own = json!({
        "nameservers": ["1.1.1.1", "10.0.0.10"],
        "searches": ["lan", "own.example"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    });
    assert_eq!(
        config(json!({"dnsConfig": own})),
        lines(
            "10.0.0.10 1.1.1.1",
            "ns.svc.cluster.local svc.cluster.local cluster.local example.org lan . own.example",
            "ndots:2 edns0"
        )
    );
    assert_eq!(
        config(json!({"dnsPolicy": "None", "dnsConfig": own})),
        lines("1.1.1.1 10.0.0.10", "lan own.example", "ndots:2 edns0")
    );
}

#[test]
fn without_a_cluster_dns_the_hosts_is_taken_with_a_warning() {
    let resolver = resolve(json!({}), &[]);
    assert_eq!(resolver.config.servers, ["192.0.2.53", "192.0.2.54"]);
    assert_eq!(
        resolver.warnings,
        [ResolverWarning {
            reason: "MissingClusterDNS",
            message: "pod: \"p_ns(u)\". kubelet does not have ClusterDNS IP configured and cannot create Pod using \
                      \"ClusterFirst\" policy. Falling back to \"Default\" policy."
                .into(),
        }]
    );
}

#[test]
fn what_exceeds_the_limits_is_left_out_with_a_warning() {
    let resolver =
        resolve(json!({"dnsConfig": {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3"]}}), &["10.0.0.10"]);
    assert_eq!(resolver.config.servers, ["10.0.0.10", "1.1.1.1", "1.1.1.2"]);
    assert_eq!(resolver.warnings[0].reason, "DNSConfigForming");
    assert!(resolver.warnings[0].message.ends_with("nameserver line is: 10.0.0.10 1.1.1.1 1.1.1.2"));

    let many: Vec<String> = (0..40).map(|number| format!("s{number}.example")).collect();
    let resolver = resolve(json!({"dnsPolicy": "None", "dnsConfig": {"searches": many}}), &[]);
    assert_eq!(resolver.config.searches.len(), 32);
    assert!(resolver.warnings[0].message.starts_with("Search Line limits were exceeded"));

    let long = ["x".repeat(254), "y".repeat(253)];
    let resolver = resolve(json!({"dnsPolicy": "None", "dnsConfig": {"searches": long}}), &[]);
    assert_eq!(resolver.config.searches, [long[1].clone()]);

    let heavy: Vec<String> = (0..20).map(|number| format!("{number:0>200}")).collect();
    let resolver = resolve(json!({"dnsPolicy": "None", "dnsConfig": {"searches": heavy}}), &[]);
    assert_eq!(resolver.config.searches.len(), 10);
}

#[test]
fn a_nameserver_line_without_a_server_is_refused() {
    assert_eq!(HostDns::parse("nameserver\n").unwrap_err().to_string(), "nameserver list is empty");
    assert_eq!(HostDns::parse(""), Ok(HostDns::default()));
}

proptest! {
    #[test]
    fn arbitrary_files_never_panic(text in any::<String>()) {
        let _ = HostDns::parse(&text);
    }
}
