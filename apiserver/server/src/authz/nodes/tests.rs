//! What a node may do, by what runs on it.

use bytes::Bytes;
use keelson_api_registry::object::Object as Stored;
use keelson_api_schema::selector::FieldSelector;
use serde_json::json;

use super::{relations::Edge, *};

/// On `n1` runs the pod `shop/web`, which uses a claim that has the volume `disk`.
fn relations() -> Relations {
    let pod = Stored(json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "nodeName": "n1",
            "serviceAccountName": "till",
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [
                {"name": "a", "secret": {"secretName": "mounted"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "projected"}}]}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
            ],
            "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
            "containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "env"}}}]}],
            "ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "debug"}}]}],
            "resourceClaims": [{"name": "gpu", "resourceClaimName": "card"}],
        },
        "status": {"resourceClaimStatuses": [{"name": "fpga", "resourceClaimName": "made"}]},
    }));
    let mirror = Stored(json!({
        "metadata": {
            "name": "static", "namespace": "shop", "annotations": {"kubernetes.io/config.mirror": "x"},
        },
        "spec": {"nodeName": "n1", "volumes": [{"name": "a", "secret": {"secretName": "wanted"}}]},
    }));
    let waiting = Stored(json!({
        "metadata": {"name": "waiting", "namespace": "shop"},
        "spec": {"volumes": [{"name": "a", "secret": {"secretName": "later"}}]},
    }));
    let volume = Stored(json!({
        "metadata": {"name": "disk"},
        "spec": {
            "claimRef": {"namespace": "shop", "name": "data"},
            "csi": {"nodeStageSecretRef": {"name": "stage", "namespace": "storage"}},
            "rbd": {"secretRef": {"name": "ceph"}},
        },
    }));
    let attachment = Stored(json!({"metadata": {"name": "att"}, "spec": {"nodeName": "n1"}}));
    let mut relations = Relations::default();
    let edges = [
        references::of_pod(&pod),
        references::of_pod(&mirror),
        references::of_pod(&waiting),
        references::of_volume_object(&volume),
        references::of_node_name(Kind::Attachment, &attachment),
        references::of_node_name(
            Kind::Slice,
            &Stored(json!({"metadata": {"name": "s"}, "spec": {"nodeName": "n1"}})),
        ),
    ];
    for (at, edges) in edges.into_iter().enumerate() {
        relations.set(&Bytes::from(at.to_string()), edges);
    }
    relations
}

/// `get /secrets/shop/env`: verb, group, resource with subresource, namespace, name.
fn asks(node: &str, text: &str, selector: Option<&FieldSelector>) -> Opinion {
    let (verb, path) = text.split_once(' ').unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let [group, resource, namespace, name, subresource] = parts[..] else { panic!("{text}") };
    let object =
        Object::Resource(ResourceAttributes { group, resource, subresource, namespace, name, selector });
    decide(&relations(), node, &Attributes { verb, object })
}

#[test]
fn a_node_may_do_what_its_pods_need_and_no_other_node_may() {
    let of_pods = [
        "get /secrets/shop/mounted/",
        "list /secrets/shop/env/",
        "watch /secrets/shop/pull/",
        "get /secrets/shop/debug/",
        "get /secrets/storage/stage/",
        "get /secrets/shop/ceph/",
        "watch /configmaps/shop/projected/",
        "get /configmaps/shop/settings/",
        "get /persistentvolumeclaims/shop/data/",
        "patch /persistentvolumeclaims/shop/data/status",
        "get /persistentvolumeclaims/shop/web-scratch/",
        "get /persistentvolumes//disk/",
        "get resource.k8s.io/resourceclaims/shop/card/",
        "get resource.k8s.io/resourceclaims/shop/made/",
        "get storage.k8s.io/volumeattachments//att/",
        "update resource.k8s.io/resourceslices//s/",
        "create /serviceaccounts/shop/till/token",
        "get /pods/shop/web/",
        "watch /pods/shop/web/",
        "get /pods/shop/static/",
        "get /nodes//n1/",
        "watch /nodes//n1/",
        "update coordination.k8s.io/leases/kube-node-lease/n1/",
        "delete storage.k8s.io/csinodes//n1/",
    ];
    for text in of_pods {
        assert_eq!(asks("n1", text, None), Ok(()), "{text}");
        assert!(asks("n2", text, None).is_err(), "{text}");
    }
    let of_all = [
        "create /nodes///",
        "patch /nodes//n1/status",
        "create /pods/shop//",
        "patch /pods/shop/web/status",
        "create /pods/shop/web/eviction",
        "create coordination.k8s.io/leases/kube-node-lease//",
        "create resource.k8s.io/resourceslices///",
        "watch /services///",
        "create /events/shop//",
        "get node.k8s.io/runtimeclasses//gvisor/",
    ];
    for text in of_all {
        assert_eq!(asks("n2", text, None), Ok(()), "{text}");
    }
}

#[test]
fn refusals_say_why_in_upstreams_words() {
    let cases = [
        ("list /secrets/shop//", "No Object name found"),
        ("list /secrets///", "can only read namespaced object of this type"),
        ("delete /secrets/shop/env/", "can only read resources of this type"),
        ("get /secrets/shop/wanted/", "no relationship found between node 'n1' and this object"),
        ("get /secrets/shop/later/", "no relationship found between node 'n1' and this object"),
        ("get /secrets/other/env/", "no relationship found between node 'n1' and this object"),
        ("list /persistentvolumes///", "can only get individual resources of this type"),
        ("create /serviceaccounts/shop/till/", "can only create token subresource of serviceaccount"),
        ("get /nodes//n2/", "node 'n1' cannot read 'n2', only its own Node object"),
        ("list /nodes///", "node 'n1' cannot read all nodes, only its own Node object"),
        ("list /pods///", "can only list/watch pods with spec.nodeName field selector"),
        (
            "get coordination.k8s.io/leases/kube-system/n1/",
            "can only access leases in the \"kube-node-lease\" system namespace",
        ),
        ("delete /nodes//n1/", ""),
        ("get /pods/shop/web/log", ""),
        ("create apps/deployments/shop//", ""),
    ];
    for (text, why) in cases {
        assert_eq!(asks("n1", text, None), Err(why.to_owned()), "{text}");
    }
}

#[test]
fn collections_narrowed_to_the_node_are_its_own() {
    let own = FieldSelector::equals("spec.nodeName", "n1");
    for text in ["list /pods///", "watch /pods/shop//", "list resource.k8s.io/resourceslices///"] {
        assert_eq!(asks("n1", text, Some(&own)), Ok(()), "{text}");
        assert!(asks("n2", text, Some(&own)).is_err(), "{text}");
    }
    let others = FieldSelector::parse("spec.nodeName!=n1").unwrap();
    assert!(asks("n1", "list /pods///", Some(&others)).is_err());
}

#[test]
fn what_no_pod_names_any_more_is_not_read_any_more() {
    let thing = Thing::new(Kind::Secret, "shop", "shared");
    let edge = |node: &str| vec![Edge::Node(thing.clone(), node.to_owned())];
    let (a, b) = (Bytes::from_static(b"a"), Bytes::from_static(b"b"));
    let mut relations = Relations::default();
    relations.set(&a, edge("n1"));
    relations.set(&b, edge("n1"));
    relations.set(&a, edge("n2"));
    assert!(relations.has(&thing, "n1") && relations.has(&thing, "n2"));
    relations.remove(&b);
    assert!(!relations.has(&thing, "n1"));
    relations.set(&a, Vec::new());
    assert!(!relations.has(&thing, "n2"));
    assert_eq!(relations.keys().count(), 0);
}
