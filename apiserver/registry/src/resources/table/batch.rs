//! The group `batch`.

use super::{super::ResourceInfo, Names, namespaced, status};
use crate::kinds::{cron_job, job};

pub(super) const CRON_JOBS: ResourceInfo = ResourceInfo {
    short_names: &["cj"],
    categories: &["all"],
    subresources: &[status("CronJob")],
    columns: cron_job::COLUMNS,
    strategy: &cron_job::Rules,
    ..namespaced("batch", "v1", Names("CronJob", "cronjobs", "cronjob"))
};

pub(super) const JOBS: ResourceInfo = ResourceInfo {
    categories: &["all"],
    subresources: &[status("Job")],
    columns: job::COLUMNS,
    selectable: &["status.successful"],
    strategy: &job::Rules,
    ..namespaced("batch", "v1", Names("Job", "jobs", "job"))
};
