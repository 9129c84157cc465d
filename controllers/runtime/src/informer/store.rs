//! The objects of an informer, and what changes when one is taken in.
//!
//! In: objects as a list or a watch gives them. Out: the changes that this makes. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kube::Resource;
use kube::core::ObjectMeta;

use super::{Change, Pool};
use crate::key::ObjectKey;

pub(super) struct Store<K> {
    objects: Objects<K>,
    indexes: HashMap<&'static str, Index<K>>,
    pool: Option<Pool<K>>,
}

struct Index<K> {
    keys: fn(&K) -> Vec<String>,
    entries: HashMap<String, Objects<K>>,
}

/// The store and its indexes share keys, as they share objects.
type Objects<K> = BTreeMap<Arc<ObjectKey>, Arc<K>>;

impl<K: Resource> Store<K> {
    pub(super) fn new() -> Self {
        Self { objects: BTreeMap::new(), indexes: HashMap::new(), pool: None }
    }

    pub(super) fn share(&mut self, pool: Pool<K>) {
        self.pool = Some(pool);
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
        let objects =
            self.objects.range::<ObjectKey, _>(&first..).take_while(|(key, _)| key.namespace == namespace);
        objects.map(|(_, object)| Arc::clone(object)).collect()
    }

    pub(super) fn any_in_namespace(&self, namespace: &str) -> bool {
        let first = ObjectKey::new(namespace, "");
        self.objects.range::<ObjectKey, _>(&first..).next().is_some_and(|(key, _)| key.namespace == namespace)
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
        let known = self.objects.get(&key).cloned();
        if known.as_ref().is_some_and(|old| is_same_version(old.meta(), object.meta())) {
            return Vec::new();
        }
        let new = match &self.pool {
            Some(pool) => pool.share(object),
            None => Arc::new(object),
        };
        let Some(old) = known else {
            self.insert(key, &new);
            return vec![Change::Added(new)];
        };
        if old.meta().uid != new.meta().uid {
            self.lose(&key);
            self.insert(key, &new);
            return vec![Change::Deleted(old), Change::Added(new)];
        }
        self.take(&key);
        self.insert(key, &new);
        vec![Change::Updated { old, new }]
    }

    /// An object that is gone, with its last state.
    pub(super) fn remove(&mut self, last: K) -> Vec<Change<K>> {
        match self.lose(&ObjectKey::of(&last)) {
            Some(_) => vec![Change::Deleted(Arc::new(last))],
            None => Vec::new(),
        }
    }

    /// All objects that there are.
    pub(super) fn replace(&mut self, objects: Vec<K>) -> Vec<Change<K>> {
        let present: BTreeSet<ObjectKey> = objects.iter().map(ObjectKey::of).collect();
        let gone: Vec<Arc<ObjectKey>> =
            self.objects.keys().filter(|key| !present.contains(&***key)).cloned().collect();
        let mut changes: Vec<Change<K>> =
            gone.iter().filter_map(|key| self.lose(key)).map(Change::Deleted).collect();
        for object in objects {
            changes.extend(self.apply(object));
        }
        changes
    }

    fn insert(&mut self, key: ObjectKey, object: &Arc<K>) {
        let key = Arc::new(key);
        for index in self.indexes.values_mut() {
            index.insert(&key, object);
        }
        self.objects.insert(key, Arc::clone(object));
    }

    /// Of an object that is gone.
    fn lose(&mut self, key: &ObjectKey) -> Option<Arc<K>> {
        let object = self.take(key)?;
        if let Some(pool) = &self.pool {
            pool.forget(&object);
        }
        Some(object)
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Arc<K>> {
        let object = self.objects.remove(key)?;
        for index in self.indexes.values_mut() {
            index.take(key, &object);
        }
        Some(object)
    }
}

impl<K> Drop for Store<K> {
    fn drop(&mut self) {
        let Some(pool) = &self.pool else { return };
        self.indexes.clear();
        self.objects.clear();
        pool.sweep();
    }
}

/// Whether both are one object, in one version.
fn is_same_version(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.uid == other.uid && one.resource_version.is_some() && one.resource_version == other.resource_version
}

impl<K> Index<K> {
    fn insert(&mut self, key: &Arc<ObjectKey>, object: &Arc<K>) {
        for value in (self.keys)(object) {
            self.entries.entry(value).or_default().insert(Arc::clone(key), Arc::clone(object));
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
