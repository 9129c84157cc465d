//! What is promised of the pod control, shown by example.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::PodSpec;
use keelson_controller_runtime::reference_to;
use serde_json::json;

use super::*;
use crate::fake_api::{Call, Calls, another_has_the_name, fake_api, refusal};

fn owner(name: &str) -> ReplicaSet {
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some(name.into()),
        uid: Some("set-uid".into()),
        ..ObjectMeta::default()
    };
    ReplicaSet { metadata, ..ReplicaSet::default() }
}

fn pod() -> Pod {
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some("web-1".into()),
        uid: Some("pod-uid".into()),
        ..ObjectMeta::default()
    };
    Pod { metadata, ..Pod::default() }
}

/// The same before there is one.
fn new_pod() -> WholePod {
    WholePod { metadata: pod().metadata, ..WholePod::default() }
}

fn control(
    answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
) -> (PodControl, Calls, impl FnMut() -> Vec<String>) {
    let (client, calls) = fake_api(answer);
    let (events, mut recorded) = EventRecorder::detached();
    let told = move || {
        std::iter::from_fn(|| recorded.try_recv().ok())
            .map(|event| format!("{} {}", event.reason, event.message))
            .collect()
    };
    (PodControl::new(client, events), calls, told)
}

#[test]
fn a_pod_of_a_template_is_named_after_its_controller_and_controlled_by_it() {
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            name: Some("ignored".into()),
            labels: Some([("app".into(), "web".into())].into()),
            annotations: Some([("a".into(), "b".into())].into()),
            finalizers: Some(vec!["example.com/f".into()]),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec { hostname: Some("h".into()), ..PodSpec::default() }),
    };
    let pod = pod_from_template(&template, &owner("web"));
    assert_eq!(
        serde_json::to_value(&pod).unwrap(),
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "namespace": "shop",
                "generateName": "web-",
                "labels": {"app": "web"},
                "annotations": {"a": "b"},
                "finalizers": ["example.com/f"],
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set-uid",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {"containers": [], "hostname": "h"},
        })
    );
    let longest = "a".repeat(LONGEST_NAME);
    let pod = pod_from_template(&template, &owner(&longest));
    assert_eq!(pod.metadata.generate_name, Some(longest));
}

#[tokio::test]
async fn users_hear_of_creations_and_of_refusals_in_the_servers_words() {
    let owner = reference_to(&owner("web"));
    let (control, calls, mut told) = control(|_| (201, serde_json::to_value(new_pod()).unwrap()));
    control.create(&owner, &new_pod()).await.unwrap();
    assert_eq!(calls.lines(), ["POST /api/v1/namespaces/shop/pods"]);
    assert_eq!(told(), ["SuccessfulCreate Created pod: web-1"]);
    let (control, _, mut told) = self::control(|_| refusal(403, "Forbidden", "exceeded quota: few"));
    control.create(&owner, &new_pod()).await.unwrap_err();
    assert_eq!(told(), ["FailedCreate Error creating: exceeded quota: few"]);
}

#[tokio::test]
async fn nobody_is_told_that_a_namespace_ends() {
    let (control, _, mut told) = control(|_| {
        let (code, mut status) = refusal(403, "Forbidden", "it is being terminated");
        status["details"] = json!({"causes": [{"reason": "NamespaceTerminating", "message": "…"}]});
        (code, status)
    });
    let error = control.create(&reference_to(&owner("web")), &new_pod()).await.unwrap_err();
    assert!(is_namespace_terminating(&error));
    assert_eq!(told(), [""; 0]);
}

#[tokio::test]
async fn only_the_pod_that_was_meant_is_deleted() {
    let owner = reference_to(&owner("web"));
    let (control, calls, mut told) = control(|_| (200, serde_json::to_value(new_pod()).unwrap()));
    let deletion = control.delete(&owner, &pod()).await.unwrap();
    assert_eq!(deletion, Deletion::Accepted(Some(Box::new(pod()))));
    let [call] = &calls.all()[..] else { panic!("one call") };
    assert_eq!((call.method.as_str(), call.path.as_str()), ("DELETE", "/api/v1/namespaces/shop/pods/web-1"));
    assert_eq!(call.body, json!({"preconditions": {"uid": "pod-uid"}}));
    assert_eq!(told(), ["SuccessfulDelete Deleted pod: web-1"]);
}

#[tokio::test]
async fn a_pod_that_is_gone_counts_as_deleted_and_other_refusals_are_told() {
    let owner = reference_to(&owner("web"));
    for answer in [refusal(404, "NotFound", "…"), another_has_the_name()] {
        let (control, _, mut told) = control(move |_| answer.clone());
        assert_eq!(control.delete(&owner, &pod()).await.unwrap(), Deletion::WasGone);
        assert_eq!(told(), [""; 0]);
    }
    for (code, reason) in [(500, "InternalError"), (409, "Conflict")] {
        let (control, _, mut told) = control(move |_| refusal(code, reason, "broken"));
        control.delete(&owner, &pod()).await.unwrap_err();
        assert_eq!(told(), ["FailedDelete Error deleting: broken"]);
    }
}
