//! Titles about watches: which events come, and in which order.

use serde_json::{Value, json};

use super::Title;
use super::client::Api;
use super::cluster::{Cluster, Namespace, name_of, version_of};
use super::watch::Watch;

pub(super) const TITLES: &[Title] = &[
    Title::new("Watchers", "restart watching from last observed resourceVersion", watch_restarts),
    Title::new("Watchers", "start watching from a specific resourceVersion", watch_from_a_version),
    Title::new("Watchers", "observe add/update/delete on configmaps by label", watch_by_label),
    Title::new("Watchers", "observe deletion when object stops matching selector", watch_by_changing_label),
    Title::new("Watchers", "concurrent watches receive events in same order", watches_agree),
];

/// A config map that watches look for by its label.
struct Watched<'a> {
    api: &'a Api,
    namespace: &'a Namespace,
    name: &'a str,
}

impl Watched<'_> {
    fn path(&self) -> String {
        self.namespace.core(&format!("configmaps/{}", self.name))
    }

    fn create(&self, label: &str) -> Value {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": self.name, "labels": {"watch-this-configmap": label}},
        });
        self.api.post(&self.namespace.core("configmaps"), &object).ok()
    }

    fn mutate(&self, number: usize) -> Value {
        let mut object = self.api.get(&self.path()).ok();
        object["data"] = json!({"mutation": number.to_string()});
        self.api.put(&self.path(), &object).ok()
    }

    fn label(&self, label: &str) -> Value {
        let mut object = self.api.get(&self.path()).ok();
        object["metadata"]["labels"]["watch-this-configmap"] = label.into();
        self.api.put(&self.path(), &object).ok()
    }

    fn delete(&self) {
        self.api.delete(&self.path()).ok();
    }
}

/// A watch of those that have one of the labels.
fn watch(api: &Api, namespace: &Namespace, labels: &str, version: &str) -> Watch {
    let selector = format!("watch-this-configmap+in+({labels})");
    api.watch(&namespace.core(&format!("configmaps?labelSelector={selector}&resourceVersion={version}")))
}

fn is_mutation(object: &Value, number: usize) {
    assert_eq!(object["data"]["mutation"], number.to_string());
}

fn watch_by_label(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, &cluster.namespace());
    let [mut first, mut second, mut either] =
        ["multiple-watchers-A", "multiple-watchers-B", "multiple-watchers-A,multiple-watchers-B"]
            .map(|labels| watch(api, namespace, labels, ""));
    let a = Watched { api, namespace, name: "e2e-watch-test-configmap-a" };
    a.create("multiple-watchers-A");
    a.mutate(1);
    a.mutate(2);
    a.delete();
    let b = Watched { api, namespace, name: "e2e-watch-test-configmap-b" };
    b.create("multiple-watchers-B");
    b.delete();
    for watch in [&mut first, &mut either] {
        watch.expect("ADDED");
        is_mutation(&watch.expect("MODIFIED"), 1);
        is_mutation(&watch.expect("MODIFIED"), 2);
        is_mutation(&watch.expect("DELETED"), 2);
    }
    for watch in [&mut second, &mut either] {
        assert_eq!(name_of(&watch.expect("ADDED")), b.name);
        assert_eq!(name_of(&watch.expect("DELETED")), b.name);
    }
}

fn watch_from_a_version(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, &cluster.namespace());
    let map = Watched { api, namespace, name: "e2e-watch-test-resource-version" };
    map.create("from-resource-version");
    let first = map.mutate(1);
    map.mutate(2);
    map.delete();
    let mut watch = watch(api, namespace, "from-resource-version", version_of(&first));
    is_mutation(&watch.expect("MODIFIED"), 2);
    is_mutation(&watch.expect("DELETED"), 2);
}

fn watch_restarts(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, &cluster.namespace());
    let map = Watched { api, namespace, name: "e2e-watch-test-watch-closed" };
    let mut before = watch(api, namespace, "watch-closed-and-restarted", "");
    map.create("watch-closed-and-restarted");
    map.mutate(1);
    before.expect("ADDED");
    let last = before.expect("MODIFIED");
    drop(before);
    map.mutate(2);
    let mut after = watch(api, namespace, "watch-closed-and-restarted", version_of(&last));
    map.delete();
    is_mutation(&after.expect("MODIFIED"), 2);
    is_mutation(&after.expect("DELETED"), 2);
}

fn watch_by_changing_label(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, &cluster.namespace());
    let map = Watched { api, namespace, name: "e2e-watch-test-label-changed" };
    let mut watch = watch(api, namespace, "label-changed-and-restored", "");
    map.create("label-changed-and-restored");
    map.mutate(1);
    let away = map.label("wrong-value");
    map.mutate(2);
    map.label("label-changed-and-restored");
    map.mutate(3);
    map.delete();
    watch.expect("ADDED");
    is_mutation(&watch.expect("MODIFIED"), 1);
    let gone = watch.expect("DELETED");
    assert_eq!(version_of(&gone), version_of(&away), "it is gone when it was changed");
    is_mutation(&watch.expect("ADDED"), 2);
    is_mutation(&watch.expect("MODIFIED"), 3);
    is_mutation(&watch.expect("DELETED"), 3);
}

fn watches_agree(cluster: &Cluster<'_>) {
    const ROUNDS: usize = 20;
    let (api, namespace) = (&cluster.api, &cluster.namespace());
    let begin = version_of(&api.get(&namespace.core("configmaps")).ok()).to_owned();
    let watch = |version: &str| api.watch(&namespace.core(&format!("configmaps?resourceVersion={version}")));
    let mut versions = vec![begin.clone()];
    for round in 0..ROUNDS {
        let name = format!("order-{}", round / 3);
        let map = Watched { api, namespace, name: &name };
        match round % 3 {
            0 => versions.push(version_of(&map.create("order")).to_owned()),
            1 => versions.push(version_of(&map.mutate(round)).to_owned()),
            _ => map.delete(),
        }
    }
    let mut all = watch(&begin);
    let order: Vec<String> = (0..ROUNDS).map(|_| version_of(&all.next().object).to_owned()).collect();
    for version in &versions[1..] {
        let position = order.iter().position(|it| it == version).unwrap();
        let mut later = watch(version);
        for expected in &order[position + 1..] {
            assert_eq!(version_of(&later.next().object), expected);
        }
    }
}
