//! Plugins as numbers, and sets of them.

/// A plugin's row in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PluginId(u8);

/// A set of plugins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PluginSet(u64);

impl PluginId {
    pub(crate) fn new(row: usize) -> Self {
        assert!(row < 64, "a set has room for 64 plugins");
        Self(row as u8)
    }

    pub(crate) fn index(self) -> usize {
        self.0.into()
    }
}

impl PluginSet {
    pub(crate) fn of(plugin: PluginId) -> Self {
        let mut set = Self::default();
        set.insert(plugin);
        set
    }

    pub(crate) fn insert(&mut self, plugin: PluginId) {
        self.0 |= 1 << plugin.0;
    }

    pub(crate) fn unite(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = PluginId> {
        (0..64).filter(move |row| self.0 >> row & 1 == 1).map(PluginId)
    }
}
