//! Where work on large objects is done, so that it delays nobody else.
//!
//! In: a [`Call`] that the chain let pass. Out: its answer. All requests share one thread with the store, whose
//! heartbeats must not wait for an object with tens of thousands of fields to be decoded, merged and validated: what is
//! large, is done on another thread, a few at a time.
//!
//! Deliberately absent: lists, which are made piece by piece.

use std::{num::NonZero, panic, sync::Arc, thread};

use keelson_api_registry::{resources::Verb, status::ApiError};
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking};

use crate::{
    answer::Response,
    handlers::{self, Call},
    server::Server,
    storage::ObjectKey,
};

/// From this many bytes on an object is large: up to here the work takes a few milliseconds at most.
const LARGE: usize = 64 << 10;

/// Turns on other threads.
#[derive(Debug)]
pub(crate) struct Aside {
    turns: Arc<Semaphore>,
}

impl Aside {
    /// As many turns as leave a processor to everybody else; one at least.
    pub(crate) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self { turns: Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))) }
    }
}

/// Answers a call, on another thread if what it works on is large.
///
/// # Errors
/// As [`handlers::handle`].
pub(crate) async fn handle(server: &Arc<Server>, call: Call) -> Result<Response, ApiError> {
    if !is_large(server, &call) {
        return handlers::handle(server, call).await;
    }
    let turn = server.aside.turns.clone().acquire_owned().await;
    let (runtime, server) = (Handle::current(), server.clone());
    let work = move || {
        // The thread has the turn, not the request: work goes on after a client has gone.
        let _turn = turn;
        runtime.block_on(handlers::handle(&server, call))
    };
    match spawn_blocking(work).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(answer) => answer,
        Err(Ok(panicked)) => panic::resume_unwind(panicked),
        Err(Err(_)) => Err(ApiError::unavailable("the server stops")),
    }
}

/// Whether a call makes an object of a long body, or changes a large object.
fn is_large(server: &Server, call: &Call) -> bool {
    let request = &call.request;
    let makes_object = matches!(request.verb, Verb::Create | Verb::Update | Verb::Patch)
        && !request.subresource.is_some_and(|subresource| subresource.is_long_running());
    makes_object && (call.body.len() >= LARGE || stored_length(server, call) >= LARGE)
}

/// How long the object is that is there already, as far as this server knows.
fn stored_length(server: &Server, call: &Call) -> usize {
    let request = &call.request;
    let key = ObjectKey::new(request.resource, &request.namespace, &request.name);
    let shard = server.objects.shard(request.resource);
    let found = key.ok().zip(shard.ok()).and_then(|(key, shard)| shard.find(&key.bytes()).ok()?.0);
    found.map_or(0, |object| object.json().len())
}

#[cfg(test)]
mod tests;
