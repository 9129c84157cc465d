//! Why a pod fits nowhere, and how that is said.
//!
//! In: what plugins have against nodes. Out: upstream's sentence, `0/3 nodes are available: 1 node(s) had untolerated
//! taint(s), 2 Insufficient cpu. preemption: …`, and what preemption and the queue need to know.

use std::fmt;
use std::sync::Arc;

use crate::cache::NodeSlot;
use crate::framework::{Framework, Obstacle, PluginSet};

/// Why a node does not do, as users read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// One of a plugin's own words.
    Said(&'static str),
    /// Too little of a resource that is not known by name here.
    Insufficient(Arc<str>),
    /// Something about the pod itself.
    OfThisPod(Arc<str>),
    /// Nodes that were not looked at, because these plugins had named others.
    NotNamedBy(Vec<&'static str>),
}

/// How many nodes do not do for which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasons {
    counts: Vec<(Reason, usize)>,
}

/// Why a pod fits nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnosis {
    /// How many nodes there are.
    pub(crate) nodes: usize,
    /// The nodes that were looked at, and what stands against each.
    pub(crate) obstacles: Vec<(NodeSlot, Obstacle)>,
    /// What plugins said of them.
    pub(crate) reasons: Reasons,
    /// Nodes that were not looked at.
    pub(crate) absent: Option<Absent>,
    /// Who said so.
    pub(crate) plugins: PluginSet,
    /// What can, or cannot, be done about it.
    pub(crate) post_filter: Option<String>,
}

/// Why nodes were not looked at.
#[derive(Clone, Debug)]
pub(crate) enum Absent {
    /// A plugin rejected the pod before.
    Rejected(Reason),
    /// Plugins named the only nodes that might do.
    NotNamed(Reason),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(words) => f.write_str(words),
            Self::OfThisPod(words) => f.write_str(words),
            Self::Insufficient(name) => write!(f, "Insufficient {name}"),
            Self::NotNamedBy(plugins) => {
                write!(f, "node(s) didn't satisfy plugin(s) [{}]", plugins.join(" "))
            }
        }
    }
}

impl Reasons {
    pub(crate) fn add(&mut self, reason: Reason) {
        self.add_times(reason, 1);
    }

    /// Counts one of a plugin's own words.
    pub(crate) fn say(&mut self, words: &'static str) {
        self.add(Reason::Said(words));
    }

    pub(crate) fn add_times(&mut self, reason: Reason, times: usize) {
        match self.counts.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += times,
            None => self.counts.push((reason, times)),
        }
    }

    /// `1 node(s) had untolerated taint(s), 2 Insufficient cpu`
    fn sentence(&self) -> String {
        let mut parts: Vec<String> =
            self.counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        parts.sort_unstable();
        parts.join(", ")
    }
}

/// `0/3 nodes are available: 1 …, 2 ….`
pub(crate) fn sentence(nodes: usize, reasons: &Reasons) -> String {
    let reasons = reasons.sentence();
    let space = if reasons.is_empty() { "" } else { " " };
    let stop = if reasons.is_empty() { "" } else { "." };
    format!("0/{nodes} nodes are available:{space}{reasons}{stop}")
}

impl Diagnosis {
    /// What users read.
    pub(crate) fn message(&self) -> String {
        let mut message = match &self.absent {
            Some(Absent::Rejected(reason)) => format!("0/{} nodes are available: {reason}.", self.nodes),
            Some(Absent::NotNamed(reason)) => {
                let mut reasons = self.reasons.clone();
                let absent = self.nodes - self.obstacles.len();
                if absent > 0 {
                    reasons.add_times(reason.clone(), absent);
                }
                sentence(self.nodes, &reasons)
            }
            None => sentence(self.nodes, &self.reasons),
        };
        if let Some(post_filter) = &self.post_filter {
            message.push(' ');
            message.push_str(post_filter);
        }
        message
    }

    /// What stands against a node; `None` for one that was not looked at.
    pub(crate) fn obstacle(&self, slot: NodeSlot) -> Option<Obstacle> {
        self.obstacles.iter().find(|(known, _)| *known == slot).map(|(_, obstacle)| *obstacle)
    }
}

/// The names of plugins, in order, for [`Reason::NotNamedBy`].
pub(crate) fn names(framework: Framework, plugins: PluginSet) -> Vec<&'static str> {
    let mut names: Vec<_> = plugins.iter().map(|plugin| framework.name(plugin)).collect();
    names.sort_unstable();
    names
}
