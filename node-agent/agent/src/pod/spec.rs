//! What a Pod object says, read in one place.
//!
//! In: the object. Out: what its optional fields mean when they are absent.

use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, ObjectReference, Pod, PodSpec};
use keelson_controller_runtime::reference_to;

/// What a pod without a spec asks for.
static EMPTY: LazyLock<PodSpec> = LazyLock::new(PodSpec::default);

/// How long a pod has for its end if it does not say: the API's default.
const GRACE_SECONDS: i64 = 30;

/// When containers that have ended are started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    fn named(name: &str) -> Option<Self> {
        match name {
            "Always" => Some(Self::Always),
            "OnFailure" => Some(Self::OnFailure),
            "Never" => Some(Self::Never),
            _ => None,
        }
    }

    fn restarts(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// The spec.
pub(crate) fn spec(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().unwrap_or(&EMPTY)
}

/// The uid.
pub(crate) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// The name.
pub(crate) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// The namespace.
pub(crate) fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

/// The pod as upstream writes it in messages: `name_namespace(uid)`.
pub(crate) fn described(pod: &Pod) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

/// The policy of the pod.
pub(crate) fn restart_policy(pod: &Pod) -> RestartPolicy {
    spec(pod).restart_policy.as_deref().and_then(RestartPolicy::named).unwrap_or(RestartPolicy::Always)
}

/// Init containers.
pub(crate) fn init_containers(pod: &Pod) -> &[Container] {
    spec(pod).init_containers.as_deref().unwrap_or_default()
}

/// Containers.
pub(crate) fn containers(pod: &Pod) -> &[Container] {
    &spec(pod).containers
}

/// Ephemeral containers.
pub(crate) fn ephemeral_containers(pod: &Pod) -> &[EphemeralContainer] {
    spec(pod).ephemeral_containers.as_deref().unwrap_or_default()
}

/// An ephemeral container, as far as it is like any other.
pub(crate) fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let it = ephemeral.clone();
    Container {
        name: it.name,
        image: it.image,
        image_pull_policy: it.image_pull_policy,
        command: it.command,
        args: it.args,
        working_dir: it.working_dir,
        env: it.env,
        env_from: it.env_from,
        resources: it.resources,
        security_context: it.security_context,
        stdin: it.stdin,
        stdin_once: it.stdin_once,
        tty: it.tty,
        termination_message_path: it.termination_message_path,
        termination_message_policy: it.termination_message_policy,
        volume_mounts: it.volume_mounts,
        volume_devices: it.volume_devices,
        ..Container::default()
    }
}

/// The init or main container of this name.
pub(crate) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    init_containers(pod).iter().chain(containers(pod)).find(|container| container.name == name)
}

/// Whether an init container keeps running beside the main containers.
pub(crate) fn is_sidecar(init_container: &Container) -> bool {
    init_container.restart_policy.as_deref() == Some("Always")
}

/// The containers that run as long as the pod does: sidecars and main containers.
pub(crate) fn long_running(pod: &Pod) -> impl Iterator<Item = &Container> {
    init_containers(pod).iter().filter(|it| is_sidecar(it)).chain(containers(pod))
}

/// Whether a container that has ended so is started again.
pub(crate) fn restarts(pod: &Pod, container: &Container, exit_code: i32) -> bool {
    let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    let by_rule = rules.iter().any(|rule| {
        rule.action == "Restart"
            && rule.exit_codes.as_ref().is_some_and(|codes| {
                let listed = codes.values.as_deref().unwrap_or_default().contains(&exit_code);
                listed == (codes.operator == "In")
            })
    });
    by_rule || container_policy(pod, container).restarts(exit_code)
}

/// Whether a container that fails is started again, whatever its exit code.
pub(crate) fn restarts_on_failure(pod: &Pod, container: &Container) -> bool {
    container_policy(pod, container) != RestartPolicy::Never
}

fn container_policy(pod: &Pod, container: &Container) -> RestartPolicy {
    let own = container.restart_policy.as_deref().and_then(RestartPolicy::named);
    own.unwrap_or_else(|| restart_policy(pod))
}

/// Whether the API wants the pod gone.
pub(crate) fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether a node has taken the pod, and it has not ended.
pub(crate) fn was_taken(pod: &Pod) -> bool {
    let has_begun = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
    has_begun && !is_terminal_phase(phase(pod))
}

/// Whether the pod shares the node's network.
pub(crate) fn is_host_network(pod: &Pod) -> bool {
    spec(pod).host_network.unwrap_or(false)
}

/// How many seconds the pod's containers have for their end: what the deletion says, else what the pod says.
pub(crate) fn grace_seconds(pod: &Pod) -> i64 {
    let by_deletion = pod.metadata.deletion_grace_period_seconds;
    by_deletion.or_else(|| spec(pod).termination_grace_period_seconds).unwrap_or(GRACE_SECONDS)
}

/// The phase that the API has.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Whether a phase is one that a pod does not leave.
pub(crate) fn is_terminal_phase(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

/// What events about one of the pod's containers refer to: the pod, and the container's place in its spec.
pub(crate) fn container_reference(pod: &Pod, container: &str) -> ObjectReference {
    let has = |list: &[Container]| list.iter().any(|it| it.name == container);
    let place = if has(containers(pod)) {
        Some("containers")
    } else if has(init_containers(pod)) {
        Some("initContainers")
    } else if ephemeral_containers(pod).iter().any(|it| it.name == container) {
        Some("ephemeralContainers")
    } else {
        None
    };
    let field_path = place.map(|place| format!("spec.{place}{{{container}}}"));
    ObjectReference { field_path, ..reference_to(pod) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::pod;

    #[test]
    fn what_is_absent_has_the_apis_defaults() {
        let pod = pod(json!({"containers": [{"name": "a"}]}));
        assert_eq!(restart_policy(&pod), RestartPolicy::Always);
        assert_eq!(grace_seconds(&pod), 30);
        assert!(!is_host_network(&pod) && !is_deleting(&pod));
        assert_eq!(described(&pod), "web_shop(uid-1)");
    }

    #[test]
    fn the_deletion_decides_about_the_grace_period() {
        let mut pod = pod(json!({"containers": [], "terminationGracePeriodSeconds": 60}));
        assert_eq!(grace_seconds(&pod), 60);
        pod.metadata.deletion_grace_period_seconds = Some(5);
        assert_eq!(grace_seconds(&pod), 5);
    }

    #[test]
    fn a_container_is_restarted_as_the_pod_says_unless_it_says_otherwise() {
        for (policy, container, on_success, on_failure) in [
            ("Always", json!({"name": "a"}), true, true),
            ("OnFailure", json!({"name": "a"}), false, true),
            ("Never", json!({"name": "a"}), false, false),
            ("Never", json!({"name": "a", "restartPolicy": "OnFailure"}), false, true),
            ("Always", json!({"name": "a", "restartPolicy": "Never"}), false, false),
        ] {
            let pod = pod(json!({"restartPolicy": policy, "containers": [container]}));
            let container = &containers(&pod)[0];
            assert_eq!(restarts(&pod, container, 0), on_success, "{policy}");
            assert_eq!(restarts(&pod, container, 1), on_failure, "{policy}");
        }
    }

    #[test]
    fn rules_about_exit_codes_come_before_the_policy() {
        let rule = |operator: &str| json!([{"action": "Restart", "exitCodes": {"operator": operator, "values": [42]}}]);
        for (operator, restarted, left) in [("In", 42, 1), ("NotIn", 1, 42)] {
            let container =
                json!({"name": "a", "restartPolicy": "Never", "restartPolicyRules": rule(operator)});
            let pod = pod(json!({"containers": [container]}));
            assert!(restarts(&pod, &containers(&pod)[0], restarted));
            assert!(!restarts(&pod, &containers(&pod)[0], left));
        }
    }

    #[test]
    fn events_name_the_container_by_its_place() {
        let pod = pod(json!({"containers": [{"name": "a"}], "initContainers": [{"name": "b"}],
            "ephemeralContainers": [{"name": "c"}]}));
        let path = |name| container_reference(&pod, name).field_path;
        assert_eq!(path("a").as_deref(), Some("spec.containers{a}"));
        assert_eq!(path("b").as_deref(), Some("spec.initContainers{b}"));
        assert_eq!(path("c").as_deref(), Some("spec.ephemeralContainers{c}"));
        assert_eq!(path("d"), None);
    }
}
