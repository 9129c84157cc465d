//! NodeResourcesBalancedAllocation: rather a node whose processor and memory would be used up alike.

use crate::cache::{Cache, NodeInfo, NodeSlot};
use crate::framework::{MAX_NODE_SCORE, Plugin, PreScore, Score};
use crate::pod_info::PodInfo;
use crate::resources::Resources;

pub(super) struct NodeResourcesBalancedAllocation;

struct Balance<'a>(&'a Resources);

impl Plugin for NodeResourcesBalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }
}

impl PreScore for NodeResourcesBalancedAllocation {
    fn pre_score<'a>(&self, pod: &'a PodInfo, _: &'a Cache, _: &[NodeSlot]) -> Option<Box<dyn Score + 'a>> {
        // Pods that ask for nothing would all go to the node that happens to be balanced best.
        let asks = pod.requests.milli_cpu > 0 || pod.requests.memory > 0;
        asks.then(|| Box::new(Balance(&pod.requests)) as Box<dyn Score>)
    }
}

impl Score for Balance<'_> {
    fn score(&self, node: &NodeInfo) -> i64 {
        let (room, taken) = (&node.allocatable, &node.requested);
        let used = |wanted: i64, taken: i64, room: i64| {
            (room != 0).then(|| (wanted.saturating_add(taken) as f64 / room as f64).min(1.0))
        };
        let cpu = used(self.0.milli_cpu, taken.milli_cpu, room.milli_cpu);
        let memory = used(self.0.memory, taken.memory, room.memory);
        // Of two numbers, the standard deviation is half of their difference.
        let deviation = match (cpu, memory) {
            (Some(cpu), Some(memory)) => ((cpu - memory) / 2.0).abs(),
            (None, _) | (_, None) => 0.0,
        };
        ((1.0 - deviation) * MAX_NODE_SCORE as f64) as i64
    }
}
