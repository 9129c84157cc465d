//! The table of plugins: which there are, in which order they are asked, where they take part, and what their scores
//! weigh. A plugin is one file and one row here.
//!
//! Deliberately absent, with room for each: VolumeRestrictions and NodeVolumeLimits before VolumeBinding, VolumeZone
//! after it, DynamicResources before DefaultPreemption.

use crate::framework::{Framework, Row};

mod default_binder;
mod default_preemption;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_balanced_allocation;
mod node_resources_fit;
mod node_unschedulable;
mod normalize;
mod pod_topology_spread;
mod priority_sort;
mod scheduling_gates;
mod taint_toleration;
mod volume_binding;

#[cfg(test)]
mod tests;

use default_binder::DefaultBinder;
use default_preemption::DefaultPreemption;
use image_locality::ImageLocality;
use inter_pod_affinity::InterPodAffinity;
use node_affinity::NodeAffinity;
use node_name::NodeName;
use node_ports::NodePorts;
use node_resources_balanced_allocation::NodeResourcesBalancedAllocation;
use node_resources_fit::NodeResourcesFit;
use node_unschedulable::NodeUnschedulable;
use pod_topology_spread::PodTopologySpread;
use priority_sort::PrioritySort;
use scheduling_gates::SchedulingGates;
use taint_toleration::TaintToleration;
use volume_binding::VolumeBinding;

/// Upstream's defaults.
pub(crate) const DEFAULT: Framework = Framework::new(&[
    Row { pre_enqueue: Some(&SchedulingGates), ..Row::of(&SchedulingGates) },
    Row { queue_sort: Some(&PrioritySort), ..Row::of(&PrioritySort) },
    Row { pre_filter: Some(&NodeUnschedulable), ..Row::of(&NodeUnschedulable) },
    Row { pre_filter: Some(&NodeName), ..Row::of(&NodeName) },
    Row {
        pre_filter: Some(&TaintToleration),
        pre_score: Some((&TaintToleration, 3)),
        ..Row::of(&TaintToleration)
    },
    Row { pre_filter: Some(&NodeAffinity), pre_score: Some((&NodeAffinity, 2)), ..Row::of(&NodeAffinity) },
    Row { pre_filter: Some(&NodePorts), ..Row::of(&NodePorts) },
    Row {
        pre_filter: Some(&NodeResourcesFit),
        pre_score: Some((&NodeResourcesFit, 1)),
        ..Row::of(&NodeResourcesFit)
    },
    Row { pre_filter: Some(&VolumeBinding), ..Row::of(&VolumeBinding) },
    Row {
        pre_filter: Some(&PodTopologySpread),
        pre_score: Some((&PodTopologySpread, 2)),
        ..Row::of(&PodTopologySpread)
    },
    Row {
        pre_filter: Some(&InterPodAffinity),
        pre_score: Some((&InterPodAffinity, 2)),
        ..Row::of(&InterPodAffinity)
    },
    Row { post_filter: Some(&DefaultPreemption), ..Row::of(&DefaultPreemption) },
    Row {
        pre_score: Some((&NodeResourcesBalancedAllocation, 1)),
        ..Row::of(&NodeResourcesBalancedAllocation)
    },
    Row { pre_score: Some((&ImageLocality, 1)), ..Row::of(&ImageLocality) },
    Row { bind: Some(&DefaultBinder), ..Row::of(&DefaultBinder) },
]);
