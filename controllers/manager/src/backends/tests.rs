//! Who is behind which Service.

use super::testing::{NAMESPACE, PodBuilder, pod, service};
use super::*;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(NAMESPACE, name)
}

fn informer(all: impl IntoIterator<Item = Service>) -> Informer<Service> {
    let informer = Informer::detached();
    informer.add_index(BY_SELECTOR_PAIR, selector_pair);
    all.into_iter().for_each(|service| informer.apply(service));
    informer
}

fn updated(old: PodBuilder, new: PodBuilder) -> Change<Pod> {
    Change::Updated { old: old.build().into(), new: new.build().into() }
}

#[test]
fn a_pod_finds_its_services_and_no_others() {
    let services = informer([
        service("web").build(),
        service("web-v2").selector(&[("app", "web"), ("version", "2")]).build(),
        service("elsewhere").selector(&[("app", "db")]).build(),
        service("by-hand").spec(|spec| spec.selector = None).build(),
        service("empty").selector(&[]).build(),
        service("name-only").spec(|spec| spec.type_ = Some("ExternalName".into())).build(),
    ]);
    let found = |labels: &[(&str, &str)]| services_of_pod(&services, &pod("a").labels(labels).build());
    assert_eq!(found(&[("app", "web")]), [key("web")].into());
    assert_eq!(found(&[("app", "web"), ("version", "2")]), [key("web"), key("web-v2")].into());
    assert_eq!(found(&[("version", "2")]), [].into());
    let mut foreign = pod("a").build();
    foreign.metadata.namespace = Some("other".into());
    assert_eq!(services_of_pod(&services, &foreign), [].into());
}

#[test]
fn only_changes_that_a_service_could_see_concern_it() {
    let services = informer([service("web").build(), service("db").selector(&[("app", "db")]).build()]);
    let concerned = |old, new| concerned_services(&services, &updated(old, new));
    let a = || pod("a").ip("10.1.0.1").ready(true);
    assert_eq!(concerned(a(), a().since(7)), [].into(), "when it became ready does not matter");
    for changed in [
        a().ready(false),
        a().ip("fd00::1"),
        a().deleted(),
        a().phase("Failed"),
        a().node("node-2"),
        a().hostname("a", "web"),
    ] {
        assert_eq!(concerned(a(), changed), [key("web")].into());
    }
    let moved = concerned(a(), a().labels(&[("app", "db")]));
    assert_eq!(moved, [key("db"), key("web")].into(), "both the Service it left and the one it joined");
    let gone = concerned_services(&services, &Change::Deleted(a().build().into()));
    assert_eq!(gone, [key("web")].into());
}

#[test]
fn pods_that_ended_or_have_no_address_offer_nothing() {
    assert!(is_reachable(&pod("a").ip("10.1.0.1").build()));
    assert!(is_reachable(&pod("a").ip("10.1.0.1").deleted().build()), "a terminating pod may still serve");
    assert!(!is_reachable(&pod("a").build()));
    assert!(!is_reachable(&pod("a").ip("10.1.0.1").phase("Succeeded").build()));
    assert!(!is_reachable(&pod("a").ip("10.1.0.1").phase("Failed").build()));
}

#[test]
fn addresses_are_of_the_family_and_canonical() {
    let pod = pod("a").ip("10.1.0.1").ip("fd00:0::0001").build();
    assert_eq!(addresses(&pod, Family::V4), ["10.1.0.1"]);
    assert_eq!(addresses(&pod, Family::V6), ["fd00::1"]);
}

#[test]
fn families_come_from_the_service_or_its_address() {
    let dual = service("web").families(&["IPv6", "IPv4"]).build();
    assert_eq!(families(&spec(&dual)), [Family::V6, Family::V4]);
    let of_address =
        |ip: &str| families(&ServiceSpec { cluster_ip: Some(ip.into()), ..ServiceSpec::default() });
    assert_eq!(of_address("fd00::10"), [Family::V6]);
    assert_eq!(of_address("None"), [Family::V4]);
}

#[test]
fn named_ports_are_looked_up_in_each_pod() {
    let service = service("web")
        .port("http", 80, IntOrString::String("web".into()))
        .protocol_port("dns", 53, IntOrString::String("web".into()), "UDP")
        .port("fixed", 81, IntOrString::Int(8081))
        .build();
    let ports = spec(&service).ports.unwrap();
    let numbers = |pod: &Pod| ports.iter().map(|port| target_port(pod, port)).collect::<Vec<_>>();
    let tcp = pod("a").port("web", 8080, "TCP").build();
    assert_eq!(numbers(&tcp), [Some(8080), None, Some(8081)]);
    let both = pod("a").port("web", 8080, "TCP").port("web", 5353, "UDP").build();
    assert_eq!(numbers(&both), [Some(8080), Some(5353), Some(8081)]);
    let sidecar = pod("a").init_port(None, "web", 1).init_port(Some("Always"), "web", 2).build();
    assert_eq!(numbers(&sidecar), [Some(2), None, Some(8081)], "only a sidecar's ports stay open");
}

#[test]
fn a_hostname_is_told_only_below_the_pods_own_subdomain() {
    let web = service("web").headless().build();
    assert_eq!(hostname(&pod("a").hostname("a-0", "web").build(), &web), Some("a-0".into()));
    assert_eq!(hostname(&pod("a").hostname("a-0", "db").build(), &web), None);
    assert_eq!(hostname(&pod("a").build(), &web), None);
}

#[test]
fn only_the_servers_service_is_theirs() {
    assert!(is_of_the_servers(&ObjectKey::new("default", "kubernetes")));
    assert!(!is_of_the_servers(&ObjectKey::new("shop", "kubernetes")));
}
