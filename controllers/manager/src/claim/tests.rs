//! What is promised of the claim, shown by example.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;

use super::*;
use crate::fake_api::{Call, another_has_the_name, fake_api, refusal};

const SOON: Option<Time> = Some(Time(Timestamp::UNIX_EPOCH));

fn owner(uid: &str) -> ReplicaSet {
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some("web".into()),
        uid: Some(uid.into()),
        ..ObjectMeta::default()
    };
    ReplicaSet { metadata, ..ReplicaSet::default() }
}

fn pod(name: &str, app: &str, controller: Option<&str>) -> Pod {
    let reference =
        |uid: &str| OwnerReference { uid: uid.into(), controller: Some(true), ..Default::default() };
    let metadata = ObjectMeta {
        namespace: Some("shop".into()),
        name: Some(name.into()),
        uid: Some(format!("{name}-uid")),
        labels: Some([("app".into(), app.into())].into()),
        owner_references: controller.map(|uid| vec![reference(uid)]),
        ..ObjectMeta::default()
    };
    Pod { metadata, ..Pod::default() }
}

#[test]
fn what_is_done_depends_on_the_controller_the_labels_and_who_is_being_deleted() {
    use Decision::{Adopt, Ignore, Own, Release};
    let stays = owner("u").metadata;
    let goes = ObjectMeta { deletion_timestamp: SOON, ..stays.clone() };
    let of = |controller| pod("p", "web", controller).metadata;
    let leaving = |controller| ObjectMeta { deletion_timestamp: SOON, ..of(controller) };
    let cases = [
        (&stays, of(Some("u")), true, Own),
        (&stays, leaving(Some("u")), true, Own),
        (&stays, of(Some("u")), false, Release),
        (&stays, of(Some("other")), true, Ignore),
        (&stays, of(None), true, Adopt),
        (&stays, of(None), false, Ignore),
        (&stays, leaving(None), true, Ignore),
        (&goes, of(Some("u")), true, Own),
        (&goes, of(Some("u")), false, Ignore),
        (&goes, of(None), true, Ignore),
    ];
    for (owner, object, matches, expected) in cases {
        assert_eq!(decide(owner, &object, matches), expected, "{object:?}, matches: {matches}");
    }
}

async fn claim(
    pods: Vec<Pod>,
    finalizer: Option<&'static str>,
    answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static,
) -> (Result<Vec<String>, ClaimError>, Vec<Call>) {
    let (client, calls) = fake_api(answer);
    let selector: Selector = [("app", "web")].into_iter().collect();
    let owner = owner("u");
    let claimant = Claimant { client: &client, owner: &owner, selector: &selector, finalizer };
    let claimed = claimant.claim(pods.into_iter().map(Arc::new).collect()).await;
    let names = claimed.map(|pods| pods.iter().filter_map(|pod| pod.metadata.name.clone()).collect());
    (names, calls.all())
}

fn answer_with(owner: &ReplicaSet) -> impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static {
    let owner = serde_json::to_value(owner).unwrap();
    move |call| match call.path.rsplit_once('/') {
        Some((_, "web")) => (200, owner.clone()),
        Some((_, pod_name)) => (200, serde_json::to_value(pod(pod_name, "web", Some("u"))).unwrap()),
        None => refusal(404, "NotFound", "…"),
    }
}

#[tokio::test]
async fn orphans_are_adopted_after_one_look_at_the_owner() {
    let pods = vec![pod("a", "web", None), pod("b", "web", Some("u")), pod("c", "web", None)];
    let (names, calls) = claim(pods, None, answer_with(&owner("u"))).await;
    assert_eq!(names.unwrap(), ["a", "b", "c"]);
    let lines: Vec<_> = calls.iter().map(|call| format!("{} {}", call.method, call.path)).collect();
    assert_eq!(
        lines,
        [
            "GET /apis/apps/v1/namespaces/shop/replicasets/web",
            "PATCH /api/v1/namespaces/shop/pods/a",
            "PATCH /api/v1/namespaces/shop/pods/c",
        ]
    );
    let reference = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u",
        "controller": true, "blockOwnerDeletion": true,
    });
    assert_eq!(calls[1].body, json!({"metadata": {"uid": "a-uid", "ownerReferences": [reference]}}));
}

#[tokio::test]
async fn what_no_longer_matches_is_released_with_its_finalizer() {
    let pods = vec![pod("a", "api", Some("u"))];
    let (names, calls) = claim(pods, Some("x/f"), answer_with(&owner("u"))).await;
    assert_eq!(names.unwrap(), [""; 0]);
    assert_eq!(
        calls[0].body,
        json!({"metadata": {
            "uid": "a-uid",
            "ownerReferences": [{"$patch": "delete", "uid": "u"}],
            "$deleteFromPrimitiveList/finalizers": ["x/f"],
        }})
    );
}

#[tokio::test]
async fn an_owner_that_was_made_anew_or_is_being_deleted_adopts_nothing() {
    let orphan = || vec![pod("a", "web", None)];
    let (result, calls) = claim(orphan(), None, answer_with(&owner("another"))).await;
    assert!(matches!(result, Err(ClaimError::OwnerGone(_))), "{result:?}");
    assert_eq!(calls.len(), 1);
    let mut leaving = owner("u");
    leaving.metadata.deletion_timestamp = SOON;
    let (result, _) = claim(orphan(), None, answer_with(&leaving)).await;
    assert!(matches!(result, Err(ClaimError::OwnerDeleted(_))), "{result:?}");
    let (result, _) = claim(orphan(), None, |_| refusal(404, "NotFound", "…")).await;
    assert!(matches!(result, Err(ClaimError::OwnerGone(_))), "{result:?}");
}

#[tokio::test]
async fn an_orphan_that_is_gone_is_no_failure_but_an_unreachable_api_is() {
    let live = serde_json::to_value(owner("u")).unwrap();
    let answers = move |answer: (u16, Value)| {
        let live = live.clone();
        move |call: &Call| if call.method == "GET" { (200, live.clone()) } else { answer.clone() }
    };
    for answer in [refusal(404, "NotFound", "…"), another_has_the_name(), refusal(422, "Invalid", "…")] {
        let (names, _) = claim(vec![pod("a", "web", None)], None, answers(answer)).await;
        assert_eq!(names.unwrap(), [""; 0]);
    }
    for answer in [refusal(504, "Timeout", "…"), refusal(409, "Conflict", "somebody was faster")] {
        let pods = vec![pod("a", "web", None), pod("b", "web", Some("u"))];
        let (result, _) = claim(pods, None, answers(answer)).await;
        assert!(matches!(result, Err(ClaimError::Api { .. })), "{result:?}");
    }
}
