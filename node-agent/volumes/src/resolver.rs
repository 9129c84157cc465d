//! How a Pod resolves names: what goes into its `resolv.conf`. Pure.
//!
//! In: the Pod's `dnsPolicy` and `dnsConfig`, the cluster's DNS, the host's `resolv.conf`. Out: [`DnsConfig`] for the
//! sandbox, and warnings to be recorded as events. Deliberately absent: reading the host's file.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, PodDNSConfigOption};
use keelson_proto::cri::v1::DnsConfig;

/// More servers than these no resolver asks.
const MAX_SERVERS: usize = 3;

/// Upstream's limits of the search list.
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_LENGTH: usize = 2048;

/// The longest DNS name; some resolvers abort on longer search paths.
const MAX_NAME: usize = 253;

/// The cluster's own DNS.
#[derive(Clone, Debug, Default)]
pub struct ClusterDns {
    /// Its addresses; none if it is not set up.
    pub servers: Vec<IpAddr>,
    /// The cluster's domain (`cluster.local`).
    pub domain: String,
}

/// The host's resolver, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostDns {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

/// A host's `resolv.conf` that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ResolverError(&'static str);

/// What a Pod's sandbox is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolver {
    /// For the runtime.
    pub config: DnsConfig,
    /// To be recorded about the Pod.
    pub warnings: Vec<ResolverWarning>,
}

/// An event of type Warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverWarning {
    /// Upstream's reason.
    pub reason: &'static str,
    /// Upstream's message.
    pub message: String,
}

impl HostDns {
    /// Of the text of a `resolv.conf`.
    ///
    /// # Errors
    ///
    /// If a nameserver line names none.
    pub fn parse(text: &str) -> Result<Self, ResolverError> {
        let mut host = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().ok_or(ResolverError("nameserver list is empty"))?;
                    host.servers.push(server.to_owned());
                }
                // With and without a dot at the end it is the same domain; the root alone keeps its dot.
                Some("search") => {
                    let domain = |word: &str| match word {
                        "." => word.to_owned(),
                        _ => word.strip_suffix('.').unwrap_or(word).to_owned(),
                    };
                    host.searches = words.map(domain).collect();
                }
                Some("options") => host.options = words.map(str::to_owned).collect(),
                Some(_) | None => {}
            }
        }
        Ok(host)
    }
}

/// How names are to be resolved, seen from the Pod.
enum Policy {
    Cluster,
    Host,
    None,
}

/// The resolver of `pod`.
#[must_use]
pub fn resolver(pod: &Pod, cluster: &ClusterDns, host: &HostDns) -> Resolver {
    let spec = pod.spec.as_ref();
    let mut warnings = Vec::new();
    let mut config = match policy(pod) {
        Policy::None => DnsConfig::default(),
        Policy::Host => of_host(host),
        Policy::Cluster if cluster.servers.is_empty() => {
            warnings.push(missing_cluster_dns(pod));
            of_host(host)
        }
        Policy::Cluster => DnsConfig {
            servers: cluster.servers.iter().map(ToString::to_string).collect(),
            searches: cluster_searches(pod, cluster, host),
            options: vec!["ndots:5".to_owned()],
        },
    };
    if let Some(own) = spec.and_then(|spec| spec.dns_config.as_ref()) {
        config.servers = joined(config.servers, own.nameservers.as_deref());
        config.searches = joined(config.searches, own.searches.as_deref());
        config.options = with_options(config.options, own.options.as_deref().unwrap_or_default());
    }
    warnings.extend(limit_servers(&mut config.servers));
    warnings.extend(limit_searches(&mut config.searches));
    Resolver { config, warnings }
}

fn policy(pod: &Pod) -> Policy {
    let spec = pod.spec.as_ref();
    let on_host = spec.and_then(|spec| spec.host_network) == Some(true);
    match spec.and_then(|spec| spec.dns_policy.as_deref()) {
        Some("None") => Policy::None,
        Some("Default") => Policy::Host,
        Some("ClusterFirst") if on_host => Policy::Host,
        // What else there is the API has refused; upstream takes it for ClusterFirst.
        _ => Policy::Cluster,
    }
}

fn of_host(host: &HostDns) -> DnsConfig {
    DnsConfig {
        servers: host.servers.clone(),
        searches: host.searches.clone(),
        options: host.options.clone(),
    }
}

fn cluster_searches(pod: &Pod, cluster: &ClusterDns, host: &HostDns) -> Vec<String> {
    let domain = &cluster.domain;
    if domain.is_empty() {
        return host.searches.clone();
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let own = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
    joined(own, Some(&host.searches))
}

/// Both, each entry once.
fn joined(first: Vec<String>, second: Option<&[String]>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(first.len());
    for entry in first.into_iter().chain(second.unwrap_or_default().iter().cloned()) {
        if !joined.contains(&entry) {
            joined.push(entry);
        }
    }
    joined
}

/// The options with the Pod's own, which replace those of the same name.
fn with_options(mut options: Vec<String>, own: &[PodDNSConfigOption]) -> Vec<String> {
    for option in own {
        let name = option.name.as_deref().unwrap_or_default();
        let written = match option.value.as_deref() {
            None | Some("") => name.to_owned(),
            Some(value) => format!("{name}:{value}"),
        };
        match options.iter().position(|known| known.split(':').next() == Some(name)) {
            Some(place) => options[place] = written,
            None => options.push(written),
        }
    }
    options
}

fn limit_servers(servers: &mut Vec<String>) -> Option<ResolverWarning> {
    if servers.len() <= MAX_SERVERS {
        return None;
    }
    servers.truncate(MAX_SERVERS);
    Some(forming(format!(
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
        servers.join(" ")
    )))
}

fn limit_searches(searches: &mut Vec<String>) -> Option<ResolverWarning> {
    let asked = searches.len();
    searches.truncate(MAX_SEARCHES);
    searches.retain(|search| search.len() <= MAX_NAME);
    while searches.join(" ").len() > MAX_SEARCH_LENGTH {
        searches.pop();
    }
    let omitted = searches.len() < asked;
    omitted.then(|| {
        forming(format!(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
            searches.join(" ")
        ))
    })
}

fn forming(message: String) -> ResolverWarning {
    ResolverWarning { reason: "DNSConfigForming", message }
}

fn missing_cluster_dns(pod: &Pod) -> ResolverWarning {
    let part = |field: &Option<String>| field.clone().unwrap_or_default();
    let meta = &pod.metadata;
    let pod = format!("{}_{}({})", part(&meta.name), part(&meta.namespace), part(&meta.uid));
    let message = format!(
        "pod: {pod:?}. kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" \
         policy. Falling back to \"Default\" policy."
    );
    ResolverWarning { reason: "MissingClusterDNS", message }
}

#[cfg(test)]
mod tests;
