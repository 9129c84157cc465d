//! The Node object as it is made, and what is mended in one that exists. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

/// What a node registers with.
#[derive(Clone, Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) name: &'a str,
    pub(crate) architecture: &'a str,
    pub(crate) labels: &'a BTreeMap<String, String>,
    pub(crate) taints: &'a [Taint],
}

impl Registration<'_> {
    /// The object, with its first status.
    pub(crate) fn node(&self, status: NodeStatus) -> Node {
        Node {
            metadata: ObjectMeta {
                name: Some(self.name.to_owned()),
                labels: Some(self.all_labels()),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                taints: (!self.taints.is_empty()).then(|| self.taints.to_vec()),
                ..NodeSpec::default()
            }),
            status: Some(status),
        }
    }

    /// What a Node that was registered before lacks, as a merge patch; `None` if it is as it should be. Taints are
    /// others' by now.
    pub(crate) fn mending(&self, existing: &Node) -> Option<Value> {
        let has = existing.metadata.labels.as_ref();
        let missing: BTreeMap<String, String> = self
            .all_labels()
            .into_iter()
            .filter(|(key, value)| has.and_then(|labels| labels.get(key)) != Some(value))
            .collect();
        (!missing.is_empty()).then(|| json!({"metadata": {"labels": missing}}))
    }

    fn all_labels(&self) -> BTreeMap<String, String> {
        let own = [
            ("kubernetes.io/hostname", self.name),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", self.architecture),
            ("beta.kubernetes.io/os", "linux"),
            ("beta.kubernetes.io/arch", self.architecture),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.labels.clone().into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_labelled_and_one_that_exists_is_mended() {
        let labels = [("zone".to_owned(), "a".to_owned())].into();
        let taints = [Taint { key: "k".into(), effect: "NoSchedule".into(), ..Taint::default() }];
        let registration =
            Registration { name: "n1", architecture: "amd64", labels: &labels, taints: &taints };
        let mut node = registration.node(NodeStatus::default());
        let labels = node.metadata.labels.clone().unwrap();
        assert_eq!(labels["kubernetes.io/hostname"], "n1");
        assert_eq!((labels["kubernetes.io/os"].as_str(), labels["zone"].as_str()), ("linux", "a"));
        assert_eq!(node.spec.as_ref().unwrap().taints.as_ref().unwrap().len(), 1);
        assert_eq!(registration.mending(&node), None);
        node.metadata.labels.as_mut().unwrap().insert("zone".into(), "b".into());
        assert_eq!(registration.mending(&node), Some(json!({"metadata": {"labels": {"zone": "a"}}})));
    }
}
