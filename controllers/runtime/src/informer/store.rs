//! The objects of an informer, and what changes when one is taken in.
//!
//! In: objects as a list or a watch gives them. Out: the changes that this makes. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kube::Resource;

use super::Change;
use crate::key::ObjectKey;

pub(super) struct Store<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    indexes: HashMap<&'static str, Index<K>>,
}

struct Index<K> {
    keys: fn(&K) -> Vec<String>,
    entries: HashMap<String, BTreeMap<ObjectKey, Arc<K>>>,
}

impl<K: Resource> Store<K> {
    pub(super) fn new() -> Self {
        Self { objects: BTreeMap::new(), indexes: HashMap::new() }
    }

    pub(super) fn add_index(&mut self, name: &'static str, keys: fn(&K) -> Vec<String>) {
        if self.indexes.contains_key(name) {
            return;
        }
        let mut index = Index { keys, entries: HashMap::new() };
        for (key, object) in &self.objects {
            index.insert(key, object);
        }
        self.indexes.insert(name, index);
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.objects.get(key).cloned()
    }

    pub(super) fn list(&self) -> Vec<Arc<K>> {
        self.objects.values().cloned().collect()
    }

    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let first = ObjectKey::new(namespace, "");
        let objects = self.objects.range(first..).take_while(|(key, _)| key.namespace == namespace);
        objects.map(|(_, object)| Arc::clone(object)).collect()
    }

    pub(super) fn any_in_namespace(&self, namespace: &str) -> bool {
        let first = ObjectKey::new(namespace, "");
        self.objects.range(first..).next().is_some_and(|(key, _)| key.namespace == namespace)
    }

    pub(super) fn by_index(&self, index: &'static str, value: &str) -> Vec<Arc<K>> {
        let Some(index) = self.indexes.get(index) else { panic!("the informer has no index {index}") };
        index.entries.get(value).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// An object as it is now. What is known already changes nothing; another object under the same name means that
    /// the one before is gone.
    pub(super) fn apply(&mut self, object: K) -> Vec<Change<K>> {
        let key = ObjectKey::of(&object);
        let new = Arc::new(object);
        let Some(old) = self.objects.get(&key).cloned() else {
            self.insert(key, &new);
            return vec![Change::Added(new)];
        };
        if old.meta().uid != new.meta().uid {
            self.take(&key);
            self.insert(key, &new);
            return vec![Change::Deleted(old), Change::Added(new)];
        }
        if old.meta().resource_version.is_some() && old.meta().resource_version == new.meta().resource_version
        {
            return Vec::new();
        }
        self.take(&key);
        self.insert(key, &new);
        vec![Change::Updated { old, new }]
    }

    /// An object that is gone, with its last state.
    pub(super) fn remove(&mut self, last: K) -> Vec<Change<K>> {
        match self.take(&ObjectKey::of(&last)) {
            Some(_) => vec![Change::Deleted(Arc::new(last))],
            None => Vec::new(),
        }
    }

    /// All objects that there are.
    pub(super) fn replace(&mut self, objects: Vec<K>) -> Vec<Change<K>> {
        let present: BTreeSet<ObjectKey> = objects.iter().map(ObjectKey::of).collect();
        let gone: Vec<ObjectKey> =
            self.objects.keys().filter(|key| !present.contains(*key)).cloned().collect();
        let mut changes: Vec<Change<K>> =
            gone.iter().filter_map(|key| self.take(key)).map(Change::Deleted).collect();
        for object in objects {
            changes.extend(self.apply(object));
        }
        changes
    }

    fn insert(&mut self, key: ObjectKey, object: &Arc<K>) {
        for index in self.indexes.values_mut() {
            index.insert(&key, object);
        }
        self.objects.insert(key, Arc::clone(object));
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Arc<K>> {
        let object = self.objects.remove(key)?;
        for index in self.indexes.values_mut() {
            index.take(key, &object);
        }
        Some(object)
    }
}

impl<K> Index<K> {
    fn insert(&mut self, key: &ObjectKey, object: &Arc<K>) {
        for value in (self.keys)(object) {
            self.entries.entry(value).or_default().insert(key.clone(), Arc::clone(object));
        }
    }

    fn take(&mut self, key: &ObjectKey, object: &K) {
        for value in (self.keys)(object) {
            if let Some(entry) = self.entries.get_mut(&value) {
                entry.remove(key);
                if entry.is_empty() {
                    self.entries.remove(&value);
                }
            }
        }
    }
}
