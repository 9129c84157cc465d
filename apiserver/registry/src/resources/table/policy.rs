//! The group `policy`.

use super::{super::ResourceInfo, Names, namespaced, status};
use crate::kinds::pod_disruption_budget;

pub(super) const POD_DISRUPTION_BUDGETS: ResourceInfo = ResourceInfo {
    short_names: &["pdb"],
    subresources: &[status("PodDisruptionBudget")],
    columns: pod_disruption_budget::COLUMNS,
    strategy: &pod_disruption_budget::Rules,
    ..namespaced("policy", "v1", Names("PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget"))
};
