//! What is promised of the routes, shown by example.

use k8s_openapi::api::core::v1::{ClientIPConfig, SessionAffinityConfig};
use k8s_openapi::api::discovery::v1::{Endpoint as SliceEndpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

fn service(spec: ServiceSpec) -> Vec<Arc<Service>> {
    let metadata = ObjectMeta {
        name: Some("web".to_owned()),
        namespace: Some("shop".to_owned()),
        ..ObjectMeta::default()
    };
    vec![Arc::new(Service { metadata, spec: Some(spec), status: None })]
}

fn spec() -> ServiceSpec {
    ServiceSpec {
        cluster_ip: Some("10.96.0.9".to_owned()),
        cluster_ips: Some(vec!["10.96.0.9".to_owned()]),
        ports: Some(vec![ServicePort { name: Some("http".to_owned()), port: 80, ..ServicePort::default() }]),
        ..ServiceSpec::default()
    }
}

/// An endpoint: its address, whether it is ready, serving and terminating, and its node.
type Told<'a> = (&'a str, [bool; 3], &'a str);

const READY: [bool; 3] = [true, true, false];
const LEAVING: [bool; 3] = [false, true, true];
const DOWN: [bool; 3] = [false, false, false];

fn slice(port: i32, endpoints: &[Told<'_>]) -> Arc<EndpointSlice> {
    let endpoint = |(ip, [ready, serving, terminating], node): &Told<'_>| SliceEndpoint {
        addresses: vec![(*ip).to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(*ready),
            serving: Some(*serving),
            terminating: Some(*terminating),
        }),
        node_name: Some((*node).to_owned()),
        ..SliceEndpoint::default()
    };
    Arc::new(EndpointSlice {
        address_type: "IPv4".to_owned(),
        endpoints: Some(endpoints.iter().map(endpoint).collect()),
        metadata: ObjectMeta {
            namespace: Some("shop".to_owned()),
            labels: Some([("kubernetes.io/service-name".to_owned(), "web".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ports: Some(vec![EndpointPort {
            name: Some("http".to_owned()),
            port: Some(port),
            ..EndpointPort::default()
        }]),
    })
}

fn node() -> Node {
    Node { name: "here".to_owned(), own_cluster_ips: BTreeSet::new() }
}

fn found(spec: ServiceSpec, slices: &[Arc<EndpointSlice>]) -> Vec<Route> {
    routes(&service(spec), slices, &node())
}

fn targets(endpoints: &BTreeSet<Endpoint>) -> Vec<String> {
    endpoints.iter().map(|endpoint| format!("{}:{}", endpoint.ip, endpoint.port)).collect()
}

#[test]
fn a_port_leads_to_the_ready_endpoints_of_all_slices_on_their_own_ports() {
    let slices = [
        slice(8080, &[("10.244.0.2", READY, "here"), ("10.244.0.3", DOWN, "here")]),
        slice(8081, &[("10.244.1.2", READY, "there"), ("10.244.1.3", LEAVING, "there")]),
    ];
    let routes = found(spec(), &slices);
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].name.to_string(), "shop/web/tcp/http");
    assert_eq!(targets(&routes[0].everywhere), ["10.244.0.2:8080", "10.244.1.2:8081"]);
    assert_eq!((routes[0].internal, routes[0].external), (Policy::Cluster, Policy::Cluster));
}

#[test]
fn endpoints_that_leave_serve_when_none_is_ready() {
    let slices = [slice(8080, &[("10.244.0.2", LEAVING, "here"), ("10.244.0.3", DOWN, "here")])];
    assert_eq!(targets(&found(spec(), &slices)[0].everywhere), ["10.244.0.2:8080"]);
}

#[test]
fn local_policies_keep_traffic_on_this_node() {
    let slices = [slice(8080, &[("10.244.0.2", LEAVING, "here"), ("10.244.1.2", READY, "there")])];
    let policy = Some("Local".to_owned());
    let external = found(ServiceSpec { external_traffic_policy: policy.clone(), ..spec() }, &slices);
    assert_eq!((external[0].internal, external[0].external), (Policy::Cluster, Policy::Local));
    let internal = found(ServiceSpec { internal_traffic_policy: policy, ..spec() }, &slices);
    assert_eq!((internal[0].internal, internal[0].external), (Policy::Local, Policy::Cluster));
    for Route { everywhere, local, .. } in [&external[0], &internal[0]] {
        assert_eq!(
            (targets(everywhere), targets(local)),
            (vec!["10.244.1.2:8080".into()], vec!["10.244.0.2:8080".into()])
        );
    }
}

#[test]
fn slices_of_other_ports_families_and_services_do_not_count() {
    let mut other_port = (*slice(8080, &[("10.244.0.2", READY, "here")])).clone();
    other_port.ports.as_mut().unwrap()[0].name = Some("metrics".to_owned());
    let mut other_service = (*slice(8080, &[("10.244.0.3", READY, "here")])).clone();
    other_service.metadata.labels = None;
    let other_family = slice(8080, &[("fd00::4", READY, "here")]);
    let slices = [Arc::new(other_port), Arc::new(other_service), other_family];
    assert_eq!(found(spec(), &slices)[0].everywhere, BTreeSet::new());
}

#[test]
fn headless_services_names_and_addresses_of_the_node_itself_have_no_routes() {
    let headless = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        cluster_ips: Some(vec!["None".to_owned()]),
        ..spec()
    };
    assert_eq!(found(headless, &[]), []);
    assert_eq!(found(ServiceSpec { type_: Some("ExternalName".to_owned()), ..spec() }, &[]), []);
    let own = Node { own_cluster_ips: ["10.96.0.9".parse().unwrap()].into(), ..node() };
    assert_eq!(routes(&service(spec()), &[], &own), []);
    let claims =
        ServiceSpec { external_ips: Some(vec!["10.96.0.10".to_owned(), "192.0.2.1".to_owned()]), ..spec() };
    let own = Node { own_cluster_ips: ["10.96.0.10".parse().unwrap()].into(), ..node() };
    let claimed = &routes(&service(claims), &[], &own)[0].external_ips;
    assert_eq!(*claimed, ["192.0.2.1".parse().unwrap()].into(), "nobody else's either");
}

#[test]
fn two_families_are_two_routes() {
    let both = vec!["fd00:1::9".to_owned(), "10.96.0.9".to_owned()];
    let slices = [slice(80, &[("10.244.0.2", READY, "here")]), slice(80, &[("fd00::2", READY, "here")])];
    let routes = found(ServiceSpec { cluster_ips: Some(both), ..spec() }, &slices);
    let ends: Vec<Vec<String>> = routes.iter().map(|route| targets(&route.everywhere)).collect();
    assert_eq!(ends, [["10.244.0.2:80"], ["fd00::2:80"]]);
}

#[test]
fn clients_stay_as_long_as_the_service_says() {
    let stay = |seconds: Option<i32>| {
        let client_ip = seconds.map(|seconds| ClientIPConfig { timeout_seconds: Some(seconds) });
        let spec = ServiceSpec {
            session_affinity: Some("ClientIP".to_owned()),
            session_affinity_config: Some(SessionAffinityConfig { client_ip }),
            ..spec()
        };
        found(spec, &[])[0].affinity.unwrap().as_secs()
    };
    assert_eq!((stay(Some(10)), stay(None)), (10, 10_800));
    assert_eq!(found(spec(), &[])[0].affinity, None);
}

#[test]
fn what_is_no_port_or_protocol_is_left_out_and_the_rest_stays() {
    let mut spec = spec();
    let ports = spec.ports.as_mut().unwrap();
    ports.push(ServicePort { name: Some("a".to_owned()), port: 70_000, ..ServicePort::default() });
    let protocol = Some("QUIC".to_owned());
    ports.push(ServicePort { name: Some("b".to_owned()), port: 80, protocol, ..ServicePort::default() });
    let names: Vec<String> = found(spec, &[]).iter().map(|route| route.name.to_string()).collect();
    assert_eq!(names, ["shop/web/tcp/http"]);
}
