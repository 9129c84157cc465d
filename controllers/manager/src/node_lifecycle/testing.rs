//! Builders of nodes for tests.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeSpec, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

use super::Times;

/// Grace periods of 40 and 60 seconds.
pub(super) const TIMES: Times =
    Times { monitor_grace: Duration::from_secs(40), startup_grace: Duration::from_secs(60) };

/// A node without conditions and taints.
pub(crate) fn node(name: &str) -> NodeBuilder {
    let metadata = ObjectMeta {
        name: Some(name.into()),
        uid: Some(format!("{name}-uid")),
        resource_version: Some("1".into()),
        creation_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
        ..ObjectMeta::default()
    };
    NodeBuilder(Node { metadata, spec: Some(NodeSpec::default()), status: Some(NodeStatus::default()) })
}

/// A node in the making.
pub(crate) struct NodeBuilder(Node);

impl NodeBuilder {
    pub(crate) fn version(mut self, version: &str) -> Self {
        self.0.metadata.resource_version = Some(version.into());
        self
    }

    pub(crate) fn ready(self, status: &str) -> Self {
        self.condition("Ready", status)
    }

    pub(crate) fn condition(mut self, kind: &str, status: &str) -> Self {
        let condition =
            NodeCondition { type_: kind.into(), status: status.into(), ..NodeCondition::default() };
        self.0.status.as_mut().unwrap().conditions.get_or_insert_default().push(condition);
        self
    }

    /// When the conditions were posted.
    pub(crate) fn heartbeat(mut self, second: i64) -> Self {
        for condition in self.0.status.as_mut().unwrap().conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = Some(Time(Timestamp::from_second(second).unwrap()));
        }
        self
    }

    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.0.metadata.labels.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    pub(crate) fn unschedulable(mut self) -> Self {
        self.0.spec.as_mut().unwrap().unschedulable = Some(true);
        self
    }

    pub(crate) fn taint(self, key: &str, effect: &str) -> Self {
        self.taints([Taint { key: key.into(), effect: effect.into(), ..Taint::default() }])
    }

    pub(crate) fn taints(mut self, taints: impl IntoIterator<Item = Taint>) -> Self {
        self.0.spec.as_mut().unwrap().taints.get_or_insert_default().extend(taints);
        self
    }

    pub(crate) fn build(self) -> Node {
        self.0
    }
}
