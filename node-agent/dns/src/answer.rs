//! What is answered. Pure.
//!
//! In: a name and a type, and the cluster. Out: an [`Answer`], records included.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::cluster::{Cluster, service_of};
use crate::question::{self, Question, ServiceName};

/// Seconds for which an answer may be kept. Endpoints come and go.
const TTL: u32 = 5;

/// The version of the specification.
const VERSION: &str = "1.1.0";

/// What there is to say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// These; empty: the name exists, and has no records of that type.
    Records { answers: Vec<Record>, additionals: Vec<Record> },
    /// The name does not exist.
    NoName,
    /// The name is another's, which may be anywhere.
    Alias { record: Box<Record>, target: Name },
    /// Somebody else knows.
    Elsewhere,
    /// What exists is not known yet.
    NotYet,
}

/// The zone in which the cluster's names are.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    name: Name,
}

/// Where a Service can be reached.
struct Backends {
    addresses: BTreeSet<IpAddr>,
    /// Per endpoint of a headless Service: its label, its address and the ports of its slice.
    endpoints: Vec<Backend>,
    headless: bool,
}

struct Backend {
    label: String,
    ip: IpAddr,
    /// Name, protocol in lower case, number.
    ports: Vec<(String, String, u16)>,
}

impl Zone {
    pub(crate) fn new(mut name: Name) -> Self {
        name.set_fqdn(true);
        Self { name }
    }

    /// The answer to a query.
    pub(crate) fn answer(&self, cluster: &Cluster, name: &Name, kind: RecordType) -> Answer {
        let in_zone = self.name.zone_of(name);
        let address = || name.parse_arpa_name().ok().filter(|net| net.prefix_len() == net.max_prefix_len());
        match (in_zone, address()) {
            (false, None) => Answer::Elsewhere,
            _ if !cluster.is_known() => Answer::NotYet,
            (false, Some(net)) => self.reverse(cluster, name, net.addr(), kind),
            (true, _) => self.inside(cluster, name, kind),
        }
    }

    /// The record that says how long "there is no such thing" may be kept.
    pub(crate) fn authority(&self) -> Record {
        let mailbox = self.below(&["hostmaster"]);
        let soa = SOA::new(self.server(), mailbox, 1, 7200, 1800, 86400, TTL);
        Record::from_rdata(self.name.clone(), TTL, RData::SOA(soa))
    }

    fn server(&self) -> Name {
        self.below(&["ns", "dns"])
    }

    /// A name in the zone. Labels come from the API, which lets no others in; one that cannot be a label ends in the
    /// zone's own name.
    fn below(&self, labels: &[&str]) -> Name {
        let name = Name::from_labels(labels.iter().map(|label| label.as_bytes()));
        name.and_then(|name| name.append_domain(&self.name)).unwrap_or_else(|_| self.name.clone())
    }

    fn service_name(&self, of: ServiceName<'_>) -> Name {
        self.below(&[of.name, of.namespace, "svc"])
    }

    fn inside(&self, cluster: &Cluster, name: &Name, kind: RecordType) -> Answer {
        let below = usize::from(name.num_labels()) - usize::from(self.name.num_labels());
        let labels: Vec<String> =
            name.iter().take(below).map(|label| String::from_utf8_lossy(label).to_lowercase()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        match question::read(&labels) {
            Question::Zone => self.zone_itself(&labels, kind),
            Question::Version => {
                let text = TXT::new(vec![VERSION.to_owned()]);
                of_type(kind, RecordType::TXT, vec![record(name, RData::TXT(text))])
            }
            Question::Namespace(namespace) if cluster.has_namespace(namespace) => nothing(),
            Question::Pod { namespace, ip } if cluster.has_namespace(namespace) => {
                records(address_records(name, [ip], kind))
            }
            Question::Service(of) => self.service(cluster, name, of, kind),
            Question::Protocol(of) => cluster.service(of).map_or(Answer::NoName, |_| nothing()),
            Question::Port { of, protocol, port } => self.port(cluster, name, of, (port, protocol), kind),
            Question::Endpoint { of, hostname } => Self::endpoint(cluster, name, of, hostname, kind),
            Question::Namespace(_) | Question::Pod { .. } | Question::Nothing => Answer::NoName,
        }
    }

    fn zone_itself(&self, labels: &[&str], kind: RecordType) -> Answer {
        match kind {
            RecordType::SOA if labels.is_empty() => records(vec![self.authority()]),
            RecordType::NS if labels.is_empty() => {
                records(vec![record(&self.name, RData::NS(NS(self.server())))])
            }
            _ => nothing(),
        }
    }

    fn service(&self, cluster: &Cluster, name: &Name, of: ServiceName<'_>, kind: RecordType) -> Answer {
        let Some(service) = cluster.service(of) else { return Answer::NoName };
        if let Some(target) = external_name(&service) {
            return alias(name, target, kind);
        }
        let backends = Backends::of(cluster, of, &service);
        match kind {
            RecordType::SRV => self.srv(name, of, &service, &backends, None),
            // A headless Service without endpoints has no name, so that clients go on to look elsewhere.
            _ if backends.headless && backends.addresses.is_empty() => Answer::NoName,
            _ => records(address_records(name, backends.addresses, kind)),
        }
    }

    fn port(
        &self,
        cluster: &Cluster,
        name: &Name,
        of: ServiceName<'_>,
        wanted: (&str, &str),
        kind: RecordType,
    ) -> Answer {
        let Some(service) = cluster.service(of) else { return Answer::NoName };
        let backends = Backends::of(cluster, of, &service);
        match self.srv(name, of, &service, &backends, Some(wanted)) {
            Answer::Records { answers, .. } if answers.is_empty() => Answer::NoName,
            found if kind == RecordType::SRV => found,
            _other_type => nothing(),
        }
    }

    /// One record per port; of a headless Service one per port and endpoint.
    fn srv(
        &self,
        name: &Name,
        of: ServiceName<'_>,
        service: &Service,
        backends: &Backends,
        wanted: Option<(&str, &str)>,
    ) -> Answer {
        let is_wanted = |port: &str, protocol: &str| wanted.is_none_or(|wanted| wanted == (port, protocol));
        let mut targets = Vec::new();
        if backends.headless {
            for backend in &backends.endpoints {
                let ports = backend.ports.iter().filter(|(port, protocol, _)| is_wanted(port, protocol));
                targets.extend(ports.map(|(_, _, number)| (*number, self.endpoint_name(of, backend))));
            }
        } else {
            let ports = service_ports(service).filter(|(port, protocol, _)| is_wanted(port, protocol));
            targets.extend(ports.map(|(_, _, number)| (number, self.service_name(of))));
        }
        let share = u16::try_from(100 / targets.len().max(1)).unwrap_or(1).max(1);
        let answers = targets
            .into_iter()
            .map(|(port, target)| record(name, RData::SRV(SRV::new(0, share, port, target))))
            .collect();
        Answer::Records { answers, additionals: self.target_addresses(of, backends) }
    }

    fn target_addresses(&self, of: ServiceName<'_>, backends: &Backends) -> Vec<Record> {
        if backends.headless {
            let endpoints = backends.endpoints.iter();
            endpoints.map(|backend| address_record(&self.endpoint_name(of, backend), backend.ip)).collect()
        } else {
            let name = self.service_name(of);
            backends.addresses.iter().map(|ip| address_record(&name, *ip)).collect()
        }
    }

    fn endpoint_name(&self, of: ServiceName<'_>, backend: &Backend) -> Name {
        self.below(&[&backend.label, of.name, of.namespace, "svc"])
    }

    fn endpoint(
        cluster: &Cluster,
        name: &Name,
        of: ServiceName<'_>,
        hostname: &str,
        kind: RecordType,
    ) -> Answer {
        let Some(service) = cluster.service(of) else { return Answer::NoName };
        let backends = Backends::of(cluster, of, &service);
        let found = backends.endpoints.iter().filter(|backend| backend.label == hostname);
        let ips: BTreeSet<IpAddr> = found.map(|backend| backend.ip).collect();
        if ips.is_empty() { Answer::NoName } else { records(address_records(name, ips, kind)) }
    }

    /// Addresses that the cluster does not know are somebody else's.
    fn reverse(&self, cluster: &Cluster, name: &Name, ip: IpAddr, kind: RecordType) -> Answer {
        let names = self.names_of(cluster, ip);
        if names.is_empty() {
            return Answer::Elsewhere;
        }
        let pointers = names.into_iter().map(|target| record(name, RData::PTR(PTR(target))));
        of_type(kind, RecordType::PTR, pointers.collect())
    }

    fn names_of(&self, cluster: &Cluster, ip: IpAddr) -> BTreeSet<Name> {
        if let Some(service) = cluster.service_at(ip) {
            let meta = &service.metadata;
            let of = ServiceName {
                namespace: meta.namespace.as_deref().unwrap_or_default(),
                name: meta.name.as_deref().unwrap_or_default(),
            };
            return [self.service_name(of)].into();
        }
        let mut names = BTreeSet::new();
        for slice in cluster.slices_at(ip) {
            let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
            let Some(name) = service_of(&slice) else { continue };
            let of = ServiceName { namespace, name };
            if !cluster.service(of).is_some_and(|service| is_headless(&service)) {
                continue;
            }
            let backends = backends_of(&slice);
            names.extend(
                backends.iter().filter(|backend| backend.ip == ip).map(|b| self.endpoint_name(of, b)),
            );
        }
        names
    }
}

impl Backends {
    fn of(cluster: &Cluster, of: ServiceName<'_>, service: &Service) -> Self {
        let headless = is_headless(service);
        if headless {
            let endpoints: Vec<Backend> =
                cluster.slices(of).iter().flat_map(|slice| backends_of(slice)).collect();
            let addresses = endpoints.iter().map(|backend| backend.ip).collect();
            return Self { addresses, endpoints, headless };
        }
        let spec = service.spec.as_ref();
        let ips = spec.into_iter().flat_map(|spec| spec.cluster_ips.iter().flatten());
        Self { addresses: ips.filter_map(|ip| ip.parse().ok()).collect(), endpoints: Vec::new(), headless }
    }
}

/// The endpoints of a slice that take traffic. The controller counts those as ready that the Service wants published
/// before they are.
fn backends_of(slice: &EndpointSlice) -> Vec<Backend> {
    let ports: Vec<(String, String, u16)> = slice
        .ports
        .iter()
        .flatten()
        .filter_map(|port| {
            let number = u16::try_from(port.port?).ok()?;
            Some((port.name.clone().unwrap_or_default(), protocol(port.protocol.as_deref()), number))
        })
        .collect();
    let endpoints = slice.endpoints.iter().flatten().filter(|endpoint| is_ready(endpoint));
    endpoints.filter_map(|endpoint| backend(endpoint, &ports)).collect()
}

fn backend(endpoint: &Endpoint, ports: &[(String, String, u16)]) -> Option<Backend> {
    let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let hostname = endpoint.hostname.clone().filter(|hostname| !hostname.is_empty());
    Some(Backend { label: hostname.unwrap_or_else(|| question::dash(ip)), ip, ports: ports.to_vec() })
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

fn service_ports(service: &Service) -> impl Iterator<Item = (String, String, u16)> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.filter_map(|port| {
        let number = u16::try_from(port.port).ok()?;
        Some((port.name.clone().unwrap_or_default(), protocol(port.protocol.as_deref()), number))
    })
}

fn protocol(name: Option<&str>) -> String {
    name.unwrap_or("TCP").to_lowercase()
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

fn external_name(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref()?;
    (spec.type_.as_deref() == Some("ExternalName")).then_some(())?;
    spec.external_name.as_deref()
}

fn alias(name: &Name, target: &str, kind: RecordType) -> Answer {
    let Ok(mut target) = Name::from_ascii(target) else { return Answer::NoName };
    target.set_fqdn(true);
    let record = record(name, RData::CNAME(CNAME(target.clone())));
    match kind {
        RecordType::CNAME => records(vec![record]),
        _ => Answer::Alias { record: Box::new(record), target },
    }
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TTL, data)
}

fn address_record(name: &Name, ip: IpAddr) -> Record {
    record(
        name,
        match ip {
            IpAddr::V4(ip) => RData::A(A(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
        },
    )
}

fn address_records(name: &Name, ips: impl IntoIterator<Item = IpAddr>, kind: RecordType) -> Vec<Record> {
    let wanted = |ip: &IpAddr| match kind {
        RecordType::A => ip.is_ipv4(),
        RecordType::AAAA => ip.is_ipv6(),
        RecordType::ANY => true,
        _ => false,
    };
    ips.into_iter().filter(wanted).map(|ip| address_record(name, ip)).collect()
}

fn of_type(asked: RecordType, kind: RecordType, answers: Vec<Record>) -> Answer {
    if asked == kind || asked == RecordType::ANY { records(answers) } else { nothing() }
}

fn records(answers: Vec<Record>) -> Answer {
    Answer::Records { answers, additionals: Vec::new() }
}

/// The name exists, and there is nothing of that type.
fn nothing() -> Answer {
    records(Vec::new())
}
