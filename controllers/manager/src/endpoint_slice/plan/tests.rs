//! What the slices of a Service say.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::*;
use crate::backends::testing::{PodBuilder, ServiceBuilder, pod, service};
use crate::node_lifecycle::testing;

fn pods(all: impl IntoIterator<Item = PodBuilder>) -> Vec<Arc<Pod>> {
    all.into_iter().map(|pod| Arc::new(pod.build())).collect()
}

/// `node-1` is in zone `north`; `gone` is not there.
fn node(name: &str) -> Option<Arc<Node>> {
    (name != "gone").then(|| Arc::new(testing::node(name).label(ZONE_LABEL, "north").build()))
}

fn web() -> ServiceBuilder {
    service("web").port("http", 80, IntOrString::Int(8080))
}

fn created(service: &ServiceBuilder, pods: &[Arc<Pod>]) -> Vec<EndpointSlice> {
    plan(&service.clone().build(), pods, node, &[], None).create
}

fn endpoints(slices: &[EndpointSlice]) -> Vec<Endpoint> {
    slices.iter().flat_map(|slice| slice.endpoints.clone().unwrap()).collect()
}

fn told(slice: &EndpointSlice) -> Value {
    serde_json::to_value(slice).unwrap()
}

#[test]
fn a_slice_lists_the_pods_of_a_service() {
    let service = web().labels(&[("team", "shop"), (MANAGED_BY_LABEL, "me"), (HEADLESS_LABEL, "")]);
    let pods = pods([
        pod("a").ip("10.1.0.1").ready(true).hostname("a-0", "web"),
        pod("starting"),
        pod("ended").ip("10.1.0.9").phase("Succeeded"),
        pod("lost").ip("10.1.0.8").ready(true).node("gone"),
    ]);
    let at = Timestamp::from_second(60).unwrap();
    let changes = plan(&service.build(), &pods, node, &[], Some(at));
    assert_eq!(
        told(&changes.create[0]),
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": "web-",
                "namespace": "shop",
                "labels": {
                    "team": "shop",
                    "kubernetes.io/service-name": "web",
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "1970-01-01T00:01:00Z"},
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "Service", "name": "web", "uid": "web-uid",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "addressType": "IPv4",
            "endpoints": [{
                "addresses": ["10.1.0.1"],
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "hostname": "a-0",
                "nodeName": "node-1",
                "zone": "north",
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": "a", "uid": "a-uid"},
            }],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        })
    );
}

#[test]
fn conditions_tell_ready_serving_and_terminating_apart() {
    let of = |service: &ServiceBuilder, pod: PodBuilder| {
        let conditions =
            endpoints(&created(service, &pods([pod.ip("10.1.0.1")])))[0].conditions.clone().unwrap();
        (conditions.ready.unwrap(), conditions.serving.unwrap(), conditions.terminating.unwrap())
    };
    assert_eq!(of(&web(), pod("a").ready(true)), (true, true, false));
    assert_eq!(of(&web(), pod("a").ready(false)), (false, false, false));
    assert_eq!(of(&web(), pod("a").ready(true).deleted()), (false, true, true));
    assert_eq!(of(&web(), pod("a").deleted()), (false, false, true));
    let all = web().spec(|spec| spec.publish_not_ready_addresses = Some(true));
    assert_eq!(of(&all, pod("a").ready(false).deleted()), (true, false, true));
}

#[test]
fn pods_with_different_numbers_for_a_port_are_in_different_slices() {
    let service = service("web").port("http", 80, IntOrString::String("web".into()));
    let pods = pods([
        pod("a").ip("10.1.0.1").ready(true).port("web", 8080, "TCP"),
        pod("b").ip("10.1.0.2").ready(true).port("web", 80, "TCP"),
        pod("c").ip("10.1.0.3").ready(true).port("web", 8080, "TCP"),
    ]);
    let slices = created(&service, &pods);
    let lines: Vec<_> = slices
        .iter()
        .map(|slice| {
            (slice.ports.as_ref().unwrap()[0].port.unwrap(), slice.endpoints.as_ref().unwrap().len())
        })
        .collect();
    assert_eq!(lines, [(80, 1), (8080, 2)]);
}

#[test]
fn every_family_has_its_slices() {
    let service = web().families(&["IPv4", "IPv6"]);
    let slices = created(
        &service,
        &pods([pod("a").ip("10.1.0.1").ip("fd00::1").ready(true), pod("b").ip("10.1.0.2")]),
    );
    let lines: Vec<_> = slices
        .iter()
        .map(|slice| (slice.address_type.as_str(), endpoints(std::slice::from_ref(slice)).len()))
        .collect();
    assert_eq!(lines, [("IPv4", 2), ("IPv6", 1)]);
}

#[test]
fn a_service_without_pods_has_one_empty_slice_per_family() {
    let slices = created(&web().families(&["IPv4", "IPv6"]), &pods([pod("starting")]));
    assert_eq!(slices.len(), 2);
    for slice in &slices {
        assert_eq!((told(slice)["endpoints"].clone(), told(slice)["ports"].clone()), (json!([]), json!([])));
    }
}

#[test]
fn headless_services_say_so() {
    let slices = created(&service("web").headless(), &pods([pod("a").ip("10.1.0.1").ready(true)]));
    assert_eq!(slices[0].metadata.labels.as_ref().unwrap().get(HEADLESS_LABEL).map(String::as_str), Some(""));
    assert_eq!(slices[0].ports, Some(Vec::new()));
    assert_eq!(endpoints(&slices).len(), 1);
}

#[test]
fn pods_of_unknown_nodes_are_listed_only_where_everything_is() {
    let lost = || pods([pod("a").ip("10.1.0.1").node("gone").ready(true)]);
    assert_eq!(endpoints(&created(&web(), &lost())), []);
    let all = web().spec(|spec| spec.publish_not_ready_addresses = Some(true));
    assert_eq!(endpoints(&created(&all, &lost())).len(), 1);
}

#[test]
fn hints_say_for_whom_a_ready_endpoint_is() {
    let hints = |distribution: Option<&str>, is_ready: bool| {
        let service = web().spec(|spec| spec.traffic_distribution = distribution.map(Into::into));
        let all = endpoints(&created(&service, &pods([pod("a").ip("10.1.0.1").ready(is_ready)])));
        serde_json::to_value(&all[0].hints).unwrap()
    };
    assert_eq!(hints(None, true), Value::Null);
    assert_eq!(hints(Some("PreferSameZone"), false), Value::Null);
    for zonal in ["PreferClose", "PreferSameZone"] {
        assert_eq!(hints(Some(zonal), true), json!({"forZones": [{"name": "north"}]}));
    }
    let both = json!({"forZones": [{"name": "north"}], "forNodes": [{"name": "node-1"}]});
    assert_eq!(hints(Some("PreferSameNode"), true), both);
}

#[test]
fn slices_hold_a_hundred() {
    let many = pods((0..250).map(|at| pod(&format!("p{at:03}")).ip(&format!("10.1.0.{at}")).ready(true)));
    let sizes: Vec<_> =
        created(&web(), &many).iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[test]
fn a_service_that_is_being_deleted_gets_no_new_slices() {
    let pods = pods([pod("a").ip("10.1.0.1").ready(true)]);
    assert_eq!(plan(&web().deleted().build(), &pods, node, &[], None), Changes::default());
}
