//! What is promised of the answer, shown by example.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keelson_controller_runtime::Informer;

use super::*;

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some("shop".to_owned()),
        labels: Some([("kubernetes.io/service-name".to_owned(), name.to_owned())].into()),
        ..ObjectMeta::default()
    }
}

fn service(name: &str, cluster_ips: &[&str]) -> Service {
    let spec = ServiceSpec {
        cluster_ip: cluster_ips.first().map(|ip| (*ip).to_owned()),
        cluster_ips: Some(cluster_ips.iter().map(|ip| (*ip).to_owned()).collect()),
        ports: Some(vec![ServicePort { name: Some("http".to_owned()), port: 80, ..ServicePort::default() }]),
        ..ServiceSpec::default()
    };
    Service { metadata: meta(name), spec: Some(spec), status: None }
}

fn external(name: &str, target: &str) -> Service {
    let mut service = service(name, &[]);
    let spec = service.spec.as_mut().unwrap();
    spec.type_ = Some("ExternalName".to_owned());
    spec.external_name = Some(target.to_owned());
    service
}

fn slice(service: &str, endpoints: &[(&str, Option<&str>, bool)]) -> EndpointSlice {
    let endpoint = |(ip, hostname, ready): &(&str, Option<&str>, bool)| Endpoint {
        addresses: vec![(*ip).to_owned()],
        hostname: hostname.map(str::to_owned),
        conditions: Some(EndpointConditions { ready: Some(*ready), ..EndpointConditions::default() }),
        ..Endpoint::default()
    };
    EndpointSlice {
        address_type: "IPv4".to_owned(),
        endpoints: Some(endpoints.iter().map(endpoint).collect()),
        metadata: meta(service),
        ports: Some(vec![EndpointPort {
            name: Some("sql".to_owned()),
            port: Some(5432),
            ..EndpointPort::default()
        }]),
    }
}

/// A shop: a web site, a database without a ClusterIP, and a bank elsewhere.
pub(crate) fn cluster() -> Cluster {
    let (services, slices) = (Informer::detached(), Informer::detached());
    let cluster = Cluster::new(services.clone(), slices.clone());
    services.apply(service("web", &["10.96.0.9", "fd00:1::9"]));
    services.apply(service("db", &["None"]));
    services.apply(service("idle", &["None"]));
    services.apply(external("bank", "bank.example.com"));
    services.apply(external("site", "web.shop.svc.cluster.local"));
    slices.apply(slice("web", &[("10.244.0.9", None, true)]));
    slices.apply(slice(
        "db",
        &[
            ("10.244.0.2", Some("db-0"), true),
            ("10.244.0.3", None, true),
            ("10.244.0.4", Some("db-2"), false),
        ],
    ));
    cluster
}

pub(crate) fn zone() -> Zone {
    Zone::new(Name::from_ascii("cluster.local").unwrap())
}

/// An answer as text: what kind it is, and its records in `dig`'s form without times.
fn told(name: &str, kind: RecordType) -> String {
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    let line = |record: &Record| format!("{} {} {}", record.name, record.record_type(), record.data);
    match zone().answer(&cluster(), &name, kind) {
        Answer::Records { answers, additionals } => {
            let mut text = answers.iter().map(line).collect::<Vec<_>>().join("\n");
            for record in &additionals {
                write!(text, "\n+ {}", line(record)).unwrap();
            }
            text
        }
        Answer::NoName => "no such name".to_owned(),
        Answer::Alias { record, target } => format!("{} → {target}", line(&record)),
        Answer::Elsewhere => "elsewhere".to_owned(),
        Answer::NotYet => "not yet".to_owned(),
    }
}

#[test]
fn a_service_has_its_cluster_ips() {
    assert_eq!(told("web.shop.svc.cluster.local", RecordType::A), "web.shop.svc.cluster.local. A 10.96.0.9");
    assert_eq!(
        told("web.shop.svc.cluster.local", RecordType::AAAA),
        "web.shop.svc.cluster.local. AAAA fd00:1::9"
    );
    assert_eq!(told("web.shop.svc.cluster.local", RecordType::MX), "");
}

#[test]
fn names_do_not_depend_on_case() {
    assert_eq!(told("WEB.Shop.svc.Cluster.LOCAL", RecordType::A), "WEB.Shop.svc.Cluster.LOCAL. A 10.96.0.9");
}

#[test]
fn a_headless_service_has_its_ready_endpoints_and_none_is_no_name() {
    assert_eq!(
        told("db.shop.svc.cluster.local", RecordType::A),
        "db.shop.svc.cluster.local. A 10.244.0.2\ndb.shop.svc.cluster.local. A 10.244.0.3"
    );
    assert_eq!(told("db.shop.svc.cluster.local", RecordType::AAAA), "");
    assert_eq!(told("idle.shop.svc.cluster.local", RecordType::A), "no such name");
}

#[test]
fn endpoints_of_headless_services_have_names_of_their_own() {
    assert_eq!(
        told("db-0.db.shop.svc.cluster.local", RecordType::A),
        "db-0.db.shop.svc.cluster.local. A 10.244.0.2"
    );
    assert_eq!(
        told("10-244-0-3.db.shop.svc.cluster.local", RecordType::A),
        "10-244-0-3.db.shop.svc.cluster.local. A 10.244.0.3"
    );
    for name in ["db-2.db", "10-244-0-2.db", "10-244-0-9.web"] {
        assert_eq!(told(&format!("{name}.shop.svc.cluster.local"), RecordType::A), "no such name", "{name}");
    }
}

#[test]
fn ports_are_found_with_the_addresses_of_their_targets() {
    assert_eq!(
        told("_http._tcp.web.shop.svc.cluster.local", RecordType::SRV),
        "_http._tcp.web.shop.svc.cluster.local. SRV 0 100 80 web.shop.svc.cluster.local.\n\
         + web.shop.svc.cluster.local. A 10.96.0.9\n\
         + web.shop.svc.cluster.local. AAAA fd00:1::9"
    );
    assert_eq!(
        told("_sql._tcp.db.shop.svc.cluster.local", RecordType::SRV),
        "_sql._tcp.db.shop.svc.cluster.local. SRV 0 50 5432 db-0.db.shop.svc.cluster.local.\n\
         _sql._tcp.db.shop.svc.cluster.local. SRV 0 50 5432 10-244-0-3.db.shop.svc.cluster.local.\n\
         + db-0.db.shop.svc.cluster.local. A 10.244.0.2\n\
         + 10-244-0-3.db.shop.svc.cluster.local. A 10.244.0.3"
    );
    assert_eq!(told("_ftp._tcp.web.shop.svc.cluster.local", RecordType::SRV), "no such name");
    assert_eq!(told("_http._udp.web.shop.svc.cluster.local", RecordType::SRV), "no such name");
    assert_eq!(told("_http._tcp.web.shop.svc.cluster.local", RecordType::A), "");
}

#[test]
fn addresses_lead_back_to_names() {
    assert_eq!(
        told("9.0.96.10.in-addr.arpa", RecordType::PTR),
        "9.0.96.10.in-addr.arpa. PTR web.shop.svc.cluster.local."
    );
    assert_eq!(
        told("2.0.244.10.in-addr.arpa", RecordType::PTR),
        "2.0.244.10.in-addr.arpa. PTR db-0.db.shop.svc.cluster.local."
    );
    // An endpoint of a Service with a ClusterIP has no name, and others may know more.
    for name in ["9.0.244.10.in-addr.arpa", "1.2.0.192.in-addr.arpa", "0.244.10.in-addr.arpa"] {
        assert_eq!(told(name, RecordType::PTR), "elsewhere", "{name}");
    }
}

#[test]
fn an_external_name_is_an_alias() {
    let alias = "bank.shop.svc.cluster.local. CNAME bank.example.com.";
    assert_eq!(told("bank.shop.svc.cluster.local", RecordType::A), format!("{alias} → bank.example.com."));
    assert_eq!(told("bank.shop.svc.cluster.local", RecordType::CNAME), alias);
}

#[test]
fn pods_have_names_made_of_their_addresses() {
    assert_eq!(
        told("10-244-0-5.shop.pod.cluster.local", RecordType::A),
        "10-244-0-5.shop.pod.cluster.local. A 10.244.0.5"
    );
    assert_eq!(told("10-244-0-5.nowhere.pod.cluster.local", RecordType::A), "no such name");
}

#[test]
fn names_that_only_have_others_below_them_exist() {
    for name in
        ["cluster.local", "svc.cluster.local", "shop.svc.cluster.local", "_tcp.web.shop.svc.cluster.local"]
    {
        assert_eq!(told(name, RecordType::A), "", "{name}");
    }
    for name in
        ["nowhere.svc.cluster.local", "web.shop.svc.cluster.local.shop.svc.cluster.local", "x.cluster.local"]
    {
        assert_eq!(told(name, RecordType::A), "no such name", "{name}");
    }
}

#[test]
fn the_zone_tells_about_itself() {
    assert_eq!(told("dns-version.cluster.local", RecordType::TXT), "dns-version.cluster.local. TXT 1.1.0");
    assert!(told("cluster.local", RecordType::SOA).starts_with("cluster.local. SOA ns.dns.cluster.local."));
    assert_eq!(told("example.com", RecordType::A), "elsewhere");
    assert_eq!(told("notcluster.local", RecordType::A), "elsewhere");
}

#[tokio::test]
async fn before_it_is_known_what_exists_no_name_is_denied() {
    let silent = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>()
    });
    let client = kube::Client::new(silent, "default");
    let config = kube::runtime::watcher::Config::default;
    let services = Informer::new(kube::Api::all(client.clone()), config());
    let cluster = Cluster::new(services, Informer::new(kube::Api::all(client), config()));
    let answer = |name: &str| zone().answer(&cluster, &Name::from_ascii(name).unwrap(), RecordType::A);
    assert_eq!(answer("web.shop.svc.cluster.local."), Answer::NotYet);
    assert_eq!(answer("9.0.96.10.in-addr.arpa."), Answer::NotYet);
    assert_eq!(answer("example.com."), Answer::Elsewhere);
}
