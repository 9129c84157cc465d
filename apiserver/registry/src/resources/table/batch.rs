//! The group `batch`.

use super::{super::ResourceInfo, Names, namespaced, status};
use crate::kinds::job;

pub(super) const JOBS: ResourceInfo = ResourceInfo {
    categories: &["all"],
    subresources: &[status("Job")],
    columns: job::COLUMNS,
    selectable: &["status.successful"],
    strategy: &job::Rules,
    ..namespaced("batch", "v1", Names("Job", "jobs", "job"))
};
