//! Deployments and ReplicaSets for tests, and plans as lines of text.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStatus, DeploymentStrategy, ReplicaSet, ReplicaSetSpec,
    ReplicaSetStatus, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::new_controller_ref;

use super::annotations::{DESIRED_REPLICAS, MAX_REPLICAS, REVISION};
use super::draft::{Scaling, Step};
use super::plan::{Observed, Plan, plan};

/// The time of a test.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Pods with this image.
pub(super) fn template(image: &str) -> PodTemplateSpec {
    let container = Container { name: "web".into(), image: Some(image.into()), ..Container::default() };
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some([("app".into(), "web".into())].into()),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
    }
}

/// The deployment `shop/web` of `replicas` pods with this image, one of which may be missing and one too many.
pub(super) fn deployment(image: &str, replicas: i32) -> Deployment {
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some("web".into()),
        uid: Some("web-uid".into()),
        generation: Some(1),
        resource_version: Some("1".into()),
        ..ObjectMeta::default()
    };
    let selector = LabelSelector {
        match_labels: Some([("app".into(), "web".into())].into()),
        ..LabelSelector::default()
    };
    let spec = DeploymentSpec {
        replicas: Some(replicas),
        selector,
        template: template(image),
        strategy: Some(rolling(IntOrString::Int(1), IntOrString::Int(1))),
        progress_deadline_seconds: Some(600),
        revision_history_limit: Some(10),
        ..DeploymentSpec::default()
    };
    Deployment { metadata, spec, ..Deployment::default() }
}

pub(super) fn rolling(max_surge: IntOrString, max_unavailable: IntOrString) -> DeploymentStrategy {
    let rolling =
        RollingUpdateDeployment { max_surge: Some(max_surge), max_unavailable: Some(max_unavailable) };
    DeploymentStrategy { type_: Some("RollingUpdate".into()), rolling_update: Some(rolling) }
}

pub(super) fn recreate() -> DeploymentStrategy {
    DeploymentStrategy { type_: Some("Recreate".into()), rolling_update: None }
}

/// A set of the deployment, named after its image. `revision` is its age as well, and the number of pods of the
/// deployment when it was scaled last is `desired`.
pub(super) fn set(
    image: &str,
    revision: i64,
    desired: i32,
    replicas: i32,
    available: i32,
) -> Arc<ReplicaSet> {
    let name = format!("web-{image}");
    let annotations = [
        (REVISION.into(), revision.to_string()),
        (DESIRED_REPLICAS.into(), desired.to_string()),
        (MAX_REPLICAS.into(), (desired + 1).to_string()),
    ];
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        uid: Some(format!("{name}-uid")),
        name: Some(name),
        generation: Some(1),
        resource_version: Some("7".into()),
        creation_timestamp: Some(Time(at(revision))),
        owner_references: Some(vec![new_controller_ref(&deployment(image, 1))]),
        annotations: Some(annotations.into()),
        labels: Some([("app".into(), "web".into())].into()),
        ..ObjectMeta::default()
    };
    let spec = ReplicaSetSpec {
        replicas: Some(replicas),
        template: Some(template(image)),
        ..ReplicaSetSpec::default()
    };
    Arc::new(ReplicaSet { metadata, spec, status: Some(set_status(replicas, available)) })
}

pub(super) fn set_status(replicas: i32, available: i32) -> ReplicaSetStatus {
    ReplicaSetStatus {
        replicas,
        ready_replicas: Some(available),
        available_replicas: Some(available),
        terminating_replicas: Some(0),
        observed_generation: Some(1),
        ..ReplicaSetStatus::default()
    }
}

/// The plan when no old pods run.
pub(super) fn plan_of(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Plan {
    plan(&Observed { deployment, sets, running: &BTreeSet::new() }, at(1000))
}

/// The steps, a line each.
pub(super) fn steps_of(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Vec<String> {
    plan_of(deployment, sets).steps.iter().map(line).collect()
}

fn line(step: &Step) -> String {
    let name = |set: &ReplicaSet| set.metadata.name.clone().unwrap_or_default();
    match step {
        Step::Create(set) => format!("create with {}", set.spec.replicas.unwrap_or(0)),
        Step::Update(update) => {
            let mut line = name(&update.set);
            if let Some(Scaling { from, to }) = update.scaling {
                line += &format!(" {from}->{to}");
            }
            if let Some(seconds) = update.min_ready_seconds {
                line += &format!(" minReadySeconds={seconds}");
            }
            for (key, value) in &update.annotations {
                let key = key.rsplit_once('/').map_or(key.as_str(), |(_, key)| key);
                line += &format!(" {key}={value}");
            }
            line
        }
        Step::Delete(set) => format!("delete {}", name(set)),
    }
}

/// The status as if the deployment had been left alone with these sets, for long enough.
pub(super) fn settled(deployment: Deployment, sets: &[Arc<ReplicaSet>]) -> Deployment {
    let mut deployment = deployment;
    for _ in 0..3 {
        if let Some(update) = plan_of(&deployment, sets).status {
            let annotations = deployment.metadata.annotations.get_or_insert_default();
            annotations.extend(update.revision.map(|revision| (REVISION.to_owned(), revision)));
            deployment.status = Some(update.status);
        }
    }
    deployment
}

/// The condition of this type as `Type=Status Reason: message`.
pub(super) fn condition_line(status: &DeploymentStatus, kind: &str) -> String {
    let conditions = status.conditions.iter().flatten();
    let found = conditions.filter(|condition| condition.type_.as_deref() == Some(kind)).map(|condition| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (status, reason) = (text(&condition.status), text(&condition.reason));
        format!("{kind}={status} {reason}: {}", text(&condition.message))
    });
    found.collect::<Vec<_>>().join("; ")
}
