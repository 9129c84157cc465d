//! The configuration of a container. Pure.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};
use keelson_node_volumes::{PodLogs, expand};
use keelson_proto::cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, KeyValue, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, Mount, NamespaceMode,
};

use crate::runtime::labels;
use crate::runtime::observed::Observed;

/// What a container is made of, besides its spec.
pub(crate) struct Parts {
    /// Which instance of the container it is, from 0.
    pub(crate) restart_count: u32,
    /// The image as the runtime knows it by content.
    pub(crate) image_ref: String,
    pub(crate) environment: Vec<KeyValue>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) resources: LinuxContainerResources,
    pub(crate) security: LinuxContainerSecurityContext,
}

/// The configuration.
pub(crate) fn config(pod: &Pod, container: &Container, parts: Parts) -> ContainerConfig {
    let texts = |list: &Option<Vec<String>>| expand(list.as_deref().unwrap_or_default(), &parts.environment);
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: container.name.clone(), attempt: parts.restart_count }),
        image: Some(ImageSpec {
            image: parts.image_ref,
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..ImageSpec::default()
        }),
        command: texts(&container.command),
        args: texts(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        labels: labels::of_container(pod, container),
        annotations: labels::annotations_of_container(pod, container, parts.restart_count),
        log_path: PodLogs::relative(&container.name, parts.restart_count),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
        envs: parts.environment,
        mounts: parts.mounts,
        linux: Some(LinuxContainerConfig {
            resources: Some(parts.resources),
            security_context: Some(parts.security),
        }),
        ..ContainerConfig::default()
    }
}

/// Lets an ephemeral container see the processes of the container that it looks into.
pub(crate) fn aim(config: &mut ContainerConfig, ephemeral: &EphemeralContainer, observed: &Observed) {
    let target = ephemeral.target_container_name.as_deref().and_then(|name| observed.newest(name));
    let linux = config.linux.as_mut();
    let options = linux.and_then(|it| it.security_context.as_mut()?.namespace_options.as_mut());
    if let (Some(target), Some(options)) = (target, options) {
        options.pid = NamespaceMode::Target.into();
        options.target_id = target.id.clone();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::security;
    use crate::pod::spec;
    use crate::testing::{instance, observed, pod, running};

    fn parts(pod: &Pod) -> Parts {
        Parts {
            restart_count: 3,
            image_ref: "sha256:1".into(),
            environment: vec![KeyValue { key: "WHO".into(), value: "world".into() }],
            mounts: vec![],
            resources: LinuxContainerResources::default(),
            security: LinuxContainerSecurityContext {
                namespace_options: Some(security::namespaces(pod)),
                ..Default::default()
            },
        }
    }

    #[test]
    fn commands_are_expanded_and_instances_are_told_apart() {
        let pod = pod(json!({"containers": [{"name": "a", "image": "busybox:1.36", "command": ["echo"],
            "args": ["hello $(WHO)", "$(NOBODY)"], "workingDir": "/x", "tty": true}]}));
        let config = config(&pod, &spec::containers(&pod)[0], parts(&pod));
        assert_eq!(
            (config.command, config.args),
            (vec!["echo".into()], vec!["hello world".into(), "$(NOBODY)".into()])
        );
        assert_eq!(config.log_path, "a/3.log");
        assert_eq!(config.metadata.unwrap().attempt, 3);
        assert_eq!(config.annotations["io.kubernetes.container.restartCount"], "3");
        assert_eq!(config.image.unwrap().user_specified_image, "busybox:1.36");
        assert!(config.tty && !config.stdin);
    }

    #[test]
    fn an_ephemeral_container_may_look_into_another() {
        let pod = pod(json!({"containers": [{"name": "a"}],
            "ephemeralContainers": [{"name": "e", "targetContainerName": "a"}]}));
        let ephemeral = &spec::ephemeral_containers(&pod)[0];
        let mut config = config(&pod, &spec::as_container(ephemeral), parts(&pod));
        aim(&mut config, ephemeral, &observed(vec![instance("a", 1, running(1))]));
        let options = config.linux.unwrap().security_context.unwrap().namespace_options.unwrap();
        assert_eq!((options.pid(), options.target_id.as_str()), (NamespaceMode::Target, "a-1"));
    }
}
