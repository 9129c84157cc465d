//! What the processes of a pod may do. Pure.
//!
//! In: the security contexts of pod and container. Out: CRI's. What a container says wins over what its pod says.
//! Deliberately absent: user namespaces (refused by name), Windows.

use std::path::Path;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Container, Pod, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext,
};
use keelson_proto::cri::v1::{
    Capability, Image, Int64Value, LinuxContainerSecurityContext, LinuxSandboxSecurityContext, NamespaceMode,
    NamespaceOption, SeLinuxOption, SecurityProfile, SupplementalGroupsPolicy, security_profile::ProfileType,
};

use crate::pod::spec;

/// What no container sees of the kernel unless it asks to.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What it sees and may not change.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A container that must not run as root would, or might. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RootError {
    #[error("container's runAsUser breaks non-root policy (pod: {pod:?}, container: {container})")]
    AsUser { pod: String, container: String },
    #[error("container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})")]
    Image { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: \
         {pod:?}, container: {container})"
    )]
    Named { user: String, pod: String, container: String },
}

/// The namespaces that the pod's containers share with each other and with the node.
pub(crate) fn namespaces(pod: &Pod) -> NamespaceOption {
    let spec = spec::spec(pod);
    let node_or = |is_nodes: Option<bool>, else_mode| {
        if is_nodes == Some(true) { NamespaceMode::Node } else { else_mode }
    };
    let shares = spec.share_process_namespace == Some(true);
    let own = if shares { NamespaceMode::Pod } else { NamespaceMode::Container };
    NamespaceOption {
        network: node_or(spec.host_network, NamespaceMode::Pod).into(),
        pid: node_or(spec.host_pid, own).into(),
        ipc: node_or(spec.host_ipc, NamespaceMode::Pod).into(),
        ..NamespaceOption::default()
    }
}

/// For the sandbox.
pub(crate) fn of_sandbox(pod: &Pod) -> LinuxSandboxSecurityContext {
    let context = spec::spec(pod).security_context.as_ref();
    let all = spec::init_containers(pod).iter().chain(spec::containers(pod));
    let user = context.and_then(|it| it.run_as_user);
    LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod)),
        selinux_options: context.and_then(|it| it.se_linux_options.as_ref()).map(selinux),
        run_as_user: user.map(number),
        // Runtimes refuse a group without a user; here, no process of the pod's own depends on it.
        run_as_group: user.and_then(|_| context?.run_as_group).map(number),
        supplemental_groups: groups(context),
        supplemental_groups_policy: groups_policy(context).into(),
        // A privileged container needs a sandbox that is privileged, too.
        privileged: all.map(|it| it.security_context.as_ref()).any(is_privileged),
        // The sandbox runs only the runtime's own process.
        seccomp: Some(profile(ProfileType::RuntimeDefault, String::new())),
        ..LinuxSandboxSecurityContext::default()
    }
}

/// For a container made from `image`. `seccomp_root`: where profiles of the node lie.
pub(crate) fn of_container(
    pod: &Pod,
    container: &Container,
    image: Option<&Image>,
    seccomp_root: &Path,
) -> Result<LinuxContainerSecurityContext, RootError> {
    let of_pod = spec::spec(pod).security_context.as_ref();
    let own = container.security_context.as_ref();
    let run_as_user = own.and_then(|it| it.run_as_user).or_else(|| of_pod?.run_as_user);
    check_root(pod, container, run_as_user, image)?;
    let run_as_group = own.and_then(|it| it.run_as_group).or_else(|| of_pod?.run_as_group);
    let image_user = image.filter(|_| run_as_user.is_none());
    let by_image = image_user.and_then(user_of);
    let selinux_options = own.and_then(|it| it.se_linux_options.as_ref());
    let is_unmasked = own.and_then(|it| it.proc_mount.as_deref()) == Some("Unmasked");
    let paths =
        |all: &[&str]| if is_unmasked { vec![] } else { all.iter().map(ToString::to_string).collect() };
    Ok(LinuxContainerSecurityContext {
        capabilities: own.and_then(capabilities),
        privileged: is_privileged(own),
        namespace_options: Some(namespaces(pod)),
        selinux_options: selinux_options.or_else(|| of_pod?.se_linux_options.as_ref()).map(selinux),
        run_as_user: run_as_user.or(by_image).map(number),
        run_as_group: run_as_group.map(number),
        run_as_username: image_user.map(|image| image.username.clone()).unwrap_or_default(),
        readonly_rootfs: own.and_then(|it| it.read_only_root_filesystem) == Some(true),
        supplemental_groups: groups(of_pod),
        supplemental_groups_policy: groups_policy(of_pod).into(),
        no_new_privs: own.and_then(|it| it.allow_privilege_escalation) == Some(false),
        masked_paths: paths(&MASKED),
        readonly_paths: paths(&READ_ONLY),
        seccomp: Some(seccomp(own, of_pod, seccomp_root)),
        apparmor: apparmor(own, of_pod),
        ..LinuxContainerSecurityContext::default()
    })
}

/// Whether the container asks for a check that needs to know its image's user.
pub(crate) fn must_not_be_root(pod: &Pod, container: &Container) -> bool {
    let own = container.security_context.as_ref().and_then(|it| it.run_as_non_root);
    let of_pod = || spec::spec(pod).security_context.as_ref()?.run_as_non_root;
    own.or_else(of_pod) == Some(true)
}

fn check_root(
    pod: &Pod,
    container: &Container,
    run_as_user: Option<i64>,
    image: Option<&Image>,
) -> Result<(), RootError> {
    if !must_not_be_root(pod, container) {
        return Ok(());
    }
    let (pod, container) = (spec::described(pod), container.name.clone());
    match (run_as_user, image) {
        (Some(0), _) => Err(RootError::AsUser { pod, container }),
        (Some(_), _) => Ok(()),
        (None, Some(image)) => match (&image.uid, image.username.as_str()) {
            (Some(uid), _) if uid.value == 0 => Err(RootError::Image { pod, container }),
            (Some(_), _) => Ok(()),
            (None, "" | "root" | "0") => Err(RootError::Image { pod, container }),
            (None, user) => Err(RootError::Named { user: user.to_owned(), pod, container }),
        },
        (None, None) => Err(RootError::Image { pod, container }),
    }
}

/// The user of an image by number; one that names nobody means root, one that has a name has no number.
fn user_of(image: &Image) -> Option<i64> {
    let number = image.uid.as_ref().map(|uid| uid.value);
    number.or_else(|| image.username.is_empty().then_some(0))
}

fn is_privileged(context: Option<&SecurityContext>) -> bool {
    context.and_then(|it| it.privileged) == Some(true)
}

fn capabilities(context: &SecurityContext) -> Option<Capability> {
    let wanted = context.capabilities.as_ref()?;
    Some(Capability {
        add_capabilities: wanted.add.clone().unwrap_or_default(),
        drop_capabilities: wanted.drop.clone().unwrap_or_default(),
        ..Capability::default()
    })
}

fn groups(context: Option<&PodSecurityContext>) -> Vec<i64> {
    let Some(context) = context else { return Vec::new() };
    context.fs_group.into_iter().chain(context.supplemental_groups.iter().flatten().copied()).collect()
}

fn groups_policy(context: Option<&PodSecurityContext>) -> SupplementalGroupsPolicy {
    match context.and_then(|it| it.supplemental_groups_policy.as_deref()) {
        Some("Strict") => SupplementalGroupsPolicy::Strict,
        Some(_) | None => SupplementalGroupsPolicy::Merge,
    }
}

fn seccomp(
    own: Option<&SecurityContext>,
    of_pod: Option<&PodSecurityContext>,
    root: &Path,
) -> SecurityProfile {
    let wanted: Option<&SeccompProfile> =
        own.and_then(|it| it.seccomp_profile.as_ref()).or_else(|| of_pod?.seccomp_profile.as_ref());
    let Some(wanted) = wanted else { return profile(ProfileType::Unconfined, String::new()) };
    match (wanted.type_.as_str(), wanted.localhost_profile.as_deref()) {
        ("RuntimeDefault", _) => profile(ProfileType::RuntimeDefault, String::new()),
        ("Localhost", Some(path)) => {
            profile(ProfileType::Localhost, root.join(path).to_string_lossy().into_owned())
        }
        _ => profile(ProfileType::Unconfined, String::new()),
    }
}

/// Unless asked, the runtime decides.
fn apparmor(own: Option<&SecurityContext>, of_pod: Option<&PodSecurityContext>) -> Option<SecurityProfile> {
    let wanted: &AppArmorProfile =
        own.and_then(|it| it.app_armor_profile.as_ref()).or_else(|| of_pod?.app_armor_profile.as_ref())?;
    Some(match (wanted.type_.as_str(), &wanted.localhost_profile) {
        ("RuntimeDefault", _) => profile(ProfileType::RuntimeDefault, String::new()),
        ("Localhost", Some(name)) => profile(ProfileType::Localhost, name.clone()),
        _ => profile(ProfileType::Unconfined, String::new()),
    })
}

fn profile(kind: ProfileType, localhost_ref: String) -> SecurityProfile {
    SecurityProfile { profile_type: kind.into(), localhost_ref }
}

fn selinux(options: &SELinuxOptions) -> SeLinuxOption {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    SeLinuxOption {
        user: text(&options.user),
        role: text(&options.role),
        r#type: text(&options.type_),
        level: text(&options.level),
    }
}

fn number(value: i64) -> Int64Value {
    Int64Value { value }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::pod;

    fn context(
        of_pod: &Value,
        own: &Value,
        image: Option<&Image>,
    ) -> Result<LinuxContainerSecurityContext, String> {
        let pod =
            pod(json!({"securityContext": of_pod, "containers": [{"name": "a", "securityContext": own}]}));
        of_container(&pod, &spec::containers(&pod)[0], image, Path::new("/seccomp"))
            .map_err(|it| it.to_string())
    }

    #[test]
    fn without_wishes_a_container_is_plain_and_the_kernels_secrets_are_masked() {
        let context = context(&json!({}), &json!({}), None).unwrap();
        assert!(!context.privileged && !context.readonly_rootfs && !context.no_new_privs);
        assert_eq!((context.run_as_user, context.capabilities.clone()), (None, None));
        assert!(context.masked_paths.contains(&"/proc/kcore".to_owned()));
        assert!(context.readonly_paths.contains(&"/proc/sys".to_owned()));
        assert_eq!(context.seccomp.unwrap().profile_type(), ProfileType::Unconfined);
        assert_eq!(context.apparmor, None);
    }

    #[test]
    fn the_container_wins_over_the_pod() {
        let of_pod = json!({"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4],
            "seccompProfile": {"type": "RuntimeDefault"}});
        let own = json!({"runAsUser": 5, "privileged": true, "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false, "procMount": "Unmasked",
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}});
        let context = context(&of_pod, &own, None).unwrap();
        assert_eq!((context.run_as_user, context.run_as_group), (Some(number(5)), Some(number(2))));
        assert_eq!(context.supplemental_groups, [3, 4]);
        assert!(context.privileged && context.readonly_rootfs && context.no_new_privs);
        assert_eq!(context.masked_paths, [] as [String; 0]);
        let capabilities = context.capabilities.unwrap();
        assert_eq!(
            (capabilities.add_capabilities, capabilities.drop_capabilities),
            (vec!["NET_ADMIN".into()], vec!["ALL".into()])
        );
        assert_eq!(context.seccomp.unwrap().localhost_ref, "/seccomp/p.json");
    }

    #[test]
    fn the_images_user_counts_if_nobody_says_otherwise() {
        let image = Image { uid: Some(number(101)), ..Image::default() };
        assert_eq!(context(&json!({}), &json!({}), Some(&image)).unwrap().run_as_user, Some(number(101)));
        assert_eq!(
            context(&json!({}), &json!({}), Some(&Image::default())).unwrap().run_as_user,
            Some(number(0))
        );
        let image = Image { username: "web".into(), ..Image::default() };
        let named = context(&json!({}), &json!({}), Some(&image)).unwrap();
        assert_eq!((named.run_as_user, named.run_as_username.as_str()), (None, "web"));
        assert_eq!(context(&json!({"runAsUser": 7}), &json!({}), Some(&image)).unwrap().run_as_username, "");
    }

    #[test]
    fn who_must_not_be_root_is_not() {
        let root = Image { uid: Some(number(0)), ..Image::default() };
        let other = Image { uid: Some(number(101)), ..Image::default() };
        let named = Image { username: "web".into(), ..Image::default() };
        let refuse = json!({"runAsNonRoot": true});
        let place = "(pod: \"web_shop(uid-1)\", container: a)";
        let as_root = format!("container has runAsNonRoot and image will run as root {place}");
        assert_eq!(context(&refuse, &json!({}), Some(&root)), Err(as_root.clone()));
        assert_eq!(context(&refuse, &json!({}), Some(&Image::default())), Err(as_root));
        assert!(context(&refuse, &json!({}), Some(&other)).is_ok());
        assert!(context(&refuse, &json!({"runAsNonRoot": false}), Some(&root)).is_ok());
        assert!(context(&refuse, &json!({"runAsUser": 1}), Some(&root)).is_ok());
        let text = format!("container's runAsUser breaks non-root policy {place}");
        assert_eq!(context(&json!({"runAsUser": 0}), &refuse, Some(&other)), Err(text));
        let text = format!(
            "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root {place}"
        );
        assert_eq!(context(&refuse, &json!({}), Some(&named)), Err(text));
    }

    #[test]
    fn namespaces_are_shared_as_asked() {
        let modes = |spec: Value| {
            let options = namespaces(&pod(spec));
            (options.network(), options.pid(), options.ipc())
        };
        use NamespaceMode::{Container, Node, Pod};
        assert_eq!(modes(json!({"containers": []})), (Pod, Container, Pod));
        assert_eq!(modes(json!({"containers": [], "shareProcessNamespace": true})), (Pod, Pod, Pod));
        let node = json!({"containers": [], "hostNetwork": true, "hostPID": true, "hostIPC": true});
        assert_eq!(modes(node), (Node, Node, Node));
    }

    #[test]
    fn the_sandbox_has_a_group_only_if_it_has_a_user() {
        let groups = |context: Value| {
            let context = of_sandbox(&pod(json!({"containers": [], "securityContext": context})));
            (context.run_as_user.map(|it| it.value), context.run_as_group.map(|it| it.value))
        };
        assert_eq!(groups(json!({"runAsGroup": 2})), (None, None));
        assert_eq!(groups(json!({"runAsUser": 1, "runAsGroup": 2})), (Some(1), Some(2)));
    }

    #[test]
    fn the_sandbox_is_privileged_if_a_container_is() {
        let pod = pod(json!({"containers": [{"name": "a"}],
            "initContainers": [{"name": "i", "securityContext": {"privileged": true}}]}));
        let context = of_sandbox(&pod);
        assert!(context.privileged);
        assert_eq!(context.seccomp.unwrap().profile_type(), ProfileType::RuntimeDefault);
    }
}
