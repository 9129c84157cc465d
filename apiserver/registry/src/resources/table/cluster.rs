//! What runs the cluster itself: `coordination.k8s.io`, `events.k8s.io`, `node.k8s.io`, `scheduling.k8s.io`.

use super::{
    super::{Conversion, ResourceInfo, Storage},
    Names, namespaced, of_cluster,
};
use crate::kinds::{event, lease, priority_class, runtime_class};

pub(super) const LEASES: ResourceInfo = ResourceInfo {
    columns: lease::COLUMNS,
    strategy: &lease::Rules,
    ..namespaced("coordination.k8s.io", "v1", Names("Lease", "leases", "lease"))
};

pub(super) const EVENTS: ResourceInfo = ResourceInfo {
    short_names: &["ev"],
    columns: event::COLUMNS,
    storage: Storage::Converted { prefix: "events", conversion: Conversion::Event },
    selectable: &[
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ],
    strategy: &event::Rules { strict: true },
    ..namespaced("events.k8s.io", "v1", Names("Event", "events", "event"))
};

pub(super) const PRIORITY_CLASSES: ResourceInfo = ResourceInfo {
    short_names: &["pc"],
    columns: priority_class::COLUMNS,
    strategy: &priority_class::Rules,
    ..of_cluster("scheduling.k8s.io", "v1", Names("PriorityClass", "priorityclasses", "priorityclass"))
};

pub(super) const RUNTIME_CLASSES: ResourceInfo = ResourceInfo {
    columns: runtime_class::COLUMNS,
    strategy: &runtime_class::Rules,
    ..of_cluster("node.k8s.io", "v1", Names("RuntimeClass", "runtimeclasses", "runtimeclass"))
};
