//! What the agent writes on sandboxes and containers, so that it knows them again after a restart: upstream's names.
//!
//! In: a pod and one of its containers. Out: labels and annotations; and back again, as much of the pod as is needed
//! to stop what the API does not know any more.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{Container, Lifecycle, LifecycleHandler, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::pod::{hash, spec};

pub(crate) const POD_NAME: &str = "io.kubernetes.pod.name";
pub(crate) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub(crate) const POD_UID: &str = "io.kubernetes.pod.uid";
pub(crate) const CONTAINER_NAME: &str = "io.kubernetes.container.name";

const HASH: &str = "io.kubernetes.container.hash";
const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
const MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
const MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
const PORTS: &str = "io.kubernetes.container.ports";
const PRE_STOP: &str = "io.kubernetes.container.preStopHandler";
const POD_DELETION_GRACE: &str = "io.kubernetes.pod.deletionGracePeriod";
const POD_TERMINATION_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";

/// The labels of a pod's sandbox: the pod's, and who it is.
pub(crate) fn of_sandbox(pod: &Pod) -> HashMap<String, String> {
    let mut labels: HashMap<String, String> = pod.metadata.labels.clone().into_iter().flatten().collect();
    labels.extend(identity(pod));
    labels
}

/// The annotations of a pod's sandbox: the pod's.
pub(crate) fn annotations_of_sandbox(pod: &Pod) -> HashMap<String, String> {
    pod.metadata.annotations.clone().into_iter().flatten().collect()
}

/// The labels of a container.
pub(crate) fn of_container(pod: &Pod, container: &Container) -> HashMap<String, String> {
    let mut labels: HashMap<String, String> = identity(pod).into();
    labels.insert(CONTAINER_NAME.to_owned(), container.name.clone());
    labels
}

/// The annotations of a container: which instance it is, and what stopping it takes.
pub(crate) fn annotations_of_container(
    pod: &Pod,
    container: &Container,
    restart_count: u32,
) -> HashMap<String, String> {
    let mut annotations = HashMap::from([
        (HASH.to_owned(), hash::of(container)),
        (RESTART_COUNT.to_owned(), restart_count.to_string()),
        (MESSAGE_PATH.to_owned(), container.termination_message_path.clone().unwrap_or_default()),
        (MESSAGE_POLICY.to_owned(), container.termination_message_policy.clone().unwrap_or_default()),
    ]);
    let mut add = |key: &str, value: Option<String>| {
        annotations.extend(value.map(|value| (key.to_owned(), value)));
    };
    add(POD_DELETION_GRACE, pod.metadata.deletion_grace_period_seconds.map(|it| it.to_string()));
    add(POD_TERMINATION_GRACE, spec::spec(pod).termination_grace_period_seconds.map(|it| it.to_string()));
    add(PRE_STOP, pre_stop(container).and_then(|handler| serde_json::to_string(handler).ok()));
    add(PORTS, container.ports.as_ref().and_then(|ports| serde_json::to_string(ports).ok()));
    annotations
}

fn pre_stop(container: &Container) -> Option<&LifecycleHandler> {
    container.lifecycle.as_ref()?.pre_stop.as_ref()
}

fn identity(pod: &Pod) -> [(String, String); 3] {
    [
        (POD_NAME.to_owned(), spec::name(pod).to_owned()),
        (POD_NAMESPACE.to_owned(), spec::namespace(pod).to_owned()),
        (POD_UID.to_owned(), spec::uid(pod).to_owned()),
    ]
}

/// What the annotations of a container say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) hash: String,
    pub(crate) restart_count: u32,
    pub(crate) message_path: String,
    pub(crate) message_policy: String,
}

impl Marks {
    /// Read from annotations. What is missing or damaged is as if it had never been written.
    pub(crate) fn read(annotations: &HashMap<String, String>) -> Self {
        let text = |key: &str| annotations.get(key).cloned().unwrap_or_default();
        Self {
            hash: text(HASH),
            restart_count: text(RESTART_COUNT).parse().unwrap_or(0),
            message_path: text(MESSAGE_PATH),
            message_policy: text(MESSAGE_POLICY),
        }
    }
}

/// What a sandbox or container was made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Owner {
    /// Read from labels; `None` if no agent has written them.
    pub(crate) fn read(labels: &HashMap<String, String>) -> Option<Self> {
        let text = |key: &str| labels.get(key).cloned();
        Some(Self { namespace: text(POD_NAMESPACE)?, name: text(POD_NAME)?, uid: text(POD_UID)? })
    }

    /// A pod of this name that has nothing to run.
    pub(crate) fn pod(&self) -> Pod {
        let metadata = ObjectMeta {
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectMeta::default()
        };
        Pod { metadata, spec: Some(PodSpec::default()), status: None }
    }
}

/// The pod as far as the annotations of its containers tell it: enough to end it as it wanted. `containers` are
/// names with annotations.
pub(crate) fn restored<'a>(
    owner: &Owner,
    containers: impl IntoIterator<Item = (&'a str, &'a HashMap<String, String>)>,
) -> Pod {
    let mut pod = owner.pod();
    let mut by_name = BTreeMap::new();
    for (name, annotations) in containers {
        let number = |key: &str| annotations.get(key).and_then(|it| it.parse::<i64>().ok());
        pod.metadata.deletion_grace_period_seconds =
            pod.metadata.deletion_grace_period_seconds.or_else(|| number(POD_DELETION_GRACE));
        if let Some(spec) = &mut pod.spec {
            spec.termination_grace_period_seconds =
                spec.termination_grace_period_seconds.or_else(|| number(POD_TERMINATION_GRACE));
        }
        by_name.entry(name).or_insert_with(|| restored_container(name, annotations));
    }
    if let Some(spec) = &mut pod.spec {
        spec.containers = by_name.into_values().collect();
    }
    pod
}

fn restored_container(name: &str, annotations: &HashMap<String, String>) -> Container {
    let pre_stop = annotations.get(PRE_STOP).and_then(|it| serde_json::from_str(it).ok());
    Container {
        name: name.to_owned(),
        lifecycle: pre_stop.map(|handler| Lifecycle { pre_stop: Some(handler), ..Lifecycle::default() }),
        ports: annotations.get(PORTS).and_then(|it| serde_json::from_str(it).ok()),
        ..Container::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::pod;

    #[test]
    fn what_is_written_on_a_container_is_enough_to_stop_it_later() {
        let mut pod = pod(json!({"terminationGracePeriodSeconds": 7, "containers": [{
            "name": "a", "image": "x", "ports": [{"containerPort": 80, "name": "http"}],
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "lifecycle": {"preStop": {"httpGet": {"port": "http", "path": "/bye"}}},
        }]}));
        pod.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
        let container = &spec::containers(&pod)[0];
        let annotations = annotations_of_container(&pod, container, 3);
        let marks = Marks::read(&annotations);
        assert_eq!((marks.restart_count, marks.hash.clone()), (3, hash::of(container)));
        assert_eq!(
            (marks.message_path.as_str(), marks.message_policy.as_str()),
            ("/dev/termination-log", "File")
        );
        let owner = Owner::read(&of_container(&pod, container)).unwrap();
        let restored = restored(&owner, [("a", &annotations)]);
        assert_eq!(spec::described(&restored), spec::described(&pod));
        assert_eq!(spec::grace_seconds(&restored), 7);
        let again = spec::container(&restored, "a").unwrap();
        assert_eq!(again.lifecycle, container.lifecycle);
        assert_eq!(again.ports, container.ports);
        assert_eq!(of_sandbox(&pod)["app"], "web");
    }

    #[test]
    fn what_no_agent_has_made_has_no_owner() {
        assert_eq!(Owner::read(&HashMap::new()), None);
        assert_eq!(Marks::read(&HashMap::new()), Marks::default());
    }
}
