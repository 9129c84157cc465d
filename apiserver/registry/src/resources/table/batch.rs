//! The group `batch`.

use super::{super::ResourceInfo, Names, namespaced, status};

pub(super) const JOBS: ResourceInfo = ResourceInfo {
    categories: &["all"],
    subresources: &[status("Job")],
    selectable: &["status.successful"],
    ..namespaced("batch", "v1", Names("Job", "jobs", "job"))
};
