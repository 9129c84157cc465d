//! What a pod gets that says nothing.
//!
//! Source: `pkg/apis/core/v1/defaults.go`. Defaults that the schema's table has are not repeated here.

use keelson_api_schema::quantity::Quantity;
use serde_json::{Map, Value, json};

/// Which of a pod's lists are containers.
pub(super) const CONTAINER_LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// File mode of what is projected into volumes: 0644.
const MODE: i64 = 0o644;

/// How long a projected token lives, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// The defaults of a pod's spec that those of a pod template lack.
pub(super) fn pod_only(spec: &mut Value) {
    unset(spec, "enableServiceLinks", true);
    let on_host = spec["hostNetwork"] == true;
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            requests_from_limits(container);
            if on_host {
                items(container, "ports").for_each(host_port);
            }
        }
    }
    pod_requests(spec);
}

/// The defaults of a pod's spec, in a template or not.
pub(super) fn spec(spec: &mut Value) {
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
    ] {
        unset(spec, field, value);
    }
    service_account(spec);
    for list in CONTAINER_LISTS {
        items(spec, list).for_each(container);
    }
    items(spec, "volumes").for_each(volume);
    round_up(spec, "overhead");
    resources(spec);
}

/// The older name of `serviceAccountName` says the same.
pub(super) fn service_account(spec: &mut Value) {
    let account = match spec["serviceAccountName"].as_str() {
        Some(name) if !name.is_empty() => spec["serviceAccountName"].clone(),
        _ => spec["serviceAccount"].clone(),
    };
    if account.as_str().is_some_and(|name| !name.is_empty()) {
        spec["serviceAccountName"] = account.clone();
        spec["serviceAccount"] = account;
    }
}

fn container(container: &mut Value) {
    let policy = pull_policy(container["image"].as_str().unwrap_or_default());
    unset(container, "imagePullPolicy", policy);
    unset(container, "terminationMessagePath", "/dev/termination-log");
    unset(container, "terminationMessagePolicy", "File");
    resources(container);
    for variable in items(container, "env") {
        field_ref(variable.pointer_mut("/valueFrom/fieldRef"));
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(check) = container.get_mut(name).filter(|check| check.is_object()) {
            probe(check);
        }
    }
    for hook in ["/lifecycle/postStart/httpGet", "/lifecycle/preStop/httpGet"] {
        http_get(container.pointer_mut(hook));
    }
}

/// Images whose tag may move are pulled each time.
fn pull_policy(image: &str) -> &'static str {
    if image.contains('@') {
        return "IfNotPresent";
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn probe(probe: &mut Value) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if probe[field].as_i64().unwrap_or(0) == 0 {
            probe[field] = json!(value);
        }
    }
    http_get(probe.get_mut("httpGet"));
}

fn http_get(action: Option<&mut Value>) {
    if let Some(action) = action.filter(|action| action.is_object()) {
        unset(action, "path", "/");
        unset(action, "scheme", "HTTP");
    }
}

fn field_ref(selector: Option<&mut Value>) {
    if let Some(selector) = selector.filter(|selector| selector.is_object()) {
        unset(selector, "apiVersion", "v1");
    }
}

fn volume(volume: &mut Value) {
    let Value::Object(fields) = volume else { return };
    if !fields.iter().any(|(name, source)| name != "name" && !source.is_null()) {
        fields.insert("emptyDir".to_owned(), json!({}));
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = fields.get_mut(kind).filter(|source| source.is_object()) {
            unset(source, "defaultMode", MODE);
        }
    }
    if let Some(path) = fields.get_mut("hostPath") {
        host_path_type(path);
    }
    if let Some(image) = fields.get_mut("image").filter(|image| image.is_object()) {
        let policy = pull_policy(image["reference"].as_str().unwrap_or_default());
        unset(image, "pullPolicy", policy);
    }
    if let Some(claim) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec") {
        unset(claim, "volumeMode", "Filesystem");
    }
    projections(volume);
}

/// A path of the node that may be anything says so.
pub(in crate::kinds) fn host_path_type(path: &mut Value) {
    if path.is_object() && path.get("type").is_none_or(Value::is_null) {
        path["type"] = json!("");
    }
}

fn projections(volume: &mut Value) {
    for file in volume.get_mut("downwardAPI").into_iter().flat_map(|source| items(source, "items")) {
        field_ref(file.get_mut("fieldRef"));
    }
    let Some(projected) = volume.get_mut("projected").filter(|source| source.is_object()) else { return };
    for source in items(projected, "sources") {
        if let Some(token) = source.get_mut("serviceAccountToken").filter(|token| token.is_object()) {
            unset(token, "expirationSeconds", TOKEN_SECONDS);
        }
        for file in source.get_mut("downwardAPI").into_iter().flat_map(|source| items(source, "items")) {
            field_ref(file.get_mut("fieldRef"));
        }
    }
}

fn host_port(port: &mut Value) {
    if port["hostPort"].as_i64().unwrap_or(0) == 0 {
        port["hostPort"] = port["containerPort"].clone();
    }
}

/// Who limits a resource and does not say how much he needs needs all of it.
fn requests_from_limits(container: &mut Value) {
    let Some(Value::Object(limits)) = container.pointer("/resources/limits") else { return };
    let limits = limits.clone();
    let Some(resources) = container.get_mut("resources") else { return };
    if !resources["requests"].is_object() {
        resources["requests"] = json!({});
    }
    for (name, limit) in limits {
        if resources["requests"].get(&name).is_none() {
            resources["requests"][name] = limit;
        }
    }
}

/// The same for the pod as a whole; there the sum of what its containers ask for comes first.
fn pod_requests(spec: &mut Value) {
    let Some(Value::Object(limits)) = spec.pointer("/resources/limits") else { return };
    let mut requests = spec.pointer("/resources/requests").cloned().unwrap_or_else(|| json!({}));
    for (name, limit) in limits.clone() {
        let known = requests.get(&name).is_some_and(|amount| !amount.is_null());
        if !known && requests.is_object() {
            requests[&name] = container_sum(spec, &name).map_or(limit, Value::from);
        }
    }
    spec["resources"]["requests"] = requests;
}

fn container_sum(spec: &Value, name: &str) -> Option<String> {
    let containers = spec["containers"].as_array()?.iter();
    let amounts = containers.filter_map(|container| container["resources"]["requests"][name].as_str());
    let sum = amounts.filter_map(|text| Quantity::parse(text).ok()).reduce(|one, other| one + other)?;
    Some(sum.to_string())
}

fn resources(owner: &mut Value) {
    if let Some(resources) = owner.get_mut("resources") {
        round_up(resources, "limits");
        round_up(resources, "requests");
    }
}

/// Nothing is finer than a thousandth.
pub(in crate::kinds) fn round_up(owner: &mut Value, list: &str) {
    let Some(Value::Object(amounts)) = owner.get_mut(list) else { return };
    for amount in amounts.values_mut() {
        let Some(Ok(exact)) = amount.as_str().map(Quantity::parse) else { continue };
        let rounded = Quantity::from_milli(exact.milli_value(), exact.format());
        // What does not fit into 64 bits of thousandths is no fraction worth rounding.
        if rounded != exact && exact.milli_value().checked_abs().is_some_and(|milli| milli < i64::MAX) {
            *amount = rounded.to_string().into();
        }
    }
}

/// The items of a list that is a field of something.
fn items<'v>(value: &'v mut Value, list: &str) -> impl Iterator<Item = &'v mut Value> + use<'v> {
    let items = value.get_mut(list).and_then(Value::as_array_mut).map(|items| items.iter_mut());
    items.into_iter().flatten().filter(|item| item.is_object())
}

/// Sets a field that is absent, null or empty text.
fn unset(object: &mut Value, field: &str, value: impl Into<Value>) {
    let Value::Object(fields) = object else { return };
    if is_unset(fields, field) {
        fields.insert(field.to_owned(), value.into());
    }
}

fn is_unset(fields: &Map<String, Value>, field: &str) -> bool {
    match fields.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_decides_when_to_pull() {
        for image in ["nginx", "nginx:latest", "registry:5000/nginx"] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        for image in ["nginx:1", "registry:5000/nginx:1", "nginx@sha256:abc", "nginx:latest@sha256:abc"] {
            assert_eq!(pull_policy(image), "IfNotPresent", "{image}");
        }
    }

    #[test]
    fn limits_become_requests_and_host_ports_follow() {
        let mut pod = json!({"hostNetwork": true, "containers": [{
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
            "ports": [{"containerPort": 80}]
        }]});
        pod_only(&mut pod);
        let container = &pod["containers"][0];
        assert_eq!(container["resources"]["requests"], json!({"cpu": "500m", "memory": "1Gi"}));
        assert_eq!(container["ports"][0]["hostPort"], 80);
        assert_eq!(pod["enableServiceLinks"], true);
    }

    #[test]
    fn a_pod_asks_for_what_its_containers_ask_for() {
        let amount = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let mut pod = json!({
            "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
            "containers": [amount("500m"), amount("300m")]
        });
        pod_only(&mut pod);
        assert_eq!(pod["resources"]["requests"], json!({"cpu": "800m", "memory": "1Gi"}));
    }

    #[test]
    fn fractions_of_a_thousandth_are_rounded_up() {
        let mut owner = json!({"limits": {"cpu": "100u", "memory": "1Gi"}});
        round_up(&mut owner, "limits");
        assert_eq!(owner["limits"], json!({"cpu": "1m", "memory": "1Gi"}));
    }

    #[test]
    fn volumes_have_a_source_and_a_mode() {
        let mut pod = json!({"volumes": [
            {"name": "a"},
            {"name": "b", "secret": {"secretName": "s"}},
            {"name": "c", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"name": "d", "hostPath": {"path": "/x"}}
        ]});
        spec(&mut pod);
        assert_eq!(pod["volumes"][0], json!({"name": "a", "emptyDir": {}}));
        assert_eq!(pod["volumes"][1]["secret"]["defaultMode"], 420);
        assert_eq!(
            pod["volumes"][2]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"],
            3600
        );
        assert_eq!(pod["volumes"][3]["hostPath"]["type"], "");
    }
}
