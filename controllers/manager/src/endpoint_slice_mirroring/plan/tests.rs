//! What a mirror of Endpoints says.

use serde_json::{Value, json};

use super::*;

fn endpoints(metadata: &Value, subsets: &Value) -> Endpoints {
    let mut value = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"namespace": "shop", "name": "db", "uid": "db-uid"},
        "subsets": subsets,
    });
    for (key, field) in metadata.as_object().unwrap() {
        value["metadata"][key] = field.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn told(slices: &[EndpointSlice]) -> Value {
    serde_json::to_value(slices).unwrap()
}

/// The slices of a plan as the server would have them.
fn served(plan: Plan) -> Vec<Arc<EndpointSlice>> {
    let name = |(at, mut slice): (usize, EndpointSlice)| {
        slice.metadata.name = Some(format!("db-{at}"));
        Arc::new(slice)
    };
    plan.changes.create.into_iter().enumerate().map(name).collect()
}

#[test]
fn subsets_become_slices() {
    let endpoints = endpoints(
        &json!({
            "labels": {"team": "shop"},
            "annotations": {
                "note": "x",
                "endpoints.kubernetes.io/last-change-trigger-time": "t",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
        }),
        &json!([{
            "addresses": [{"ip": "192.0.2.1", "nodeName": "n1", "hostname": "db-0"}, {"ip": "fd00:0::1"}],
            "notReadyAddresses": [
                {"ip": "192.0.2.2", "targetRef": {"kind": "Pod", "name": "p", "resourceVersion": "7"}},
            ],
            "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        }]),
    );
    let plan = plan(&endpoints, &[]);
    let metadata = json!({
        "generateName": "db-",
        "namespace": "shop",
        "labels": {
            "team": "shop",
            "kubernetes.io/service-name": "db",
            "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        },
        "annotations": {"note": "x"},
        "ownerReferences": [{
            "apiVersion": "v1", "kind": "Endpoints", "name": "db", "uid": "db-uid",
            "controller": true, "blockOwnerDeletion": true,
        }],
    });
    let slice = |kind: &str, endpoints: Value| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": metadata, "addressType": kind, "endpoints": endpoints,
            "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        })
    };
    assert_eq!(
        told(&plan.changes.create),
        json!([
            slice(
                "IPv4",
                json!([
                    {"addresses": ["192.0.2.1"], "conditions": {"ready": true}, "nodeName": "n1", "hostname": "db-0"},
                    {
                        "addresses": ["192.0.2.2"], "conditions": {"ready": false},
                        "targetRef": {"kind": "Pod", "name": "p"},
                    },
                ])
            ),
            slice("IPv6", json!([{"addresses": ["fd00::1"], "conditions": {"ready": true}}])),
        ])
    );
}

#[test]
fn the_mirror_follows_and_then_rests() {
    let with = |labels: Value, ips: &[&str]| {
        let addresses: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
        endpoints(&json!({"labels": labels}), &json!([{"addresses": addresses, "ports": [{"port": 80}]}]))
    };
    let first = with(json!({}), &["192.0.2.1", "192.0.2.2"]);
    let slices = served(plan(&first, &[]));
    assert_eq!(plan(&first, &slices), Plan::default());
    for next in [with(json!({}), &["192.0.2.1"]), with(json!({"team": "shop"}), &["192.0.2.1", "192.0.2.2"])]
    {
        let changes = plan(&next, &slices).changes;
        assert_eq!((changes.create.len(), changes.update.len(), changes.delete.len()), (0, 1, 0));
    }
    let none = plan(&endpoints(&json!({}), &json!([])), &slices).changes;
    assert_eq!((none.create.len(), none.update.len(), none.delete.len()), (0, 0, 1));
}

#[test]
fn what_cannot_be_mirrored_is_counted() {
    let many: Vec<Value> =
        (0..1005).map(|at| json!({"ip": format!("10.0.{}.{}", at / 256, at % 256)})).collect();
    let endpoints = endpoints(
        &json!({}),
        &json!([{"addresses": many, "notReadyAddresses": [{"ip": "10.9.0.1"}, {"ip": "no-address"}], "ports": []}]),
    );
    let plan = plan(&endpoints, &[]);
    assert_eq!((plan.invalid, plan.excess), (1, 6));
    let sizes: Vec<_> =
        plan.changes.create.iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect();
    assert_eq!(sizes, [1000]);
}

#[test]
fn some_endpoints_are_not_to_be_mirrored() {
    let asks = |metadata: Value| asks_for_mirror(&endpoints(&metadata, &json!([])));
    assert!(asks(json!({})));
    assert!(asks(json!({"labels": {"endpointslice.kubernetes.io/skip-mirror": "false"}})));
    assert!(!asks(json!({"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}})));
    assert!(!asks(json!({"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}})));
    assert!(!asks(json!({"namespace": "default", "name": "kubernetes"})));
}

#[test]
fn endpoints_that_are_being_deleted_get_no_new_slices() {
    let endpoints = endpoints(
        &json!({"deletionTimestamp": "1970-01-01T00:00:00Z"}),
        &json!([{"addresses": [{"ip": "192.0.2.1"}], "ports": []}]),
    );
    assert_eq!(plan(&endpoints, &[]).changes, Changes::default());
}
