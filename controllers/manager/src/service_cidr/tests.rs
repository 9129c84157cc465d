//! What becomes of a ServiceCIDR, moment by moment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::from_value;

use super::*;
use crate::fake_api::{Call, Calls, fake_api};

fn range(name: &str, cidr: &str, metadata: &Value, conditions: &Value) -> ServiceCIDR {
    let mut range = json!({
        "metadata": {"name": name, "resourceVersion": "7"}, "spec": {"cidrs": [cidr]},
        "status": {"conditions": conditions},
    });
    for (field, value) in metadata.as_object().unwrap() {
        range["metadata"][field] = value.clone();
    }
    from_value(range).unwrap()
}

/// One that was deleted so many seconds ago.
fn leaving(ago: i64) -> ServiceCIDR {
    let metadata = json!({"finalizers": ["example.com/x", FINALIZER]});
    let mut range = range("more", "10.97.0.0/24", &metadata, &json!([ready()]));
    range.metadata.deletion_timestamp = Some(Time(Timestamp::now() - SignedDuration::from_secs(ago)));
    range
}

/// Reconciles a range where these ranges and addresses are.
async fn reconcile(cached: ServiceCIDR, ranges: Vec<ServiceCIDR>, addresses: &[&str]) -> (Next, Calls) {
    let addresses: Vec<_> = addresses.iter().map(|ip| json!({"metadata": {"name": ip}})).collect();
    let object = serde_json::to_value(&cached).unwrap();
    let (client, calls) = fake_api(move |call: &Call| {
        let list = |items: Value| (200, json!({"metadata": {}, "items": items}));
        match call.path.rsplit('/').next() {
            Some("servicecidrs") => list(json!(ranges)),
            Some("ipaddresses") => list(json!(addresses)),
            _ => (200, object.clone()),
        }
    });
    let controller = Controller::new(client, Informer::detached());
    let key = ObjectKey::of(&cached);
    controller.ranges.apply(cached);
    (controller.reconcile(&key).await.unwrap(), calls)
}

const PATH: &str = "/apis/networking.k8s.io/v1/servicecidrs/more";

#[tokio::test]
async fn a_new_one_is_held_and_then_in_force() {
    let new = range("more", "10.97.0.0/24", &json!({"finalizers": ["example.com/x"]}), &json!([]));
    let (next, calls) = reconcile(new, Vec::new(), &[]).await;
    assert_eq!((next, calls.lines()), (Next::Done, vec![format!("PATCH {PATH}")]));
    let metadata = json!({"resourceVersion": "7", "finalizers": ["example.com/x", FINALIZER]});
    assert_eq!(calls.all()[0].body, json!({"metadata": metadata}));

    let held = range("more", "10.97.0.0/24", &json!({"finalizers": [FINALIZER]}), &json!([]));
    let (_, calls) = reconcile(held, Vec::new(), &[]).await;
    assert_eq!(calls.lines(), [format!("PATCH {PATH}/status")]);
    let condition = &calls.all()[0].body["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("Ready"), &json!("True")));
    assert_eq!(condition["message"], "Kubernetes Service CIDR is ready");

    let well = range("more", "10.97.0.0/24", &json!({"finalizers": [FINALIZER]}), &json!([ready()]));
    let (_, calls) = reconcile(well, Vec::new(), &[]).await;
    assert_eq!(calls.lines(), [""; 0]);
}

#[tokio::test]
async fn one_that_is_to_go_stays_while_addresses_are_in_use_that_nobody_else_has() {
    let (next, calls) = reconcile(leaving(60), vec![leaving(60)], &["10.96.0.1", "10.97.0.9"]).await;
    assert_eq!(next, Next::After(PAUSE));
    let told = &calls.all()[2];
    assert_eq!(told.path, format!("{PATH}/status"));
    assert_eq!(told.body["status"]["conditions"][0]["reason"], "Terminating");

    let mut told = leaving(60);
    told.status = from_value(json!({"conditions": [terminating()]})).unwrap();
    let (next, calls) = reconcile(told, vec![leaving(60)], &["10.97.0.9"]).await;
    assert_eq!((next, calls.lines().len()), (Next::After(PAUSE), 2), "it is told once");
}

#[tokio::test]
async fn it_goes_once_nobody_needs_it_and_every_server_has_seen_that_it_goes() {
    let wider = range("wider", "10.97.0.0/16", &json!({}), &json!([]));
    for (ranges, addresses) in
        [(vec![leaving(60)], &["10.96.0.1"][..]), (vec![leaving(60), wider], &["10.97.0.9"])]
    {
        let (next, calls) = reconcile(leaving(60), ranges, addresses).await;
        assert_eq!(next, Next::Done);
        let released = &calls.all()[2];
        assert_eq!(released.path, PATH);
        assert_eq!(released.body["metadata"]["finalizers"], json!(["example.com/x"]));
    }
    let (next, calls) = reconcile(leaving(1), vec![leaving(1)], &[]).await;
    assert!(matches!(next, Next::After(left) if left <= Duration::from_secs(9)), "{next:?}");
    assert_eq!(calls.lines().len(), 2, "nothing is written meanwhile");
}
