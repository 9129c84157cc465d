//! Kinds beside the first ones, each through its life: applied, shown, described, changed where it may be, deleted.
//!
//! Deliberately absent: what controllers make of them.

use serde_json::{Value, json};

use crate::kubectl::{self, Kubectl};
use crate::servers::Servers;
use crate::wait;

const KINDS: &str = include_str!("kinds.yaml");

/// What `kubectl get` shows of each, beginning with the title of the first column.
const TABLES: [(&str, &str); 12] = [
    ("pdb/web", "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE"),
    ("ds/log", "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR AGE"),
    ("sts/db", "NAME READY AGE"),
    ("controllerrevision/db-1", "NAME CONTROLLER REVISION AGE"),
    ("cj/nightly", "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE"),
    ("pvc/data", "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE"),
    (
        "pv/disk",
        "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE",
    ),
    ("rc/old", "NAME DESIRED CURRENT READY AGE"),
    ("quota/most", "NAME REQUEST LIMIT AGE"),
    ("limits/each", "NAME CREATED AT"),
    ("podtemplate/mould", "NAME CONTAINERS IMAGES POD LABELS"),
    ("hpa/db", "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE"),
];

/// Changes that no kind allows, and a part of the refusal.
const REFUSED: [(&str, &str, &str); 7] = [
    ("ds/log", r#"{"spec":{"selector":{"matchLabels":{"app":"x"}}}}"#, "field is immutable"),
    (
        "sts/db",
        r#"{"spec":{"serviceName":"x"}}"#,
        "updates to statefulset spec for fields other than 'replicas'",
    ),
    ("controllerrevision/db-1", r#"{"data":{"spec":{"replicas":2}}}"#, "data: Invalid value: "),
    ("pvc/data", r#"{"spec":{"accessModes":["ReadWriteMany"]}}"#, "spec is immutable after creation"),
    (
        "pv/disk",
        r#"{"spec":{"hostPath":{"path":"/x"}}}"#,
        "spec.persistentvolumesource is immutable after creation",
    ),
    ("quota/most", r#"{"spec":{"scopes":["Terminating"]}}"#, "spec.scopes: Invalid value: "),
    ("cj/nightly", r#"{"spec":{"schedule":"often"}}"#, "expected exactly 5 fields, found 1: [often]"),
];

#[test]
fn every_kind_is_applied_shown_changed_and_deleted() {
    if !kubectl::is_there("kinds") {
        return;
    }
    let servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    let apply = || admin.run_with(&["apply", "-f", "-"], KINDS).ok();
    let created = apply();
    assert_eq!(created.lines().filter(|line| line.ends_with(" created")).count(), TABLES.len(), "{created}");
    // kubectl sends lists that are atomic, and fields that are replaced as a whole, whenever defaults are in them: the
    // claims of the stateful set, the selector of the budget, the items of the limits. Nothing comes of it.
    let again = apply();
    let unchanged = again.lines().filter(|line| line.ends_with(" unchanged")).count();
    assert!(unchanged >= TABLES.len() - 3, "{again}");
    assert_eq!(admin.ok("get pdb/web sts/db -o jsonpath={.items[*].metadata.generation}"), "1 1");

    for (object, titles) in TABLES {
        let table = admin.ok(&format!("get {object}"));
        let first = table.lines().next().unwrap_or_default();
        assert_eq!(first.split_whitespace().collect::<Vec<_>>().join(" "), titles, "{table}");
        let name = object.split_once('/').unwrap().1;
        let described = admin.ok(&format!("describe {object}"));
        assert!(described.contains(name), "{described}");
    }
    for (object, patch, why) in REFUSED {
        let flag = format!("--patch={patch}");
        let printed = admin.run(&["patch", object, "--type=merge", &flag]);
        assert!(!printed.succeeded && printed.err.contains(why), "{object}: {printed:?}");
    }
    scales(&admin);
    two_versions_are_one_autoscaler(&admin);
    a_budget_guards_its_pod(&admin);
    let deleted = admin.run_with(&["delete", "-f", "-"], KINDS).ok();
    assert_eq!(deleted.lines().count(), TABLES.len(), "{deleted}");
    assert_eq!(admin.ok("get pdb,ds,sts,cj,pvc,pv,rc,quota,limits,podtemplates,hpa -o name"), "");
}

fn scales(admin: &Kubectl) {
    assert_eq!(admin.ok("scale sts/db --replicas=1"), "statefulset.apps/db scaled\n");
    assert_eq!(admin.ok("scale rc/old --replicas=1"), "replicationcontroller/old scaled\n");
    assert_eq!(admin.ok("get rc old --subresource=scale -o jsonpath={.status.selector}"), "app=old");
}

fn two_versions_are_one_autoscaler(admin: &Kubectl) {
    let old = admin.json("get horizontalpodautoscalers.v1.autoscaling db");
    assert_eq!(old["apiVersion"], "autoscaling/v1");
    let metrics = old["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"].as_str().unwrap();
    assert!(metrics.contains("\"targetAverageValue\":\"1Gi\""), "{metrics}");
    let patch = r#"--patch={"spec":{"targetCPUUtilizationPercentage":50}}"#;
    admin.run(&["patch", "horizontalpodautoscalers.v1.autoscaling", "db", "--type=merge", patch]).ok();
    let new = admin.json("get hpa db");
    assert_eq!(new["apiVersion"], "autoscaling/v2");
    assert_eq!(new["spec"]["metrics"].as_array().unwrap().len(), 2, "{new}");
    let preferred: Value = serde_json::from_str(&admin.ok("get --raw /apis/autoscaling")).unwrap();
    assert_eq!(preferred["preferredVersion"]["version"], "v2");
}

/// The pod has a node that does not exist, so nobody runs it and nobody else reports on it.
fn a_budget_guards_its_pod(admin: &Kubectl) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "guarded", "labels": {"app": "guarded"}},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "a", "image": "busybox"}]},
    });
    wait::until("pods have an account", || {
        let made = admin.run_with(&["create", "-f", "-"], &pod.to_string());
        if made.succeeded { Ok(()) } else { Err(made.err) }
    });
    let ready = r#"--patch={"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#;
    admin.run(&["patch", "pod", "guarded", "--subresource=status", "--type=merge", ready]).ok();
    // Whoever asks before the budget was looked at is told to ask again in ten seconds, and kubectl does.
    let seen = r#"--patch={"status":{"observedGeneration":1,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}"#;
    admin.run(&["patch", "pdb", "web", "--subresource=status", "--type=merge", seen]).ok();
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "guarded"}});
    let path = "/api/v1/namespaces/default/pods/guarded/eviction";
    let evict = || admin.run_with(&["create", "--raw", path, "-f", "-"], &eviction.to_string());
    let refused = evict();
    let why = "Cannot evict pod as it would violate the pod's disruption budget.";
    assert!(!refused.succeeded && refused.err.contains(why), "{refused:?}");
    admin.ok(
        "patch pdb web --type=merge --patch={\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"others\"}}}}",
    );
    let status: Value = serde_json::from_str(&evict().ok()).unwrap();
    assert_eq!((&status["status"], &status["code"]), (&json!("Success"), &json!(201)));
    let left = admin.run(&["get", "pod", "guarded", "-o", "jsonpath={.metadata.deletionTimestamp}"]);
    assert!(!left.succeeded || !left.out.is_empty(), "it is on its way out, or gone: {left:?}");
    admin.ok("delete pod guarded --grace-period=0 --force --ignore-not-found");
}
