//! PrioritySort: the pod that matters most comes first, and among equals the one that waits longest.

use std::cmp::Reverse;

use crate::framework::{Plugin, QueueSort};
use crate::queue::{QueuedPod, Rank};

pub(super) struct PrioritySort;

impl Plugin for PrioritySort {
    fn name(&self) -> &'static str {
        "PrioritySort"
    }
}

impl QueueSort for PrioritySort {
    fn rank(&self, pod: &QueuedPod) -> Rank {
        Rank { urgency: Reverse(pod.info.priority.0.into()), since: pod.since }
    }
}
