//! The group `resource.k8s.io`.

use super::{super::ResourceInfo, Names, namespaced, of_cluster, status};
use crate::kinds::devices::{claim, class, slice, taint_rule};

const GROUP: &str = "resource.k8s.io";

pub(super) const DEVICE_CLASSES: ResourceInfo = ResourceInfo {
    columns: class::COLUMNS,
    strategy: &class::Rules,
    ..of_cluster(GROUP, "v1", Names("DeviceClass", "deviceclasses", "deviceclass"))
};

pub(super) const DEVICE_TAINT_RULES: ResourceInfo = ResourceInfo {
    subresources: &[status("DeviceTaintRule")],
    columns: taint_rule::COLUMNS,
    strategy: &taint_rule::Rules,
    ..of_cluster(GROUP, "v1", Names("DeviceTaintRule", "devicetaintrules", "devicetaintrule"))
};

pub(super) const RESOURCE_CLAIMS: ResourceInfo = ResourceInfo {
    subresources: &[status("ResourceClaim")],
    columns: claim::COLUMNS,
    strategy: &claim::Rules,
    ..namespaced(GROUP, "v1", Names("ResourceClaim", "resourceclaims", "resourceclaim"))
};

pub(super) const RESOURCE_CLAIM_TEMPLATES: ResourceInfo = ResourceInfo {
    columns: claim::TEMPLATE_COLUMNS,
    strategy: &claim::TemplateRules,
    ..namespaced(
        GROUP,
        "v1",
        Names("ResourceClaimTemplate", "resourceclaimtemplates", "resourceclaimtemplate"),
    )
};

pub(super) const RESOURCE_SLICES: ResourceInfo = ResourceInfo {
    columns: slice::COLUMNS,
    selectable: &["spec.nodeName", "spec.driver"],
    strategy: &slice::Rules,
    ..of_cluster(GROUP, "v1", Names("ResourceSlice", "resourceslices", "resourceslice"))
};
