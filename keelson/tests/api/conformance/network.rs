//! Titles of sig-network that need no traffic.

use serde_json::{Value, json};

use super::Title;
use super::cluster::{Cluster, items, name_of, names, until_there_are};
use super::life::{Life, contains, is_gone};

pub(super) const TITLES: &[Title] = &[
    Title::new(
        "API Server",
        "kubernetes.default Endpoints + EndpointSlices point to each API server",
        own_endpoints,
    ),
    Title::new("API Server", "secure 'kubernetes' service exists", own_service),
    Title::new("EndpointSlice", "EndpointSlice API operations", endpoint_slices),
    Title::new("Endpoints", "lifecycle of an Endpoint", endpoints),
    Title::new("Ingress API", "Ingress API operations", ingresses),
    Title::new("IngressClass API", "IngressClass API operations", ingress_classes),
    Title::new("ServiceCIDR and IPAddress API", "IPAddress API operations", ip_addresses),
    Title::new("ServiceCIDR and IPAddress API", "ServiceCIDR API operations", service_cidrs),
    Title::new("Services", "complete a service status lifecycle", service_status),
    Title::new("Services", "delete a collection of services", service_collection),
    Title::new("Services", "find a service from listing all namespaces", service_found),
];

const NETWORKING: &str = "networking.k8s.io/v1";
const DISCOVERY: &str = "discovery.k8s.io/v1";

fn own_service(cluster: &Cluster<'_>) {
    cluster.api.get("/api/v1/namespaces/default/services/kubernetes").ok();
}

fn own_endpoints(cluster: &Cluster<'_>) {
    let api = &cluster.api;
    let endpoints = api.get("/api/v1/namespaces/default/endpoints/kubernetes").ok();
    let subsets = endpoints["subsets"].as_array().unwrap();
    assert_eq!(subsets.len(), 1);
    let selector = "labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes";
    let slices =
        api.get(&format!("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?{selector}")).ok();
    let mut of_slices: Vec<&Value> = items(&slices)
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array().unwrap())
        .map(|it| &it["addresses"][0])
        .collect();
    let mut of_endpoints: Vec<&Value> =
        subsets[0]["addresses"].as_array().unwrap().iter().map(|it| &it["ip"]).collect();
    of_slices.sort_by_key(|it| it.to_string());
    of_endpoints.sort_by_key(|it| it.to_string());
    assert_eq!(of_slices, of_endpoints);
    assert_eq!(of_slices.len(), 3, "every server is there: {slices}");
    for slice in items(&slices) {
        assert!(
            slice["endpoints"].as_array().unwrap().iter().all(|it| it["conditions"]["ready"] == true),
            "{slice}"
        );
    }
}

fn endpoint_slices(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    Life {
        group_version: DISCOVERY,
        plural: "endpointslices",
        kind: "EndpointSlice",
        namespace: Some(&namespace.name),
        sample: json!({
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["1.2.3.4", "5.6.7.8"]}, {"addresses": ["2.2.3.4", "6.6.7.8"]}],
            "ports": [{"port": 80, "protocol": "TCP"}],
        }),
        change: json!({"metadata": {"annotations": {"changed": "true"}}}),
        status: None,
    }
    .live(cluster);
}

fn endpoints(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("endpoints");
    let one = format!("{path}/testservice");
    let mut watch = api.watch(&format!("{path}?labelSelector=test-endpoint-static%3Dtrue"));
    let mut object = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "testservice", "labels": {"test-endpoint-static": "true"}},
        "subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}],
    });
    api.post(&path, &object).ok();
    watch.expect("ADDED");
    assert_eq!(items(&api.get("/api/v1/endpoints?labelSelector=test-endpoint-static%3Dtrue").ok()).len(), 1);
    object["metadata"]["labels"]["test-service"] = "updated".into();
    api.put(&one, &object).ok();
    assert_eq!(watch.expect("MODIFIED")["metadata"]["labels"]["test-service"], "updated");
    let patch = json!({
        "metadata": {"labels": {"test-service": "patched"}},
        "subsets": [{"addresses": [{"ip": "10.0.0.25"}], "ports": [{"name": "http-test", "port": 8080, "protocol": "TCP"}]}],
    });
    let patched = api.strategic(&one, &patch).ok();
    assert_eq!(patched["subsets"][0]["addresses"][0]["ip"], "10.0.0.25");
    assert_eq!(patched["subsets"][0]["ports"][0]["name"], "http-test");
    assert_eq!(watch.expect("MODIFIED")["metadata"]["labels"]["test-service"], "patched");
    api.delete(&format!("{path}?labelSelector=test-endpoint-static%3Dtrue")).ok();
    watch.expect("DELETED");
    assert!(is_gone(&api.get(&one)));
}

fn ingresses(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let backend = json!({"service": {"name": "default-backend", "port": {"name": "", "number": 8080}}});
    let rules = json!([{
        "host": "foo.bar.com",
        "http": {"paths": [{"path": "/", "pathType": "ImplementationSpecific",
                            "backend": {"service": {"name": "test-backend", "port": {"number": 8080}}}}]},
    }]);
    Life {
        group_version: NETWORKING,
        plural: "ingresses",
        kind: "Ingress",
        namespace: Some(&namespace.name),
        sample: json!({"spec": {"defaultBackend": backend, "rules": rules}}),
        change: json!({"spec": {"defaultBackend": {"service": {"name": "other-backend"}}}}),
        status: Some(json!({"status": {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}})),
    }
    .live(cluster);
}

fn ingress_classes(cluster: &Cluster<'_>) {
    Life {
        group_version: NETWORKING,
        plural: "ingressclasses",
        kind: "IngressClass",
        namespace: None,
        sample: json!({"spec": {"controller": "example.com/controller"}}),
        change: json!({"metadata": {"annotations": {"changed": "true"}}}),
        status: None,
    }
    .live(cluster);
}

fn ip_addresses(cluster: &Cluster<'_>) {
    let api = &cluster.api;
    let path = "/apis/networking.k8s.io/v1/ipaddresses";
    let object = |name: &str, label: &str| {
        json!({
            "apiVersion": NETWORKING, "kind": "IPAddress", "metadata": {"name": name, "labels": {"type": label}},
            "spec": {"parentRef": {"group": "mygroup", "resource": "myresources", "namespace": "foo", "name": "bar"}},
        })
    };
    api.post(path, &object("255.255.255.255", "broadcast")).ok();
    api.post(path, &object("fe80::42:1dff:fe84:f9e2", "link-local")).ok();
    let one = format!("{path}/255.255.255.255");
    let patch = json!({"metadata": {"annotations": {"patched": "true"}}});
    contains(&api.merge(&one, &patch).ok(), &patch);
    let mut read = api.get(&one).ok();
    read["metadata"]["annotations"]["updated"] = "true".into();
    assert_eq!(api.put(&one, &read).ok()["metadata"]["annotations"]["updated"], "true");
    assert_eq!(items(&api.get(&format!("{path}?labelSelector=type%3Dbroadcast")).ok()).len(), 1);
    assert_eq!(
        name_of(&api.watch(&format!("{path}?labelSelector=type%3Dbroadcast")).expect("ADDED")),
        "255.255.255.255"
    );
    api.delete(&one).ok();
    let local = format!("{path}?labelSelector=type%3Dlink-local");
    api.delete_with(&local, &json!({})).ok();
    until_there_are(api, &local, 0);
}

fn service_cidrs(cluster: &Cluster<'_>) {
    let api = &cluster.api;
    let path = "/apis/networking.k8s.io/v1/servicecidrs";
    let one = api.get(&format!("{path}/kubernetes")).ok();
    let status = api.in_json().get(&format!("{path}/kubernetes/status")).ok();
    assert_eq!(
        (&status["kind"], &status["metadata"]["uid"]),
        (&"ServiceCIDR".into(), &one["metadata"]["uid"])
    );
    assert!(names(&api.get(path).ok()).contains(&"kubernetes"));
    assert_eq!(name_of(&api.watch(path).expect("ADDED")), "kubernetes");
}

fn service(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels},
        "spec": {"type": "ClusterIP", "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}]},
    })
}

fn service_status(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let mut object = service("test-service", &json!({"test-service-static": "true"}));
    object["spec"]["type"] = "LoadBalancer".into();
    let path = namespace.core("services");
    let mut watch = api.watch(&format!("{path}?labelSelector=test-service-static%3Dtrue"));
    let made = api.post(&path, &object).ok();
    watch.expect("ADDED");
    let one = format!("{path}/test-service");
    let status = format!("{one}/status");
    assert_eq!(api.in_json().get(&status).ok()["metadata"]["uid"], made["metadata"]["uid"]);
    let patch = json!({
        "metadata": {"annotations": {"patchedstatus": "true"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
    });
    contains(&api.merge(&status, &patch).ok(), &patch);
    contains(&watch.until("MODIFIED", |it| it["metadata"]["annotations"]["patchedstatus"] == "true"), &patch);
    let mut read = api.get(&one).ok();
    let wanted = json!([{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test",
                         "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    read["status"]["conditions"] = wanted.clone();
    contains(&api.put(&status, &read).ok()["status"], &json!({"conditions": wanted}));
    watch.until("MODIFIED", |it| it["status"]["conditions"][0]["type"] == "StatusUpdate");
    let patch = json!({"metadata": {"labels": {"test-service": "patched"}}});
    contains(&api.strategic(&one, &patch).ok(), &patch);
    watch.until("MODIFIED", |it| it["metadata"]["labels"]["test-service"] == "patched");
    let mut read = api.get(&one).ok();
    read["metadata"]["labels"]["test-service"] = "updated".into();
    assert_eq!(api.put(&one, &read).ok()["status"]["conditions"][0]["type"], "StatusUpdate");
    api.delete(&one).ok();
    watch.until("DELETED", |it| name_of(it) == "test-service");
    assert!(is_gone(&api.get(&one)));
}

fn service_collection(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("services");
    for (name, label) in [("e2e-svc-a", "one"), ("e2e-svc-b", "one"), ("e2e-svc-c", "two")] {
        api.post(&path, &service(name, &json!({"e2e-run-svc": label}))).ok();
    }
    assert_eq!(items(&api.get(&path).ok()).len(), 3);
    api.delete_with(&format!("{path}?labelSelector=e2e-run-svc%3Done"), &json!({})).ok();
    assert_eq!(names(&until_there_are(api, &path, 1)), ["e2e-svc-c"]);
}

fn service_found(cluster: &Cluster<'_>) {
    let list = cluster.api.get("/api/v1/services").ok();
    let found =
        items(&list).iter().any(|it| name_of(it) == "kubernetes" && it["metadata"]["namespace"] == "default");
    assert!(found, "{list}");
}
