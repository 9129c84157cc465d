//! What runs the cluster itself: `coordination.k8s.io`, `events.k8s.io`, `scheduling.k8s.io`.

use super::{
    super::{Conversion, ResourceInfo, Storage},
    Names, namespaced, of_cluster,
};

pub(super) const LEASES: ResourceInfo =
    namespaced("coordination.k8s.io", "v1", Names("Lease", "leases", "lease"));

pub(super) const EVENTS: ResourceInfo = ResourceInfo {
    short_names: &["ev"],
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
    ..namespaced("events.k8s.io", "v1", Names("Event", "events", "event"))
};

pub(super) const PRIORITY_CLASSES: ResourceInfo = ResourceInfo {
    short_names: &["pc"],
    ..of_cluster("scheduling.k8s.io", "v1", Names("PriorityClass", "priorityclasses", "priorityclass"))
};
