//! The table's rows, and what can be asked of all of them.

use super::{
    Bind, Permit, Plugin, PluginId, PluginSet, PostFilter, PreBind, PreEnqueue, PreFilter, PreScore,
    QueueSort, Reserve,
};
use crate::cluster_event::{ClusterEvent, EventKind};
use crate::pod_info::PodInfo;

/// A plugin, and the extension points at which it takes part.
pub(crate) struct Row {
    pub(crate) plugin: &'static dyn Plugin,
    pub(crate) pre_enqueue: Option<&'static dyn PreEnqueue>,
    pub(crate) queue_sort: Option<&'static dyn QueueSort>,
    pub(crate) pre_filter: Option<&'static dyn PreFilter>,
    pub(crate) post_filter: Option<&'static dyn PostFilter>,
    /// With the weight of its score.
    pub(crate) pre_score: Option<(&'static dyn PreScore, i64)>,
    pub(crate) reserve: Option<&'static dyn Reserve>,
    pub(crate) permit: Option<&'static dyn Permit>,
    pub(crate) pre_bind: Option<&'static dyn PreBind>,
    pub(crate) bind: Option<&'static dyn Bind>,
}

/// The plugins that decide.
#[derive(Clone, Copy)]
pub(crate) struct Framework {
    rows: &'static [Row],
}

impl Row {
    /// A plugin that takes part nowhere yet.
    pub(crate) const fn of(plugin: &'static dyn Plugin) -> Self {
        Self {
            plugin,
            pre_enqueue: None,
            queue_sort: None,
            pre_filter: None,
            post_filter: None,
            pre_score: None,
            reserve: None,
            permit: None,
            pre_bind: None,
            bind: None,
        }
    }
}

impl Framework {
    pub(crate) const fn new(rows: &'static [Row]) -> Self {
        Self { rows }
    }

    /// Every plugin that takes part at a point, in the order of the table.
    pub(crate) fn at<T>(
        self,
        point: impl Fn(&'static Row) -> Option<T>,
    ) -> impl DoubleEndedIterator<Item = (PluginId, T)> {
        let rows = self.rows.iter().enumerate();
        rows.filter_map(move |(row, entry)| Some((PluginId::new(row), point(entry)?)))
    }

    /// The one plugin that says which pod comes first.
    pub(crate) fn queue_sort(self) -> &'static dyn QueueSort {
        self.at(|row| row.queue_sort).next().expect("the table has a plugin that sorts the queue").1
    }

    /// The one plugin that binds.
    pub(crate) fn bind(self) -> &'static dyn Bind {
        self.at(|row| row.bind).next().expect("the table has a plugin that binds").1
    }

    pub(crate) fn name(self, plugin: PluginId) -> &'static str {
        self.rows[plugin.index()].plugin.name()
    }

    /// The plugin that holds the pod back from the queue.
    pub(crate) fn held_back_by(self, pod: &PodInfo) -> Option<PluginId> {
        self.at(|row| row.pre_enqueue).find(|(_, plugin)| plugin.holds_back(pod)).map(|(id, _)| id)
    }

    /// The plugins that listen to such events.
    pub(crate) fn listening_to(self, kind: EventKind) -> PluginSet {
        let mut set = PluginSet::default();
        let rows = self.rows.iter().enumerate();
        let rows = rows.filter(|(_, entry)| entry.plugin.events().contains(&kind));
        rows.for_each(|(row, _)| set.insert(PluginId::new(row)));
        set
    }

    /// Whether one of the plugins takes the event to be of help for a pod that they rejected.
    pub(crate) fn may_help(self, plugins: PluginSet, event: &ClusterEvent<'_>, pod: &PodInfo) -> bool {
        plugins.iter().any(|plugin| self.rows[plugin.index()].plugin.may_help(event, pod))
    }
}
