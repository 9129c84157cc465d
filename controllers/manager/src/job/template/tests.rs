//! What new pods look like.

use super::*;
use crate::job::testing::{annotate, failed_at, indexed, job, with};

fn annotation(pod: &WholePod, key: &str) -> Option<String> {
    pod.metadata.annotations.as_ref()?.get(key).cloned()
}

#[test]
fn a_pod_is_kept_until_it_has_been_counted() {
    let pod = pod(&job(1)).unwrap();
    assert_eq!(pod.metadata.finalizers.as_deref(), Some(&[TRACKING.to_owned()][..]));
    assert_eq!(pod.metadata.generate_name.as_deref(), Some("once-"));
    assert_eq!(annotation(&pod, COMPLETION_INDEX), None);
    let own = with(job(1), |spec| {
        spec.template.metadata.get_or_insert_default().finalizers = Some(vec!["example.com/own".into()]);
    });
    let pod = super::pod(&own).unwrap();
    assert_eq!(pod.metadata.finalizers.unwrap(), ["example.com/own", TRACKING]);
}

#[test]
fn a_pod_of_an_index_knows_it_in_every_way() {
    let job = with(indexed(3), |spec| {
        let containers = spec.template.spec.get_or_insert_default();
        containers.init_containers = Some(vec![Container { name: "first".into(), ..Container::default() }]);
        let own = EnvVar { name: ENVIRONMENT.into(), value: Some("mine".into()), ..EnvVar::default() };
        let second = Container { name: "second".into(), env: Some(vec![own]), ..Container::default() };
        containers.containers.push(second);
    });
    let pod = pod_of_index(&job, 2, None).unwrap();
    assert_eq!(pod.metadata.generate_name.as_deref(), Some("once-2-"));
    assert_eq!(annotation(&pod, COMPLETION_INDEX).as_deref(), Some("2"));
    assert_eq!(pod.metadata.labels.unwrap().get(COMPLETION_INDEX).map(String::as_str), Some("2"));
    assert_eq!(annotation_count(&job), None, "failures are not counted per index");
    let spec = pod.spec.unwrap();
    assert_eq!(spec.hostname.as_deref(), Some("once-2"));
    let variable = |container: &Container| {
        let env = container.env.clone().unwrap_or_default();
        assert_eq!(env.len(), 1);
        let field = env[0].value_from.as_ref().and_then(|source| source.field_ref.as_ref());
        field.map(|field| field.field_path.clone()).or_else(|| env[0].value.clone())
    };
    let path = Some("metadata.labels['batch.kubernetes.io/job-completion-index']".to_owned());
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    assert_eq!(
        containers.map(variable).collect::<Vec<_>>(),
        [path.clone(), path, Some("mine".into())],
        "the user's own stays"
    );
}

fn annotation_count(job: &Job) -> Option<String> {
    annotation(&pod_of_index(job, 0, None).unwrap(), INDEX_FAILURES)
}

#[test]
fn a_long_name_leaves_room_for_the_index_and_what_is_random() {
    let name = "n".repeat(63);
    assert_eq!(prefix(&name, 12), format!("{}-12-", "n".repeat(54)));
}

#[test]
fn a_pod_takes_the_failures_of_its_index_over() {
    use k8s_openapi::api::batch::v1::{
        PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule,
    };
    let limited = with(indexed(3), |spec| spec.backoff_limit_per_index = Some(5));
    let counts = |job: &Job, replaced: Option<&Pod>| {
        let pod = pod_of_index(job, 0, replaced).unwrap();
        (annotation(&pod, INDEX_FAILURES), annotation(&pod, INDEX_IGNORED_FAILURES))
    };
    assert_eq!(counts(&limited, None), (Some("0".into()), None));
    let mut replaced = failed_at("p", 0);
    annotate(&mut replaced, INDEX_FAILURES, "2");
    assert_eq!(counts(&limited, Some(&replaced)), (Some("3".into()), None));
    let ignoring = with(limited, |spec| {
        let codes = PodFailurePolicyOnExitCodesRequirement {
            container_name: None,
            operator: "In".into(),
            values: vec![1],
        };
        let rule = PodFailurePolicyRule {
            action: "Ignore".into(),
            on_exit_codes: Some(codes),
            on_pod_conditions: None,
        };
        spec.pod_failure_policy = Some(PodFailurePolicy { rules: vec![rule] });
    });
    assert_eq!(counts(&ignoring, Some(&replaced)), (Some("2".into()), Some("1".into())));
}
