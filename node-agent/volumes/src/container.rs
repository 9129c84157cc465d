//! Looking through the containers of a Pod. Pure.
//!
//! In: a Pod. Out: which volumes are used, which mounts there are, as which user the Pod runs.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, VolumeMount};

/// Init containers and containers.
pub(crate) fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let main = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    init.iter().chain(main)
}

/// The volumeMounts of each container, ephemeral ones included.
pub(crate) fn mounts(pod: &Pod) -> impl Iterator<Item = &[VolumeMount]> {
    let ephemeral =
        pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default();
    let of_containers = containers(pod).map(|it| it.volume_mounts.as_deref().unwrap_or_default());
    of_containers.chain(ephemeral.iter().map(|it| it.volume_mounts.as_deref().unwrap_or_default()))
}

/// The names of the volumes that some container needs. The others are never set up.
pub(crate) fn used_volumes(pod: &Pod) -> BTreeSet<&str> {
    let mounted = mounts(pod).flatten().map(|mount| mount.name.as_str());
    let ephemeral =
        pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default();
    let variables = containers(pod)
        .map(|it| it.env.as_deref().unwrap_or_default())
        .chain(ephemeral.iter().map(|it| it.env.as_deref().unwrap_or_default()))
        .flatten();
    mounted.chain(variables.filter_map(file_volume)).collect()
}

fn file_volume(variable: &EnvVar) -> Option<&str> {
    Some(variable.value_from.as_ref()?.file_key_ref.as_ref()?.volume_name.as_str())
}

/// The one user as whom every container of the Pod runs, if they all name the same one. It owns tokens, so that it
/// alone can read them.
pub(crate) fn common_user(pod: &Pod) -> Option<u32> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()?.run_as_user);
    let mut common = None;
    for container in containers(pod) {
        let own = container.security_context.as_ref().and_then(|context| context.run_as_user);
        let user = own.or(of_pod)?;
        if common.is_some_and(|common| common != user) {
            return None;
        }
        common = Some(user);
    }
    common.and_then(|user| u32::try_from(user).ok())
}

/// The Pod's `fsGroup`.
pub(crate) fn fs_group(pod: &Pod) -> Option<u32> {
    let group = pod.spec.as_ref()?.security_context.as_ref()?.fs_group?;
    u32::try_from(group).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(spec: &Value) -> Pod {
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    #[test]
    fn a_volume_is_used_by_a_mount_or_by_a_variable_from_a_file() {
        let pod = pod(&json!({
            "initContainers": [{"name": "i", "volumeMounts": [{"name": "a", "mountPath": "/a"}]}],
            "containers": [{"name": "c", "env": [
                {"name": "X", "valueFrom": {"fileKeyRef": {"volumeName": "b", "path": "p", "key": "k"}}}
            ]}],
            "ephemeralContainers": [{"name": "e", "volumeMounts": [{"name": "d", "mountPath": "/d"}]}],
            "volumes": [{"name": "a"}, {"name": "b"}, {"name": "unused"}, {"name": "d"}],
        }));
        assert_eq!(used_volumes(&pod).into_iter().collect::<Vec<_>>(), ["a", "b", "d"]);
    }

    #[test]
    fn the_common_user_is_the_one_that_all_containers_name() {
        let user = |pod_user: Value, users: &[Value]| {
            let containers: Vec<Value> = users
                .iter()
                .map(|user| json!({"name": "c", "securityContext": {"runAsUser": user}}))
                .collect();
            common_user(&pod(&json!({"securityContext": {"runAsUser": pod_user}, "containers": containers})))
        };
        assert_eq!(user(Value::Null, &[json!(1), json!(1)]), Some(1));
        assert_eq!(user(json!(1), &[Value::Null, json!(1)]), Some(1));
        assert_eq!(user(Value::Null, &[json!(1), json!(2)]), None);
        assert_eq!(user(Value::Null, &[json!(1), Value::Null]), None);
        assert_eq!(user(json!(7), &[]), None);
    }
}
