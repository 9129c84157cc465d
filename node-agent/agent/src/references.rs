//! Which ConfigMaps and Secrets a pod names. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Pod, VolumeProjection};

use crate::pod::spec;

/// The names of objects in the pod's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct References {
    pub(crate) config_maps: BTreeSet<String>,
    pub(crate) secrets: BTreeSet<String>,
}

impl References {
    /// Of this pod.
    pub(crate) fn of(pod: &Pod) -> Self {
        let mut all = Self::default();
        let secrets = pull_secrets(pod).map(str::to_owned);
        all.secrets.extend(secrets);
        let ephemeral: Vec<Container> =
            spec::ephemeral_containers(pod).iter().map(spec::as_container).collect();
        for container in spec::init_containers(pod).iter().chain(spec::containers(pod)).chain(&ephemeral) {
            all.add_environment(container);
        }
        all.add_volumes(pod);
        all
    }

    fn add_environment(&mut self, container: &Container) {
        for from in container.env_from.iter().flatten() {
            self.config_maps.extend(from.config_map_ref.as_ref().map(|it| it.name.clone()));
            self.secrets.extend(from.secret_ref.as_ref().map(|it| it.name.clone()));
        }
        for source in container.env.iter().flatten().filter_map(|it| it.value_from.as_ref()) {
            self.config_maps.extend(source.config_map_key_ref.as_ref().map(|it| it.name.clone()));
            self.secrets.extend(source.secret_key_ref.as_ref().map(|it| it.name.clone()));
        }
    }

    fn add_volumes(&mut self, pod: &Pod) {
        for volume in spec::spec(pod).volumes.iter().flatten() {
            self.config_maps.extend(volume.config_map.as_ref().map(|it| it.name.clone()));
            self.secrets.extend(volume.secret.as_ref().and_then(|it| it.secret_name.clone()));
            let projected = volume.projected.iter().flat_map(|it| it.sources.iter().flatten());
            projected.for_each(|source| self.add_projection(source));
        }
    }

    fn add_projection(&mut self, source: &VolumeProjection) {
        self.config_maps.extend(source.config_map.as_ref().map(|it| it.name.clone()));
        self.secrets.extend(source.secret.as_ref().map(|it| it.name.clone()));
    }
}

/// The names of the Secrets for registries.
pub(crate) fn pull_secrets(pod: &Pod) -> impl Iterator<Item = &str> {
    spec::spec(pod)
        .image_pull_secrets
        .iter()
        .flatten()
        .map(|it| it.name.as_str())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::pod;

    #[test]
    fn objects_are_found_wherever_they_are_named() {
        let pod = pod(json!({
            "imagePullSecrets": [{"name": "s1"}],
            "volumes": [
                {"name": "a", "configMap": {"name": "c1"}},
                {"name": "b", "secret": {"secretName": "s2"}},
                {"name": "c", "projected": {"sources": [{"configMap": {"name": "c2"}}, {"secret": {"name": "s3"}}]}},
                {"name": "d", "emptyDir": {}},
            ],
            "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "c3"}}, {"secretRef": {"name": "s4"}}]}],
            "containers": [{"name": "x", "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c4", "key": "k"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s5", "key": "k"}}},
                {"name": "C", "value": "plain"},
            ]}],
            "ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "s6"}}]}],
        }));
        let references = References::of(&pod);
        assert_eq!(references.config_maps.iter().collect::<Vec<_>>(), ["c1", "c2", "c3", "c4"]);
        assert_eq!(references.secrets.iter().collect::<Vec<_>>(), ["s1", "s2", "s3", "s4", "s5", "s6"]);
    }
}
