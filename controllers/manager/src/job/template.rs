//! A Job's new pods: pure.
//!
//! In: the Job, and of an indexed one the index and the failed pod that is replaced. Out: the pod to create, with the
//! finalizer that keeps it until it has been counted.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod as WholePod, PodSpec},
};

use keelson_controller_runtime::pod::{COMPLETION_INDEX, INDEX_FAILURES, INDEX_IGNORED_FAILURES, Pod};

use super::{
    pods::{TRACKING, index_failures, index_ignored_failures},
    policy::{Failure, judge},
};
use crate::pod_control::pod_from_template;

/// The variable that tells containers their index.
const ENVIRONMENT: &str = "JOB_COMPLETION_INDEX";

/// What a generated name may begin with, so that it stays a label with its five random characters.
const LONGEST_PREFIX: usize = 58;

/// A new pod; `None` for a Job that the API would not take.
pub(super) fn pod(job: &Job) -> Option<WholePod> {
    let mut pod = pod_from_template(&job.spec.as_ref()?.template, job);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == TRACKING) {
        finalizers.push(TRACKING.to_owned());
    }
    Some(pod)
}

/// The pod of an index. `replaced`: the index's last pod, where failures are counted per index.
pub(super) fn pod_of_index(job: &Job, index: usize, replaced: Option<&Pod>) -> Option<WholePod> {
    let mut pod = pod(job)?;
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(COMPLETION_INDEX.to_owned(), index.to_string());
    pod.metadata.labels.get_or_insert_default().insert(COMPLETION_INDEX.to_owned(), index.to_string());
    pod.metadata.generate_name = Some(prefix(name, index));
    let spec = job.spec.as_ref()?;
    if spec.backoff_limit_per_index.is_some() {
        let (failures, ignored) = replaced.map_or((0, 0), |pod| {
            let counts = judge(spec.pod_failure_policy.as_ref(), pod) != Failure::Ignored;
            let (failures, ignored) = (index_failures(pod), index_ignored_failures(pod));
            if counts { (failures.saturating_add(1), ignored) } else { (failures, ignored.saturating_add(1)) }
        });
        annotations.insert(INDEX_FAILURES.to_owned(), failures.to_string());
        if ignored > 0 {
            annotations.insert(INDEX_IGNORED_FAILURES.to_owned(), ignored.to_string());
        }
    }
    let containers = pod.spec.get_or_insert_default();
    containers.hostname = Some(format!("{name}-{index}"));
    tell_index(containers);
    Some(pod)
}

fn prefix(name: &str, index: usize) -> String {
    let suffix = format!("-{index}-");
    let room = LONGEST_PREFIX.saturating_sub(suffix.len());
    format!("{}{suffix}", name.get(..room).unwrap_or(name))
}

fn tell_index(spec: &mut PodSpec) {
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        tell_index_to(container);
    }
}

/// A variable of this name that the user has set stays.
fn tell_index_to(container: &mut Container) {
    let variables = container.env.get_or_insert_default();
    if variables.iter().any(|variable| variable.name == ENVIRONMENT) {
        return;
    }
    let field = ObjectFieldSelector {
        field_path: format!("metadata.labels['{COMPLETION_INDEX}']"),
        ..ObjectFieldSelector::default()
    };
    variables.push(EnvVar {
        name: ENVIRONMENT.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    });
}

#[cfg(test)]
mod tests;
