//! Where control groups lie, relative to their hierarchy, as upstream lays them out. Pure.

use k8s_openapi::api::core::v1::Pod;

use crate::pod::qos::Class;
use crate::pod::spec;

/// What all pods' groups lie in.
const ALL_PODS: &str = "kubepods";

/// What the name of a pod's group begins with.
const POD: &str = "pod";

/// The groups of all pods of a class: `/<root>/kubepods/burstable`; those of the class Guaranteed lie in
/// `/<root>/kubepods` itself.
pub(crate) fn of_class(root: &str, class: Class) -> String {
    let all = of_all_pods(root);
    match class {
        Class::Guaranteed => all,
        Class::Burstable => format!("{all}/burstable"),
        Class::BestEffort => format!("{all}/besteffort"),
    }
}

/// `/<root>/kubepods`.
pub(crate) fn of_all_pods(root: &str) -> String {
    let root = root.trim_matches('/');
    if root.is_empty() { format!("/{ALL_PODS}") } else { format!("/{root}/{ALL_PODS}") }
}

/// The group of a pod.
pub(crate) fn of_pod(root: &str, pod: &Pod) -> String {
    format!("{}/{POD}{}", of_class(root, Class::of(pod)), spec::uid(pod))
}

/// The places where the group of a pod can be, of which only the uid is known.
pub(crate) fn candidates(root: &str, uid: &str) -> [String; 3] {
    [Class::Guaranteed, Class::Burstable, Class::BestEffort]
        .map(|class| format!("{}/{POD}{uid}", of_class(root, class)))
}

/// The uid of the pod whose group has this name.
pub(crate) fn uid_of(name: &str) -> Option<&str> {
    name.strip_prefix(POD).filter(|uid| !uid.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::pod;

    #[test]
    fn a_pods_group_lies_in_that_of_its_class() {
        let best_effort = pod(json!({"containers": [{"name": "a"}]}));
        assert_eq!(of_pod("/k/n1", &best_effort), "/k/n1/kubepods/besteffort/poduid-1");
        assert_eq!(of_pod("/", &best_effort), "/kubepods/besteffort/poduid-1");
        let bounded = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
        let guaranteed = pod(json!({"containers": [{"name": "a", "resources": bounded}]}));
        assert_eq!(of_pod("/k", &guaranteed), "/k/kubepods/poduid-1");
        assert!(candidates("/k", "uid-1").contains(&of_pod("/k", &guaranteed)));
        assert!(candidates("/k", "uid-1").contains(&of_pod("/k", &best_effort)));
    }

    #[test]
    fn only_groups_of_pods_have_a_uid() {
        assert_eq!(uid_of("poduid-1"), Some("uid-1"));
        assert_eq!((uid_of("besteffort"), uid_of("pod")), (None, None));
    }
}
