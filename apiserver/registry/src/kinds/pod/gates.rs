//! Fields of pods whose features upstream has off, in 1.37, unless somebody turns them on.
//!
//! In: a spec, and what it was. Out: the spec without such fields, but for features that it used before already: those
//! stay usable, so that what was stored once can still be written.
//!
//! Deliberately absent: switches; no feature that is off here can be turned on.
//!
//! Source: `dropDisabledFields` of `pkg/api/pod`, `pkg/features`.

use serde_json::Value;

use super::default::CONTAINER_LISTS;

/// The fields of each feature. `*` is every item of a list, `@` every container.
const FEATURES: &[&[&str]] = &[
    // GenericWorkload
    &["schedulingGroup"],
    // EvictionRequestAPI
    &["evictionResponders"],
    // Modes of empty directories
    &["volumes.*.emptyDir.mode"],
    // Owners of projected files
    &[
        "volumes.*.configMap.defaultUser",
        "volumes.*.configMap.items.*.user",
        "volumes.*.secret.defaultUser",
        "volumes.*.secret.items.*.user",
        "volumes.*.downwardAPI.defaultUser",
        "volumes.*.downwardAPI.items.*.user",
        "volumes.*.projected.defaultUser",
        "volumes.*.projected.sources.*.configMap.items.*.user",
        "volumes.*.projected.sources.*.secret.items.*.user",
        "volumes.*.projected.sources.*.downwardAPI.items.*.user",
        "volumes.*.projected.sources.*.serviceAccountToken.user",
        "volumes.*.projected.sources.*.clusterTrustBundle.user",
        "volumes.*.projected.sources.*.podCertificate.user",
    ],
    // Options of bind mounts
    &["@.volumeMounts.*.bindMountOptions"],
    // HTTP/2 in probes
    &[
        "@.livenessProbe.httpGet.protocol",
        "@.readinessProbe.httpGet.protocol",
        "@.startupProbe.httpGet.protocol",
        "@.lifecycle.postStart.httpGet.protocol",
        "@.lifecycle.preStop.httpGet.protocol",
    ],
    // TLS in gRPC probes
    &["@.livenessProbe.grpc.mode", "@.readinessProbe.grpc.mode", "@.startupProbe.grpc.mode"],
    // ContainerStopSignals
    &["@.lifecycle.stopSignal"],
];

/// Takes from a spec what is off and what `old` does not use.
pub(super) fn drop_disabled(spec: &mut Value, old: Option<&Value>) {
    for fields in FEATURES {
        let paths: Vec<Vec<&str>> = fields.iter().flat_map(|field| expanded(field)).collect();
        if old.is_some_and(|old| paths.iter().any(|path| has(old, path))) {
            continue;
        }
        for path in &paths {
            remove(spec, path);
        }
    }
}

/// The steps of a field's path, once for each list of containers where it is in one.
fn expanded<'f>(field: &'f str) -> Vec<Vec<&'f str>> {
    let steps = |rest: &'f str| rest.split('.').collect::<Vec<_>>();
    match field.strip_prefix("@.") {
        Some(rest) => CONTAINER_LISTS.iter().map(|list| [vec![*list, "*"], steps(rest)].concat()).collect(),
        None => vec![steps(field)],
    }
}

fn has(value: &Value, path: &[&str]) -> bool {
    match path {
        [] => !value.is_null(),
        ["*", rest @ ..] => value.as_array().is_some_and(|items| items.iter().any(|item| has(item, rest))),
        [field, rest @ ..] => value.get(*field).is_some_and(|inner| has(inner, rest)),
    }
}

/// Removes a field, and says whether it was there. A lifecycle that has nothing left goes with it.
fn remove(value: &mut Value, path: &[&str]) -> bool {
    match path {
        [] => false,
        [field] => value.as_object_mut().is_some_and(|fields| fields.remove(*field).is_some()),
        ["*", rest @ ..] => {
            let items = value.as_array_mut().map_or(&mut [][..], Vec::as_mut_slice);
            items.iter_mut().fold(false, |found, item| remove(item, rest) | found)
        }
        [field, rest @ ..] => {
            let Some(inner) = value.get_mut(*field) else { return false };
            let found = remove(inner, rest);
            if found && *field == "lifecycle" && inner.as_object().is_some_and(|fields| fields.is_empty()) {
                remove(value, &[field]);
            }
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{object::Object, resources};

    /// A spec that uses everything that is off.
    fn everything() -> Value {
        let file = json!({"path": "f", "user": 5});
        json!({
            "schedulingGroup": {"podGroupName": "a"},
            "evictionResponders": [{"name": "a.b/c"}],
            "volumes": [
                {"emptyDir": {"mode": 511}},
                {"configMap": {"name": "x", "defaultUser": 5, "items": [file]}},
                {"secret": {"secretName": "x", "defaultUser": 5, "items": [file]}},
                {"downwardAPI": {"defaultUser": 5, "items": [file]}},
                {"projected": {"defaultUser": 5, "sources": [
                    {"secret": {"items": [file]}}, {"configMap": {"items": [file]}}, {"downwardAPI": {"items": [file]}},
                    {"serviceAccountToken": file}, {"clusterTrustBundle": file}, {"podCertificate": {"user": 5}}
                ]}}
            ],
            "initContainers": [{"lifecycle": {"stopSignal": "SIGHUP"}}],
            "containers": [{
                "volumeMounts": [{"name": "v", "bindMountOptions": ["noexec"]}],
                "livenessProbe": {"httpGet": {"port": 80, "protocol": "HTTP2"}},
                "readinessProbe": {"grpc": {"port": 80, "mode": "TLS"}},
                "lifecycle": {"stopSignal": "SIGHUP", "preStop": {"httpGet": {"port": 80, "protocol": "HTTP2"}}}
            }]
        })
    }

    #[test]
    fn what_is_off_is_dropped() {
        let mut spec = everything();
        drop_disabled(&mut spec, None);
        let file = json!({"path": "f"});
        assert_eq!(
            spec,
            json!({
                "volumes": [
                    {"emptyDir": {}},
                    {"configMap": {"name": "x", "items": [file]}},
                    {"secret": {"secretName": "x", "items": [file]}},
                    {"downwardAPI": {"items": [file]}},
                    {"projected": {"sources": [
                        {"secret": {"items": [file]}}, {"configMap": {"items": [file]}},
                        {"downwardAPI": {"items": [file]}}, {"serviceAccountToken": file},
                        {"clusterTrustBundle": file}, {"podCertificate": {}}
                    ]}}
                ],
                "initContainers": [{}],
                "containers": [{
                    "volumeMounts": [{"name": "v"}],
                    "livenessProbe": {"httpGet": {"port": 80}},
                    "readinessProbe": {"grpc": {"port": 80}},
                    "lifecycle": {"preStop": {"httpGet": {"port": 80}}}
                }]
            })
        );
    }

    #[test]
    fn whoever_makes_pods_drops_it_too() {
        let spec: &[&str] = &["spec"];
        let template: &[&str] = &["spec", "template", "spec"];
        for (group, name, path) in [
            ("", "pods", spec),
            ("", "podtemplates", &["template", "spec"]),
            ("", "replicationcontrollers", template),
            ("apps", "daemonsets", template),
            ("apps", "deployments", template),
            ("apps", "replicasets", template),
            ("apps", "statefulsets", template),
            ("batch", "jobs", template),
            ("batch", "cronjobs", &["spec", "jobTemplate", "spec", "template", "spec"]),
        ] {
            let rules = resources::find(group, "v1", name).unwrap().strategy;
            let field = [path, &["schedulingGroup"]].concat();
            let mut old = Object::default();
            old.set(&field, json!({"podGroupName": "a"}));
            let stored = old.clone();
            rules.prepare_create(&mut old);
            assert_eq!((old.get(&field), old.get(path)), (None, Some(&json!({}))), "{name}");
            let mut new = old.clone();
            new.set(&field, json!({"podGroupName": "a"}));
            rules.prepare_update(&mut new, &old);
            assert_eq!((new.get(&field), new.generation()), (None, 1), "{name}");
            let mut new = stored.clone();
            rules.prepare_update(&mut new, &stored);
            assert!(new.get(&field).is_some(), "{name}");
        }
    }

    #[test]
    fn what_was_used_before_stays_usable() {
        let mut spec = everything();
        drop_disabled(&mut spec, Some(&everything()));
        assert_eq!(spec, everything());
        let old = json!({"containers": [{"lifecycle": {"stopSignal": "SIGTERM"}}], "schedulingGroup": null});
        drop_disabled(&mut spec, Some(&old));
        assert_eq!(spec["containers"][0]["lifecycle"]["stopSignal"], "SIGHUP");
        assert_eq!(spec.get("schedulingGroup"), None);
    }
}
