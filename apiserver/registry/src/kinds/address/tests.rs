//! Addresses where kinds have them: what new objects may not have, and what old ones may keep.

use serde_json::{Value, json};

use crate::{
    field::texts,
    object::Object,
    place::Place,
    resources::{self, ResourceInfo},
};

const ZEROS: &str = "must not have leading 0s";

fn kind(group: &str, plural: &str) -> &'static ResourceInfo {
    resources::find(group, "v1", plural).unwrap()
}

/// An object as it is created, and what is wrong with it.
fn created(resource: &ResourceInfo, fields: &Value) -> (Object, Vec<String>) {
    let mut object = Object(fields.clone());
    resource.strategy.default(&mut object);
    resource.strategy.prepare_create(&mut object);
    let wrong = texts(&resource.strategy.validate(&object));
    (object, wrong)
}

/// What is left of what is wrong with an object when it is an update of another.
fn changed(resource: &ResourceInfo, object: &Object, old: &Object) -> Vec<String> {
    let mut errors = resource.strategy.validate(object);
    resource.strategy.forgive(&mut errors, object, old);
    texts(&errors)
}

fn spec(fields: &Value) -> Value {
    json!({"metadata": {"name": "a", "namespace": "shop"}, "spec": fields})
}

fn service(fields: &Value) -> Value {
    let mut object = spec(&json!({
        "type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None", "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"
    }));
    let more = fields.as_object().unwrap().clone();
    object["spec"].as_object_mut().unwrap().extend(more);
    object
}

#[test]
fn services_have_addresses_and_ranges_that_all_read_alike() {
    let services = kind("", "services");
    for (fields, text) in [
        (
            json!({"externalIPs": ["1.2.3.04"]}),
            "spec.externalIPs[0]: Invalid value: \"1.2.3.04\": must not have leading 0s",
        ),
        (
            json!({"clusterIP": "::ffff:1.2.3.4", "clusterIPs": ["::ffff:1.2.3.4"], "ipFamilies": ["IPv4"]}),
            "spec.clusterIPs[0]: Invalid value: \"::ffff:1.2.3.4\": must not be an IPv4-mapped IPv6 address",
        ),
        (
            json!({"loadBalancerSourceRanges": [" 10.0.0.1/8 "]}),
            "spec.LoadBalancerSourceRanges[0]: Invalid value: \"10.0.0.1/8\": \
             must not have bits set beyond the prefix length",
        ),
    ] {
        let (object, wrong) = created(services, &service(&fields));
        assert_eq!(wrong, [text]);
        assert_eq!(changed(services, &object, &object), [""; 0], "{text}");
    }
    let annotation = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let mut annotated = service(&json!({}));
    annotated["metadata"]["annotations"] = json!({annotation: "10.0.0.0/8, 010.0.0.0/8"});
    let (object, wrong) = created(services, &annotated);
    assert_eq!(
        wrong,
        [format!(
            "metadata.annotations[{annotation}]: Invalid value: \"010.0.0.0/8\": \
             must not have leading 0s in IP or prefix length"
        )]
    );
    assert_eq!(changed(services, &object, &object), [""; 0]);
}

#[test]
fn what_a_policy_had_may_move_in_it() {
    let policies = kind("networking.k8s.io", "networkpolicies");
    let policy = |cidr: &str, except: &[&str]| {
        spec(&json!({
            "podSelector": {}, "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": cidr, "except": except}}]}]
        }))
    };
    let (old, wrong) = created(policies, &policy("10.0.0.1/8", &["010.1.0.0/16"]));
    assert_eq!(
        wrong,
        [
            "spec.egress[0].to[0].ipBlock.cidr: Invalid value: \"10.0.0.1/8\": \
             must not have bits set beyond the prefix length",
            "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"010.1.0.0/16\": \
             must not have leading 0s in IP or prefix length",
        ]
    );
    assert_eq!(changed(policies, &old, &old), [""; 0]);
    let (moved, _) = created(policies, &policy("010.1.0.0/16", &["10.1.2.1/24"]));
    assert_eq!(
        changed(policies, &moved, &old),
        ["spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"10.1.2.1/24\": \
          must not have bits set beyond the prefix length"]
    );
}

#[test]
fn lists_of_endpoints_keep_what_they_had_as_a_whole() {
    let slices = kind("discovery.k8s.io", "endpointslices");
    let slice = |addresses: &[&str]| json!({"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [{"addresses": addresses}]});
    let (old, wrong) = created(slices, &slice(&["1.2.3.04"]));
    let text = format!("endpoints[0].addresses[0]: Invalid value: \"1.2.3.04\": {ZEROS}");
    assert_eq!(wrong, std::slice::from_ref(&text));
    assert_eq!(changed(slices, &old, &old), [""; 0]);
    let (more, _) = created(slices, &slice(&["1.2.3.04", "1.2.3.5"]));
    assert_eq!(changed(slices, &more, &old), [text]);
    let (_, wrong) = created(slices, &slice(&["fd00::1"]));
    assert_eq!(wrong, ["endpoints[0].addresses[0]: Invalid value: \"fd00::1\": must be an IPv4 address"]);
    let endpoints = kind("", "endpoints");
    let subsets = |ip: &str| json!({"metadata": {"name": "a"}, "subsets": [{"addresses": [{"ip": ip}]}]});
    let (old, wrong) = created(endpoints, &subsets("1.2.3.04"));
    assert_eq!(wrong, [format!("subsets[0].addresses[0].ip: Invalid value: \"1.2.3.04\": {ZEROS}")]);
    assert_eq!(changed(endpoints, &old, &old), [""; 0]);
    let (new, _) = created(endpoints, &subsets("1.2.3.05"));
    assert_eq!(changed(endpoints, &new, &old).len(), 1);
}

#[test]
fn pods_and_nodes_keep_what_they_had() {
    let pods = kind("", "pods");
    let pod = spec(&json!({
        "containers": [{"name": "web", "image": "web:1"}],
        "hostAliases": [{"ip": "010.0.0.5", "hostnames": ["x"]}],
        "dnsConfig": {"nameservers": ["::ffff:1.2.3.4"]}
    }));
    let (object, wrong) = created(pods, &pod);
    let wrong: Vec<_> = wrong.iter().filter(|text| text.contains("must not")).map(String::as_str).collect();
    assert_eq!(
        wrong,
        [
            "spec.dnsConfig.nameservers[0]: Invalid value: \"::ffff:1.2.3.4\": \
             must not be an IPv4-mapped IPv6 address",
            "spec.hostAliases[0].ip: Invalid value: \"010.0.0.5\": must not have leading 0s",
        ]
    );
    assert!(!changed(pods, &object, &object).iter().any(|text| text.contains("must not")));
    let nodes = kind("", "nodes");
    let (object, wrong) =
        created(nodes, &json!({"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.1.0.9/24"}}));
    assert_eq!(
        wrong,
        ["spec.podCIDRs[0]: Invalid value: \"10.1.0.9/24\": must not have bits set beyond the prefix length"]
    );
    assert_eq!(changed(nodes, &object, &object), [""; 0]);
}

#[test]
fn endpoints_have_no_addresses_with_a_special_meaning() {
    let told = |text: &str| {
        let object = Object(json!({ "ip": text }));
        let mut errors = Vec::new();
        super::check_ordinary_ip(&Place::at(&object, &["ip"]), &mut errors);
        texts(&errors)
    };
    assert_eq!(told("192.0.2.1"), [""; 0]);
    assert_eq!(told("::"), ["ip: Invalid value: \"::\": may not be unspecified (::)"]);
    for bad in
        ["0.0.0.0", "::ffff:127.0.0.1", "127.0.0.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1"]
    {
        assert_eq!(told(bad).len(), 1, "{bad}");
    }
}
