//! ReplicaSets and pods for tests.

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::new_controller_ref;
use keelson_controller_runtime::pod::{Pod, PodSpec, PodStatus};

/// The time of a test.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The set `shop/web`.
pub(super) fn set(replicas: i32) -> ReplicaSet {
    let labels = [("app".to_owned(), "web".to_owned())];
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some("web".into()),
        uid: Some("web-uid".into()),
        generation: Some(4),
        resource_version: Some("1".into()),
        ..ObjectMeta::default()
    };
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels.clone().into()), ..ObjectMeta::default() }),
        spec: Some(Default::default()),
    };
    let spec = ReplicaSetSpec {
        replicas: Some(replicas),
        selector: LabelSelector { match_labels: Some(labels.into()), ..LabelSelector::default() },
        template: Some(template),
        ..ReplicaSetSpec::default()
    };
    ReplicaSet { metadata, spec, status: None }
}

/// A running pod of the set on the node `node`; its uid is its name.
pub(super) fn pod(name: &str) -> Pod {
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some(name.into()),
        uid: Some(name.into()),
        resource_version: Some("1".into()),
        creation_timestamp: Some(Time(at(0))),
        labels: Some([("app".into(), "web".into())].into()),
        owner_references: Some(vec![new_controller_ref(&set(1))]),
        ..ObjectMeta::default()
    };
    let spec = PodSpec { node_name: Some("node".into()), ..PodSpec::default() };
    let status = PodStatus { phase: Some("Running".into()), ..PodStatus::default() };
    Pod { metadata, spec: Some(spec), status: Some(status) }
}

/// The pod, ready since then.
pub(super) fn ready(mut pod: Pod, since: i64) -> Pod {
    let condition = PodCondition {
        type_: "Ready".into(),
        status: "True".into(),
        last_transition_time: Some(Time(at(since))),
        ..PodCondition::default()
    };
    pod.status.get_or_insert_default().conditions = Some(vec![condition]);
    pod
}

/// The pod at a later version, being deleted.
pub(super) fn terminating(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = Some(Time(at(0)));
    pod.metadata.resource_version = Some("2".into());
    pod
}
