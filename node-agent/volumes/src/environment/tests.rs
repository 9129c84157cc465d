//! Every source of a variable, who wins, and the words of each failure.

use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::testing::Objects;

/// An API with a ConfigMap, a Secret and Services.
fn objects() -> Objects {
    let objects = Objects::at(datetime!(2026-01-01 00:00 UTC));
    objects.put_config_map("c", json!({"data": {"k": "cv", "odd.key-1": "o"}}));
    objects.put_secret("s", json!({"data": {"k": "c3Y=", "raw": "/w=="}}));
    objects.put_service("ns", "own", "10.0.0.2");
    objects.put_service("default", "kubernetes", "10.0.0.1");
    objects.put_service("elsewhere", "other", "10.0.0.3");
    objects
}

struct Setting {
    objects: Objects,
    root: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        Self { objects: objects(), root: tempfile::tempdir().unwrap() }
    }

    async fn of(&self, container: Value) -> Result<Vec<String>, EnvError> {
        self.of_pod(
            json!({"enableServiceLinks": false, "volumes": [{"name": "v", "emptyDir": {}}]}),
            container,
        )
        .await
    }

    async fn of_pod(&self, mut spec: Value, mut container: Value) -> Result<Vec<String>, EnvError> {
        container["name"] = json!("c");
        container["resources"] = json!({"limits": {"cpu": "1500m"}});
        spec["containers"] = json!([container]);
        let pod = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"a": "1"}}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let folders = self.folders();
        let addresses = ["10.1.0.9".parse().unwrap()];
        let variables =
            environment(&pod, container, &addresses, &folders, &self.objects, &Node::default()).await?;
        Ok(variables.iter().map(|it| format!("{}={}", it.key, it.value)).collect())
    }

    fn folders(&self) -> PodFolders {
        PodFolders::new(self.root.path(), "u").unwrap()
    }

    /// The variables without those of the master Service, which every container has.
    async fn own(&self, container: Value) -> Vec<String> {
        let mut all = self.of(container).await.unwrap();
        all.retain(|it| !it.starts_with("KUBERNETES_"));
        all
    }

    async fn error(&self, container: Value) -> String {
        self.of(container).await.unwrap_err().to_string()
    }
}

fn env(variables: &[Value]) -> Value {
    json!({"env": variables})
}

#[tokio::test(flavor = "current_thread")]
async fn every_source_gives_its_value() {
    let setting = Setting::new();
    let container = env(&[
        json!({"name": "LITERAL", "value": "x"}),
        json!({"name": "EMPTY"}),
        json!({"name": "FIELD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}),
        json!({"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}),
        json!({"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}),
        json!({"name": "MAP", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}),
        json!({"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
    ]);
    assert_eq!(
        setting.own(container).await,
        ["LITERAL=x", "EMPTY=", "FIELD=1", "IP=10.1.0.9", "CPU=1500", "MAP=cv", "SECRET=sv"]
    );
}

#[tokio::test(flavor = "current_thread")]
async fn whole_objects_come_in_with_any_printable_prefix() {
    let setting = Setting::new();
    setting.objects.put_secret("t", json!({"data": {"k": "dA=="}}));
    let container = json!({"envFrom": [
        {"configMapRef": {"name": "c"}},
        {"prefix": "p-1.", "configMapRef": {"name": "c"}},
        {"prefix": "$(X)=", "secretRef": {"name": "t"}},
        {"secretRef": {"name": "absent", "optional": true}},
        {"configMapRef": {"name": "absent", "optional": true}},
        {},
    ]});
    assert_eq!(
        setting.own(container).await,
        ["k=cv", "odd.key-1=o", "p-1.k=cv", "p-1.odd.key-1=o", "$(X)=k=t"]
    );
}

#[tokio::test(flavor = "current_thread")]
async fn later_ones_win_and_references_see_earlier_ones() {
    let setting = Setting::new();
    let container = json!({
        "envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "u"}}],
        "env": [
            {"name": "A", "value": "$(k)/$(LATER)/$$(k)/$(KUBERNETES_SERVICE_HOST)"},
            {"name": "LATER", "value": "$(A)"},
            {"name": "k", "value": "own"},
            {"name": "A", "value": "again $(k)"},
            {"name": "KUBERNETES_PORT", "value": "mine"},
        ],
    });
    setting.objects.put_secret("u", json!({"data": {"k": "dQ=="}}));
    let all = setting.of(container.clone()).await.unwrap();
    assert_eq!(
        all.iter().filter(|it| it.starts_with("KUBERNETES_PORT=")).collect::<Vec<_>>(),
        ["KUBERNETES_PORT=mine"]
    );
    assert_eq!(
        setting.own(container).await,
        ["k=own", "odd.key-1=o", "A=again own", "LATER=u/$(LATER)/$(k)/10.0.0.1"]
    );
}

#[tokio::test(flavor = "current_thread")]
async fn services_are_those_of_the_namespace_if_wanted_and_the_master_always() {
    let setting = Setting::new();
    let hosts = async |spec: Value| {
        let mut all = setting.of_pod(spec, json!({})).await.unwrap();
        all.retain(|it| it.contains("_SERVICE_HOST="));
        all
    };
    let both = ["KUBERNETES_SERVICE_HOST=10.0.0.1", "OWN_SERVICE_HOST=10.0.0.2"];
    assert_eq!(hosts(json!({})).await, both);
    assert_eq!(hosts(json!({"enableServiceLinks": true})).await, both);
    assert_eq!(hosts(json!({"enableServiceLinks": false})).await, both[..1]);
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_missing_is_named_in_upstreams_words() {
    let setting = Setting::new();
    let from = |source: Value| env(&[json!({"name": "X", "valueFrom": source})]);
    for (container, text) in [
        (json!({"envFrom": [{"configMapRef": {"name": "x"}}]}), "configmap \"x\" not found"),
        (json!({"envFrom": [{"secretRef": {"name": "x"}}]}), "secret \"x\" not found"),
        (from(json!({"configMapKeyRef": {"name": "x", "key": "k"}})), "configmap \"x\" not found"),
        (from(json!({"secretKeyRef": {"name": "x", "key": "k"}})), "secret \"x\" not found"),
        (
            from(json!({"configMapKeyRef": {"name": "c", "key": "z"}})),
            "couldn't find key z in ConfigMap ns/c",
        ),
        (from(json!({"secretKeyRef": {"name": "s", "key": "z"}})), "couldn't find key z in Secret ns/s"),
        (from(json!({"fieldRef": {"fieldPath": "spec.x"}})), "unsupported fieldPath: spec.x"),
        (from(json!({"resourceFieldRef": {"resource": "x"}})), "Unsupported container resource : x"),
        (
            from(json!({"secretKeyRef": {"name": "s", "key": "raw"}})),
            "key raw in Secret ns/s is not text, which a variable needs",
        ),
    ] {
        assert_eq!(setting.error(container).await, text);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_optional_and_missing_leaves_no_variable() {
    let setting = Setting::new();
    let optional = |kind: &str, name: &str, key: &str| json!({"name": "X", "valueFrom": {kind: {"name": name, "key": key, "optional": true}}});
    let container = env(&[
        optional("configMapKeyRef", "x", "k"),
        optional("configMapKeyRef", "c", "z"),
        optional("secretKeyRef", "x", "k"),
        optional("secretKeyRef", "s", "z"),
    ]);
    assert_eq!(setting.own(container).await, [""; 0]);
}

#[tokio::test(flavor = "current_thread")]
async fn an_api_that_is_away_is_never_taken_for_an_absent_object() {
    let setting = Setting::new();
    setting.objects.fail();
    let reference = json!({"name": "x", "key": "k", "optional": true});
    let error = setting.of(env(&[json!({"name": "X", "valueFrom": {"configMapKeyRef": reference}})])).await;
    assert!(matches!(error, Err(EnvError::Source(_))), "{error:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn variables_are_read_from_a_file_in_a_volume() {
    let setting = Setting::new();
    let folder = setting.folders().pod().join("volumes/kubernetes.io~empty-dir/v");
    std::fs::create_dir_all(folder.join("d")).unwrap();
    std::fs::write(folder.join("d/env"), "A='a b'\n").unwrap();
    std::fs::write(folder.join("bad"), "A=b\n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
    let from = |volume: &str, path: &str, key: &str, optional: bool| {
        let reference = json!({"volumeName": volume, "path": path, "key": key, "optional": optional});
        env(&[json!({"name": "X", "valueFrom": {"fileKeyRef": reference}})])
    };
    assert_eq!(setting.own(from("v", "d/env", "A", false)).await, ["X=a b"]);
    assert_eq!(setting.own(from("v", "d/env", "B", true)).await, [""; 0]);
    assert_eq!(setting.own(from("v", "absent", "A", true)).await, [""; 0]);
    for (container, text) in [
        (from("v", "d/env", "B", false), "environment variable key \"B\" not found in file \"d/env\""),
        (from("v", "absent", "A", false), "environment variable key \"A\" not found in file \"absent\""),
        (from("w", "d/env", "A", true), "cannot find the volume \"w\" referenced by FileKeyRef"),
        (from("v", "bad", "A", true), "couldn't parse env file"),
        (from("v", "link", "A", true), "couldn't parse env file"),
        (from("v", "d", "A", true), "couldn't parse env file"),
    ] {
        assert_eq!(setting.error(container).await, text);
    }
}
