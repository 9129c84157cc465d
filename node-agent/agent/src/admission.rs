//! Whether this node takes a pod that was bound to it. Pure; reasons and messages are upstream's.
//!
//! In: the pod, the Node object, the other pods here. Out: a [`Failure`] for a pod that does not fit. The scheduler has
//! seen to it before; but it may have been wrong, or not asked at all.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod};

use crate::config::resources::pod_request;
use crate::config::sandbox::dotted;
use crate::pod::spec;
use crate::pod::state::Failure;
use crate::quantity::{self, Resources};
use crate::status::PendingSize;

/// Sysctls that belong to the pod alone, so that it may set them.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// What messages about rejections begin with.
pub(crate) const REJECTED: &str = "Pod was rejected: ";

/// Judges a pod. `others`: the pods that this node has taken and that have not ended.
pub(crate) fn judge<'a>(
    pod: &Pod,
    node: &Node,
    others: impl Iterator<Item = &'a Pod> + Clone,
) -> Result<(), Failure> {
    check_os(pod)?;
    check_sysctls(pod)?;
    check_resources(pod, node, &others)?;
    check_affinity(pod, node)?;
    check_ports(pod, others)?;
    check_taints(pod, node)
}

/// Judges a pod that runs and asks for another size.
pub(crate) fn judge_size<'a>(
    pod: &Pod,
    node: &Node,
    others: &(impl Iterator<Item = &'a Pod> + Clone),
) -> Result<(), PendingSize> {
    let message = |failure: Failure| failure.message.trim_start_matches(REJECTED).to_owned();
    let never = |failure| PendingSize { reason: PendingSize::INFEASIBLE, message: message(failure) };
    let not_yet = |failure| PendingSize { reason: PendingSize::DEFERRED, message: message(failure) };
    check_resources(pod, node, &std::iter::empty()).map_err(never)?;
    check_resources(pod, node, others).map_err(not_yet)
}

fn rejection(reason: impl Into<String>, message: &str) -> Failure {
    Failure { reason: reason.into(), message: format!("{REJECTED}{message}") }
}

/// The reason of the event about a rejection. Events have reasons from a list; a resource of another node's kind gets
/// the general one.
pub(crate) fn event_reason(reason: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "NodeAffinity",
        "NodePorts",
        "OutOfcpu",
        "OutOfephemeral-storage",
        "OutOfmemory",
        "OutOfpods",
        "PodOSNotSupported",
        "SysctlForbidden",
        "TaintToleration",
    ];
    KNOWN.into_iter().find(|known| *known == reason).unwrap_or("UnexpectedAdmissionError")
}

fn check_os(pod: &Pod) -> Result<(), Failure> {
    let spec = spec::spec(pod);
    if spec.os.as_ref().is_some_and(|os| os.name != "linux") {
        let message = "Failed to admit pod as the OS field doesn't match node OS";
        return Err(rejection("PodOSNotSupported", message));
    }
    let label = spec.node_selector.as_ref().and_then(|selector| selector.get("kubernetes.io/os"));
    if label.is_some_and(|os| os != "linux") {
        let message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
        return Err(rejection("PodOSSelectorNodeLabelDoesNotMatch", message));
    }
    Ok(())
}

fn check_sysctls(pod: &Pod) -> Result<(), Failure> {
    let context = spec::spec(pod).security_context.as_ref();
    for sysctl in context.into_iter().flat_map(|it| it.sysctls.iter().flatten()) {
        let name = dotted(&sysctl.name);
        let is_nodes = (name.starts_with("net.") && spec::is_host_network(pod))
            || (name.starts_with("kernel.") && spec::spec(pod).host_ipc == Some(true));
        if is_nodes || !SAFE_SYSCTLS.contains(&name.as_str()) {
            let text = format!("forbidden sysctl: {:?} not allowlisted", sysctl.name);
            return Err(rejection("SysctlForbidden", &text));
        }
    }
    Ok(())
}

/// How an amount is counted: CPU in thousandths, all else in units.
fn amount(resource: &str) -> fn(Option<&Resources>, &str) -> i64 {
    if resource == "cpu" { quantity::thousandths_of } else { quantity::units_of }
}

fn check_resources<'a>(
    pod: &Pod,
    node: &Node,
    others: &(impl Iterator<Item = &'a Pod> + Clone),
) -> Result<(), Failure> {
    let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    let capacity = |resource| amount(resource)(allocatable, resource);
    let pods = i64::try_from(others.clone().count()).unwrap_or(i64::MAX);
    fits("pods", 1, pods, capacity("pods"))?;
    for resource in requested_resources(pod) {
        let requested = pod_request(pod, resource, amount(resource));
        // Extended resources of no kind that the node has are not for it to judge.
        if requested > 0 && allocatable.is_some_and(|all| all.contains_key(resource)) {
            let used = others.clone().map(|other| pod_request(other, resource, amount(resource)));
            fits(resource, requested, used.fold(0, i64::saturating_add), capacity(resource))?;
        }
    }
    Ok(())
}

fn requested_resources(pod: &Pod) -> Vec<&str> {
    let containers = spec::init_containers(pod).iter().chain(spec::containers(pod));
    let requests = containers.filter_map(|it| it.resources.as_ref()?.requests.as_ref());
    let own = spec::spec(pod).resources.as_ref().and_then(|it| it.requests.as_ref());
    let all = requests.chain(own).chain(spec::spec(pod).overhead.as_ref());
    let mut names: Vec<&str> = all.flat_map(|it| it.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn fits(resource: &str, requested: i64, used: i64, capacity: i64) -> Result<(), Failure> {
    if requested <= capacity.saturating_sub(used) {
        return Ok(());
    }
    let message = format!(
        "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
    );
    Err(rejection(format!("OutOf{resource}"), &message))
}

fn check_affinity(pod: &Pod, node: &Node) -> Result<(), Failure> {
    let spec = spec::spec(pod);
    let empty = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
    let selector = spec.node_selector.as_ref().unwrap_or(&empty);
    let is_selected = selector.iter().all(|(key, value)| labels.get(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|it| it.node_affinity.as_ref());
    let required = affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    let is_required =
        required.is_none_or(|it| it.node_selector_terms.iter().any(|term| term_matches(term, node)));
    if is_selected && is_required {
        return Ok(());
    }
    let message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    Err(rejection("NodeAffinity", message))
}

fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let label =
        |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    let field = |key: &str| (key == "metadata.name").then_some(node.metadata.name.as_deref()).flatten();
    expressions.iter().all(|it| requirement_matches(it, label(&it.key)))
        && fields.iter().all(|it| requirement_matches(it, field(&it.key)))
}

fn requirement_matches(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let is_listed = value.is_some_and(|value| values.iter().any(|it| it == value));
    let compare = |is: fn(&i64, &i64) -> bool| {
        let number = value.and_then(|it| it.parse::<i64>().ok());
        let bound = values.first().and_then(|it| it.parse::<i64>().ok());
        number.zip(bound).is_some_and(|(number, bound)| is(&number, &bound))
    };
    match requirement.operator.as_str() {
        "In" => is_listed,
        "NotIn" => !is_listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(i64::gt),
        "Lt" => compare(i64::lt),
        _ => false,
    }
}

/// A port of the node: protocol, address, number.
type HostPort<'a> = (&'a str, &'a str, i32);

fn host_ports(pod: &Pod) -> impl Iterator<Item = HostPort<'_>> {
    let on_node = spec::is_host_network(pod);
    let sidecars = spec::init_containers(pod).iter().filter(|it| spec::is_sidecar(it));
    let ports = sidecars.chain(spec::containers(pod)).flat_map(|it| it.ports.iter().flatten());
    ports.filter_map(move |port| {
        let number =
            port.host_port.filter(|it| *it > 0).or_else(|| on_node.then_some(port.container_port))?;
        let address = port.host_ip.as_deref().filter(|it| !it.is_empty()).unwrap_or("0.0.0.0");
        Some((port.protocol.as_deref().unwrap_or("TCP"), address, number))
    })
}

fn check_ports<'a>(pod: &Pod, others: impl Iterator<Item = &'a Pod>) -> Result<(), Failure> {
    let taken: Vec<HostPort<'_>> = others.flat_map(host_ports).collect();
    let collides = |a: &HostPort<'_>, b: &HostPort<'_>| {
        a.0 == b.0 && a.2 == b.2 && (a.1 == b.1 || a.1 == "0.0.0.0" || b.1 == "0.0.0.0")
    };
    if host_ports(pod).any(|wanted| taken.iter().any(|it| collides(&wanted, it))) {
        let message =
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
        return Err(rejection("NodePorts", message));
    }
    Ok(())
}

fn check_taints(pod: &Pod, node: &Node) -> Result<(), Failure> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let tolerations = spec::spec(pod).tolerations.as_deref().unwrap_or_default();
    let untolerated = taints.iter().filter(|taint| taint.effect == "NoExecute").find(|taint| {
        !tolerations.iter().any(|it| {
            let is_effect =
                it.effect.as_deref().is_none_or(|effect| effect.is_empty() || effect == taint.effect);
            let is_key = it.key.as_deref().is_none_or(|key| key.is_empty() || key == taint.key);
            let exists = it.operator.as_deref() == Some("Exists");
            is_effect
                && is_key
                && (exists
                    || it.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default())
        })
    });
    match untolerated {
        None => Ok(()),
        Some(taint) => {
            let value = taint.value.as_deref().unwrap_or_default();
            let message = format!(
                "Predicate TaintToleration failed: node(s) had untolerated taint(s) {{{}: {value}}}",
                taint.key
            );
            Err(rejection("TaintToleration", &message))
        }
    }
}

#[cfg(test)]
mod tests;
