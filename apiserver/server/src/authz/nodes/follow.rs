//! Keeps the relations of nodes up with the objects in the cache.
//!
//! In: changes of pods, volumes, attachments and slices. Out: [`Relations`]. Of an object that changed several times
//! since the last look, only the last is read. Who needs the newest catches up first ([`wait_for_all`]).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use keelson_api_registry::{
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
};
use keelson_store_core::id::Revision;
use tokio::time::sleep;

use super::{
    NODE_NAME, NodeAuthorizer, references,
    relations::{Edge, Kind, Relations},
};
use crate::{
    cache::{CachedObject, Pulled},
    storage::{ObjectStore, collection},
};

/// How long changes are gathered: whoever is refused catches up at once.
const PACE: Duration = Duration::from_millis(100);

/// How many objects are read before other requests have their turn.
const AT_ONCE: usize = 256;

/// What says which objects a node needs: THE table.
const SOURCES: [Source; 4] = [
    Source { group: "", plural: "pods", edges: references::of_pod },
    Source { group: "", plural: "persistentvolumes", edges: references::of_volume_object },
    Source {
        group: "storage.k8s.io",
        plural: "volumeattachments",
        edges: |object| references::of_node_name(Kind::Attachment, object),
    },
    Source {
        group: "resource.k8s.io",
        plural: "resourceslices",
        edges: |object| references::of_node_name(Kind::Slice, object),
    },
];

struct Source {
    group: &'static str,
    plural: &'static str,
    edges: fn(&Object) -> Vec<Edge>,
}

impl Source {
    fn resource(&self) -> &'static ResourceInfo {
        resources::find(self.group, "v1", self.plural).expect("the table has every resource of nodes")
    }
}

/// Up to where the cache has been looked at.
#[derive(Debug, Default)]
pub(super) struct Cursors([Revision; SOURCES.len()]);

/// What changed, by key; `None` is gone.
type Changed = HashMap<Bytes, Option<Arc<CachedObject>>>;

impl Cursors {
    /// Takes in what has changed. Nothing is missed if it is dropped on its way: the next call begins where this began.
    pub(super) async fn catch_up(&mut self, objects: &ObjectStore, relations: &RwLock<Relations>) {
        for (cursor, source) in self.0.iter_mut().zip(&SOURCES) {
            let Some((changed, through)) = changes(objects, source, *cursor, relations) else { continue };
            take_in(source, changed.into_iter().collect(), relations).await;
            *cursor = through;
        }
    }
}

/// What has changed after `cursor`, and up to which revision that is.
fn changes(
    objects: &ObjectStore,
    source: &Source,
    mut cursor: Revision,
    relations: &RwLock<Relations>,
) -> Option<(Changed, Revision)> {
    let resource = source.resource();
    let (shard, everything) = (objects.shard(resource).ok()?, collection(resource, "").ok()?);
    let mut changed = Changed::new();
    loop {
        match shard.pull(cursor, &everything) {
            Pulled::Events { through, .. } if through == cursor => return Some((changed, cursor)),
            Pulled::Events { events, through } => {
                changed.extend(events.iter().map(|event| (event.key().clone(), event.current().cloned())));
                cursor = through;
            }
            Pulled::Forgotten => {
                // The revision first: what changes meanwhile is seen twice rather than never.
                cursor = shard.revision();
                let known = relations.read().unwrap_or_else(PoisonError::into_inner);
                let gone = known.keys().filter(|key| everything.contains(key));
                changed = gone.map(|key| (key.clone(), None)).collect();
                changed.extend(shard.all().into_iter().map(|object| (object.key.clone(), Some(object))));
            }
        }
    }
}

/// Objects are read before the relations are locked, and not too many in a row: decisions and other requests go on.
async fn take_in(
    source: &Source,
    changed: Vec<(Bytes, Option<Arc<CachedObject>>)>,
    relations: &RwLock<Relations>,
) {
    for piece in changed.chunks(AT_ONCE) {
        let edges: Vec<Vec<Edge>> =
            piece.iter().map(|(_, object)| edges_of(source, object.as_deref())).collect();
        {
            let mut relations = relations.write().unwrap_or_else(PoisonError::into_inner);
            piece.iter().zip(edges).for_each(|((key, _), edges)| relations.set(key, edges));
        }
        tokio::task::yield_now().await;
    }
}

/// Most that have a field for the node can be told from it to lead nowhere.
fn edges_of(source: &Source, object: Option<&CachedObject>) -> Vec<Edge> {
    match object.filter(|object| object.field(NODE_NAME) != Some("")) {
        Some(object) => (source.edges)(&object.object()),
        None => Vec::new(),
    }
}

/// Follows the changes for ever. Ends when the cache does.
pub(crate) async fn follow(objects: &ObjectStore, nodes: &NodeAuthorizer) {
    let [mut pods, mut volumes, mut attachments, mut slices] =
        SOURCES.each_ref().map(|source| objects.changed(source.resource()));
    loop {
        nodes.catch_up(objects).await;
        let changed = tokio::select! {
            changed = pods.changed() => changed,
            changed = volumes.changed() => changed,
            changed = attachments.changed() => changed,
            changed = slices.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        sleep(PACE).await;
    }
}

/// Waits until the cache has everything about nodes that was acknowledged before the call.
///
/// # Errors
/// 504 and 503 without a quorum or before the cache is filled.
pub(super) async fn wait_for_all(objects: &ObjectStore) -> Result<(), ApiError> {
    let (_, revision) = objects.fresh(SOURCES[0].resource()).await?;
    for source in &SOURCES[1..] {
        objects.shard(source.resource())?.wait_until(revision).await?;
    }
    Ok(())
}
