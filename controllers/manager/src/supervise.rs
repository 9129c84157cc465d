//! Keeps a controller running: gives it an identity, and starts it again when it breaks.
//!
//! In: a row of the table. Out: the controller at work. A controller that panics is started again after a pause, with a
//! context of its own; the others do not notice.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use keelson_controller_runtime::{Backoff, Connection, Identity, explain};
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
    keep_up(controller.name, || run_once(controller, &connection, &shared)).await;
}

/// Runs the controller until it cannot start, ends or panics.
async fn run_once(controller: &'static Controller, connection: &Connection, shared: &Arc<Shared>) {
    let name = controller.name;
    let agent = format!("{USER_AGENT} {name}");
    let identity = match Identity::of_service_account(connection, controller.service_account, &agent).await {
        Ok(identity) => identity,
        Err(error) => {
            let error = explain(&error);
            return tracing::warn!(controller = name, error, "has no identity yet; will try again");
        }
    };
    tracing::info!(controller = name, "starting");
    let context = Arc::new(Context::new(Arc::clone(shared)));
    (controller.run)(context, identity.client()).await;
    tracing::error!(controller = name, "ended, which it never should");
}

/// Does something that never should end again and again, for ever: also when it panics.
pub(crate) async fn keep_up<F, Fut>(name: &str, start: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()>,
{
    let mut backoff = Backoff::default();
    loop {
        let begun = Instant::now();
        if let Err(panic) = AssertUnwindSafe(start()).catch_unwind().await {
            tracing::error!(name, panic = text_of(panic.as_ref()), "panicked; starting it again");
        }
        if begun.elapsed() >= STEADY {
            backoff.reset();
        }
        sleep(backoff.next_delay()).await;
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_ends_or_panics_is_started_again_and_at_once_if_it_ran_well() {
        let starts = Arc::new(Mutex::new(Vec::new()));
        let (begun, log) = (Instant::now(), Arc::clone(&starts));
        let task = tokio::spawn(async move {
            keep_up("test", || {
                log.lock().unwrap().push(begun.elapsed());
                let count = log.lock().unwrap().len();
                async move {
                    match count {
                        1..=6 => {}
                        7 => sleep(STEADY).await,
                        8 => panic!("a bug"),
                        _ => std::future::pending().await,
                    }
                }
            })
            .await;
        });
        sleep(Duration::from_secs(600)).await;
        let starts = starts.lock().unwrap().clone();
        assert_eq!(starts.len(), 9);
        assert!(starts[6] - starts[5] >= Duration::from_secs(1), "it keeps failing: {starts:?}");
        assert!(starts[7] - starts[6] < STEADY + Duration::from_millis(100), "it ran well: {starts:?}");
        task.abort();
    }
}
