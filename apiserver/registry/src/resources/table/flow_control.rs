//! The group `flowcontrol.apiserver.k8s.io`: kept, without effect on this server.

use super::{super::ResourceInfo, Names, of_cluster, status};
use crate::kinds::{flow_schema, priority_level_configuration};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

pub(super) const FLOW_SCHEMAS: ResourceInfo = ResourceInfo {
    subresources: &[status("FlowSchema")],
    columns: flow_schema::COLUMNS,
    strategy: &flow_schema::Rules,
    ..of_cluster(GROUP, "v1", Names("FlowSchema", "flowschemas", "flowschema"))
};

pub(super) const PRIORITY_LEVEL_CONFIGURATIONS: ResourceInfo = ResourceInfo {
    subresources: &[status("PriorityLevelConfiguration")],
    columns: priority_level_configuration::COLUMNS,
    strategy: &priority_level_configuration::Rules,
    ..of_cluster(
        GROUP,
        "v1",
        Names("PriorityLevelConfiguration", "prioritylevelconfigurations", "prioritylevelconfiguration"),
    )
};
