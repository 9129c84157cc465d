//! What objects use of a namespace's quotas, and whether there is room for more.
//!
//! In: ResourceQuotas and objects. Out: usage by name, and refusals in upstream's words.
//!
//! Deliberately absent: counting what is there and writing it down, which is the server's and a controller's; devices by
//! class.
//!
//! Source: `pkg/quota/v1/evaluator/core`, `k8s.io/apiserver/pkg/admission/plugin/resourcequota`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    kinds::pod::qos,
    object::Object,
    pod_resources::{Amounts, Side, add, amounts, one, total},
    resources::{RESOURCES, ResourceInfo, Storage},
};

/// Resources of which quotas count objects by their plural alone.
const BY_PLURAL: [&str; 7] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];

/// What each container has to say where a quota limits it.
const TO_SPECIFY: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// How the amounts of claims of one class of storage are called.
const OF_CLASS: &str = ".storageclass.storage.k8s.io/";

/// The resources whose objects quotas can count.
pub fn counted() -> impl Iterator<Item = &'static ResourceInfo> {
    RESOURCES
        .iter()
        .filter(|resource| resource.is_namespaced() && matches!(resource.storage, Storage::Stored(_)))
}

/// Whether objects of a resource can use anything that a quota limits.
pub fn concerns(quota: &Object, resource: &ResourceInfo) -> bool {
    hard(quota).keys().any(|name| uses(resource, name))
}

/// What a quota limits, and to how much.
pub fn hard(quota: &Object) -> Amounts {
    amounts(quota.get(&["spec", "hard"]).unwrap_or(&Value::Null))
}

fn uses(resource: &ResourceInfo, name: &str) -> bool {
    if name.strip_prefix("count/").is_some_and(|counted| counted == resource.qualified()) {
        return true;
    }
    match (resource.group, resource.plural) {
        ("", "pods") => match name {
            "pods" | "cpu" | "memory" | "ephemeral-storage" => true,
            "requests.storage" => false,
            _ => ["requests.", "limits.", "hugepages-"].iter().any(|start| name.starts_with(start)),
        },
        ("", "services") => matches!(name, "services" | "services.loadbalancers" | "services.nodeports"),
        ("", "persistentvolumeclaims") => {
            matches!(name, "persistentvolumeclaims" | "requests.storage") || name.contains(OF_CLASS)
        }
        ("", plural) => name == plural && BY_PLURAL.contains(&plural),
        _ => false,
    }
}

/// What an object uses.
pub fn usage(resource: &ResourceInfo, object: &Object) -> Amounts {
    let mut used = Amounts::from([(format!("count/{}", resource.qualified()), one())]);
    match (resource.group, resource.plural) {
        // Who is over uses nothing, but is there.
        ("", "pods") if matches!(object.text(&["status", "phase"]), "Failed" | "Succeeded") => {}
        ("", "pods") => {
            used.insert("pods".to_owned(), one());
            pod(object, &mut used);
        }
        ("", "services") => service(object, &mut used),
        ("", "persistentvolumeclaims") => claim(object, &mut used),
        ("", plural) if BY_PLURAL.contains(&plural) => drop(used.insert(plural.to_owned(), one())),
        _ => {}
    }
    used
}

fn pod(object: &Object, used: &mut Amounts) {
    let spec = object.get(&["spec"]).unwrap_or(&Value::Null);
    used.extend(compute(&total(spec, Side::Requests), &total(spec, Side::Limits)));
}

/// Amounts under the names that quotas have for them.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::new();
    for (name, amount) in requests {
        let is_native = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if is_native || name.starts_with("hugepages-") {
            used.insert(name.clone(), *amount);
        }
        used.insert(format!("requests.{name}"), *amount);
    }
    for (name, amount) in limits {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}"), *amount);
        }
    }
    used
}

fn service(object: &Object, used: &mut Amounts) {
    let ports = object.list(&["spec", "ports"]).len();
    let own_ports = object.get(&["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false));
    let (ports, balancers) = match object.text(&["spec", "type"]) {
        "NodePort" => (ports, 0),
        "LoadBalancer" if own_ports => (ports, 1),
        "LoadBalancer" => {
            let chosen = |port: &&Value| port["nodePort"].as_i64().unwrap_or(0) != 0;
            (object.list(&["spec", "ports"]).iter().filter(chosen).count(), 1)
        }
        _ => (0, 0),
    };
    for (name, count) in
        [("services", 1), ("services.nodeports", ports), ("services.loadbalancers", balancers)]
    {
        let count = one().checked_mul(i64::try_from(count).unwrap_or(i64::MAX)).unwrap_or_else(one);
        used.insert(name.to_owned(), count);
    }
}

fn claim(object: &Object, used: &mut Amounts) {
    used.insert("persistentvolumeclaims".to_owned(), one());
    let requests = amounts(object.get(&["spec", "resources", "requests"]).unwrap_or(&Value::Null));
    let size = requests.get("storage").copied();
    let class = object.text(&["spec", "storageClassName"]);
    if !class.is_empty() {
        used.insert(format!("{class}{OF_CLASS}persistentvolumeclaims"), one());
    }
    if let Some(size) = size {
        used.insert("requests.storage".to_owned(), size);
        if !class.is_empty() {
            used.insert(format!("{class}{OF_CLASS}requests.storage"), size);
        }
    }
}

/// Whether a quota is about an object: all of its scopes are.
pub fn covers(quota: &Object, resource: &ResourceInfo, object: &Object) -> bool {
    let plain = quota.list(&["spec", "scopes"]).iter().filter_map(Value::as_str);
    let selected = quota.list(&["spec", "scopeSelector", "matchExpressions"]).iter();
    let nothing = &Value::Null;
    let mut all = plain.map(|scope| (scope, "Exists", nothing)).chain(selected.map(|requirement| {
        let text = |field: &str| requirement[field].as_str().unwrap_or_default();
        (text("scopeName"), text("operator"), &requirement["values"])
    }));
    all.all(|(scope, operator, values)| match (resource.group, resource.plural) {
        ("", "pods") => pod_in_scope(object, scope, operator, values),
        ("", "persistentvolumeclaims") => {
            let class = object.text(&["spec", "volumeAttributesClassName"]);
            scope == "VolumeAttributesClass" && selects(class, operator, values)
        }
        _ => false,
    })
}

fn pod_in_scope(pod: &Object, scope: &str, operator: &str, values: &Value) -> bool {
    let spec = pod.get(&["spec"]).unwrap_or(&Value::Null);
    let ends = spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    let best_effort = || qos::class(spec) == "BestEffort";
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "PriorityClass" => selects(pod.text(&["spec", "priorityClassName"]), operator, values),
        "CrossNamespacePodAffinity" => crosses_namespaces(spec),
        _ => false,
    }
}

fn selects(value: &str, operator: &str, values: &Value) -> bool {
    let listed = values.as_array().is_some_and(|values| values.iter().any(|other| other == value));
    match operator {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => !value.is_empty(),
        "DoesNotExist" => value.is_empty(),
        _ => false,
    }
}

/// Whether a pod wants to be near, or far from, pods of other namespaces.
fn crosses_namespaces(spec: &Value) -> bool {
    let kinds = ["podAffinity", "podAntiAffinity"];
    let lists = [
        ("requiredDuringSchedulingIgnoredDuringExecution", false),
        ("preferredDuringSchedulingIgnoredDuringExecution", true),
    ];
    let terms = kinds
        .iter()
        .flat_map(|kind| lists.map(|(list, weighted)| (&spec["affinity"][*kind][list], weighted)));
    terms.into_iter().any(|(terms, weighted)| {
        terms.as_array().into_iter().flatten().any(|term| {
            let term = if weighted { &term["podAffinityTerm"] } else { term };
            let named = term["namespaces"].as_array().is_some_and(|names| !names.is_empty());
            named || !term["namespaceSelector"].is_null()
        })
    })
}

/// Why a pod cannot be counted: its containers do not say how much of something they want that the quota limits.
pub fn unspecified(quota: &Object, pod: &Object) -> Option<String> {
    let limited = hard(quota);
    let needed: BTreeSet<&str> = TO_SPECIFY.into_iter().filter(|name| limited.contains_key(*name)).collect();
    let whole = pod.get(&["spec", "resources"]).unwrap_or(&Value::Null);
    let said = compute(&amounts(&whole["requests"]), &amounts(&whole["limits"]));
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in ["containers", "initContainers"].iter().flat_map(|list| pod.list(&["spec", list])) {
        let resources = &container["resources"];
        let own = compute(&amounts(&resources["requests"]), &amounts(&resources["limits"]));
        let unsaid = needed.iter().filter(|name| !own.contains_key(**name) && !said.contains_key(**name));
        for name in unsaid {
            missing.entry(name).or_default().insert(container["name"].as_str().unwrap_or_default());
        }
    }
    let told = |(name, containers): (&&str, &BTreeSet<&str>)| {
        format!("{name} for: {}", containers.iter().copied().collect::<Vec<_>>().join(","))
    };
    let texts: Vec<String> = missing.iter().map(told).collect();
    let quota = quota.name();
    (!texts.is_empty()).then(|| format!("failed quota: {quota}: must specify {}", texts.join("; ")))
}

/// What of `usage` a quota limits.
pub fn masked(quota: &Object, usage: &Amounts) -> Amounts {
    let hard = hard(quota);
    usage
        .iter()
        .filter(|(name, _)| hard.contains_key(*name))
        .map(|(name, amount)| (name.clone(), *amount))
        .collect()
}

/// What is used once `more` is added to `used`, or why that is too much. Less than before is never too much.
///
/// # Errors
/// The refusal in upstream's words.
pub fn charge(quota: &Object, used: &Amounts, more: &Amounts) -> Result<Amounts, String> {
    let hard = hard(quota);
    let mut after = used.clone();
    add(&mut after, more);
    let exceeded: Vec<&String> = more
        .iter()
        .filter(|(name, amount)| amount.signum() > 0 && after.get(*name) > hard.get(*name))
        .map(|(name, _)| name)
        .collect();
    if exceeded.is_empty() {
        return Ok(after);
    }
    let show = |list: &Amounts| {
        let shown = |name: &&String| {
            let amount = list.get(*name).map_or_else(|| "0".to_owned(), ToString::to_string);
            format!("{name}={amount}")
        };
        exceeded.iter().map(shown).collect::<Vec<_>>().join(",")
    };
    Err(format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        quota.name(),
        show(more),
        show(used),
        show(&hard)
    ))
}

#[cfg(test)]
mod tests;
