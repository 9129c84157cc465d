//! Keeps a controller running: gives it an identity, and starts it again when it breaks.
//!
//! In: a row of the table. Out: the controller at work. A controller that panics is started again after a pause, with a
//! context of its own; the others do not notice.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use keelson_controller_runtime::{Backoff, Connection, Identity};
use tokio::task::JoinError;
use tokio::time::{Duration, Instant, sleep};

use crate::USER_AGENT;
use crate::context::{Context, Shared};
use crate::table::Controller;

/// A controller that ran for so long before it broke starts again at once.
const STEADY: Duration = Duration::from_secs(60);

/// Runs the controller for ever.
pub(crate) async fn keep_running(
    controller: &'static Controller,
    connection: Connection,
    shared: Arc<Shared>,
) {
    let mut backoff = Backoff::default();
    loop {
        let begun = Instant::now();
        run_once(controller, &connection, &shared).await;
        if begun.elapsed() >= STEADY {
            backoff.reset();
        }
        sleep(backoff.next_delay()).await;
    }
}

/// Runs the controller until it cannot start, ends or panics.
async fn run_once(controller: &'static Controller, connection: &Connection, shared: &Arc<Shared>) {
    let name = controller.name;
    let agent = format!("{USER_AGENT} {name}");
    let identity = match Identity::of_service_account(connection, controller.service_account, &agent).await {
        Ok(identity) => identity,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            return tracing::warn!(controller = name, error, "has no identity yet; will try again");
        }
    };
    tracing::info!(controller = name, "starting");
    let context = Arc::new(Context::new(Arc::clone(shared)));
    match AssertUnwindSafe((controller.run)(context, identity.client())).catch_unwind().await {
        Ok(()) => tracing::error!(controller = name, "ended, which it never should; starting it again"),
        Err(panic) => {
            let panic = text_of(panic.as_ref());
            tracing::error!(controller = name, panic, "panicked; starting it again");
        }
    }
}

/// Says that a task has ended that never should.
pub(crate) fn report(ended: Result<(), JoinError>) {
    match ended {
        Ok(()) => tracing::error!("a background task of the controllers has ended"),
        Err(error) => tracing::error!(%error, "a background task of the controllers has ended"),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
