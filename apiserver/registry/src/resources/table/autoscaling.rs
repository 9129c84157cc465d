//! The group `autoscaling`: one thing in two versions.

use super::{
    super::{Conversion, ResourceInfo, Storage},
    Names, namespaced, status,
};
use crate::kinds::horizontal_pod_autoscaler::{self as kind, Rules, Version};

const NAMES: Names = Names("HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler");

pub(super) const HORIZONTAL_POD_AUTOSCALERS: ResourceInfo = ResourceInfo {
    short_names: &["hpa"],
    categories: &["all"],
    subresources: &[status("HorizontalPodAutoscaler")],
    columns: kind::COLUMNS,
    strategy: &Rules(Version::V2),
    ..namespaced("autoscaling", "v2", NAMES)
};

pub(super) const HORIZONTAL_POD_AUTOSCALERS_V1: ResourceInfo = ResourceInfo {
    version: "v1",
    storage: Storage::Converted {
        prefix: "horizontalpodautoscalers",
        conversion: Conversion::HorizontalPodAutoscaler,
    },
    strategy: &Rules(Version::V1),
    ..HORIZONTAL_POD_AUTOSCALERS
};
