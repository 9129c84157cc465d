//! Services that break rules, and what each claims for itself.

use serde_json::json;
use time::OffsetDateTime;

use super::*;
use crate::field::texts;

fn made(spec: Value) -> Object {
    let mut object = Object(json!({"metadata": {"name": "web", "namespace": "shop"}}));
    object.set(&["spec"], spec);
    Rules.default(&mut object);
    Rules.prepare_create(&mut object);
    object
}

fn wrong(spec: Value) -> Vec<String> {
    texts(&Rules.validate(&made(spec)))
}

#[test]
fn a_short_service_is_completed() {
    let object = made(json!({"ports": [{"port": 80}], "selector": {"app": "web"}}));
    assert_eq!(
        object.0["spec"],
        json!({
            "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}]
        })
    );
    assert_eq!(Rules.validate(&object), []);
}

#[test]
fn balancers_and_affinity_have_defaults_of_their_own() {
    let object =
        made(json!({"type": "LoadBalancer", "ports": [{"port": 80}], "sessionAffinity": "ClientIP"}));
    let spec = &object.0["spec"];
    assert_eq!(spec["externalTrafficPolicy"], "Cluster");
    assert_eq!(spec["allocateLoadBalancerNodePorts"], true);
    let mut local = object.clone();
    local.set(&["spec", "externalTrafficPolicy"], "Local");
    assert_eq!(Rules.validate(&local), []);
    assert_eq!(spec["sessionAffinityConfig"], json!({"clientIP": {"timeoutSeconds": 10_800}}));
    assert_eq!(Rules.validate(&object), []);
}

#[test]
fn ports_are_checked() {
    assert_eq!(wrong(json!({})), ["spec.ports: Required value"]);
    assert_eq!(wrong(json!({"clusterIP": "None"})), Vec::<String>::new());
    assert_eq!(
        wrong(json!({"ports": [{"port": 80}, {"port": 80, "name": "b", "nodePort": 30000}]})),
        [
            "spec.ports[0].name: Required value",
            "spec.ports[1]: Duplicate value: {\"Port\":80,\"Protocol\":\"TCP\"}",
            "spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ]
    );
    assert_eq!(
        wrong(json!({"ports": [{"port": 70000, "protocol": "X", "targetPort": "-"}]}))[..2],
        [
            "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ]
    );
}

#[test]
fn external_names_have_no_addresses() {
    assert_eq!(
        wrong(json!({"type": "ExternalName", "externalName": "db.example.com."})),
        Vec::<String>::new()
    );
    assert_eq!(
        wrong(json!({"type": "ExternalName", "clusterIP": "10.0.0.1"})),
        [
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
            "spec.externalName: Required value",
        ]
    );
}

#[test]
fn the_cluster_has_one_family() {
    let ports = json!([{"port": 80}]);
    assert_eq!(
        wrong(json!({"ports": ports, "ipFamilyPolicy": "RequireDualStack"})),
        [
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"
        ]
    );
    assert_eq!(
        wrong(json!({"ports": ports, "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]})),
        ["spec.clusterIPs: Invalid value: [\"10.0.0.2\"]: first value must match `clusterIP`"]
    );
}

#[test]
fn what_was_allocated_stays_when_a_manifest_does_not_say_it() {
    let mut old =
        made(json!({"type": "NodePort", "ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}));
    old.set(&["spec", "clusterIP"], "10.0.0.9");
    old.set(&["spec", "clusterIPs"], json!(["10.0.0.9"]));
    old.0["spec"]["ports"][0]["nodePort"] = json!(30001);
    old.0["spec"]["ports"][1]["nodePort"] = json!(30002);
    let mut new = made(
        json!({"type": "NodePort", "ports": [{"port": 82, "name": "b"}, {"port": 80, "name": "a", "nodePort": 30005}]}),
    );
    Rules.prepare_update(&mut new, &old);
    assert_eq!(new.0["spec"]["clusterIPs"], json!(["10.0.0.9"]));
    assert_eq!(new.0["spec"]["ports"][0]["nodePort"], 30002);
    assert_eq!(new.0["spec"]["ports"][1]["nodePort"], 30005);
    assert_eq!(Rules.validate_update(&new, &old), []);
    let mut narrowed = old.clone();
    narrowed.set(&["spec", "type"], "ClusterIP");
    Rules.prepare_update(&mut narrowed, &old);
    assert_eq!(narrowed.0["spec"]["ports"][0].get("nodePort"), None);
    assert_eq!(narrowed.get(&["spec", "externalTrafficPolicy"]), None);
    assert_eq!(Rules.validate(&narrowed), []);
    let mut named = old.clone();
    named.set(&["spec", "type"], "ExternalName");
    named.set(&["spec", "externalName"], "a.b");
    Rules.prepare_update(&mut named, &old);
    assert_eq!(Rules.validate(&named), []);
    assert_eq!(Rules.claims(&named), []);
}

#[test]
fn points_of_a_load_balancer_are_addresses_or_names() {
    let told = |point: Value| {
        let mut object = made(json!({"type": "LoadBalancer", "ports": [{"port": 80}]}));
        object.set(&["status", "loadBalancer", "ingress"], json!([point]));
        texts(&Rules.validate_status_update(&object, &object))
    };
    assert_eq!(told(json!({"ip": "10.0.0.1", "ipMode": "Proxy"})), [""; 0]);
    let ingress = "status.loadBalancer.ingress[0]";
    assert_eq!(
        told(json!({"ip": "10.0.0.1", "ipMode": "X"})),
        [format!("{ingress}.ipMode: Unsupported value: \"X\": supported values: \"Proxy\", \"VIP\"")]
    );
    assert_eq!(
        told(json!({"hostname": "a.b", "ipMode": "VIP"})),
        [format!("{ingress}.ipMode: Forbidden: may not be specified when `ip` is not set")]
    );
    assert_eq!(
        told(json!({"ip": "10.0.0.1"})),
        [format!("{ingress}.ipMode: Required value: must be specified when `ip` is set")]
    );
}

#[test]
fn addresses_do_not_change() {
    let old = made(json!({"clusterIP": "10.0.0.9", "ports": [{"port": 80}]}));
    let mut new = old.clone();
    new.set(&["spec", "clusterIP"], "10.0.0.8");
    Rules.prepare_update(&mut new, &old);
    assert_eq!(
        texts(&Rules.validate_update(&new, &old)),
        ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.8\"]: may not change once set"]
    );
}

#[test]
fn addresses_and_node_ports_are_claimed_once() {
    let ports = json!([
        {"port": 53, "name": "u", "protocol": "UDP", "nodePort": 30053},
        {"port": 53, "name": "t", "nodePort": 30053}
    ]);
    let object = made(json!({"type": "NodePort", "clusterIP": "10.0.0.9", "ports": ports}));
    let keys: Vec<_> = Rules.claims(&object).into_iter().map(|claim| claim.key).collect();
    assert_eq!(keys, ["ipaddresses/10.0.0.9", "nodeports/30053"]);
    assert_eq!(Rules.claims(&made(json!({"clusterIP": "None"}))), []);
}

#[test]
fn rows_are_upstreams() {
    let row = |object: &Object| -> Vec<String> {
        let cells = COLUMNS.iter().map(|column| (column.cell)(object, OffsetDateTime::UNIX_EPOCH));
        cells.map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()
    };
    let object = made(json!({
        "type": "LoadBalancer", "clusterIP": "10.0.0.9", "selector": {"app": "web"},
        "ports": [{"port": 80, "nodePort": 30080}, {"port": 443}]
    }));
    assert_eq!(
        row(&object),
        ["web", "LoadBalancer", "10.0.0.9", "<pending>", "80:30080/TCP,443/TCP", "<unknown>", "app=web"]
    );
    let headless = made(json!({"clusterIP": "None"}));
    assert_eq!(row(&headless), ["web", "ClusterIP", "None", "<none>", "<none>", "<unknown>", "<none>"]);
}

#[test]
fn what_is_ignored_old_or_unusual_is_warned_of() {
    let told = |spec: Value| Rules.warnings(&made(spec), None);
    assert_eq!(told(json!({"ports": [{"port": 80}], "clusterIP": "10.0.0.1"})), [""; 0]);
    assert_eq!(
        told(json!({
            "clusterIP": "None", "loadBalancerIP": "1.2.3.4", "externalIPs": ["8.8.8.8"], "sessionAffinity": "ClientIP"
        })),
        [
            "spec.loadBalancerIP is ignored for headless services",
            "spec.externalIPs is ignored for headless services",
            "spec.SessionAffinity is ignored for headless services",
        ]
    );
    assert_eq!(
        told(json!({"externalIPs": ["::ffff:8.8.8.8"], "externalName": "a.example.com"})),
        [
            "spec.externalIPs[0]: non-standard IP address \"::ffff:8.8.8.8\" is invalid: use \"8.8.8.8\"",
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ]
    );
    assert_eq!(
        told(json!({"type": "ExternalName", "externalName": "a.example.com", "externalIPs": ["8.8.8.8"]})),
        ["spec.externalIPs is ignored when spec.type is \"ExternalName\""]
    );
    assert_eq!(
        told(json!({"trafficDistribution": "PreferClose"})),
        ["spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""]
    );
    let ips = json!({"clusterIP": "FD00::1", "clusterIPs": ["FD00::1"]});
    assert_eq!(
        told(ips),
        ["spec.clusterIPs[0]: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")"]
    );
    let balancer = json!({
        "type": "LoadBalancer", "loadBalancerIP": "01.2.3.4", "loadBalancerSourceRanges": ["10.0.0.1/8"]
    });
    assert_eq!(
        told(balancer),
        [
            "spec.loadBalancerIP: non-standard IP address \"01.2.3.4\" is invalid: use \"1.2.3.4\"",
            "spec.loadBalancerSourceRanges[0]: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \
             \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
        ]
    );
    let mut hints = made(json!({}));
    hints.set(&["metadata", "annotations", "service.kubernetes.io/topology-aware-hints"], "auto");
    assert_eq!(
        Rules.warnings(&hints, None),
        ["annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
          service.kubernetes.io/topology-mode instead"]
    );
}

#[test]
fn addresses_of_balancers_are_warned_of() {
    let points = json!([{"ip": "10.0.0.1"}, {"hostname": "a"}, {"ip": "FD00::1"}]);
    let what = "IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")";
    assert_eq!(
        Rules.status_warnings(&Object(json!({"status": {"loadBalancer": {"ingress": points}}}))),
        [format!("status.loadBalancer.ingress[2]: {what}")]
    );
}
