//! Titles about lists that come in pages.

use serde_json::{Value, json};

use super::Title;
use super::client::{Answer, Api};
use super::cluster::{Cluster, Namespace, items, names, version_of};
use super::life::newer;
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new("Servers with support for API chunking", "return chunks of results for list calls", chunks),
    Title::new(
        "Servers with support for API chunking",
        "continue listing from last key if version was compacted (inconsistent)",
        chunks_after_compaction,
    ),
];

const TEMPLATES: usize = 40;

fn make_templates(cluster: &Cluster<'_>) -> Namespace {
    let namespace = cluster.namespace();
    for number in 0..TEMPLATES {
        let object = json!({
            "apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": format!("template-{number:04}")},
            "template": {"spec": {"containers": [{"name": "test", "image": "test2"}]}},
        });
        cluster.api.post(&namespace.core("podtemplates"), &object).ok();
    }
    namespace
}

fn page(api: &Api, namespace: &Namespace, limit: usize, token: &str) -> Answer {
    // Tokens are base64 for URLs, without padding.
    api.get(&format!("{}?limit={limit}&continue={token}", namespace.core("podtemplates")))
}

/// Goes on until the end, whose items must be those that follow `seen`. All pages have one version.
fn all_pages(api: &Api, namespace: &Namespace, mut list: Value, mut seen: usize) {
    let version = version_of(&list).to_owned();
    for limit in (1..8).cycle() {
        assert_eq!(version_of(&list), version);
        for name in names(&list) {
            assert_eq!(name, format!("template-{seen:04}"));
            seen += 1;
        }
        let token = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            assert!(list["metadata"]["remainingItemCount"].is_null(), "{}", list["metadata"]);
            break;
        }
        assert_eq!(list["metadata"]["remainingItemCount"], TEMPLATES - seen);
        list = page(api, namespace, limit, &token).ok();
    }
    assert_eq!(seen, TEMPLATES);
}

fn chunks(cluster: &Cluster<'_>) {
    let namespace = make_templates(cluster);
    let first = page(&cluster.api, &namespace, 5, "").ok();
    all_pages(&cluster.api, &namespace, first, 0);
    let all = cluster.api.get(&namespace.core("podtemplates")).ok();
    assert_eq!(
        (items(&all).len(), all["metadata"]["continue"].as_str().unwrap_or_default()),
        (TEMPLATES, "")
    );
}

/// The servers of this suite keep history for a few seconds only.
fn chunks_after_compaction(cluster: &Cluster<'_>) {
    let namespace = make_templates(cluster);
    let first = page(&cluster.api, &namespace, 15, "").ok();
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    assert_eq!(first["metadata"]["remainingItemCount"], TEMPLATES - 15);
    let expired = wait::until("the version is compacted", || {
        let answer = page(&cluster.api, &namespace, 15, &token);
        if answer.code == 200 { Err("it is still there".to_owned()) } else { Ok(answer) }
    });
    assert_eq!((expired.code, &expired.object["reason"]), (410, &"Expired".into()));
    let inconsistent = expired.object["metadata"]["continue"].as_str().unwrap();
    let second = page(&cluster.api, &namespace, 15, inconsistent).ok();
    assert!(newer(&second, &first) && items(&second).len() == 15);
    all_pages(&cluster.api, &namespace, second, 15);
}
