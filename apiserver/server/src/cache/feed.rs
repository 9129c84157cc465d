//! Keeps one shard up to date.
//!
//! In: the store's watcher, and pokes of readers who know of a newer revision. Out: [`Shard::fill`] once, then
//! [`Shard::apply`] and [`Shard::advance`] for ever. A watch that ends, because what it needs next has been
//! compacted away, begins anew with a fill.

use std::{sync::Arc, time::Duration};

use keelson_store::{
    ReadError, Store,
    store::Consistency,
    watch::{WatchError, Watched, Watcher},
};
use keelson_store_core::{
    command::{KeyRange, RangeRequest},
    watch::Interest,
};
use tokio::time::sleep;

use super::{Shard, shard::Contents};

/// How often a shard in which nothing happens learns how far the store has come: what bookmarks say.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// Pause before a fill that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How many objects are read at once while filling.
const PAGE: u64 = 256;

/// Runs until it is aborted.
pub(super) async fn run(store: Store, shard: Arc<Shard>) {
    let resource = shard.resource().qualified();
    loop {
        match fill(&store, &shard).await {
            Ok(watcher) => {
                let end = follow(&shard, watcher).await;
                tracing::warn!(resource, %end, "the cache's watch has ended; the cache is filled anew");
            }
            Err(error) => {
                tracing::warn!(resource, %error, "the cache cannot be filled");
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Reads everything at one moment, and answers a watcher of what comes after.
///
/// The moment need not be the newest one: readers wait until the shard has what they know of.
async fn fill(store: &Store, shard: &Shard) -> Result<Watcher, ReadError> {
    let view = store.view(Consistency::Local).await?;
    let revision = view.header().revision;
    let (mut start, end) = shard.range().span();
    let end = end.unwrap_or_default();
    let mut contents = Contents::default();
    loop {
        let range = KeyRange::Span { start, end: end.clone() };
        let page = view.range(&RangeRequest { limit: PAGE, ..RangeRequest::new(range) })?;
        for kv in &page.kvs {
            contents.take(shard.resource(), kv);
        }
        let Some(last) = page.kvs.last().filter(|_| page.more) else { break };
        start = [&last.key[..], &[0]].concat().into();
        // A long fill must not keep the thread: elections would come late.
        tokio::task::yield_now().await;
    }
    shard.fill(contents, revision);
    store.watch(Interest::all_of(shard.range().clone()), revision.next()).await
}

/// Hands on what the watcher says, until it ends.
async fn follow(shard: &Shard, mut watcher: Watcher) -> WatchError {
    loop {
        match watcher.poll() {
            Ok(Watched::Changes(changes)) => {
                shard.apply(&changes.revisions());
                // A shard that is far behind must not keep the thread.
                tokio::task::yield_now().await;
                continue;
            }
            Ok(Watched::Idle { progress: Some(progress) }) => shard.advance(progress),
            // Its start is the next revision of the store: the shard has everything there is.
            Ok(Watched::Idle { progress: None }) => {}
            Err(end) => return end,
        }
        tokio::select! {
            () = watcher.changed() => {}
            () = shard.poked() => {}
            () = sleep(PROGRESS_INTERVAL) => {}
        }
    }
}
