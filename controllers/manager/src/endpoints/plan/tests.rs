//! What the Endpoints of a Service say.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::*;
use crate::backends::testing::{PodBuilder, ServiceBuilder, pod, service};

fn pods(all: impl IntoIterator<Item = PodBuilder>) -> Vec<Arc<Pod>> {
    all.into_iter().map(|pod| Arc::new(pod.build())).collect()
}

fn web() -> ServiceBuilder {
    service("web").port("http", 80, IntOrString::Int(8080))
}

fn created(service: &Service, pods: &[Arc<Pod>]) -> Endpoints {
    match plan(service, pods, None, None) {
        Action::Create(endpoints) => *endpoints,
        other => panic!("not created: {other:?}"),
    }
}

fn told(endpoints: &Endpoints) -> Value {
    serde_json::to_value(endpoints).unwrap()["subsets"].clone()
}

#[test]
fn endpoints_list_ready_pods_apart_from_others() {
    let service = web().labels(&[("team", "shop")]).build();
    let pods = pods([
        pod("b").ip("10.1.0.2").ready(true),
        pod("a").ip("10.1.0.1").ready(true).node("node-2").hostname("a-0", "web"),
        pod("c").ip("10.1.0.3").ready(false),
        pod("starting"),
        pod("ending").ip("10.1.0.4").ready(true).deleted(),
        pod("ended").ip("10.1.0.5").ready(true).phase("Failed"),
        pod("six").ip("fd00::1").ready(true),
    ]);
    let Action::Create(endpoints) = plan(&service, &pods, None, Some(Timestamp::from_second(60).unwrap()))
    else {
        panic!("there are none yet");
    };
    let target =
        |name: &str| json!({"kind": "Pod", "namespace": "shop", "name": name, "uid": format!("{name}-uid")});
    assert_eq!(
        serde_json::to_value(&*endpoints).unwrap(),
        json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "namespace": "shop",
                "name": "web",
                "labels": {"team": "shop", "endpoints.kubernetes.io/managed-by": "endpoint-controller"},
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "1970-01-01T00:01:00Z"},
            },
            "subsets": [{
                "addresses": [
                    {"ip": "10.1.0.1", "hostname": "a-0", "nodeName": "node-2", "targetRef": target("a")},
                    {"ip": "10.1.0.2", "nodeName": "node-1", "targetRef": target("b")},
                ],
                "notReadyAddresses": [{"ip": "10.1.0.3", "nodeName": "node-1", "targetRef": target("c")}],
                "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            }],
        })
    );
}

#[test]
fn a_service_without_pods_has_empty_endpoints() {
    let endpoints = created(&web().build(), &[]);
    assert_eq!(endpoints.subsets, None);
    assert_eq!(plan(&web().build(), &[], Some(&endpoints), None), Action::Nothing);
}

#[test]
fn unready_and_terminating_pods_are_published_if_the_service_says_so() {
    let service = web().spec(|spec| spec.publish_not_ready_addresses = Some(true)).build();
    let pods = pods([pod("a").ip("10.1.0.1"), pod("b").ip("10.1.0.2").deleted()]);
    let endpoints = created(&service, &pods);
    let subset = &endpoints.subsets.unwrap()[0];
    assert_eq!(subset.addresses.as_ref().map(Vec::len), Some(2));
    assert_eq!(subset.not_ready_addresses, None);
}

#[test]
fn pods_without_a_named_port_are_listed_for_the_other_ports() {
    let service = service("web")
        .port("http", 80, IntOrString::Int(8080))
        .port("metrics", 81, IntOrString::String("metrics".into()))
        .build();
    let pods = pods([
        pod("a").ip("10.1.0.1").ready(true).port("metrics", 9090, "TCP"),
        pod("b").ip("10.1.0.2").ready(true),
    ]);
    let subsets = created(&service, &pods).subsets.unwrap();
    let lines: Vec<_> = subsets
        .iter()
        .map(|subset| (subset.ports.as_ref().unwrap()[0].port, subset.addresses.as_ref().unwrap().len()))
        .collect();
    assert_eq!(lines, [(8080, 2), (9090, 1)]);
}

#[test]
fn headless_services_say_so_and_may_lack_ports() {
    let endpoints = created(&service("web").headless().build(), &pods([pod("a").ip("10.1.0.1").ready(true)]));
    assert_eq!(endpoints.metadata.labels.as_ref().unwrap().get(HEADLESS_LABEL).map(String::as_str), Some(""));
    assert_eq!(told(&endpoints)[0]["addresses"][0]["ip"], "10.1.0.1");
    assert_eq!(told(&endpoints)[0].get("ports"), None);
    let with_address = created(&service("web").build(), &pods([pod("a").ip("10.1.0.1").ready(true)]));
    assert_eq!(with_address.subsets, None);
}

#[test]
fn the_first_family_of_the_service_decides() {
    let service = web().families(&["IPv6", "IPv4"]).build();
    let endpoints = created(&service, &pods([pod("a").ip("10.1.0.1").ip("fd00::1").ready(true)]));
    assert_eq!(told(&endpoints)[0]["addresses"][0]["ip"], "fd00::1");
}

#[test]
fn only_differences_lead_to_an_update() {
    let service = web().build();
    let ready = pods([pod("a").ip("10.1.0.1").ready(true)]);
    let mut current = created(&service, &ready);
    current.metadata.resource_version = Some("7".into());
    current.metadata.annotations.get_or_insert_default().insert("note".into(), "kept".into());
    assert_eq!(plan(&service, &ready, Some(&current), Some(Timestamp::UNIX_EPOCH)), Action::Nothing);

    let unready = pods([pod("a").ip("10.1.0.1").ready(false)]);
    let Action::Update(next) = plan(&service, &unready, Some(&current), Some(Timestamp::UNIX_EPOCH)) else {
        panic!("readiness changed");
    };
    assert_eq!(next.metadata.resource_version.as_deref(), Some("7"));
    assert_eq!(
        next.metadata.annotations,
        Some(
            [("note", "kept"), (TRIGGER_TIME_ANNOTATION, "1970-01-01T00:00:00Z")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into()
        )
    );

    let labelled = web().labels(&[("team", "shop")]).build();
    let Action::Update(next) = plan(&labelled, &ready, Some(&next), None) else { panic!("labels changed") };
    assert_eq!(
        next.metadata.annotations.unwrap().keys().collect::<Vec<_>>(),
        ["note"],
        "no change of a pod or Service, so no time of one"
    );
}

#[test]
fn too_many_are_cut_once_and_marked() {
    let service = web().build();
    let many =
        |count: usize| {
            pods((0..count).map(|at| {
                pod(&format!("p{at}")).ip(&format!("10.1.{}.{}", at / 250, at % 250 + 1)).ready(true)
            }))
        };
    let mark = |endpoints: &Endpoints| {
        endpoints.metadata.annotations.as_ref().unwrap().get(OVER_CAPACITY.0).cloned()
    };
    let cut = created(&service, &many(1001));
    assert_eq!(mark(&cut).as_deref(), Some("truncated"));
    assert_eq!(cut.subsets.as_ref().unwrap()[0].addresses.as_ref().map(Vec::len), Some(1000));
    assert_eq!(plan(&service, &many(1001), Some(&cut), None), Action::Nothing);
    let Action::Update(whole) = plan(&service, &many(1000), Some(&cut), None) else {
        panic!("it fits again")
    };
    assert_eq!(mark(&whole), None);
}
