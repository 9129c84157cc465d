//! Which nodes a pod may go to.
//!
//! In: the pod, and all nodes. Out: enough nodes that pass every filter, or what stands against each.

use std::sync::Arc;

use crate::cache::{Cache, NodeInfo, NodeSlot};
use crate::diagnosis::{Absent, Diagnosis, Reason, Reasons, names};
use crate::framework::{Filter, Framework, Obstacle, PluginId, PluginSet, PreFiltered, WhatIf};
use crate::nominations::Nominations;
use crate::pod_info::PodInfo;

/// With fewer nodes than this all are looked at, and never fewer than this.
const MIN_FEASIBLE: usize = 100;

/// Never less than this, in percent.
const MIN_PERCENTAGE: usize = 5;

/// What nodes have to pass for one pod.
pub(super) struct Filters<'a> {
    pod: &'a PodInfo,
    nominations: &'a Nominations,
    filters: Vec<(PluginId, Box<dyn Filter + 'a>)>,
    /// The only nodes that may do, and who said so.
    only: Option<(Vec<NodeSlot>, PluginSet)>,
    /// No node will do.
    rejected: Option<(PluginId, Reason)>,
    framework: Framework,
}

/// What a search found.
pub(super) struct Found {
    pub(super) feasible: Vec<NodeSlot>,
    /// Means something if `feasible` is empty.
    pub(super) diagnosis: Diagnosis,
    pub(super) looked_at: usize,
}

impl<'a> Filters<'a> {
    /// Asks all PreFilter plugins.
    pub(super) fn prepare(
        framework: Framework,
        pod: &'a PodInfo,
        cache: &'a Cache,
        nominations: &'a Nominations,
    ) -> Self {
        let mut all = Self { pod, nominations, filters: Vec::new(), only: None, rejected: None, framework };
        for (id, plugin) in framework.at(|row| row.pre_filter) {
            match plugin.pre_filter(pod, cache) {
                PreFiltered::Skip => {}
                PreFiltered::Filter(filter) => all.filters.push((id, filter)),
                PreFiltered::FilterOf(nodes, filter) => {
                    all.narrow(id, &nodes);
                    all.filters.push((id, filter));
                }
                PreFiltered::Reject(reason) => {
                    all.rejected = Some((id, reason));
                    break;
                }
            }
        }
        all
    }

    fn narrow(&mut self, plugin: PluginId, nodes: &[NodeSlot]) {
        let (only, plugins) = self.only.get_or_insert_with(|| (nodes.to_vec(), PluginSet::default()));
        only.retain(|slot| nodes.contains(slot));
        plugins.insert(plugin);
    }

    /// Whether the node passes, as it is.
    pub(super) fn allow(&self, node: &NodeInfo) -> bool {
        self.rejected.is_none() && self.check(node, &[], &mut Reasons::default()).is_ok()
    }

    /// Whether the node passes, from which these pods were removed. Room that others were promised is taken as used, but
    /// not as given: they may still go elsewhere.
    pub(super) fn check(
        &self,
        node: &NodeInfo,
        removed: &[Arc<PodInfo>],
        reasons: &mut Reasons,
    ) -> Result<(), (PluginId, Obstacle)> {
        let promised = self.nominations.binding(&node.name, self.pod);
        if !promised.is_empty() {
            let mut with = node.clone();
            promised.iter().for_each(|pod| with.add_pod(Arc::clone(pod)));
            self.pass(&with, &WhatIf { added: &promised, removed }, reasons)?;
        }
        self.pass(node, &WhatIf { added: &[], removed }, reasons)
    }

    fn pass(
        &self,
        node: &NodeInfo,
        what_if: &WhatIf<'_>,
        reasons: &mut Reasons,
    ) -> Result<(), (PluginId, Obstacle)> {
        for (id, filter) in &self.filters {
            filter.filter(node, what_if, reasons).map_err(|obstacle| (*id, obstacle))?;
        }
        Ok(())
    }

    /// Looks at nodes, from `start` on, until enough pass.
    pub(super) fn search(&self, cache: &Cache, start: usize, percentage: Option<u8>) -> Found {
        let mut diagnosis = Diagnosis { nodes: cache.order().len(), ..Diagnosis::default() };
        if let Some((plugin, reason)) = &self.rejected {
            diagnosis.absent = Some(Absent::Rejected(reason.clone()));
            diagnosis.plugins.insert(*plugin);
            return Found { feasible: Vec::new(), diagnosis, looked_at: 0 };
        }
        let nodes = match &self.only {
            None => cache.order(),
            Some((nodes, plugins)) => {
                let plugins_named = names(self.framework, *plugins);
                diagnosis.absent = Some(Absent::NotNamed(Reason::NotNamedBy(plugins_named)));
                diagnosis.plugins.unite(*plugins);
                nodes
            }
        };
        let enough = enough(nodes.len(), percentage);
        let mut feasible = Vec::with_capacity(enough);
        let start = start % nodes.len().max(1);
        for slot in nodes[start..].iter().chain(&nodes[..start]) {
            match self.check(cache.node(*slot), &[], &mut diagnosis.reasons) {
                Ok(()) => feasible.push(*slot),
                Err((plugin, obstacle)) => {
                    diagnosis.plugins.insert(plugin);
                    diagnosis.obstacles.push((*slot, obstacle));
                }
            }
            if feasible.len() == enough {
                break;
            }
        }
        let looked_at = feasible.len() + diagnosis.obstacles.len();
        Found { feasible, diagnosis, looked_at }
    }
}

/// How many nodes are enough to choose from.
fn enough(nodes: usize, percentage: Option<u8>) -> usize {
    if nodes < MIN_FEASIBLE {
        return nodes;
    }
    let adaptive = || 50usize.saturating_sub(nodes / 125).max(MIN_PERCENTAGE);
    let percentage = percentage.map_or_else(adaptive, |percentage| usize::from(percentage).min(100));
    (nodes * percentage / 100).max(MIN_FEASIBLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_nodes_the_smaller_the_part_that_is_enough() {
        let cases =
            [(0, 0), (99, 99), (100, 100), (250, 120), (1000, 420), (5000, 500), (6000, 300), (20000, 1000)];
        for (nodes, expected) in cases {
            assert_eq!(enough(nodes, None), expected, "{nodes}");
        }
        assert_eq!(enough(1000, Some(40)), 400);
        assert_eq!(enough(1000, Some(1)), 100);
        assert_eq!(enough(1000, Some(255)), 1000);
    }
}
