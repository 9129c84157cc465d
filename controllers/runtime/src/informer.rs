//! A cache of all objects of one kind that tells what changes.
//!
//! In: a list of the kind and a watch from where the list ended. Out: the objects of the moment, also by indexes, and
//! every change, in order, to handlers. A watch that breaks goes on at its revision, on whatever server answers; only
//! when that revision is gone (410) the kind is listed again, and handlers then hear of what vanished meanwhile.
//! An object that its type cannot hold counts as gone, with a warning.
//! Cached objects have no `managedFields`: nobody reads them here, and they are half of an object. Of kinds with many
//! objects the types themselves hold no more than is read ([`pod`](crate::pod), [`Outline`]). Deliberately absent: a
//! resync that repeats what is known.

mod decoded;
mod pool;
mod source;
mod store;

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use kube::api::ApiResource;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub use self::pool::Pool;
use self::source::Source;
use self::store::Store;
use crate::key::ObjectKey;
use crate::metadata;
use crate::outline::Outline;

/// One change of the cache.
#[derive(Debug)]
pub enum Change<K> {
    /// There was no such object before.
    Added(Arc<K>),
    /// The object has changed: another `resourceVersion`, the same uid.
    Updated {
        /// As it was.
        old: Arc<K>,
        /// As it is.
        new: Arc<K>,
    },
    /// The object is gone; this is the last that was seen of it.
    Deleted(Arc<K>),
}

/// How long handlers live: those that were registered through an informer [`scoped`](Informer::scoped) with this
/// are gone when it is dropped. A handler must not hold its own scope, or neither ever goes.
#[derive(Default)]
pub struct Scope {
    /// Take the handlers out of their informers.
    undo: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        for undo in self.undo.get_mut().unwrap_or_else(PoisonError::into_inner) {
            undo();
        }
    }
}

impl Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scope(..)")
    }
}

type Call<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

struct Handler<K> {
    call: Call<K>,
    /// `None`: as long as the informer.
    scope: Option<Weak<Scope>>,
}

/// A cache of one kind. Clones are the same cache.
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
    scope: Option<Weak<Scope>>,
}

struct Shared<K> {
    /// `None`: detached, filled by hand.
    source: Option<Source<K>>,
    store: RwLock<Store<K>>,
    /// Held while a change is applied and told, so that handlers hear everything once and in order.
    handlers: Mutex<Vec<Handler<K>>>,
    synced: watch::Sender<bool>,
}

impl<K> Informer<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// Of what `api` lists with the selectors of `config`. Learns nothing until it [`run`](Self::run)s.
    pub fn new(api: Api<K>, config: watcher::Config) -> Self {
        Self::with(Some(Source::new(api, config)))
    }

    /// Without an API: holds what [`apply`](Self::apply) and [`remove`](Self::remove) say, and is synced. For tests.
    pub fn detached() -> Self {
        let informer = Self::with(None);
        informer.shared.synced.send_replace(true);
        informer
    }

    fn with(source: Option<Source<K>>) -> Self {
        let shared = Shared {
            source,
            store: RwLock::new(Store::new()),
            handlers: Mutex::new(Vec::new()),
            synced: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared), scope: None }
    }

    /// The same informer; handlers that are registered through the clone live as long as `scope`.
    pub fn scoped(&self, scope: &Arc<Scope>) -> Self {
        Self { shared: Arc::clone(&self.shared), scope: Some(Arc::downgrade(scope)) }
    }

    /// Keeps objects findable by what `keys` says of them; see [`by_index`](Self::by_index). Does nothing if there is
    /// an index of this name.
    pub fn add_index(&self, name: &'static str, keys: fn(&K) -> Vec<String>) {
        self.store_mut().add_index(name, keys);
    }

    /// Keeps objects that other informers of this pool keep too, and keep just so, only once. To be called before
    /// anything is known.
    pub fn share(&self, pool: &Pool<K>) {
        self.store_mut().share(pool.clone());
    }

    /// Tells `handler` of every change, in order, from an [`Added`](Change::Added) of everything that is known
    /// already. It is called synchronously and holds up the informer: it enqueues keys and nothing else. It may read
    /// this informer, but must not register handlers.
    pub fn on_change(&self, handler: impl Fn(&Change<K>) + Send + Sync + 'static) {
        let mut handlers = self.handlers();
        for object in self.list() {
            handler(&Change::Added(object));
        }
        handlers.push(Handler { call: Box::new(handler), scope: self.scope.clone() });
        drop(handlers);
        self.remove_with_scope();
    }

    /// Has the handlers of this clone's scope removed when that ends.
    fn remove_with_scope(&self) {
        let Some(scope) = self.scope.as_ref().and_then(Weak::upgrade) else { return };
        let shared = Arc::downgrade(&self.shared);
        let undo = move || {
            if let Some(shared) = shared.upgrade() {
                shared.remove_ended();
            }
        };
        scope.undo.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(undo));
    }

    /// The object of this key.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.store().get(key)
    }

    /// All objects, by namespace and name.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.store().list()
    }

    /// The objects of a namespace, by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.store().in_namespace(namespace)
    }

    /// Whether there is an object in a namespace.
    pub fn any_in_namespace(&self, namespace: &str) -> bool {
        self.store().any_in_namespace(namespace)
    }

    /// The objects for which the index's function names `value`, by namespace and name.
    ///
    /// # Panics
    ///
    /// If there is no such index: that is a mistake in the program, found by the first test that comes by.
    pub fn by_index(&self, index: &'static str, value: &str) -> Vec<Arc<K>> {
        self.store().by_index(index, value)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.store().len()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Until everything that existed when the informer started is known.
    pub async fn synced(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.shared.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Keeps the cache true until the future is dropped. To be run once at a time.
    pub async fn run(self) {
        match &self.shared.source {
            Some(source) => source.follow(&self).await,
            None => std::future::pending().await,
        }
    }

    /// Takes in an object as it is now.
    pub fn apply(&self, object: K) {
        let handlers = self.handlers();
        let changes = self.store_mut().apply(stripped(object));
        tell(&handlers, &changes);
    }

    /// Takes in that an object is gone; `object` is the last that is known of it.
    pub fn remove(&self, object: K) {
        let handlers = self.handlers();
        let changes = self.store_mut().remove(stripped(object));
        tell(&handlers, &changes);
    }

    /// Takes in that nothing can be known of an object any more.
    fn forget(&self, key: &ObjectKey) {
        if let Some(last) = self.get(key) {
            self.remove(K::clone(&last));
        }
    }

    /// Takes in everything there is: what is not in it is gone.
    fn replace(&self, objects: Vec<K>) {
        let handlers = self.handlers();
        let changes = self.store_mut().replace(objects.into_iter().map(stripped).collect());
        tell(&handlers, &changes);
        self.shared.synced.send_replace(true);
    }

    fn store(&self) -> RwLockReadGuard<'_, Store<K>> {
        self.shared.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_mut(&self) -> RwLockWriteGuard<'_, Store<K>> {
        self.shared.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn handlers(&self) -> MutexGuard<'_, Vec<Handler<K>>> {
        self.shared.handlers()
    }
}

impl<K> Shared<K> {
    fn handlers(&self) -> MutexGuard<'_, Vec<Handler<K>>> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the handlers whose scope has ended, and with them whatever they hold.
    fn remove_ended(&self) {
        let mut handlers = self.handlers();
        let (lasting, ended): (Vec<_>, Vec<_>) = handlers.drain(..).partition(Handler::lasts);
        *handlers = lasting;
        drop(handlers);
        // They may hold the last of something that has handlers of its own.
        drop(ended);
    }
}

impl<K> Handler<K> {
    fn lasts(&self) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.strong_count() > 0)
    }
}

impl Informer<Outline> {
    /// Of the outlines of all objects of a kind that is known at run time only.
    pub fn outlines(client: Client, resource: &ApiResource, config: watcher::Config) -> Self {
        Self::new(Api::all_with(client, resource), config)
    }
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), scope: self.scope.clone() }
    }
}

impl<K> Debug for Informer<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Informer").field("synced", &*self.shared.synced.borrow()).finish_non_exhaustive()
    }
}

/// The handlers are locked: everybody hears everything in order.
fn tell<K>(handlers: &[Handler<K>], changes: &[Change<K>]) {
    for change in changes {
        for handler in handlers {
            tell_one(&handler.call, change);
        }
    }
}

/// A handler that panics harms neither the informer nor the other handlers.
fn tell_one<K>(handler: &(dyn Fn(&Change<K>) + Send + Sync), change: &Change<K>) {
    let told = std::panic::catch_unwind(AssertUnwindSafe(|| handler(change)));
    if told.is_err() {
        tracing::error!("a handler of changes panicked");
    }
}

fn stripped<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    metadata::shrink(object.meta_mut());
    object
}

#[cfg(test)]
mod tests;
