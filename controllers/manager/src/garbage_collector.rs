//! The garbage collector: what is owned goes when its last owner is gone.
//!
//! In: the metadata of all objects that can be watched and deleted, of whatever kind. Out: deletions of objects whose
//! owners are all gone, owner references without owners that are gone, and finalizers `foregroundDeletion` and
//! `orphan` taken away when what they stand for is done.
//!
//! - `identity.rs`: coordinates, owners, standing; `graph.rs`: who owns whom, and what is worth an attempt (pure)
//! - `plan.rs`: what to do about one object (pure)
//! - `collector.rs`: attempts, carried out through `objects.rs`
//! - `catalogue.rs`, `monitors.rs`: which kinds there are, and their informers
//!
//! Two collectors at once only ask twice: every write names the version of the object that was judged.

mod catalogue;
mod collector;
mod graph;
mod identity;
mod memory;
mod monitors;
mod objects;
mod plan;

use std::sync::Arc;

use keelson_controller_runtime::work;
use kube::Client;

use self::{collector::Collector, objects::ApiObjects};
use crate::context::Context;

const NAME: &str = "garbage-collector-controller";

/// How many attempts run at a time, as upstream.
const WORKERS: usize = 20;

/// Collects for ever.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let objects = Arc::new(ApiObjects::new(client.clone()));
    let collector = Arc::new(Collector::new(Arc::clone(&objects), context.recorder(NAME)));
    let attempts = async {
        // Before that, most attempts would ask for owners that are about to be seen.
        collector.completed().await;
        let queue = collector.queue().clone();
        work(NAME, queue, WORKERS, Arc::clone(&collector)).await;
    };
    tokio::join!(monitors::follow(client, objects, Arc::clone(&collector)), attempts);
}
