//! What a fresh cluster contains, and where its API servers are.
//!
//! In: a server. Out: namespaces, priority classes, roles, the Service `kubernetes`, and what else upstream's API
//! server makes when it starts; then, as long as the server runs, a Lease that says that it lives, and the endpoints
//! of that Service; and what quotas say is used is kept up to date.
//!
//! Every server does all of this. They may do it at the same moment: whoever is second finds it done.
//!
//! Deliberately absent: service accounts and the root CA's config maps, which controllers make in every namespace.

use std::time::Duration;

use keelson_api_registry::status::ApiError;
use tokio::time::{sleep, timeout};

use crate::{quotas, server::Server, server::ServerOptions, storage::ObjectStore};

mod contents;
mod endpoints;
mod ensure;
mod presence;

use presence::Presence;

/// How soon something that failed is tried again, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// And at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a server that stops takes to say so.
const FAREWELL: Duration = Duration::from_secs(2);

/// Does its work until the server stops. Ends shortly after that, and before the store may.
pub async fn run(server: &Server) {
    let (objects, options) = (&server.objects, &server.options);
    let mut presence = Presence::of(options);
    let work = async {
        fill(objects, options).await;
        tokio::select! {
            never = presence.keep(objects, options) => never,
            never = quotas::keep(objects) => never,
        }
    };
    tokio::select! {
        never = work => match never {},
        () = server.stopped() => {}
    }
    match timeout(FAREWELL, presence.leave(objects, options)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::info!(error = error.message, "could not take this server off the endpoints")
        }
        Err(_) => tracing::info!("had no time to take this server off the endpoints"),
    }
}

/// Makes what is missing, stage by stage; each is tried until it is done.
pub async fn fill(objects: &ObjectStore, options: &ServerOptions) {
    for stage in contents::stages(options) {
        let mut pause = FIRST_PAUSE;
        while let Err(error) = ensure::all(objects, &stage.objects, (options.clock)()).await {
            tell(stage.name, &error);
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        tracing::debug!(stage = stage.name, "what a cluster begins with is there");
    }
}

/// That there is no leader yet is usual while a cluster starts; anything else is not.
fn tell(what: &str, error: &ApiError) {
    match error.code.as_u16() {
        503 | 504 => tracing::info!(what, error = error.message, "the store is not ready; trying again"),
        _ => tracing::warn!(what, error = error.message, "failed; trying again"),
    }
}

#[cfg(test)]
mod tests;
