//! Entries that are about pods, found by the pods that they are about.
//!
//! Most name the namespaces that they are about, so a pod meets only those of its own.

use std::collections::HashMap;

use crate::pod_matcher::Namespaces;

/// Entries by the namespaces that they are about.
#[derive(Debug)]
pub(super) struct ByNamespace<V> {
    entries: Vec<Option<V>>,
    free: Vec<usize>,
    named: HashMap<String, Vec<usize>>,
    /// Those that select namespaces by labels.
    selecting: Vec<usize>,
}

impl<V> Default for ByNamespace<V> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), named: HashMap::new(), selecting: Vec::new() }
    }
}

impl<V> ByNamespace<V> {
    pub(super) fn insert(&mut self, namespaces: &Namespaces, entry: V) -> usize {
        let at = self.free.pop().unwrap_or(self.entries.len());
        match self.entries.get_mut(at) {
            Some(free) => *free = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        match namespaces.selected {
            Some(_) => self.selecting.push(at),
            None => {
                for name in &namespaces.names {
                    let named = self.named.entry(name.clone()).or_default();
                    // A name that stands there twice is one.
                    if !named.contains(&at) {
                        named.push(at);
                    }
                }
            }
        }
        at
    }

    pub(super) fn remove(&mut self, namespaces: &Namespaces, at: usize) {
        self.entries[at] = None;
        self.free.push(at);
        self.selecting.retain(|known| *known != at);
        for name in &namespaces.names {
            let Some(named) = self.named.get_mut(name) else { continue };
            named.retain(|known| *known != at);
            if named.is_empty() {
                self.named.remove(name);
            }
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<&V> {
        self.entries.get(at)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut V> {
        self.entries.get_mut(at)?.as_mut()
    }

    /// Entries that may be about pods of this namespace.
    pub(super) fn about(&self, namespace: &str) -> impl Iterator<Item = &V> {
        let named = self.named.get(namespace).into_iter().flatten();
        named.chain(&self.selecting).filter_map(|at| self.entries[*at].as_ref())
    }

    /// The same, to change them.
    pub(super) fn change_about(&mut self, namespace: &str, mut change: impl FnMut(&mut V)) {
        let named = self.named.get(namespace).into_iter().flatten();
        for at in named.chain(&self.selecting) {
            if let Some(entry) = &mut self.entries[*at] {
                change(entry);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &V)> {
        self.entries.iter().enumerate().filter_map(|(at, entry)| Some((at, entry.as_ref()?)))
    }
}
