//! Objects through kubectl: made, applied, changed and deleted.

use crate::kubectl::{self, Kubectl, config_map};
use crate::servers::Servers;

const SHOP: &str = include_str!("shop.yaml");

/// The kinds and names in `shop.yaml`, as kubectl prints them.
const APPLIED: [&str; 9] = [
    "namespace/shop",
    "configmap/settings",
    "secret/token",
    "serviceaccount/web",
    "role.rbac.authorization.k8s.io/reader",
    "rolebinding.rbac.authorization.k8s.io/jane-reads",
    "service/web",
    "deployment.apps/web",
    "job.batch/order",
];

fn lines(suffix: &str) -> String {
    APPLIED.iter().map(|object| format!("{object} {suffix}\n")).collect()
}

#[test]
fn a_manifest_applied_twice_changes_nothing_and_its_objects_can_be_changed_and_deleted() {
    if !kubectl::is_there("objects") {
        return;
    }
    let servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    let apply =
        |flags: &[&str], text: &str| admin.run_with(&[&["apply", "-f", "-"], flags].concat(), text).ok();

    assert_eq!(apply(&[], SHOP), lines("created"));
    assert_eq!(apply(&[], SHOP), lines("unchanged"));
    let more = SHOP.replace("greeting: hello", "greeting: welcome").replace("replicas: 3", "replicas: 4");
    let changed = apply(&[], &more);
    assert!(changed.contains("configmap/settings configured\n"), "{changed}");
    assert!(changed.contains("deployment.apps/web configured\n"), "{changed}");
    assert!(changed.contains("service/web unchanged\n"), "{changed}");

    secrets_are_encoded_and_services_have_addresses(&admin);
    labels_annotations_and_patches(&admin);
    scale(&admin);
    nothing_changes_by_a_dry_run(&admin);
    apply_on_the_server(&admin);
    whatever_is_wrong_is_said(&admin);
    lists_are_made_item_by_item(&admin);

    its_namespace_ends(&admin);
}

fn its_namespace_ends(admin: &Kubectl) {
    let mut last = config_map("last");
    last["metadata"]["finalizers"] = serde_json::json!(["example.com/held"]);
    admin.create(&["-n", "shop"], &last);
    let deleted = admin.run_with(&["delete", "--wait=false", "-f", "-"], SHOP).ok();
    assert!(deleted.contains("namespace \"shop\" deleted"), "{deleted}");
    assert_eq!(admin.json("get namespace shop")["status"]["phase"], "Terminating", "something is held in it");
    let refused = admin.create_fails(&["-n", "shop"], &config_map("late"));
    assert!(refused.contains("because it is being terminated"), "{refused}");
    admin.ok(r#"-n shop patch configmap last --type=merge --patch={"metadata":{"finalizers":null}}"#);
    admin.ok("wait --for=delete namespace/shop --timeout=60s");
}

fn secrets_are_encoded_and_services_have_addresses(admin: &Kubectl) {
    assert_eq!(admin.ok("-n shop get secret token -o jsonpath={.data.password}"), "czNjcmV0");
    let service = admin.json("-n shop get service web");
    let address = service["spec"]["clusterIP"].as_str().unwrap();
    assert!(address.starts_with("10.96."), "{service}");
    let port = service["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    assert!((30_000..=32_767).contains(&port), "{service}");
    assert_eq!(admin.ok(&format!("get ipaddress {address} -o jsonpath={{.spec.parentRef.name}}")), "web");
    assert_eq!(admin.ok("get service kubernetes -o jsonpath={.spec.clusterIP}"), "10.96.0.1");
}

fn labels_annotations_and_patches(admin: &Kubectl) {
    assert_eq!(admin.ok("-n shop label configmap settings tier=front"), "configmap/settings labeled\n");
    assert_eq!(admin.ok("-n shop get configmap -l tier=front -o name"), "configmap/settings\n");
    assert_eq!(admin.ok("-n shop get configmap -l tier!=front,tier -o name"), "");
    assert_eq!(admin.ok("-n shop annotate configmap settings note=kept"), "configmap/settings annotated\n");
    let refused = admin.fails("-n shop label configmap settings tier=back");
    assert!(refused.contains("already has a value"), "{refused}");

    let patch = |kind: &str, patch: &str| {
        let flag = format!("--patch={patch}");
        admin.run(&["-n", "shop", "patch", "configmap", "settings", "--type", kind, &flag]).ok()
    };
    patch("merge", r#"{"data":{"farewell":"bye"}}"#);
    patch("json", r#"[{"op":"replace","path":"/data/greeting","value":"hi"}]"#);
    patch("strategic", r#"{"data":{"farewell":null}}"#);
    let object = admin.json("-n shop get configmap settings");
    assert_eq!(object["data"], serde_json::json!({"greeting": "hi"}));
    assert_eq!(object["metadata"]["annotations"]["note"], "kept");
    assert!(admin.ok("-n shop describe configmap settings").contains("greeting:\n----\nhi"));
}

fn scale(admin: &Kubectl) {
    assert_eq!(admin.ok("-n shop scale deployment web --replicas=5"), "deployment.apps/web scaled\n");
    assert_eq!(admin.ok("-n shop get deployment web -o jsonpath={.spec.replicas}"), "5");
    let scale = admin.json("-n shop get deployment web --subresource=scale");
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&"Scale".into(), &5.into()));
    let image = admin.ok("-n shop set image deployment/web web=busybox:1.36");
    assert_eq!(image, "deployment.apps/web image updated\n");
    let generation = admin.json("-n shop get deployment web")["metadata"]["generation"].clone();
    assert!(generation.as_u64().unwrap() >= 3, "every change of the spec counts: {generation}");
}

/// From client-side apply to server-side apply, with another manager in between.
fn apply_on_the_server(admin: &Kubectl) {
    let manifest = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: owned\n  namespace: shop\ndata:\n  x: '{value}'\n"
        )
    };
    let apply = |flags: &[&str], value: &str| {
        admin.run_with(&[&["apply", "-f", "-"], flags].concat(), &manifest(value))
    };
    assert_eq!(apply(&[], "1").ok(), "configmap/owned created\n");
    let server = "--server-side";
    assert_eq!(apply(&[server], "2").ok(), "configmap/owned serverside-applied\n");
    let managers = admin.ok("-n shop get configmap owned -o jsonpath={.metadata.managedFields[*].manager}");
    assert!(!managers.contains("client-side"), "kubectl takes its own fields over: {managers}");

    let edit =
        r#"-n shop patch configmap owned --field-manager=editor --type=merge --patch={"data":{"x":"3"}}"#;
    admin.ok(edit);
    let refused = apply(&[server], "4");
    let conflict = "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.x";
    assert!(!refused.succeeded && refused.err.contains(conflict), "{refused:?}");
    let diff = ["diff", server, "--force-conflicts", "-f", "-"];
    let difference = admin.run_with(&diff, &manifest("4")).out;
    assert!(difference.contains("\n-  x: \"3\"\n+  x: \"4\"\n"), "{difference}");
    assert_eq!(admin.ok("-n shop get configmap owned -o jsonpath={.data.x}"), "3", "a diff changes nothing");
    assert_eq!(apply(&[server, "--force-conflicts"], "4").ok(), "configmap/owned serverside-applied\n");
    assert_eq!(admin.ok("-n shop get configmap owned -o jsonpath={.data.x}"), "4");
}

fn nothing_changes_by_a_dry_run(admin: &Kubectl) {
    let made = admin.create(&["-n", "shop", "--dry-run=server"], &config_map("dry"));
    assert!(made["metadata"]["uid"].is_string(), "it is what would have been made: {made}");
    let missing = admin.fails("-n shop get configmap dry");
    assert_eq!(missing, "Error from server (NotFound): configmaps \"dry\" not found\n");
    admin.ok("-n shop delete configmap settings --dry-run=server");
    admin.ok("-n shop get configmap settings");
}

fn whatever_is_wrong_is_said(admin: &Kubectl) {
    let shop = ["-n", "shop"];
    let exists = admin.create_fails(&shop, &config_map("settings"));
    assert!(exists.contains("configmaps \"settings\" already exists"), "{exists}");
    let nowhere = admin.create_fails(&["-n", "nowhere"], &config_map("a"));
    assert!(nowhere.contains("namespaces \"nowhere\" not found"), "{nowhere}");
    let unknown = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: u, namespace: shop}\ncolour: red\n";
    let refused = admin.run_with(&["create", "-f", "-"], unknown);
    assert!(refused.err.contains("unknown field \"colour\""), "{refused:?}");
    let invalid = admin.create_fails(&shop, &config_map("Upper_Case"));
    assert!(invalid.contains("metadata.name: Invalid value: \"Upper_Case\""), "{invalid}");
}

/// kubectl validates what has no OpenAPI v3 path of its own by version 2.
fn lists_are_made_item_by_item(admin: &Kubectl) {
    let list = "apiVersion: v1\nkind: List\nitems:\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: first}, data: {a: b}}\n\
                - {apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: second}, spec: {replicas: 0, \
                selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, \
                spec: {containers: [{name: a, image: a, ports: [{containerPort: 80}], \
                resources: {limits: {cpu: 1}}, readinessProbe: {httpGet: {port: http}}}]}}}}\n";
    let lines = |what: &str| format!("configmap/first {what}\nreplicaset.apps/second {what}\n");
    let run = |verb: &str, text: &str| admin.run_with(&["-n", "shop", verb, "-f", "-"], text);
    assert_eq!(run("create", list).ok(), lines("created"));
    assert_eq!(run("apply", list).ok().lines().count(), 2);
    let wrong = run("create", &list.replace("data:", "dada:"));
    assert!(wrong.err.contains("unknown field \"dada\""), "{wrong:?}");
}
